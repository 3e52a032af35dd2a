'use strict';

const assert = require('node:assert/strict');
const { Worker } = require('node:worker_threads');
const { once } = require('node:events');
const path = require('node:path');
const { setImmediate: turn } = require('node:timers/promises');
const { open } = require('../..');
const {
  binary,
  enterOwnNetwork,
  openSockets,
  run,
  runScript,
  test,
  until,
} = require('../helpers');

enterOwnNetwork(__filename);
run('ip link set lo up');
// Behind this device is a network in which nobody answers.
run('ip link add dummy0 type dummy');
run('ip addr add 192.0.2.254/24 dev dummy0');
run('ip link set dummy0 up');

const nothing = { code: 0, signal: null, stdout: '', stderr: '' };
const gc = { nodeArgs: ['--expose-gc'] };

test('an open endpoint keeps the process running', async () => {
  const result = await runScript(
    `const handle = open('127.0.0.1', 0, 100, () => {});
    let turns = 0;
    setImmediate(function count() {
      if (++turns < 100) setImmediate(count);
    }).unref();
    setTimeout(() => {
      console.log('alive');
      handle.close();
    }, 100).unref();`,
  );
  assert.deepEqual(result, { ...nothing, stdout: 'alive\n' });
});

test('an unreferenced endpoint lets the process end', async () => {
  assert.deepEqual(
    await runScript(`open('127.0.0.1', 0, 100, () => {}).unref();`),
    nothing,
  );
});

test('a referenced again endpoint keeps the process running', async () => {
  const result = await runScript(
    `const handle = open('127.0.0.1', 0, 100, () => {}).unref().ref();
    setTimeout(() => (console.log('alive'), handle.close()), 50).unref();`,
  );
  assert.deepEqual(result, { ...nothing, stdout: 'alive\n' });
});

test('an open endpoint that nobody refers to is not collected', async () => {
  const result = await runScript(
    `let port;
    (() => {
      port = open('127.0.0.1', 0, 100, ([data]) => {
        console.log(String(data));
        process.exit();
      }).address().port;
    })();
    let rounds = 0;
    const timer = setInterval(() => {
      gc();
      if (++rounds < 5) return;
      clearInterval(timer);
      open('127.0.0.1', 0, 100, () => {})
        .send(Buffer.from('still here'), '127.0.0.1', port);
    }, 10);`,
    gc,
  );
  assert.deepEqual(result, { ...nothing, stdout: 'still here\n' });
});

test('an unreferenced endpoint that is dropped is closed by the GC', async () => {
  const result = await runScript(
    `const fs = require('fs');
    const fds = () => fs.readdirSync('/proc/self/fd').length;
    const before = fds();
    (() => {
      for (let i = 0; i < 50; i++) {
        const handle = open('127.0.0.1', 0, 100, () => handle.address());
        handle.unref();
      }
    })();
    if (fds() !== before + 50) throw new Error('not open');
    const timer = setInterval(() => {
      gc();
      if (fds() === before) clearInterval(timer);
    }, 1);`,
    gc,
  );
  assert.deepEqual(result, nothing);
});

test('an unreferenced endpoint that is kept goes on receiving', async () => {
  const result = await runScript(
    `const handle = open('127.0.0.1', 0, 100, ([data]) => {
      console.log(String(data));
      clearInterval(timer);
    }).unref();
    let rounds = 0;
    const timer = setInterval(() => {
      gc();
      if (++rounds !== 5) return;
      const { address, port } = handle.address();
      handle.send(Buffer.from('kept'), address, port);
    }, 5);`,
    gc,
  );
  assert.deepEqual(result, { ...nothing, stdout: 'kept\n' });
});

/** Endpoints of a round; `npm run stress` has more. */
const EACH = Number(process.env.EACH ?? 300);

test('thousands of endpoints opened, used and closed leave nothing', async () => {
  const result = await runScript(
    `const fs = require('fs');
    const fds = () => fs.readdirSync('/proc/self/fd').length;
    const turn = () => new Promise(setImmediate);
    async function round(count) {
      for (let i = 0; i < count; i++) {
        await new Promise((resolve) => {
          const handle = open('127.0.0.1', 0, 65536, () => {
            handle.close();
            resolve();
          });
          const { address, port } = handle.address();
          handle.send(Buffer.alloc(1000), address, port);
        });
      }
      for (let i = 0; i < 5; i++) {
        await turn();
        gc();
      }
    }
    const resources = () =>
      process.getActiveResourcesInfo().filter((name) => name !== 'Timeout');
    (async () => {
      await round(${EACH});
      const before = [fds(), resources().length];
      // A leak has its share in each round. 500 bytes are less than a
      // handle; what the garbage collector does comes and goes.
      let grown = Infinity;
      for (let i = 0; i < 20 && grown > ${EACH} * 500; i++) {
        const rss = process.memoryUsage().rss;
        await round(${EACH});
        grown = process.memoryUsage().rss - rss;
      }
      if (grown > ${EACH} * 500) throw new Error(grown + ' bytes more');
      while (fds() > before[0]) await turn();
      if (resources().length > before[1]) throw new Error(String(resources()));
    })();`,
    // A small young generation, whose growth would hide what leaks.
    { nodeArgs: ['--expose-gc', '--max-semi-space-size=1'] },
  );
  assert.deepEqual(result, nothing);
});

/** Starts a worker that loads the addon itself. */
function worker(source) {
  return new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
    const { open } = require(${JSON.stringify(path.resolve(__dirname, '../..'))});
    ${source}`,
    { eval: true },
  );
}

test('four workers exchange messages at the same time', async () => {
  const workers = Array.from({ length: 4 }, () =>
    worker(
      `const peers = new Set();
      const handle = open('127.0.0.1', 0, 1000, ([data, , port]) => {
        peers.add(port + ' ' + data);
        if (peers.size < 200) return;
        parentPort.postMessage('done');
      });
      parentPort.postMessage(handle.address().port);
      parentPort.on('message', (ports) => {
        if (!ports) return handle.close(), parentPort.close();
        for (const port of ports)
          for (let i = 0; i < 50; i++)
            handle.send(Buffer.from(String(i)), '127.0.0.1', port);
      });`,
    ),
  );
  const ports = await Promise.all(
    workers.map(async (w) => (await once(w, 'message'))[0]),
  );
  const done = workers.map((w) => once(w, 'message'));
  for (const w of workers) w.postMessage(ports);
  for (const [message] of await Promise.all(done)) {
    assert.equal(message, 'done');
  }
  const exits = workers.map((w) => once(w, 'exit'));
  for (const w of workers) w.postMessage(null);
  for (const [code] of await Promise.all(exits)) assert.equal(code, 0);
});

/** Work of a worker when its end comes; it says when it has begun. */
const stages = {
  'an open endpoint': `open('127.0.0.1', 0, 100, () => {});
    parentPort.postMessage('begun');`,
  'a hundred endpoints': `for (let i = 0; i < 100; i++)
      open('127.0.0.1', 0, 100, () => {});
    parentPort.postMessage('begun');`,
  'an unreferenced endpoint': `open('127.0.0.1', 0, 100, () => {}).unref();
    setInterval(() => {}, 1000);
    parentPort.postMessage('begun');`,
  'a callback that never returns': `const handle = open('127.0.0.1', 0, 100, () => {
      parentPort.postMessage('begun');
      for (;;);
    });
    const { address, port } = handle.address();
    for (let i = 0; i < 20; i++) handle.send(Buffer.from('x'), address, port);`,
  'a callback that awaits': `const handle = open('127.0.0.1', 0, 100, async () => {
      parentPort.postMessage('begun');
      for (;;) await null;
    });
    const { address, port } = handle.address();
    handle.send(Buffer.from('x'), address, port);`,
  'traffic to itself': `const handle = open('127.0.0.1', 0, 100, ([data, host, port]) => {
      handle.send(data, host, port);
      parentPort.postMessage('begun');
    });
    const { address, port } = handle.address();
    for (let i = 0; i < 20; i++) handle.send(Buffer.from('x'), address, port);`,
  'an endpoint that is flushing': `const handle = open('0.0.0.0', 0, 100, () => {});
    handle.send(Buffer.from('x'), '192.0.2.1', 9);
    handle.close();
    parentPort.postMessage('begun');`,
  'a busy peer': `const handle = open('0.0.0.0', 0, 100, () => {});
    handle.onDrain = () => {};
    try {
      for (;;) handle.send(Buffer.alloc(1000), '192.0.2.1', 9);
    } catch (error) {
      if (error.code !== 'ERR_SCTP_PEER_BUSY') throw error;
    }
    parentPort.postMessage('begun');`,
};

for (const [stage, source] of Object.entries(stages)) {
  test(`a worker is terminated with ${stage}`, async () => {
    const before = openSockets();
    const w = worker(source);
    await once(w, 'message');
    await w.terminate();
    await until(() => openSockets() === before);
  });
}

test('process.exit() inside onRecv of a worker ends the worker', async () => {
  const w = worker(
    `const handle = open('127.0.0.1', 0, 100, () => process.exit(3));
    const { address, port } = handle.address();
    handle.send(Buffer.from('x'), address, port);
    handle.send(Buffer.from('x'), address, port);`,
  );
  const [code] = await once(w, 'exit');
  assert.equal(code, 3);
});

test('an onRecv that throws ends its worker with that error', async () => {
  const w = worker(
    `const handle = open('127.0.0.1', 0, 100, () => {
      throw new RangeError('of onRecv');
    });
    const { address, port } = handle.address();
    handle.send(Buffer.from('x'), address, port);`,
  );
  const [error] = await once(w, 'error');
  assert.equal(error.message, 'of onRecv');
});

test('the process ends with a worker that has open endpoints', async () => {
  const result = await runScript(
    `const { Worker, isMainThread } = require('worker_threads');
    const w = new Worker(
      'const { open } = require(process.argv[2]);' +
        'open("127.0.0.1", 0, 100, () => {});' +
        'require("worker_threads").parentPort.postMessage("begun");',
      { eval: true, argv: [${JSON.stringify(path.resolve(__dirname, '../..'))}] },
    );
    w.on('message', () => process.exit(0));`,
  );
  assert.deepEqual(result, nothing);
});

test('the addon can be loaded again', async (t) => {
  const first = t.open(() => {});
  for (const file of Object.keys(require.cache)) {
    if (file.endsWith('.node')) delete require.cache[file];
  }
  const again = require(binary);
  assert.notEqual(again.open, open);
  const received = [];
  const second = again.open('127.0.0.1', 0, 100, (r) => received.push(r));
  first.send(Buffer.from('x'), '127.0.0.1', second.address().port);
  await until(() => received.length === 1);
  second.close();
});

test('the bare binary exports open with the same contract', async () => {
  const bare = require(binary);
  const received = [];
  const handle = bare.open('127.0.0.1', 0, 100, (r) => received.push(r));
  const { address, port } = handle.address();
  handle.send(Buffer.from('x'), address, port);
  while (received.length === 0) await turn();
  assert.deepEqual(received, [[Buffer.from('x'), address, port]]);
  handle.close();
});
