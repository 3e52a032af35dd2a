'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const { setTimeout: wait } = require('node:timers/promises');
const {
  collector,
  enterOwnNetwork,
  messages,
  pair,
  run,
  runScript,
  sendAll,
  SNDBUF,
  test,
  until,
} = require('../helpers');

enterOwnNetwork(__filename); // where nobody else sends packets
run('ip link set lo up');

const HOST = '127.0.0.1';

const numbered = (count, size) =>
  Array.from({ length: count }, (_, i) => {
    const message = Buffer.alloc(size, i);
    message.writeUInt32BE(i);
    return message;
  });

const sorted = (list) => list.toSorted?.() ?? [...list].sort();
const hex = (list) => sorted(list.map((data) => data.toString('hex')));
const contents = (received) => hex(received.map(([data]) => data));

/** SCTP packets that this network has sent. */
function packets() {
  const text = fs.readFileSync('/proc/net/sctp/snmp', 'latin1');
  return Number(/^SctpOutSCTPPacks\s+(\d+)/m.exec(text)[1]);
}

/** Two endpoints that have an association, and nothing on its way. */
async function acquainted(t, options) {
  const { handle, received, port } = collector(t, options);
  const sender = t.open();
  sender.send(Buffer.from('hello'), HOST, port);
  await until(() => received.length === 1);
  received.length = 0;
  return { sender, handle, received, port };
}

/** Sends a list of which a peer may hold only a part; how often that waited. */
async function sendInBatches(sender, list, port) {
  let drains = 0;
  for (let next = 0; next < list.length; ) {
    const taken = sender.sendBatch(list.slice(next), HOST, port);
    next += taken;
    if (taken === 0) {
      await new Promise((resolve) => {
        sender.onDrain = resolve;
      });
      drains++;
    }
  }
  return drains;
}

test('sendBatch sends each Buffer as a message of its own', async (t) => {
  const { received, port } = collector(t);
  const sender = t.open();
  const list = [
    ...numbered(100, 30),
    new Uint8Array([1, 2, 3]),
    new DataView(new ArrayBuffer(5)),
  ];
  assert.equal(sender.sendBatch(list, HOST, port), list.length);
  await until(() => received.length === list.length);
  const bytes = list.map(({ buffer, byteOffset, byteLength }) =>
    Buffer.from(buffer, byteOffset, byteLength),
  );
  assert.deepEqual(contents(received), hex(bytes));
  assert.ok(received.every(([, host]) => host === HOST));
});

test('sendBatch puts a burst into few packets, send does not', async (t) => {
  const list = numbered(100, 50); // which a peer may hold unacknowledged
  const count = async (send) => {
    const { sender, received, port } = await acquainted(t);
    const start = packets();
    send(sender, port);
    await until(() => received.length === list.length);
    return packets() - start;
  };
  const one = await count((sender, port) => {
    for (const message of list) sender.send(message, HOST, port);
  });
  const bundled = await count((sender, port) => {
    assert.equal(sender.sendBatch(list, HOST, port), list.length);
  });
  assert.ok(one >= 100, `${one} packets with send()`);
  assert.ok(bundled <= 15, `${bundled} packets with sendBatch()`);
});

test('nothing of a batch waits for a later message', async (t) => {
  const { sender, received, port } = await acquainted(t);
  for (const count of [1, 2, 3, 17, 64, 65]) {
    received.length = 0;
    assert.equal(sender.sendBatch(numbered(count, 20), HOST, port), count);
    await until(() => received.length === count);
  }
});

test('a batch larger than the send buffer is cut, and what was taken arrives', async (t) => {
  for (const [count, size] of [
    // More than both ends can hold: the peer acknowledges what fits there.
    [Math.ceil((2 * SNDBUF) / 3000), 3000],
    [Math.ceil((2 * SNDBUF) / 16000), 16000],
  ]) {
    const { sender, received, port } = await acquainted(t); // an empty buffer
    const list = numbered(count, size);
    const taken = sender.sendBatch(list, HOST, port);
    assert.ok(taken > 0 && taken < count, `${taken} of ${count}`);
    // No other message follows that could push these out.
    await until(() => received.length === taken);
    assert.deepEqual(contents(received), hex(list.slice(0, taken)));
  }
});

test('a message that is too long ends a batch, and those before it arrive', async (t) => {
  const { sender, received, port } = await acquainted(t);
  const list = numbered(10, 100);
  const long = Buffer.alloc(SNDBUF + 1);
  assert.equal(sender.sendBatch([...list, long, ...list], HOST, port), 10);
  await until(() => received.length === 10);
  assert.throws(() => sender.sendBatch([long, ...list], HOST, port), {
    code: 'EMSGSIZE',
  });
});

test('sendBatch goes on in onDrain, and returns 0 where nothing fits', async (t) => {
  const { sender, received, port } = await acquainted(t);
  const list = numbered(1200, SNDBUF / 400); // three times the buffer
  const drains = await sendInBatches(sender, list, port);
  await until(() => received.length === list.length);
  assert.ok(drains > 0);
  assert.deepEqual(contents(received), hex(list));
});

test('a batch to a new peer arrives', async (t) => {
  const { received, port } = collector(t);
  const list = numbered(50, 100);
  assert.equal(t.open().sendBatch(list, HOST, port), 50);
  await until(() => received.length === 50);
  assert.deepEqual(contents(received), hex(list));
});

test('a wrong element is an error, and nothing of the batch is sent', async (t) => {
  const { sender, received, port } = await acquainted(t);
  const good = Buffer.from('good');
  const type = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
  const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
  for (const [list, error] of [
    [[good, 'text'], type],
    [[good, null], type],
    [[good, undefined, good], type],
    [[good, Buffer.alloc(0)], range],
    ['text', type],
    [undefined, type],
    [{ length: 1, 0: good }, type],
    [new Uint8Array(3), type],
    [Array(3), type],
  ]) {
    assert.throws(() => sender.sendBatch(list, HOST, port), error);
  }
  assert.throws(() => sender.sendBatch([good], 'nobody', port), type);
  assert.throws(() => sender.sendBatch([good], HOST, 0), range);
  assert.throws(() => sender.sendBatch([good], '0.0.0.0', port), range);
  const endless = new Array(2 ** 32 - 1);
  assert.throws(() => sender.sendBatch(endless, HOST, port), {
    code: /^(ERR_INVALID_ARG_TYPE|ENOMEM)$/,
  });
  assert.equal(sender.sendBatch([], HOST, port), 0);
  sender.send(Buffer.from('last'), HOST, port);
  await until(() => received.length > 0);
  assert.deepEqual(
    received.map(([data]) => String(data)),
    ['last'],
  );
});

test('getters among the elements may close the endpoint or detach a Buffer', async (t) => {
  const { received, port } = collector(t);
  const getting = (list, get) => Object.defineProperty(list, 1, { get });
  const sender = t.open();
  const memory = Buffer.from(new ArrayBuffer(1000));
  const list = getting([memory, 0, Buffer.from('b')], () => {
    structuredClone(memory.buffer, { transfer: [memory.buffer] });
    return Buffer.from('a');
  });
  assert.throws(() => sender.sendBatch(list, HOST, port), {
    code: 'ERR_OUT_OF_RANGE', // it has no bytes any more
  });
  const closing = getting([Buffer.from('c'), 0], () => {
    sender.close();
    return Buffer.from('d');
  });
  assert.throws(() => sender.sendBatch(closing, HOST, port), {
    code: 'ERR_SOCKET_CLOSED',
  });
  const throwing = getting([Buffer.from('e'), 0], () => {
    throw new Error('mine');
  });
  assert.throws(() => t.open().sendBatch(throwing, HOST, port), /mine/);
  assert.deepEqual(received, []);
});

test('messages of all lengths, received in one drain, are intact', async (t) => {
  const { sender, received, port } = await acquainted(t, {
    recvMaxlen: 200000,
  });
  const sizes = [
    ...[1, 2, 15, 16, 17, 63, 64, 65, 1000, 4095, 4096, 4097],
    ...[16383, 16384, 16385, 8000, 8000, 8000, 1, 1],
  ];
  const list = sizes.map((size, i) => Buffer.alloc(size, i + 1));
  await sendInBatches(sender, list, port);
  for (const size of [65536, 1, 100000, 3]) {
    list.push(Buffer.alloc(size, list.length + 1));
    await sendAll(sender, list.slice(-1), HOST, port);
  }
  await until(() => received.length === list.length);
  assert.deepEqual(contents(received), hex(list));
});

test('long messages that are kept stay whole while others arrive', async (t) => {
  const { sender, received, port } = await acquainted(t, {
    recvMaxlen: 200000,
  });
  const sizes = [20000, 100, 16384, 65536, 1, 16383, 130000, 40000];
  const list = Array.from({ length: 80 }, (_, i) =>
    Buffer.alloc(sizes[i % sizes.length], i + 1),
  );
  for (const message of list) await sendAll(sender, [message], HOST, port);
  await until(() => received.length === list.length);
  assert.deepEqual(contents(received), hex(list));
});

test('transferring the memory of one message leaves the others whole', async (t) => {
  const { sender, received, port } = await acquainted(t);
  const list = numbered(60, 200);
  assert.equal(sender.sendBatch(list, HOST, port), 60);
  await until(() => received.length === 60);
  const [[{ buffer }]] = received;
  try {
    structuredClone(buffer, { transfer: [buffer] });
  } catch (error) {
    assert.equal(error.name, 'DataCloneError');
  }
  assert.deepEqual(contents(received), hex(list));
});

// Takes the memory that messages are received into, whenever they are handed
// over.
const TAKE = `
  const copy = Buffer.prototype.copy;
  let taken = 0;
  Buffer.prototype.copy = function (...args) {
    const result = copy.apply(this, args);
    if (this.length > 100000) {
      const { buffer } = this;
      new Uint8Array(structuredClone(buffer, { transfer: [buffer] })).fill(0);
      taken++;
    }
    return result;
  };`;

test('whoever takes the memory that messages are received into loses only those', async () => {
  const { code, stdout, stderr } = await runScript(`${TAKE}
    const message = Buffer.alloc(900, 7);
    let wrong = 0;
    const b = open('127.0.0.1', 0, 1000, ([data]) => {
      if (!message.equals(data) && String(data) !== 'last') wrong++;
      if (String(data) !== 'last') return;
      console.log('last', taken, wrong);
      clearInterval(timer);
      a.close();
      b.close();
    });
    const a = open('127.0.0.1', 0, 1000, () => {});
    const { port } = b.address();
    const timer = setInterval(() => {
      const list = taken < 3 ? Array(40).fill(message) : [Buffer.from('last')];
      a.sendBatch(list, '127.0.0.1', port);
    }, 20);`);
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /^last \d+ 0\n$/);
});

test('what comes behind messages whose memory is taken is whole', async () => {
  const { code, stdout, stderr } = await runScript(`${TAKE}
    const short = Buffer.alloc(1200, 7);
    const inPieces = Buffer.alloc(300000, 8);
    const server = createServer((peer) => {
      let wrong = 0;
      peer.on('data', (data) => {
        if (inPieces.equals(data)) console.log('in pieces', taken > 0);
        else if (!short.equals(data)) wrong++;
      });
      peer.on('notification', ({ type }) => {
        if (type === 'SCTP_SHUTDOWN_EVENT') console.log(type);
      });
      peer.on('end', () => console.log('wrong', wrong));
      server.close();
    });
    server.listen(0, '127.0.0.1', () => {
      const client = connect(server.address().port, '127.0.0.1', () => {
        client.cork();
        for (let i = 0; i < 50; i++) client.write(short);
        client.write(inPieces);
        client.end();
        client.uncork();
      });
      client.resume();
    });`);
  assert.deepEqual([code, stderr], [0, '']);
  assert.equal(stdout, 'in pieces true\nSCTP_SHUTDOWN_EVENT\nwrong 0\n');
});

test('memory that is taken in onPeer is not written to', async () => {
  const { code, stdout, stderr } = await runScript(`
    const copy = Buffer.prototype.copy;
    let memory;
    Buffer.prototype.copy = function (...args) {
      if (this.length > 100000) memory = this.buffer;
      return copy.apply(this, args);
    };
    let taken;
    let wrong = 0;
    let left = 30;
    const b = open('127.0.0.1', 0, 1000, ([data]) => {
      if (!data.equals(message)) wrong++;
      if (--left > 0) return;
      console.log('wrong', wrong, taken.some((byte) => byte !== 0));
      for (const handle of [a, b, c]) handle.close();
    });
    b.onPeer = () => {
      if (!memory || taken) return;
      taken = new Uint8Array(structuredClone(memory, { transfer: [memory] }));
      taken.fill(0);
    };
    const message = Buffer.alloc(900, 7);
    const a = open('127.0.0.1', 0, 1000, () => {});
    const c = open('127.0.0.1', 0, 1000, () => {});
    const { port } = b.address();
    for (const sender of [a, c]) {
      for (let i = 0; i < 15; i++) sender.send(message, '127.0.0.1', port);
    }`);
  assert.deepEqual([code, stderr], [0, '']);
  assert.equal(stdout, 'wrong 0 false\n');
});

test('a burst is received whole after messages that came one at a time', async (t) => {
  const { sender, received, port } = await acquainted(t);
  for (let i = 1; i <= 30; i++) {
    sender.send(Buffer.from('x'), HOST, port);
    await until(() => received.length === i);
  }
  received.length = 0;
  const list = numbered(100, 100);
  assert.equal(sender.sendBatch(list, HOST, port), 100);
  await until(() => received.length === 100);
  assert.deepEqual(contents(received), hex(list));
});

test('cork() puts a burst into few packets', async (t) => {
  const { client, peer } = await pair(t);
  const list = numbered(200, 50);
  const arrived = messages(peer, 200);
  const start = packets();
  client.cork();
  for (const message of list) client.write(message);
  assert.equal(packets(), start);
  client.uncork();
  const received = await arrived;
  const bundled = packets() - start;
  assert.ok(bundled <= 20, `${bundled} packets`);
  assert.deepEqual(
    received.map((data) => data.toString('hex')),
    list.map((data) => data.toString('hex')),
  );
});

test('nothing of a corked burst waits for a later message', async (t) => {
  const { client, peer } = await pair(t);
  for (const [count, size] of [
    [2, 20],
    [63, 20],
    [129, 20],
    // Messages that the buffer does not hold at once.
    [1500, SNDBUF / 500],
    [60, SNDBUF / 26],
  ]) {
    const list = numbered(count, size);
    const arrived = messages(peer, count);
    client.cork();
    for (const message of list) client.write(message);
    client.uncork();
    const received = await arrived;
    assert.deepEqual(
      received.map((data) => data.toString('hex')),
      list.map((data) => data.toString('hex')),
    );
  }
});

test('attributes, empty writes and callbacks of a corked burst', async (t) => {
  const { client, peer } = await pair(t);
  const arrived = messages(peer, 4);
  const called = [];
  client.cork();
  client.send('a', { sid: 1, ppid: 11 }, () => called.push('a'));
  client.write('', () => called.push('empty'));
  client.send('b', { unordered: true }, () => called.push('b'));
  client.send('c', { sid: 9, ppid: 0xffffffff, ttl: 60000 });
  client.write('d', () => called.push('d'));
  client.uncork();
  const received = (await arrived).map((data) => [
    ...[String(data), data.sid, data.ppid, data.unordered],
  ]);
  assert.deepEqual(sorted(received), [
    ['a', 1, 11, false],
    ['b', 0, 0, true],
    ['c', 9, 0xffffffff, false],
    ['d', 0, 0, false],
  ]);
  assert.deepEqual(called, ['a', 'empty', 'b', 'd']);
});

test('idle endpoints and sockets have no timer and make no system call', async (t) => {
  const child = t.spawn(process.execPath, [
    '-e',
    `const { connect, createServer, open } = require('.');
    const a = open('127.0.0.1', 0, 1000, () => {});
    const b = open('127.0.0.1', 0, 1000, () => {
      const server = createServer((peer) => peer.on('data', (data) => peer.write(data)));
      server.listen(0, '127.0.0.1', () => {
        const client = connect(server.address().port, '127.0.0.1');
        client.on('data', ready).write('hello');
      });
    });
    a.send(Buffer.from('hello'), '127.0.0.1', b.address().port);
    function ready() {
      const { libuv } = process.report.getReport();
      // V8 has one, unreferenced, for a while after it has collected garbage.
      const timers = libuv.filter(
        (h) => h.type === 'timer' && h.is_active && h.is_referenced,
      );
      console.log('timers: ' + timers.length);
    }`,
  ]);
  const [line] = await once(child.stdout, 'data');
  assert.equal(String(line), 'timers: 0\n');
  // Each time that the process wakes up counts as a switch.
  const switches = () =>
    fs
      .readFileSync(`/proc/${child.pid}/task/${child.pid}/status`, 'latin1')
      .match(/^(non)?voluntary_ctxt_switches:\t\d+$/gm)
      .join();
  // Work for the reports and the last acknowledgements ends.
  for (let quiet = false; !quiet; ) {
    const before = switches();
    await wait(1000);
    quiet = switches() === before;
  }
});
