'use strict';

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const nodeTest = require('node:test');
const { setTimeout: wait } = require('node:timers/promises');
const { open } = require('..');

/**
 * The most that one message can have: what Linux grants as SO_SNDBUF. Network
 * namespaces do not show it, so it is handed on to them.
 */
const SNDBUF = Number(
  process.env.SCTP_TEST_SNDBUF ??
    2 *
      Math.min(
        4 * 1024 * 1024,
        Number(fs.readFileSync('/proc/sys/net/core/wmem_max', 'latin1')),
      ),
);

/** Resolves when `condition()` holds; asks so seldom that others can work. */
async function until(condition) {
  while (!condition()) await wait(5);
}

function openSockets() {
  return fs.readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      return false; // the descriptor of the listing itself
    }
  }).length;
}

/** A test that fails when a socket it opened is still there afterwards. */
function test(name, body) {
  nodeTest(name, async (t) => {
    const before = openSockets();
    const handles = [];
    t.open = (onRecv = () => {}, options = {}) => {
      const { host = '127.0.0.1', port = 0, recvMaxlen = 65536 } = options;
      const handle = open(host, port, recvMaxlen, onRecv);
      handles.push(handle);
      return handle;
    };
    try {
      await body(t);
    } finally {
      for (const handle of handles) handle.close();
    }
    const deadline = Date.now() + 20_000;
    await until(() => openSockets() <= before || Date.now() > deadline);
    assert.ok(openSockets() <= before, 'the test leaked a socket');
  });
}

/** Opens an endpoint that keeps what it receives. */
function collector(t, options) {
  const received = [];
  const handle = t.open((result) => received.push(result), options);
  return { handle, received, port: handle.address().port };
}

/** Sends all messages, going on in onDrain where the buffer is full. */
function sendAll(handle, messages, host, port) {
  return new Promise((resolve, reject) => {
    let next = 0;
    const go = () => {
      try {
        while (next < messages.length) {
          handle.send(messages[next], host, port);
          next++;
        }
      } catch (error) {
        if (error.code !== 'EAGAIN') reject(error);
        return;
      }
      handle.onDrain = null;
      resolve();
    };
    handle.onDrain = go;
    go();
  });
}

/**
 * Runs the test file that calls this in a network namespace of its own, where
 * it may delay and drop packets: starts the file anew there, with the same
 * output, and does not return outside.
 */
function enterOwnNetwork(file) {
  if (process.env.SCTP_TEST_NETWORK === file) return;
  const unshare = ['--net', '--mount'];
  if (process.getuid() !== 0) unshare.push('--map-root-user');
  const { status } = spawnSync(
    'unshare',
    [...unshare, process.execPath, ...process.execArgv, file],
    {
      stdio: 'inherit',
      env: {
        ...process.env,
        SCTP_TEST_NETWORK: file,
        SCTP_TEST_SNDBUF: String(SNDBUF),
      },
    },
  );
  process.exit(status ?? 1);
}

/** Runs a program such as `ip` or `tc` and returns its output. */
function run(command) {
  const [program, ...args] = command.split(' ');
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
  });
  assert.equal(status, 0, `${command}: ${stderr}`);
  return stdout;
}

/**
 * Runs JavaScript in a process of its own, with `open` defined. Resolves to
 * its exit code, signal and output.
 */
async function runScript(source, { nodeArgs = [], cwd } = {}) {
  const child = spawn(
    process.execPath,
    [
      ...nodeArgs,
      '-e',
      `const { open } = require(${JSON.stringify(path.resolve(__dirname, '..'))});\n${source}`,
    ],
    { cwd, stdio: ['ignore', 'pipe', 'pipe'] },
  );
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

/** The associations of this network, as the kernel lists them. */
function associations() {
  const [header, ...lines] = fs
    .readFileSync('/proc/net/sctp/assocs', 'latin1')
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  const at = (name) => header.indexOf(name);
  return lines.map((columns) => ({
    localPort: Number(columns[at('LPORT')]),
    remotePort: Number(columns[at('RPORT')]),
    /** Bytes not yet acknowledged, counted until a message is so as a whole. */
    unacknowledged: Number(columns[at('TX_QUEUE')]),
    /** Bytes received and not yet read. */
    unread: Number(columns[at('RX_QUEUE')]),
  }));
}

/** One side of the association between two ports. */
function association(localPort, remotePort) {
  return associations().find(
    (a) => a.localPort === localPort && a.remotePort === remotePort,
  );
}

module.exports = {
  association,
  associations,
  SNDBUF,
  collector,
  enterOwnNetwork,
  openSockets,
  run,
  runScript,
  sendAll,
  test,
  until,
};
