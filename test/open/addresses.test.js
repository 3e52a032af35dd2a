'use strict';

const assert = require('node:assert/strict');
const { collector, enterOwnNetwork, run, test, until } = require('../helpers');

enterOwnNetwork(__filename);
run('ip link set lo up');
run('ip link add dummy0 type dummy');
run('ip addr add 10.9.0.1/24 dev dummy0');
run('ip addr add 10.9.0.2/24 dev dummy0');
run('ip addr add fd00::1/64 dev dummy0 nodad');
run('ip addr add fe80::1/64 dev dummy0 nodad');
run('ip addr add fe80::2/64 dev dummy0 nodad');
run('ip link set dummy0 up');

test('address() tells address, family and port of an IPv4 endpoint', (t) => {
  const { address, family, port } = t.open().address();
  assert.deepEqual([address, family], ['127.0.0.1', 'IPv4']);
  assert.ok(port > 0);
});

test('address() tells address, family and port of an IPv6 endpoint', (t) => {
  const { address, family, port } = t.open(() => {}, { host: '::1' }).address();
  assert.deepEqual([address, family], ['::1', 'IPv6']);
  assert.ok(port > 0);
});

test('address() tells a link-local address with its interface', (t) => {
  const handle = t.open(() => {}, { host: 'fe80::1%dummy0' });
  assert.equal(handle.address().address, 'fe80::1%dummy0');
});

test('address() tells the port that was asked for', async (t) => {
  const { port } = t.open().address();
  const same = t.open(() => {}, { host: '127.0.0.2', port });
  assert.equal(same.address().port, port);
});

for (const [host, to] of [
  ['127.0.0.1', '::1'],
  ['0.0.0.0', 'fd00::1'],
  ['::1', '127.0.0.1'],
  ['fd00::1', '::ffff:10.9.0.1'],
]) {
  test(`an endpoint bound to ${host} refuses to send to ${to}`, (t) => {
    const handle = t.open(() => {}, { host });
    assert.throws(() => handle.send(Buffer.from('x'), to, 9), {
      message: `send EAFNOSUPPORT ${to}:9`,
      code: 'EAFNOSUPPORT',
      errno: -97,
      syscall: 'send',
      address: to,
      port: 9,
    });
  });
}

/** [bound here, bound there, sent to, seen here as, seen there as] */
for (const [here, there, to, seenHere, seenThere] of [
  ['10.9.0.1', '10.9.0.2', '10.9.0.2', '10.9.0.2', '10.9.0.1'],
  ['::1', '::1', '::1', '::1', '::1'],
  ['fd00::1', '::', 'fd00::1', 'fd00::1', 'fd00::1'],
  ['10.9.0.1', '::', '10.9.0.2', '10.9.0.2', '10.9.0.1'],
  ['::', '10.9.0.2', '10.9.0.2', '10.9.0.2', '10.9.0.1'],
  ['::', '10.9.0.2', '::ffff:10.9.0.2', '10.9.0.2', '10.9.0.1'],
  ['10.9.0.1', '10.9.0.2', '::ffff:10.9.0.2', '10.9.0.2', '10.9.0.1'],
  ['::ffff:10.9.0.1', '10.9.0.2', '10.9.0.2', '10.9.0.2', '10.9.0.1'],
  [
    'fe80::1%dummy0',
    'fe80::2%dummy0',
    'fe80::2%dummy0',
    'fe80::2%dummy0',
    'fe80::1%dummy0',
  ],
  [
    'fe80::1%dummy0',
    '::',
    'fe80::2%dummy0',
    'fe80::2%dummy0',
    'fe80::1%dummy0',
  ],
]) {
  test(`${here} and ${there} by way of ${to}: what is reported can be replied to`, async (t) => {
    const client = collector(t, { host: here });
    const server = collector(t, { host: there });
    for (let round = 1; round <= 3; round++) {
      client.handle.send(Buffer.from('ask'), to, server.port);
      await until(() => server.received.length === round);
      const [, host, port] = server.received.at(-1);
      assert.deepEqual([host, port], [seenThere, client.port]);
      server.handle.send(Buffer.from('answer'), host, port);
      await until(() => client.received.length === round);
      assert.deepEqual(client.received.at(-1), [
        Buffer.from('answer'),
        seenHere,
        server.port,
      ]);
    }
  });
}

test('the scope may be given as a number', async (t) => {
  const index = run('cat /sys/class/net/dummy0/ifindex').trim();
  const { handle, received, port } = collector(t, { host: 'fe80::1%dummy0' });
  handle.send(Buffer.from('x'), `fe80::1%${index}`, port);
  await until(() => received.length);
  assert.deepEqual(received[0].slice(1), ['fe80::1%dummy0', port]);
});

test('one peer has one name, whichever address it was sent to by', async (t) => {
  const server = collector(t, { host: '0.0.0.0' });
  const client = collector(t, { host: '10.9.0.1' });
  client.handle.send(Buffer.from('1'), '10.9.0.2', server.port);
  await until(() => server.received.length === 1);
  client.handle.send(Buffer.from('2'), '10.9.0.1', server.port);
  await until(() => server.received.length === 2);
  const [, host, port] = server.received[0];
  for (let i = 0; i < 2; i++) server.handle.send(Buffer.from('r'), host, port);
  await until(() => client.received.length === 2);
  for (const [, from] of client.received) assert.equal(from, '10.9.0.2');
});
