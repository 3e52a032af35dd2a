'use strict';

// Paths and addresses of an association, while it is up. Both ends have their
// addresses on one interface of a network of their own.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const { constants } = require('../..');
const {
  enterOwnNetwork,
  messages,
  pair,
  run,
  test,
  until,
} = require('../helpers');
const { sniff } = require('../helpers/pcap');

enterOwnNetwork(__filename);
run('ip link set lo up');
run('ip link add dummy0 type dummy');
run('ip link set dummy0 up');
const HERE = ['10.77.0.1', '10.77.0.2', '10.77.0.3'];
const THERE = ['10.77.0.11', '10.77.0.12', '10.77.0.13'];
for (const address of [...HERE, ...THERE]) {
  run(`ip address add ${address}/24 dev dummy0`);
}

const sysctl = (name, value) =>
  fs.writeFileSync(`/proc/sys/net/sctp/${name}`, String(value));

const twoPaths = (t, options = {}) =>
  pair(
    t,
    { localAddresses: THERE.slice(0, 2), ...options },
    {
      host: undefined,
      remoteAddresses: THERE.slice(0, 2),
      localAddresses: HERE.slice(0, 2),
      ...options,
    },
  );

const primary = (socket) => socket.status().primary.address;

/** Whether this kernel can encapsulate SCTP in UDP: from 5.11 on. */
const ENCAPSULATES = fs.existsSync('/proc/sys/net/sctp/udp_port');

/** Waits until both paths were found to work. */
const confirmed = (socket) =>
  until(() =>
    Object.values(socket.peerInfoByAddress).every(
      ({ state }) => state === constants.SCTP_ACTIVE,
    ),
  );

test('setPrimary() changes the path, and data goes there', async (t) => {
  const { client, peer } = await twoPaths(t);
  await confirmed(client);
  assert.equal(primary(client), THERE[0]);
  const wire = await sniff(t, 'lo');
  assert.equal(client.setPrimary(THERE[1]), client);
  assert.equal(primary(client), THERE[1]);
  assert.equal(client.remoteAddress, THERE[1]);
  client.write('on the second path');
  await messages(peer, 1);
  await until(() =>
    wire
      .packets()
      .some(
        ({ to, chunks }) =>
          to === THERE[1] && chunks.some(({ type }) => type === 0),
      ),
  );
  assert.throws(() => client.setPrimary('10.77.0.99'), {
    code: 'EINVAL',
    message: /SCTP_PRIMARY_ADDR/,
  });
  assert.throws(() => client.setPrimary('nowhere'), {
    code: 'ERR_INVALID_ARG_VALUE',
  });
});

test('send() with an address sends there', async (t) => {
  const { client, peer } = await twoPaths(t);
  await confirmed(client);
  const wire = await sniff(t, 'lo');
  client.send('there', { address: THERE[1] });
  const [data] = await messages(peer, 1);
  assert.equal(String(data), 'there');
  const withData = () =>
    wire.packets().filter(({ chunks }) => chunks.some((c) => c.type === 0));
  await until(() => withData().length > 0);
  assert.deepEqual(
    withData().map(({ to }) => to),
    [THERE[1]],
  );
  assert.equal(primary(client), THERE[0]);
});

test('setPath() sets each value of one path', async (t) => {
  const { client } = await twoPaths(t);
  const path = {
    heartbeat: 7000,
    pathMaxRetrans: 3,
    pfThreshold: 1,
    mtu: 900,
    dscp: 10,
    ...(ENCAPSULATES && { encapsulationPort: 9899 }),
  };
  assert.equal(client.setPath(THERE[1], path), client);
  const of = (address) => ({ address: { address } }).address;
  const read = (address) =>
    client.getOption('SCTP_PEER_ADDR_PARAMS', { spp_address: of(address) });
  const set = read(THERE[1]);
  assert.equal(set.spp_hbinterval, 7000);
  assert.equal(set.spp_pathmaxrxt, 3);
  assert.equal(set.spp_pathmtu, 900);
  assert.equal(set.spp_dscp >> 2, 10);
  assert.equal(
    client.getOption('SCTP_PEER_ADDR_THLDS', { spt_address: of(THERE[1]) })
      .spt_pathpfthld,
    1,
  );
  assert.notEqual(read(THERE[0]).spp_hbinterval, 7000);
  const nothing = Object.keys(path).map((name) => [name, undefined]);
  client.setPath(THERE[1], Object.fromEntries(nothing));
  assert.deepEqual(read(THERE[1]), set);
  if (ENCAPSULATES) {
    const port = (address) =>
      client.getOption('SCTP_REMOTE_UDP_ENCAPS_PORT', {
        sue_address: of(address),
      }).sue_port;
    assert.equal(port(THERE[1]), 9899);
    assert.equal(port(THERE[0]), 0);
  } else {
    assert.throws(() => client.setPath(THERE[1], { encapsulationPort: 9899 }), {
      code: 'ENOPROTOOPT',
    });
  }
  for (const [wrong, code] of [
    [{ hearbeat: 1 }, 'ERR_INVALID_ARG_VALUE'],
    [{ mtu: 10 }, 'ERR_OUT_OF_RANGE'],
    [{ dscp: 64 }, 'ERR_OUT_OF_RANGE'],
    [7, 'ERR_INVALID_ARG_TYPE'],
  ]) {
    assert.throws(() => client.setPath(THERE[1], wrong), { code });
  }
  assert.throws(() => client.setPath('10.77.0.99', { heartbeat: 5000 }), {
    code: 'EINVAL',
  });
});

test('the DSCP of a path is on the wire', async (t) => {
  const { client, peer } = await twoPaths(t);
  client.setPath(THERE[0], { dscp: 46 });
  const wire = await sniff(t, 'lo');
  client.write('expedited');
  await messages(peer, 1);
  await until(() => wire.packets().some(({ dscp }) => dscp === 46));
});

test('heartbeat() sends one at once, which is answered', async (t) => {
  const { client } = await twoPaths(t, { heartbeat: { interval: 3_600_000 } });
  await confirmed(client);
  const wire = await sniff(t, 'lo');
  client.heartbeat(THERE[1]);
  const HEARTBEAT = 4;
  const HEARTBEAT_ACK = 5;
  /** Returns what chunks of a type carry: the answer has to repeat it. */
  const information = (type, packets) =>
    packets
      .flatMap(({ chunks }) => chunks)
      .filter((chunk) => chunk.type === type)
      .map(({ bytes }) => bytes.toString('latin1', 4));
  const demanded = () =>
    information(
      HEARTBEAT,
      wire.packets().filter(({ to }) => to === THERE[1]),
    );
  await until(() => demanded().length === 1);
  await until(() =>
    information(HEARTBEAT_ACK, wire.packets()).includes(demanded()[0]),
  );
});

test('addresses that the peer would not be told of throw ERR_SCTP_NOT_NEGOTIATED', async (t) => {
  sysctl('addip_enable', 0);
  const { client } = await twoPaths(t);
  for (const call of [
    () => client.addLocalAddress(HERE[2]),
    () => client.removeLocalAddress(HERE[1]),
    () => client.setPeerPrimary(HERE[1]),
  ]) {
    assert.throws(call, {
      code: 'ERR_SCTP_NOT_NEGOTIATED',
      message: /net\.sctp\.addip_enable.*net\.sctp\.auth_enable/,
    });
  }
  assert.deepEqual([...client.localAddresses].sort(), HERE.slice(0, 2));
});

/** Both ends with ASCONF, as the sysctls allow it. */
async function changeable(t) {
  sysctl('addip_enable', 1);
  sysctl('addip_noauth_enable', 1);
  t.after(() => {
    sysctl('addip_enable', 0);
    sysctl('addip_noauth_enable', 0);
  });
  const ends = await twoPaths(t);
  await confirmed(ends.client);
  return ends;
}

test('addLocalAddress() and removeLocalAddress() tell the peer', async (t) => {
  const { client, peer } = await changeable(t);
  const changes = [];
  peer.on('address-change', (change) => changes.push(change));
  const seen = (address, state) =>
    until(() =>
      changes.some((c) => c.address === address && c.state === state),
    );
  client.addLocalAddress(HERE[2]);
  await seen(HERE[2], 'SCTP_ADDR_ADDED');
  assert.deepEqual([...client.localAddresses].sort(), HERE);
  await until(() => peer.remoteAddresses.includes(HERE[2]));
  client.removeLocalAddress(HERE[1]);
  await seen(HERE[1], 'SCTP_ADDR_REMOVED');
  assert.ok(!peer.remoteAddresses.includes(HERE[1]));
  assert.throws(() => client.addLocalAddress('10.77.0.99'), {
    code: 'EADDRNOTAVAIL',
    message: 'bindx EADDRNOTAVAIL 10.77.0.99',
  });
  client.write('still here');
  const [data] = await messages(peer, 1);
  assert.equal(String(data), 'still here');
});

test('setPeerPrimary() makes the peer send to another address', async (t) => {
  const { client, peer } = await changeable(t);
  const other = HERE.slice(0, 2).find((address) => address !== primary(peer));
  client.setPeerPrimary(other);
  await until(() => primary(peer) === other);
});

test('addLocalAddress() of a server is for associations to come', async (t) => {
  const server = await t.listen({ localAddresses: [THERE[0]] });
  const { port } = server.address();
  assert.equal(server.addLocalAddress(THERE[1]), server);
  assert.deepEqual(
    server
      .getLocalAddresses()
      .map(({ address }) => address)
      .sort(),
    THERE.slice(0, 2),
  );
  const client = t.connect({ host: THERE[1], port });
  await once(client, 'connect');
  server.removeLocalAddress(THERE[0]);
  assert.deepEqual(
    server.getLocalAddresses().map(({ address }) => address),
    [THERE[1]],
  );
  server.close();
  assert.throws(() => server.addLocalAddress(THERE[0]), {
    code: 'ERR_SERVER_NOT_RUNNING',
  });
});

test('from Linux 5.11 on, udpEncapsulation sends packets in UDP', async (t) => {
  if (!ENCAPSULATES) {
    const [error] = await once(
      t.connect({ host: THERE[0], port: 9, udpEncapsulation: 9899 }),
      'error',
    );
    assert.equal(error.code, 'ENOPROTOOPT');
    return;
  }
  sysctl('udp_port', 9899);
  t.after(() => sysctl('udp_port', 0));
  const wire = await sniff(t, 'lo');
  const { client, peer } = await pair(
    t,
    { host: THERE[0] },
    { host: THERE[0], udpEncapsulation: 9899 },
  );
  client.write('in UDP');
  const [data] = await messages(peer, 1);
  assert.equal(String(data), 'in UDP');
  peer.write('back');
  await messages(client, 1);
  await until(() => wire.datagrams().some((bytes) => bytes.includes('back')));
  assert.deepEqual(wire.packets(), []); // none of them is plain SCTP
});
