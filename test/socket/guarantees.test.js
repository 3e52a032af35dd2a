'use strict';

const assert = require('node:assert/strict');
const { getEventListeners, once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const {
  setImmediate: turn,
  setTimeout: wait,
} = require('node:timers/promises');
const {
  association,
  blockThread,
  ending,
  enterOwnNetwork,
  messages,
  pair,
  run,
  SNDBUF,
  test,
  until,
} = require('../helpers');
const {
  getOption,
  SCTP_NODELAY,
  socketDescriptors,
} = require('../helpers/descriptors');

enterOwnNetwork(__filename);
run('ip link set lo up');

const root = JSON.stringify(path.resolve(__dirname, '../..'));
const HOST = '127.0.0.1';

/** Nothing that was sent from a port waits for its acknowledgement. */
const acknowledged = ({ localPort, remotePort }) =>
  association(localPort, remotePort).unacknowledged === 0;

/** Counts turns of the event loop, without making any. */
function turns(t) {
  const counter = { count: 0 };
  let immediate;
  const next = () => {
    counter.count++;
    immediate = setImmediate(next).unref();
  };
  immediate = setImmediate(next).unref();
  t.after(() => clearImmediate(immediate));
  return counter;
}

test('timers get their turn after 64 messages of a socket that is flooded', async (t) => {
  const { client, peer } = await pair(t);
  let received = 0;
  peer.on('data', () => received++);
  const count = 200;
  for (let i = 0; i < count; i++) client.write('x');
  while (!acknowledged(client)) blockThread(10); // all of them wait now
  const steps = [];
  for (let before = 0; received < count; before = received) {
    await turn();
    steps.push(received - before);
  }
  assert.ok(Math.max(...steps) <= 64, `steps of ${steps}`);
});

test('the socket that follows a restart is not handed to child processes', async (t) => {
  const server = await t.listen({}, (peer) => peer.on('error', () => {}));
  const { port } = server.address();
  const first = t.connect({ host: HOST, port });
  const [[old]] = await Promise.all([
    once(server, 'connection'),
    once(first, 'connect'),
  ]);
  const end = ending(old.resume());
  const { localPort } = first;
  run('tc qdisc add dev lo root netem loss 100%');
  first.destroy(); // of which the server hears nothing
  await until(() => !association(localPort, port));
  run('tc qdisc del dev lo root');
  const second = t.connect({ host: HOST, port, localPort });
  await Promise.all([once(server, 'connection'), once(second, 'connect')]);
  assert.deepEqual(await end, ['ECONNRESET', 'close']);
  const O_CLOEXEC = 0o2000000;
  for (const fd of socketDescriptors().filter((fd) => fd > 2)) {
    const info = fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
    const flags = Number.parseInt(/flags:\s*(\d+)/.exec(info)[1], 8);
    assert.ok(flags & O_CLOEXEC, `descriptor ${fd}`);
  }
});

test('a server without descriptors does not spin', async (t) => {
  const server = await t.listen({}, (peer) => peer.resume());
  const client = t.connect({ host: HOST, port: server.address().port });
  await new Promise((resolve) => process.nextTick(resolve)); // it has a socket
  const hoard = [];
  try {
    assert.throws(
      () => {
        for (;;) hoard.push(fs.openSync('/dev/null'));
      },
      { code: 'EMFILE' },
    );
    await once(client, 'connect');
    const counter = turns(t);
    const start = performance.now();
    await wait(1000);
    // It tries every 10 ms, with one turn to wait and one to try.
    const most = ((performance.now() - start) / 10) * 2 + 50;
    assert.ok(counter.count < most, `${counter.count} turns`);
  } finally {
    for (const fd of hoard) fs.closeSync(fd);
  }
  await once(server, 'connection');
});

test('a graceful close discards more than 1,024 unread messages', async (t) => {
  const { client, peer } = await pair(t, {}, { highWaterMark: 1 });
  client.pause();
  const count = 1200;
  for (let i = 0; i < count; i++) peer.write('unread');
  await until(() => acknowledged(peer) && peer.writableLength === 0);
  // The shutdown is not over before the socket is closed.
  run('tc qdisc add dev lo root netem delay 200ms');
  t.after(() => run('tc qdisc del dev lo root'));
  const end = ending(peer);
  const data = messages(peer, 1);
  client.end('last', () => client.destroy());
  await once(client, 'close');
  assert.ok(count - client.bytesRead / 'unread'.length > 1024);
  assert.deepEqual(await end, ['end', 'close']);
  assert.equal(String((await data)[0]), 'last');
});

test('receiving alone postpones timeout', async (t) => {
  const { client, peer } = await pair(t);
  let last;
  peer.on('data', () => {
    last = performance.now();
  });
  const limit = 1000;
  const timeout = once(peer.setTimeout(limit), 'timeout');
  let idle;
  timeout.then(() => {
    idle = performance.now() - last;
  });
  const start = performance.now();
  while (performance.now() < start + 1.5 * limit) {
    client.write('x');
    await wait(limit / 20);
  }
  await timeout;
  // The loop's clock, by which it is measured, may be late.
  assert.ok(idle > limit / 2, `${idle} ms after the last message`);
});

test('setTimeout() does not keep the process running', async (t) => {
  const server = await t.listen({}, (peer) => peer.on('error', () => {}));
  const child = t.spawn(process.execPath, [
    '-e',
    `const { connect } = require(${root});
    const socket = connect(${server.address().port}, '${HOST}', () => {
      socket.unref().setTimeout(20_000);
    });
    socket.on('timeout', () => console.log('timeout'));`,
  ]);
  let output = '';
  child.stdout.on('data', (data) => {
    output += data;
  });
  assert.deepEqual(await once(child, 'close'), [0, null]);
  assert.equal(output, '');
});

test('no timeout follows close', async (t) => {
  const { client, peer } = await pair(t);
  peer.on('error', () => {});
  client.setTimeout(100);
  client.destroy();
  await once(client, 'close');
  client.on('timeout', assert.fail);
  client.setTimeout(100);
  await wait(100); // Node has one list of all timers of a duration
});

test('close tells of the error that destroy() was given', async (t) => {
  const { client, peer } = await pair(t);
  for (const socket of [client, peer]) socket.on('error', () => {});
  const closed = new Promise((resolve) => {
    client.on('close', resolve);
  });
  client.destroy(new Error('mine'));
  assert.equal(await closed, true);
});

test('bytesWritten counts what is written before the connection once', async (t) => {
  const server = await t.listen({});
  const socket = t.connect({ host: HOST, port: server.address().port });
  socket.write('early');
  assert.equal(socket.bytesWritten, 5);
  const [peer] = await once(server, 'connection');
  assert.equal(String((await messages(peer, 1))[0]), 'early');
  assert.equal(socket.bytesWritten, 5);
});

test('bytesWritten counts what waits for the kernel once', async (t) => {
  const { client, peer } = await pair(t, { highWaterMark: 1 });
  peer.pause();
  let written = 0;
  for (let i = 0; i < 10; ) {
    client.write(Buffer.alloc(10_000));
    written += 10_000;
    if (client.writableLength > 0) i++;
  }
  assert.equal(client.bytesWritten, written);
  peer.resume();
  await until(() => peer.bytesRead >= written);
  assert.equal(peer.bytesRead, written);
  assert.equal(client.bytesWritten, written);
});

test('peer-info-update follows a change of a path', async (t) => {
  const server = await t.listen({ localAddresses: [HOST, '127.0.0.2'] });
  const socket = t.connect({
    ...{ host: HOST, port: server.address().port },
    rto: { initial: 50, min: 50, max: 100 },
    heartbeat: { interval: 50 },
  });
  const events = [];
  const log = (name) => socket.on(name, () => events.push(name));
  ['address-change', 'peer-info-update'].forEach(log);
  // The second address is confirmed by a heartbeat.
  await until(() => events.includes('address-change'));
  assert.equal(
    events[events.indexOf('address-change') + 1],
    'peer-info-update',
  );
});

test('a wrong localAddress fails at once', async (t) => {
  const server = await t.listen({});
  const socket = t.connect({
    ...{ host: HOST, port: server.address().port },
    localAddress: '192.0.2.1',
  });
  let error;
  socket.on('error', (reason) => {
    error = reason;
  });
  // A connect() that waits for another association is tried for a second.
  for (let i = 0; i < 3; i++) await turn();
  assert.equal(error?.code, 'EADDRNOTAVAIL');
});

test('maxConnections 0 drops every connection', async (t) => {
  const server = await t.listen({});
  server.maxConnections = 0;
  server.on('connection', assert.fail);
  for (let i = 0; i < 3; i++) {
    const client = t.connect({ host: HOST, port: server.address().port });
    const end = ending(client.resume());
    const [{ remotePort }] = await once(server, 'drop');
    assert.equal(remotePort, client.localPort);
    assert.deepEqual(await end, ['ECONNRESET', 'close']);
  }
});

test('setNoDelay() before there is a handle is kept for it', async (t) => {
  const server = await t.listen({});
  const ports = [];
  for (const noDelay of [false, true]) {
    const socket = t.connect({
      ...{ host: HOST, port: server.address().port },
      noDelay: !noDelay,
    });
    assert.equal(socket.pending, true);
    socket.setNoDelay(noDelay);
    await once(socket, 'connect');
    ports.push(socket.localPort);
  }
  assert.deepEqual(getOption(ports, SCTP_NODELAY, 1), [[0], [1]]);
});

test('a closed server leaves its signal', async (t) => {
  const { signal } = new AbortController();
  const listeners = () => getEventListeners(signal, 'abort').length;
  const server = t.server();
  server.listen({ host: HOST, port: 0, signal });
  await once(server, 'listening');
  assert.equal(listeners(), 1);
  server.close();
  await once(server, 'close');
  assert.equal(listeners(), 0);
});

test('a Buffer that is written again fails as often as it was not handed over', async (t) => {
  const { client, peer } = await pair(t, {}, { highWaterMark: 1 });
  let [sent, failed, received] = [0, 0, 0];
  client.on('data', () => received++);
  client.pause();
  const data = Buffer.alloc(10_000);
  const count = Math.ceil((4 * SNDBUF) / data.length);
  peer.cork();
  for (let i = 0; i < count; i++) {
    peer.write(data, (error) => {
      if (error) failed++;
      else sent++;
    });
  }
  peer.uncork();
  await until(() => client.readableLength > 0);
  const ends = Promise.all([ending(client), ending(peer.resume())]);
  client.end();
  await turn();
  client.resume();
  assert.deepEqual(await ends, [
    ['end', 'close'],
    ['end', 'EPIPE', 'close'],
  ]);
  assert.deepEqual([sent + failed, received], [count, sent]);
  assert.ok(sent > 0 && failed > 0);
});
