'use strict';

// Callbacks, events and codes as in node:net.

const assert = require('node:assert/strict');
const events = require('node:events');
const { Readable } = require('node:stream');
const {
  SNDBUF,
  ending,
  messages,
  pair,
  run,
  test,
  until,
} = require('../helpers');

const { once } = events;
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('the callback of end(data) comes with an error after destroy() and after end()', async (t) => {
  const code = (socket, ...args) =>
    new Promise((resolve) => {
      socket.end(...args, (error) => resolve(error?.code));
    });
  const { client, peer } = await pair(t);
  peer.on('error', () => {});
  client.destroy();
  assert.equal(await code(client, 'late'), 'ERR_STREAM_DESTROYED');
  const other = await pair(t);
  other.client.on('error', () => {});
  other.client.end();
  assert.equal(await code(other.client, 'late'), 'ERR_STREAM_WRITE_AFTER_END');
});

test('a rejected connection listener destroys its socket, and the server goes on', async (t) => {
  events.captureRejections = true;
  t.after(() => {
    events.captureRejections = false;
  });
  const errors = [];
  const server = t.server(async (peer) => {
    peer.on('error', ({ message }) => errors.push(message));
    throw new Error(`of connection ${errors.length}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  for (let i = 0; i < 2; i++) {
    const client = t.connect(server.address().port, '127.0.0.1');
    assert.deepEqual(await ending(client.resume()), ['ECONNRESET', 'close']);
  }
  assert.deepEqual(errors, ['of connection 0', 'of connection 1']);
});

test('timeout does not come while what is written makes progress', async (t) => {
  const { client, peer } = await pair(t, {
    highWaterMark: 1,
    maxMessageSize: SNDBUF,
  });
  const message = Buffer.alloc(client.maxSendSize / 4);
  const count = 24; // several times what the buffers hold
  client.on('timeout', () => assert.fail('timed out'));
  let received = 0;
  // A message each 100 ms takes longer than the timeout for all of them.
  peer.on('data', () => {
    received++;
    peer.pause();
    setTimeout(() => peer.resume(), 100);
  });
  client.cork();
  for (let i = 0; i < count; i++) client.write(message);
  process.nextTick(() => client.uncork());
  client.setTimeout(1500);
  await until(() => received === count);
  client.setTimeout(0);
});

test('setEncoding() is seen in readableEncoding', async (t) => {
  const { client } = await pair(t);
  assert.equal(client.readableEncoding, null);
  client.setEncoding('latin1');
  assert.equal(client.readableEncoding, 'latin1');
});

test('resetAndDestroy() while connecting waits for the connection', async (t) => {
  const server = await t.listen({});
  const client = t.connect({ host: '127.0.0.1', port: server.address().port });
  const end = ending(client);
  let connected = false;
  client.on('connect', () => {
    connected = true;
  });
  assert.equal(client.resetAndDestroy(), client);
  const [peer] = await once(server, 'connection');
  assert.deepEqual(await ending(peer.resume()), ['ECONNRESET', 'close']);
  assert.deepEqual(await end, ['close']);
  assert.equal(connected, true);
});

test('setTimeout() of a destroyed socket checks and does nothing', async (t) => {
  const { client } = await pair(t);
  client.destroy();
  assert.equal(client.setTimeout(NaN), client);
  assert.equal(client.timeout, undefined);
});

test('a lookup that finds no address fails with ERR_INVALID_IP_ADDRESS', async (t) => {
  const lookup = (_host, _options, callback) => callback(null, 'nobody', 4);
  const client = t.connect({ host: 'name', port: 9, lookup });
  const [error] = await once(client, 'error');
  assert.equal(error.code, 'ERR_INVALID_IP_ADDRESS');
  assert.match(error.message, /nobody/);
});

for (const host of ['0.0.0.0', '::']) {
  test(`connect() to ${host} reaches this host`, async (t) => {
    const server = await t.listen({ host });
    const client = t.connect({ host, port: server.address().port });
    await once(client, 'connect');
    assert.equal(client.remoteAddress, host === '::' ? '::1' : '127.0.0.1');
  });
}

test('a link-local address of an accepted socket has its zone', async (t) => {
  run('ip link add sctp-link type dummy');
  t.after(() => run('ip link del sctp-link'));
  run('ip link set sctp-link up');
  run('ip addr add fe80::77/64 dev sctp-link nodad');
  const server = await t.listen({ host: '::' });
  const client = t.connect({
    host: 'fe80::77%sctp-link',
    port: server.address().port,
  });
  const [[peer]] = await Promise.all([
    once(server, 'connection'),
    once(client, 'connect'),
  ]);
  for (const socket of [peer, client]) {
    assert.equal(socket.localAddress, 'fe80::77%sctp-link');
    assert.equal(socket.remoteAddress, 'fe80::77%sctp-link');
    const paths = Object.keys(socket.peerInfoByAddress);
    assert.deepEqual(paths.sort(), [...socket.remoteAddresses].sort());
  }
});

test('Readable.toWeb() takes what it is read, not all that arrives', async (t) => {
  const { client, peer } = await pair(t);
  const reader = Readable.toWeb(peer).getReader();
  const message = Buffer.alloc(1000);
  let moves = true;
  while (moves) {
    while (client.writableLength < client.writableHighWaterMark) {
      client.write(message);
      await turn();
    }
    const before = client.writableLength;
    for (let i = 0; i < 50; i++) await turn();
    moves = client.writableLength < before;
  }
  const limit = client.writableHighWaterMark + 100 * message.length;
  assert.ok(peer.bytesRead <= limit, `${peer.bytesRead} bytes were taken`);
  for (let i = 0; i < 200; i++) {
    assert.equal((await reader.read()).value.length, message.length);
  }
  reader.releaseLock();
});

test('the callback of a write after destroy() is that of node:net', async (t) => {
  const { client, peer } = await pair(t);
  const first = messages(peer, 1);
  client.write('one');
  await first;
  client.destroy();
  const code = await new Promise((resolve) =>
    client.write('two', (error) => resolve(error.code)),
  );
  assert.equal(code, 'ERR_STREAM_DESTROYED');
});
