'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { once } = require('node:events');
const { Writable } = require('node:stream');
const {
  ending,
  messages,
  open,
  pair,
  runPython,
  SNDBUF,
  test,
  until,
} = require('../helpers');

const MAX = { maxMessageSize: 16 * 1024 * 1024 };

for (const [name, size] of [
  ['1 byte', 1],
  ['1 KiB', 1024],
  ['64 KiB', 65536],
  ['a message as long as SO_SNDBUF', SNDBUF],
]) {
  test(`${name} is echoed unchanged`, async (t) => {
    const { client, peer } = await pair(t, MAX, MAX);
    const sent = crypto.randomBytes(size);
    peer.on('data', (data) => peer.write(data));
    client.write(sent);
    const [data] = await messages(client, 1);
    assert.ok(data.equals(sent));
    assert.deepEqual([client.bytesWritten, client.bytesRead], [size, size]);
    assert.deepEqual([peer.bytesWritten, peer.bytesRead], [size, size]);
  });
}

test("write() takes the encoding 'buffer', which Writable hands on", async (t) => {
  const { client, peer } = await pair(t);
  const wrapper = new Writable({
    write: (chunk, encoding, callback) =>
      client.write(chunk, encoding, callback),
  });
  wrapper.write('through a Writable');
  const [data] = await messages(peer, 1);
  assert.equal(String(data), 'through a Writable');
  assert.throws(() => client.write('text', 'buffer'), {
    code: 'ERR_UNKNOWN_ENCODING',
  });
});

/** Short and long ones, since C treats them differently. */
const lengths = Array.from(
  { length: 2000 },
  (_, i) => 1 + ((i * 7919) % (i % 20 ? 3000 : 40000)),
);

function writeAll(socket) {
  for (const [i, length] of lengths.entries()) {
    socket.write(Buffer.alloc(length, i));
  }
  socket.end();
}

function check(received) {
  assert.deepEqual(
    received.map((data) => data.length),
    lengths,
  );
  for (const [i, data] of received.entries()) {
    assert.ok(data.equals(Buffer.alloc(lengths[i], i)), `message ${i}`);
  }
}

test('boundaries and order are kept in flowing mode', async (t) => {
  const { client, peer } = await pair(t);
  const received = [];
  peer.on('data', (data) => received.push(data));
  writeAll(client);
  await once(peer, 'end');
  check(received);
});

test('boundaries and order are kept with read()', async (t) => {
  const { client, peer } = await pair(t);
  const received = [];
  peer.on('readable', () => {
    for (let data = peer.read(); data !== null; data = peer.read()) {
      received.push(data);
    }
  });
  writeAll(client);
  await once(peer, 'end');
  check(received);
});

test('boundaries and order are kept under for await', async (t) => {
  const { client, peer } = await pair(t);
  writeAll(client);
  const received = [];
  for await (const data of peer) {
    received.push(data);
    if (received.length % 100 === 0) await new Promise(setImmediate);
  }
  check(received);
});

test('boundaries and order are kept when the reader pauses at every message', async (t) => {
  const { client, peer } = await pair(t);
  const received = [];
  peer.on('data', (data) => {
    received.push(data);
    peer.pause();
    setImmediate(() => peer.resume());
  });
  writeAll(client);
  await once(peer, 'end');
  check(received);
});

test('boundaries and order are kept by cork, also past the kernel’s buffer', async (t) => {
  const { client, peer } = await pair(t);
  const received = [];
  peer.on('data', (data) => received.push(data));
  client.cork();
  writeAll(client);
  client.uncork();
  await once(peer, 'end');
  check(received);
});

test('stream id, PPID and order travel with the message', async (t) => {
  const { client, peer } = await pair(t);
  const data = Buffer.from('with attributes');
  Object.assign(data, { sid: 9, ppid: 0xfffffffe, unordered: true, ttl: 5000 });
  client.write(data);
  const [received] = await messages(peer, 1);
  assert.equal(String(received), 'with attributes');
  assert.deepEqual(
    [received.sid, received.ppid, received.unordered],
    [9, 0xfffffffe, true],
  );
});

test('without attributes a message is ordered, on stream 0, with PPID 0', async (t) => {
  const { client, peer } = await pair(t);
  client.write('plain');
  const [received] = await messages(peer, 1);
  assert.deepEqual(
    [received.sid, received.ppid, received.unordered],
    [0, 0, false],
  );
});

test('send() gives attributes without touching the Buffer', async (t) => {
  const { client, peer } = await pair(t);
  const data = Buffer.from('one');
  client.send(data, { sid: 2, ppid: 46 });
  client.send('two', { unordered: true });
  client.send(new Uint8Array([0x33]));
  const received = await messages(peer, 3);
  received.sort((a, b) => b.length - a.length);
  assert.deepEqual(Object.keys(data), Object.keys(Buffer.from('one')));
  assert.deepEqual(
    received.map((d) => [String(d), d.sid, d.ppid, d.unordered]).sort(),
    [
      ['3', 0, 0, false],
      ['one', 2, 46, false],
      ['two', 0, 0, true],
    ],
  );
});

test('attributes that are null are not given', async (t) => {
  const { client, peer } = await pair(t);
  const attributes = { sid: null, ppid: 46, unordered: null, ttl: null };
  client.send('x', attributes);
  client.send('y', { ...attributes, sid: 3, ppid: null });
  const received = await messages(peer, 2);
  assert.deepEqual(
    received.map(({ sid, ppid, unordered }) => [sid, ppid, unordered]),
    [
      [0, 46, false],
      [3, 0, false],
    ],
  );
});

test('a callback that is no function is ignored, as in node:net', async (t) => {
  const { client, peer } = await pair(t);
  const arrived = messages(peer, 3);
  client.write('a', 'utf8', {});
  client.cork();
  client.write('b', 'utf8', 1);
  client.send('c', {}, 'x');
  client.uncork();
  assert.deepEqual((await arrived).map(String), ['a', 'b', 'c']);
});

test('the callbacks of write and send are called when the kernel has the message', async (t) => {
  const { client } = await pair(t);
  const called = [];
  client.write('a', () => called.push('write'));
  client.write('b', 'latin1', () => called.push('encoding'));
  client.send('c', { sid: 1 }, () => called.push('send'));
  await new Promise((resolve) => client.send('d', resolve));
  assert.deepEqual(called, ['write', 'encoding', 'send']);
});

test('text is written in its encoding', async (t) => {
  const { client, peer } = await pair(t);
  client.write('00ff', 'hex');
  client.write('ü', 'latin1');
  const received = await messages(peer, 2);
  assert.deepEqual(
    received.map((d) => d.toString('hex')),
    ['00ff', 'fc'],
  );
});

test('a Uint8Array keeps its attributes', async (t) => {
  const { client, peer } = await pair(t);
  client.write(Object.assign(new Uint8Array([1, 2]), { sid: 4, ppid: 5 }));
  const [received] = await messages(peer, 1);
  assert.deepEqual([...received, received.sid, received.ppid], [1, 2, 4, 5]);
});

test('an empty write is a no-op', async (t) => {
  const { client, peer } = await pair(t);
  await new Promise((resolve) => client.write('', resolve));
  client.cork();
  client.write(Buffer.alloc(0));
  client.write('x');
  client.uncork();
  const [received] = await messages(peer, 1);
  assert.equal(String(received), 'x');
});

test('what cannot be sent throws at once and destroys nothing', async (t) => {
  const { client, peer } = await pair(t);
  const withSid = (sid) => Object.assign(Buffer.from('x'), { sid });
  const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
  const type = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
  assert.equal(client.maxSendSize, SNDBUF);
  assert.throws(() => client.write(Buffer.alloc(SNDBUF + 1)), range);
  assert.throws(() => client.write(withSid(10)), range);
  assert.throws(() => client.write(withSid(-1)), range);
  assert.throws(() => client.write(withSid(0.5)), range);
  assert.throws(() => client.write(withSid('1')), type);
  assert.throws(() => client.send('x', { ppid: 2 ** 32 }), range);
  assert.throws(() => client.send('x', { ppid: 1n }), type);
  assert.throws(() => client.send('x', { ttl: -1 }), range);
  assert.throws(() => client.send('x', { unordered: 1 }), type);
  assert.throws(() => client.send('x', 'attributes'), type);
  assert.throws(() => client.write(5), type);
  assert.throws(() => client.write({}), type);
  assert.throws(() => client.send({}), type);
  assert.throws(() => client.write(null), { code: 'ERR_STREAM_NULL_VALUES' });
  client.write('good');
  assert.equal(String((await messages(peer, 1))[0]), 'good');
  assert.equal(client.bytesWritten, 4);
});

test('the highest stream id is what both sides agreed on', async (t) => {
  const { client, peer } = await pair(t, { MIS: 5, OS: 3 }, { MIS: 9, OS: 20 });
  assert.equal(client.status().numberOfOutgoingStreams, 5);
  assert.equal(client.status().numberOfIncomingStreams, 3);
  assert.equal(peer.status().numberOfOutgoingStreams, 3);
  client.send('x', { sid: 4 });
  assert.throws(() => client.send('x', { sid: 5 }), {
    code: 'ERR_OUT_OF_RANGE',
  });
  peer.send('y', { sid: 2 });
  assert.throws(() => peer.send('y', { sid: 3 }), { code: 'ERR_OUT_OF_RANGE' });
  assert.equal((await messages(peer, 1))[0].sid, 4);
  assert.equal((await messages(client, 1))[0].sid, 2);
});

test('a message in pieces is whole, up to maxMessageSize', async (t) => {
  const maxMessageSize = SNDBUF;
  const { client, peer } = await pair(t, { maxMessageSize });
  const sent = crypto.randomBytes(maxMessageSize);
  client.write(sent);
  client.write('next');
  const [data, next] = await messages(peer, 2);
  assert.ok(data.equals(sent));
  assert.equal(String(next), 'next');
});

test('a message from a sender with a larger buffer is whole', async (t) => {
  const server = await t.listen({ maxMessageSize: 3_000_000 });
  const connection = once(server, 'connection');
  const sent = runPython(
    `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)
SO_SNDBUFFORCE = 32
s.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 4000000)
s.connect(('127.0.0.1', int(sys.argv[1])))
s.send(bytes(i % 251 for i in range(3000000)))
s.send(b'next')
s.recv(1)
`,
    server.address().port,
  );
  const [peer] = await connection;
  const [data, next] = await messages(peer, 2);
  assert.equal(data.length, 3_000_000);
  assert.ok(data.every((byte, i) => byte === i % 251));
  assert.equal(String(next), 'next');
  peer.end();
  await sent;
});

test('messages wait in the kernel while the reader is paused, and stay whole', async (t) => {
  const { client, peer } = await pair(t, MAX, MAX);
  peer.pause();
  const sent = Array.from({ length: 4 }, () => crypto.randomBytes(SNDBUF));
  for (const message of sent) client.write(message);
  await until(() => client.writableLength > 0 && peer.readableLength > 0);
  const received = await messages(peer, 4);
  for (const [i, data] of received.entries()) assert.ok(data.equals(sent[i]));
});

test('a message longer than maxMessageSize aborts the association with EMSGSIZE', async (t) => {
  const { client, peer } = await pair(t, { maxMessageSize: 1000 });
  const received = [];
  peer.on('data', (data) => received.push(data.length));
  client.on('error', () => {});
  client.write(Buffer.alloc(1000));
  client.write(Buffer.alloc(1001));
  client.write(Buffer.alloc(1000));
  const [[error], [reset]] = await Promise.all([
    once(peer, 'error'),
    once(client, 'error'),
  ]);
  assert.equal(
    error.message,
    'read EMSGSIZE: a message is longer than maxMessageSize (1000 bytes)',
  );
  assert.deepEqual(
    [error.code, error.errno, error.syscall],
    ['EMSGSIZE', -90, 'read'],
  );
  assert.equal(reset.code, 'ECONNRESET');
  assert.deepEqual(received, [1000]);
});

test('a message longer than maxMessageSize that comes in pieces does so, too', async (t) => {
  const { client, peer } = await pair(t, { maxMessageSize: SNDBUF - 1 });
  client.on('error', () => {});
  client.write(Buffer.alloc(SNDBUF));
  const [error] = await once(peer.resume(), 'error');
  assert.equal(error.code, 'EMSGSIZE');
});

test('an endpoint of open() and a server understand each other', async (t) => {
  const server = await t.listen({});
  const { address, port } = server.address();
  const answered = new Promise((resolve) => {
    const endpoint = open('127.0.0.1', 0, 1000, (result) => {
      endpoint.close();
      resolve(result);
    });
    endpoint.send(Buffer.from('to the server'), address, port);
  });
  const [peer] = await once(server, 'connection');
  const [data] = await messages(peer, 1);
  assert.deepEqual([String(data), data.unordered], ['to the server', true]);
  peer.write('to the endpoint');
  assert.deepEqual(await answered, [
    Buffer.from('to the endpoint'),
    address,
    port,
  ]);
});

test('AsyncLocalStorage keeps the context of connect()', async (t) => {
  const { AsyncLocalStorage } = require('node:async_hooks');
  const storage = new AsyncLocalStorage();
  const server = await t.listen({}, (peer) => peer.pipe(peer));
  const { port } = server.address();
  const seen = await storage.run('mine', () => {
    const client = t.connect(port, '127.0.0.1', () => client.write('x'));
    return new Promise((resolve) => {
      client.on('data', () => resolve(storage.getStore()));
    });
  });
  assert.equal(seen, 'mine');
});

test('any view is sent with all of its bytes and no others', async (t) => {
  const { client, peer } = await pair(t);
  client.send(new Uint16Array([0x4141, 0x4242]));
  const bytes = new Uint8Array(Buffer.from('----data----')).buffer;
  client.send(new DataView(bytes, 4, 4));
  client.write(new DataView(bytes, 4, 4));
  client.write(new Float64Array(2));
  const received = await messages(peer, 4);
  assert.deepEqual(received.map(String), [
    'AABB',
    'data',
    'data',
    '\0'.repeat(16),
  ]);
});

test('setEncoding makes a text of each message', async (t) => {
  const { client, peer } = await pair(t);
  assert.equal(peer.setEncoding('utf8'), peer);
  assert.throws(() => peer.setEncoding('no'), { code: 'ERR_UNKNOWN_ENCODING' });
  for (const text of ['one', 'twö', 'three']) client.write(text);
  await until(() => peer.readableLength === 3);
  assert.deepEqual(await messages(peer, 3), ['one', 'twö', 'three']);
});

test('setDefaultEncoding is that of write()', async (t) => {
  const { client, peer } = await pair(t);
  client.setDefaultEncoding('hex');
  client.write('4142');
  assert.equal(String((await messages(peer, 1))[0]), 'AB');
});

for (const [name, serverOptions, clientOptions, send] of [
  [
    'a stream id that there is not here',
    { OS: 5 },
    { OS: 20 },
    (client) => client.send('x', { sid: 15 }),
  ],
  [
    'another error',
    {},
    {},
    (client, peer) => {
      peer.emit('data', Object.assign(Buffer.from('x'), { sid: 'wrong' }));
      client.write('x');
    },
  ],
]) {
  test(`a pipe back is destroyed by ${name}, not the process`, async (t) => {
    const { client, peer } = await pair(t, serverOptions, clientOptions);
    peer.pipe(peer);
    const end = ending(peer);
    client.on('error', () => {});
    send(client, peer);
    const [code] = await end;
    assert.match(code, /^ERR_/);
  });
}
