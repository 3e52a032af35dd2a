'use strict';

const assert = require('node:assert/strict');
const { open } = require('../..');
const binding = require('../../lib/binding');
const { runScript, test } = require('../helpers');

const type = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
const onRecv = () => {};

/** Values that are no string, number, function or view of bytes. */
const strangers = [
  undefined,
  null,
  true,
  Symbol('s'),
  10n,
  {},
  [],
  new Date(),
  new Proxy({}, {}),
];
const notIntegers = [-1, 1.5, NaN, Infinity, -Infinity, 2 ** 53];

const name = (value) =>
  typeof value === 'symbol' || typeof value === 'bigint'
    ? String(value)
    : `${typeof value} ${JSON.stringify(value) ?? value}`;

/** Rows of: argument list, expected error. */
const openTable = [
  [[], type],
  [['0.0.0.0'], type],
  [['0.0.0.0', 0], type],
  [['0.0.0.0', 0, 100], type],
  ...[...strangers.filter((v) => !Array.isArray(v)), 1, onRecv].map((v) => [
    [v, 0, 100, onRecv],
    type,
  ]),
  ...[...strangers, '1', onRecv].map((v) => [['::', v, 100, onRecv], type]),
  ...[...strangers, '1', onRecv].map((v) => [['::', 0, v, onRecv], type]),
  ...[...strangers, '1', 1].map((v) => [['::', 0, 100, v], type]),
  ...[...notIntegers, 65536].map((v) => [['::', v, 100, onRecv], range]),
  ...[...notIntegers, 0, 16 * 1024 * 1024 + 1].map((v) => [
    ['::', 0, v, onRecv],
    range,
  ]),
  ...[
    '',
    'localhost',
    '127.0.0.1 ',
    '127.0.0.1\0',
    '127.1',
    '1.2.3.4.5',
    '::1::',
    '%lo',
    '\ud800',
    '1'.repeat(100_000),
  ].map((v) => [[v, 0, 100, onRecv], type]),
];

for (const [args, expected] of openTable) {
  const shown = args.map((v) => name(v).slice(0, 30)).join(', ');
  test(`open(${shown}) throws ${expected.code}`, () => {
    assert.throws(() => open(...args), expected);
  });
}

const bytes = Buffer.from('x');
const sendTable = [
  [[], type],
  [[bytes], type],
  [[bytes, '127.0.0.1'], type],
  ...[...strangers, 1, 'text', new ArrayBuffer(4)].map((v) => [
    [v, '127.0.0.1', 1],
    type,
  ]),
  ...[...strangers, 1].map((v) => [[bytes, v, 1], type]),
  ...[...strangers, '1'].map((v) => [[bytes, '127.0.0.1', v], type]),
  ...[...notIntegers, 0, 65536].map((v) => [[bytes, '127.0.0.1', v], range]),
  ...['', 'localhost', '127.0.0.1\0', '::1%', 'x'.repeat(1000)].map((v) => [
    [bytes, v, 1],
    type,
  ]),
  ...[
    '0.0.0.0',
    '::',
    '224.0.0.1',
    '239.255.255.255',
    'ff02::1%lo',
    '255.255.255.255',
    '::ffff:0.0.0.0',
    '::ffff:224.0.0.1',
    'fe80::1',
  ].map((v) => [[bytes, v, 1], range]),
  [[Buffer.alloc(0), '127.0.0.1', 1], range],
  [[new Uint8Array(0), '127.0.0.1', 1], range],
];

for (const [args, expected] of sendTable) {
  const shown = args.map((v) => name(v).slice(0, 30)).join(', ');
  test(`send(${shown}) throws ${expected.code}`, (t) => {
    const handle = t.open(onRecv, { host: '::' });
    assert.throws(() => handle.send(...args), expected);
  });
}

test('a detached buffer is refused as an empty one', (t) => {
  const handle = t.open();
  const view = new Uint8Array(8);
  structuredClone(view, { transfer: [view.buffer] });
  assert.throws(() => handle.send(view, '127.0.0.1', 1), range);
});

test('an unknown interface is named in a system error', (t) => {
  const handle = t.open(onRecv, { host: '::' });
  assert.throws(() => handle.send(bytes, 'fe80::1%nosuch0', 9), {
    message: 'send ENODEV fe80::1%nosuch0:9',
    code: 'ENODEV',
    syscall: 'send',
    address: 'fe80::1%nosuch0',
    port: 9,
  });
});

test('the error of an argument shows what was received', (t) => {
  const handle = t.open();
  for (const [args, message] of [
    [[bytes, 'localhost', 1], /"host" .* an IP address. Received 'localhost'$/],
    [[bytes, 5, 1], /"host" .* of type string. Received type number$/],
    [[bytes, '127.0.0.1', NaN], /"port" .*>= 1 && <= 65535. Received NaN$/],
    [[bytes, '127.0.0.1', -Infinity], /Received -Infinity$/],
    [[bytes, '127.0.0.1', 65536], /Received 65536$/],
    [['x', '127.0.0.1', 1], /"buffer" .* a Buffer, .*Received type string$/],
    [[bytes, '224.0.0.1', 1], /"host" .* one host. Received 224.0.0.1$/],
  ]) {
    assert.throws(() => handle.send(...args), { message });
  }
});

test('a port in use fails with EADDRINUSE', (t) => {
  const { port } = t.open().address();
  assert.throws(() => t.open(onRecv, { port }), {
    name: 'Error',
    message: `bind EADDRINUSE 127.0.0.1:${port}`,
    code: 'EADDRINUSE',
    errno: -98,
    syscall: 'bind',
    address: '127.0.0.1',
    port,
  });
});

test('an address of another host fails with EADDRNOTAVAIL', (t) => {
  assert.throws(() => t.open(onRecv, { host: '192.0.2.1' }), {
    message: 'bind EADDRNOTAVAIL 192.0.2.1',
    code: 'EADDRNOTAVAIL',
    syscall: 'bind',
    address: '192.0.2.1',
  });
});

test('methods refuse a foreign this', (t) => {
  const handle = t.open();
  for (const method of ['send', 'close', 'address', 'ref', 'unref']) {
    for (const stranger of [undefined, {}, Object.create(handle), open]) {
      assert.throws(() => handle[method].call(stranger), TypeError);
    }
  }
});

test('the class of handles cannot be constructed', (t) => {
  const handle = t.open();
  assert.throws(() => new handle.constructor(), {
    name: 'TypeError',
    code: 'ERR_ILLEGAL_CONSTRUCTOR',
  });
  class Derived extends handle.constructor {}
  assert.throws(() => new Derived(), { code: 'ERR_ILLEGAL_CONSTRUCTOR' });
});

test('a method is no constructor', (t) => {
  const handle = t.open();
  assert.throws(() => new handle.send(), TypeError);
  assert.throws(() => new handle.sendBatch(), { code: 'ERR_INVALID_THIS' });
});

test('attributes that are a getter may detach the messages', async (t) => {
  const { port } = (await t.listen({})).address();
  const socket = binding.connect(['127.0.0.1'], port, [], 0, [], 1024, 1024);
  const message = Buffer.from(new ArrayBuffer(1000));
  const list = Object.defineProperty([0, message], 0, {
    get() {
      structuredClone(message.buffer, { transfer: [message.buffer] });
      return new Uint32Array(13);
    },
  });
  try {
    assert.throws(() => socket.send(list), range); // it has no bytes any more
  } finally {
    socket.close(true);
  }
});

test('a refused argument loses nothing', async (t) => {
  const received = [];
  const handle = t.open((result) => received.push(result));
  const { address, port } = handle.address();
  handle.send(Buffer.from('1'), address, port);
  assert.throws(() => handle.send('2', address, port), type);
  await new Promise((resolve) => {
    const { send } = handle;
    handle.onDrain = null;
    send.call(handle, Buffer.from('3'), address, port);
    const check = () =>
      received.length === 2 ? resolve() : setImmediate(check);
    check();
  });
  assert.deepEqual(received.map(([data]) => String(data)).sort(), ['1', '3']);
});

test('a setter on Array.prototype is not called', async () => {
  const { code, stdout, stderr } = await runScript(`
    const b = open('127.0.0.1', 0, 1000, ([data]) => {
      console.log(String(data));
      a.close();
      b.close();
    });
    const a = open('127.0.0.1', 0, 1000, () => {});
    const { port } = b.address();
    Object.defineProperty(Array.prototype, 0, {
      configurable: true,
      set() {
        a.close();
      },
    });
    const length = a.send(Buffer.from('hello'), '127.0.0.1', port);
    delete Array.prototype[0];
    console.log(length);`);
  assert.deepEqual([code, stderr], [0, '']);
  assert.equal(stdout, '5\nhello\n');
});
