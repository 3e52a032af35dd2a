'use strict';

const dns = require('node:dns');
const { EventEmitter } = require('node:events');
const { isIP } = require('node:net');
const { promisify } = require('node:util');
const binding = require('./binding');
const { alreadyListening, invalidType, notRunning } = require('./errors');
const {
  addresses,
  boolean,
  func,
  integer,
  port: validPort,
  string,
} = require('./arguments');
const { normalize, read, settings, withOptions } = require('./options');
const { changeAddress } = require('./paths');
const { Socket } = require('./socket');
const { getOption, setOption } = require('./sockopt');
const { authenticates } = require('./status');

const BACKLOG = 511;

/** Listens for associations and emits a Socket for each. */
class Server extends EventEmitter {
  #options;
  #settings; // of the sockets that it accepts
  #handle = null;
  #starting = null; // port and backlog, from listen() to 'listening'
  #pauseOnConnect;
  #unrefed = false;
  #connections = 0;
  #maxConnections = undefined;

  constructor(options, connectionListener) {
    super();
    this.#options = read(options);
    this.#settings = settings(this.#options);
    this.#pauseOnConnect = boolean(
      this.#options.pauseOnConnect,
      'options.pauseOnConnect',
    );
    if (connectionListener) this.on('connection', connectionListener);
  }

  listen(...args) {
    const { options: listenOptions, callback } = normalize(args, 'options');
    const options = { ...this.#options };
    for (const [name, value] of Object.entries(listenOptions)) {
      if (value !== undefined) options[name] = value;
    }
    const port = validPort(options.port ?? 0, 'options.port');
    const backlog =
      integer(options.backlog, 'options.backlog', 0, 0x7fffffff) || BACKLOG;
    const fd = integer(options.fd, 'options.fd', 0, 0x7fffffff);
    const host =
      fd === undefined ? string(options.host, 'options.host') : undefined;
    const named = host !== undefined && host !== '' && !isIP(host);
    const locals =
      named && !options.localAddresses
        ? []
        : addresses(
            { ...options, host: host || undefined },
            'host',
            'localAddresses',
          );
    const own = settings(options);
    // A getter of the options may have called listen(), too.
    if (this.#handle || this.#starting) throw alreadyListening();
    this.#settings = own;
    this.#abortWith(options.signal);
    if (callback) this.once('listening', callback);
    const starting = { port, backlog, fd };
    this.#starting = starting;
    if (named) {
      dns.lookup(host, (error, address) => {
        if (this.#starting !== starting) return;
        if (error) this.#failed(error);
        else this.#listen([address]);
      });
    } else {
      this.#listen(locals.length ? locals : ['0.0.0.0']);
    }
    return this;
  }

  #listen(locals) {
    const { port, backlog, fd } = this.#starting;
    const { maxMessageSize, batchMax } = this.#settings;
    // Linux does not set IPV6_V6ONLY on a socket that is bound.
    const { IPV6_V6ONLY, ...kernel } = this.#settings.kernel;
    try {
      this.#handle =
        fd === undefined
          ? withOptions({ IPV6_V6ONLY, ...kernel }, (rows) =>
              binding.listen(
                ...[locals, port, backlog, rows, maxMessageSize, batchMax],
              ),
            )
          : withOptions(kernel, (rows) =>
              binding.listenFd(fd, backlog, rows, maxMessageSize, batchMax),
            );
    } catch (error) {
      const starting = this.#starting;
      process.nextTick(() => {
        if (this.#starting === starting) this.#failed(error);
      });
      return;
    }
    const handle = this.#handle;
    this.#starting = null;
    handle.start((_event, socketHandle) => this.#onConnection(socketHandle));
    if (this.#unrefed) handle.unref();
    process.nextTick(() => {
      if (this.#handle === handle) this.emit('listening');
    });
  }

  #failed(error) {
    this.#starting = null;
    this.emit('error', error);
  }

  #abortWith(signal) {
    if (signal === undefined || signal === null) return;
    if (typeof signal !== 'object' || !('aborted' in signal)) {
      throw invalidType('options.signal', 'an instance of AbortSignal', signal);
    }
    const close = () => this.close();
    if (signal.aborted) {
      process.nextTick(close);
      return;
    }
    signal.addEventListener('abort', close, { once: true });
    this.once('close', () => signal.removeEventListener('abort', close));
  }

  #onConnection(handle) {
    if (
      this.#connections >= (this.#maxConnections ?? Infinity) ||
      !authenticates(handle, this.#settings.kernel)
    ) {
      this.#drop(handle);
    } else {
      this.#accept(handle);
    }
  }

  #accept(handle) {
    const socket = Socket.accept(handle, this, this.#settings, {
      onRestart: (successor) => this.#onRestart(successor),
      onDestroy: () => {
        this.#connections--;
        this.#closeWhenEmpty();
      },
    });
    this.#connections++;
    if (this.#pauseOnConnect) socket.readableFlowing = false;
    else socket.read(0);
    this.emit('connection', socket);
  }

  #drop(handle) {
    const [local] = handle.localAddresses();
    const [remote] = handle.remoteAddresses();
    handle.close(true);
    this.emit('drop', {
      localAddress: local?.address,
      localPort: local?.port,
      localFamily: local?.family,
      remoteAddress: remote.address,
      remotePort: remote.port,
      remoteFamily: remote.family,
    });
  }

  /** Accepts the association of a peer that has restarted, on a handle of its own. */
  #onRestart(handle) {
    if (this.#handle) this.#accept(handle);
    else handle.close(true);
  }

  /** Handles the rejection of a listener that is an async function. */
  [EventEmitter.captureRejectionSymbol](error, event, socket) {
    if (event === 'connection') socket.destroy(error);
    else this.emit('error', error);
  }

  close(callback) {
    func(callback, 'callback');
    if (callback) {
      const running = this.#handle || this.#starting;
      this.once('close', () => callback(...(running ? [] : [notRunning()])));
    }
    this.#starting = null;
    this.#handle?.close();
    this.#handle = null;
    this.#closeWhenEmpty();
    return this;
  }

  #closeWhenEmpty() {
    if (this.#handle || this.#starting || this.#connections > 0) return;
    process.nextTick(() => this.emit('close'));
  }

  async [Symbol.asyncDispose]() {
    if (this.listening) await promisify(this.close).call(this);
  }

  get maxConnections() {
    return this.#maxConnections;
  }

  set maxConnections(value) {
    if (value !== undefined && value !== null && typeof value !== 'number') {
      throw invalidType('maxConnections', 'of type number', value);
    }
    this.#maxConnections = value;
  }

  get listening() {
    return this.#handle !== null;
  }

  address() {
    return this.#handle ? this.#handle.address() : null;
  }

  getLocalAddresses() {
    return this.#handle ? this.#handle.localAddresses() : [];
  }

  #open() {
    if (!this.#handle) throw notRunning();
    return this.#handle;
  }

  getOption(name, fields) {
    return getOption(this.#open(), name, fields, {
      local: this.address()?.port,
    });
  }

  /** Sets an option of the associations to come. */
  setOption(name, fields) {
    setOption(this.#open(), name, fields, { local: this.address()?.port });
    return this;
  }

  addLocalAddress(address) {
    this.#changeAddress(address, true);
    return this;
  }

  removeLocalAddress(address) {
    this.#changeAddress(address, false);
    return this;
  }

  #changeAddress(address, add) {
    const known = { local: this.address()?.port };
    const how = { add, associated: false };
    changeAddress(this.#open(), known, address, how);
  }

  getConnections(callback) {
    process.nextTick(callback, null, this.#connections);
    return this;
  }

  ref() {
    this.#unrefed = false;
    this.#handle?.ref();
    return this;
  }

  unref() {
    this.#unrefed = true;
    this.#handle?.unref();
    return this;
  }
}

function createServer(options, connectionListener) {
  if (typeof options === 'function') return new Server({}, options);
  if (
    options !== undefined &&
    options !== null &&
    typeof options !== 'object'
  ) {
    throw invalidType('options', 'of type object', options);
  }
  return new Server(
    options ?? {},
    func(connectionListener, 'connectionListener'),
  );
}

module.exports = { createServer };
