#!/usr/bin/env node
'use strict';

// Several processes serve one port, and the kernel spreads the associations over
// them: each worker of a cluster listens by itself with `reusePort`. The primary
// is the client here. It counts who has served it, kills one worker and goes on.
//
//   node examples/cluster.js [WORKERS [ASSOCIATIONS]]

const cluster = require('node:cluster');
const { once } = require('node:events');
const { connect, createServer } = require('..');

const HOST = '127.0.0.1';

function work() {
  const server = createServer((socket) => {
    socket.on('data', () => socket.write(String(process.pid)));
    socket.on('error', () => socket.destroy());
  });
  const port = Number(process.env.PORT);
  server.listen({ port, host: HOST, reusePort: true }, () => {
    process.send({ port: server.address().port });
  });
}

/** Starts a worker and resolves to it when it listens. */
async function start(port) {
  const worker = cluster.fork({ PORT: String(port) });
  const [message] = await once(worker, 'message');
  return { worker, port: message.port };
}

/** Opens an association and resolves to the process id that serves it. */
async function open(port) {
  const socket = connect({ port, host: HOST });
  await once(socket, 'connect');
  socket.write('who?');
  const [data] = await once(socket, 'data');
  return { socket, pid: Number(data) };
}

function print(what, associations) {
  const counts = new Map();
  for (const { pid } of associations) {
    counts.set(pid, (counts.get(pid) ?? 0) + 1);
  }
  console.log(`${what}: ${[...counts.values()].join(' ')}`);
}

async function main(workers, count) {
  const { port, worker } = await start(0); // lets the kernel choose
  for (let i = 1; i < workers; i++) await start(port);

  const associations = [];
  for (let i = 0; i < count; i++) associations.push(await open(port));
  print(`${count} associations over ${workers} processes`, associations);

  const served = (pid) => associations.filter((other) => other.pid === pid);
  const lost = served(worker.process.pid);
  const ended = lost.map(({ socket }) => {
    socket.on('error', () => {}); // ECONNRESET, if it had something to read
    return once(socket, 'close');
  });
  worker.process.kill('SIGKILL');
  await Promise.all(ended);

  const kept = associations.filter(({ socket }) => !socket.destroyed);
  for (const { socket } of kept) {
    socket.write('still there?');
    await once(socket, 'data');
  }
  console.log(
    `one process killed: ${lost.length} associations ended, ` +
      `${kept.length} of the others go on`,
  );

  const again = [];
  for (let i = 0; i < lost.length; i++) again.push(await open(port));
  print(`${again.length} opened again, over the others`, again);

  for (const { socket } of [...kept, ...again]) socket.destroy();
  for (const other of Object.values(cluster.workers)) other.kill();
}

if (cluster.isPrimary) {
  const [workers = 4, count = 200] = process.argv.slice(2).map(Number);
  main(workers, count);
} else {
  work();
}
