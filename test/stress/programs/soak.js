'use strict';

// soak.js [MINUTES]: mixed traffic through both APIs for an hour, or as long as
// told. Prints one line each minute, and at the end what was lost or came
// twice, and how the memory went. Ends with 1 where something is not right.

const { once } = require('node:events');
const { connect, createServer, open } = require('../../..');
const {
  Ledger,
  count,
  echoServer,
  fds,
  message,
  numberOf,
  random,
  rss,
  sender,
  slope,
} = require('./ledger');

const HOST = '127.0.0.1';
const MINUTES = Number(process.argv[2] ?? 60);
const ENDPOINTS = 6;
const IN_FLIGHT = 16; // messages of each endpoint
const CHAINS = 6; // of associations, one after the other
/** Bytes that all of it may add to the memory, by its slope. */
const GROWTH = 16 * 1024 * 1024;
const STREAMS = 10; // what Linux offers by default

const rnd = random(Number(process.env.SEED ?? 1));
const below = (n) => Math.floor(rnd() * n);
const chance = (p) => rnd() < p;
/** Mostly short, up to 100 KB. */
const size = () => 16 + Math.floor(rnd() ** 6 * 100_000);

const errors = {};
const ledgers = {
  mesh: new Ledger(),
  closing: new Ledger(),
  sockets: new Ledger(),
};
const done = { ended: 0, aborted: 0, closed: 0 };
let running = true;

const delivered = () =>
  Object.values(ledgers).reduce((sum, ledger) => sum + ledger.once, 0);

/** Endpoints that send to each other; for what arrives the next one goes out. */
function mesh() {
  const { mesh: ledger } = ledgers;
  const endpoints = Array.from({ length: ENDPOINTS }, () => {
    const handle = open(HOST, 0, 1 << 20, (result) => {
      if (typeof result === 'string') return count(errors, new Error(result));
      ledger.arrived(numberOf(result[0]));
      if (running) next(endpoints[below(ENDPOINTS)]);
    });
    return {
      handle,
      port: handle.address().port,
      send: sender(handle, errors),
    };
  });
  const next = ({ send }) => {
    const { port } = endpoints[below(ENDPOINTS)]; // may be itself
    send(message(ledger.next(), size()), HOST, port);
  };
  for (let i = 0; i < ENDPOINTS * IN_FLIGHT; i++)
    next(endpoints[i % ENDPOINTS]);
  return () => {
    for (const { handle } of endpoints) handle.close();
  };
}

/** Endpoints that close at once after they have sent. */
async function closing() {
  const ledger = ledgers.closing;
  let arrived = () => {};
  const sink = open(HOST, 0, 1 << 20, (result) => {
    if (typeof result === 'string') return count(errors, new Error(result));
    ledger.arrived(numberOf(result[0]));
    arrived();
  });
  const { port } = sink.address();
  while (running) {
    const handle = open(HOST, 0, 1 << 20, () => {});
    const all = new Promise((resolve) => {
      arrived = () => ledger.lost || resolve();
    });
    for (let i = 1 + below(20); i > 0; i--) {
      handle.send(message(ledger.next()), HOST, port);
    }
    handle.close();
    done.closed++;
    await all;
  }
  sink.close();
}

/** One association: connect, exchange on several streams, end or abort. */
async function exchange(port) {
  const ledger = new Ledger();
  const socket = connect({ port, host: HOST });
  const messages = 1 + below(50);
  const last = chance(0.1) ? below(messages) : messages; // the rest is aborted
  const isSlow = chance(0.1);
  socket.on('error', (error) => count(errors, error));
  socket.on('data', (data) => {
    ledger.arrived(numberOf(data));
    if (ledger.once < last) {
      if (!isSlow) return;
      socket.pause();
      setTimeout(() => socket.resume(), below(50));
    } else if (last < messages) {
      socket.destroy();
    } else {
      socket.end();
    }
  });
  for (let i = 0; i < messages; i++) {
    socket.send(message(ledger.next(), size()), {
      sid: below(STREAMS),
      ppid: i,
      unordered: chance(0.2),
    });
  }
  await new Promise((resolve) => socket.on('close', resolve));
  const aborted = last < messages;
  done[aborted ? 'aborted' : 'ended']++;
  const total = ledgers.sockets;
  total.sent += aborted ? ledger.once : ledger.sent;
  total.once += ledger.once;
  total.twice += ledger.twice;
}

async function chain(port) {
  while (running) await exchange(port);
}

const megabytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

async function main() {
  // The first line comes first, since libuv opens a descriptor for the output.
  console.log(`${MINUTES} minutes of mixed traffic`);
  const before = fds();
  const server = createServer(echoServer(errors)).listen(0, HOST);
  await once(server, 'listening');
  const { port } = server.address();
  const closeMesh = mesh();
  const traffic = [
    closing(),
    ...Array.from({ length: CHAINS }, () => chain(port)),
  ];

  const points = [];
  const sample = setInterval(() => points.push([delivered(), rss()]), 5000);
  let seen = 0;
  let minute = 0;
  await new Promise((resolve) => {
    const timer = setInterval(() => {
      const now = delivered();
      const { rss: resident, heapUsed } = process.memoryUsage();
      console.log(
        `minute ${++minute}: ${now} messages, ${Math.round((now - seen) / 60)}/s,`,
        `RSS ${megabytes(resident)}, heap ${megabytes(heapUsed)}, ${fds()} fds,`,
        `associations ${JSON.stringify(done)}, errors ${JSON.stringify(errors)}`,
      );
      seen = now;
      if (minute < MINUTES) return;
      clearInterval(timer);
      resolve();
    }, 60_000);
  });
  clearInterval(sample);
  running = false;

  // The report must not wait for a lost message.
  const patience = AbortSignal.timeout(60_000);
  const settled = async () => {
    await Promise.all(traffic);
    while (ledgers.mesh.lost) await new Promise(setImmediate);
    closeMesh();
    server.close();
    while (fds() > before) await new Promise(setImmediate);
  };
  await Promise.race([settled(), once(patience, 'abort')]);

  const warm = points.slice(Math.floor(points.length / 4));
  const each = slope(warm);
  const grown = each * delivered();
  let wrong = fds() > before || grown > GROWTH;
  for (const [name, ledger] of Object.entries(ledgers)) {
    const { sent, once: arrived, twice } = ledger;
    const lost = sent - arrived;
    console.log(
      `${name}: ${sent} sent, ${arrived} once, ${twice} twice, ${lost} lost`,
    );
    wrong ||= lost > 0 || twice > 0;
  }
  console.log(
    `memory: ${each.toFixed(2)} bytes for each message, ${megabytes(grown / MINUTES)} a minute; fds: ${before} before, ${fds()} after`,
  );
  process.exit(wrong ? 1 : 0);
}

main();
