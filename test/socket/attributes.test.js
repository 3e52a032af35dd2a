'use strict';

// Attributes that only send() takes, and messages that were not delivered.

const assert = require('node:assert/strict');
const { once } = require('node:events');
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

test('a message whose lifetime has ended is undelivered, with its attributes', async (t) => {
  const { client, peer } = await pair(t);
  const returned = once(client, 'undelivered');
  peer.pause();
  // The receiver's window closes; what comes after waits in the sender.
  const big = Buffer.alloc(client.maxSendSize / 8);
  let sent = 0;
  for (; sent < 5; sent++) client.write(big);
  client.send('late', {
    sid: 2,
    ppid: 9,
    ttl: 1,
    context: 77,
    unordered: false,
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  client.write('after');
  peer.resume();
  const [message] = await returned;
  assert.deepEqual(message, {
    data: Buffer.from('late'),
    sid: 2,
    ppid: 9,
    unordered: false,
    context: 77,
    sent: false,
  });
});

test('messages that an abort has lost are undelivered before the error', async (t) => {
  const { client, peer } = await pair(t);
  peer.pause();
  // Both windows fill: one message has left in part, others wait behind it.
  const size = client.maxSendSize / 4;
  for (let i = 0; client.writableLength === 0; i++) {
    client.send(Buffer.alloc(size, i), { sid: i % 3, unordered: i % 2 === 1 });
  }
  const events = [];
  client.on('undelivered', ({ data, sid, unordered, sent }) => {
    const i = data[0];
    assert.ok(data.equals(Buffer.alloc(size, i)));
    assert.deepEqual(
      { sid, unordered },
      { sid: i % 3, unordered: i % 2 === 1 },
    );
    events.push(sent);
  });
  client.on('error', ({ code }) => events.push(code));
  const ended = ending(client.resume());
  peer.destroy();
  await ended;
  assert.equal(events.pop(), 'ECONNRESET');
  assert.ok(events.includes(true), 'none had left');
  assert.ok(events.includes(false), 'all had left');
  assert.ok(events.every((sent) => typeof sent === 'boolean'));
});

/** Loses all packets from now on, until the function that it returns is called. */
function loseAll(t) {
  run('tc qdisc add dev lo root netem loss 100%');
  t.after(() => run('tc qdisc del dev lo root'));
  return () => run('tc qdisc change dev lo root netem loss 0%');
}

/** Messages that the kernel has dropped by a policy of PR-SCTP. */
function abandoned(socket, sprstat_policy) {
  const { sprstat_abandoned_sent: sent, sprstat_abandoned_unsent: unsent } =
    socket.getOption('SCTP_PR_ASSOC_STATUS', { sprstat_policy });
  return sent + unsent;
}

test('maxRetransmits drops a message that is lost on its way so often', async (t) => {
  const RTX = 0x20;
  const { client, peer } = await pair(
    t,
    {},
    { rto: { initial: 100, min: 50, max: 100 }, assocMaxRetrans: 100 },
  );
  const heal = loseAll(t);
  let dropped = 0;
  for (const maxRetransmits of [0, 3]) {
    const before = client.stats().rtxchunks;
    client.send('lost', { maxRetransmits });
    dropped++;
    await until(() => abandoned(client, RTX) === dropped);
    assert.equal(client.stats().rtxchunks - before, maxRetransmits);
  }
  heal();
  client.write('after');
  const [data] = await messages(peer, 1);
  assert.equal(String(data), 'after');
});

test('priority drops less urgent messages when the send buffer is full', async (t) => {
  const PRIORITY = 0x30;
  const { client, peer } = await pair(t, {}, { sendBufferSize: 200_000 });
  const returned = [];
  client.on('undelivered', ({ context }) => returned.push(context));
  const heal = loseAll(t);
  // They leave less of the buffer than half, and the next one needs half.
  const size = client.maxSendSize / 8;
  for (let i = 0; i < 4; i++) {
    client.send(Buffer.alloc(size), { priority: 100, context: 100 });
  }
  client.send(Buffer.alloc(4 * size, 'urgent'), { priority: 1, context: 1 });
  assert.equal(client.writableLength, 0, 'a message has to wait');
  await until(() => returned.length > 0);
  assert.ok(abandoned(client, PRIORITY) > 0);
  assert.ok(returned.every((context) => context === 100));
  heal();
  const received = [];
  peer.on('data', (data) => received.push(data));
  await until(() => received.some((data) => data.length === 4 * size));
});

test('sackImmediately asks for it on the wire', async (t) => {
  const { client, peer } = await pair(t);
  const wire = await sniff(t, 'lo');
  client.write('a');
  client.send('b', { sackImmediately: true });
  await messages(peer, 2);
  const I = 8; // RFC 7053
  const flags = () =>
    wire
      .packets()
      .flatMap(({ chunks }) => chunks)
      .filter(({ type }) => type === 0)
      .map((chunk) => chunk.flags & I);
  await until(() => flags().length === 2);
  assert.deepEqual(flags(), [0, I]);
});

test('wrong attributes throw, and nothing is sent', async (t) => {
  const { client, peer } = await pair(t);
  for (const [attributes, code] of [
    [{ context: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ maxRetransmits: '1' }, 'ERR_INVALID_ARG_TYPE'],
    [{ priority: 2 ** 32 }, 'ERR_OUT_OF_RANGE'],
    [{ sackImmediately: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ address: 'x' }, 'ERR_INVALID_ARG_VALUE'],
    [{ address: '' }, 'ERR_INVALID_ARG_VALUE'],
    [{ ttl: 5, maxRetransmits: 0 }, 'ERR_INVALID_ARG_VALUE'],
    [{ priority: 0, maxRetransmits: 1 }, 'ERR_INVALID_ARG_VALUE'],
    [{ retransmits: 1 }, 'ERR_INVALID_ARG_VALUE'],
  ]) {
    assert.throws(() => client.send('x', attributes), { code });
  }
  client.write('only this');
  const [data] = await messages(peer, 1);
  assert.equal(String(data), 'only this');
});

test('properties of a Buffer with such names mean nothing', async (t) => {
  const { client, peer } = await pair(t);
  const data = Object.assign(Buffer.from('x'), {
    context: {},
    priority: 'high',
    address: 7,
  });
  client.write(data);
  client.send(data);
  assert.equal((await messages(peer, 2)).length, 2);
});

test('abort() aborts; with a reason it throws and says why', async (t) => {
  const { client, peer } = await pair(t);
  assert.throws(() => client.abort('because'), {
    code: 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM',
    message: /Linux sends a reason only from one-to-many sockets/,
  });
  assert.equal(client.abort(), client);
  const [error] = await once(peer, 'error');
  assert.equal(error.code, 'ECONNRESET');
});
