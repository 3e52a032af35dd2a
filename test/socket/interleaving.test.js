'use strict';

// I-DATA chunks and the schedulers that need them (RFC 8260).

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const {
  ending,
  enterOwnNetwork,
  messages,
  pair,
  run,
  test,
  until,
} = require('../helpers');
const { sniff } = require('../helpers/pcap');

enterOwnNetwork(__filename);
run('ip link set lo mtu 1500 up');

const DATA = 0;
const I_DATA = 64;

const enable = (on) =>
  fs.writeFileSync('/proc/sys/net/sctp/intl_enable', on ? '1' : '0');

const interleaved = { interleaving: true, scheduler: 'round-robin' };

/** Makes lo so slow that messages wait in their queues. */
function slowDown(t, rate) {
  run(`tc qdisc add dev lo root tbf rate ${rate} burst 10kb limit 10mb`);
  t.after(() => run('tc qdisc del dev lo root'));
}

const isNegotiated = (socket) =>
  socket.getOption('SCTP_INTERLEAVING_SUPPORTED').assoc_value === 1;

/**
 * Different bytes in each message, so that mixed pieces show. Two of them fit into
 * any send buffer: what waits in front of it is sent in order.
 */
const long = (fill, size = 50_000) => Buffer.alloc(size, `${fill} `);

test('with interleaving, a short message overtakes a long one of another stream', async (t) => {
  enable(true);
  const { client, peer } = await pair(t, interleaved, interleaved);
  assert.ok(isNegotiated(client) && isNegotiated(peer));
  const wire = await sniff(t, 'lo');
  slowDown(t, '4mbit');
  client.send(long('one'), { sid: 1 });
  client.send('short', { sid: 2 });
  const [first, second] = await messages(peer, 2);
  assert.equal(String(first), 'short');
  assert.equal(first.sid, 2);
  assert.ok(second.equals(long('one')));
  const types = () =>
    wire.packets().flatMap(({ chunks }) => chunks.map(({ type }) => type));
  await until(() => types().includes(I_DATA));
  assert.ok(!types().includes(DATA));
});

test('without interleaving, the long message is sent first', async (t) => {
  enable(true);
  const options = { scheduler: 'round-robin' };
  const { client, peer } = await pair(t, options, options);
  assert.ok(!isNegotiated(client));
  slowDown(t, '4mbit');
  client.send(long('one'), { sid: 1 });
  client.send('short', { sid: 2 });
  const [first] = await messages(peer, 2);
  assert.ok(first.equals(long('one')));
});

test('messages that are received in pieces of several streams arrive whole', async (t) => {
  enable(true);
  const { client, peer } = await pair(
    t,
    { ...interleaved, recvBufferSize: 100_000 },
    interleaved,
  );
  // Each is longer than the receive buffer. Some are of one stream, but unordered.
  const sent = [];
  for (let i = 0; i < 8; i++) {
    const sid = i % 4;
    const message = long(`message ${i}`, 250_000 + i);
    sent.push(message);
    client.send(message, { sid, unordered: i >= 4, ppid: i });
  }
  const received = await messages(peer, 8);
  for (const message of received) {
    assert.ok(message.equals(sent[message.ppid]), `message ${message.ppid}`);
    assert.equal(message.sid, message.ppid % 4);
    assert.equal(message.unordered, message.ppid >= 4);
  }
});

test('a message of one stream that is too long ends the socket with EMSGSIZE', async (t) => {
  enable(true);
  const { client, peer } = await pair(
    t,
    { ...interleaved, maxMessageSize: 100_000 },
    interleaved,
  );
  client.on('error', () => {});
  const ended = ending(peer);
  peer.resume();
  client.send(long('fits', 100_000), { sid: 1 });
  client.send(long('does not', 100_001), { sid: 2 });
  assert.deepEqual(await ended, ['EMSGSIZE', 'close']);
});

test('a peer without interleaving gets its messages as ever', async (t) => {
  enable(true);
  const { client, peer } = await pair(t, {}, interleaved);
  assert.ok(!isNegotiated(client) && !isNegotiated(peer));
  client.send(long('one'), { sid: 1 });
  const [data] = await messages(peer, 1);
  assert.ok(data.equals(long('one')));
});

test('interleaving without the sysctl fails and names it', async (t) => {
  enable(false);
  const socket = t.connect({ port: 9, interleaving: true });
  const [error] = await once(socket, 'error');
  assert.equal(error.code, 'EPERM');
  assert.match(
    error.message,
    /SCTP_INTERLEAVING_SUPPORTED: it needs the sysctl net\.sctp\.intl_enable/,
  );
});

const [major, minor] = os.release().split('.').map(Number);
const SINCE_6_4 = major > 6 || (major === 6 && minor >= 4);

/** Sends messages of two streams and returns the order in which they arrived. */
async function order(t, scheduler, [one, two], priorities) {
  const { client, peer } = await pair(t, {}, { scheduler });
  slowDown(t, '4mbit');
  priorities.forEach((value, i) => {
    client.setStreamPriority(i + 1, value);
  });
  for (let i = 0; i < one.count; i++) {
    client.send(Buffer.alloc(one.size), { sid: 1 });
  }
  for (let i = 0; i < two.count; i++) {
    client.send(Buffer.alloc(two.size), { sid: 2 });
  }
  const received = await messages(peer, one.count + two.count);
  return received.map(({ sid }) => sid);
}

/** Messages of stream 1 that came before the last one of stream 2. */
const overtaken = (sids) =>
  sids.slice(0, sids.lastIndexOf(2)).filter((sid) => sid === 1).length;

for (const [scheduler, sizes, priorities, most] of [
  // 20,000 bytes of stream 2, and as many of stream 1. Linux counts only the last
  // piece of a message, so that these go in one.
  [
    'fair',
    [
      { count: 60, size: 1400 },
      { count: 100, size: 200 },
    ],
    [],
    45,
  ],
  // Three times as many of stream 2.
  [
    'weighted',
    [
      { count: 60, size: 1400 },
      { count: 30, size: 1400 },
    ],
    [1, 3],
    35,
  ],
]) {
  if (SINCE_6_4) {
    test(`the scheduler '${scheduler}' shares the bytes`, async (t) => {
      const sids = await order(t, scheduler, sizes, priorities);
      assert.ok(overtaken(sids) <= most, `${overtaken(sids)}: ${sids}`);
    });
  } else {
    test(`the scheduler '${scheduler}' fails before Linux 6.4, with its option's name`, async (t) => {
      const [error] = await once(t.connect({ port: 9, scheduler }), 'error');
      assert.equal(error.code, 'EINVAL');
      assert.match(error.message, /SCTP_STREAM_SCHEDULER/);
    });
  }
}
