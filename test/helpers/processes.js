'use strict';

/** Other programs. */

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');

/** Also for the processes that tests start. See scripts/test. */
process.env.PYTHON ??= 'python3';
const { PYTHON } = process.env;

/** Runs a program such as `ip` or `tc` and returns its output. */
function run(command) {
  const [program, ...args] = command.split(' ');
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
  });
  assert.equal(status, 0, `${command}: ${stderr}`);
  return stdout;
}

/** Runs a program to its end. */
async function finish(program, args, options) {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => {
    stdout += data;
  });
  child.stderr.on('data', (data) => {
    stderr += data;
  });
  const [code, signal] = await once(child, 'close');
  return { code, signal, stdout, stderr };
}

const root = JSON.stringify(path.resolve(__dirname, '../..'));

/**
 * Runs JavaScript in a process of its own, with all that the package exports
 * defined. Resolves to its exit code, signal and output.
 */
function runScript(source, { nodeArgs = [], cwd } = {}) {
  const exported = `const { connect, createServer, open } = require(${root});`;
  return finish(
    process.execPath,
    [...nodeArgs, '-e', `${exported}\n${source}`],
    { cwd },
  );
}

/** Runs Python, whose sockets can do to a peer what ours never do. */
async function runPython(source, ...args) {
  const result = await finish(PYTHON, ['-c', source, ...args.map(String)]);
  assert.equal(result.stderr, '');
  return result.stdout;
}

/** An ABORT in Python; `data` is the reason. */
const pythonAbort = `
import socket, struct, sys
def abort(s, address, data):
    SCTP_SNDRCV, SCTP_ABORT = 1, 4
    info = struct.pack('=HHHxxIIIIIi', 0, 0, SCTP_ABORT, 0, 0, 0, 0, 0, 0)
    s.sendmsg([data] if data else [], [(132, SCTP_SNDRCV, info)], 0, address)
`;

/** A peer that connects to a port and aborts for a reason. */
const abortingPeer = (port, reason) =>
  runPython(
    `${pythonAbort}
s = socket.socket(socket.AF_INET, socket.SOCK_SEQPACKET, 132)
address = ('127.0.0.1', int(sys.argv[1]))
s.connect(address)
abort(s, address, sys.argv[2].encode())`,
    port,
    reason,
  );

module.exports = {
  PYTHON,
  abortingPeer,
  finish,
  pythonAbort,
  run,
  runPython,
  runScript,
};
