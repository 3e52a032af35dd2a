'use strict';

/** Options of connect(), createServer() and listen(). */

const fs = require('node:fs');
const os = require('node:os');
const { getDefaultHighWaterMark } = require('node:stream');
const {
  UINT8,
  UINT16,
  UINT32,
  array,
  boolean,
  bytes,
  group,
  integer,
  oneOf,
  required,
  string,
} = require('./arguments');
const {
  invalidType,
  invalidValue,
  notEnabled,
  outOfRange,
  unavailable,
} = require('./errors');
const { failure } = require('./sockopt');
const {
  newSocket,
  notifications,
  optionRow,
  readOption,
  subscription,
} = require('./struct');

const INT32_MAX = 0x7fffffff;
const MESSAGE_MAX = 64 * 1024 * 1024;

/**
 * Incoming streams without the option `MIS`. Each costs the kernel memory: with its
 * own 65,535, one handshake takes 1.35 MB.
 */
const IN_STREAMS = 1024;

/** Flags of SCTP_PEER_ADDR_PARAMS, RFC 6458 section 8.1.12. */
const SPP_HB_ENABLE = 1;
const SPP_HB_DISABLE = 2;
const SPP_DSCP = 0x200;

/** All requests of SCTP_ENABLE_STREAM_RESET, RFC 6525 section 6.3.1. */
const ALL_REQUESTS = 7;

/** Schedulers of SCTP_STREAM_SCHEDULER, by their number. */
const SCHEDULERS = ['fcfs', 'priority', 'round-robin', 'fair', 'weighted'];

/** Returns the fields that turn heartbeats on or off. 0 ms keeps the interval. */
const heartbeat = (on, interval) => ({
  spp_flags: on ? SPP_HB_ENABLE : SPP_HB_DISABLE,
  spp_hbinterval: interval,
});

/** Returns the fields that set the DSCP, which is in the upper 6 bits. */
const dscp = (value) => ({ spp_flags: SPP_DSCP, spp_dscp: value << 2 });

const number = (min, max) => (value, name) => integer(value, name, min, max);

/** Returns a function that makes one field of an option of a value. */
const field = (option, name) => (value) => ({
  [option]: { [name]: Number(value) },
});

/** Encapsulation does nothing, without any error, unless the sysctl is set. */
function encapsulation(sue_port) {
  const file = '/proc/sys/net/sctp/udp_port';
  if (fs.existsSync(file) && Number(fs.readFileSync(file, 'latin1')) === 0) {
    throw notEnabled('options.udpEncapsulation', 'net.sctp.udp_port');
  }
  return { SCTP_REMOTE_UDP_ENCAPS_PORT: { sue_port } };
}

/** Linux allows I-DATA only with fragment interleave. */
function interleaving(on) {
  if (!on) return {};
  if (os.endianness() === 'BE') {
    throw unavailable(
      'options.interleaving',
      'on a big-endian CPU, Linux does not tell one unordered message from another',
    );
  }
  return {
    SCTP_FRAGMENT_INTERLEAVE: { value: 1 },
    SCTP_INTERLEAVING_SUPPORTED: { assoc_value: 1 },
  };
}

/** Keys of the option `auth` at most: the addon takes 64 options in all. */
const KEYS_MAX = 32;

/** Checks the option `auth`. */
function auth(value, name) {
  if (value === undefined || value === null) return undefined;
  const { keys, active, chunks, hmacs } = group(value, name);
  const list = (items, what, max) =>
    array(items, `${name}.${what}`).map((item, i) =>
      required(integer, item, `${name}.${what}[${i}]`, 0, max),
    );
  const secrets = Object.entries(group(keys, `${name}.keys`));
  if (keys instanceof Map) throw invalidType(`${name}.keys`, 'a record', keys);
  if (secrets.length > KEYS_MAX) {
    throw outOfRange(`${name}.keys`, `<= ${KEYS_MAX} keys`, secrets.length);
  }
  return {
    keys: secrets.map(([id, key]) => [
      integer(Number(id), `${name}.keys`, 0, UINT16),
      required(bytes, key, `${name}.keys[${id}]`),
    ]),
    active: integer(active, `${name}.active`, 0, UINT16),
    chunks: list(chunks, 'chunks', UINT8),
    hmacs: list(hmacs, 'hmacs', UINT16),
  };
}

/** Returns the fields of SCTP_AUTH_KEY. */
const authKey = (id, key) => ({
  sca_keynumber: id,
  sca_keylength: key.length,
  sca_key: key,
});

function authOptions({ keys, active, chunks, hmacs }) {
  const options = { SCTP_AUTH_SUPPORTED: { assoc_value: 1 } };
  if (hmacs.length) {
    options.SCTP_HMAC_IDENT = {
      shmac_number_of_idents: hmacs.length,
      shmac_idents: hmacs,
    };
  }
  options.SCTP_AUTH_CHUNK = chunks.map((type) => ({ sauth_chunk: type }));
  options.SCTP_AUTH_KEY = keys.map(([id, key]) => authKey(id, key));
  if (active !== undefined) {
    options.SCTP_AUTH_ACTIVE_KEY = { scact_keynumber: active };
  }
  return options;
}

/**
 * Names that users write, their check, the kernel's options that they become, and
 * the default. Without a default the kernel keeps its own value.
 */
const KERNEL_OPTIONS = [
  ['noDelay', boolean, field('SCTP_NODELAY', 'value'), true],
  ['ipv6Only', boolean, field('IPV6_V6ONLY', 'value'), false],
  [
    'MIS',
    number(1, UINT16),
    field('SCTP_INITMSG', 'sinit_max_instreams'),
    IN_STREAMS,
  ],
  ['OS', number(1, UINT16), field('SCTP_INITMSG', 'sinit_num_ostreams')],
  [
    'init.attempts',
    number(1, UINT16),
    field('SCTP_INITMSG', 'sinit_max_attempts'),
  ],
  [
    'init.maxTimeout',
    number(1, UINT16),
    field('SCTP_INITMSG', 'sinit_max_init_timeo'),
    5000,
  ],
  ['sack.delay', number(0, 500), field('SCTP_DELAYED_SACK', 'sack_delay')],
  ['sack.freq', number(0, UINT32), field('SCTP_DELAYED_SACK', 'sack_freq')],
  ['rto.initial', number(1, UINT32), field('SCTP_RTOINFO', 'srto_initial')],
  ['rto.min', number(1, UINT32), field('SCTP_RTOINFO', 'srto_min')],
  ['rto.max', number(1, UINT32), field('SCTP_RTOINFO', 'srto_max')],
  [
    'assocMaxRetrans',
    number(1, UINT16),
    field('SCTP_ASSOCINFO', 'sasoc_asocmaxrxt'),
  ],
  [
    'cookieLife',
    number(1, UINT32),
    field('SCTP_ASSOCINFO', 'sasoc_cookie_life'),
  ],
  [
    'pathMaxRetrans',
    number(1, UINT16),
    field('SCTP_PEER_ADDR_PARAMS', 'spp_pathmaxrxt'),
  ],
  [
    'heartbeat.interval',
    number(0, UINT32),
    (interval) => ({
      SCTP_PEER_ADDR_PARAMS: heartbeat(interval > 0, interval),
    }),
  ],
  ['dscp', number(0, 63), (value) => ({ SCTP_PEER_ADDR_PARAMS: dscp(value) })],
  ['sendBufferSize', number(1, INT32_MAX), field('SO_SNDBUF', 'value')],
  ['recvBufferSize', number(1, INT32_MAX), field('SO_RCVBUF', 'value')],
  [
    'bindToDevice',
    string,
    (name) => ({ SO_BINDTODEVICE: { value: Buffer.from(name) } }),
  ],
  ['maxSegment', number(1, UINT16), field('SCTP_MAXSEG', 'assoc_value')],
  ['maxBurst', number(0, UINT32), field('SCTP_MAX_BURST', 'assoc_value')],
  [
    'adaptation',
    number(0, UINT32),
    field('SCTP_ADAPTATION_LAYER', 'ssb_adaptation_ind'),
  ],
  ['ecn', boolean, field('SCTP_ECN_SUPPORTED', 'assoc_value')],
  [
    'streamReset',
    boolean,
    (on) => ({
      SCTP_RECONFIG_SUPPORTED: { assoc_value: Number(on) },
      SCTP_ENABLE_STREAM_RESET: { assoc_value: on ? ALL_REQUESTS : 0 },
    }),
  ],
  [
    'scheduler',
    (value, name) => oneOf(value, name, SCHEDULERS),
    (name) => ({
      SCTP_STREAM_SCHEDULER: { assoc_value: SCHEDULERS.indexOf(name) },
    }),
  ],
  ['interleaving', boolean, interleaving],
  ['udpEncapsulation', number(1, UINT16), encapsulation],
  ['auth', auth, authOptions],
  // Linux spreads associations only over sockets with SO_REUSEPORT.
  [
    'reusePort',
    boolean,
    (on) => ({
      SCTP_REUSE_PORT: { value: Number(on) },
      SO_REUSEPORT: { value: Number(on) },
    }),
  ],
].map(([name, check, toKernel, initial]) => ({
  name,
  check,
  toKernel,
  initial,
}));

/** Every other option that connect(), createServer() and listen() know. */
const OTHER_OPTIONS = [
  ...['allowHalfOpen', 'backlog', 'family', 'fd', 'highWaterMark', 'hints'],
  ...['host'],
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

/** Adds fields of an option to those that it has already. Flags are joined. */
function merge(before, fields) {
  if (Array.isArray(fields)) return fields;
  const merged = { ...before, ...fields };
  if (before?.spp_flags && fields.spp_flags) {
    merged.spp_flags = before.spp_flags | fields.spp_flags;
  }
  return merged;
}

/** Returns the kernel's options that users have asked for: fields by name. */
function kernelOptions(given) {
  const options = {};
  for (const { name, check, initial, toKernel } of KERNEL_OPTIONS) {
    const [first, second] = name.split('.');
    const value = second
      ? group(given[first], `options.${first}`)[second]
      : given[first];
    const checked = check(value, `options.${name}`) ?? initial;
    if (checked === undefined) continue;
    for (const [option, fields] of Object.entries(toKernel(checked))) {
      options[option] = merge(options[option], fields);
    }
  }
  checkTimeouts(options.SCTP_RTOINFO);
  return options;
}

/** The notifications that every socket is subscribed to. */
const subscriptions = notifications
  .filter(({ subscribed }) => subscribed === 'always')
  .map((row) => subscription(row, true));

/**
 * Calls the addon with the kernel's options as it takes them. An error names the
 * option that the kernel has refused.
 */
function withOptions(kernel, call) {
  const list = Object.entries(kernel).flatMap(([name, values]) =>
    [values].flat().map((fields) => [name, fields]),
  );
  try {
    return call([
      ...list.map(([name, fields]) => optionRow(name, fields)),
      ...subscriptions,
    ]);
  } catch (error) {
    const [name] = list[error.option - 1] ?? [];
    throw name ? failure('setsockopt', error.errno, name) : error;
  }
}

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
  authKey,
  dscp,
  heartbeat,
  normalize,
  read,
  settings,
  withOptions,
};
