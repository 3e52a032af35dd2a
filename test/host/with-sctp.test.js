'use strict';

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const test = require('node:test');

const withSctp = path.resolve(__dirname, '../../scripts/with-sctp');
const guestImage = path.resolve(__dirname, '../../scripts/guest-image');

function start(...args) {
  const child = spawn(withSctp, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  child.closed = once(child, 'close');
  child.output = '';
  child.errors = '';
  child.stdout.on('data', (data) => {
    child.output += data;
  });
  child.stderr.on('data', (data) => {
    child.errors += data;
  });
  return child;
}

test('the command runs on a kernel that has SCTP', async () => {
  const child = start('grep', '-c', '^SCTP ', '/proc/net/protocols');
  const [code] = await child.closed;
  assert.deepEqual([child.output, child.errors, code], ['1\n', '', 0]);
});

test('directory, environment, arguments, output and status pass through, in runs that do not disturb each other', async () => {
  const script =
    'echo "$WORD" in "$PWD"; printf "<%s>" "$@"; echo to stderr >&2; exit $3';
  const runs = [17, 18].map((status) => {
    process.env.WORD = `a 'quoted' "word"\nof run ${status}`;
    return start('sh', '-c', script, 'sh', 'a  b', '$HOME *', String(status));
  });
  for (const [i, child] of runs.entries()) {
    const [code] = await child.closed;
    const status = 17 + i;
    assert.equal(
      child.output,
      `a 'quoted' "word"\nof run ${status} in ${process.cwd()}\n` +
        `<a  b><$HOME *><${status}>`,
    );
    assert.equal(child.errors, 'to stderr\n');
    assert.equal(code, status);
  }
});

test('output is streamed, and Ctrl-C reaches the command', async () => {
  const child = start(
    'sh',
    '-c',
    'trap "echo caught; exit 3" INT; echo ready; while :; do sleep 0.1; done',
  );
  await once(child.stdout, 'data');
  assert.equal(child.output, 'ready\n');
  child.kill('SIGINT');
  const [code] = await child.closed;
  assert.equal(child.output, 'ready\ncaught\n');
  assert.equal(code, 3);
});

test('a command that cannot be found fails as in a shell', async () => {
  const child = start('no-such-command');
  const [code] = await child.closed;
  assert.match(child.errors, /no-such-command/);
  assert.equal(code, 127);
});

test('without a command it says so', () => {
  const { status, stderr } = spawnSync(withSctp, { encoding: 'utf8' });
  assert.equal(stderr, 'with-sctp: no command given\n');
  assert.equal(status, 125);
});

test('a kernel that cannot be the name of a suite is refused', () => {
  const { status, stderr } = spawnSync(guestImage, {
    encoding: 'utf8',
    env: { ...process.env, SCTP_KERNEL: '../bookworm' },
  });
  assert.equal(
    stderr,
    'guest-image: SCTP_KERNEL names no suite: ../bookworm\n',
  );
  assert.equal(status, 1);
});
