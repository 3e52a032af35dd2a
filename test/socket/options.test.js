'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const {
  association,
  ending,
  messages,
  pair,
  runScript,
  test,
  until,
} = require('../helpers');

const ofKernel = ({ client, peer }) => [
  association(client.localPort, client.remotePort),
  association(peer.localPort, peer.remotePort),
];

test('addresses, ports and families of both sides', async (t) => {
  const { server, client, peer } = await pair(t);
  const { port } = server.address();
  for (const [socket, local, remote] of [
    [client, peer.remotePort, port],
    [peer, port, client.localPort],
  ]) {
    assert.deepEqual(
      {
        localAddress: socket.localAddress,
        localAddresses: socket.localAddresses,
        localFamily: socket.localFamily,
        localPort: socket.localPort,
        remoteAddress: socket.remoteAddress,
        remoteAddresses: socket.remoteAddresses,
        remoteFamily: socket.remoteFamily,
        remotePort: socket.remotePort,
        address: socket.address(),
      },
      {
        localAddress: '127.0.0.1',
        localAddresses: ['127.0.0.1'],
        localFamily: 'IPv4',
        localPort: local,
        remoteAddress: '127.0.0.1',
        remoteAddresses: ['127.0.0.1'],
        remoteFamily: 'IPv4',
        remotePort: remote,
        address: { address: '127.0.0.1', family: 'IPv4', port: local },
      },
    );
  }
  const before = [client.remoteAddress, client.remotePort, client.localPort];
  client.resume().end();
  await once(client, 'close');
  assert.deepEqual(
    [client.remoteAddress, client.remotePort, client.localPort],
    before,
  );
});

test('addresses of both sides over IPv6', async (t) => {
  const { client, peer } = await pair(t, { host: '::1' });
  assert.deepEqual(
    [client.remoteAddress, client.remoteFamily, client.localAddress],
    ['::1', 'IPv6', '::1'],
  );
  assert.deepEqual(
    [peer.remoteAddress, peer.remoteFamily, peer.localAddress],
    ['::1', 'IPv6', '::1'],
  );
  assert.equal(peer.localFamily, 'IPv6');
});

test('status() tells what the kernel knows of the association', async (t) => {
  const { client, peer } = await pair(t, { MIS: 7, OS: 4 });
  peer.pause();
  const { associationId, rwnd, fragmentationPoint, primary, ...status } =
    client.status();
  assert.deepEqual(status, {
    state: 4,
    stateName: 'SCTP_ESTABLISHED',
    unackdata: 0,
    penddata: 0,
    numberOfIncomingStreams: 4,
    numberOfOutgoingStreams: 7,
  });
  assert.ok(associationId > 0);
  assert.ok(rwnd > 100_000);
  const { mtu, cwnd, srtt, rto, ...path } = primary;
  assert.deepEqual(path, {
    address: '127.0.0.1',
    family: 'IPv4',
    port: client.remotePort,
    state: 2,
  });
  assert.ok(mtu > fragmentationPoint && fragmentationPoint > 65_000);
  assert.ok(cwnd > 0 && srtt >= 0 && rto > 0);
  assert.deepEqual(client.peerInfoByAddress, {
    '127.0.0.1': { state: 2, cwnd, srtt, rto, mtu },
  });
  client.resume().end();
  await once(client, 'close');
  assert.equal(client.status(), undefined);
  assert.deepEqual(client.peerInfoByAddress, {});
});

test('unackdata counts what the peer has not acknowledged', async (t) => {
  const { client } = await pair(t, { sack: { delay: 500 } });
  client.write('the first is acknowledged at once');
  await until(() => client.status().unackdata === 0);
  await until(() => {
    client.write('this one is not');
    return client.status().unackdata > 0;
  });
  await until(() => client.status().unackdata === 0);
});

test('MIS and OS bound the streams, on both sides', async (t) => {
  const { client } = await pair(t, { MIS: 12, OS: 34 }, { MIS: 20, OS: 16 });
  const { numberOfIncomingStreams, numberOfOutgoingStreams } = client.status();
  assert.deepEqual(
    [numberOfIncomingStreams, numberOfOutgoingStreams],
    [20, 12],
  );
});

test('rto sets the retransmission timeout', async (t) => {
  const rto = { initial: 400, min: 300, max: 500 };
  const { client, peer } = await pair(t, { rto }, { rto });
  assert.equal(client.status().primary.rto, 400);
  client.write('x');
  await messages(peer, 1);
  const now = () => client.status().primary.rto;
  await until(() => now() !== 400);
  assert.ok(now() >= 300 && now() <= 500, String(now()));
});

test('heartbeat, assocMaxRetrans and pathMaxRetrans reach the kernel', async (t) => {
  const [usual] = ofKernel(await pair(t));
  const options = {
    heartbeat: { interval: 10_000 },
    assocMaxRetrans: 3,
    pathMaxRetrans: 2,
  };
  const { server, client, peer } = await pair(t, options, options);
  for (const side of ofKernel({ client, peer })) {
    assert.equal(side.heartbeatInterval * 3, usual.heartbeatInterval);
    assert.equal(side.maxRetrans, 3);
  }
  const paths = fs.readFileSync('/proc/net/sctp/remaddr', 'latin1');
  assert.match(paths, /^127\.0\.0\.1\s+\d+\s+1\s+\d+\s+2\s/m);
  assert.ok(server.listening);
});

test('setKeepAlive sets the interval of heartbeats', async (t) => {
  const { client, peer } = await pair(t);
  const [before] = ofKernel({ client, peer });
  assert.equal(client.setKeepAlive(true, 15_000), client);
  const [after] = ofKernel({ client, peer });
  assert.equal(after.heartbeatInterval * 2, before.heartbeatInterval);
});

test('setKeepAlive before the connection is kept for it', async (t) => {
  const server = await t.listen({});
  const client = t.connect({ host: '127.0.0.1', port: server.address().port });
  client.setKeepAlive(true, 15_000);
  await once(client, 'connect');
  const { heartbeatInterval } = association(
    client.localPort,
    client.remotePort,
  );
  const { heartbeatInterval: usual } = association(
    client.remotePort,
    client.localPort,
  );
  assert.equal(heartbeatInterval * 2, usual);
});

// Acknowledgements that are late enough to be told from a busy machine.
const lateSack = { sack: { delay: 500 } };

/** Resolves to the one of two pairs that has its second small message first. */
async function race(slow, fast) {
  const order = [];
  await Promise.all(
    [slow, fast].map(async ({ client, peer }) => {
      client.write('the first is acknowledged at once');
      await messages(peer, 1);
      await until(() => client.status().unackdata === 0);
      client.write('first');
      client.write('second');
      await messages(peer, 2);
      order.push(client === slow.client ? 'slow' : 'fast');
    }),
  );
  return order;
}

test('noDelay false lets small messages wait for the acknowledgement', async (t) => {
  const slow = await pair(t, lateSack, { noDelay: false });
  const fast = await pair(t, lateSack);
  assert.deepEqual(await race(slow, fast), ['fast', 'slow']);
});

test('setNoDelay changes it later', async (t) => {
  const slow = await pair(t, lateSack);
  const fast = await pair(t, lateSack, { noDelay: false });
  assert.equal(slow.client.setNoDelay(false), slow.client);
  fast.client.setNoDelay();
  assert.deepEqual(await race(slow, fast), ['fast', 'slow']);
});

for (const [name, options] of [
  ['sack', (sack) => ({ sack })],
  ['sctp.sack', (sack) => ({ sctp: { sack } })],
]) {
  test(`${name} sets delay and frequency of acknowledgements`, async (t) => {
    const late = await pair(t, options({ delay: 500, freq: 100 }));
    const early = await pair(t, options({ delay: 500, freq: 1 }));
    const order = [];
    await Promise.all(
      [late, early].map(async ({ client }) => {
        client.write('the first is acknowledged at once');
        await until(() => client.status().unackdata === 0);
        client.write('x');
        await until(() => client.status().unackdata === 0);
        order.push(client === late.client ? 'late' : 'early');
      }),
    );
    assert.deepEqual(order, ['early', 'late']);
  });
}

test('setTimeout emits timeout when the socket is idle', async (t) => {
  const { client, peer } = await pair(t);
  let last = 0;
  const idle = new Promise((resolve) => {
    const onTimeout = () => resolve(performance.now() - last);
    assert.equal(client.setTimeout(300, onTimeout), client);
  });
  assert.equal(client.timeout, 300);
  for (let i = 0; i < 5; i++) {
    last = performance.now();
    client.write('busy');
    await messages(peer, 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.ok((await idle) > 250);
  assert.equal(client.destroyed, false);
});

test('setTimeout(0) turns it off, and the option timeout sets it', async (t) => {
  const server = await t.listen({});
  const { port } = server.address();
  const off = t.connect({ host: '127.0.0.1', port, timeout: 20 });
  off.on('timeout', assert.fail);
  off.setTimeout(0);
  off.setTimeout(2 ** 40); // longer than a timer of Node can be
  const on = t.connect({ host: '127.0.0.1', port, timeout: 20 });
  await once(on, 'timeout');
  for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => on.setTimeout(value), { code: 'ERR_OUT_OF_RANGE' });
  }
  assert.throws(() => on.setTimeout('1'), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('an open socket keeps the process running, unref() lets it end', async () => {
  const connected = (then) =>
    `const server = createServer().listen(0, '127.0.0.1', () => {
       const { port } = server.address();
       const client = connect({ host: '127.0.0.1', port }, () => { ${then} });
       server.on('connection', (peer) => peer.unref());
       server.unref();
     });`;
  const kept = await runScript(
    connected(`client.unref().ref();
      setTimeout(() => { console.log('alive'); process.exit(); }, 300).unref();`),
  );
  assert.deepEqual([kept.stderr, kept.stdout], ['', 'alive\n']);
  const ended = await runScript(connected('client.unref();'));
  assert.deepEqual([ended.stderr, ended.stdout, ended.code], ['', '', 0]);
});

test('a process that ends a socket delivers what it wrote', async (t) => {
  const server = await t.listen({});
  const connection = once(server, 'connection');
  const child = runScript(
    `const c = connect(${server.address().port}, '127.0.0.1', () => {
       for (let i = 0; i < 100; i++) c.write(Buffer.alloc(10000));
       c.end();
     });`,
  );
  const [peer] = await connection;
  let bytes = 0;
  peer.on('data', (data) => {
    bytes += data.length;
  });
  assert.deepEqual(await ending(peer), ['end', 'close']);
  assert.equal(bytes, 1_000_000);
  assert.equal((await child).code, 0);
});
