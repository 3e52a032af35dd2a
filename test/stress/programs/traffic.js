'use strict';

const { createHash, randomBytes } = require('node:crypto');
const { setTimeout: wait } = require('node:timers/promises');

const pool = randomBytes(128 * 1024);
let serial = 0;

/** A message unlike any other, where it is long enough for that. */
function payload(size) {
  const from = (serial * 101) % (pool.length - size);
  const data = Buffer.from(pool.subarray(from, from + size));
  if (size >= 4) data.writeUInt32BE(serial);
  serial++;
  return data;
}

/** Counts messages as they are sent and as they arrive, by their contents. */
class Tally {
  sent = 0;
  once = 0;
  twice = 0;
  /** Arrived, but never sent. */
  foreign = 0;
  misordered = 0;
  #onTheirWay = new Map();
  #order = [];

  #key(data) {
    return createHash('sha1').update(data).digest('latin1');
  }

  get lost() {
    return this.sent - this.once;
  }

  /** Notes a message as sent and returns it. */
  send(data) {
    const key = this.#key(data);
    this.#onTheirWay.set(key, (this.#onTheirWay.get(key) ?? 0) + 1);
    this.#order.push(key);
    this.sent++;
    return data;
  }

  arrive(data) {
    const key = this.#key(data);
    if (key !== this.#order[this.once + this.twice + this.foreign]) {
      this.misordered++;
    }
    const count = this.#onTheirWay.get(key);
    if (count === undefined) this.foreign++;
    else if (count === 0) this.twice++;
    else {
      this.#onTheirWay.set(key, count - 1);
      this.once++;
    }
  }
}

const draining = new WeakMap();

/** When a handle can send again; any number of senders may wait for it. */
function drained(handle) {
  if (!draining.has(handle)) {
    const drain = new Promise((resolve) => {
      handle.onDrain = () => {
        draining.delete(handle);
        resolve();
      };
    });
    draining.set(handle, drain);
  }
  return draining.get(handle);
}

/** Errors of an association that has just ended, or of a link that is down. */
const passing = [
  'ESHUTDOWN',
  'EADDRNOTAVAIL',
  'ENETUNREACH',
  'EHOSTUNREACH',
  // Said once, of messages that a dead peer did not get.
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
];

/** Sends by open(), again until the kernel takes it; reports what it met. */
async function deliver(handle, data, host, port, onError = () => {}) {
  for (;;) {
    try {
      return handle.send(data, host, port);
    } catch (error) {
      const { code } = error;
      if (code === 'EAGAIN' || code === 'ERR_SCTP_PEER_BUSY') {
        await drained(handle);
      } else if (code === 'ERR_SOCKET_CLOSED') {
        return;
      } else if (passing.includes(code)) {
        onError(code);
        await wait(50);
      } else throw error;
    }
  }
}

/** Options of streams that go on soon after a loss, and through many. */
const quick = {
  rto: { initial: 100, min: 100, max: 1000 },
  assocMaxRetrans: 50,
};

module.exports = { Tally, deliver, drained, payload, quick };
