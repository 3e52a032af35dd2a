'use strict';

const assert = require('node:assert/strict');
const { runScript, test } = require('../helpers');

/** SEED repeats a run that failed. */
const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
const calls = Number(process.env.CALLS ?? 100_000);

test('no caller can break the process, whatever it passes', async (t) => {
  t.diagnostic(`SEED=${seed} CALLS=${calls}`);
  const hostile = JSON.stringify(require.resolve('./programs/hostile'));
  // In a process of its own, since it may end in any way.
  const { code, signal, stdout, stderr } = await runScript(
    `require(${hostile}).run(${calls}, ${seed});`,
  );
  assert.deepEqual(
    { code, signal },
    { code: 0, signal: null },
    stdout + stderr,
  );
  t.diagnostic(stdout);
  const result = JSON.parse(stdout);
  assert.ok(result.calls >= calls);
  assert.equal(result.sockets, 0, 'sockets were left open');
});
