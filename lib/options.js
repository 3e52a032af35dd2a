'use strict';

/** Reads and checks the options and arguments of connect() and listen(). */

const { isIP } = require('node:net');
const { getDefaultHighWaterMark } = require('node:stream');
const { badPort, invalidType, invalidValue, outOfRange } = require('./errors');

const UINT16 = 0xffff;
const UINT32 = 0xffffffff;
const MESSAGE_MAX = 64 * 1024 * 1024;

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

/** What a socket keeps to, and what C sets before it connects or listens. */
function settings(options) {
  const sack = options.sack ?? options.sctp?.sack ?? {};
  const { init = {}, rto = {}, heartbeat = {} } = options;
  const interval = integer(
    heartbeat?.interval,
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
  return {
    highWaterMark,
    batchMax: Math.min(highWaterMark, UINT32),
    noDelay: (options.noDelay ?? true) ? 1 : 0,
    ipv6Only: options.ipv6Only ? 1 : 0,
    inStreams: integer(options.MIS, 'options.MIS', 1, UINT16),
    outStreams: integer(options.OS, 'options.OS', 1, UINT16),
    initAttempts: integer(init?.attempts, 'options.init.attempts', 1, UINT16),
    initMaxTimeout:
      integer(init?.maxTimeout, 'options.init.maxTimeout', 1, UINT16) ?? 5000,
    sackDelay: integer(sack.delay, 'options.sack.delay', 0, 500),
    sackFreq: integer(sack.freq, 'options.sack.freq', 0, UINT32),
    rtoInitial: integer(rto?.initial, 'options.rto.initial', 1, UINT32),
    rtoMin: integer(rto?.min, 'options.rto.min', 1, UINT32),
    rtoMax: integer(rto?.max, 'options.rto.max', 1, UINT32),
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

/** What a message has beside its bytes. `streams` are those it may go to. */
function checkAttributes(attributes, streams) {
  const { sid, ppid, ttl, unordered } = attributes;
  if (sid !== undefined && sid !== 0) integer(sid, 'sid', 0, streams() - 1);
  if (ppid !== undefined) integer(ppid, 'ppid', 0, UINT32);
  if (ttl !== undefined) integer(ttl, 'ttl', 0, UINT32);
  if (typeof (unordered ?? false) !== 'boolean') {
    throw invalidType('unordered', 'of type boolean', unordered);
  }
  return (sid ?? ppid ?? ttl ?? unordered) !== undefined;
}

/**
 * The forms of listen() and connect() that node:net has too: options, or port
 * and host, or neither; and a callback.
 */
function normalize(args, name) {
  const callback = typeof args.at(-1) === 'function' ? args.at(-1) : undefined;
  const [first, ...rest] = callback ? args.slice(0, -1) : args;
  if (typeof first === 'object' && first) return { options: first, callback };
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
  checkAttributes,
  func,
  integer,
  normalize,
  port,
  settings,
  string,
};
