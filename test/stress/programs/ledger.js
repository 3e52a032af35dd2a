'use strict';

const fs = require('node:fs');
const { setTimeout: wait } = require('node:timers/promises');
const { setFlagsFromString } = require('node:v8');
const { runInNewContext } = require('node:vm');
const { open } = require('../../..');

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc');

/** Knows which numbers are on their way, to find what is lost or doubled. */
class Ledger {
  #open = new Set();
  running = true;
  sent = 0;
  once = 0;
  twice = 0;

  next() {
    this.#open.add(++this.sent);
    return this.sent;
  }

  arrived(number) {
    if (this.#open.delete(number)) this.once++;
    else this.twice++;
  }

  get lost() {
    return this.#open.size;
  }

  get result() {
    const { sent, once, twice, lost } = this;
    return { sent, once, twice, lost };
  }
}

const MAGIC = 0x600d600d;

/** A message of at least 16 bytes that `numberOf` knows again. */
function message(number, size = 64) {
  const data = Buffer.alloc(size, number & 255);
  data.writeUInt32BE(MAGIC, 0);
  data.writeUInt32BE(size, 4);
  data.writeDoubleBE(number, 8);
  return data;
}

/** The number of a message, or undefined for what is none of ours. */
function numberOf(data) {
  if (data.length < 16 || data.readUInt32BE(0) !== MAGIC) return undefined;
  if (data.readUInt32BE(4) !== data.length) return undefined;
  const number = data.readDoubleBE(8);
  if (data.length > 16 && data.at(-1) !== (number & 255)) return undefined;
  return number;
}

/** Whether a send only has to wait for `onDrain`. */
function isBusy(error) {
  return error.code === 'EAGAIN' || error.code === 'ERR_SCTP_PEER_BUSY';
}

/** Whether a send tells that the peer was gone; the next one tries anew. */
function isGone(error) {
  return ['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT'].includes(error.code);
}

function count(counts, error) {
  const name = error.code ?? error.message;
  counts[name] = (counts[name] ?? 0) + 1;
}

/**
 * Sends through an endpoint what it takes and the rest when it drains; a peer
 * that does not read holds up nobody else. Errors are counted in `errors`.
 */
function sender(handle, errors) {
  const waiting = new Map();

  function attempt(args, again = false) {
    try {
      handle.send(...args);
    } catch (error) {
      if (isBusy(error)) throw error;
      count(errors, error);
      if (isGone(error) && !again) attempt(args, true);
    }
  }

  function flush(peer) {
    const queue = waiting.get(peer);
    try {
      for (; queue.length; queue.shift()) attempt(queue[0]);
      waiting.delete(peer);
    } catch (error) {
      if (!isBusy(error)) throw error;
    }
  }

  handle.onDrain = () => [...waiting.keys()].forEach(flush);
  return (data, host, port) => {
    const peer = `${host} ${port}`;
    if (waiting.has(peer)) {
      waiting.get(peer).push([data, host, port]);
    } else {
      waiting.set(peer, [[data, host, port]]);
      flush(peer);
    }
  };
}

/** A listener for connections that answers each of our messages with itself. */
function echoServer(errors) {
  return (peer) => {
    peer.on('error', (error) => count(errors, error));
    peer.on('data', (data) => {
      if (numberOf(data) !== undefined) peer.write(data);
    });
  };
}

/** Opens an endpoint that does the same. */
function echoEndpoint(host, errors) {
  const handle = open(host, 0, 65536, (result) => {
    if (typeof result === 'string') return count(errors, new Error(result));
    if (numberOf(result[0]) !== undefined) send(...result);
  });
  const send = sender(handle, errors);
  return handle;
}

/** Exchanges one message after the other while `ledger.running`. */
function exchangeSocket(socket, ledger, errors) {
  const next = () => {
    if (ledger.running) socket.write(message(ledger.next()));
  };
  socket.on('error', (error) => count(errors, error));
  socket.on('data', (data) => {
    ledger.arrived(numberOf(data));
    next();
  });
  next();
}

/** Exchanges messages through an endpoint of its own, which is returned. */
function exchangeEndpoint(host, port, ledger, errors) {
  const next = () => {
    if (ledger.running) send(message(ledger.next()), host, port);
  };
  const handle = open(host, 0, 65536, (result) => {
    if (typeof result === 'string') return count(errors, new Error(result));
    ledger.arrived(numberOf(result[0]));
    next();
  });
  const send = sender(handle, errors);
  next();
  return handle;
}

/** Whether a condition comes to hold within the time that a message may take. */
async function soon(condition) {
  const deadline = Date.now() + 60_000;
  while (!condition() && Date.now() < deadline) await wait(5);
  return condition();
}

/** How many of something: STRESS_SCALE=0.01 makes a short run of all. */
const scaled = (number) => number * Number(process.env.STRESS_SCALE ?? 1);

const fds = () => fs.readdirSync('/proc/self/fd').length;

/** Memory of the process without garbage, in bytes. */
function rss() {
  gc();
  gc();
  return process.memoryUsage.rss();
}

/** Numbers from 0 to 1 that are the same in each run (xorshift). */
function random(seed) {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** The slope of a straight line through points [x, y] (least squares). */
function slope(points) {
  const mean = (i) => points.reduce((sum, p) => sum + p[i], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  let above = 0;
  let below = 0;
  for (const point of points) {
    above += (point[0] - x) * (point[1] - y);
    below += (point[0] - x) ** 2;
  }
  return above / below;
}

module.exports = {
  Ledger,
  count,
  echoEndpoint,
  echoServer,
  exchangeEndpoint,
  exchangeSocket,
  fds,
  isBusy,
  isGone,
  message,
  numberOf,
  random,
  rss,
  scaled,
  sender,
  slope,
  soon,
};
