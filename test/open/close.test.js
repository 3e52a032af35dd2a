'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const path = require('node:path');
const { once } = require('node:events');
const { setImmediate: turn } = require('node:timers/promises');
const {
  collector,
  enterOwnNetwork,
  isFull,
  openSockets,
  run,
  runScript,
  sendAll,
  test,
  until,
} = require('../helpers');

enterOwnNetwork(__filename);
run('ip link set lo up');

/** Delays every packet, so that a round trip takes twice as long. */
function delay(t, time) {
  run(`tc qdisc add dev lo root netem delay ${time}`);
  t.after(() => run('tc qdisc del dev lo root'));
}

const closed = { name: 'Error', code: 'ERR_SOCKET_CLOSED' };
const message = Buffer.from('x');

test('after close, send and address throw ERR_SOCKET_CLOSED', (t) => {
  const handle = t.open();
  handle.close();
  assert.throws(() => handle.send(message, '127.0.0.1', 9), closed);
  assert.throws(() => handle.address(), closed);
});

test('close, ref and unref may be called any number of times', (t) => {
  const handle = t.open();
  assert.equal(handle.unref(), handle);
  assert.equal(handle.unref(), handle);
  assert.equal(handle.ref(), handle);
  for (let i = 0; i < 3; i++) {
    assert.equal(handle.close(), undefined);
    assert.equal(handle.ref(), handle);
    assert.equal(handle.unref(), handle);
  }
});

test('[Symbol.dispose] closes', (t) => {
  const handle = t.open();
  handle[Symbol.dispose]();
  assert.throws(() => handle.send(message, '127.0.0.1', 9), closed);
});

test('close of an idle endpoint frees the socket and the port at once', (t) => {
  const before = openSockets();
  const handle = t.open();
  const { port } = handle.address();
  handle.close();
  assert.equal(openSockets(), before);
  t.open(() => {}, { port });
});

test('close inside onRecv stops the drain', async (t) => {
  let calls = 0;
  const handle = t.open(() => {
    calls++;
    handle.close();
  });
  const sender = t.open();
  for (let i = 0; i < 20; i++) {
    sender.send(message, '127.0.0.1', handle.address().port);
  }
  await until(() => calls > 0);
  for (let i = 0; i < 20; i++) await turn();
  assert.equal(calls, 1);
});

test('close inside a nextTick of onRecv is the last of it', async (t) => {
  let calls = 0;
  let after = 0;
  const handle = t.open(() => {
    calls++;
    process.nextTick(() => {
      handle.close();
      after = calls;
    });
  });
  const sender = t.open();
  for (let i = 0; i < 100; i++) {
    sender.send(message, '127.0.0.1', handle.address().port);
  }
  await until(() => after > 0);
  for (let i = 0; i < 20; i++) await turn();
  assert.equal(calls, after);
});

test('close of another endpoint inside onRecv is safe', async (t) => {
  const other = collector(t);
  let done = false;
  const handle = t.open(() => {
    other.handle.close();
    done = true;
  });
  const sender = t.open();
  sender.send(message, '127.0.0.1', other.port);
  sender.send(message, '127.0.0.1', handle.address().port);
  await until(() => done);
});

test('close flushes what send has accepted', async (t) => {
  delay(t, '20ms');
  const { received, port } = collector(t);
  const sender = t.open();
  const messages = Array.from({ length: 300 }, () => Buffer.alloc(1000));
  await sendAll(sender, messages, '127.0.0.1', port);
  sender.close();
  await until(() => received.length === messages.length);
});

test('close flushes what was sent before the handshake has ended', async (t) => {
  delay(t, '50ms');
  const { received, port } = collector(t);
  const sender = t.open();
  for (let i = 0; i < 50; i++) sender.send(message, '127.0.0.1', port);
  sender.close();
  await until(() => received.length === 50);
});

test('close flushes while messages arrive', async (t) => {
  delay(t, '20ms');
  const { received, port, handle } = collector(t);
  const other = t.open();
  const there = other.address().port;
  handle.send(message, '127.0.0.1', there);
  for (let i = 0; i < 50; i++) other.send(message, '127.0.0.1', port);
  await until(() => received.length === 50);
  let stopped = false;
  const flood = async () => {
    while (!stopped) {
      try {
        handle.send(Buffer.alloc(30_000), '127.0.0.1', there);
      } catch (error) {
        stopped = !isFull(error);
      }
      await turn();
    }
  };
  const flooding = flood();
  for (let i = 0; i < 50; i++) await turn();
  for (let i = 0; i < 50; i++) other.send(message, '127.0.0.1', port);
  other.close();
  await until(() => received.length === 100);
  stopped = true;
  await flooding;
});

test('close inside onRecv flushes the answer', async (t) => {
  delay(t, '20ms');
  const server = t.open(([data, host, port]) => {
    for (let i = 0; i < 20; i++) server.send(data, host, port);
    server.close();
  });
  const { handle, received } = collector(t);
  handle.send(message, '127.0.0.1', server.address().port);
  await until(() => received.length === 20);
});

test('a process stays alive until what it sent has arrived', async (t) => {
  delay(t, '50ms');
  const { received, port } = collector(t);
  const { code, stderr } = await runScript(
    `const handle = open('127.0.0.1', 0, 100, () => {});
    for (let i = 0; i < 10; i++) {
      handle.send(Buffer.from('x'), '127.0.0.1', ${port});
    }
    handle.unref().close();`,
  );
  assert.equal(stderr, '');
  assert.equal(code, 0);
  await until(() => received.length === 10);
});

test('the garbage collector does not cut a flush short', async (t) => {
  delay(t, '100ms');
  const { received, port } = collector(t);
  const { code, stderr } = await runScript(
    `(() => {
      const handle = open('127.0.0.1', 0, 100, () => {});
      handle.unref().send(Buffer.from('x'), '127.0.0.1', ${port});
      handle.close();
    })();
    const timer = setInterval(gc, 5).unref();`,
    { nodeArgs: ['--expose-gc'] },
  );
  assert.deepEqual([stderr, code], ['', 0]);
  await until(() => received.length === 1);
});

test('close waits for a dead peer 5 seconds at the most', async (t) => {
  run('tc qdisc add dev lo root netem loss 100%');
  t.after(() => run('tc qdisc del dev lo root'));
  const before = openSockets();
  const sender = t.open();
  sender.send(message, '127.0.0.1', 9);
  const start = process.hrtime.bigint();
  sender.close();
  assert.equal(openSockets(), before + 1);
  await until(() => openSockets() === before);
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  assert.ok(seconds > 4.5, `${seconds} s`);
});

test('messages that arrive before the deadline do not make the kernel abort what it sends after it', async (t) => {
  const child = spawn(
    process.execPath,
    [
      '-e',
      `const { open } = require(process.argv[1]);
      let bytes = 0;
      const handle = open('127.0.0.1', 0, 65536, ([data]) => {
        bytes += data.length;
        console.log(bytes);
      });
      console.log(handle.address().port);`,
      path.resolve(__dirname, '../..'),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let output = '';
  child.stdout.on('data', (data) => {
    output += data;
  });
  const lines = () => output.trim().split('\n').map(Number);
  await until(() => output.endsWith('\n'));
  const [stopped] = lines();

  const { handle, received, port } = collector(t);
  const flood = t.open();
  flood.send(message, '127.0.0.1', port);
  handle.send(Buffer.alloc(1000), '127.0.0.1', stopped);
  await until(() => received.length === 1 && lines().length === 2);
  child.kill('SIGSTOP');
  let sent = 1000;
  assert.throws(
    () => {
      for (;;) {
        handle.send(Buffer.alloc(10_000), '127.0.0.1', stopped);
        sent += 10_000;
      }
    },
    { code: 'ERR_SCTP_PEER_BUSY' },
  );
  handle.close();
  flood.send(message, '127.0.0.1', port);
  // When the loop goes on, the deadline has passed and the message is unread.
  const deadline = Date.now() + 5200;
  while (Date.now() < deadline);
  child.kill('SIGCONT');
  await until(() => lines().at(-1) === sent);
  child.kill();
  await once(child, 'close');
});

test('the port can be bound again at once, inside a callback and after await', async (t) => {
  const sender = t.open();
  for (const inside of [true, false]) {
    let handle;
    let port;
    const reopen = () => {
      handle.close();
      return t.open(() => {}, { port });
    };
    const again = await new Promise((resolve) => {
      handle = t.open(() => resolve(inside ? reopen() : null));
      ({ port } = handle.address());
      sender.send(message, '127.0.0.1', port);
    });
    const next = again ?? reopen();
    assert.equal(next.address().port, port);
  }
});

test('the port can be bound again while the old socket flushes', async (t) => {
  delay(t, '20ms');
  const { received, port } = collector(t);
  const sender = t.open();
  const own = sender.address().port;
  sender.send(message, '127.0.0.1', port);
  sender.close();
  const next = collector(t, { port: own });
  const other = t.open(() => {}, { host: '127.0.0.2' });
  other.send(message, '127.0.0.1', own);
  await until(() => next.received.length === 1 && received.length === 1);
});

test('an onRecv that throws is an uncaughtException and loses nothing', async () => {
  const { code, stdout, stderr } = await runScript(
    `let caught = 0;
    let calls = 0;
    process.on('uncaughtException', (error, origin) => {
      caught++;
      console.log(error.message, origin);
    });
    const handle = open('127.0.0.1', 0, 100, ([data]) => {
      calls++;
      if (calls === 10) handle.close();
      if (calls % 3 === 0) throw new Error('call ' + calls);
    });
    const sender = open('127.0.0.1', 0, 100, () => {});
    for (let i = 0; i < 10; i++) {
      sender.send(Buffer.from('x'), '127.0.0.1', handle.address().port);
    }
    sender.close();`,
  );
  assert.equal(stderr, '');
  assert.equal(
    stdout,
    'call 3 uncaughtException\ncall 6 uncaughtException\n' +
      'call 9 uncaughtException\n',
  );
  assert.equal(code, 0);
});

test('an onRecv that throws ends a process that does not catch it', async () => {
  const { code, stderr } = await runScript(
    `const handle = open('127.0.0.1', 0, 100, () => {
      throw new Error('of onRecv');
    });
    const { address, port } = handle.address();
    handle.send(Buffer.from('x'), address, port);`,
  );
  assert.match(stderr, /Error: of onRecv/);
  assert.equal(code, 1);
});

test('close after a throw in onRecv works', async () => {
  const { code, stdout } = await runScript(
    `process.on('uncaughtException', () => {
      handle.close();
      console.log('closed');
    });
    const handle = open('127.0.0.1', 0, 100, () => {
      throw new Error('x');
    });
    const { address, port } = handle.address();
    handle.send(Buffer.from('x'), address, port);
    handle.send(Buffer.from('x'), address, port);`,
  );
  assert.equal(stdout, 'closed\n');
  assert.equal(code, 0);
});

test('an onDrain that throws is an uncaughtException', async () => {
  const { code, stdout, stderr } = await runScript(
    `process.on('uncaughtException', (error) => console.log(error.message));
    const sink = open('127.0.0.1', 0, 65536, () => {});
    const sender = open('127.0.0.1', 0, 100, () => {});
    sender.onDrain = () => {
      setImmediate(() => (sink.close(), sender.close()));
      throw new Error('of onDrain');
    };
    try {
      for (;;) sender.send(Buffer.alloc(9000), '127.0.0.1', sink.address().port);
    } catch (error) {
      console.log(error.code);
    }`,
  );
  assert.equal(stderr, '');
  assert.equal(stdout, 'ERR_SCTP_PEER_BUSY\nof onDrain\n');
  assert.equal(code, 0);
});

test('process.exit() inside onRecv ends the process', async () => {
  const { code, signal, stderr } = await runScript(
    `const handle = open('127.0.0.1', 0, 100, () => process.exit(7));
    const { address, port } = handle.address();
    handle.send(Buffer.from('x'), address, port);
    handle.send(Buffer.from('x'), address, port);`,
  );
  assert.deepEqual(
    { code, signal, stderr },
    { code: 7, signal: null, stderr: '' },
  );
});

test('a killed process releases its port', async (t) => {
  const child = spawn(
    process.execPath,
    [
      '-e',
      `const { open } = require(process.argv[1]);
      console.log(open('127.0.0.1', 0, 9, () => {}).address().port);`,
      path.resolve(__dirname, '../..'),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [output] = await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'close');
  t.open(() => {}, { port: Number(output) });
});
