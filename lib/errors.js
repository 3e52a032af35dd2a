'use strict';

/** Errors as Node has them: for arguments, addresses and states. */

const { getSystemErrorName, inspect } = require('node:util');

function withCode(error, code) {
  error.code = code;
  return error;
}

function described(value) {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'function') return 'a function';
  return `type ${typeof value} (${inspect(value, { depth: 0 })})`;
}

exports.invalidType = (name, expected, value) =>
  withCode(
    new TypeError(
      `The "${name}" argument must be ${expected}. Received ${described(value)}`,
    ),
    'ERR_INVALID_ARG_TYPE',
  );

exports.invalidValue = (name, reason, value) =>
  withCode(
    new TypeError(
      `The argument '${name}' ${reason}. Received ${inspect(value)}`,
    ),
    'ERR_INVALID_ARG_VALUE',
  );

exports.outOfRange = (name, range, value) =>
  withCode(
    new RangeError(
      `The value of "${name}" is out of range. It must be ${range}. ` +
        `Received ${inspect(value)}`,
    ),
    'ERR_OUT_OF_RANGE',
  );

exports.badPort = (name, value) =>
  withCode(
    new RangeError(
      `${name} should be >= 0 and < 65536. Received ${described(value)}.`,
    ),
    'ERR_SOCKET_BAD_PORT',
  );

exports.invalidAddress = (value) =>
  withCode(
    new TypeError(`Invalid IP address: ${value}`),
    'ERR_INVALID_IP_ADDRESS',
  );

exports.invalidFamily = (family, host, port) =>
  Object.assign(
    withCode(
      new RangeError(`Invalid address family: ${family} ${host}:${port}`),
      'ERR_INVALID_ADDRESS_FAMILY',
    ),
    { host, port },
  );

exports.missingPort = () =>
  withCode(
    new TypeError('The "options.port" argument must be specified'),
    'ERR_MISSING_ARGS',
  );

exports.closedBeforeConnection = () =>
  withCode(
    new Error('Socket closed before the connection was established'),
    'ERR_SOCKET_CLOSED_BEFORE_CONNECTION',
  );

exports.alreadyListening = () =>
  withCode(
    new Error('Listen method has been called more than once without closing.'),
    'ERR_SERVER_ALREADY_LISTEN',
  );

exports.notRunning = () =>
  withCode(new Error('Server is not running.'), 'ERR_SERVER_NOT_RUNNING');

exports.destroyed = () =>
  withCode(
    new Error('Cannot call write after a stream was destroyed'),
    'ERR_STREAM_DESTROYED',
  );

exports.closed = () =>
  withCode(new Error('Socket is closed'), 'ERR_SOCKET_CLOSED');

exports.notConnected = () =>
  withCode(
    new Error('Invalid state: the socket is not connected yet'),
    'ERR_INVALID_STATE',
  );

/** Returns the error for a stream id that the association does not have. */
exports.noStream = (sid, streams) =>
  withCode(
    new RangeError(
      `The value of "sid" is out of range. The association has ${streams} ` +
        `outgoing streams, so it must be an integer >= 0 && <= ${streams - 1}; ` +
        `the option OS asks for more. Received ${inspect(sid)}`,
    ),
    'ERR_OUT_OF_RANGE',
  );

exports.unknownEncoding = (encoding) =>
  withCode(
    new TypeError(`Unknown encoding: ${String(encoding)}`),
    'ERR_UNKNOWN_ENCODING',
  );

/** Returns the error of dns.lookup() for a name without an address. */
exports.notFound = (hostname) =>
  Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), {
    code: 'ENOTFOUND',
    syscall: 'getaddrinfo',
    hostname,
  });

/** Returns the error for an option that needs a sysctl of this host. */
exports.notEnabled = (name, sysctl) =>
  withCode(
    new Error(`${name} needs the sysctl ${sysctl}, which is 0`),
    'ERR_SCTP_NOT_ENABLED',
  );

/** Returns the error for an extension that both sides must have agreed on. */
exports.notNegotiated = (extension, needs) =>
  withCode(
    new Error(`${extension} was not negotiated with the peer: ${needs}`),
    'ERR_SCTP_NOT_NEGOTIATED',
  );

/** Returns the error for a request of streams that the peer did not grant. */
exports.requestFailed = (name, how) =>
  withCode(
    new Error(`The peer has ${how} the ${name} of streams`),
    'ERR_SCTP_REQUEST_FAILED',
  );

/** Returns the error for what Linux cannot do at all. */
exports.unavailable = (what, reason) =>
  withCode(
    new Error(`${what} is not available: ${reason}`),
    'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM',
  );

/** Returns the error of a system call that failed with -errno. */
exports.systemError = (syscall, errno, detail) => {
  const code = getSystemErrorName(errno);
  const error = new Error(`${syscall} ${code} ${detail}`);
  return Object.assign(error, { errno, code, syscall });
};
