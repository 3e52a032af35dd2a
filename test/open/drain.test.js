'use strict';

const assert = require('node:assert/strict');
const { AsyncLocalStorage } = require('node:async_hooks');
const { setImmediate: turn } = require('node:timers/promises');
const {
  SNDBUF,
  blockThread,
  collector,
  runScript,
  sendAll,
  test,
  until,
} = require('../helpers');

const numbered = (count, size) =>
  Array.from({ length: count }, (_, i) => {
    const message = Buffer.alloc(size);
    message.writeUInt32BE(i);
    return message;
  });

const numbers = (received) =>
  received.map(([data]) => data.readUInt32BE()).sort((a, b) => a - b);

/** Sends until the peer has enough; returns how many messages it took. */
function fill(handle, message, host, port) {
  for (let count = 0; ; count++) {
    try {
      handle.send(message, host, port);
    } catch (error) {
      assert.deepEqual(
        { ...error, message: error.message },
        {
          message:
            `send ERR_SCTP_PEER_BUSY ${host}:${port}: ` +
            'this peer has not acknowledged what it was sent',
          code: 'ERR_SCTP_PEER_BUSY',
          syscall: 'send',
          address: host,
          port,
        },
      );
      return count;
    }
  }
}

test('ERR_SCTP_PEER_BUSY and onDrain: nothing is lost or doubled', async (t) => {
  const { received, port } = collector(t);
  const sender = t.open();
  const messages = numbered(1000, SNDBUF / 200); // five times the buffer
  let drains = 0;
  const sent = sendAll(sender, messages, '127.0.0.1', port);
  const go = sender.onDrain;
  assert.equal(typeof go, 'function', 'the peer was never busy');
  sender.onDrain = () => {
    drains++;
    go();
  };
  await sent;
  await until(() => received.length === messages.length);
  assert.ok(drains > 0);
  assert.deepEqual(numbers(received), [...messages.keys()]);
});

test('onDrain is called once for many ERR_SCTP_PEER_BUSY, with the peer', async (t) => {
  const { received, port } = collector(t);
  const sender = t.open();
  const message = Buffer.alloc(1000);
  const drains = [];
  sender.onDrain = (...peer) => drains.push(peer);
  let count = 0;
  for (let i = 0; i < 6; i++) {
    count += fill(sender, message, '127.0.0.1', port);
  }
  await until(() => received.length === count && drains.length > 0);
  for (let i = 0; i < 10; i++) await turn();
  assert.deepEqual(drains, [['127.0.0.1', port]]);
});

test('onDrain is not called when nothing was refused', async (t) => {
  const { received, port } = collector(t);
  const sender = t.open();
  sender.onDrain = () => assert.fail('called');
  sender.send(Buffer.from('x'), '127.0.0.1', port);
  await until(() => received.length === 1);
  for (let i = 0; i < 10; i++) await turn();
});

test('callbacks are functions or null, and anything else throws', (t) => {
  const handle = t.open();
  for (const name of ['onDrain', 'onPeer', 'onUndelivered']) {
    const callback = () => {};
    assert.equal(handle[name], null);
    handle[name] = callback;
    assert.equal(handle[name], callback);
    for (const value of [undefined, 1, 'x', {}, Symbol('s'), true]) {
      assert.throws(
        () => {
          handle[name] = value;
        },
        { code: 'ERR_INVALID_ARG_TYPE', message: new RegExp(`"${name}"`) },
      );
    }
    assert.equal(handle[name], callback);
    handle[name] = null;
    assert.equal(handle[name], null);
  }
});

test('without onDrain, sending goes on when there is room', async (t) => {
  const { received, port } = collector(t);
  const sender = t.open();
  for (let i = 0; i < 3; i++) {
    const before = received.length;
    const count = fill(sender, Buffer.alloc(5000), '127.0.0.1', port);
    await until(() => received.length === before + count);
  }
});

test('timers get their turn after 64 messages', async (t) => {
  const { handle, received, port } = collector(t);
  // Message by message, so that all wait to be read when the loop goes on.
  const count = 130;
  for (const message of numbered(count, 50)) {
    handle.send(message, '127.0.0.1', port);
  }
  const steps = [];
  let last = 0;
  while (received.length < count) {
    await turn();
    if (received.length > last) steps.push(received.length - last);
    last = received.length;
  }
  assert.ok(Math.max(...steps) <= 64, `steps of ${steps}`);
  assert.ok(steps.length >= count / 64);
});

test('nextTick and promise callbacks run once per drain, at its end', async (t) => {
  const order = [];
  const handle = t.open(([data]) => {
    const text = String(data);
    order.push(text);
    process.nextTick(() => order.push(`tick ${text}`));
    Promise.resolve().then(() => order.push(`promise ${text}`));
  });
  const { address, port } = handle.address();
  handle.send(Buffer.from('a'), address, port);
  await until(() => order.length === 3);
  order.length = 0;
  handle.send(Buffer.from('a'), address, port);
  handle.send(Buffer.from('b'), address, port);
  blockThread(200); // until both have arrived
  await until(() => order.length === 6);
  const messages = order.slice(0, 2).sort();
  const ticks = order.slice(2, 4).sort();
  const promises = order.slice(4).sort();
  assert.deepEqual(messages, ['a', 'b']);
  assert.deepEqual(ticks, ['tick a', 'tick b']);
  assert.deepEqual(promises, ['promise a', 'promise b']);
});

test('onRecv runs in the async context that open was called in', async (t) => {
  const storage = new AsyncLocalStorage();
  const stores = [];
  const handle = storage.run('of open', () =>
    t.open(() => {
      stores.push(storage.getStore());
      setImmediate(() => stores.push(storage.getStore()));
    }),
  );
  const { address, port } = handle.address();
  storage.run('of send', () => handle.send(Buffer.from('x'), address, port));
  await until(() => stores.length === 2);
  assert.deepEqual(stores, ['of open', 'of open']);
});

test('onRecv keeps its async context after one that has thrown', async () => {
  const { stdout, stderr } = await runScript(
    `const { AsyncLocalStorage } = require('node:async_hooks');
    const storage = new AsyncLocalStorage();
    process.on('uncaughtException', () => {});
    const handle = storage.run('of open', () =>
      open('127.0.0.1', 0, 100, ([data]) => {
        console.log(storage.getStore());
        if (String(data) === 'last') return handle.close();
        throw new Error('x');
      }));
    const { address, port } = handle.address();
    for (const text of ['', '', 'last'])
      handle.send(Buffer.from(text || 'x'), address, port);`,
  );
  assert.deepEqual([stderr, stdout], ['', 'of open\n'.repeat(3)]);
});

test('onDrain runs in the async context that open was called in', async (t) => {
  const storage = new AsyncLocalStorage();
  const { port } = collector(t);
  const sender = storage.run('of open', () => t.open());
  const store = new Promise((resolve) => {
    sender.onDrain = () => resolve(storage.getStore());
  });
  fill(sender, Buffer.alloc(1000), '127.0.0.1', port);
  assert.equal(await store, 'of open');
});

test('sending to one peer from onRecv of another loses nothing', async (t) => {
  const sink = collector(t);
  const relay = t.open(([data]) => relay.send(data, '127.0.0.1', sink.port));
  const sender = t.open();
  const messages = numbered(80, 500);
  await sendAll(sender, messages, '127.0.0.1', relay.address().port);
  await until(() => sink.received.length === messages.length);
  assert.deepEqual(numbers(sink.received), [...messages.keys()]);
});
