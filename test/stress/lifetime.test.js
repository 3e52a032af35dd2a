'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { on, once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { after } = require('node:test');
const { setTimeout: wait } = require('node:timers/promises');
const { Worker } = require('node:worker_threads');
const { createServer } = require('../..');
const {
  associations,
  collector,
  enterOwnNetwork,
  run,
  test,
  until,
} = require('../helpers');
const report = require('./programs/table');
const {
  Ledger,
  echoEndpoint,
  echoServer,
  exchangeEndpoint,
  exchangeSocket,
  fds,
  random,
  rss,
  scaled,
  soon,
} = require('./programs/ledger');

enterOwnNetwork(__filename);
run('ip link set lo up');

const HOST = '127.0.0.1';
const WORKERS = scaled(1000);
const AT_ONCE = 4;
const MESSAGES = scaled(1_000_000);
const ASSOCIATIONS = scaled(10_000);
/** Bytes that all messages together may add to the memory, by its slope. */
const GROWTH = 4 * 1024 * 1024;

after(report.print);

/** Starts one of the programs, which may open many files. */
function start(file, ...args) {
  const child = spawn(
    'sh',
    [
      ...['-c', 'ulimit -n 65536 && exec "$@"', 'sh'],
      ...[
        process.execPath,
        path.join(__dirname, 'programs', file),
        ...args.map(String),
      ],
    ],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  );
  const messages = on(child, 'message', { close: ['close'] });
  return {
    say: (word) => child.send(word),
    async next() {
      const { value, done } = await messages.next();
      assert.ok(!done, `${file} has ended with ${child.exitCode}`);
      return value[0];
    },
    async ask(word) {
      child.send(word);
      return this.next();
    },
  };
}

test(`${WORKERS} workers are terminated under traffic`, async (t) => {
  const errors = {};
  const ownErrors = {};
  // Not t.listen(), which would keep the sockets of all workers.
  const server = createServer(echoServer(errors)).listen(0, HOST);
  await once(server, 'listening');
  const { port } = server.address();
  const endpoint = echoEndpoint(HOST, errors);
  const workerData = { port, endpointPort: endpoint.address().port };
  const ledgers = [new Ledger(), new Ledger()];
  exchangeSocket(t.connect(port, HOST), ledgers[0], ownErrors);
  const peer = exchangeEndpoint(
    ...[HOST, workerData.endpointPort, ledgers[1], ownErrors],
  );
  await soon(() => ledgers.every((ledger) => ledger.once > 0));

  const before = [fds(), rss()];
  const startWorker = () =>
    new Worker(path.join(__dirname, 'programs/worker.js'), { workerData });
  let started = 0;
  let busy = 0;
  const failures = [];
  const number = random(1);

  /**
   * Starts worker after worker; each ends at a moment of its first `time` ms,
   * rather an early one, when it still is starting.
   */
  async function chain(time) {
    while (started < WORKERS) {
      started++;
      const worker = startWorker();
      worker.on('error', (error) => failures.push(error));
      worker.on('message', () => busy++);
      await wait(number() ** 2 * time);
      await worker.terminate();
    }
  }

  // As long as it takes to be busy, and half as long again.
  const begin = performance.now();
  const first = Array.from({ length: AT_ONCE }, startWorker);
  await Promise.all(first.map((worker) => once(worker, 'message')));
  const time = 1.5 * (performance.now() - begin);
  await Promise.all(first.map((worker) => worker.terminate()));
  await Promise.all(Array.from({ length: AT_ONCE }, () => chain(time)));

  for (const ledger of ledgers) ledger.running = false;
  await soon(() => ledgers.every((ledger) => ledger.lost === 0));
  await soon(() => fds() <= before[0]);
  const left = fds() - before[0];
  for (const [i, name] of ['connect()', 'open()'].entries()) {
    report.row({
      fault: `workers terminated beside ${name}`,
      how: `${WORKERS} in their first ${time.toFixed()} ms, ${busy} had traffic`,
      ...ledgers[i].result,
      errors: ownErrors,
      fds: [before[0], fds()],
      rss: [before[1], rss()],
    });
  }
  console.log('errors of the associations with workers:', errors);
  for (const handle of [server, endpoint, peer]) handle.close();
  assert.deepEqual(failures, []);
  assert.deepEqual(ownErrors, {});
  for (const { twice, lost } of ledgers)
    assert.deepEqual([twice, lost], [0, 0]);
  assert.ok(left <= 0, `${left} descriptors are left`);
  assert.ok(busy > WORKERS / 10 && busy < WORKERS * 0.9, `${busy} busy`);
});

for (const api of ['connect', 'open']) {
  test(`${MESSAGES} messages through ${api}() take no memory`, async () => {
    const result = await start('million.js', api, MESSAGES).next();
    report.row({
      fault: `none: ${MESSAGES} messages through ${api}()`,
      how: `memory: ${result.slope.toFixed(2)} bytes for each message`,
      ...result,
      errors: {},
    });
    const { sent, once, twice, lost } = result;
    assert.deepEqual([once, twice, lost], [sent, 0, 0]);
    assert.equal(result.fds[0], result.fds[1]);
    assert.ok(result.slope * MESSAGES < GROWTH, `${result.slope} bytes each`);
  });
}

/** Memory that this system can still give, in bytes. */
function available() {
  const text = fs.readFileSync('/proc/meminfo', 'latin1');
  return Number(/MemAvailable:\s+(\d+)/.exec(text)[1]) * 1024;
}

for (const api of ['connect', 'open']) {
  const holds = api === 'open' ? 'endpoint' : 'server';
  test(`${ASSOCIATIONS} associations on one ${holds}`, async () => {
    const holder = start('crowd.js', 'hold', api);
    const port = await holder.next();
    const filler = start('crowd.js', 'fill', api, port, ASSOCIATIONS);
    const states = async () => [
      await holder.ask('state'),
      await filler.ask('state'),
      available(),
    ];
    await filler.next();
    const before = await states();
    const result = await filler.ask('fill');
    const full = await states();
    for (const process of [filler, holder]) await process.ask('empty');
    assert.ok(await soon(() => associations().length === 0));
    const end = await states();
    for (const process of [holder, filler]) process.say('end');

    const each = (bytes) => `${(bytes / ASSOCIATIONS / 1024).toFixed(1)} KiB`;
    const mine = full[0].rss - before[0].rss;
    const theirs = full[1].rss - before[1].rss;
    const kernel = before[2] - full[2] - mine - theirs;
    report.row({
      fault: `none: ${ASSOCIATIONS} associations on one ${holds}`,
      how: `each ${each(mine)}, client ${each(theirs)}, kernel (both ends) ${each(kernel)}`,
      ...result,
      errors: { ...end[0].errors, ...end[1].errors },
      fds: [before[0].fds, end[0].fds],
      rss: [before[0].rss, end[0].rss],
    });
    const { once: answered, twice, lost } = result;
    assert.deepEqual([answered, twice, lost], [ASSOCIATIONS, 0, 0]);
    for (const side of [0, 1]) {
      assert.deepEqual(end[side].errors, {});
      assert.equal(end[side].fds, before[side].fds);
    }
    const many = before[0].fds + (api === 'open' ? 0 : ASSOCIATIONS);
    assert.equal(full[0].fds, many);
  });
}

test('getOption() lists the associations of more than a thousand peers', async (t) => {
  const PEERS = 1100;
  const { handle, received, port } = collector(t);
  for (let i = 0; i < PEERS; i++) {
    t.open().send(Buffer.from('x'), HOST, port);
  }
  await until(() => received.length === PEERS);
  const name = 'SCTP_GET_ASSOC_ID_LIST';
  const { gaids_assoc_id } = handle.getOption(name);
  assert.equal(new Set(gaids_assoc_id).size, PEERS);
  assert.equal(handle.getOption('SCTP_GET_ASSOC_NUMBER').value, PEERS);
});
