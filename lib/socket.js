'use strict';

const { Buffer } = require('node:buffer'); // the global one is a getter
const dns = require('node:dns');
const { isIP } = require('node:net');
const { addAbortSignal, Duplex } = require('node:stream');
const { StringDecoder } = require('node:string_decoder');
const binding = require('./binding');
const constants = require('./constants');
const {
  closed,
  closedBeforeConnection,
  destroyed,
  invalidAddress,
  invalidFamily,
  invalidType,
  missingPort,
  noStream,
  notFound,
  outOfRange,
  unknownEncoding,
} = require('./errors');
const { decode, pathChange } = require('./notification');
const {
  addresses,
  attributes: validAttributes,
  checkAttributes,
  func,
  heartbeat,
  integer,
  normalize,
  optionRows,
  port: validPort,
  settings,
  string,
} = require('./options');
const { pathInfo, status } = require('./status');
const {
  newSocket,
  notifications,
  readOption,
  subscription,
  writeOption,
} = require('./struct');

/** How long a connect() waits for its own closing association, and how often. */
const RETRY_FOR = 1000;
const RETRY_EVERY = 20;

/** The longest that a timer of Node can be, ms. */
const TIMEOUT_MAX = 2 ** 31 - 1;

/** Outgoing streams where `OS` asks for no other number: what Linux has. */
const OUT_STREAMS = 10;

/** Returns the array that C takes: attributes of messages, then the messages. */
function elements(messages) {
  const attributes = new Uint32Array(4 * messages.length);
  const list = [attributes];
  for (const data of messages) {
    const { length, sid, ppid, unordered, ttl } = data;
    if (length === 0) continue;
    const at = 4 * (list.length - 1);
    if (sid) attributes[at] = sid;
    if (ppid) attributes[at + 1] = ppid;
    if (unordered) attributes[at + 2] = 1;
    if (ttl) attributes[at + 3] = ttl;
    list.push(data);
  }
  list[0] = attributes.subarray(0, 4 * (list.length - 1));
  return list;
}

/**
 * One association as a stream: each write() is one message, and so is each
 * 'data'.
 *
 * How it ends: C tells onEnd() once, when all that the kernel had received was
 * read. What then still waits here for its reader comes before the error or the
 * 'end', and so it comes before the failure of a write that the kernel has
 * refused since the association was gone.
 */
class Socket extends Duplex {
  connecting = false;
  timeout = undefined;
  server = null;
  bytesRead = 0;
  bytesWritten = 0;

  #handle = null;
  #settings;
  #unrefed = false;
  #keepAlive = null; // fields of the option, until there is a handle
  #allEvents = false;
  #timer = null;

  #target = null; // what connect() is to reach
  #attempts = []; // lists of addresses still to be tried
  #retryTimer = null;
  #retryUntil = 0;
  #whenConnected = null; // the write or end that waits for it

  #reading = false; // C hands messages over
  #waiting = 0; // bytes of those that nobody has read
  #lengths = []; // of each of those, behind ...
  #counted = 0; // which have been read
  #encoding = null; // messages are to be texts
  #plain = true; // the message of this write() has no attributes
  #writing = null; // the write that C has not finished
  #handed = new Map(); // how often C sent a message before another one failed
  #over = false; // onEnd() was called
  #endError = null; // and why
  #writeError = null; // the association was gone before the write
  #names = { locals: [], remotes: [] }; // when there is no handle any more
  #pipes = 0; // that write to this
  #defaultEncoding = 'utf8';
  #onRestart = null; // of the server that has accepted this
  #onDestroy = null;
  #outStreams;
  #maxSendSize = 0;

  constructor({ ...set }) {
    const { highWaterMark } = set;
    super({
      allowHalfOpen: false,
      emitClose: false, // comes with an argument, from _destroy()
      // The stream machinery counts messages here, of which it takes 16; how
      // many bytes may wait is looked at in #full.
      readableObjectMode: true,
      writableHighWaterMark: highWaterMark,
    });
    this.#settings = set;
    this.on('pipe', () => {
      this.#pipes++;
    });
    this.on('unpipe', () => {
      this.#pipes--;
    });
  }

  /** The socket of an association that a server has accepted. */
  static accept(handle, server, set, { onRestart, onDestroy }) {
    const socket = new Socket(set);
    socket.server = server;
    socket.#onRestart = onRestart;
    socket.#onDestroy = onDestroy;
    socket.#attach(handle);
    return socket;
  }

  static connect(options, callback) {
    if (options.port === undefined) throw missingPort();
    const set = settings(options);
    const host = string(options.host, 'options.host') || undefined;
    const remotes =
      isIP(host) || options.remoteAddresses
        ? addresses(options, 'host', 'remoteAddresses')
        : [];
    const target = {
      host: host ?? 'localhost',
      port: validPort(options.port, 'options.port'),
      locals: addresses(
        { ...options, localAddress: options.localAddress || undefined },
        'localAddress',
        'localAddresses',
      ),
      localPort: validPort(options.localPort ?? 0, 'options.localPort'),
      lookup: func(options.lookup, 'options.lookup') ?? dns.lookup,
      ...lookupOptions(options),
    };
    const socket = new Socket(set);
    if (options.signal) addAbortSignal(options.signal, socket);
    if (callback) socket.once('connect', callback);
    if (options.timeout) socket.setTimeout(options.timeout);
    socket.#connect(target, remotes);
    return socket;
  }

  // ------------------------------------------------------------ connecting

  #connect(target, remotes) {
    if (this.destroyed) return; // by its signal
    this.#target = target;
    this.connecting = true;
    if (remotes.length) {
      this.#attempts = [remotes];
      process.nextTick(() => this.#tryNext());
      return;
    }
    const { host, lookup, family, hints } = target;
    lookup(host, { family, hints, all: true }, (error, found, foundFamily) => {
      if (!this.connecting || this.#attempts.length) return;
      // A function of the user's may not know `all`.
      const all = Array.isArray(found)
        ? found
        : [{ address: found, family: foundFamily }];
      const valid = error ? [] : all.filter(isAddress);
      const failure =
        error ??
        (all.length === 0 ? notFound(host) : null) ??
        (valid.length === 0 ? notAnAddress(all[0], host, target.port) : null);
      this.#attempts = valid.map(({ address }) => [address]);
      process.nextTick(() =>
        failure ? this.destroy(failure) : this.#tryNext(),
      );
      if (error || all.length === 0) {
        this.emit('lookup', failure, undefined, undefined, host);
        return;
      }
      for (const { address, family } of all) {
        this.emit('lookup', null, address, family, host);
      }
    });
  }

  #tryNext() {
    if (!this.connecting) return;
    this.#retryUntil ||= performance.now() + RETRY_FOR;
    const { locals, localPort, port } = this.#target;
    const [remotes] = this.#attempts;
    const { kernel, maxMessageSize, batchMax } = this.#settings;
    const rows = optionRows(kernel);
    this.#reading = true;
    try {
      this.#attach(
        binding.connect(
          ...[remotes, port, locals, localPort],
          ...[rows, maxMessageSize, batchMax],
        ),
      );
    } catch (error) {
      this.#attemptFailed(error);
    }
  }

  #attemptFailed(error) {
    const ownAssociation =
      error.code === 'EADDRNOTAVAIL' && error.syscall === 'connect';
    if (ownAssociation && performance.now() < this.#retryUntil) {
      this.#retryTimer = setTimeout(() => this.#tryNext(), RETRY_EVERY);
      if (this.#unrefed) this.#retryTimer.unref();
      return;
    }
    this.#attempts.shift();
    if (this.#attempts.length) process.nextTick(() => this.#tryNext());
    else this.destroy(error);
  }

  #attach(handle) {
    this.#handle = handle;
    handle.start(
      (event, ...args) => this.#onEvent(event, ...args),
      (data, sid, ppid, unordered) =>
        this.#onMessage(data, sid, ppid, unordered),
    );
    if (this.#unrefed) handle.unref();
    if (this.#keepAlive) this.#setHeartbeat();
    if (this.#allEvents) this.#subscribe();
  }

  /** Takes what C tells beside messages. */
  #onEvent(event, ...args) {
    switch (event) {
      case 'connect':
        return this.#onConnect();
      case 'notification':
        return this.#onNotification(...args);
      case 'progress':
        return this.#active();
      case 'sent':
        return this.#onSent(...args);
      case 'restart':
        return this.#onPeerRestart(...args);
      case 'end':
        return this.#onEnd(...args);
    }
  }

  #onConnect() {
    this.connecting = false;
    this.#active();
    try {
      this.emit('connect');
      if (!this.destroyed) this.emit('ready');
    } finally {
      const next = this.#whenConnected;
      this.#whenConnected = null;
      if (!this.destroyed) next?.();
    }
  }

  // --------------------------------------------------------------- reading

  #onMessage(data, sid, ppid, unordered) {
    data.sid = sid;
    data.ppid = ppid;
    data.unordered = unordered === 1;
    this.bytesRead += data.length;
    this.#active();
    try {
      this.push(this.#encoding ? data.toString(this.#encoding) : data);
    } finally {
      if (this.readableLength > this.#lengths.length - this.#counted) {
        this.#waiting += data.length;
        this.#lengths.push(data.length);
        if (this.#full) this.#setReading(false);
      }
    }
  }

  /** Leaves out what was waiting and has been read. */
  #count() {
    const lengths = this.#lengths;
    while (lengths.length - this.#counted > this.readableLength) {
      this.#waiting -= lengths[this.#counted++];
    }
    // shift() would move all that wait for each that is read.
    if (this.#counted > 0 && this.#counted * 2 >= lengths.length) {
      lengths.splice(0, this.#counted);
      this.#counted = 0;
    }
  }

  get #full() {
    const { highWaterMark } = this.#settings;
    return this.readableLength > 0 && this.#waiting >= highWaterMark;
  }

  #setReading(reading) {
    if (!this.#handle || this.#over || this.#reading === reading) return;
    this.#reading = reading;
    this.#handle.setReading(reading);
  }

  #readOn() {
    if (!this.#full) this.#setReading(true);
  }

  _read() {
    this.#readOn();
  }

  read(size) {
    try {
      return super.read(size);
    } finally {
      this.#count();
      this.#readOn();
      this.#settle();
    }
  }

  /** Each message becomes a text of its own. */
  setEncoding(encoding) {
    this.#encoding = new StringDecoder(encoding).encoding; // checked, and as usual
    return this;
  }

  get readableEncoding() {
    return this.#encoding;
  }

  #onEnd(error) {
    if (this.connecting) {
      this.#closeHandle(true);
      this.#attemptFailed(error);
      return;
    }
    this.#over = true;
    if (error) {
      if (error.code === 'EMSGSIZE') {
        const { maxMessageSize } = this.#settings;
        error.message += `: a message is longer than maxMessageSize (${maxMessageSize} bytes)`;
      }
      this.#endError = error;
      this.#closeHandle(true);
      this.#flow();
    } else {
      this.push(null);
      this.read(0); // 'end' comes also where nobody reads
    }
    this.#settle();
  }

  /** Goes on with waiting messages also after a 'data' listener has thrown. */
  #flow() {
    if (this.destroyed || !this.readableFlowing || !this.readableLength) return;
    process.nextTick(() => {
      try {
        while (this.readableFlowing && this.read() !== null);
      } finally {
        this.#flow();
      }
    });
  }

  /** Raises what had to wait until the reader has everything. */
  #settle() {
    if (!this.#over || this.readableLength > 0) return;
    if (this.#endError) this.destroy(this.#endError);
    else if (this.#writeError) {
      process.nextTick(() => this.#sent(this.#writeError)); // after 'end'
    }
  }

  // --------------------------------------------------------------- writing

  write(data, encoding, callback) {
    const given = typeof encoding === 'function' ? encoding : callback;
    const cb = typeof given === 'function' ? given : undefined;
    let message;
    try {
      message = this.#message(data, given === encoding ? undefined : encoding);
    } catch (error) {
      if (this.#pipes === 0) throw error;
      this.destroy(error); // a pipe's call, which nobody can catch
      return false;
    }
    if (Buffer.isBuffer(message) && this.writable) {
      this.bytesWritten += message.length;
      if (this.#writeNow(message)) {
        if (cb) process.nextTick(cb, null);
        return true;
      }
    }
    return super.write(
      message,
      cb && ((error) => cb(error && this.#wasHanded(message) ? null : error)),
    );
  }

  #wasHanded(message) {
    const times = this.#handed.get(message);
    if (times) this.#handed.set(message, times - 1);
    return Boolean(times);
  }

  /** With nothing to wait for, a message need not go through Writable. */
  #writeNow(message) {
    if (
      !this.#handle ||
      this.connecting ||
      this.writableLength > 0 ||
      this.writableCorked > 0
    ) {
      return false;
    }
    if (message.length === 0) return true;
    this.#active();
    try {
      if (this.#plain) return this.#handle.write(message);
      const { sid, ppid, unordered, ttl } = message;
      return this.#handle.write(
        message,
        sid ?? 0,
        ppid ?? 0,
        unordered ? 1 : 0,
        ttl ?? 0,
      );
    } catch {
      return false; // it fails again, where Writable sees it
    }
  }

  send(data, attributes, callback) {
    const short = typeof attributes === 'function';
    const given = validAttributes(short ? undefined : attributes);
    const cb = short ? attributes : callback;
    const bytes = toBuffer(data);
    if (!Buffer.isBuffer(bytes)) return this.write(bytes, undefined, cb);
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    return this.write(withAttributes(view, data, given), undefined, cb);
  }

  end(data, encoding, callback) {
    const cb = [data, encoding, callback].find((f) => typeof f === 'function');
    if (typeof data === 'function' || data === undefined || data === null) {
      return super.end(cb);
    }
    const message = this.#message(
      data,
      typeof encoding === 'function' ? undefined : encoding,
    );
    if (Buffer.isBuffer(message) && this.writable) {
      this.bytesWritten += message.length;
    }
    return super.end(message, cb);
  }

  setDefaultEncoding(encoding) {
    super.setDefaultEncoding(encoding);
    this.#defaultEncoding = encoding;
    return this;
  }

  /** Returns data to write as a Buffer that carries its attributes. */
  #message(data, encoding) {
    if (encoding) checkEncoding(encoding);
    const message = toBuffer(data, encoding || this.#defaultEncoding);
    if (!Buffer.isBuffer(message)) return message; // Writable says what is wrong
    this.#plain = !checkAttributes(data, () => this.#streams());
    if (message !== data && typeof data !== 'string') {
      withAttributes(message, data);
    }
    const max = this.maxSendSize;
    if (max && message.length > max) {
      throw outOfRange(
        'data.length',
        `<= ${max}, the kernel's SO_SNDBUF`,
        message.length,
      );
    }
    return message;
  }

  #streams() {
    if (this.#outStreams === undefined && !this.pending) {
      this.#outStreams = this.status()?.numberOfOutgoingStreams;
    }
    const { sinit_num_ostreams } = this.#settings.kernel.SCTP_INITMSG;
    return this.#outStreams ?? sinit_num_ostreams ?? OUT_STREAMS;
  }

  _write(chunk, _encoding, callback) {
    this.#send([chunk], callback);
  }

  _writev(chunks, callback) {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      callback,
    );
  }

  #send(messages, callback) {
    if (this.destroyed) {
      callback(destroyed());
      return;
    }
    this.#writing = { messages, callback };
    if (this.connecting) {
      this.#whenConnected = () => this.#send(messages, callback);
      return;
    }
    this.#active();
    if (!this.#handle) return; // what ended it is waiting for the reader
    let done;
    try {
      done = this.#handle.send(elements(messages));
    } catch (error) {
      this.#onSent(error);
      return;
    }
    if (done) this.#sent();
  }

  #onSent(error) {
    this.#active();
    const failure = error && this.#sendFailure(error);
    if (failure?.code === 'EPIPE') {
      this.#writeError = failure;
      this.#settle();
    } else {
      this.#sent(failure);
    }
  }

  /** Notes what C sent before the message that failed, and says why that did. */
  #sendFailure(error) {
    const messages = this.#writing.messages.filter((data) => data.length);
    const { sent = 0 } = error;
    for (const data of messages.slice(0, sent)) {
      this.#handed.set(data, (this.#handed.get(data) ?? 0) + 1);
    }
    delete error.sent;
    // Before the handshake it was not known how many streams there would be.
    const { sid } = messages[sent] ?? {};
    return error.code === 'EINVAL' && sid >= this.#streams()
      ? noStream(sid, this.#streams())
      : error;
  }

  #sent(error) {
    const writing = this.#writing;
    this.#writing = null;
    writing?.callback(error);
  }

  _final(callback) {
    if (this.connecting) {
      this.#whenConnected = () => this._final(callback);
      return;
    }
    try {
      this.#handle?.shutdown();
    } catch (error) {
      callback(error);
      return;
    }
    this.#readOn(); // the end of it is to be seen
    callback();
  }

  // ---------------------------------------------------------------- ending

  _destroy(error, callback) {
    const failure = this.connecting
      ? closedBeforeConnection()
      : (error ?? destroyed());
    this.connecting = false;
    clearTimeout(this.#timer);
    clearTimeout(this.#retryTimer);
    // After the peer's end the kernel still delivers what it has from here.
    this.#closeHandle(!this.writableFinished && !this.#over);
    callback(error);
    // Exceptions of listeners and callbacks must not prevent the rest.
    process.nextTick(() => this.#sent(failure));
    process.nextTick(() => this.emit('close', Boolean(error)));
    this.#onDestroy?.();
  }

  /** With `reset`, an association that is still there is aborted. */
  #closeHandle(reset) {
    const handle = this.#handle;
    if (!handle) return;
    this.#names = {
      locals: handle.localAddresses(),
      remotes: handle.remoteAddresses(),
    };
    this.#handle = null;
    handle.close(reset);
  }

  destroySoon() {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', this.destroy);
  }

  resetAndDestroy() {
    if (this.connecting) return this.once('connect', this.resetAndDestroy);
    if (!this.#handle) return this.destroy(closed());
    this.#closeHandle(true);
    return this.destroy();
  }

  // --------------------------------------------------------------- options

  setNoDelay(noDelay = true) {
    const set = { SCTP_NODELAY: { value: noDelay ? 1 : 0 } };
    this.#settings.kernel = { ...this.#settings.kernel, ...set }; // for attempts
    if (this.#handle) {
      writeOption(this.#handle, 'SCTP_NODELAY', set.SCTP_NODELAY);
    }
    return this;
  }

  setKeepAlive(enable = false, interval = 0) {
    const ms = integer(interval, 'interval', 0, 0xffffffff) ?? 0;
    this.#keepAlive = heartbeat(enable, ms);
    if (this.#handle) this.#setHeartbeat();
    return this;
  }

  #setHeartbeat() {
    writeOption(this.#handle, 'SCTP_PEER_ADDR_PARAMS', this.#keepAlive);
  }

  setTimeout(timeout, callback) {
    if (this.destroyed) return this;
    func(callback, 'callback');
    if (typeof timeout !== 'number') {
      throw invalidType('msecs', 'of type number', timeout);
    }
    if (!(timeout >= 0 && Number.isFinite(timeout))) {
      throw outOfRange('msecs', 'a non-negative finite number', timeout);
    }
    this.timeout = Math.min(timeout, TIMEOUT_MAX);
    clearTimeout(this.#timer);
    this.#timer = null;
    if (timeout > 0) {
      this.#timer = setTimeout(
        () => this.emit('timeout'),
        this.timeout,
      ).unref();
      if (callback) this.once('timeout', callback);
    } else if (callback) {
      this.removeListener('timeout', callback);
    }
    return this;
  }

  #active() {
    this.#timer?.refresh();
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

  // ----------------------------------------------------------------- state

  get pending() {
    return !this.#handle || this.connecting;
  }

  get readyState() {
    if (this.connecting) return 'opening';
    if (this.readable && this.writable) return 'open';
    if (this.readable) return 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }

  get maxSendSize() {
    this.#maxSendSize ||=
      readOption(this.#handle ?? newSocket, 'SO_SNDBUF')?.value ?? 0;
    return this.#maxSendSize;
  }

  #locals() {
    return this.#handle ? this.#handle.localAddresses() : this.#names.locals;
  }

  #remotes() {
    if (this.connecting) return [];
    return this.#handle ? this.#handle.remoteAddresses() : this.#names.remotes;
  }

  get localAddress() {
    return this.#locals()[0]?.address;
  }

  get localAddresses() {
    return this.#locals().map(({ address }) => address);
  }

  get localPort() {
    return this.#locals()[0]?.port;
  }

  get localFamily() {
    return this.#locals()[0]?.family;
  }

  get remoteAddress() {
    return this.#remotes()[0]?.address;
  }

  get remoteAddresses() {
    return this.#remotes().map(({ address }) => address);
  }

  get remotePort() {
    return this.#remotes()[0]?.port;
  }

  get remoteFamily() {
    return this.#remotes()[0]?.family;
  }

  address() {
    return this.#locals()[0] ?? {};
  }

  status() {
    return this.#handle ? status(this.#handle) : undefined;
  }

  get peerInfoByAddress() {
    const info = {};
    for (const { address, port } of this.#handle ? this.#remotes() : []) {
      const path = pathInfo(this.#handle, { address, port });
      if (path) info[address] = path;
    }
    return info;
  }

  // --------------------------------------------------------- notifications

  #listensTo(event) {
    if (event !== 'notification' || this.#allEvents) return;
    this.#allEvents = true;
    if (this.#handle) this.#subscribe();
  }

  /** Subscribes to the notifications that are only for those who listen. */
  #subscribe() {
    for (const row of notifications) {
      if (row.subscribed !== 'listener') continue;
      this.#handle.setOption(...subscription(row, true));
    }
  }

  on(event, listener) {
    this.#listensTo(event);
    return super.on(event, listener);
  }

  addListener(event, listener) {
    return this.on(event, listener);
  }

  prependListener(event, listener) {
    this.#listensTo(event);
    return super.prependListener(event, listener);
  }

  /**
   * The peer has begun anew. On a server, another handle takes over, whatever
   * the listeners here do.
   */
  #onPeerRestart(raw, successor) {
    try {
      this.#onNotification(raw);
    } finally {
      if (successor) this.#onRestart(successor);
    }
  }

  #onNotification(raw) {
    const notification = decode(raw);
    if (!notification) return;
    const { type, parsed } = notification;
    this.emit('notification', notification);
    if (type === 'SCTP_PEER_ADDR_CHANGE') {
      this.emit('address-change', {
        address: parsed.spc_aaddr.address,
        state: pathChange(parsed.spc_state),
      });
      this.emit('peer-info-update');
    } else if (
      type === 'SCTP_ASSOC_CHANGE' &&
      parsed.sac_state === constants.SCTP_COMM_UP
    ) {
      this.emit('peer-info-update');
    }
  }
}

const FAMILIES = { IPv4: 4, IPv6: 6 };

/** Options of dns.lookup(), as node:net gives them. */
function lookupOptions(options) {
  const family = FAMILIES[options.family] ?? options.family ?? 0;
  const hints = options.hints || 0;
  return {
    family,
    hints: family === 4 || family === 6 ? hints : hints || dns.ADDRCONFIG,
  };
}

/** Whether a lookup has given an address. */
const isAddress = ({ address, family }) =>
  isIP(address) !== 0 && (family === 4 || family === 6);

const notAnAddress = ({ address, family }, host, port) =>
  isIP(address) ? invalidFamily(family, host, port) : invalidAddress(address);

/** Text and bytes as a Buffer of the same memory; anything else as it is. */
function toBuffer(data, encoding) {
  if (typeof data === 'string') return Buffer.from(data, encoding);
  if (ArrayBuffer.isView(data) && !Buffer.isBuffer(data)) {
    return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  }
  return data;
}

/** Gives a message the attributes that are `given`, and else those of `own`. */
function withAttributes(message, own, given = own) {
  const {
    sid = own.sid,
    ppid = own.ppid,
    unordered = own.unordered,
    ttl = own.ttl,
  } = given;
  return Object.assign(message, { sid, ppid, unordered, ttl });
}

function checkEncoding(encoding) {
  if (typeof encoding !== 'string') {
    throw invalidType(
      'encoding',
      'of type string (attributes are for send())',
      encoding,
    );
  }
  if (!Buffer.isEncoding(encoding)) throw unknownEncoding(encoding);
}

function connect(...args) {
  const [first] = args;
  if (first === null || typeof first === 'function') {
    throw invalidType('options.port', 'of type number or string', first);
  }
  const { options, callback } = normalize(args, 'options');
  return Socket.connect(options, callback);
}

module.exports = { Socket, connect };
