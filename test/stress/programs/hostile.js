'use strict';

/**
 * Calls everything that the package and its bare binary have, in every state,
 * with whatever JavaScript has, while a good client goes on with its work. Runs
 * in a process of its own; see callers.test.js.
 */

const assert = require('node:assert/strict');
const { createHook } = require('node:async_hooks');
const { once } = require('node:events');
const { setTimeout: wait } = require('node:timers/promises');
const { connect, createServer, open } = require('../../..');
const binding = require('../../../lib/binding');
const { openSockets, until } = require('../../helpers');

const HOST = '127.0.0.1';

/** The exception of hostile values: it comes back as it is. */
class Hostile extends Error {}

let seed;
let port; // of the good server
let sink; // port of the good endpoint
let victim = {}; // the object that is being called
let internal = false; // victim is of the bare binary
let meddling = false; // hooks and setters do something
let calls = 0;
const accepted = []; // what has been made and is to be closed
const thrown = new Map(); // how often which error came

/** A pseudo-random integer from 0 to n - 1 (mulberry32). */
function random(n) {
  seed = (seed + 0x6d2b79f5) | 0;
  let x = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
  return ((x ^ (x >>> 14)) >>> 0) % n;
}

const pick = (list) => list[random(list.length)];

/**
 * An error is the caller's own, of the language, or says by its code what. What
 * only lib/ calls may answer without one.
 */
function check(error) {
  const own = !(error instanceof Error) || error instanceof Hostile;
  const good =
    own ||
    typeof error.code === 'string' ||
    (internal && error.message === 'Node-API call failed') ||
    error instanceof TypeError ||
    error instanceof RangeError;
  assert.ok(good, `an error without a code: ${error?.stack}`);
  const name = own ? 'own' : (error.code ?? error.name);
  thrown.set(name, (thrown.get(name) ?? 0) + 1);
}

// ------------------------------------------------------------------ values

function fail() {
  throw new Hostile('thrown by a hostile value');
}

/** Actions of a getter or callback behind the back of its caller. */
function closeVictim() {
  try {
    pick([() => victim.close?.(), () => victim.destroy?.()])();
  } catch {}
  return pick([0, 1, Buffer.from('closed'), undefined]);
}

function buffer() {
  return Buffer.alloc(pick([1, 10, 1000, 70_000]), random(256));
}

/** Options as connect() and listen() of the addon take them. */
function rows() {
  return [[132, random(140), buffer()]];
}

function resizable() {
  return new ArrayBuffer(64, { maxByteLength: 128 });
}

function detached() {
  const memory = new ArrayBuffer(64);
  const view = pick([Buffer.from(memory), new DataView(memory)]);
  structuredClone(memory, { transfer: [memory] });
  return view;
}

/** A Buffer whose memory goes away while the next element is read. */
function shrinking() {
  const memory = resizable();
  const list = [Buffer.from(memory), buffer()];
  const at = random(3);
  Object.defineProperty(list, at, {
    enumerable: true,
    get() {
      memory.resize(pick([0, 1, 128]));
      return buffer();
    },
  });
  return list;
}

/** An object of which every way to read it does something. */
function trap(action) {
  return {
    valueOf: action,
    toString: action,
    [Symbol.toPrimitive]: action,
    get length() {
      return action();
    },
    get host() {
      return action();
    },
    get port() {
      return action();
    },
    get sid() {
      return action();
    },
    get ppid() {
      return action();
    },
    get 0() {
      return action();
    },
    get aborted() {
      return action();
    },
  };
}

const proxied = (action) =>
  new Proxy([buffer()], { get: action, has: action, ownKeys: action });

function revoked() {
  const { proxy, revoke } = Proxy.revocable([], {});
  revoke();
  return proxy;
}

const typedArrays = [
  ...[Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array],
  ...[Int32Array, Uint32Array, Float32Array, Float64Array],
  ...[BigInt64Array, BigUint64Array],
];
const long = 'x'.repeat(100_000);
const large = Buffer.alloc(32 * 1024 * 1024);
const sparse = [];
sparse.length = 2 ** 32 - 1;

const makers = [
  () => undefined,
  () => null,
  () => pick([true, false]),
  () => pick([0, -0, 1, -1, 0.5, NaN, Infinity, -Infinity]),
  () => pick([2 ** 16, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 31), 1e308]),
  () => random(2 ** 32),
  () => pick([0n, 1n, -1n, 2n ** 64n]),
  () => pick([Symbol('s'), Symbol.iterator]),
  () => pick(['', '\0', 'a\0b', `${HOST}\0`, '\ud800', '\udfff\ud800', long]),
  () => pick([HOST, '::1', '::', '0.0.0.0', 'fe80::1%lo', 'utf8', '5000']),
  () => pick([[], [1, 2], new Array(5), [[[]]], [HOST, '::1'], sparse]),
  () => [buffer(), value()],
  shrinking,
  () =>
    pick([{}, Object.create(null), new Map(), new Date(), /x/, new Hostile()]),
  () => trap(fail),
  () => trap(closeVictim),
  () => proxied(fail),
  () => proxied(closeVictim),
  () => proxied(undefined),
  revoked,
  () => pick([() => {}, fail, closeVictim, class {}, async () => {}]),
  () => pick([victim.constructor, Buffer, Proxy]),
  buffer,
  () => Object.assign(buffer(), { sid: value(), ppid: value() }),
  () =>
    Object.defineProperty(buffer(), 'sid', { get: pick([fail, closeVictim]) }),
  () => new (pick(typedArrays))(pick([0, 1, 8])),
  () => new DataView(new ArrayBuffer(8), random(9)),
  detached,
  () => new Uint8Array(resizable()),
  resizable,
  () => new Uint8Array(new SharedArrayBuffer(8)),
  () => new SharedArrayBuffer(8),
  () => (victim.send ? large : buffer()), // spread as options it takes minutes
  () => victim,
  () => AbortSignal.abort(),
];

function value() {
  return pick(makers)();
}

/** `given`, in which something may have been replaced, also inside it. */
function spoil(given) {
  if (random(4) === 0) return value();
  if (random(4) > 0 || given === null || Object(given) !== given) return given;
  if (typeof given === 'function' || ArrayBuffer.isView(given)) return given;
  const copy = Array.isArray(given) ? [...given] : { ...given };
  const key = pick([...Object.keys(copy), 'host']);
  if (random(3) > 0) copy[key] = value();
  else Object.defineProperty(copy, key, { get: pick([fail, closeVictim]) });
  return copy;
}

// --------------------------------------------------------- hooks and setters

/** Something happens in the middle of a call, to the object and around it. */
function meddle(object) {
  if (!meddling || random(8) > 0) return;
  try {
    pick([
      closeVictim,
      () => object.close?.(true),
      () => accepted.push(new object.constructor()),
      () => victim.send?.(buffer(), HOST, sink),
    ])();
  } catch (error) {
    check(error);
  }
}

/** Hooks meddle with every object that is made from now on. */
function hookIn() {
  const made = new Map();
  const meet = (id) => made.has(id) && meddle(made.get(id) ?? victim);
  createHook({
    init(id, type, _trigger, resource) {
      if (type !== 'SCTP') return;
      made.set(id, resource);
      meet(id);
    },
    before: meet,
    after: meet,
    destroy: (id) => made.delete(id),
  }).enable();
}

/** Properties that errors and other results of the addon have. */
const results = [
  ...['code', 'errno', 'syscall', 'address', 'port', 'family', 'reason'],
  ...['type', 'parsed', 'sac_state', 'state', 'primary', 'initial'],
];

/** Calls `body` while Object.prototype has a setter for each of them. */
function withSetters(body) {
  for (const name of results) {
    Object.defineProperty(Object.prototype, name, {
      configurable: true,
      set(value) {
        Object.defineProperty(this, name, {
          ...{ value, writable: true, enumerable: true, configurable: true },
        });
        meddle(this);
      },
    });
  }
  try {
    body();
  } finally {
    for (const name of results) delete Object.prototype[name];
  }
}

// --------------------------------------------------------------- arguments

const callback = () => pick([() => {}, fail, closeVictim]);
const attributes = () => ({ sid: 1, ppid: 7, ttl: 100, unordered: true });
const bindings = () => ({
  host: HOST,
  port: 0,
  localAddresses: undefined,
  backlog: 5,
  fd: undefined,
  signal: undefined,
  highWaterMark: 1000,
});
const target = () => ({
  ...{ host: HOST, port, localAddress: HOST, localPort: 0, lookup: undefined },
  ...{ remoteAddresses: undefined, MIS: 5, OS: 5, rto: {}, heartbeat: {} },
  ...{ sack: {}, init: {}, timeout: 1000, noDelay: true, sctp: {} },
});

/** Arguments with which calls succeed, so that spoiled ones get far. */
const usual = {
  endpoint: {
    send: () => [buffer(), HOST, sink],
    sendBatch: () => [[buffer(), buffer()], HOST, sink],
    disconnect: () => [HOST, sink, { abort: true, reason: 'hostile' }],
    peelOff: () => [HOST, sink, { maxMessageSize: 1000 }],
    getOption: () => [pick(['SCTP_RTOINFO', 'SCTP_STATUS']), {}, HOST, sink],
    setOption: () => ['SCTP_RTOINFO', { srto_max: random(1e6) }, HOST, sink],
  },
  socket: {
    send: () => [buffer(), attributes(), callback()],
    write: () => [Object.assign(buffer(), attributes()), 'utf8', callback()],
    end: () => [buffer(), 'utf8', callback()],
    on: () => [pick(['data', 'notification', 'end', 'x']), callback()],
    once: () => [pick(['drain', 'close', 'readable']), callback()],
    setTimeout: () => [1, callback()],
    setKeepAlive: () => [true, 1000],
    setEncoding: () => ['utf8'],
    setDefaultEncoding: () => ['utf8'],
    getOption: () => [pick(['SCTP_RTOINFO', 'SCTP_STATUS', 'SCTP_MAXSEG']), {}],
    setOption: () => ['SCTP_RTOINFO', { srto_max: random(2 ** 32) }],
    setPrimary: () => [HOST],
    setPeerPrimary: () => [HOST],
    setPath: () => [HOST, { heartbeat: 500, dscp: 8 }],
    heartbeat: () => [HOST],
    addLocalAddress: () => [HOST],
    removeLocalAddress: () => [HOST],
    resetStreams: () => [{ outgoing: [1], incoming: true }],
    addStreams: () => [{ outgoing: 1 }],
    setStreamPriority: () => [1, 5],
    setAuthKey: () => [1, buffer()],
    activateAuthKey: () => [1],
    deleteAuthKey: () => [1],
  },
  server: {
    listen: () => [bindings(), callback()],
    close: () => [callback()],
    getConnections: () => [callback()],
    getOption: () => ['SCTP_RTOINFO'],
    setOption: () => ['SCTP_NODELAY', { value: random(2) }],
    addLocalAddress: () => ['127.0.0.2'],
    removeLocalAddress: () => ['127.0.0.2'],
    on: () => ['connection', callback()],
  },
  rawSocket: {
    write: () => [buffer(), 1, 2, 1, 100],
    send: () => [[new Uint32Array(26), buffer(), buffer()]],
    start: () => [callback(), callback()],
    setReading: () => [true],
    close: () => [true],
    abortWith: () => [buffer()],
    bindx: () => [[HOST], port, true],
    getOption: () => [132, random(140), buffer()],
    setOption: () => [132, random(140), buffer()],
  },
  rawListener: {
    start: () => [callback()],
    getOption: () => [132, random(140), buffer()],
    setOption: () => [132, random(140), buffer()],
  },
  exports: {
    open: () => [[HOST, '127.0.0.2'], 0, 65536, callback()],
    connect: () => [target(), callback()],
    createServer: () => [bindings(), callback()],
  },
  binding: {
    open: () => [HOST, 0, 65536, callback()],
    connect: () => [[HOST], port, [], 0, rows(), 100, 100],
    listen: () => [[HOST], 0, 5, rows(), 100, 100],
    listenFd: () => [random(40), 5, rows(), 100, 100],
    getNewOption: () => [132, random(140), buffer()],
    toAddress: () => [buffer()],
    fromAddress: () => [HOST, port],
  },
};

/** Documented members that a class inherits. */
const inherited = {
  socket: [
    ...['read', 'pause', 'resume', 'isPaused', 'cork', 'uncork', 'destroy'],
    ...['once', 'off', 'removeAllListeners', 'listenerCount', 'readable'],
    ...['writableLength', 'unpipe', 'destroyed', Symbol.asyncDispose],
  ],
  server: ['on', 'once', 'off', 'removeAllListeners', 'listenerCount'],
};

const writable = {
  endpoint: ['onDrain', 'onPeer', 'onUndelivered'],
  server: ['maxConnections'],
};

// ----------------------------------------------------------------- objects

/** Its errors are looked at, and what a server accepts is closed, too. */
function quiet(emitter) {
  emitter.on('error', check);
  if (emitter.listen) {
    emitter.on('connection', (socket) => accepted.push(quiet(socket)));
  }
  return emitter;
}

async function endpoint() {
  const handle = open(HOST, 0, 65536, callback());
  accepted.push(handle); // what follows may fail
  if (random(3) === 0) handle.unref();
  if (random(2) === 0) handle.send(buffer(), HOST, sink);
  if (random(4) === 0) handle.close(); // and is flushing
  if (random(8) === 0) await wait(20); // or is closed
  return handle;
}

async function client() {
  const socket = quiet(connect({ host: HOST, port, highWaterMark: 1000 }));
  if (random(3) === 0) return socket; // connecting
  await once(socket, 'connect');
  pick([
    () => {},
    () => socket.pause(),
    () => socket.resume(),
    () => socket.cork(),
    () => socket.write(buffer()),
    () => socket.end(),
    () => socket.destroy(),
  ])();
  if (random(4) === 0) await wait(5);
  return socket;
}

async function acceptedSocket() {
  const server = quiet(createServer({ pauseOnConnect: random(2) === 0 }));
  server.listen(0, HOST);
  await once(server, 'listening');
  const peer = quiet(connect(server.address().port, HOST));
  accepted.push(server, peer);
  const [socket] = await once(server, 'connection');
  server.close();
  peer.resume();
  peer.write(buffer());
  if (random(4) === 0) peer.end();
  if (random(4) === 0) peer.destroy();
  return quiet(socket);
}

async function server() {
  const result = quiet(createServer());
  if (random(3) > 0) result.listen({ host: HOST, port: 0 });
  if (random(4) === 0) {
    await wait(1);
    accepted.push(quiet(connect(result.address()?.port ?? port, HOST)));
  }
  if (random(4) === 0) result.close();
  return result;
}

async function rawSocket() {
  const handle = binding.connect([HOST], port, [], 0, [], 1000, 1000);
  accepted.push(handle);
  if (random(2) === 0) handle.start(callback(), callback());
  if (random(2) === 0) await wait(5);
  if (random(4) === 0) handle.close(random(2) === 0);
  return handle;
}

async function rawListener() {
  const handle = binding.listen([HOST], 0, 5, [], 1000, 1000);
  accepted.push(handle);
  handle.start((_event, socket) => {
    accepted.push(socket);
    if (random(2) === 0) socket.start(callback(), callback());
  });
  if (random(3) === 0)
    accepted.push(quiet(connect(handle.address().port, HOST)));
  return handle;
}

const kinds = {
  endpoint: [endpoint],
  socket: [client, acceptedSocket],
  server: [server],
  rawSocket: [rawSocket],
  rawListener: [rawListener],
  exports: [async () => require('../../..')],
  binding: [async () => binding],
};

function dispose(object) {
  try {
    if (object.destroy) quiet(object).destroy();
    else if (object.removeAllListeners) quiet(object).close();
    else object.close(true);
  } catch (error) {
    check(error);
  }
}

function disposeOfAccepted() {
  for (const made of accepted.splice(0)) dispose(made);
}

// ------------------------------------------------------------------- calls

function members(kind, object) {
  const own = Reflect.ownKeys(
    kind === 'exports' || kind === 'binding'
      ? object
      : Object.getPrototypeOf(object),
  );
  return [...own, ...(inherited[kind] ?? [])].filter(
    (name) => name !== 'constructor' && !/^_|^on[A-Z]/.test(String(name)),
  );
}

/** Whatever a call gives back is closed, too. */
function keep(result) {
  if (typeof result?.then === 'function' && result instanceof Promise) {
    result.catch(check);
  } else if (result !== victim && typeof result === 'object' && result) {
    const made = ['Socket', 'Server', 'Endpoint', 'SocketHandle'];
    if (![...made, 'ListenerHandle'].includes(result.constructor?.name)) return;
    if (result.removeAllListeners) quiet(result);
    accepted.push(result);
  }
}

/** One call, read or assignment. */
function callOnce(kind, object) {
  const names = members(kind, object);
  const name = random(20) === 0 ? pick(writable[kind] ?? names) : pick(names);
  const given = usual[kind][name]?.() ?? [];
  const args =
    given.length && random(5) > 0
      ? given.map(spoil)
      : Array.from({ length: random(6) }, value);
  calls++;
  try {
    if (writable[kind]?.includes(name)) {
      object[name] = value();
      return;
    }
    const self = random(8) === 0 ? value() : object;
    const member = Reflect.get(
      object,
      name,
      Object(self) === self ? self : object,
    );
    if (typeof member !== 'function') return;
    if (random(50) === 0) keep(Reflect.construct(member, args));
    else keep(Reflect.apply(member, self, args));
  } catch (error) {
    check(error);
  }
}

/** One object, and what happens to it. */
async function hostility() {
  const kind = pick(Object.keys(kinds));
  let object;
  try {
    object = await pick(kinds[kind])();
  } catch (error) {
    check(error); // a callback has closed it, or thrown, before it was ready
    disposeOfAccepted();
    return;
  }
  victim = object;
  internal = kind === 'binding' || kind.startsWith('raw');
  meddling = true;
  for (let i = 0; i < 40; i++) {
    if (random(3) > 0) callOnce(kind, object);
    else withSetters(() => callOnce(kind, object));
    if (random(10) === 0) await new Promise(setImmediate);
  }
  meddling = false;
  disposeOfAccepted();
  if (kind !== 'exports' && kind !== 'binding') dispose(object);
}

// ------------------------------------------------------------ the good ones

/** Echoes to who greets; hostile messages are read and dropped. */
async function goodPeers() {
  const echo = createServer({ MIS: 10 }, (socket) => {
    socket.on('data', (data) => {
      if (data.ppid === 1234567) socket.write(data);
    });
    socket.on('error', check);
  });
  echo.listen(0, HOST);
  await once(echo, 'listening');
  port = echo.address().port;
  const stream = connect(port, HOST);
  await once(stream, 'connect');
  let dropped;
  const received = open(HOST, 0, 65536, (result) => {
    if (typeof result !== 'string' && result[2] === sender)
      dropped?.(result[0]);
  });
  sink = received.address().port;
  const datagrams = open(HOST, 0, 65536, () => {});
  const sender = datagrams.address().port;
  return {
    async exchange(text) {
      const message = Buffer.from(text);
      const back = once(stream, 'data');
      const arrived = new Promise((resolve) => {
        dropped = resolve;
      });
      stream.send(message, { ppid: 1234567 });
      datagrams.send(message, HOST, sink);
      assert.equal(String((await back)[0]), text);
      assert.equal(String(await arrived), text);
    },
    async close() {
      stream.destroy();
      datagrams.close();
      received.close();
      echo.close();
    },
  };
}

/** Makes `count` calls; prints what came of them. */
exports.run = async (count, firstSeed) => {
  seed = firstSeed;
  process.on('uncaughtException', (error) => {
    try {
      check(error);
    } catch (bad) {
      console.error(bad);
      process.exit(1);
    }
  });
  const before = openSockets();
  const good = await goodPeers();
  hookIn();
  let exchanges = 0;
  while (calls < count) {
    await hostility();
    await good.exchange(`message ${exchanges++}`);
  }
  await good.exchange('the last one');
  await good.close();
  // Endpoints may flush for 5 seconds, and connects retry.
  const deadline = Date.now() + 60_000;
  await until(() => {
    disposeOfAccepted(); // what has arrived only now
    return openSockets() <= before || Date.now() > deadline;
  });
  const sockets = openSockets() - before;
  if (sockets > 0) setTimeout(() => process.exit(1), 1000); // it would hang
  console.log(
    JSON.stringify({
      calls,
      exchanges,
      sockets,
      thrown: Object.fromEntries(thrown),
    }),
  );
};
