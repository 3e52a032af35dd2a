'use strict';

const fs = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');
const { getSystemErrorName } = require('node:util');
const { LACKING, whyNot } = require('./kernel');

/** Functions with literal paths, so that bundlers find the files. */
const prebuilt = {
  x64: () => require('../prebuilds/linux-x64.node'),
  arm64: () => require('../prebuilds/linux-arm64.node'),
};

/** The addon that `npx sctp-napi build` makes. No bundler follows this path. */
const compiled = path.join(__dirname, '../build/Release/sctp_dgram.node');

const COMPILE =
  'compile it with `npx sctp-napi build`, in a clone with `scripts/build`';

/** Returns the reason why the addon cannot be loaded here, or null. */
function unsuitable() {
  const runtime = ['bun', 'deno'].find((name) => process.versions[name]);
  if (runtime) {
    // These load addons, but abort when one calls libuv.
    return {
      reason: `sctp-napi needs libuv, whose functions ${runtime} lacks`,
      hint: 'run it with `node`',
    };
  }
  if (process.platform !== 'linux') {
    return {
      reason: `sctp-napi uses the SCTP of the Linux kernel, which ${process.platform} does not have`,
      hint: 'run it on Linux, for instance in a virtual machine',
    };
  }
  if (!fs.existsSync(compiled) && !prebuilt[process.arch]) {
    return {
      reason: `sctp-napi has no prebuilt binary for linux-${process.arch}`,
      hint: COMPILE,
    };
  }
  return null;
}

/** Returns the reason of an error of loading. */
function notLoaded(error) {
  if (error.code === 'MODULE_NOT_FOUND') {
    return {
      reason: `prebuilds/linux-${process.arch}.node of sctp-napi is missing`,
      hint: COMPILE,
    };
  }
  if (/libsctp/.test(error.message)) {
    return {
      reason: `the sctp-napi that was compiled here needs libsctp (${error.message})`,
      hint:
        'run `apt install libsctp1`, or `dnf install`, `pacman -S` or ' +
        '`apk add` with lksctp-tools',
    };
  }
  return {
    reason: `sctp-napi cannot be loaded (${error.message})`,
    hint: COMPILE,
  };
}

function load() {
  const problem = unsuitable();
  if (problem) return { problem };
  try {
    return {
      addon: fs.existsSync(compiled)
        ? createRequire(__filename)(compiled)
        : prebuilt[process.arch](),
    };
  } catch (error) {
    return { problem: notLoaded(error) };
  }
}

const { addon, problem } = load();

function isSupported() {
  let found = problem;
  if (!found) {
    const errno = addon.probe();
    if (errno < 0) found = whyNot(getSystemErrorName(errno));
  }
  return found
    ? { supported: false, ...found }
    : { supported: true, reason: null, hint: null };
}

/** Adds a reason and a hint to an error of a kernel without SCTP. */
function explain(error) {
  if (error.syscall !== 'socket' || !LACKING.includes(error.code)) return;
  const { message, stack } = error;
  const { reason, hint } = whyNot(error.code);
  error.message = `${message}: ${reason}; ${hint}`;
  // Error.prepareStackTrace may have made something else of it.
  if (typeof stack === 'string') {
    error.stack = stack.replace(message, () => error.message);
  }
}

/** Returns a function of the addon that adds to its errors why there is no SCTP. */
const explained =
  (name) =>
  (...args) => {
    try {
      return addon[name](...args);
    } catch (error) {
      explain(error);
      throw error;
    }
  };

function fail() {
  const error = new Error(`${problem.reason}: ${problem.hint}`);
  error.code = 'ERR_SCTP_UNAVAILABLE';
  throw error;
}

module.exports = addon
  ? {
      ...addon,
      open: explained('open'),
      connect: explained('connect'),
      listen: explained('listen'),
      isSupported,
    }
  : { open: fail, unavailable: fail, isSupported };
