'use strict';

/** Reads and checks the options and arguments of connect() and listen(). */

const { isIP } = require('node:net');
const { getDefaultHighWaterMark } = require('node:stream');
const binding = require('./binding');
const {
  badPort,
  invalidType,
  invalidValue,
  noStream,
  outOfRange,
} = require('./errors');

const UINT16 = 0xffff;
const UINT32 = 0xffffffff;
const MESSAGE_MAX = 64 * 1024 * 1024;

/**
 * Incoming streams that are accepted: each costs the kernel memory, and with the
 * kernel's own 65,535 a peer could take 1.35 MB with one handshake.
 */
const IN_STREAMS = 1024;

/** An integer from min to max, or undefined where there is none. */
function integer(value, name, min, max) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number') {
    throw invalidType(name, 'of type number', value);
  }
  if (!Number.isInteger(value) || value < min || value > max) {
    throw outOfRange(name, `an integer >= ${min} && <= ${max}`, value);
  }
  return value;
}

/** A port as node:net takes it: a number, or a text that is one. */
function port(value, name) {
  const number = typeof value === 'string' && value.trim() ? +value : value;
  if (typeof number !== 'number' && typeof number !== 'string') {
    throw invalidType(name, 'of type number or string', value);
  }
  if (!Number.isInteger(number) || number < 0 || number > UINT16) {
    throw badPort(name, value);
  }
  return number;
}

function boolean(value, name) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'boolean') {
    throw invalidType(name, 'of type boolean', value);
  }
  return value;
}

/** A group of options; where there is none, each has its default. */
function group(value, name) {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object') {
    throw invalidType(name, 'of type object', value);
  }
  return value;
}

function string(value, name) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') {
    throw invalidType(name, 'of type string', value);
  }
  return value;
}

function func(value, name) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'function') {
    throw invalidType(name, 'of type function', value);
  }
  return value;
}

/** isIP() knows an address, also with the interface of a link-local one. */
function address(value, name) {
  if (typeof value !== 'string') {
    throw invalidType(name, 'of type string', value);
  }
  if (!isIP(value)) throw invalidValue(name, 'must be an IP address', value);
  return value;
}

/** The addresses of `options[list]`, or the one of `options[single]`. */
function addresses(options, single, list) {
  const many = options[list];
  const one = options[single];
  if (many === undefined || many === null) {
    return one === undefined || one === null
      ? []
      : [address(one, `options.${single}`)];
  }
  if (one !== undefined && one !== null) {
    throw invalidValue(
      `options.${single}`,
      `must not be given with options.${list}`,
      one,
    );
  }
  if (!Array.isArray(many)) {
    throw invalidType(`options.${list}`, 'an array', many);
  }
  if (many.length === 0) {
    throw invalidValue(`options.${list}`, 'must not be empty', many);
  }
  // Array.from() stops at a hole, of which map() would visit billions.
  return Array.from(many, (value, i) =>
    address(value, `options.${list}[${i}]`),
  );
}

/** Every option that connect(), createServer() and listen() know. */
const NAMES = [
  ...['allowHalfOpen', 'assocMaxRetrans', 'backlog', 'family', 'heartbeat'],
  ...['highWaterMark', 'hints', 'host', 'init', 'ipv6Only', 'localAddress'],
  ...['localAddresses', 'localPort', 'lookup', 'maxMessageSize', 'MIS'],
  ...['noDelay', 'OS', 'pathMaxRetrans', 'pauseOnConnect', 'port'],
  ...['remoteAddresses', 'rto', 'sack', 'sctp', 'signal', 'timeout'],
];

/**
 * Reads each option once: an object may inherit them, and have getters.
 */
function read(options) {
  const result = { __proto__: null };
  for (const name of NAMES) {
    const value = options[name];
    if (value !== undefined) result[name] = value;
  }
  return result;
}

/** Retransmission timeouts. Those that are not given keep the kernel's value. */
function timeouts(options) {
  const { initial, min, max } = group(options.rto, 'options.rto');
  const rto = {
    initial: integer(initial, 'options.rto.initial', 1, UINT32),
    min: integer(min, 'options.rto.min', 1, UINT32),
    max: integer(max, 'options.rto.max', 1, UINT32),
  };
  if (rto.min === undefined && rto.max === undefined) return rto;
  const kernel = binding.rto() ?? { min: 0, max: UINT32 };
  const [lower, upper] = [rto.min ?? kernel.min, rto.max ?? kernel.max];
  if (lower > upper) {
    throw rto.max === undefined
      ? outOfRange('options.rto.min', `<= options.rto.max (${upper})`, lower)
      : outOfRange('options.rto.max', `>= options.rto.min (${lower})`, upper);
  }
  return rto;
}

/**
 * Returns the settings of a socket, some of which C applies before it connects or
 * listens.
 */
function settings(options) {
  const sctp = group(options.sctp, 'options.sctp');
  const sack = group(options.sack ?? sctp.sack, 'options.sack');
  const init = group(options.init, 'options.init');
  const rto = timeouts(options);
  const heartbeat = group(options.heartbeat, 'options.heartbeat');
  const interval = integer(
    heartbeat.interval,
    'options.heartbeat.interval',
    0,
    UINT32,
  );
  if (options.allowHalfOpen) {
    throw invalidValue(
      'options.allowHalfOpen',
      'must not be true: SCTP has no half-close (RFC 9260 section 9.2)',
      options.allowHalfOpen,
    );
  }
  const highWaterMark =
    integer(
      options.highWaterMark,
      'options.highWaterMark',
      0,
      Number.MAX_SAFE_INTEGER,
    ) ?? getDefaultHighWaterMark(false);
  const noDelay = boolean(options.noDelay, 'options.noDelay') ?? true;
  const ipv6Only = boolean(options.ipv6Only, 'options.ipv6Only') ?? false;
  return {
    highWaterMark,
    batchMax: Math.min(highWaterMark, UINT32),
    noDelay: noDelay ? 1 : 0,
    ipv6Only: ipv6Only ? 1 : 0,
    inStreams: integer(options.MIS, 'options.MIS', 1, UINT16) ?? IN_STREAMS,
    outStreams: integer(options.OS, 'options.OS', 1, UINT16),
    initAttempts: integer(init.attempts, 'options.init.attempts', 1, UINT16),
    initMaxTimeout:
      integer(init.maxTimeout, 'options.init.maxTimeout', 1, UINT16) ?? 5000,
    sackDelay: integer(sack.delay, 'options.sack.delay', 0, 500),
    sackFreq: integer(sack.freq, 'options.sack.freq', 0, UINT32),
    rtoInitial: rto.initial,
    rtoMin: rto.min,
    rtoMax: rto.max,
    heartbeat: interval,
    noHeartbeat: interval === 0 ? 1 : 0,
    pathMaxRetrans: integer(
      options.pathMaxRetrans,
      'options.pathMaxRetrans',
      1,
      UINT16,
    ),
    assocMaxRetrans: integer(
      options.assocMaxRetrans,
      'options.assocMaxRetrans',
      1,
      UINT16,
    ),
    maxMessageSize:
      integer(
        options.maxMessageSize,
        'options.maxMessageSize',
        1,
        MESSAGE_MAX,
      ) ?? 1024 * 1024,
  };
}

/** Names of the attributes that a message may have. */
const ATTRIBUTES = ['sid', 'ppid', 'unordered', 'ttl'];

/** Returns the attributes of a message. `streams` is the number of outgoing streams. */
function checkAttributes(attributes, streams) {
  const { sid, ppid, ttl, unordered } = attributes;
  if (sid !== undefined && sid !== 0) {
    integer(sid, 'sid', 0, UINT16);
    if (sid >= streams()) throw noStream(sid, streams());
  }
  if (ppid !== undefined) integer(ppid, 'ppid', 0, UINT32);
  if (ttl !== undefined) integer(ttl, 'ttl', 0, UINT32);
  if (typeof (unordered ?? false) !== 'boolean') {
    throw invalidType('unordered', 'of type boolean', unordered);
  }
  return (sid ?? ppid ?? ttl ?? unordered) !== undefined;
}

/** Attributes that are given as an object, where a wrong name is a mistake. */
function attributes(value) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'object') {
    throw invalidType('attributes', 'of type object', value);
  }
  // Those of a message that has arrived may be given on.
  const names = ArrayBuffer.isView(value) ? [] : Object.keys(value);
  const unknown = names.find((name) => !ATTRIBUTES.includes(name));
  if (unknown !== undefined) {
    throw invalidValue(
      `attributes.${unknown}`,
      `is none of ${ATTRIBUTES.join(', ')}`,
      value[unknown],
    );
  }
  return value;
}

/**
 * The forms of listen() and connect() that node:net has too: options, or port
 * and host, or neither; and a callback.
 */
function normalize(args, name) {
  const callback = typeof args.at(-1) === 'function' ? args.at(-1) : undefined;
  const [first, ...rest] = callback ? args.slice(0, -1) : args;
  if (typeof first === 'object' && first) {
    return { options: read(first), callback };
  }
  if (!['number', 'string'].includes(typeof (first ?? 0))) {
    throw invalidType(name, 'an object, a number or a string', first);
  }
  return {
    options: {
      port: first ?? undefined,
      host: rest.find((value) => typeof value === 'string'),
      backlog: rest.find((value) => typeof value === 'number'),
    },
    callback,
  };
}

module.exports = {
  addresses,
  attributes,
  boolean,
  checkAttributes,
  func,
  integer,
  normalize,
  port,
  read,
  settings,
  string,
};
