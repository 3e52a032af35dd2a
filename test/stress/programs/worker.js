'use strict';

// A worker that uses both APIs until it is terminated: it exchanges messages
// with the main thread and with itself.

const { once } = require('node:events');
const { parentPort, workerData } = require('node:worker_threads');
const { connect, createServer } = require('../../..');
const {
  Ledger,
  echoEndpoint,
  echoServer,
  exchangeEndpoint,
  exchangeSocket,
} = require('./ledger');

const HOST = '127.0.0.1';
const errors = {};

async function main() {
  const server = createServer(echoServer(errors)).listen(0, HOST);
  const endpoint = echoEndpoint(HOST, errors);
  await once(server, 'listening');
  const ledgers = [];
  const ledger = () => ledgers[ledgers.push(new Ledger()) - 1];
  for (const port of [workerData.port, server.address().port]) {
    exchangeSocket(connect(port, HOST), ledger(), errors);
  }
  for (const port of [workerData.endpointPort, endpoint.address().port]) {
    exchangeEndpoint(HOST, port, ledger(), errors);
  }
  while (ledgers.some(({ once }) => once === 0)) {
    await new Promise(setImmediate);
  }
  parentPort.postMessage('traffic');
}

main();
