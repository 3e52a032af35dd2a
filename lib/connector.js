'use strict';

/** Finds the addresses of a host and tries one after the other. */

const dns = require('node:dns');
const { isIP } = require('node:net');
const {
  invalidAddress,
  invalidFamily,
  missingPort,
  notFound,
} = require('./errors');
const { addresses, func, port: validPort, string } = require('./arguments');

/**
 * Time that a connect() waits for its own closing association, and time between
 * two tries, ms.
 */
const RETRY_FOR = 1000;
const RETRY_EVERY = 20;

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

/** Reads the addresses and ports of connect(). */
function target(options) {
  if (options.port === undefined) throw missingPort();
  const host = string(options.host, 'options.host') || undefined;
  return {
    host: host ?? 'localhost',
    remotes:
      isIP(host) || options.remoteAddresses
        ? addresses(options, 'host', 'remoteAddresses')
        : [],
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
}

/** Returns whether a lookup has given an address. */
const isAddress = ({ address, family }) =>
  isIP(address) !== 0 && (family === 4 || family === 6);

const notAnAddress = ({ address, family }, host, port) =>
  isIP(address) ? invalidFamily(family, host, port) : invalidAddress(address);

/**
 * Tries to connect to a target. `attempt(addresses)` begins an attempt, and throws
 * if it fails at once; the owner calls failed() if it fails later. `giveUp(error)`
 * is called if there is nothing left to try, and `lookedUp()` with the arguments
 * of a 'lookup' event.
 */
class Connector {
  #target;
  #attempt;
  #giveUp;
  #lookedUp;
  #stopped = false;
  #unrefed = false;
  #lists = []; // of addresses, still to be tried
  #timer = null;
  #retryUntil = 0;

  constructor(where, { attempt, giveUp, lookedUp }) {
    this.#target = where;
    this.#attempt = attempt;
    this.#giveUp = giveUp;
    this.#lookedUp = lookedUp;
  }

  start() {
    const { remotes } = this.#target;
    if (remotes.length === 0) {
      this.#lookUp();
      return;
    }
    this.#lists = [remotes];
    process.nextTick(() => this.#tryNext());
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Sets whether a retry that waits keeps the process alive. */
  setUnrefed(unrefed) {
    this.#unrefed = unrefed;
  }

  #lookUp() {
    const { host, lookup, family, hints, port } = this.#target;
    lookup(host, { family, hints, all: true }, (error, found, foundFamily) => {
      if (this.#stopped || this.#lists.length) return;
      // A function of the user's may not know `all`.
      const all = Array.isArray(found)
        ? found
        : [{ address: found, family: foundFamily }];
      const valid = error ? [] : all.filter(isAddress);
      const failure =
        error ??
        (all.length === 0 ? notFound(host) : null) ??
        (valid.length === 0 ? notAnAddress(all[0], host, port) : null);
      this.#lists = valid.map(({ address }) => [address]);
      process.nextTick(() =>
        failure ? this.#giveUp(failure) : this.#tryNext(),
      );
      if (error || all.length === 0) {
        this.#lookedUp(failure, undefined, undefined, host);
        return;
      }
      for (const { address, family } of all) {
        this.#lookedUp(null, address, family, host);
      }
    });
  }

  #tryNext() {
    if (this.#stopped) return;
    this.#retryUntil ||= performance.now() + RETRY_FOR;
    try {
      this.#attempt(this.#lists[0]);
    } catch (error) {
      this.failed(error);
    }
  }

  /** Goes on after an attempt that has failed. */
  failed(error) {
    const ownAssociation =
      error.code === 'EADDRNOTAVAIL' && error.syscall === 'connect';
    if (ownAssociation && performance.now() < this.#retryUntil) {
      this.#timer = setTimeout(() => this.#tryNext(), RETRY_EVERY);
      if (this.#unrefed) this.#timer.unref();
      return;
    }
    this.#lists.shift();
    if (this.#lists.length) process.nextTick(() => this.#tryNext());
    else this.#giveUp(error);
  }
}

module.exports = { Connector, target };
