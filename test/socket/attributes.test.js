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

/** Fills the windows of both ends, so that what follows has to wait. */
async function full(client, peer) {
  peer.pause();
  const message = Buffer.alloc(client.maxSendSize / 4);
  let count = 0;
  do {
    client.write(message);
    count++;
  } while (client.writableLength === 0);
  return { count };
}

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
  await full(client, peer);
  const order = [];
  let bytes = 0;
  client.on('undelivered', ({ data }) => {
    bytes += data.length;
    order.push('undelivered');
  });
  client.on('error', ({ code }) => order.push(code));
  const ended = ending(client.resume());
  peer.destroy();
  await ended;
  assert.ok(bytes > 0);
  assert.equal(order.lastIndexOf('undelivered') < order.length - 1, true);
  assert.equal(order.at(-1), 'ECONNRESET');
  assert.equal(bytes % (client.maxSendSize / 4), 0); // whole messages
});

test('maxRetransmits drops a message that is lost on its way', async (t) => {
  const { client, peer } = await pair(
    t,
    {},
    { rto: { initial: 100, min: 50 } },
  );
  run('tc qdisc add dev lo root netem loss 100%');
  t.after(() => run('tc qdisc del dev lo root'));
  client.send('lost', { maxRetransmits: 0 });
  const abandoned = () => {
    const status = client.getOption('SCTP_PR_ASSOC_STATUS', {
      sprstat_policy: 0x20,
    });
    return status.sprstat_abandoned_sent + status.sprstat_abandoned_unsent;
  };
  await until(() => abandoned() === 1);
  run('tc qdisc change dev lo root netem loss 0%');
  client.write('after');
  const [data] = await messages(peer, 1);
  assert.equal(String(data), 'after');
});

test('priority drops a less urgent message when the send buffer is full', async (t) => {
  const { client, peer } = await pair(t);
  peer.pause();
  const returned = [];
  client.on('undelivered', (message) => returned.push(message));
  const message = () => Buffer.alloc(client.maxSendSize / 8);
  for (let i = 0; i < 40 && client.writableLength === 0; i++) {
    client.send(message(), { priority: 100, context: 100 });
  }
  client.send('urgent', { priority: 1, context: 1 });
  peer.resume();
  const received = [];
  peer.on('data', (data) => received.push(data));
  await until(() => received.some((data) => String(data) === 'urgent'));
  const status = client.getOption('SCTP_PR_ASSOC_STATUS', {
    sprstat_policy: 0x30,
  });
  assert.equal(
    Math.sign(status.sprstat_abandoned_unsent),
    Math.sign(returned.length),
  );
  assert.ok(returned.every(({ context }) => context === 100));
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
    [{ ttl: 5, maxRetransmits: 1 }, 'ERR_INVALID_ARG_VALUE'],
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
