'use strict';

/** Scenarios of sockets, and how they run against an implementation. */

const { EventEmitter } = require('node:events');
const { Duplex, Stream } = require('node:stream');

/** The longest that an event can take, ms. */
const LIMIT = 120_000;

/** Events of the stream machinery, which come as it happens to work. */
const INTERNAL = new Set(['newListener', 'prefinish', 'readable']);

/** Events that one implementation has alone. */
const SPECIFIC =
  /^(connectionAttempt\w*|notification|address-change|peer-info-update)$/;

/** Values of all kinds, for arguments and options. */
const VALUES = {
  undefined: undefined,
  null: null,
  true: true,
  0: 0,
  1: 1,
  '-1': -1,
  1.5: 1.5,
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "''": '',
  "'x'": 'x',
  "'1'": '1',
  '1n': 1n,
  'Symbol()': Symbol('s'),
  '{}': {},
  '[]': [],
  '() => {}': () => {},
};

const scenarios = new Map();

/**
 * Defines a scenario: `body` gets a Run and returns what it saw, in the form of
 * nested objects.
 */
const scenario = (name, body) => scenarios.set(name, body);

/** A few turns of the event loop, in which whatever is due happens. */
async function turns(count = 5) {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
}

const pick = (object, names) =>
  Object.fromEntries(names.map((name) => [name, object[name]]));

/** The outcome of a call with each of these values. */
const withEach = (values, call) =>
  Object.fromEntries(
    Object.entries(values).map(([text, value]) => [text, call(value)]),
  );

/** The error's text in `node:net` may end with the local address. */
const withoutPorts = (text) =>
  text.replace(/:\d{4,5}\b/g, ':PORT').replace(/ - Local \(.*\)/, '');

/** An error's name and code; of a system call also its message and fields. */
function showError(error) {
  const { name, code, syscall, message } = error;
  const words = [name, code ?? message];
  if (syscall) {
    const { errno, address, port, hostname } = error;
    words.push(`'${withoutPorts(message)}'`, errno, syscall);
    words.push(address ?? hostname, port && 'PORT');
  }
  if (error.errors) words.push(`[${error.errors.map(showError).join('; ')}]`);
  return words.filter((word) => word !== undefined).join(' ');
}

/** A value as a text that is the same in each run. */
function show(value) {
  if (value instanceof Error) return showError(value);
  if (value instanceof Duplex) return 'a socket';
  if (value instanceof Stream) return 'a stream';
  if (value instanceof EventEmitter) return 'a server';
  if (Buffer.isBuffer(value)) return `bytes '${value}'`;
  if (typeof value === 'string') return `'${value}'`;
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value);
    return `{ ${entries.map(([k, v]) => `${k}: ${show(v)}`).join(', ')} }`;
  }
  const isPort = typeof value === 'number' && value >= 1024 && value < 65536;
  return isPort ? 'PORT' : String(value);
}

/** A callback that notes whether it got an error. */
const log = (list, name) => (error) =>
  list.push(`${name}: ${error ? showError(error) : 'done'}`);

/** Reads a socket from now on. What it returns gives all that has come. */
function reader(socket) {
  let text = '';
  socket.on('data', (data) => {
    text += data;
  });
  return () => text;
}

/** Runs a scenario with an implementation. Closes all that it opened. */
class Run {
  #emitters = new Map(); // and what is known of each
  #waiting = [];
  #cleanups = [];

  constructor(implementation) {
    this.module = implementation;
    this.connect = (...args) => this.#socket(implementation.connect(...args));
    this.createServer = (...args) =>
      this.#server(implementation.createServer(...args));
  }

  #socket(socket) {
    return this.#watch(socket, () => socket.destroy());
  }

  #server(server) {
    return this.#watch(server, () => server.close());
  }

  /** Notes what is emitted, without listeners, which might change it. */
  #watch(emitter, close) {
    const known = { events: [], specific: new Set(), close };
    this.#emitters.set(emitter, known);
    const { emit } = emitter;
    emitter.emit = (name, ...args) => {
      if (SPECIFIC.test(name)) known.specific.add(name);
      else if (!INTERNAL.has(name)) {
        known.events.push([name, ...args.map(show)].join(' '));
      }
      if (name === 'connection') this.#socket(args[0]);
      try {
        return emit.call(emitter, name, ...args);
      } finally {
        for (const wait of this.#waiting) {
          if (wait.emitter === emitter && wait.name === name) wait.done(args);
        }
      }
    };
    emitter.on('error', () => {});
    return emitter;
  }

  /** All that was emitted, each event as a text with its arguments. */
  events(emitter) {
    return [...this.#emitters.get(emitter).events];
  }

  /** The names of the events that the other implementation does not have. */
  specificEvents(emitter) {
    return [...this.#emitters.get(emitter).specific];
  }

  /** The arguments of the next such event, when its listeners have run. */
  async next(emitter, name) {
    let timer;
    try {
      return await new Promise((resolve, reject) => {
        this.#waiting.push({ emitter, name, done: resolve });
        const late = new Error(`waited ${LIMIT} ms in vain for '${name}'`);
        timer = setTimeout(reject, LIMIT, late);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** The end of each socket or server, and what may come after it. */
  async closed(...emitters) {
    const open = emitters.filter((emitter) => !emitter.closed);
    await Promise.all(open.map((emitter) => this.next(emitter, 'close')));
    await turns();
  }

  async listen(options = {}, host = '127.0.0.1') {
    const server = this.createServer(options).listen(0, host);
    await this.next(server, 'listening');
    return server;
  }

  /** Both ends of a connection to a server. */
  async connectTo(server, options = {}, listener = undefined) {
    const { address, port } = server.address();
    const client = this.connect({ host: address, port, ...options }, listener);
    const [[peer]] = await Promise.all([
      this.next(server, 'connection'),
      this.next(client, 'connect'),
    ]);
    return { server, client, peer };
  }

  async pair(serverOptions, clientOptions) {
    return this.connectTo(await this.listen(serverOptions), clientOptions);
  }

  /** A port that nobody listens on. */
  async freePort() {
    const server = await this.listen();
    const { port } = server.address();
    server.close();
    await this.next(server, 'close');
    return port;
  }

  /** Returns the result of a call: the error that it throws, or `shown` of its value. */
  attempt(call, shown = () => 'returns') {
    try {
      return shown(call());
    } catch (error) {
      return showError(error);
    }
  }

  /** The list that uncaught exceptions go to from now on. */
  uncaught() {
    const list = [];
    process.setUncaughtExceptionCaptureCallback((error) =>
      list.push(show(error)),
    );
    this.#cleanups.push(() =>
      process.setUncaughtExceptionCaptureCallback(null),
    );
    return list;
  }

  /** Functions to call when the scenario is over. */
  onEnd(cleanup) {
    this.#cleanups.push(cleanup);
  }

  async end() {
    for (const { close } of this.#emitters.values()) close();
    await turns();
    for (const cleanup of this.#cleanups) cleanup();
  }
}

/** `{ a: { b: 1 } }` as `{ 'a: b': 1 }`. */
function flatten(record, prefix = '') {
  const flat = {};
  for (const [key, value] of Object.entries(record)) {
    const isNested =
      typeof value === 'object' && value !== null && !Array.isArray(value);
    if (isNested) Object.assign(flat, flatten(value, `${prefix}${key}: `));
    else flat[prefix + key] = value;
  }
  return flat;
}

/** Facts about an implementation, by their names. */
async function record(name, implementation) {
  const run = new Run(implementation);
  try {
    return flatten(await scenarios.get(name)(run));
  } finally {
    await run.end();
  }
}

module.exports = {
  log,
  pick,
  reader,
  record,
  scenario,
  scenarios,
  show,
  showError,
  turns,
  VALUES,
  withEach,
};
