'use strict';

// million.js API COUNT: sends COUNT numbered messages through one association
// of `open` or `connect`, in one process, and tells its parent what arrived and
// how the memory went: { sent, once, twice, lost, slope, fds, rss }, the slope
// in bytes per message.

const { once } = require('node:events');
const { connect, createServer, open } = require('../../..');
const { fds, isBusy, message, numberOf, rss, slope } = require('./ledger');

const HOST = '127.0.0.1';
const BURST = 64;
const SAMPLES = 50;
const api = process.argv[2];
const count = Number(process.argv[3]);

/** Every other burst goes as a batch. */
const isBatch = (number) => (number / BURST) & 1;

function burstFrom(first) {
  const length = Math.min(BURST, count - first);
  return Array.from({ length }, (_, i) => message(first + i));
}

/** Sends all; `receive` is called with each message that arrives. */
async function throughEndpoints(receive) {
  const sink = open(HOST, 0, 65536, ([data]) => receive(data));
  const { port } = sink.address();
  const source = open(HOST, 0, 65536, () => {});
  for (let next = 0; next < count; next += BURST) {
    let rest = burstFrom(next);
    while (rest.length) {
      try {
        if (isBatch(next)) {
          rest = rest.slice(source.sendBatch(rest, HOST, port));
        } else {
          for (; rest.length; rest.shift()) source.send(rest[0], HOST, port);
        }
      } catch (error) {
        if (!isBusy(error)) throw error;
        await new Promise((resolve) => {
          source.onDrain = resolve;
        });
      }
    }
    await new Promise(setImmediate);
  }
  return () => {
    source.close();
    sink.close();
  };
}

async function throughSockets(receive) {
  const server = createServer((peer) => {
    peer.on('data', receive);
    peer.on('end', () => server.close());
  }).listen(0, HOST);
  await once(server, 'listening');
  const socket = connect(server.address().port, HOST).resume();
  for (let next = 0; next < count; next += BURST) {
    if (isBatch(next)) socket.cork();
    let more = true;
    for (const data of burstFrom(next)) more = socket.write(data);
    if (isBatch(next)) socket.uncork();
    if (!more) await once(socket, 'drain');
    else await new Promise(setImmediate);
  }
  return () => socket.end();
}

async function main() {
  const arrivals = new Uint8Array(count);
  const before = fds();
  const points = [];
  let received = 0;
  let resolve;
  const all = new Promise((r) => {
    resolve = r;
  });
  const receive = (data) => {
    arrivals[numberOf(data)]++;
    if (++received % Math.ceil(count / SAMPLES) === 0)
      points.push([received, rss()]);
    if (received === count) resolve();
  };
  const send = { open: throughEndpoints, connect: throughSockets }[api];
  const close = await send(receive);
  await all;
  close();
  while (fds() > before) await new Promise(setImmediate);
  const after = points.slice(SAMPLES / 5); // what comes before is warm-up
  const howOften = (n) => arrivals.filter((times) => times === n).length;
  process.send({
    sent: count,
    once: howOften(1),
    lost: howOften(0),
    twice: count - howOften(1) - howOften(0),
    slope: slope(after),
    fds: [before, fds()],
    rss: [after[0][1], rss()],
  });
  process.disconnect();
}

main();
