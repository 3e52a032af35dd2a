'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { once } = require('node:events');
const { test, collector, sendAll, until, SNDBUF } = require('../helpers');

for (const [name, size] of [
  ['1 byte', 1],
  ['1 KiB', 1024],
  ['64 KiB', 65536],
  ['a message as long as SO_SNDBUF', SNDBUF],
]) {
  test(`${name} is echoed unchanged`, async (t) => {
    const sent = crypto.randomBytes(size);
    const recvMaxlen = size;
    const server = t.open(
      ([data, host, port]) => assert.equal(server.send(data, host, port), size),
      { recvMaxlen },
    );
    const client = collector(t, { recvMaxlen });
    const { address, port } = server.address();
    assert.equal(client.handle.send(sent, address, port), size);
    await until(() => client.received.length);
    const [data, host, from] = client.received[0];
    assert.ok(data.equals(sent));
    assert.deepEqual([host, from], [address, port]);
  });
}

test('a message longer than SO_SNDBUF fails with EMSGSIZE', (t) => {
  const handle = t.open();
  const { address, port } = handle.address();
  assert.throws(() => handle.send(Buffer.alloc(SNDBUF + 1), address, port), {
    name: 'Error',
    message: `send EMSGSIZE ${address}:${port}`,
    code: 'EMSGSIZE',
    errno: -90,
    syscall: 'send',
    address,
    port,
  });
});

test('boundaries are kept in a burst of 10,000 messages', async (t) => {
  const count = 10_000;
  const messages = Array.from({ length: count }, (_, i) => {
    const message = Buffer.alloc(4 + (i % 300), i);
    message.writeUInt32BE(i);
    return message;
  });
  const { received, port } = collector(t);
  const sender = t.open();
  await sendAll(sender, messages, '127.0.0.1', port);
  await until(() => received.length === count);
  const bySequence = received.map(([data]) => data);
  bySequence.sort((a, b) => a.readUInt32BE() - b.readUInt32BE());
  for (const [i, message] of messages.entries()) {
    assert.ok(bySequence[i].equals(message), `message ${i}`);
  }
});

test('an endpoint can send to itself', async (t) => {
  const { handle, received, port } = collector(t);
  handle.send(Buffer.from('me'), '127.0.0.1', port);
  await until(() => received.length);
  assert.deepEqual(received, [[Buffer.from('me'), '127.0.0.1', port]]);
});

test('a message is a Buffer of its own memory', async (t) => {
  const { handle, received, port } = collector(t);
  handle.send(Buffer.from('first'), '127.0.0.1', port);
  handle.send(Buffer.from('other'), '127.0.0.1', port);
  await until(() => received.length === 2);
  const texts = received.map(([data]) => data.toString()).sort();
  received[0][0].fill(0);
  assert.ok(texts.includes(received[1][0].toString()));
  assert.ok(Buffer.isBuffer(received[0][0]));
  assert.deepEqual(texts, ['first', 'other']);
});

for (const [name, view] of [
  ['a Buffer that is a part of another', Buffer.from('xxabcxx').subarray(2, 5)],
  ['a Uint8Array', new Uint8Array([97, 98, 99])],
  ['a DataView', new DataView(Uint8Array.from([0, 97, 98, 99]).buffer, 1)],
  ['a Uint16Array', new Uint16Array(Uint8Array.from([97, 98]).buffer)],
]) {
  test(`send takes ${name}`, async (t) => {
    const { handle, received, port } = collector(t);
    handle.send(view, '127.0.0.1', port);
    await until(() => received.length);
    const bytes = Buffer.from(view.buffer, view.byteOffset, view.byteLength);
    assert.deepEqual(received[0][0], bytes);
  });
}

test('a Buffer may be changed as soon as send has returned', async (t) => {
  const { handle, received, port } = collector(t);
  const message = Buffer.from('before');
  handle.send(message, '127.0.0.1', port);
  message.write('after!');
  await until(() => received.length);
  assert.equal(received[0][0].toString(), 'before');
});

test('a message of 4 KiB and more shares its memory with no other association', async (t) => {
  const received = [];
  const keep = (data) => received.push(data);
  const endpoint = t.open(([data]) => keep(data));
  const server = await t.listen({}, (peer) => peer.on('data', keep));
  const clients = [1, 2, 3].map(() => t.open());
  const sockets = [1, 2, 3].map(() =>
    t.connect(server.address().port, '127.0.0.1'),
  );
  const sizes = [4096, 5000, 4096, 20_000, 6000, 4096];
  for (const [i, size] of sizes.entries()) {
    for (const [who, client] of clients.entries()) {
      const data = Buffer.alloc(size, 10 + who);
      client.send(data, '127.0.0.1', endpoint.address().port);
      sockets[who].write(Buffer.alloc(size, 20 + who));
    }
    await until(() => received.length === 6 * (i + 1));
  }
  const owners = new Map();
  for (const data of received) {
    const owner = owners.get(data.buffer) ?? data[0];
    owners.set(data.buffer, owner);
    assert.equal(owner, data[0]);
  }
});

test('an endpoint accepts 64 incoming streams, and a server 1024', async (t) => {
  const endpoint = t.open();
  const server = await t.listen({});
  for (const [port, streams] of [
    [endpoint.address().port, 64],
    [server.address().port, 1024],
  ]) {
    const client = t.connect({ port, host: '127.0.0.1', OS: 65535 });
    await once(client, 'connect');
    assert.equal(client.status().numberOfOutgoingStreams, streams);
  }
});
