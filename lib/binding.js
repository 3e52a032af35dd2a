'use strict';

/** Loads the addon, or says what to do where it cannot be loaded. */
function load() {
  if (process.platform !== 'linux') {
    throw new Error(
      'sctp-napi works on Linux only: it uses the SCTP of the Linux kernel',
    );
  }
  // They load addons, but without libuv's functions, and then abort.
  const runtime = ['bun', 'deno'].find((name) => process.versions[name]);
  if (runtime) {
    throw new Error(
      `sctp-napi works on Node.js only: ${runtime} has no libuv, which it ` +
        'needs to wait for sockets',
    );
  }
  try {
    return require('../build/Release/sctp_dgram.node');
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') {
      error.message =
        'sctp-napi has not been compiled. Package managers may hold back ' +
        'install scripts: allow it (npm: `npm rebuild sctp-napi`, pnpm: ' +
        '`pnpm approve-builds`)';
    } else if (/libsctp/.test(error.message)) {
      error.message +=
        '. Install it: libsctp1 on Debian and Ubuntu, lksctp-tools elsewhere';
    }
    throw error;
  }
}

module.exports = load();
