'use strict';

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const nodeTest = require('node:test');
const { setTimeout: wait } = require('node:timers/promises');
const { connect, createServer, open } = require('..');

/** The addon that the package has loaded: compiled here, or a prebuilt one. */
const binary = Object.keys(require.cache).find((file) =>
  file.endsWith('.node'),
);

/** Also for the processes that tests start. See scripts/test. */
process.env.PYTHON ??= 'python3';
const { PYTHON } = process.env;

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

/**
 * Resolves when `condition()` holds; asks so seldom that others can work. A wait
 * that is in vain ends after `limit` ms and says what it waited for.
 */
async function until(condition, limit = 120_000) {
  const deadline = performance.now() + limit;
  while (!condition()) {
    if (performance.now() > deadline) {
      assert.fail(`waited ${limit} ms in vain for ${condition}`);
    }
    await wait(5);
  }
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

/**
 * A test that fails when a socket it opened is still there afterwards. What
 * `t.open`, `t.server`, `t.listen` and `t.connect` made is closed at its end,
 * and what `t.spawn` started is killed.
 */
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
    t.spawn = (program, args, stdin = 'ignore') => {
      const child = spawn(program, args, { stdio: [stdin, 'pipe', 'inherit'] });
      handles.push({ close: () => child.kill('SIGKILL') });
      return child;
    };
    const sockets = [];
    t.server = (...args) => {
      const server = createServer(...args);
      handles.push(server);
      server.on('connection', (socket) => sockets.push(socket));
      return server;
    };
    t.listen = async (options, onConnection) => {
      const server = t.server(options, onConnection);
      server.listen(
        options.localAddresses ? {} : { host: options.host ?? '127.0.0.1' },
      );
      await once(server, 'listening');
      return server;
    };
    t.connect = (...args) => {
      const socket = connect(...args);
      sockets.push(socket);
      return socket;
    };
    try {
      await body(t);
    } finally {
      for (const handle of handles) handle.close();
      for (const socket of sockets) socket.destroy();
    }
    await until(() => openSockets() <= before); // else it leaked a socket
  });
}

/** Two ends of an association, both connected. */
async function pair(t, serverOptions = {}, clientOptions = {}) {
  const server = await t.listen(serverOptions);
  const { address, port } = server.address();
  const client = t.connect({ host: address, port, ...clientOptions });
  const [[peer]] = await Promise.all([
    once(server, 'connection'),
    once(client, 'connect'),
  ]);
  return { server, client, peer };
}

/** The next `count` messages of a socket. */
function messages(socket, count) {
  return new Promise((resolve) => {
    const received = [];
    socket.on('data', function take(data) {
      if (received.push(data) < count) return;
      socket.removeListener('data', take);
      resolve(received);
    });
    socket.resume();
  });
}

/** How a socket ends: the names of its events, with the errors' codes. */
function ending(socket) {
  const events = [];
  socket.on('end', () => events.push('end'));
  socket.on('error', (error) => {
    events.push(error.code ?? error.message);
    Object.defineProperty(events, 'error', { value: error });
  });
  return new Promise((resolve) => {
    socket.on('close', () => {
      events.push('close');
      // A second 'close', or an error after it, would show.
      setImmediate(() => setImmediate(() => resolve(events)));
    });
  });
}

/** Opens an endpoint that keeps what it receives. */
function collector(t, options) {
  const received = [];
  const handle = t.open((result) => received.push(result), options);
  return { handle, received, port: handle.address().port };
}

/** Whether send() has no room now, for this peer or for any. */
const isFull = ({ code }) => code === 'EAGAIN' || code === 'ERR_SCTP_PEER_BUSY';

/** Sends all messages, going on in onDrain where there is no room. */
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
        if (!isFull(error)) reject(error);
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
  if (process.getuid() !== 0) {
    unshare.push('--map-current-user', '--keep-caps');
  }
  const { status } = spawnSync(
    'setpriv', // so that it does not outlive a test that is stopped
    [
      ...['--pdeathsig', 'KILL', 'unshare', ...unshare],
      ...[process.execPath, ...process.execArgv, file],
    ],
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

/**
 * Holds back what is sent from a port of this network, after three quarters of
 * the longest message: more than the receiver's window, so that its pieces are
 * read before it is complete. What comes then waits until `release()`, or is
 * lost with `lose()`; what comes after these passes.
 */
function holdBack(t, port) {
  const burst = Math.floor((SNDBUF * 3) / 4);
  // So slow that the rest would take half a minute.
  const slow = Math.floor((8 * burst) / 100);
  const tbf = (verb, rate) =>
    run(
      `tc qdisc ${verb} dev lo parent 1:3 handle 30: tbf rate ${rate}bit ` +
        `burst ${burst}b limit ${4 * SNDBUF}b`,
    );
  run('tc qdisc add dev lo root handle 1: prio');
  tbf('add', slow);
  run(
    'tc filter add dev lo parent 1: protocol ip prio 1 u32 ' +
      `match ip sport ${port} 0xffff flowid 1:3`,
  );
  t.after(() => run('tc qdisc del dev lo root'));
  return {
    /** Resolves when all that may pass has been read at `to`. */
    async halfArrived(to) {
      await until(
        () => !/tbf .* backlog 0b/s.test(run('tc -s qdisc show dev lo')),
      );
      await until(() => association(to, port).unread < SNDBUF / 8);
    },
    release: () => tbf('change', 1e10),
    lose: () => run('tc qdisc replace dev lo parent 1:3 handle 31: pfifo'),
  };
}

/** The kernel goes on, JavaScript does not. */
const blockThread = (ms) =>
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

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

const root = JSON.stringify(path.resolve(__dirname, '..'));

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

/** The associations of this network, as the kernel lists them. */
function associations() {
  const [header, ...lines] = fs
    .readFileSync('/proc/net/sctp/assocs', 'latin1')
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  // The lists of addresses in the middle are of any length.
  const at = (name) => header.indexOf(name);
  const fromEnd = (name) => at(name) - header.length;
  return lines.map((columns) => ({
    localPort: Number(columns[at('LPORT')]),
    remotePort: Number(columns[at('RPORT')]),
    /** In the kernel's ticks. */
    heartbeatInterval: Number(columns.at(fromEnd('HBINT'))),
    maxRetrans: Number(columns.at(fromEnd('MAXRT'))),
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
  PYTHON,
  abortingPeer,
  association,
  associations,
  binary,
  blockThread,
  SNDBUF,
  collector,
  ending,
  enterOwnNetwork,
  finish,
  holdBack,
  isFull,
  messages,
  open,
  openSockets,
  pair,
  pythonAbort,
  run,
  runPython,
  runScript,
  sendAll,
  test,
  until,
};
