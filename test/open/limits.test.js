'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const crypto = require('node:crypto');
const path = require('node:path');
const {
  SNDBUF,
  association,
  collector,
  enterOwnNetwork,
  holdBack,
  run,
  sendAll,
  test,
  until,
} = require('../helpers');

enterOwnNetwork(__filename);
run('ip link set lo mtu 1500 up');

const tooLong = (port, recvMaxlen) =>
  `recv EMSGSIZE 127.0.0.1:${port}: the message is longer than recvMaxlen ` +
  `(${recvMaxlen} bytes)`;

test('a message of exactly recvMaxlen bytes arrives', async (t) => {
  const { handle, received, port } = collector(t, { recvMaxlen: 1000 });
  handle.send(Buffer.alloc(1000, 1), '127.0.0.1', port);
  await until(() => received.length);
  assert.deepEqual(received[0][0], Buffer.alloc(1000, 1));
});

test('a message longer than recvMaxlen is one error string', async (t) => {
  const recvMaxlen = 1000;
  const { received, port } = collector(t, { recvMaxlen });
  const sender = t.open();
  sender.send(Buffer.alloc(1001), '127.0.0.1', port);
  sender.send(Buffer.from('next'), '127.0.0.1', port);
  await until(() => received.length === 2);
  assert.equal(received[0], tooLong(sender.address().port, recvMaxlen));
  assert.equal(received[1][0].toString(), 'next');
});

test('recvMaxlen 1 receives one byte and refuses two', async (t) => {
  const { handle, received, port } = collector(t, { recvMaxlen: 1 });
  handle.send(Buffer.from('ab'), '127.0.0.1', port);
  handle.send(Buffer.from('c'), '127.0.0.1', port);
  await until(() => received.length === 2);
  assert.equal(received[0], tooLong(port, 1));
  assert.equal(received[1][0].toString(), 'c');
});

test('a long message that comes in pieces is one error string', async (t) => {
  const recvMaxlen = SNDBUF / 2;
  const { received, port } = collector(t, { recvMaxlen });
  const sender = t.open();
  const link = holdBack(t, sender.address().port);
  const messages = [Buffer.alloc(SNDBUF), Buffer.from('next')];
  const sent = sendAll(sender, messages, '127.0.0.1', port);
  await link.halfArrived(port);
  link.release();
  await sent;
  await until(() => received.length === 2);
  assert.equal(received[0], tooLong(sender.address().port, recvMaxlen));
  assert.equal(received[1][0].toString(), 'next');
});

test('a message that comes in pieces across ticks is whole', async (t) => {
  const { received, port } = collector(t, { recvMaxlen: SNDBUF });
  const sender = t.open();
  const link = holdBack(t, sender.address().port);
  const message = crypto.randomBytes(SNDBUF);
  sender.send(message, '127.0.0.1', port);
  await link.halfArrived(port);
  assert.equal(received.length, 0);
  link.release();
  await until(() => received.length === 1);
  assert.ok(received[0][0].equals(message));
});

test('a sender that dies in the middle of a message leaves no trace of it', async (t) => {
  const { handle, received, port } = collector(t, { recvMaxlen: SNDBUF });
  // Sends a long message, then reads nothing any more: with our message unread
  // in its queue, the kernel aborts the association when it is killed.
  const child = spawn(
    process.execPath,
    [
      '-e',
      `const { open } = require(process.argv[1]);
    const handle = open('127.0.0.1', 0, 65536, () => {});
    const port = Number(process.argv[2]);
    handle.send(Buffer.from('hello'), '127.0.0.1', port);
    process.stdin.once('data', () => {
      handle.send(Buffer.alloc(${SNDBUF}, 1), '127.0.0.1', port);
      process.kill(process.pid, 'SIGSTOP');
    });`,
      path.resolve(__dirname, '../..'),
      String(port),
    ],
    { stdio: ['pipe', 'ignore', 'inherit'] },
  );
  t.after(() => child.kill('SIGKILL'));
  await until(() => received.length === 1);
  const dying = received[0][2];

  const link = holdBack(t, dying);
  child.stdin.write('go');
  await link.halfArrived(port);
  handle.send(Buffer.from('unread'), '127.0.0.1', dying);
  await until(() => association(dying, port).unread > 0);
  assert.equal(received.length, 1);
  child.kill('SIGKILL');
  link.lose(); // also the ABORT; whoever is there now sends another
  await until(() => !association(port, dying));

  const next = t.open(() => {}, { port: dying });
  next.send(Buffer.from('from another'), '127.0.0.1', port);
  await until(() => received.length === 2);
  assert.deepEqual(received[1], [
    Buffer.from('from another'),
    '127.0.0.1',
    dying,
  ]);
});

test("one peer's half-sent message does not hold back another peer", async (t) => {
  const { received, port } = collector(t, { recvMaxlen: SNDBUF });
  const slow = t.open();
  const quick = t.open(() => {}, { host: '127.0.0.2' });
  quick.send(Buffer.from('first'), '127.0.0.1', port);
  await until(() => received.length === 1);

  const link = holdBack(t, slow.address().port);
  slow.send(Buffer.alloc(SNDBUF), '127.0.0.1', port);
  await link.halfArrived(port);

  quick.send(Buffer.from('second'), '127.0.0.1', port);
  await until(() => received.length === 2);
  assert.ok(received[1][0].equals(Buffer.from('second')));
  link.release();
  await until(() => received.length === 3);
  assert.equal(received[2][0].length, SNDBUF);
});
