'use strict';

const assert = require('node:assert/strict');
const { after } = require('node:test');
const { enterOwnNetwork, isFull, run, test, until } = require('../helpers');
const report = require('./programs/table');

enterOwnNetwork(__filename);
run('ip link set lo mtu 1500 up');
run('tc qdisc add dev lo root handle 1: prio');
run('tc qdisc add dev lo parent 1:3 handle 30: netem loss 100%');
after(report.print);

const ALIVE = 7;
const DEAD = 3;
const MESSAGES = 3000; // to each
const ROUNDS = 5;
const message = Buffer.alloc(1000, 'x');

const host = (i) => `127.0.1.${i}`;

/** Drops all that goes to or comes from the dead, from now on. */
function vanish() {
  for (let i = ALIVE + 1; i <= ALIVE + DEAD; i++) {
    for (const side of ['src', 'dst']) {
      run(
        'tc filter add dev lo parent 1: protocol ip prio 1 u32 ' +
          `match ip ${side} ${host(i)} flowid 1:3`,
      );
    }
  }
}

/** Peers that have answered, and what they have received. */
async function acquainted(t, sender, count) {
  const peers = Array.from({ length: count }, (_, i) => {
    const peer = { host: host(i + 1), received: 0 };
    peer.handle = t.open(() => peer.received++, { host: peer.host });
    peer.port = peer.handle.address().port;
    sender.send(message, peer.host, peer.port);
    return peer;
  });
  await until(() => peers.every((peer) => peer.received === 1));
  for (const peer of peers) peer.received = 0;
  return peers;
}

/**
 * The rate of a caller who sends to all peers in turn, whatever came of it
 * before, until those alive have got what was meant for them: messages that
 * these received for each ms of the process's CPU time. It never waits, so that
 * other load on the machine has no say.
 */
async function rate(t, count, faults) {
  const sender = t.open(() => {}, { host: '0.0.0.0' });
  const peers = await acquainted(t, sender, count);
  const alive = peers.slice(0, ALIVE);
  if (count > ALIVE) vanish();
  const received = () => alive.reduce((sum, peer) => sum + peer.received, 0);
  const start = process.cpuUsage();
  while (received() < ALIVE * MESSAGES) {
    for (let i = 0; i < 4; i++) {
      for (const peer of peers) {
        try {
          sender.send(message, peer.host, peer.port);
        } catch (error) {
          assert.ok(isFull(error), error);
          faults[error.code] = (faults[error.code] ?? 0) + 1;
        }
      }
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { user, system } = process.cpuUsage(start);
  const result = received() / ((user + system) / 1000);
  if (count > ALIVE) run('tc filter del dev lo parent 1: prio 1');
  sender.close();
  for (const peer of peers) peer.handle.close();
  return result;
}

test(`${DEAD} peers that vanish leave ${ALIVE} others at least 80 % of their rate, whatever the caller ignores`, async (t) => {
  const faults = {};
  const ratios = [];
  for (let round = 0; round < ROUNDS; round++) {
    const without = await rate(t, ALIVE, {});
    ratios.push((await rate(t, ALIVE + DEAD, faults)) / without);
  }
  // The control is in the same round.
  ratios.sort((a, b) => a - b);
  const ratio = ratios[ROUNDS >> 1];
  report.row({
    fault: `${DEAD} of ${ALIVE + DEAD} peers vanish, a caller ignores it`,
    how: `netem loss 100%; the others keep ${(100 * ratio).toFixed()} % of their rate`,
    sent: 2 * ROUNDS * ALIVE * MESSAGES,
    once: 2 * ROUNDS * ALIVE * MESSAGES,
    twice: 0,
    lost: 0,
    errors: faults,
  });
  assert.ok(faults.ERR_SCTP_PEER_BUSY > 0);
  assert.ok(ratio >= 0.8, JSON.stringify(ratios));
});
