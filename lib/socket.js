'use strict';

const { Buffer } = require('node:buffer'); // the global one is a getter
const { addAbortSignal, Duplex } = require('node:stream');
const { StringDecoder } = require('node:string_decoder');
const {
  UINT16,
  abortReason,
  bytes,
  func,
  group,
  integer,
  required,
} = require('./arguments');
const binding = require('./binding');
const { Connector, target } = require('./connector');
const constants = require('./constants');
const {
  closed,
  closedBeforeConnection,
  destroyed,
  invalidType,
  noStream,
  notConnected,
  notNegotiated,
  outOfRange,
  unavailable,
} = require('./errors');
const {
  EXTRA,
  attributes: validAttributes,
  checkAttributes,
  checkEncoding,
  elements,
  toBuffer,
  withAttributes,
} = require('./message');
const { decode, pathChange } = require('./notification');
const {
  authKey,
  heartbeat,
  normalize,
  settings,
  withOptions,
} = require('./options');
const {
  changeAddress,
  inUseFirst,
  requestHeartbeat,
  setPath,
  setPeerPrimary,
  setPrimary,
} = require('./paths');
const { getOption, setOption } = require('./sockopt');
const { authenticates, pathInfo, stats, status } = require('./status');
const { INCOMING, OUTGOING, StreamRequests } = require('./streams');
const {
  newSocket,
  notifications,
  readOption,
  subscription,
  writeOption,
} = require('./struct');
const { Undelivered } = require('./undelivered');
const { Unread } = require('./unread');

/** Longest timeout of a timer of Node, ms. */
const TIMEOUT_MAX = 2 ** 31 - 1;

/** Outgoing streams without the option `OS`: Linux asks for 10. */
const OUT_STREAMS = 10;

/**
 * One association as a stream: each write() is one message, and so is each
 * 'data'.
 *
 * The addon calls #onEnd() once, after it has read all messages that the kernel
 * had received. Messages that still wait in the stream are read before the 'end'
 * or the error is emitted, and before a write fails that the kernel has refused
 * since the association had ended.
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
  #keepAlive = null; // fields of SCTP_PEER_ADDR_PARAMS, for handles to come
  #allEvents = false;
  #timer = null;

  #connector = null;
  #port; // of the peer, as connect() was given it
  #whenConnected = null; // the write or end that waits for 'connect'

  #reading = false; // the addon delivers messages
  #requests = null; // StreamRequests, from the first one on
  #undelivered = null; // Undelivered, from the first one on
  #unread = new Unread(); // messages that wait for the reader
  #encoding = null; // of messages that are read as strings
  #plain = true; // the present message of write() has no attributes
  #writing = null; // messages that the addon has not sent yet, and their callback
  #handed = null; // Map: times that a message was sent before another one failed
  #over = false; // #onEnd() was called
  #endError = null; // the error that it was called with
  #writeError = null; // error of a write after the association had ended
  #names = null; // addresses, after the handle is closed: { locals, remotes }
  #pipes = 0; // number of streams piped into this one
  #defaultEncoding = 'utf8';
  #onRestart = null; // callbacks of the server that has accepted this socket
  #onDestroy = null;
  #outStreams;
  #maxSendSize = 0;

  constructor(set) {
    const { highWaterMark } = set;
    super({
      allowHalfOpen: false,
      emitClose: false, // _destroy() emits it, with an argument
      // The readable side counts messages and has room for 16; #full bounds
      // their bytes.
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

  /** Makes the socket of an association that a server has accepted. */
  static accept(handle, server, set, { onRestart, onDestroy }) {
    const socket = new Socket(set);
    socket.server = server;
    socket.#onRestart = onRestart;
    socket.#onDestroy = onDestroy;
    socket.#attach(handle);
    return socket;
  }

  static connect(options, callback) {
    const where = target(options);
    const set = settings(options);
    const socket = new Socket(set);
    if (options.signal) addAbortSignal(options.signal, socket);
    if (callback) socket.once('connect', callback);
    if (options.timeout) socket.setTimeout(options.timeout);
    socket.#connect(where);
    return socket;
  }

  // ------------------------------------------------------------ connecting

  #connect(where) {
    if (this.destroyed) return; // its signal was aborted
    this.connecting = true;
    this.#port = where.port;
    this.#connector = new Connector(where, {
      attempt: (remotes) => this.#attempt(where, remotes),
      giveUp: (error) => this.destroy(error),
      lookedUp: (...args) => this.emit('lookup', ...args),
    });
    this.#connector.setUnrefed(this.#unrefed);
    this.#connector.start();
  }

  #attempt({ port, locals, localPort }, remotes) {
    const { kernel, maxMessageSize, batchMax } = this.#settings;
    this.#reading = true;
    const handle = withOptions(kernel, (rows) =>
      binding.connect(
        ...[remotes, port, locals, localPort],
        ...[rows, maxMessageSize, batchMax],
      ),
    );
    this.#attach(handle);
  }

  #attach(handle) {
    this.#handle = handle;
    handle.start(
      (event, ...args) => this.#onEvent(event, ...args),
      (data, sid, ppid, unordered) =>
        this.#onMessage(data, sid, ppid, unordered),
    );
    if (this.#unrefed) handle.unref();
    this.#maxSendSize = 0; // that of this handle is not known yet
  }

  /** Handles the events of the addon, other than messages. */
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
    if (!authenticates(this.#handle, this.#settings.kernel)) {
      this.destroy(notNegotiated('AUTH', 'the options demand it'));
      return;
    }
    // Until now Linux would have set these for other associations only.
    if (this.#keepAlive) this.#setHeartbeat();
    if (this.#allEvents) this.#subscribe();
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
      this.#unread.add(data.length, this.readableLength);
      if (this.#full) this.#setReading(false);
    }
  }

  get #full() {
    const { highWaterMark } = this.#settings;
    return this.readableLength > 0 && this.#unread.bytes >= highWaterMark;
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
      this.#unread.update(this.readableLength);
      this.#readOn();
      this.#settle();
    }
  }

  /** Decodes each message to a string of its own. */
  setEncoding(encoding) {
    this.#encoding = new StringDecoder(encoding).encoding; // its normalized name
    return this;
  }

  get readableEncoding() {
    return this.#encoding;
  }

  #onEnd(error) {
    if (this.connecting) {
      this.#closeHandle(true);
      this.#connector.failed(error);
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
      this.read(0); // emits 'end' although nobody reads
    }
    this.#settle();
  }

  /** Emits the messages that wait, also after a 'data' listener has thrown. */
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

  /** Emits the error of the end, or of a write, if all messages have been read. */
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
      this.destroy(error); // pipe() has called, and would not catch it
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
    const times = this.#handed?.get(message);
    if (times) this.#handed.set(message, times - 1);
    return Boolean(times);
  }

  /** Sends a message past Writable, if no other waits. Returns false if it cannot. */
  #writeNow(message) {
    if (
      !this.#handle ||
      this.connecting ||
      this.writableLength > 0 ||
      this.writableCorked > 0 ||
      message[EXTRA]
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
      return false; // Writable tries again and gets the error
    }
  }

  send(data, attributes, callback) {
    const short = typeof attributes === 'function';
    const given = validAttributes(
      short ? undefined : attributes,
      () => (this.connecting ? this.#port : this.remotePort), // costs system calls
    );
    if (given?.[EXTRA] && attributes.address && this.#settings.peeled) {
      throw unavailable(
        'the attribute address',
        'Linux ignores it on sockets of peelOff()',
      );
    }
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
    if (!Buffer.isBuffer(message)) return message; // Writable throws
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
    if (!this.#handle) return; // the error waits for the reader
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

  /**
   * Notes the messages that were sent before one failed. Returns the error of
   * that one.
   */
  #sendFailure(error) {
    const messages = this.#writing.messages.filter((data) => data.length);
    const { sent = 0 } = error;
    this.#handed ??= new Map();
    for (const data of messages.slice(0, sent)) {
      this.#handed.set(data, (this.#handed.get(data) ?? 0) + 1);
    }
    delete error.sent;
    // Before the handshake, the number of streams was not known.
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
    this.#readOn(); // the end of the association is read
    callback();
  }

  // ---------------------------------------------------------------- ending

  _destroy(error, callback) {
    const failure = this.connecting
      ? closedBeforeConnection()
      : (error ?? destroyed());
    this.connecting = false;
    clearTimeout(this.#timer);
    this.#connector?.stop();
    this.#requests?.fail(failure);
    // After the peer's end the kernel still delivers what was sent from here.
    this.#closeHandle(!this.writableFinished && !this.#over);
    callback(error);
    // An exception of one listener or callback must not prevent the others.
    process.nextTick(() => this.#sent(failure));
    process.nextTick(() => this.emit('close', Boolean(error)));
    this.#onDestroy?.();
  }

  /** Closes the handle. `reset` aborts an association that has not ended. */
  #closeHandle(reset) {
    const handle = this.#handle;
    if (!handle) return;
    this.#names = {
      locals: handle.localAddresses(),
      remotes: inUseFirst(handle, handle.remoteAddresses()),
    };
    this.#handle = null;
    handle.close(reset);
  }

  destroySoon() {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', this.destroy);
  }

  abort(reason) {
    const text = abortReason(reason, 'reason');
    if (text && !this.#settings.peeled) {
      throw unavailable(
        'abort(reason)',
        'Linux sends a reason only from one-to-many sockets and peelOff()',
      );
    }
    if (text) this.#handle?.abortWith(text);
    return this.resetAndDestroy();
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
    const kernel = { ...this.#settings.kernel, ...set };
    this.#settings = { ...this.#settings, kernel }; // of handles to come
    if (this.#handle) {
      writeOption(this.#handle, 'SCTP_NODELAY', set.SCTP_NODELAY);
    }
    return this;
  }

  setKeepAlive(enable = false, interval = 0) {
    const ms = integer(interval, 'interval', 0, 0xffffffff) ?? 0;
    this.#keepAlive = heartbeat(enable, ms);
    if (!this.pending) this.#setHeartbeat();
    return this;
  }

  #setHeartbeat() {
    writeOption(this.#handle, 'SCTP_PEER_ADDR_PARAMS', this.#keepAlive);
  }

  /** Returns the handle of the association. Throws if there is none. */
  #open() {
    if (this.connecting) throw notConnected();
    if (!this.#handle) throw closed();
    return this.#handle;
  }

  /** Returns what is filled in in options: ports and the association. */
  #known() {
    return {
      local: this.localPort,
      remote: this.remotePort,
      association: this.status()?.associationId,
    };
  }

  getOption(name, fields) {
    return getOption(this.#open(), name, fields, this.#known());
  }

  setOption(name, fields) {
    setOption(this.#open(), name, fields, this.#known());
    this.#maxSendSize = 0; // which may have changed
    return this;
  }

  // ----------------------------------------------------------------- paths

  setPrimary(address) {
    setPrimary(this.#open(), this.#known(), address);
    return this;
  }

  setPeerPrimary(localAddress) {
    setPeerPrimary(this.#open(), this.#known(), localAddress);
    return this;
  }

  setPath(address, path) {
    setPath(this.#open(), this.#known(), address, path);
    return this;
  }

  heartbeat(address) {
    requestHeartbeat(this.#open(), this.#known(), address);
    return this;
  }

  addLocalAddress(address) {
    const how = { add: true, associated: true };
    changeAddress(this.#open(), this.#known(), address, how);
    return this;
  }

  removeLocalAddress(address) {
    const how = { add: false, associated: true };
    changeAddress(this.#open(), this.#known(), address, how);
    return this;
  }

  // --------------------------------------------------------------- streams

  async resetStreams(streams) {
    this.#requests ??= new StreamRequests();
    await this.#requests.reset(this.#open(), group(streams, 'streams'));
  }

  async addStreams(streams) {
    this.#requests ??= new StreamRequests();
    await this.#requests.add(this.#open(), group(streams, 'streams'));
  }

  setStreamPriority(sid, value) {
    return this.setOption('SCTP_STREAM_SCHEDULER_VALUE', {
      stream_id: required(integer, sid, 'sid', 0, UINT16),
      stream_value: required(integer, value, 'value', 0, UINT16),
    });
  }

  // ------------------------------------------------------------------ keys

  setAuthKey(id, key) {
    const number = required(integer, id, 'id', 0, UINT16);
    const secret = required(bytes, key, 'key');
    return this.setOption('SCTP_AUTH_KEY', authKey(number, secret));
  }

  activateAuthKey(id) {
    const scact_keynumber = required(integer, id, 'id', 0, UINT16);
    return this.setOption('SCTP_AUTH_ACTIVE_KEY', { scact_keynumber });
  }

  deleteAuthKey(id) {
    const scact_keynumber = required(integer, id, 'id', 0, UINT16);
    return this.setOption('SCTP_AUTH_DELETE_KEY', { scact_keynumber });
  }

  // --------------------------------------------------------------- waiting

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
    this.#connector?.setUnrefed(false);
    this.#handle?.ref();
    return this;
  }

  unref() {
    this.#unrefed = true;
    this.#connector?.setUnrefed(true);
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
    this.#maxSendSize ||= this.#handle
      ? (readOption(this.#handle, 'SO_SNDBUF')?.value ?? 0)
      : this.#maxSendSizeToCome();
    return this.#maxSendSize;
  }

  /** Returns what Linux will grant: twice what is asked for, up to a limit. */
  #maxSendSizeToCome() {
    const granted = readOption(newSocket, 'SO_SNDBUF')?.value ?? 0;
    const { value } = this.#settings.kernel.SO_SNDBUF ?? {};
    return value ? Math.min(2 * value, granted) : granted;
  }

  #locals() {
    return this.#handle
      ? this.#handle.localAddresses()
      : (this.#names?.locals ?? []);
  }

  #remotes() {
    if (this.connecting) return [];
    if (!this.#handle) return this.#names?.remotes ?? [];
    return inUseFirst(this.#handle, this.#handle.remoteAddresses());
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

  stats() {
    return this.#handle ? stats(this.#handle) : undefined;
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
    if (!this.pending) this.#subscribe();
  }

  /** Subscribes to the notifications that only a listener gets. */
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
   * Handles a restart of the peer. On a server the association goes to another
   * handle, whatever the listeners of this socket do.
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
    try {
      this.emit('notification', notification);
    } finally {
      this.#update(notification);
    }
  }

  /** Follows a notification, and emits the events that tell the same. */
  #update({ type, parsed }) {
    if (type === 'SCTP_PEER_ADDR_CHANGE') {
      this.emit('address-change', {
        address: parsed.spc_aaddr.address,
        state: pathChange(parsed.spc_state),
      });
      this.emit('peer-info-update');
    } else if (type === 'SCTP_SEND_FAILED_EVENT') {
      this.#undelivered ??= new Undelivered();
      const message = this.#undelivered.add(parsed);
      if (message) this.emit('undelivered', message);
    } else if (type === 'SCTP_STREAM_RESET_EVENT') {
      this.#onStreamReset(parsed);
    } else if (type === 'SCTP_STREAM_CHANGE_EVENT') {
      this.#onStreamChange(parsed);
    } else if (
      type === 'SCTP_ASSOC_CHANGE' &&
      parsed.sac_state === constants.SCTP_COMM_UP
    ) {
      this.emit('peer-info-update');
    }
  }

  #onStreamReset({ strreset_flags: flags, strreset_stream_list: sids }) {
    const directions = flags & (INCOMING | OUTGOING);
    this.#requests?.answer('reset', directions, flags);
    if (flags !== directions) return; // denied, or failed
    this.emit('stream-reset', {
      incoming: (flags & INCOMING) !== 0,
      outgoing: (flags & OUTGOING) !== 0,
      sids,
    });
  }

  #onStreamChange(parsed) {
    const {
      strchange_flags: flags,
      strchange_instrms: incoming,
      strchange_outstrms: outgoing,
    } = parsed;
    const directions = (incoming ? INCOMING : 0) | (outgoing ? OUTGOING : 0);
    this.#outStreams = undefined; // there are more now
    this.#requests?.answer('change', directions || INCOMING | OUTGOING, flags);
    if (flags === 0) this.emit('stream-change', { incoming, outgoing });
  }
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
