'use strict';

// Events of the machine or of a process while messages are on their way.
// It needs root: it sets the system's clock and what SCTP may have of its memory
// for some seconds, and back.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { setTimeout: wait } = require('node:timers/promises');
const { run } = require('../helpers');
const { twoHostsThatTalk } = require('./programs/exchange');
const { HERE } = require('./programs/hosts');
const { until } = require('./programs/report');

const { talk } = twoHostsThatTalk(__filename);

const DAY = 24 * 60 * 60 * 1000;

const progress = (row, count) => until(() => row.progress?.once >= count);

/** Nothing arrives for that long, ms. */
async function standstill(row, ms, during) {
  await during();
  const { once } = row.progress;
  await wait(ms);
  // Messages on their way may have come.
  assert.ok(row.progress.once - once <= 16, 'the fault did not stop anything');
}

/** Memory for all of SCTP in pages; Linux has no such limit per network. */
function sctpMemory(value) {
  const file = '/proc/sys/net/sctp/sctp_mem';
  const script = value ? `echo ${value} >${file}` : `cat ${file}`;
  const { stdout, stderr } = spawnSync(
    'nsenter',
    ['--net=/proc/1/ns/net', 'sh', '-c', script],
    { encoding: 'utf8' },
  );
  assert.equal(stderr, '');
  return stdout.trim();
}

talk('no memory for SCTP', 'sctp_mem 0 pages, three times for 2 s', {
  count: 600,
  async make(t, row) {
    const usual = sctpMemory();
    t.after(() => sctpMemory(usual));
    for (const count of [100, 250, 400]) {
      await progress(row, count);
      sctpMemory('0 0 0'); // beyond what each socket is granted
      await wait(2000);
      sctpMemory(usual);
    }
  },
  happened: ({ ms }) => ms > 6000,
});

talk('address that goes', 'ip address del, and add after a second', {
  count: 600,
  async make(_t, row) {
    await progress(row, 100);
    await standstill(row, 1000, () =>
      run(`ip address del ${HERE}/24 dev here`),
    );
    run(`ip address add ${HERE}/24 dev here`);
  },
  happened: ({ here, there }) =>
    here('T3RtxExpireds') + there('T3RtxExpireds') > 0,
});

talk('clock that jumps', 'date --set: a day forward, two back, 10 times', {
  count: 600,
  async make(_t, row) {
    const start = Date.now() - performance.now();
    const set = (days) => {
      const now = start + performance.now() + days * DAY;
      run(`date --set @${(now / 1000).toFixed(3)}`);
    };
    try {
      for (let i = 1; i <= 20; i++) {
        set(i % 2 ? 1 : -1);
        await progress(row, i * 25);
      }
    } finally {
      set(0);
    }
  },
  happened: () => true, // or date would have failed
});

talk('stopped process', 'SIGSTOP, and SIGCONT after 10 s', {
  count: 600,
  async make(_t, row, echo) {
    await progress(row, 100);
    await standstill(row, 10_000, () => echo.kill('SIGSTOP'));
    echo.kill('SIGCONT');
  },
  happened: ({ ms }) => ms > 10_000,
});

talk('blocked event loop of the peer', 'Atomics.wait() for 60 s', {
  count: 600,
  async make(_t, row, echo) {
    await progress(row, 100);
    await standstill(row, 59_000, () => echo.stdin.write('60000'));
  },
  happened: ({ ms }) => ms > 60_000,
});

talk('blocked event loop', 'Atomics.wait() for 60 s', {
  count: 600,
  async make(_t, row) {
    await progress(row, 100);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000);
  },
  happened: ({ ms }) => ms > 60_000,
});
