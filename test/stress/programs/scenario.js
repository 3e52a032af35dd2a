'use strict';

// Runs, with faults.c preloaded, what the addon does in a life, and again with
// the first call of a kind failing, the second, and so on, until no call is left
// that could fail. Prints what was found as JSON, or what went wrong.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { setTimeout: wait } = require('node:timers/promises');
const { connect, createServer, open } = require('../../..');

const HOST = '127.0.0.1';
/** After how many ms a scenario has to be over: then it hangs. */
const PATIENCE = 60_000;
const LONG = 300_000;

const sockets = () =>
  fs.readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      return false;
    }
  }).length;

/** The report of what was not done; every scenario must end with it. */
class Reports {
  list = [];
  #wake = () => {};

  add = (error) => {
    const text = typeof error === 'string' ? error : error.code;
    assert.equal(typeof text, 'string', `without a code: ${error?.stack}`);
    this.list.push(text);
    this.#wake();
  };

  /** Resolves when the condition holds, or when something was reported. */
  until(condition) {
    return new Promise((resolve) => {
      const poll = setInterval(() => this.#wake(), 5);
      this.#wake = () => {
        if (!condition() && this.list.length === 0) return;
        clearInterval(poll);
        resolve();
      };
    });
  }
}

/** Messages of all kinds between two endpoints. */
async function endpoints(reports) {
  const handles = [];
  try {
    const received = [];
    const receive = (result) =>
      typeof result === 'string' ? reports.add(result) : received.push(result);
    const a = open(HOST, 0, LONG, receive);
    handles.push(a);
    const b = open(HOST, 0, LONG, () => {});
    handles.push(b);
    b.onPeer = a.onPeer = () => {};
    const { port } = a.address();
    b.send(Buffer.from('short'), HOST, port);
    await reports.until(() => received.length === 1);
    const batch = Array(5).fill(Buffer.alloc(100));
    if (b.sendBatch(batch, HOST, port) < 5) reports.add('a batch was cut');
    await reports.until(() => received.length === 6);
    b.send(Buffer.alloc(LONG), HOST, port);
    await reports.until(() => received.length === 7);
    b.send(Buffer.from('refused'), HOST, 9);
  } catch (error) {
    reports.add(error);
  } finally {
    for (const handle of handles) handle.close();
  }
}

/** A connection, messages of all kinds each way, and its end. */
async function streams(reports) {
  const server = createServer();
  server.on('error', reports.add);
  const open = new Set();
  const add = (socket) => {
    open.add(socket);
    socket.on('error', reports.add);
    socket.on('close', () => open.delete(socket));
    return socket;
  };
  let received = 0;
  server.on('connection', (peer) => {
    add(peer).on('data', (data) => {
      received++;
      if (data.length < 1000) peer.write(data);
    });
  });
  server.listen(0, HOST);
  await reports.until(() => server.listening);
  if (server.listening) {
    const { port } = server.address();
    const socket = add(connect({ port, host: HOST, OS: 20 }));
    let answers = 0;
    socket.on('data', () => answers++);
    socket.on('notification', () => {});
    await reports.until(() => !socket.connecting);
    if (!socket.destroyed) {
      socket.write('short');
      socket.send('stream', { sid: 3, ppid: 1 });
      socket.cork();
      for (let i = 0; i < 5; i++) socket.write('corked');
      socket.uncork();
      await reports.until(() => answers === 7);
      socket.write(Buffer.alloc(LONG));
      await reports.until(() => received === 8);
      socket.status();
      assert.equal(typeof socket.remoteAddress, 'string');
      socket.end();
      await reports.until(() => open.size === 0);
    }
  }
  for (const socket of open) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
}

async function run(scenario) {
  const reports = new Reports();
  const before = sockets();
  let hung;
  const hangs = new Promise((_, reject) => {
    hung = setTimeout(() => reject(new Error('it hangs')), PATIENCE);
  });
  await Promise.race([scenario(reports), hangs]);
  while (sockets() > before) {
    await Promise.race([wait(5), hangs]);
  }
  clearTimeout(hung);
  return reports.list;
}

/** One scenario with one fault at each place, until it passes untouched. */
async function fail(scenario, name, errno) {
  const reported = {};
  for (let n = 1; ; n++) {
    process.env.SCTP_FAULT = `${name}:${errno}:${n}`;
    let list;
    try {
      list = await run(scenario);
    } catch (error) {
      error.message += `, where call ${n} of ${name} fails with ${errno}`;
      throw error;
    }
    if (process.env.SCTP_FAULTED !== process.env.SCTP_FAULT) {
      assert.deepEqual(list, [], `untouched, after ${n - 1} faults`);
      return { scenario: scenario.name, name, errno, faults: n - 1, reported };
    }
    for (const text of list) reported[text] = (reported[text] ?? 0) + 1;
  }
}

const scenarios = { endpoints, streams };

async function main([scenario, ...faults]) {
  process.on('uncaughtException', (error) => {
    console.error(process.env.SCTP_FAULT, error);
    process.exit(1);
  });
  assert.deepEqual(await run(scenarios[scenario]), []); // loads everything
  for (const fault of faults) {
    const [name, errno] = fault.split(':');
    const result = await fail(scenarios[scenario], name, Number(errno));
    console.log(JSON.stringify(result));
  }
  delete process.env.SCTP_FAULT;
  assert.deepEqual(await run(scenarios[scenario]), []);
}

main(process.argv.slice(2));
