'use strict';

/**
 * Methods of an endpoint whose arguments and results have names: options, states
 * and sockets. Each takes the place of a method of the addon, which it calls.
 */

const { constants } = require('node:os');
const {
  UINT16,
  abortReason,
  address,
  boolean,
  group,
  integer,
} = require('./arguments');
const { Endpoint } = require('./binding');
const { SCTP_CLOSED, SCTP_COOKIE_WAIT } = require('./constants');
const { invalidValue, systemError } = require('./errors');
const { read, settings, withOptions } = require('./options');
const { Socket } = require('./socket');
const { getOption, isPerAssociation, setOption } = require('./sockopt');
const { status } = require('./status');
const { readOption } = require('./struct');

/** The name under which the addon's class keeps its own methods. */
const NATIVE = Symbol.for('sctp-napi.native');

/**
 * The addon's methods. Without an addon there is no endpoint to call them. Test
 * runners evaluate this file again with the same addon.
 */
const addon = Endpoint?.[NATIVE] ?? nativeMethods();

function nativeMethods() {
  const names = ['disconnect', 'getOption', 'peelOff', 'peers', 'setOption'];
  return Object.fromEntries(
    names.map((name) => [name, Endpoint?.prototype[name]]),
  );
}

/**
 * The state of an association that the kernel does not show: it has no id yet, or it
 * has ended and its end is unread.
 */
const unknown = (associationId) =>
  associationId
    ? { associationId, state: SCTP_CLOSED, stateName: 'SCTP_CLOSED' }
    : { associationId, state: SCTP_COOKIE_WAIT, stateName: 'SCTP_COOKIE_WAIT' };

/** Returns the handle of an endpoint as lib/struct.js uses it. */
const handleOf = (endpoint) => ({
  getOption: (...option) => addon.getOption.apply(endpoint, option),
  setOption: (...option) => addon.setOption.apply(endpoint, option),
});

/** Returns the id of the association with a peer. Linux gives it by the handshake. */
function associationWith(endpoint, syscall, host, port) {
  const spinfo_address = {
    address: address(host, 'host'),
    port: integer(port, 'port', 1, UINT16) ?? 0,
  };
  const info = readOption(handleOf(endpoint), 'SCTP_GET_PEER_ADDR_INFO', {
    spinfo_address,
  });
  if (info?.spinfo_assoc_id) return info.spinfo_assoc_id;
  const errno = -constants.errno.ENOTCONN;
  throw Object.assign(systemError(syscall, errno, `${host}:${port}`), {
    address: host,
    port,
  });
}

/** Returns what is known of an option: of all associations to come, or of one. */
function known(endpoint, syscall, name, host, port) {
  const local = endpoint.address().port;
  if (host === undefined && port === undefined) {
    return { local, oneToMany: true };
  }
  const association = associationWith(endpoint, syscall, host, port);
  if (!isPerAssociation(name, syscall === 'setsockopt')) {
    throw invalidValue('name', 'is no option of one association', name);
  }
  return { local, oneToMany: true, remote: port, association };
}

const methods = {
  getOption(name, ...where) {
    const [fields, host, port] =
      typeof where[0] === 'string' ? [undefined, ...where] : where;
    const what = known(this, 'getsockopt', name, host, port);
    return getOption(handleOf(this), name, fields, what);
  },

  setOption(name, fields, host, port) {
    const what = known(this, 'setsockopt', name, host, port);
    setOption(handleOf(this), name, fields, what);
    return this;
  },

  peers() {
    return addon.peers.call(this).map((peer) => {
      const { host, port, associationId, addresses, outstanding } = peer;
      return {
        host,
        port,
        addresses: addresses.map(({ address }) => address),
        outstanding,
        ...(status(handleOf(this), associationId) ?? unknown(associationId)),
      };
    });
  },

  disconnect(host, port, options) {
    const { abort, reason } = group(options, 'options');
    const aborts = boolean(abort, 'options.abort') ?? false;
    const text = abortReason(reason, 'options.reason');
    if (text && !aborts) {
      throw invalidValue('options.reason', 'needs options.abort', reason);
    }
    addon.disconnect.call(this, host, port, aborts, text);
  },

  peelOff(host, port, options) {
    const set = settings(read(group(options, 'options')));
    // The association has the endpoint's defaults: unordered, with a lifetime.
    const handle = withOptions({ SCTP_DEFAULT_SEND_PARAM: {} }, (rows) =>
      addon.peelOff.call(
        ...[this, host, port, rows, set.maxMessageSize, set.batchMax],
      ),
    );
    const socket = Socket.accept(handle, null, { ...set, peeled: true }, {});
    socket.read(0);
    return socket;
  },
};

if (Endpoint) {
  Object.defineProperty(Endpoint, NATIVE, { value: addon });
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(Endpoint.prototype, name, { value, writable: true });
  }
}
