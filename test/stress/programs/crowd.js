'use strict';

// One of the two processes of a crowd of associations:
//
//   crowd.js hold API           echoes on one server or endpoint
//   crowd.js fill API PORT N    makes N associations that send one message each
//
// Its parent tells it in one word what to do, and gets an answer.

const { once } = require('node:events');
const { connect, createServer, open } = require('../../..');
const {
  Ledger,
  echoEndpoint,
  echoServer,
  fds,
  message,
  numberOf,
  rss,
  soon,
} = require('./ledger');

const HOST = '127.0.0.1';
const AT_ONCE = 50;
const [role, api, port, count] = process.argv.slice(2);
const errors = {};

async function hold() {
  if (api === 'open') return echoEndpoint(HOST, errors);
  const server = createServer(echoServer(errors)).listen(0, HOST);
  await once(server, 'listening');
  return server;
}

/** An association that has sent a message and got it back. */
const exchange = {
  async open(ledger) {
    let answered;
    const answer = new Promise((resolve) => {
      answered = resolve;
    });
    const handle = open(HOST, 0, 65536, ([data]) => {
      ledger.arrived(numberOf(data));
      answered();
    });
    handle.send(message(ledger.next()), HOST, Number(port));
    await answer;
    return () => handle.close();
  },

  async connect(ledger) {
    const socket = connect(Number(port), HOST);
    socket.write(message(ledger.next()));
    const [data] = await once(socket, 'data');
    ledger.arrived(numberOf(data));
    return () => socket.end();
  },
};

const closers = [];
let idle; // descriptors that are open without an association

const words = {
  state: () => ({ fds: fds(), rss: rss(), errors }),

  async fill() {
    const ledger = new Ledger();
    const chain = async () => {
      while (ledger.sent < count) closers.push(await exchange[api](ledger));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, chain));
    return ledger.result;
  },

  async empty() {
    for (const close of closers) close();
    closers.length = 0;
    await soon(() => fds() <= idle);
  },
};

async function main() {
  const holder = role === 'hold' ? await hold() : undefined;
  idle = fds();
  process.send(holder?.address().port ?? 'ready');
  process.on('message', async (word) => {
    if (word in words) return process.send((await words[word]()) ?? 'done');
    holder?.close();
    process.disconnect();
  });
}

main();
