'use strict';

/** Reads and checks the options and arguments of connect() and listen(). */

const { isIP } = require('node:net');
const { getDefaultHighWaterMark } = require('node:stream');
const { badPort, invalidType, invalidValue, outOfRange } = require('./errors');
const {
  newSocket,
  notifications,
  optionRow,
  readOption,
  subscription,
} = require('./struct');

const UINT16 = 0xffff;
const UINT32 = 0xffffffff;
const MESSAGE_MAX = 64 * 1024 * 1024;

/**
 * Incoming streams without the option `MIS`. Each costs the kernel memory: with its
 * own 65,535, one handshake takes 1.35 MB.
 */
const IN_STREAMS = 1024;

/** Returns an integer from min to max, or undefined if there is none. */
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

/** Returns a port, which may be given as a string, as in node:net. */
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

/** Returns a group of options, an empty one if there is none. */
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

/** Returns an IP address, which may name an interface. */
function address(value, name) {
  if (typeof value !== 'string') {
    throw invalidType(name, 'of type string', value);
  }
  if (!isIP(value)) throw invalidValue(name, 'must be an IP address', value);
  return value;
}

/** Returns the addresses of `options[list]`, or the one of `options[single]`. */
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
  // Array.from() stops at the first hole of a sparse array.
  return Array.from(many, (value, i) =>
    address(value, `options.${list}[${i}]`),
  );
}

/** Flags of SCTP_PEER_ADDR_PARAMS, RFC 6458 section 8.1.12. */
const SPP_HB_ENABLE = 1;
const SPP_HB_DISABLE = 2;

/** Returns the fields that turn heartbeats on or off. 0 ms keeps the interval. */
const heartbeat = (on, interval) => ({
  spp_flags: on ? SPP_HB_ENABLE : SPP_HB_DISABLE,
  spp_hbinterval: interval,
});

/**
 * Names that users write, and the field of the kernel's option behind each. The
 * kernel keeps its own value if there is none. A number is from `min` (1) to
 * `max`.
 */
const KERNEL_OPTIONS = [
  ['noDelay', { check: boolean, initial: true }, 'SCTP_NODELAY', 'value'],
  ['ipv6Only', { check: boolean, initial: false }, 'IPV6_V6ONLY', 'value'],
  [
    'MIS',
    { max: UINT16, initial: IN_STREAMS },
    'SCTP_INITMSG',
    'sinit_max_instreams',
  ],
  ['OS', { max: UINT16 }, 'SCTP_INITMSG', 'sinit_num_ostreams'],
  ['init.attempts', { max: UINT16 }, 'SCTP_INITMSG', 'sinit_max_attempts'],
  [
    'init.maxTimeout',
    { max: UINT16, initial: 5000 },
    'SCTP_INITMSG',
    'sinit_max_init_timeo',
  ],
  ['sack.delay', { min: 0, max: 500 }, 'SCTP_DELAYED_SACK', 'sack_delay'],
  ['sack.freq', { min: 0, max: UINT32 }, 'SCTP_DELAYED_SACK', 'sack_freq'],
  ['rto.initial', { max: UINT32 }, 'SCTP_RTOINFO', 'srto_initial'],
  ['rto.min', { max: UINT32 }, 'SCTP_RTOINFO', 'srto_min'],
  ['rto.max', { max: UINT32 }, 'SCTP_RTOINFO', 'srto_max'],
  ['assocMaxRetrans', { max: UINT16 }, 'SCTP_ASSOCINFO', 'sasoc_asocmaxrxt'],
  [
    'pathMaxRetrans',
    { max: UINT16 },
    'SCTP_PEER_ADDR_PARAMS',
    'spp_pathmaxrxt',
  ],
  [
    'heartbeat.interval',
    { min: 0, max: UINT32 },
    'SCTP_PEER_ADDR_PARAMS',
    (interval) => heartbeat(interval > 0, interval),
  ],
].map(([name, { check, min = 1, max, initial }, option, field]) => ({
  name,
  check: check ?? ((value, argument) => integer(value, argument, min, max)),
  initial,
  option,
  fields: typeof field === 'function' ? field : (value) => ({ [field]: value }),
}));

/** Every other option that connect(), createServer() and listen() know. */
const OTHER_OPTIONS = [
  ...['allowHalfOpen', 'backlog', 'family', 'highWaterMark', 'hints', 'host'],
  ...['localAddress', 'localAddresses', 'localPort', 'lookup'],
  ...['maxMessageSize', 'pauseOnConnect', 'port', 'remoteAddresses', 'sctp'],
  ...['signal', 'timeout'],
];

const NAMES = new Set([
  ...KERNEL_OPTIONS.map(({ name }) => name.split('.')[0]),
  ...OTHER_OPTIONS,
]);

/**
 * Reads each option once, since it may be inherited or a getter.
 */
function read(options) {
  const result = { __proto__: null };
  for (const name of NAMES) {
    const value = options[name];
    if (value !== undefined) result[name] = value;
  }
  return result;
}

/** Checks that the minimum is not above the maximum, given or the kernel's. */
function checkTimeouts({ srto_min, srto_max } = {}) {
  if (srto_min === undefined && srto_max === undefined) return;
  const kernel = readOption(newSocket, 'SCTP_RTOINFO');
  const lower = srto_min ?? kernel?.srto_min ?? 0;
  const upper = srto_max ?? kernel?.srto_max ?? UINT32;
  if (lower > upper) {
    throw srto_max === undefined
      ? outOfRange('options.rto.min', `<= options.rto.max (${upper})`, lower)
      : outOfRange('options.rto.max', `>= options.rto.min (${lower})`, upper);
  }
}

/** Returns the kernel's options that users have asked for: fields by name. */
function kernelOptions(given) {
  const options = {};
  for (const { name, check, initial, option, fields } of KERNEL_OPTIONS) {
    const [first, second] = name.split('.');
    const value = second
      ? group(given[first], `options.${first}`)[second]
      : given[first];
    const checked = check(value, `options.${name}`) ?? initial;
    if (checked !== undefined) {
      options[option] = { ...options[option], ...fields(Number(checked)) };
    }
  }
  checkTimeouts(options.SCTP_RTOINFO);
  return options;
}

/** The notifications that every socket is subscribed to. */
const subscriptions = notifications
  .filter(({ subscribed }) => subscribed === 'always')
  .map((row) => subscription(row, true));

/** Returns the options of the kernel as the addon takes them. */
const optionRows = (kernel) => [
  ...Object.entries(kernel).map(([name, values]) => optionRow(name, values)),
  ...subscriptions,
];

/**
 * Returns the settings of a socket. The addon applies those in `kernel` before it
 * connects or listens.
 */
function settings(options) {
  const { sack } = group(options.sctp, 'options.sctp');
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
  const maxMessageSize =
    integer(options.maxMessageSize, 'options.maxMessageSize', 1, MESSAGE_MAX) ??
    1024 * 1024;
  const kernel = kernelOptions({ ...options, sack: options.sack ?? sack });
  return {
    highWaterMark,
    batchMax: Math.min(highWaterMark, UINT32),
    maxMessageSize,
    kernel,
  };
}

/**
 * Reads the arguments of listen() and connect(), as in node:net: options, or port
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
  UINT16,
  UINT32,
  addresses,
  boolean,
  func,
  heartbeat,
  integer,
  normalize,
  optionRows,
  port,
  read,
  settings,
  string,
};
