'use strict';

const assert = require('node:assert/strict');
const dns = require('node:dns');
const { once } = require('node:events');
const { connect, createConnection } = require('../..');
const {
  associations,
  ending,
  enterOwnNetwork,
  messages,
  pair,
  run,
  test,
  until,
} = require('../helpers');

enterOwnNetwork(__filename);
run('ip link set lo up');
run('ip link add dummy0 type dummy');
run('ip address add 10.9.0.1/24 dev dummy0');
run('ip address add 10.9.0.2/24 dev dummy0');
run('ip link set dummy0 up');

/** A port that nothing listens on. */
async function freePort(t) {
  const server = await t.listen({});
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const failure = async (socket) => {
  const events = await ending(socket);
  assert.equal(events.at(-1), 'close');
  assert.equal(events.length, 2, String(events));
  const { code, errno, syscall, address, port, message } = events.error;
  return { code, errno, syscall, address, port, message };
};

const quick = {
  rto: { initial: 50, min: 50, max: 100 },
  init: { attempts: 2 },
};

test('a refused connection fails with ECONNREFUSED', async (t) => {
  const port = await freePort(t);
  assert.deepEqual(await failure(t.connect({ host: '127.0.0.1', port })), {
    code: 'ECONNREFUSED',
    errno: -111,
    syscall: 'connect',
    address: '127.0.0.1',
    port,
    message: `connect ECONNREFUSED 127.0.0.1:${port}`,
  });
});

test('a host that does not answer fails with ETIMEDOUT', async (t) => {
  const socket = t.connect({ host: '10.9.0.77', port: 5000, ...quick });
  assert.deepEqual(await failure(socket), {
    code: 'ETIMEDOUT',
    errno: -110,
    syscall: 'connect',
    address: '10.9.0.77',
    port: 5000,
    message: 'connect ETIMEDOUT 10.9.0.77:5000',
  });
});

test('init.maxTimeout bounds the waits of the handshake', async (t) => {
  // Doubling from 100 ms, three attempts take 700 ms, at 100 ms each 300 ms.
  const order = [];
  await Promise.all(
    [60_000, 100].map(async (maxTimeout) => {
      const socket = t.connect({
        host: '10.9.0.77',
        port: 5000,
        init: { attempts: 2, maxTimeout },
        rto: { initial: 100, min: 100, max: 60_000 },
      });
      assert.equal((await failure(socket)).code, 'ETIMEDOUT');
      order.push(maxTimeout);
    }),
  );
  assert.deepEqual(order, [100, 60_000]);
});

test('a host without a route fails', async (t) => {
  const socket = t.connect({ host: '203.0.113.1', port: 5000, ...quick });
  const { code, syscall, address } = await failure(socket);
  assert.match(code, /ENETUNREACH|ETIMEDOUT|EHOSTUNREACH/);
  assert.deepEqual([syscall, address], ['connect', '203.0.113.1']);
});

test('connect(port, host, listener) and createConnection connect', async (t) => {
  const server = await t.listen({ host: '127.0.0.1' });
  const { port } = server.address();
  await new Promise((resolve) => t.connect(port, '127.0.0.1', resolve));
  await new Promise((resolve) => t.connect(String(port), resolve));
  assert.equal(createConnection, connect);
});

test('the states of a socket are those of node:net', async (t) => {
  const server = await t.listen({});
  const { port } = server.address();
  const socket = t.connect({ host: '127.0.0.1', port });
  const state = () => [socket.connecting, socket.pending, socket.readyState];
  assert.deepEqual(state(), [true, true, 'opening']);
  assert.deepEqual(socket.address(), {});
  assert.equal(socket.remoteAddress, undefined);
  const ready = once(socket, 'ready');
  await once(socket, 'connect');
  assert.deepEqual(state(), [false, false, 'open']);
  await ready;
  socket.resume().end();
  assert.deepEqual(state(), [false, false, 'readOnly']);
  await once(socket, 'close');
  assert.deepEqual(state(), [false, true, 'closed']);
});

test('a host name is looked up, and every address is tried in order', async (t) => {
  const server = await t.listen({ host: '10.9.0.2' });
  const { port } = server.address();
  const lookups = [];
  const socket = t.connect({
    host: 'some.name',
    port,
    lookup: (host, options, callback) => {
      assert.deepEqual([host, options.all], ['some.name', true]);
      process.nextTick(callback, null, [
        { address: '10.9.0.1', family: 4 },
        { address: '10.9.0.2', family: 4 },
      ]);
    },
  });
  socket.on('lookup', (...args) => lookups.push(args));
  await once(socket, 'connect');
  assert.equal(socket.remoteAddress, '10.9.0.2');
  assert.deepEqual(lookups, [
    [null, '10.9.0.1', 4, 'some.name'],
    [null, '10.9.0.2', 4, 'some.name'],
  ]);
});

test('when all addresses of a name fail, the last error is reported', async (t) => {
  const port = await freePort(t);
  const socket = t.connect({
    host: 'some.name',
    port,
    lookup: (_host, _options, callback) =>
      callback(null, [
        { address: '10.9.0.1', family: 4 },
        { address: '10.9.0.2', family: 4 },
      ]),
  });
  const { message } = await failure(socket);
  assert.equal(message, `connect ECONNREFUSED 10.9.0.2:${port}`);
});

test('thousands of addresses may fail one after the other', async (t) => {
  const found = Array.from({ length: 5000 }, (_, i) => ({
    address: `2001:db8::${i.toString(16)}`,
    family: 6,
  }));
  const lookup = (_name, _options, callback) => callback(null, found);
  const localAddress = '127.0.0.1'; // of the other family, so each fails at once
  const socket = t.connect({ host: 'name', port: 9, lookup, localAddress });
  assert.equal((await failure(socket)).code, 'EAFNOSUPPORT');
});

test('a lookup function that knows one address only will do', async (t) => {
  const server = await t.listen({});
  const socket = t.connect({
    host: 'some.name',
    port: server.address().port,
    lookup: (_host, _options, callback) => callback(null, '127.0.0.1', 4),
  });
  await once(socket, 'connect');
});

test('without a host it is localhost', async (t) => {
  const server = await t.listen({});
  const socket = t.connect({ port: server.address().port, family: 4 });
  const [, address, , host] = await once(socket, 'lookup');
  assert.deepEqual([address, host], ['127.0.0.1', 'localhost']);
  await once(socket, 'connect');
});

test('a name that cannot be found fails as in node:dns', async (t) => {
  const error = Object.assign(new Error('getaddrinfo ENOTFOUND nowhere'), {
    code: 'ENOTFOUND',
  });
  const socket = t.connect({
    host: 'nowhere',
    port: 5000,
    lookup: (_host, _options, callback) => process.nextTick(callback, error),
  });
  const [[seen], { code }] = await Promise.all([
    once(socket, 'lookup'),
    failure(socket),
  ]);
  assert.equal(seen, error);
  assert.equal(code, 'ENOTFOUND');
  assert.equal(typeof dns.lookup, 'function');
});

test('a local port in use fails with EADDRINUSE', async (t) => {
  const server = await t.listen({});
  const { port } = server.address();
  const socket = t.connect({ host: '127.0.0.1', port, localPort: port });
  const { code, syscall, address, message } = await failure(socket);
  assert.deepEqual(
    [code, syscall, address, message],
    ['EADDRINUSE', 'bind', '0.0.0.0', `bind EADDRINUSE 0.0.0.0:${port}`],
  );
});

test('a local address of another host fails with EADDRNOTAVAIL', async (t) => {
  const socket = t.connect({
    host: '127.0.0.1',
    port: 5000,
    localAddress: '192.0.2.1',
  });
  const { code, syscall, address } = await failure(socket);
  assert.deepEqual(
    [code, syscall, address],
    ['EADDRNOTAVAIL', 'bind', '192.0.2.1'],
  );
});

test('a local address of the other family fails with EAFNOSUPPORT', async (t) => {
  const socket = t.connect({
    host: '10.9.0.1',
    port: 5000,
    localAddress: '::1',
  });
  assert.equal((await failure(socket)).code, 'EAFNOSUPPORT');
});

test('localAddress and localPort are what the peer sees', async (t) => {
  const server = await t.listen({ host: '0.0.0.0' });
  const localPort = await freePort(t);
  const socket = t.connect({
    host: '10.9.0.1',
    port: server.address().port,
    localAddress: '10.9.0.2',
    localPort,
  });
  const [peer] = await once(server, 'connection');
  assert.deepEqual(
    [peer.remoteAddress, peer.remotePort, peer.remoteFamily],
    ['10.9.0.2', localPort, 'IPv4'],
  );
  assert.equal(peer.localAddress, '10.9.0.1');
  await once(socket, 'connect');
  assert.deepEqual(
    [socket.localAddress, socket.localPort, socket.localFamily],
    ['10.9.0.2', localPort, 'IPv4'],
  );
});

test('a client can connect again at once from a fixed local port', async (t) => {
  run('tc qdisc add dev lo root netem delay 10ms');
  t.after(() => run('tc qdisc del dev lo root'));
  const server = await t.listen({}, (peer) => peer.resume());
  const { port } = server.address();
  const localPort = await freePort(t);
  for (let i = 0; i < 4; i++) {
    const socket = t.connect({ host: '127.0.0.1', port, localPort });
    await once(socket, 'connect');
    // Leaves before the shutdown is over.
    socket.end(() => socket.destroy());
    await once(socket, 'close');
  }
});

test('the retry for a fixed local port gives up after a second', async (t) => {
  const server = await t.listen({});
  const { port } = server.address();
  const localPort = await freePort(t);
  const options = { host: '127.0.0.1', port, localPort };
  await once(t.connect(options), 'connect');
  const second = t.connect(options);
  const { code, syscall, message } = await failure(second);
  assert.deepEqual(
    [code, syscall, message],
    ['EADDRNOTAVAIL', 'connect', `connect EADDRNOTAVAIL 127.0.0.1:${port}`],
  );
});

test('destroy() while connecting is silent', async (t) => {
  const socket = t.connect({ host: '10.9.0.77', port: 5000 });
  socket.on('connect', assert.fail);
  const end = ending(socket);
  await until(() => associations().length > 0);
  const written = new Promise((resolve) => socket.write('x', resolve));
  socket.destroy();
  assert.deepEqual(await end, ['close']);
  assert.equal((await written).code, 'ERR_SOCKET_CLOSED_BEFORE_CONNECTION');
  await until(() => associations().length === 0);
});

test('destroy() before anything was tried is silent', async (t) => {
  const socket = t.connect({ host: '127.0.0.1', port: 5000 }).destroy();
  assert.deepEqual(await ending(socket), ['close']);
});

test('end() while connecting ends after the connection', async (t) => {
  const server = await t.listen({});
  const socket = t.connect({ host: '127.0.0.1', port: server.address().port });
  const end = ending(socket.resume());
  socket.end('all');
  const [peer] = await once(server, 'connection');
  assert.equal(String((await messages(peer, 1))[0]), 'all');
  assert.deepEqual(await end, ['end', 'close']);
});

test('signal aborts while connecting and later', async (t) => {
  for (const late of [false, true]) {
    const server = await t.listen({}, (peer) => peer.on('error', () => {}));
    const controller = new AbortController();
    const socket = t.connect({
      host: late ? '127.0.0.1' : '10.9.0.77',
      port: server.address().port,
      signal: controller.signal,
    });
    const end = ending(socket);
    if (late) await once(socket, 'connect');
    else await until(() => associations().length > 0);
    controller.abort();
    assert.deepEqual(await end, ['ABORT_ERR', 'close']);
  }
});

test('a signal that is aborted already destroys at once', async (t) => {
  const socket = t.connect({
    host: '127.0.0.1',
    port: 5000,
    signal: AbortSignal.abort(),
  });
  assert.deepEqual(await ending(socket), ['ABORT_ERR', 'close']);
});

test('ENETUNREACH and others keep the process alive no longer than needed', async (t) => {
  const { client, peer } = await pair(t);
  peer.on('error', () => {});
  client.unref().ref();
  client.destroy();
  await once(client, 'close');
});

for (const [name, options, code] of [
  ['no port', {}, 'ERR_MISSING_ARGS'],
  ['port 65536', { port: 65536 }, 'ERR_SOCKET_BAD_PORT'],
  ['port -1', { port: -1 }, 'ERR_SOCKET_BAD_PORT'],
  ['a text as port', { port: 'http' }, 'ERR_SOCKET_BAD_PORT'],
  ['a number as host', { port: 1, host: 5 }, 'ERR_INVALID_ARG_TYPE'],
  [
    'a name as localAddress',
    { port: 1, localAddress: 'x' },
    'ERR_INVALID_ARG_VALUE',
  ],
  [
    'a name among remoteAddresses',
    { port: 1, remoteAddresses: ['x'] },
    'ERR_INVALID_ARG_VALUE',
  ],
  [
    'no remoteAddresses',
    { port: 1, remoteAddresses: [] },
    'ERR_INVALID_ARG_VALUE',
  ],
  [
    'endless remoteAddresses',
    { port: 1, remoteAddresses: new Array(2 ** 32 - 1) },
    'ERR_INVALID_ARG_TYPE',
  ],
  [
    'a text as remoteAddresses',
    { port: 1, remoteAddresses: '::1' },
    'ERR_INVALID_ARG_TYPE',
  ],
  [
    'host and remoteAddresses',
    { port: 1, host: '::1', remoteAddresses: ['::1'] },
    'ERR_INVALID_ARG_VALUE',
  ],
  [
    'a name and remoteAddresses',
    { port: 1, host: 'localhost', remoteAddresses: ['::1'] },
    'ERR_INVALID_ARG_VALUE',
  ],
  [
    'localAddress and localAddresses',
    { port: 1, localAddress: '::1', localAddresses: ['::1'] },
    'ERR_INVALID_ARG_VALUE',
  ],
  ['allowHalfOpen', { port: 1, allowHalfOpen: true }, 'ERR_INVALID_ARG_VALUE'],
  ['MIS 0', { port: 1, MIS: 0 }, 'ERR_OUT_OF_RANGE'],
  ['OS 65536', { port: 1, OS: 65536 }, 'ERR_OUT_OF_RANGE'],
  ['OS as text', { port: 1, OS: '5' }, 'ERR_INVALID_ARG_TYPE'],
  ['sack.delay 501', { port: 1, sack: { delay: 501 } }, 'ERR_OUT_OF_RANGE'],
  [
    'sctp.sack.freq -1',
    { port: 1, sctp: { sack: { freq: -1 } } },
    'ERR_OUT_OF_RANGE',
  ],
  ['maxMessageSize 0', { port: 1, maxMessageSize: 0 }, 'ERR_OUT_OF_RANGE'],
  ['rto.min 0', { port: 1, rto: { min: 0 } }, 'ERR_OUT_OF_RANGE'],
  ['highWaterMark -1', { port: 1, highWaterMark: -1 }, 'ERR_OUT_OF_RANGE'],
  [
    'heartbeat.interval 1.5',
    { port: 1, heartbeat: { interval: 1.5 } },
    'ERR_OUT_OF_RANGE',
  ],
  ['a signal that is none', { port: 1, signal: {} }, 'ERR_INVALID_ARG_TYPE'],
  [
    'a timeout that is none',
    { port: 1, timeout: 'soon' },
    'ERR_INVALID_ARG_TYPE',
  ],
  [
    'a lookup that is no function',
    { port: 1, lookup: 5 },
    'ERR_INVALID_ARG_TYPE',
  ],
]) {
  test(`connect() with ${name} throws ${code}`, () => {
    assert.throws(() => connect(options), { code });
  });
}

test('connect() without arguments, or with a wrong one, throws', () => {
  assert.throws(() => connect(), { code: 'ERR_MISSING_ARGS' });
  assert.throws(() => connect(true), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('unknown options are ignored, as in node:net', async (t) => {
  const { client } = await pair(t, { foo: 1 }, { bar: 2, keepAlive: true });
  assert.equal(client.readyState, 'open');
});

test('a lookup that finds nothing fails with ENOTFOUND', async (t) => {
  const socket = t.connect({
    host: 'some.name',
    port: 5000,
    lookup: (_host, _options, callback) => callback(null, []),
  });
  const { code, message } = await failure(socket);
  assert.deepEqual(
    [code, message],
    ['ENOTFOUND', 'getaddrinfo ENOTFOUND some.name'],
  );
});

test('a lookup function that calls back twice makes one connection', async (t) => {
  let connections = 0;
  const server = await t.listen({}, () => connections++);
  const socket = t.connect({
    host: 'some.name',
    port: server.address().port,
    lookup: (_host, _options, callback) => {
      callback(null, '127.0.0.1', 4);
      callback(null, '127.0.0.1', 4);
    },
  });
  await once(socket, 'connect');
  socket.resume().end();
  await once(socket, 'close');
  assert.equal(connections, 1);
});
