'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const {
  associations,
  collector,
  enterOwnNetwork,
  run,
  sendAll,
  test,
  until,
} = require('../helpers');

enterOwnNetwork(__filename);
run('ip link set lo up');
// Whatever stays unacknowledged is sent again for as long as a test needs.
fs.writeFileSync('/proc/sys/net/sctp/association_max_retrans', '1000');

const numbered = (count) =>
  Array.from({ length: count }, (_, i) => {
    const message = Buffer.alloc(1000);
    message.writeUInt32BE(i);
    return message;
  });

/** Whether all that was sent has arrived and been read, or is given up. */
const settled = () =>
  associations().every((a) => a.unacknowledged === 0 && a.unread === 0);

const numbers = (received) =>
  received.map(([data]) => data.readUInt32BE()).sort((a, b) => a - b);

test('the first messages to new peers all arrive, also when a peer was closed and reopened', async (t) => {
  run('tc qdisc add dev lo root netem delay 50ms');
  t.after(() => run('tc qdisc del dev lo root'));
  const messages = numbered(100);
  const expected = [...messages.keys()];
  const sender = t.open();
  const options = (i, port) => ({ host: `127.0.1.${i}`, port });

  let peers = [1, 2, 3, 4, 5].map((i) => collector(t, options(i)));
  const ports = peers.map(({ port }) => port);
  for (let round = 0; round < 2; round++) {
    for (const [i, port] of ports.entries()) {
      await sendAll(sender, messages, `127.0.1.${i + 1}`, port);
    }
    await until(settled);
    for (const { received } of peers) {
      assert.deepEqual(numbers(received), expected);
    }
    if (round === 1) break;
    for (const { handle } of peers) handle.close();
    peers = ports.map((port, i) => collector(t, options(i + 1, port)));
    // The new sockets must not meet the old associations, which are closing.
    await until(() => associations().length === 0);
  }
});

test('what could not be sent for 30 seconds is dropped', async (t) => {
  const { received, port } = collector(t);
  const sender = t.open();
  const send = (text) => sender.send(Buffer.from(text), '127.0.0.1', port);
  send('before');
  await until(() => received.length === 1);

  run('tc qdisc add dev lo root netem loss 100%');
  send('expires');
  await new Promise((resolve) => setTimeout(resolve, 31_000));
  send('fresh');
  run('tc qdisc del dev lo root');
  await until(() => received.length === 2);
  await until(settled);
  assert.deepEqual(
    received.map(([data]) => String(data)),
    ['before', 'fresh'],
  );
});
