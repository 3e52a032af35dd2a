'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { runScript, test } = require('./helpers');

const root = path.resolve(__dirname, '..');
const read = (file) => fs.readFileSync(path.join(root, file), 'utf8');
const snippets = [...read('README.md').matchAll(/```js\n(.*?)```/gs)].map(
  ([, source]) => source,
);

/** Runs a program of the repository that may need input from the test. */
function start(file, ...args) {
  const child = spawn(process.execPath, [path.join(root, file), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout.setEncoding('utf8');
  return child;
}

async function line(child, pattern) {
  let text = '';
  for (;;) {
    const [data] = await once(child.stdout, 'data');
    text += data;
    const match = pattern.exec(text);
    if (match) return match;
  }
}

test('the README has its snippets', () => assert.equal(snippets.length, 2));

/** The snippet as a user runs it, who has installed the package. */
const asUser = (source) => source.replace(/const \{ .* \} =/, 'const {} =');

test('the first snippet of the README echoes', async () => {
  const { code, stdout, stderr } = await runScript(asUser(snippets[0]), {
    cwd: root,
  });
  assert.deepEqual([stderr, stdout, code], ['', 'echo of hello\n', 0]);
});

test('the second snippet of the README sends all', async () => {
  const { code, stdout, stderr } = await runScript(asUser(snippets[1]), {
    cwd: root,
  });
  assert.deepEqual([stderr, stdout, code], ['', '', 0]);
});

test('an ECMAScript module can import open', async () => {
  const { code, stdout, stderr } = await runScript(
    `import('sctp-napi').then(({ open: same }) => console.log(same === open))`,
    { cwd: root },
  );
  assert.deepEqual([stderr, stdout, code], ['', 'true\n', 0]);
});

test('the demo sends a file and shows that every byte arrived', async () => {
  const child = start('examples/demo.js', path.join(root, 'index.d.ts'));
  let output = '';
  child.stdout.on('data', (data) => {
    output += data;
  });
  const [code] = await once(child, 'close');
  assert.match(output, /\d+ of \d+ messages answered/);
  assert.match(output, /\d+ messages per second/);
  assert.match(output, /p50 [\d.]+ ms, p90 [\d.]+ ms, p99 [\d.]+ ms/);
  assert.match(output, /every byte arrived\n$/);
  assert.equal(code, 0);
});

test('the receive example prints what arrives', async (t) => {
  const child = start('examples/receive.js', '127.0.0.1', '0');
  const [, port] = await line(child, /port (\d+)/);
  const handle = t.open();
  handle.send(Buffer.from('hello'), '127.0.0.1', Number(port));
  await line(child, new RegExp(`127.0.0.1 ${handle.address().port}: hello`));
  child.kill();
  await once(child, 'close');
});

test('the echo example sends every message back', async (t) => {
  const child = start('examples/echo.js', '127.0.0.1', '0');
  const [, port] = await line(child, /port (\d+)/);
  await new Promise((resolve) => {
    const handle = t.open(([data]) => {
      assert.equal(String(data), 'hello');
      resolve();
    });
    handle.send(Buffer.from('hello'), '127.0.0.1', Number(port));
  });
  child.kill('SIGINT');
  const [code] = await once(child, 'close');
  assert.equal(code, 0);
});

test('the minimal examples are at most 20 lines long', () => {
  for (const file of ['examples/receive.js', 'examples/echo.js']) {
    assert.ok(read(file).trim().split('\n').length <= 20, file);
  }
});
