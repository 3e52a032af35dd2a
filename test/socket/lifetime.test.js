'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const path = require('node:path');
const { Worker } = require('node:worker_threads');
const {
  associations,
  ending,
  enterOwnNetwork,
  messages,
  pair,
  run,
  runScript,
  test,
  until,
} = require('../helpers');

enterOwnNetwork(__filename); // whose associations are those of these tests
run('ip link set lo up');

const root = JSON.stringify(path.resolve(__dirname, '../..'));

test('destroy() inside data delivers nothing more', async (t) => {
  const { client, peer } = await pair(t);
  let received = 0;
  peer.on('data', () => {
    received++;
    peer.destroy();
  });
  client.on('error', () => {});
  client.cork();
  for (let i = 0; i < 100; i++) client.write('x');
  client.uncork();
  await once(peer, 'close');
  assert.equal(received, 1);
});

test('end() and write() inside data work', async (t) => {
  const { client, peer } = await pair(t);
  peer.on('data', (data) => {
    peer.write(data);
    peer.end();
  });
  client.write('x');
  const end = ending(client);
  assert.equal(String((await messages(client, 1))[0]), 'x');
  assert.deepEqual(await end, ['end', 'close']);
});

test('a data listener that throws is an uncaughtException and loses nothing', async () => {
  const { code, stdout, stderr } = await runScript(`
    let errors = 0;
    process.on('uncaughtException', (error) => {
      if (error.message === 'third') errors++;
      else throw error;
    });
    const received = [];
    const server = createServer((peer) => {
      peer.on('data', (data) => {
        received.push(String(data));
        if (received.length % 3 === 0) throw new Error('third');
      });
      peer.on('end', () => {
        console.log(received.join(''), errors);
        server.close();
      });
    }).listen(0, '127.0.0.1', () => {
      const client = connect(server.address().port, '127.0.0.1', () => {
        client.cork();
        for (const digit of '0123456789') client.write(digit);
        client.end();
        client.uncork();
      });
      client.resume();
    });
  `);
  assert.deepEqual([stderr, stdout, code], ['', '0123456789 3\n', 0]);
});

test('a data listener that throws may close its socket in a tick after it', async () => {
  const { code, stdout, stderr } = await runScript(`
    process.on('uncaughtException', ({ message }) => console.log(message));
    const server = createServer((peer) => {
      peer.pause();
      peer.on('data', () => {
        process.nextTick(() => peer.destroy());
        throw new Error('of data');
      });
      client.cork();
      for (let i = 0; i < 60; i++) client.write(Buffer.alloc(2000));
      client.uncork();
      setImmediate(() => peer.resume());
    });
    let client;
    server.listen(0, '127.0.0.1', () => {
      client = connect(server.address().port, '127.0.0.1');
      client.on('error', () => server.close());
    });
    const a = open('127.0.0.1', 0, 1000, () => {});
    const b = open('127.0.0.1', 0, 1000, () => {
      process.nextTick(() => b.close());
      throw new Error('of onRecv');
    });
    for (let i = 0; i < 60; i++) {
      a.send(Buffer.alloc(900), '127.0.0.1', b.address().port);
    }
    a.close();`);
  assert.deepEqual([code, stderr], [0, '']);
  assert.deepEqual(stdout.trim().split('\n').sort(), ['of data', 'of onRecv']);
});

test('a server’s socket that nobody refers to goes on working', async () => {
  const { code, stdout, stderr } = await runScript(
    `
    const server = createServer((peer) => peer.pipe(peer));
    server.listen(0, '127.0.0.1', () => {
      const client = connect(server.address().port, '127.0.0.1');
      let left = 20;
      client.on('data', () => {
        gc();
        if (--left) client.write('x');
        else client.end(() => server.close());
      });
      client.write('x');
      client.on('close', () => console.log('closed'));
    });
    server.unref();
  `,
    { nodeArgs: ['--expose-gc'] },
  );
  assert.deepEqual([stderr, stdout, code], ['', 'closed\n', 0]);
});

/** Connections of a round; `npm run stress` has more. */
const EACH = Number(process.env.EACH ?? 200);

test('thousands of connections, each with an exchange and an end, leave nothing', async () => {
  const { code, stdout, stderr } = await runScript(
    `const fs = require('fs');
    const fds = () => fs.readdirSync('/proc/self/fd').length;
    const turn = () => new Promise(setImmediate);
    const resources = () =>
      process.getActiveResourcesInfo().filter((name) => name !== 'Timeout');
    const server = createServer((peer) => {
      peer.on('data', (data) => peer.write(data));
    });
    const exchange = (number) => new Promise((resolve, reject) => {
      const client = connect(server.address().port, '127.0.0.1');
      client.on('error', reject);
      client.on('data', (data) => {
        if (data.readUInt32BE() !== number) reject(new Error('wrong'));
        client.end();
      });
      client.on('close', resolve);
      const data = Buffer.alloc(64);
      data.writeUInt32BE(number);
      client.write(data);
    });
    let next = 0;
    async function round(count) {
      const last = next + count;
      const chain = async () => { while (next < last) await exchange(next++); };
      await Promise.all(Array.from({ length: 10 }, chain));
      for (let i = 0; i < 5; i++) {
        await turn();
        gc();
      }
      return process.memoryUsage().rss;
    }
    server.listen(0, '127.0.0.1', async () => {
      await round(${EACH});
      const before = [fds(), resources().length];
      let rss = await round(${EACH});
      // A sanitizer keeps a record of each place that memory came from.
      const limit = process.env.ASAN_OPTIONS ? Infinity : ${2 * EACH} * 1000;
      // A leak has its share in each round, and 1000 bytes are less than
      // two handles; what the garbage collector does comes and goes. On a slow
      // machine the heap may grow for longer than the first rounds.
      let least = Infinity;
      while (next < ${10 * EACH} || (least > limit && next < ${30 * EACH})) {
        const grown = (await round(${2 * EACH})) - rss;
        least = Math.min(least, grown);
        rss += grown;
      }
      if (least > limit) throw new Error(least + ' bytes more');
      while (fds() > before[0]) await turn();
      if (resources().length > before[1]) throw new Error(String(resources()));
      server.getConnections((error, count) => console.log(count));
      server.close();
    });`,
    // A small young generation, whose growth would hide what leaks.
    { nodeArgs: ['--expose-gc', '--max-semi-space-size=1'] },
  );
  assert.deepEqual([stderr, stdout, code], ['', '0\n', 0]);
  await until(() => associations().length === 0);
});

const stages = {
  'a listening server': '',
  'a server and a hundred connections': `
    for (let i = 0; i < 100; i++) connect(port, '127.0.0.1').on('error', () => {});`,
  'a connection that is being made': `
    connect(port, '10.255.255.1').on('error', () => {});`,
  'traffic both ways': `
    const client = connect(port, '127.0.0.1');
    client.on('data', (data) => client.write(data));
    client.on('error', () => {});
    client.write(Buffer.alloc(1000));`,
  'a paused reader and full buffers': `
    server.on('connection', (peer) => peer.removeAllListeners('data').pause());
    const client = connect(port, '127.0.0.1');
    client.on('error', () => {});
    for (let i = 0; i < 200; i++) client.write(Buffer.alloc(10_000));`,
  'a connection that is being ended': `
    const client = connect(port, '127.0.0.1', () => client.end());`,
  'a data listener that never returns': `
    const client = connect(port, '127.0.0.1', () => client.write('x'));
    client.on('data', () => { for (;;); });`,
};

for (const [name, source] of Object.entries(stages)) {
  test(`a worker is terminated with ${name}`, async () => {
    const worker = new Worker(
      `const { connect, createServer } = require(${root});
       const { parentPort } = require('node:worker_threads');
       const server = createServer((peer) => {
         peer.on('data', (data) => peer.write(data));
         peer.on('error', () => {});
       });
       server.listen(0, '127.0.0.1', () => {
         const { port } = server.address();
         ${source}
         parentPort.postMessage('started');
         setTimeout(() => parentPort.postMessage('running'), 50);
       });`,
      { eval: true },
    );
    await once(worker, 'message');
    if (!/never/.test(name)) await once(worker, 'message');
    else await new Promise((resolve) => setTimeout(resolve, 100));
    await worker.terminate();
  });
}

test('workers talk to each other', async () => {
  const worker = (source) =>
    new Worker(
      `const { connect, createServer } = require(${root});
       const { parentPort, workerData } = require('node:worker_threads');
       ${source}`,
      { eval: true, workerData: port },
    );
  let port = 0;
  const server = worker(`
    const server = createServer((peer) => {
      peer.on('data', (data) => peer.write(data));
      peer.on('close', () => server.close());
    }).listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));`);
  [port] = await once(server, 'message');
  const client = worker(`
    const client = connect(workerData, '127.0.0.1', () => client.write('x'));
    client.on('data', (data) => {
      parentPort.postMessage(String(data));
      client.end();
    });`);
  const [[echoed]] = await Promise.all([
    once(client, 'message'),
    once(server, 'exit'),
  ]);
  assert.equal(echoed, 'x');
});

test('process.exit() inside data ends the process', async () => {
  const { code, stderr } = await runScript(`
    const server = createServer((peer) => peer.write('x'))
      .listen(0, '127.0.0.1', () => {
        connect(server.address().port, '127.0.0.1')
          .on('data', () => process.exit(7));
      });
  `);
  assert.deepEqual([stderr, code], ['', 7]);
});

test('methods of a socket may be called in every state', async (t) => {
  const { client, peer } = await pair(t);
  peer.on('error', () => {});
  const callAll = () => {
    client.setNoDelay();
    client.setKeepAlive(true, 1000);
    client.setTimeout(1000);
    client.ref();
    client.unref();
    client.address();
    client.status();
    client.pause();
    client.resume();
    client.cork();
    client.uncork();
    client.read();
    return [
      client.peerInfoByAddress,
      client.localAddresses,
      client.remoteAddresses,
      client.maxSendSize,
      client.readyState,
    ];
  };
  callAll();
  client.end();
  callAll();
  client.destroy();
  callAll();
  await once(client, 'close');
  callAll();
  client.end();
  client.destroy();
});

test('the handles of the addon refuse misuse without an abort', async () => {
  const binding = require('../../lib/binding');
  for (const made of [
    binding.connect(['127.0.0.1'], 1, [], 0, [], 1024, 1024),
    binding.listen(['127.0.0.1'], 0, 5, [], 1024, 1024),
    binding.open('127.0.0.1', 0, 1, () => {}),
  ]) {
    const Class = made.constructor;
    assert.throws(() => new Class(), { code: 'ERR_ILLEGAL_CONSTRUCTOR' });
    for (const [name, { value, get, set }] of Object.entries(
      Object.getOwnPropertyDescriptors(Class.prototype),
    )) {
      if (name === 'constructor') continue;
      for (const method of [value, get, set]) {
        if (method) assert.throws(() => method.call({}), TypeError, name);
      }
    }
    made.close(true);
  }
  const wrong = [undefined, null, 1, 'x', {}, [], [1], () => {}, Symbol('s')];
  for (const value of wrong) {
    for (const call of [
      () => binding.connect(...Array(7).fill(value)),
      () => binding.listen(...Array(6).fill(value)),
      () => binding.connect(['127.0.0.1'], 1, value, 0, [], 1024, 1024),
      () => binding.listen(['127.0.0.1'], 0, 5, value, 1024, 1024),
      () => binding.listen(['127.0.0.1'], 0, 5, [value], 1024, 1024),
      () => binding.listen(['127.0.0.1'], 0, 5, [[132, 0, value]], 1, 1),
      () => binding.getNewOption(132, value, value),
      () => binding.getNewOption(132, 0, value),
      () => binding.toAddress(value),
      () => binding.fromAddress('127.0.0.1', value),
      () => binding.fromAddress(value, 1),
    ]) {
      try {
        call()?.close(true);
      } catch (error) {
        assert.ok(error instanceof Error);
      }
    }
  }
  const handle = binding.connect(['127.0.0.1'], 1, [], 0, [], 1024, 1024);
  for (const value of wrong) {
    for (const method of ['send', 'setReading', 'getOption', 'setOption']) {
      try {
        handle[method](value);
      } catch (error) {
        assert.ok(error instanceof Error);
      }
    }
  }
  handle.close(true);
  handle.close(true);
  assert.throws(() => handle.getOption(), { code: 'ERR_SOCKET_CLOSED' });
});

const script = (body) => `
  const { once } = require('node:events');
  let errors = 0;
  process.on('uncaughtException', (error) => {
    if (error.message === 'mine') errors++;
    else { console.error(error); process.exit(1); }
  });
  const server = createServer(OPTIONS);
  server.listen(0, '127.0.0.1', async () => {
    const { port } = server.address();
    ${body}
  });`;

test('a data listener that throws while a paused stream resumes deafens nobody', async () => {
  const result = await runScript(
    `const OPTIONS = { highWaterMark: 10 };${script(`
    const client = connect(port, '127.0.0.1').resume();
    const [peer] = await once(server, 'connection');
    peer.pause();
    for (let i = 0; i < 6; i++) client.write('0123456789');
    while (peer.readableLength === 0) await new Promise(setImmediate);
    let received = 0;
    peer.on('data', () => {
      if (++received === 1) throw new Error('mine');
    });
    peer.on('end', () => {
      console.log(received, errors);
      server.close();
    });
    client.end();
    peer.resume();`)}`,
  );
  assert.deepEqual(result, {
    code: 0,
    signal: null,
    stdout: '6 1\n',
    stderr: '',
  });
});

test('a connect listener that throws does not hold back what was written', async () => {
  const result = await runScript(
    `const OPTIONS = {};${script(`
    server.on('connection', (peer) => {
      peer.on('data', (data) => console.log(String(data), errors));
    });
    const client = connect(port, '127.0.0.1', () => {
      throw new Error('mine');
    });
    client.end('early');
    client.resume().on('close', () => server.close());`)}`,
  );
  assert.deepEqual(result, {
    code: 0,
    signal: null,
    stdout: 'early 1\n',
    stderr: '',
  });
});

test('what a callback of an early write throws is an uncaughtException', async () => {
  const { code, stdout, stderr } = await runScript(`
    process.on('uncaughtException', ({ message }) => console.log(message));
    const server = createServer((peer) => peer.pipe(peer));
    server.listen(0, '127.0.0.1', () => {
      const client = connect(server.address().port, '127.0.0.1');
      client.write('hello', () => { throw new Error('of write'); });
      client.on('data', (data) => {
        console.log(String(data));
        client.end();
        server.close();
      });
    });`);
  assert.deepEqual([code, stderr], [0, '']);
  assert.deepEqual(stdout.trim().split('\n').sort(), ['hello', 'of write']);
});

test('what waits behind a data listener that has thrown comes before a reset', async () => {
  const { code, stdout, stderr } = await runScript(`
    const log = [];
    process.on('uncaughtException', ({ message }) => log.push(message));
    const server = createServer((peer) => {
      peer.pause();
      peer.on('error', ({ code }) => log.push(code));
      peer.on('close', () => {
        console.log(log.join());
        server.close();
      });
      const wait = () => {
        if (peer.readableLength < 3) return setImmediate(wait);
        clients[0].destroy();
        peer.on('data', (data) => {
          throw new Error(String(data));
        });
        peer.resume();
      };
      wait();
    });
    const clients = [];
    server.listen(0, '127.0.0.1', () => {
      clients.push(connect(server.address().port, '127.0.0.1', () => {
        for (const text of ['a', 'b', 'c']) clients[0].write(text);
      }));
    });`);
  assert.deepEqual([code, stderr], [0, '']);
  assert.equal(stdout, 'a,b,c,ECONNRESET\n');
});

test('a write callback that throws on destroy() is an uncaughtException, and the socket closes', async () => {
  const result = await runScript(
    `const OPTIONS = {};${script(`
    const client = connect(port, '127.0.0.1');
    const [peer] = await once(server, 'connection');
    client.on('error', () => {}).pause();
    let thrown = false;
    const message = Buffer.alloc(peer.maxSendSize / 20);
    for (let i = 0; i < 200; i++) {
      peer.write(message, (error) => {
        if (!error || thrown) return;
        thrown = true;
        throw new Error('mine');
      });
    }
    while (peer.writableLength === 200 * message.length) await new Promise(setImmediate);
    peer.on('close', () => server.close());
    server.on('close', () => console.log('closed', errors));
    peer.destroy();
    client.resume();`)}`,
  );
  assert.deepEqual(result, {
    code: 0,
    signal: null,
    stdout: 'closed 1\n',
    stderr: '',
  });
});

test('removeAllListeners() of a socket does not keep its server from closing', async (t) => {
  const server = await t.listen({}, (peer) => {
    peer.removeAllListeners();
    peer.resume();
  });
  const client = t.connect({ host: '127.0.0.1', port: server.address().port });
  await once(client, 'connect');
  client.resume().end();
  server.close();
  await once(server, 'close');
});
