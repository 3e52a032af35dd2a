'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { pipeline } = require('node:stream/promises');
const { SNDBUF, messages, pair, test, until } = require('../helpers');

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a reader that stops makes write() return false, and memory stays flat on both sides', async (t) => {
  const message = Buffer.alloc(SNDBUF / 80);
  const highWaterMark = 10 * message.length;
  const { client, peer } = await pair(t, { highWaterMark }, { highWaterMark });
  peer.pause();
  let written = 0;
  let moves = true;
  while (moves) {
    while (client.writableLength < highWaterMark) {
      client.write(message);
      written++;
      await turn();
    }
    // Now and then there is a little room yet; when both kernels are full,
    // nothing moves.
    const before = client.writableLength;
    for (let i = 0; i < 50; i++) await turn();
    moves = client.writableLength < before;
  }
  assert.ok(client.writableLength <= highWaterMark + message.length);
  assert.equal(peer.readableLength, highWaterMark / message.length);
  assert.equal(client.writableNeedDrain, true);

  const received = messages(peer, written);
  await once(client, 'drain');
  assert.equal((await received).length, written);
});

test('highWaterMark is in bytes both ways, and the stream machinery counts 16 messages', async (t) => {
  const { client, peer } = await pair(t, { highWaterMark: 100 });
  assert.equal(peer.writableHighWaterMark, 100);
  assert.equal(peer.readableHighWaterMark, 16);
  const { getDefaultHighWaterMark } = require('node:stream');
  assert.equal(client.writableHighWaterMark, getDefaultHighWaterMark(false));
  peer.pause();
  for (let i = 0; i < 10; i++) client.write(Buffer.alloc(30));
  await until(() => peer.readableLength === 4);
  for (let i = 0; i < 10; i++) await turn();
  assert.equal(peer.readableLength, 4); // 90 bytes were too few, 120 are enough
  assert.equal((await messages(peer, 10)).length, 10);
});

test('highWaterMark 0 works, one message at a time', async (t) => {
  const options = { highWaterMark: 0 };
  const { client, peer } = await pair(t, options, options);
  client.write('a');
  client.write('b');
  await until(() => peer.readableLength === 1);
  for (let i = 0; i < 10; i++) await turn();
  assert.equal(peer.readableLength, 1);
  assert.deepEqual((await messages(peer, 2)).map(String), ['a', 'b']);
});

test('a sender that overruns the kernel’s buffer loses nothing', async (t) => {
  const { client, peer } = await pair(t);
  const count = 600; // of half a hundredth of the buffer on average
  let next = 0;
  peer.on('data', (data) => {
    assert.equal(data.readUInt32BE(), next++);
  });
  for (let i = 0; i < count; i++) {
    const data = Buffer.alloc(4 + ((i * 997) % (SNDBUF / 100)));
    data.writeUInt32BE(i);
    client.write(data);
  }
  client.end();
  await once(peer, 'end');
  assert.equal(next, count);
});

test('writes from before the connection are sent in order', async (t) => {
  const server = await t.listen({});
  const client = t.connect({ host: '127.0.0.1', port: server.address().port });
  client.write('one');
  client.cork();
  client.send('two', { sid: 1, ppid: 9 });
  client.write('three');
  client.uncork();
  const [peer] = await once(server, 'connection');
  const received = await messages(peer, 3);
  assert.deepEqual(
    received.map((data) => [String(data), data.sid, data.ppid]),
    [
      ['one', 0, 0],
      ['two', 1, 9],
      ['three', 0, 0],
    ],
  );
});

test('both directions are busy at once and neither starves', async (t) => {
  const { client, peer } = await pair(t);
  const count = 1000;
  const send = async (socket) => {
    for (let i = 0; i < count; i++) {
      if (!socket.write(Buffer.alloc(5000, i))) await once(socket, 'drain');
    }
  };
  const received = Promise.all([
    messages(client, count),
    messages(peer, count),
  ]);
  await Promise.all([send(client), send(peer)]);
  for (const side of await received) {
    for (const [i, data] of side.entries()) assert.equal(data[0], i & 255);
  }
});

test('pipeline() copies into a socket and out of one', async (t) => {
  const { client, peer } = await pair(t);
  let bytes = 0;
  await Promise.all([
    pipeline(async function* () {
      for (let i = 0; i < 500; i++) yield Buffer.alloc(2000, i);
    }, client),
    pipeline(peer, async (source) => {
      for await (const data of source) bytes += data.length;
    }),
  ]);
  assert.equal(bytes, 1_000_000);
});

test('a message with a time to live is dropped when it is not sent in time', async (t) => {
  const long = Buffer.alloc(SNDBUF / 4);
  const { client, peer } = await pair(t, {
    highWaterMark: 1,
    maxMessageSize: long.length,
  });
  peer.pause();
  const undelivered = [];
  client.on('notification', ({ type, parsed }) => {
    if (type === 'SCTP_SEND_FAILED_EVENT') undelivered.push(parsed);
  });
  // Fills the receiver's window, so that what follows stays here.
  for (let i = 0; i < 10; i++) client.write(long);
  await until(() => client.writableLength > 0);
  peer.resume();
  await messages(peer, 10);
  peer.pause();
  for (let i = 0; i < 4; i++) client.write(long);
  client.send(Buffer.from('short-lived'), { sid: 3, ppid: 77, ttl: 1 });
  await until(() => client.writableLength === 0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  client.write('after');
  peer.resume();
  const received = await messages(peer, 5);
  assert.equal(String(received[4]), 'after');
  await until(() => undelivered.length === 1);
  const [failed] = undelivered;
  assert.equal(String(failed.ssfe_data), 'short-lived');
  assert.deepEqual(
    [failed.ssfe_info.snd_sid, failed.ssfe_info.snd_ppid],
    [3, 77],
  );
});
