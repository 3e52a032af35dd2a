'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const path = require('node:path');
const { constants } = require('../..');
const {
  SNDBUF,
  association,
  associations,
  collector,
  enterOwnNetwork,
  holdBack,
  isFull,
  run,
  runScript,
  sendAll,
  test,
  until,
} = require('../helpers');

enterOwnNetwork(__filename);
run('ip link set lo mtu 1500 up');

const HOST = '127.0.0.1';

/** Two endpoints, the first with an association to the second. */
async function pair(t, { from = {}, to = {} } = {}) {
  const near = collector(t, from);
  const far = collector(t, to);
  const events = [];
  near.handle.onPeer = (state, _host, _port, error) =>
    events.push(error ? `${state} ${error.code}` : state);
  near.handle.send(Buffer.from('first'), HOST, far.port);
  await until(() => far.received.length === 1 && events.length === 1);
  assert.deepEqual(events.splice(0), ['up']);
  return { near, far, events };
}

const texts = (received) => received.map(([data]) => String(data));

const numbered = (count) =>
  Array.from({ length: count }, (_, i) => Buffer.from(`message ${i}`));

/** Drops what is sent on lo with this source or destination, until heal(). */
function cut(host) {
  run('tc qdisc add dev lo root handle 1: prio');
  run('tc qdisc add dev lo parent 1:3 handle 30: netem loss 100%');
  for (const side of ['src', 'dst']) {
    run(
      'tc filter add dev lo parent 1: protocol ip prio 1 u32 ' +
        `match ip ${side} ${host} flowid 1:3`,
    );
  }
  return () => run('tc qdisc del dev lo root');
}

// ------------------------------------------------------------ several addresses

test('an endpoint is bound to each address of an array, and address() is the first', async (t) => {
  const { near, far } = await pair(t, {
    to: { host: [HOST, '127.0.0.2', '::1'] },
  });
  assert.deepEqual(far.handle.address(), {
    address: HOST,
    family: 'IPv4',
    port: far.port,
  });
  const [peer] = near.handle.peers();
  // An IPv4 socket has told that it has no IPv6.
  assert.deepEqual(peer.addresses.sort(), [HOST, '127.0.0.2']);
  near.handle.send(Buffer.from('second'), '127.0.0.2', far.port);
  await until(() => far.received.length === 2);
  assert.equal(far.received[0][1], far.received[1][1]); // one peer, one name
  const six = collector(t, { host: '::1' });
  six.handle.send(Buffer.from('over IPv6'), '::1', far.port);
  await until(() => far.received.length === 3);
});

test('a message reaches a multihomed endpoint although its first address is cut off', async (t) => {
  const { near, far } = await pair(t, {
    from: { host: '127.0.0.3' },
    to: { host: [HOST, '127.0.0.2'] },
  });
  const second = { spinfo_address: { address: '127.0.0.2' } };
  const isActive = () =>
    near.handle.getOption('SCTP_GET_PEER_ADDR_INFO', second, HOST, far.port)
      .spinfo_state === constants.SCTP_ACTIVE;
  await until(isActive); // only such a path is used for messages
  t.after(cut(HOST));
  near.handle.send(Buffer.from('detour'), HOST, far.port);
  await until(() => far.received.length === 2);
  assert.deepEqual(texts(far.received), ['first', 'detour']);
});

for (const [hosts, code, message] of [
  [[], 'ERR_OUT_OF_RANGE', /"bindHost.length" is out of range.*>= 1/],
  [[HOST, 1], 'ERR_INVALID_ARG_TYPE', /"bindHost" argument must be of type/],
  [['localhost'], 'ERR_INVALID_ARG_TYPE', /must be an IP address/],
  [Array(65).fill(HOST), 'E2BIG', /bind E2BIG/],
  [[HOST, '192.0.2.1'], 'EADDRNOTAVAIL', /bind EADDRNOTAVAIL/],
]) {
  test(`open() refuses ${hosts.length} addresses with ${code}`, (t) => {
    assert.throws(() => t.open(() => {}, { host: hosts }), { code, message });
  });
}

// -------------------------------------------------------------- pause and resume

test('pause() in onRecv holds back what was received with the message', async (t) => {
  const far = t.open((item) => {
    received.push(item);
    if (received.length === 3) far.pause();
  });
  const received = [];
  const near = t.open();
  near.send(Buffer.from('first'), HOST, far.address().port);
  await until(() => received.length === 1);
  near.sendBatch(numbered(10), HOST, far.address().port);
  await until(() => received.length === 3);
  const more = t.open();
  more.send(Buffer.from('of another peer'), HOST, far.address().port);
  await until(() => more.peers()[0]?.outstanding === 0);
  assert.equal(received.length, 3);
  far.resume();
  await until(() => received.length === 12);
  assert.deepEqual(texts(received).slice(1, 11), numbered(10).map(String));
  assert.equal(String(received[11][0]), 'of another peer');
});

test('a paused endpoint closes the window of its peers and loses nothing', async (t) => {
  const { near, far } = await pair(t);
  far.handle.pause();
  const message = Buffer.alloc(1000);
  let sent = 1;
  near.handle.onDrain = () => {
    try {
      for (;;) {
        near.handle.send(message, HOST, far.port);
        sent++;
      }
    } catch (error) {
      if (!isFull(error)) throw error;
    }
  };
  near.handle.onDrain();
  await until(() => near.handle.peers()[0].rwnd < 1000);
  near.handle.onDrain = null;
  assert.equal(far.received.length, 1);
  far.handle.resume();
  await until(() => far.received.length === sent);
  await until(() => near.handle.peers()[0].outstanding === 0);
  assert.equal(far.received.length, sent);
});

test('resume() in the same callback as pause() keeps the order', async (t) => {
  const received = [];
  const far = t.open((item) => {
    received.push(item);
    far.pause();
    far.resume();
  });
  const { port } = far.address();
  const near = t.open();
  assert.equal(near.sendBatch(numbered(50), HOST, port), 50);
  await until(() => received.length === 50);
  assert.deepEqual(texts(received), numbered(50).map(String));
});

test('close() of a paused endpoint drops what is held back', async (t) => {
  let calls = 0;
  const far = t.open(() => {
    calls++;
    far.pause();
  });
  const near = t.open();
  near.sendBatch(numbered(10), HOST, far.address().port);
  await until(() => calls === 1);
  far.resume();
  far.close();
  far.resume();
  await until(() => near.peers().length === 0); // it has lingered and is closed
  assert.equal(calls, 1);
});

test('close() in onRecv drops what resume() has still to deliver', async (t) => {
  const received = [];
  const far = t.open(([data]) => {
    received.push(String(data));
    if (received.length === 1) far.pause();
    else far.close();
  });
  const near = t.open();
  near.sendBatch(numbered(10), HOST, far.address().port);
  await until(() => received.length === 1);
  far.resume();
  await until(() => near.peers().length === 0);
  assert.deepEqual(received, ['message 0', 'message 1']);
});

test('an exception of onRecv after resume() does not keep back the rest', async () => {
  const { code, stdout } = await runScript(`
    process.on('uncaughtException', ({ message }) => console.log(message));
    let seen = 0;
    const far = open('${HOST}', 0, 65536, () => {
      seen++;
      if (seen === 1) far.pause();
      else if (seen === 5) { far.close(); near.close(); }
      else throw new Error('thrown ' + seen);
    });
    const near = open('${HOST}', 0, 65536, () => {});
    near.sendBatch(Array(5).fill(Buffer.from('x')), '${HOST}', far.address().port);
    setTimeout(() => far.resume(), 300);
  `);
  assert.equal(stdout, 'thrown 2\nthrown 3\nthrown 4\n');
  assert.equal(code, 0);
});

test('a paused endpoint keeps the process running', async () => {
  const { stdout } = await runScript(`
    const handle = open('${HOST}', 0, 65536, () => {});
    handle.pause();
    setTimeout(() => { console.log('still here'); process.exit(); }, 300).unref();
  `);
  assert.equal(stdout, 'still here\n');
});

// ------------------------------------------------------------------------- peers

test('peers() tells the state of each association', async (t) => {
  const { near, far } = await pair(t);
  const [peer, ...others] = near.handle.peers();
  assert.deepEqual(others, []);
  assert.equal(peer.host, HOST);
  assert.equal(peer.port, far.port);
  assert.deepEqual(peer.addresses, [HOST]);
  assert.equal(peer.stateName, 'SCTP_ESTABLISHED');
  assert.equal(peer.outstanding, 0);
  assert.equal(peer.primary.address, HOST);
  assert.equal(far.handle.peers()[0].port, near.port);
});

test('peers() counts what a peer has not acknowledged, also before it has answered', async (t) => {
  const { near, far } = await pair(t);
  t.after(cut('127.0.0.9'));
  for (let i = 0; i < 3; i++) near.handle.send(Buffer.alloc(9), '127.0.0.9', 9);
  const silent = near.handle.peers().find(({ host }) => host === '127.0.0.9');
  assert.equal(silent.stateName, 'SCTP_COOKIE_WAIT');
  assert.equal(silent.outstanding, 3);
  assert.equal(near.handle.peers().length, 2);
  near.handle.disconnect('127.0.0.9', 9, { abort: true });
  await until(() => near.handle.peers().length === 1);
  assert.equal(near.handle.peers()[0].port, far.port);
});

// -------------------------------------------------------------------- disconnect

test('disconnect() shuts an association down after all messages', async (t) => {
  const { near, far, events } = await pair(t);
  const down = new Promise((resolve) => {
    far.handle.onPeer = (...args) => resolve(args);
  });
  await sendAll(near.handle, numbered(1000), HOST, far.port);
  near.handle.disconnect(HOST, far.port);
  const [state, , , error] = await down;
  assert.deepEqual([state, error], ['down', null]);
  assert.equal(far.received.length, 1001);
  await until(() => events.length === 1);
  assert.deepEqual(events, ['down']);
  near.handle.send(Buffer.from('again'), HOST, far.port);
  await until(() => far.received.length === 1002);
});

test('disconnect() during the handshake loses nothing', async (t) => {
  const far = collector(t);
  const near = collector(t);
  const states = [];
  near.handle.onPeer = (state, _host, _port, error) =>
    states.push([state, error]);
  run('tc qdisc add dev lo root netem delay 50ms');
  t.after(() => run('tc qdisc del dev lo root'));
  near.handle.sendBatch(numbered(20), HOST, far.port);
  near.handle.disconnect(HOST, far.port);
  await until(() => states.length === 2);
  assert.deepEqual(states, [
    ['up', null],
    ['down', null],
  ]);
  assert.deepEqual(texts(far.received).sort(), numbered(20).map(String).sort());
});

test('the peer gets the reason of disconnect() with abort', async (t) => {
  const { near, far, events } = await pair(t);
  const down = new Promise((resolve) => {
    far.handle.onPeer = (...args) => resolve(args);
  });
  near.handle.disconnect(HOST, far.port, {
    abort: true,
    reason: 'maintenance',
  });
  const [state, host, port, error] = await down;
  assert.deepEqual([state, host, port], ['down', HOST, near.port]);
  assert.equal(error.code, 'ECONNRESET');
  assert.equal(error.reason, 'maintenance');
  await until(() => events.length === 1);
  assert.deepEqual(events, ['down ECONNABORTED']);
});

test('disconnect() with abort gives back what was not delivered', async (t) => {
  const { near } = await pair(t);
  const lost = [];
  near.handle.onUndelivered = (data, host, port, sent) =>
    lost.push([String(data), host, port, sent]);
  t.after(cut('127.0.0.9'));
  near.handle.send(Buffer.from('one'), '127.0.0.9', 9);
  near.handle.send(Buffer.from('two'), '127.0.0.9', 9);
  near.handle.disconnect('127.0.0.9', 9, { abort: true });
  await until(() => lost.length === 2);
  assert.deepEqual(lost, [
    ['one', '127.0.0.9', 9, false],
    ['two', '127.0.0.9', 9, false],
  ]);
});

test('disconnect() throws for a peer that is not there, and for wrong options', async (t) => {
  const { near, far } = await pair(t);
  const { handle } = near;
  assert.throws(() => handle.disconnect(HOST, 9), {
    code: 'ENOTCONN',
    syscall: 'disconnect',
    message: `disconnect ENOTCONN ${HOST}:9`,
    address: HOST,
    port: 9,
  });
  assert.throws(() => handle.disconnect('peer', 9), {
    code: 'ERR_INVALID_ARG_TYPE',
  });
  assert.throws(() => handle.disconnect(HOST, 0), { code: 'ERR_OUT_OF_RANGE' });
  for (const [options, code] of [
    [7, 'ERR_INVALID_ARG_TYPE'],
    [{ abort: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ abort: true, reason: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ reason: 'x' }, 'ERR_INVALID_ARG_VALUE'],
    [{ abort: true, reason: 'x'.repeat(1025) }, 'ERR_OUT_OF_RANGE'],
  ]) {
    assert.throws(() => handle.disconnect(HOST, far.port, options), { code });
  }
  assert.equal(handle.peers().length, 1);
});

// ----------------------------------------------------------------------- options

test('setOption() with a peer sets an option of its association alone', async (t) => {
  const { near, far } = await pair(t);
  const { handle } = near;
  const max = (...peer) => handle.getOption('SCTP_RTOINFO', ...peer).srto_max;
  handle.setOption('SCTP_RTOINFO', { srto_max: 3000 }, HOST, far.port);
  assert.equal(max(HOST, far.port), 3000);
  assert.equal(max(), 5000);
  handle.setOption('SCTP_RTOINFO', { srto_max: 4000 });
  assert.equal(max(HOST, far.port), 3000);
  assert.equal(max({}, HOST, far.port), 3000);
  assert.equal(max({}), 4000);
  const stats = handle.getOption('SCTP_GET_ASSOC_STATS', HOST, far.port);
  assert.equal(stats.sas_ouodchunks, 1);
});

test('the option SCTP_AUTOCLOSE shuts idle associations down', async (t) => {
  const near = collector(t);
  near.handle.setOption('SCTP_AUTOCLOSE', { value: 1 });
  const far = collector(t);
  const events = [];
  near.handle.onPeer = (state, _host, _port, error) =>
    events.push(error ? error.code : state);
  near.handle.send(Buffer.from('x'), HOST, far.port);
  await until(() => events.length === 2);
  assert.deepEqual(events, ['up', 'down']);
  assert.equal(far.received.length, 1);
});

test('getOption() and setOption() refuse what they cannot do', async (t) => {
  const { near, far } = await pair(t);
  const { handle } = near;
  for (const [call, code, message] of [
    [() => handle.getOption('SCTP_X'), 'ERR_INVALID_ARG_VALUE', /no option/],
    [
      () => handle.getOption('SCTP_NODELAY', HOST, far.port),
      'ERR_INVALID_ARG_VALUE',
      /is no option of one association/,
    ],
    [() => handle.getOption('SCTP_RTOINFO', HOST, 9), 'ENOTCONN', /:9$/],
    [
      () => handle.getOption('SCTP_RTOINFO', 'x', 9),
      'ERR_INVALID_ARG_VALUE',
      /'host' must be an IP address/,
    ],
    [
      () => handle.setOption('SCTP_RTOINFO', { rto: 1 }),
      'ERR_INVALID_ARG_VALUE',
      /fields\.rto/,
    ],
    [
      () => handle.setOption('SCTP_FRAGMENT_INTERLEAVE', { value: 0 }),
      'ERR_INVALID_ARG_VALUE',
      /relies on/,
    ],
  ]) {
    assert.throws(call, { code, message });
  }
  handle.close();
  for (const call of [
    () => handle.getOption('SCTP_RTOINFO'),
    () => handle.setOption('SCTP_RTOINFO', {}),
    () => handle.peers(),
    () => handle.disconnect(HOST, far.port),
    () => handle.peelOff(HOST, far.port),
  ]) {
    assert.throws(call, { code: 'ERR_SOCKET_CLOSED' });
  }
});

// ---------------------------------------------------------------------- peel off

/** A socket that is destroyed at the end of the test, and what it receives. */
function peeled(t, handle, host, port, options) {
  const socket = handle.peelOff(host, port, options);
  t.after(() => socket.destroy());
  const received = [];
  socket.on('data', (data) => received.push(data));
  return { socket, received };
}

test('peelOff() makes a Socket of an association, whose messages are ordered', async (t) => {
  const { near, far } = await pair(t);
  const { socket, received } = peeled(t, far.handle, HOST, near.port);
  assert.equal(socket.remotePort, near.port);
  assert.equal(socket.localPort, far.port);
  assert.equal(socket.status().stateName, 'SCTP_ESTABLISHED');
  assert.deepEqual(far.handle.peers(), []);
  near.handle.send(Buffer.from('to the socket'), HOST, far.port);
  await until(() => received.length === 1);
  assert.equal(String(received[0]), 'to the socket');
  assert.equal(received[0].unordered, true);
  socket.write('from the socket');
  await until(() => near.received.length === 1);
  const { sas_oodchunks, sas_ouodchunks } = socket.getOption(
    'SCTP_GET_ASSOC_STATS',
  );
  assert.deepEqual([sas_oodchunks, sas_ouodchunks], [1, 0]);
  assert.throws(() => far.handle.send(Buffer.from('x'), HOST, near.port), {
    code: 'EADDRNOTAVAIL',
  });
});

test('each message arrives once, at the endpoint or at the socket peeled off', async (t) => {
  const taken = [];
  const received = [];
  const far = t.open(([data, host, port]) => {
    received.push(data);
    if (received.length === 100) taken.push(peeled(t, far, host, port));
  });
  const near = t.open();
  const messages = numbered(2000);
  await sendAll(near, messages, HOST, far.address().port);
  await until(() => near.peers()[0].outstanding === 0);
  const [socket] = taken;
  await until(() => received.length + socket.received.length >= 2000);
  assert.ok(socket.received.length > 0);
  const all = [...received, ...socket.received].map(String);
  assert.deepEqual(all.sort(), messages.map(String).sort());
});

test('peelOff() in the middle of a message gives the whole message to the socket', async (t) => {
  const near = collector(t);
  const far = collector(t, { recvMaxlen: 16 * 1024 * 1024 });
  near.handle.send(Buffer.from('first'), HOST, far.port);
  await until(() => far.received.length === 1);
  const line = holdBack(t, near.port);
  const large = Buffer.alloc(SNDBUF - 100_000, 'large');
  near.handle.send(large, HOST, far.port);
  await line.halfArrived(far.port);
  const { socket, received } = peeled(t, far.handle, HOST, near.port, {
    maxMessageSize: 16 * 1024 * 1024,
  });
  line.release();
  await until(() => received.length === 1);
  assert.ok(received[0].equals(large));
  await sendAll(near.handle, [Buffer.from('next')], HOST, far.port);
  await until(() => received.length === 2);
  assert.equal(String(received[1]), 'next');
  assert.equal(socket.destroyed, false);
});

test('the rest of a message that was too long does not come out of the socket', async (t) => {
  const near = collector(t);
  const far = collector(t, { recvMaxlen: 100_000 });
  near.handle.send(Buffer.from('first'), HOST, far.port);
  await until(() => far.received.length === 1);
  const line = holdBack(t, near.port);
  near.handle.send(Buffer.alloc(SNDBUF - 100_000), HOST, far.port);
  await line.halfArrived(far.port);
  assert.match(far.received[1], /recv EMSGSIZE/);
  const { received } = peeled(t, far.handle, HOST, near.port);
  line.release();
  await sendAll(near.handle, [Buffer.from('next')], HOST, far.port);
  await until(() => received.length === 1);
  assert.equal(String(received[0]), 'next');
});

test('end() of a peeled off socket delivers what was written before', async (t) => {
  const { near, far, events } = await pair(t);
  const { socket } = peeled(t, far.handle, HOST, near.port);
  for (const message of numbered(100)) socket.write(message);
  socket.end();
  await once(socket, 'close');
  await until(() => events.length === 1);
  assert.deepEqual(events, ['down']);
  assert.deepEqual(texts(near.received), numbered(100).map(String));
  assert.deepEqual(associations(), []);
});

test('a socket gets a reason of disconnect() as long as it may be', async (t) => {
  const { handle, received, port } = collector(t);
  const socket = t.connect({ host: HOST, port });
  socket.write('x');
  await until(() => received.length === 1);
  const reason = 'é'.repeat(512);
  const [, host, from] = received[0];
  handle.disconnect(host, from, { abort: true, reason });
  const [error] = await once(socket.resume(), 'error');
  assert.equal(error.reason, reason);
});

test('abort() of a peeled off socket tells the peer the reason', async (t) => {
  const { near, far } = await pair(t);
  const down = new Promise((resolve) => {
    near.handle.onPeer = (...args) => resolve(args);
  });
  const { socket } = peeled(t, far.handle, HOST, near.port);
  socket.abort('out of service');
  const [, , , error] = await down;
  assert.equal(error.code, 'ECONNRESET');
  assert.equal(error.reason, 'out of service');
});

test('a peer of a peeled off socket may come back to the endpoint after its end', async (t) => {
  const { near, far } = await pair(t);
  const { socket } = peeled(t, far.handle, HOST, near.port);
  socket.destroy();
  await until(() => near.handle.peers().length === 0);
  near.handle.send(Buffer.from('again'), HOST, far.port);
  await until(() => far.received.length === 2);
  far.handle.send(Buffer.from('answer'), HOST, near.port);
  await until(() => near.received.length === 1);
});

test('peelOff() throws for a peer without an association', async (t) => {
  const { near, far } = await pair(t);
  t.after(cut('127.0.0.9'));
  near.handle.send(Buffer.alloc(9), '127.0.0.9', 9);
  for (const host of [HOST, '127.0.0.9']) {
    assert.throws(() => near.handle.peelOff(host, 9), {
      code: 'ENOTCONN',
      message: `peeloff ENOTCONN ${host}:9`,
    });
  }
  assert.throws(
    () => near.handle.peelOff(HOST, far.port, { maxMessageSize: 0 }),
    { code: 'ERR_OUT_OF_RANGE' },
  );
  assert.equal(association(near.port, far.port).unread, 0);
});

// ------------------------------------------------- at the wrong moment, and names

test('peelOff() in the middle of an ordered message gives the whole message to the socket', async (t) => {
  const far = collector(t, { recvMaxlen: 16 * 1024 * 1024 });
  const near = t.connect(far.port, HOST);
  near.on('error', () => {}); // the end of the test
  await once(near, 'connect');
  near.write('first');
  await until(() => far.received.length === 1);
  const line = holdBack(t, near.localPort);
  const large = Buffer.alloc(SNDBUF - 100_000, 'ordered');
  near.write(large);
  await line.halfArrived(far.port);
  const { socket, received } = peeled(t, far.handle, HOST, near.localPort, {
    maxMessageSize: 16 * 1024 * 1024,
  });
  line.release();
  await until(() => received.length === 1);
  assert.ok(received[0].equals(large));
  socket.destroy();
});

test('peelOff() in front of a message that is too long leaves nothing of it to the socket', async (t) => {
  const received = [];
  const sockets = [];
  const far = t.open(
    (item) => {
      received.push(item);
      if (String(item[0]) !== 'peel me off') return;
      const options = { maxMessageSize: 16 * 1024 * 1024 };
      sockets.push(peeled(t, far, item[1], item[2], options));
    },
    { recvMaxlen: 10_000 },
  );
  const near = collector(t);
  const { port } = far.address();
  near.handle.send(Buffer.from('first'), HOST, port);
  await until(() => received.length === 1);
  far.pause();
  near.handle.send(Buffer.from('peel me off'), HOST, port);
  const tooLong = Buffer.alloc(SNDBUF - 100_000, 'too long');
  near.handle.send(tooLong, HOST, port);
  await until(() => near.handle.peers()[0].rwnd < 2000);
  far.resume();
  await until(() => sockets.length === 1);
  await sendAll(near.handle, [Buffer.from('next')], HOST, port);
  const [socket] = sockets;
  await until(() => socket.received.some((data) => String(data) === 'next'));
  // A message that the endpoint had begun to read is told there, and left out here.
  const told = received.filter((item) => /^recv EMSGSIZE/.test(item));
  const whole = socket.received.filter((data) => data.equals(tooLong));
  assert.equal(told.length + whole.length, 1);
  assert.equal(socket.received.length, 1 + whole.length);
});

test('peelOff() without a free descriptor fails and loses nothing', async () => {
  const { stdout, stderr } = await runScript(`
    const fs = require('node:fs');
    const files = [];
    const far = open('${HOST}', 0, 65536, ([data, host, port]) => {
      if (String(data) === 'second') {
        console.log('still there');
        process.exit();
      }
      try {
        for (;;) files.push(fs.openSync('/dev/null'));
      } catch {}
      try {
        far.peelOff(host, port);
      } catch ({ message }) {
        console.log(message.replace(/\\d+$/, 'PORT'));
      }
      for (const file of files) fs.closeSync(file);
      near.send(Buffer.from('second'), '${HOST}', far.address().port);
    });
    const near = open('${HOST}', 0, 65536, () => {});
    near.send(Buffer.from('first'), '${HOST}', far.address().port);
  `);
  assert.equal(stderr, '');
  assert.equal(stdout, `peeloff EMFILE ${HOST}:PORT\nstill there\n`);
});

test('a peer that has ended while the endpoint is paused is closed, and cannot be peeled off', async (t) => {
  const { near, far } = await pair(t);
  far.handle.pause();
  near.handle.disconnect(HOST, far.port);
  await until(() => associations().length === 0);
  const [peer] = far.handle.peers();
  assert.equal(peer.stateName, 'SCTP_CLOSED');
  assert.notEqual(peer.associationId, 0);
  assert.throws(() => far.handle.peelOff(HOST, near.port), {
    code: 'ENOTCONN',
  });
  far.handle.disconnect(HOST, near.port);
  far.handle.resume();
  await until(() => far.handle.peers().length === 0);
});

test('onDrain comes to a paused endpoint although another peer does not answer', async (t) => {
  const { near, far } = await pair(t);
  const { handle } = near;
  t.after(cut('127.0.0.9'));
  handle.pause();
  handle.send(Buffer.alloc(1000), '127.0.0.9', 9);
  const drained = new Promise((resolve) => {
    handle.onDrain = (...peer) => resolve(peer);
  });
  assert.throws(() => {
    for (;;) handle.send(Buffer.alloc(1000), HOST, far.port);
  }, isFull);
  assert.deepEqual(await drained, [HOST, far.port]);
});

test('a peer is found by any spelling of its address, also during the handshake', async (t) => {
  const far = collector(t, { host: '::1' });
  const near = collector(t, { host: '::1' });
  run('tc qdisc add dev lo root netem delay 50ms');
  t.after(() => run('tc qdisc del dev lo root'));
  near.handle.send(Buffer.from('x'), '::1', far.port);
  near.handle.disconnect('0:0:0:0:0:0:0:1', far.port);
  await until(() => far.received.length === 1);
  await until(() => near.handle.peers().length === 0);
});

test('an option of one association is never set for all', async (t) => {
  const { near, far } = await pair(t);
  const { handle } = near;
  const all = handle.getOption('SCTP_RTOINFO');
  handle.setOption('SCTP_RTOINFO', { ...all, srto_max: 3000 }, HOST, far.port);
  assert.equal(handle.getOption('SCTP_RTOINFO').srto_max, 5000);
  assert.equal(handle.getOption('SCTP_RTOINFO', HOST, far.port).srto_max, 3000);
  assert.throws(
    () => handle.setOption('SCTP_RTOINFO', {}, undefined, far.port),
    { code: 'ERR_INVALID_ARG_TYPE' },
  );
  const off = { assoc_value: 0 };
  assert.equal(
    handle.getOption('SCTP_PR_SUPPORTED', HOST, far.port).assoc_value,
    1,
  );
  assert.throws(
    () => handle.setOption('SCTP_PR_SUPPORTED', off, HOST, far.port),
    { code: 'ERR_INVALID_ARG_VALUE' },
  );
});

test('a peeled off socket refuses the attribute address, and abort() after its end', async (t) => {
  const { near, far } = await pair(t);
  const { socket } = peeled(t, far.handle, HOST, near.port);
  assert.throws(() => socket.send('x', { address: HOST }), {
    code: 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM',
  });
  near.handle.disconnect(HOST, far.port);
  await until(() => associations().length === 0);
  socket.abort('too late');
  assert.equal(socket.destroyed, true);
});

test('the package can be evaluated again with the same addon', async () => {
  const { stdout, stderr } = await runScript(`
    for (const file of Object.keys(require.cache)) {
      if (!file.endsWith('.node')) delete require.cache[file];
    }
    const again = require(${JSON.stringify(path.resolve(__dirname, '../..'))});
    const handle = again.open('${HOST}', 0, 65536, () => {});
    console.log(handle.peers(), handle.getOption('SCTP_RTOINFO').srto_max);
    handle.close();
  `);
  assert.equal(stderr, '');
  assert.equal(stdout, '[] 5000\n');
});
