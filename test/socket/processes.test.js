'use strict';

// Sockets that several processes share, and sockets of other programs.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { PYTHON, finish, messages, test, until } = require('../helpers');
const { socketDescriptors } = require('../helpers/descriptors');

const root = path.resolve(__dirname, '../..');

/** A program that makes a listening socket and becomes Node, with it as fd 3. */
const ACTIVATOR = `
import os, socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 132)
s.bind(('::', 0))
s.listen(10)
print(s.getsockname()[1], flush=True)
sys.stdin.readline()
os.dup2(s.fileno(), 9)
os.dup2(9, 3)
os.execv(sys.argv[1], sys.argv[1:])
`;

const SERVICE = `
const { createServer } = require(${JSON.stringify(root)});
const server = createServer((socket) => {
  socket.pipe(socket);
  socket.on('close', () => server.close());
}).listen({ fd: 3 }, () => console.log(JSON.stringify(server.address())));
server.on('close', () => {
  try { require('node:fs').fstatSync(3); } catch ({ code }) { console.log(code); }
});
`;

test('listen({ fd }) serves a socket of another program, and who has waited there', async (t) => {
  const child = t.spawn(
    PYTHON,
    ['-c', ACTIVATOR, process.execPath, '-e', SERVICE],
    'pipe',
  );
  let output = '';
  child.stdout.on('data', (data) => {
    output += data;
  });
  await until(() => output.includes('\n'));
  const port = Number(output);
  // Nobody accepts yet.
  const socket = t.connect({ port, host: '127.0.0.1' });
  await once(socket, 'connect');
  socket.write('early');
  child.stdin.end('go on\n');
  assert.equal(String((await messages(socket, 1))[0]), 'early');
  assert.equal(JSON.parse(output.split('\n')[1]).port, port);
  socket.end();
  await once(child, 'close');
  assert.match(output, /EBADF\n$/); // close() has closed it
});

/** The error of listen({ fd }). */
async function failure(t, fd) {
  const server = t.server();
  server.listen({ fd });
  const [{ code, syscall, message }] = await once(server, 'error');
  return { code, syscall, message };
}

const refused = (code) => ({
  code,
  syscall: 'listen',
  message: `listen ${code}`,
});

test('listen({ fd }) fails for what is no socket, and leaves it open', async (t) => {
  const fd = fs.openSync(__filename);
  t.after(() => fs.closeSync(fd));
  assert.deepEqual(await failure(t, fd), refused('ENOTSOCK'));
  assert.ok(fs.fstatSync(fd).isFile());
  assert.deepEqual(await failure(t, 99_999), refused('EBADF'));
});

test('listen({ fd }) fails for a socket of another kind', async (t) => {
  const before = socketDescriptors();
  const tcp = net.createServer().listen(0);
  await once(tcp, 'listening');
  const [fd] = socketDescriptors().filter((other) => !before.includes(other));
  try {
    assert.deepEqual(await failure(t, Number(fd)), refused('EPROTOTYPE'));
    assert.equal(tcp.listening, true);
  } finally {
    tcp.close();
  }
});

test('listen({ fd }) fails for a socket that another server has', async (t) => {
  const before = socketDescriptors();
  const server = await t.listen({});
  const [fd] = socketDescriptors().filter((other) => !before.includes(other));
  assert.deepEqual(await failure(t, Number(fd)), refused('EEXIST'));
  const client = t.connect(server.address().port, '127.0.0.1');
  await once(client, 'connect');
});

test('a wrong fd throws', (t) => {
  assert.throws(() => t.server().listen({ fd: -1 }), {
    code: 'ERR_OUT_OF_RANGE',
  });
  assert.throws(() => t.server().listen({ fd: '3' }), {
    code: 'ERR_INVALID_ARG_TYPE',
  });
});

test('processes of a cluster share a port, and none but its own is lost when one dies', async () => {
  const example = path.join(root, 'examples/cluster.js');
  const { code, stdout, stderr } = await finish(process.execPath, [
    ...[example, '3', '60'],
  ]);
  assert.equal(stderr, '');
  assert.equal(code, 0);
  const match =
    /^60 associations over 3 processes: (.+)\none process killed: (\d+) associations ended, (\d+) of the others go on\n(\d+) opened again, over the others: (.+)\n$/.exec(
      stdout,
    );
  assert.ok(match, stdout);
  const [spread, lost, kept, again, after] = match
    .slice(1)
    .map((text) => text.split(' ').map(Number));
  const sum = (counts) => counts.reduce((a, b) => a + b);
  assert.equal(spread.length, 3);
  assert.equal(sum(spread), 60);
  assert.ok(spread.includes(lost[0]));
  assert.equal(lost[0] + kept[0], 60);
  assert.deepEqual(again, lost);
  assert.equal(sum(after), lost[0]);
});
