'use strict';

// I-DATA chunks and the schedulers that need them (RFC 8260).

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const {
  ending,
  enterOwnNetwork,
  holdBack,
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

/**
 * A pair whose receiver reads each piece of a message as it comes. What is lost is
 * soon sent again, but nothing that an acknowledgement is only late for.
 */
async function pairInPieces(t) {
  enable(true);
  const options = {
    ...interleaved,
    rto: { initial: 1000, min: 1000, max: 1000 },
    sack: { freq: 1 },
    streamReset: true,
    recvBufferSize: 4 * 1024 * 1024,
  };
  const { client, peer } = await pair(t, options, options);
  peer.setOption('SCTP_PARTIAL_DELIVERY_POINT', { value: 1000 });
  return { client, peer };
}

/**
 * Holds back what the client sends after 30,000 bytes. Acknowledgements come late:
 * before the first of two messages has left, the second one is there, too.
 */
function holdBackBoth(t, client) {
  const line = holdBack(t, client.localPort, 30_000);
  run('tc qdisc add dev lo parent 1:2 netem delay 20ms');
  return line;
}

test('messages of two streams that are received in alternate pieces arrive whole', async (t) => {
  const { client, peer } = await pairInPieces(t);
  const line = holdBackBoth(t, client);
  const sent = [long('one', 40_000), long('two', 40_001)];
  client.send(sent[0], { sid: 1 });
  client.send(sent[1], { sid: 2 });
  const arrived = messages(peer, 2);
  await line.halfArrived(peer.localPort);
  line.release();
  for (const message of await arrived) {
    assert.ok(message.equals(sent[message.sid - 1]));
  }
});

for (const [what, unordered, size] of [
  ['an ordered', false, 20_000],
  ['an unordered', true, 20_000],
  // Longer than the addon receives at once; as a whole where windows are so large.
  ['an unordered', true, 300_000],
]) {
  test(`an unordered message of ${size} bytes overtakes the rest of ${what} one of its stream`, async (t) => {
    const { client, peer } = await pairInPieces(t);
    const line = holdBack(t, client.localPort, 30_000);
    const sent = [long('overtaken', 31_000), long('overtakes', size)];
    client.send(sent[0], { sid: 1, ppid: 0, unordered });
    const arrived = messages(peer, 2);
    await line.halfArrived(peer.localPort);
    line.lose();
    client.send(sent[1], { sid: 1, ppid: 1, unordered: true });
    for (const message of await arrived) {
      assert.ok(message.equals(sent[message.ppid]));
      assert.equal(message.unordered, unordered || message.ppid === 1);
    }
  });
}

test('an unordered message that was lost comes amid the pieces of the next one of its stream', async (t) => {
  const { client, peer } = await pairInPieces(t);
  const sent = [Buffer.from('lost at first'), long('next', 40_000)];
  const arrived = messages(peer, 2);
  run('tc qdisc add dev lo root netem loss 100%');
  client.send(sent[0], { sid: 1, ppid: 0, unordered: true });
  run('tc qdisc del dev lo root');
  slowDown(t, '1mbit');
  client.send(sent[1], { sid: 1, ppid: 1, unordered: true });
  for (const message of await arrived) {
    assert.ok(message.equals(sent[message.ppid]));
  }
});

for (const unordered of [false, true]) {
  const what = unordered ? 'an unordered message' : 'a message';
  test(`${what} that is abandoned in the middle leaves that of another stream as it is`, async (t) => {
    const { client, peer } = await pairInPieces(t);
    const line = holdBackBoth(t, client);
    const attributes = { sid: 1, unordered };
    client.send(long('abandoned', 40_000), {
      ...attributes,
      maxRetransmits: 1,
    });
    client.send(long('kept', 40_000), { sid: 2 });
    const arrived = messages(peer, 2);
    await line.halfArrived(peer.localPort);
    line.lose();
    client.send('next', attributes);
    const [next, kept] = (await arrived).sort((a, b) => a.sid - b.sid);
    assert.equal(String(next), 'next');
    assert.ok(kept.equals(long('kept', 40_000)));
  });
}

test('after a reset of its stream, nothing is left of an unordered message that was abandoned', async (t) => {
  const { client, peer } = await pairInPieces(t);
  const line = holdBackBoth(t, client);
  const attributes = { sid: 1, unordered: true };
  client.send(long('abandoned', 40_000), { ...attributes, maxRetransmits: 1 });
  client.send(long('kept', 40_000), { sid: 2 });
  const kept = messages(peer, 1);
  await line.halfArrived(peer.localPort);
  line.lose();
  await kept;
  await until(() => client.status().unackdata === 0);
  await client.resetStreams({ outgoing: [1] });
  const next = messages(peer, 1);
  client.send('next', attributes); // its number is that of the abandoned one
  assert.equal(String((await next)[0]), 'next');
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

test('on a big-endian CPU, interleaving throws and says why', (t) => {
  t.mock.method(os, 'endianness', () => 'BE');
  assert.throws(() => t.connect({ port: 9, interleaving: true }), {
    code: 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM',
    message: /options\.interleaving .*big-endian/,
  });
});

const [major, minor] = os.release().split('.').map(Number);
const SINCE_6_4 = major > 6 || (major === 6 && minor >= 4);

/** Sends messages of two streams and returns the order in which they arrived. */
async function order(t, scheduler, [one, two], priorities = []) {
  const { client, peer } = await pair(t, {}, { scheduler });
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

if (SINCE_6_4) {
  test("the scheduler 'fair' shares the bytes", async (t) => {
    slowDown(t, '4mbit');
    // 20,000 bytes of stream 2, and as many of stream 1. Linux counts only the last
    // piece of a message, so that these go in one.
    const sids = await order(t, 'fair', [
      { count: 60, size: 1400 },
      { count: 100, size: 200 },
    ]);
    assert.ok(overtaken(sids) <= 45, `${overtaken(sids)}: ${sids}`);
  });

  test("the scheduler 'weighted' shares the bytes by weight", async (t) => {
    slowDown(t, '4mbit');
    const sizes = [
      { count: 60, size: 1400 },
      { count: 30, size: 1400 },
    ];
    const less = overtaken(await order(t, 'weighted', sizes, [1, 3]));
    const more = overtaken(await order(t, 'weighted', sizes, [3, 1]));
    assert.ok(more - less > 15, `${less} with 1 to 3, ${more} with 3 to 1`);
  });
}

for (const scheduler of SINCE_6_4 ? [] : ['fair', 'weighted']) {
  test(`the scheduler '${scheduler}' fails before Linux 6.4, with its option's name`, async (t) => {
    const [error] = await once(t.connect({ port: 9, scheduler }), 'error');
    assert.equal(error.code, 'EINVAL');
    assert.match(error.message, /SCTP_STREAM_SCHEDULER/);
  });
}
