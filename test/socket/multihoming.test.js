'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { constants } = require('../..');
const {
  ending,
  enterOwnNetwork,
  messages,
  otherNetwork,
  run,
  test,
  until,
} = require('../helpers');

enterOwnNetwork(__filename);

// Another host, and two paths to it.
const { pid, enter } = otherNetwork();
const there = enter.join(' ');

// Otherwise IPv6 addresses go with their link.
fs.writeFileSync('/proc/sys/net/ipv6/conf/all/keep_addr_on_down', '1');
run('ip link set lo up');
run(`${there} ip link set lo up`);
for (const i of [1, 2]) {
  run(`ip link add here${i} type veth peer name there${i}`);
  run(`ip link set there${i} netns ${pid}`);
  run(`ip address add 10.9.${i}.1/24 dev here${i}`);
  run(`ip address add fd00:${i}::1/64 dev here${i} nodad`);
  run(`ip link set here${i} up`);
  run(`${there} ip address add 10.9.${i}.2/24 dev there${i}`);
  run(`${there} ip address add fd00:${i}::2/64 dev there${i} nodad`);
  run(`${there} ip link set there${i} up`);
}

const fast = {
  rto: { initial: 250, min: 200, max: 1000 },
  heartbeat: { interval: 300 },
  pathMaxRetrans: 2,
};

/** Starts an echo server on the other host; resolves to its port. */
async function echoThere(t, localAddresses) {
  const [program, ...args] = enter;
  const source = `
    const { createServer } = require(${JSON.stringify(path.resolve(__dirname, '../..'))});
    const server = createServer(${JSON.stringify(fast)}, (peer) => {
      peer.on('data', (data) => peer.write(data));
      peer.on('error', () => {});
    });
    server.listen({ localAddresses: ${JSON.stringify(localAddresses)} }, () => {
      console.log(server.address().port);
    });`;
  const child = t.spawn(program, [...args, process.execPath, '-e', source]);
  const [port] = await once(child.stdout, 'data');
  return Number(port);
}

for (const [name, here, other] of [
  ['IPv4', ['10.9.1.1', '10.9.2.1'], ['10.9.1.2', '10.9.2.2']],
  ['IPv6', ['fd00:1::1', 'fd00:2::1'], ['fd00:1::2', 'fd00:2::2']],
  ['mixed', ['10.9.1.1', 'fd00:2::1'], ['10.9.1.2', 'fd00:2::2']],
]) {
  test(`${name}: when a path fails under traffic, nothing is lost or doubled, and the events tell`, async (t) => {
    const port = await echoThere(t, other);
    const client = t.connect({
      port,
      remoteAddresses: other,
      localAddresses: here,
      ...fast,
    });
    const events = [];
    client.on('address-change', (event) => events.push(event));
    const seen = (address, state) =>
      events.some((e) => e.address === address && e.state === state);
    const notified = [];
    client.on('notification', ({ interpreted }) => notified.push(interpreted));
    await once(client, 'connect');
    const state = (address) => client.peerInfoByAddress[address].state;
    const primary = client.remoteAddress;
    const second = other.find((address) => address !== primary);

    // Before.
    assert.equal(primary, other[0]);
    assert.deepEqual(client.remoteAddresses, other);
    assert.deepEqual([...client.localAddresses].sort(), [...here].sort());
    assert.equal(client.localAddress, here[0]);
    await until(() => state(second) === constants.SCTP_ACTIVE);
    await until(() => state(primary) === constants.SCTP_ACTIVE);

    let sent = 0;
    const received = [];
    client.on('data', (data) => received.push(data.readUInt32BE()));
    const send = () => {
      const data = Buffer.alloc(500);
      data.writeUInt32BE(sent++);
      client.write(data);
    };
    const traffic = setInterval(send, 5);
    t.after(() => clearInterval(traffic));
    await until(() => received.length > 20);

    // During: the first link goes down, traffic takes the other.
    run('ip link set here1 down');
    await until(() => seen(primary, 'SCTP_ADDR_UNREACHABLE'));
    assert.equal(state(primary), constants.SCTP_INACTIVE);
    await until(() => state(second) === constants.SCTP_ACTIVE);
    assert.equal(client.remoteAddress, second); // the path in use
    assert.deepEqual(client.remoteAddresses, [second, primary]);
    assert.equal(client.status().primary.address, primary);
    const atFailure = received.length;
    await until(() => received.length > atFailure + 20);

    // After: it comes back.
    run('ip link set here1 up');
    await until(() => seen(primary, 'SCTP_ADDR_AVAILABLE'));
    await until(() => state(primary) === constants.SCTP_ACTIVE);

    clearInterval(traffic);
    await until(() => received.length >= sent);
    assert.deepEqual(received, [...Array(sent).keys()]);
    assert.ok(
      notified.includes(
        `SCTP_PEER_ADDR_CHANGE: SCTP_ADDR_UNREACHABLE, ${primary}`,
      ),
    );
    client.end();
    assert.deepEqual(await ending(client), ['end', 'close']);
  });
}

test('a server bound to several addresses is reached by each of them', async (t) => {
  const localAddresses = ['10.9.1.1', 'fd00:2::1'];
  const server = await t.listen({ localAddresses });
  const { port } = server.address();
  assert.deepEqual(server.getLocalAddresses(), [
    { address: '10.9.1.1', family: 'IPv4', port },
    { address: 'fd00:2::1', family: 'IPv6', port },
  ]);
  for (const host of localAddresses) {
    const client = t.connect({ host, port });
    const [peer] = await once(server, 'connection');
    await once(client, 'connect');
    assert.equal(client.remoteAddress, host);
    assert.ok(client.remoteAddresses.includes(host));
    assert.equal(peer.localAddress, host);
    client.write('x');
    assert.equal(String((await messages(peer, 1))[0]), 'x');
  }
});

test('connect() reaches a server by the second of its addresses when the first is down', async (t) => {
  const server = await t.listen({ host: '10.9.2.1' });
  const client = t.connect({
    remoteAddresses: ['10.9.1.77', '10.9.2.1'],
    port: server.address().port,
    ...fast,
  });
  const [peer] = await once(server, 'connection');
  client.write('x');
  assert.equal(String((await messages(peer, 1))[0]), 'x');
});

test('after the end, remoteAddress is still that of the path that was in use', async (t) => {
  const [primary, second] = ['10.9.1.2', '10.9.2.2'];
  const port = await echoThere(t, [primary, second]);
  const client = t.connect({
    port,
    remoteAddresses: [primary, second],
    localAddresses: ['10.9.1.1', '10.9.2.1'],
    ...fast,
  });
  await once(client, 'connect');
  client.on('data', () => client.write('on'));
  client.write('on');
  run('ip link set here1 down');
  t.after(() => run('ip link set here1 up'));
  await until(() => client.remoteAddress === second);
  client.destroy();
  assert.deepEqual(client.remoteAddresses, [second, primary]);
  assert.equal(client.remoteAddress, second);
});

test('when all paths fail, the socket ends with ETIMEDOUT', async (t) => {
  const port = await echoThere(t, ['10.9.1.2', '10.9.2.2']);
  const client = t.connect({
    port,
    remoteAddresses: ['10.9.1.2', '10.9.2.2'],
    localAddresses: ['10.9.1.1', '10.9.2.1'],
    ...fast,
    assocMaxRetrans: 3,
  });
  await once(client, 'connect');
  const end = ending(client.resume());
  const restore = () => {
    for (const i of [1, 2]) run(`${there} ip link set there${i} up`);
  };
  t.after(restore);
  for (const i of [1, 2]) run(`${there} ip link set there${i} down`);
  client.write('lost');
  const events = await end;
  assert.deepEqual(events, ['ETIMEDOUT', 'close']);
  assert.equal(events.error.message, 'read ETIMEDOUT');
});
