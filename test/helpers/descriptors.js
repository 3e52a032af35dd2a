'use strict';

/**
 * Options of the sockets of this process that the package does not show. They
 * are read and set by a Python that is given the descriptors.
 */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');

/** Numbers from <linux/sctp.h>. */
const IPPROTO_SCTP = 132;
const SCTP_RTOINFO = 0;
const SCTP_NODELAY = 3;
const SCTP_PARTIAL_DELIVERY_POINT = 19;

/** The descriptors of the sockets that this process has. */
function socketDescriptors() {
  return fs.readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      return false; // the descriptor of the listing itself
    }
  });
}

/** Runs Python with `option()`, which calls getsockopt() or setsockopt(). */
function onSockets(source) {
  const fds = socketDescriptors().map(Number);
  const { status, stdout, stderr } = spawnSync(
    'python3',
    [
      '-c',
      `import ctypes, socket
libc = ctypes.CDLL(None)
ports = {}
for fd in range(3, 3 + ${fds.length}):
    s = socket.socket(fileno=fd)
    if s.family in (socket.AF_INET, socket.AF_INET6):
        ports.setdefault(s.getsockname()[1], []).append(s.detach())
def option(call, port, name, value, length):
    [fd] = ports[port]  # the only one that is bound to this port
    assert call(fd, ${IPPROTO_SCTP}, name, value, length) == 0
${source}`,
    ],
    { stdio: ['ignore', 'pipe', 'pipe', ...fds], encoding: 'utf8' },
  );
  assert.deepEqual([stderr, status], ['', 0]);
  return stdout;
}

/**
 * The value of an option, `count` numbers of 32 bits, of each of the sockets
 * that are bound to these ports.
 */
function getOption(ports, name, count) {
  const values = onSockets(
    `def get(port):
    value = (ctypes.c_uint32 * ${count})()
    length = ctypes.c_uint32(${4 * count})
    option(libc.getsockopt, port, ${name}, value, ctypes.byref(length))
    return list(value)
print(list(map(get, ${JSON.stringify(ports)})))`,
  );
  return JSON.parse(values);
}

function setOption(port, name, number) {
  onSockets(
    `value = ctypes.c_uint32(${number})
option(libc.setsockopt, ${port}, ${name}, ctypes.byref(value), 4)`,
  );
}

module.exports = {
  SCTP_NODELAY,
  SCTP_PARTIAL_DELIVERY_POINT,
  SCTP_RTOINFO,
  getOption,
  setOption,
  socketDescriptors,
};
