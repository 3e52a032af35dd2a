'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { after } = require('node:test');
const { connect, createServer, open } = require('../..');
const { PYTHON, enterOwnNetwork, run, test } = require('../helpers');
const report = require('./programs/table');
const {
  Ledger,
  count,
  echoEndpoint,
  echoServer,
  exchangeEndpoint,
  exchangeSocket,
  fds,
  message,
  rss,
  scaled,
  soon,
} = require('./programs/ledger');

enterOwnNetwork(__filename);
const HOST = '10.0.0.1';
run('ip link set lo up');
// The others of this network never answer, so that associations which packets
// pretend to come from there stay half open.
run('ip link add dummy0 type dummy');
run(`ip addr add ${HOST}/24 dev dummy0`);
run('ip link set dummy0 up');

const ROUNDS = 5;
const PACKETS = scaled(20_000); // in each round
const SEED = 1;
/** A leak has its share in each round; the rest comes and goes. */
const LEAK = 1024 * 1024;
/** Types of chunks (RFC 9260 section 3.2). */
const [INIT_ACK, SACK, HEARTBEAT_ACK, ABORT, ERROR, COOKIE_ACK] = [
  2, 3, 5, 6, 9, 11,
];
const VICTIMS = [20001, 20002, 20003, 20004];

after(report.print);

/** Sends hostile packets from two processes; adds what they report to `total`. */
async function attack(seed, ports, total) {
  const halves = [2 * seed, 2 * seed + 1].map(async (number) => {
    const child = spawn(
      PYTHON,
      [
        path.join(__dirname, 'programs/packets.py'),
        ...[number, PACKETS / 2, HOST].map(String),
        ...ports.map((list) => list.join()),
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let output = '';
    child.stdout.on('data', (data) => {
      output += data;
    });
    const [code] = await once(child, 'close');
    assert.equal(code, 0);
    for (const [what, counts] of Object.entries(JSON.parse(output))) {
      for (const [name, n] of Object.entries(counts)) {
        total[what][name] = (total[what][name] ?? 0) + n;
      }
    }
  });
  await Promise.all(halves);
}

/**
 * Two connections and two endpoints, whose associations are attacked with their
 * own tags: they may die, and are then made anew.
 */
function victims(port, endpointPort) {
  const result = { answers: 0, errors: {} };
  const failed = (error) => count(result.errors, error);
  const sockets = new Set();
  const start = (localPort) => {
    const socket = connect({
      ...{ host: HOST, port, localAddress: HOST, localPort, timeout: 2000 },
      ...{ rto: { initial: 200, min: 200, max: 500 }, assocMaxRetrans: 3 },
    });
    sockets.add(socket);
    socket.on('data', () => result.answers++);
    socket.on('timeout', () => socket.destroy());
    socket.on('error', failed);
    socket.on('close', () => {
      if (sockets.delete(socket)) start(localPort);
    });
  };
  VICTIMS.slice(0, 2).forEach(start);
  const endpoints = VICTIMS.slice(2).map((localPort) =>
    open(HOST, localPort, 65536, () => result.answers++),
  );
  let number = 0;
  const timer = setInterval(() => {
    for (const socket of sockets) {
      if (socket.readyState === 'open') socket.write(message(++number));
    }
    for (const endpoint of endpoints) {
      try {
        endpoint.send(message(++number), HOST, endpointPort);
      } catch (error) {
        failed(error);
      }
    }
  }, 100);
  result.stop = () => {
    clearInterval(timer);
    for (const endpoint of endpoints) endpoint.close();
    const last = [...sockets];
    sockets.clear();
    for (const socket of last) socket.destroy();
  };
  return result;
}

/** Makes associations that exchange one message, one after the other. */
async function renew(port, endpointPort, ledgers, errors) {
  const [sockets, endpoints] = ledgers;
  while (sockets.running) {
    const socket = connect({ host: HOST, port, localAddress: HOST });
    const number = sockets.next();
    socket.write(message(number));
    socket.on('error', (error) => count(errors, error));
    socket.on('data', () => {
      sockets.arrived(number);
      socket.end();
    });
    await once(socket, 'close');
    const next = endpoints.next();
    await new Promise((resolve) => {
      const handle = open(HOST, 0, 65536, () => {
        endpoints.arrived(next);
        handle.close();
        resolve();
      });
      handle.send(message(next), HOST, endpointPort);
    });
  }
}

test('hostile packets disturb nobody else', async (t) => {
  const errors = {};
  const reported = { server: {}, endpoint: {} };
  const strangers = new Set();
  // Not t.listen(), which would keep the thousands of sockets accepted here.
  const server = createServer(echoServer(reported.server)).listen(0, HOST);
  await once(server, 'listening');
  const { port } = server.address();
  const endpoint = echoEndpoint(HOST, reported.endpoint);
  const handles = [endpoint];
  const endpointPort = endpoint.address().port;

  const names = ['connect()', 'open()', 'new connect()', 'new open()'];
  const ledgers = names.map(() => new Ledger());
  const good = [];
  for (let i = 0; i < 2; i++) {
    const socket = t.connect({ host: HOST, port, localAddress: HOST });
    await once(socket, 'connect');
    exchangeSocket(socket, ledgers[0], errors);
    const peer = exchangeEndpoint(HOST, endpointPort, ledgers[1], errors);
    handles.push(peer);
    good.push(socket.localPort, peer.address().port);
  }
  const before = fds();
  server.on('connection', (peer) => {
    strangers.add(peer);
    peer.on('close', () => strangers.delete(peer));
  });
  const attacked = victims(port, endpointPort);
  const renewing = renew(port, endpointPort, ledgers.slice(2), errors);

  const total = { sent: {}, seen: {} };
  const memory = [];
  for (let round = 0; round < ROUNDS; round++) {
    const ports = [[port, endpointPort], good, VICTIMS];
    await attack(SEED + round, ports, total);
    // Those that packets have made, which nobody will ever end.
    for (const peer of strangers) {
      if (peer.remoteAddress !== HOST) peer.destroy();
    }
    memory.push(rss());
    console.log(`round ${round + 1} of ${ROUNDS}: RSS ${memory.at(-1)}`);
  }
  attacked.stop();
  // Those whose associations have gone through all of this, and new ones.
  const counts = ledgers.map((ledger) => ledger.sent);
  await soon(() => ledgers.every((l, i) => l.once > counts[i] + 10));
  for (const ledger of ledgers) ledger.running = false;
  await renewing;
  await soon(() => ledgers.every((ledger) => ledger.lost === 0));
  await soon(() => fds() <= before);

  names.forEach((name, i) => {
    report.row({
      fault: `hostile packets beside ${name}`,
      how: `${ROUNDS * PACKETS} from raw sockets, packets.py`,
      ...ledgers[i].result,
      errors,
      fds: [before, fds()],
      rss: [memory[0], memory.at(-1)],
    });
  });
  console.log('packets sent:', total.sent);
  console.log('chunks in the replies, by type:', total.seen);
  console.log(
    'errors of the associations attacked:',
    reported,
    attacked.errors,
  );

  const left = fds() - before;
  for (const handle of [server, ...handles]) handle.close();

  assert.deepEqual(errors, {});
  ledgers.forEach((ledger, i) => {
    assert.equal(ledger.lost, 0, names[i]);
    assert.equal(ledger.twice, 0, names[i]);
    assert.ok(ledger.once > counts[i] + 10, `${names[i]} goes on`);
  });
  assert.ok(left <= 0, `${left} descriptors are left`);
  const grown = memory.slice(1).map((bytes, i) => bytes - memory[i]);
  assert.ok(Math.min(...grown) < LEAK, `${grown} bytes more`);

  // The packets were understood: there were answers of each kind.
  assert.ok(
    Object.values(total.sent).reduce((a, b) => a + b) >= ROUNDS * PACKETS,
  );
  for (const chunk of [
    INIT_ACK,
    SACK,
    HEARTBEAT_ACK,
    ABORT,
    ERROR,
    COOKIE_ACK,
  ]) {
    assert.ok(total.seen[chunk] > 10, `chunks of type ${chunk}`);
  }
  assert.ok(attacked.answers > 0);
  assert.ok(Object.keys(attacked.errors).length > 0);
});
