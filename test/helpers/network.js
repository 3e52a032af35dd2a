'use strict';

/** The kernel's network: namespaces, queues and its list of associations. */

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const { until } = require('./events');
const { run } = require('./processes');

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
 * Makes a second network, which lasts as long as this process. Returns the id of
 * a process in it, and the beginning of a command that is to run in it.
 */
function otherNetwork() {
  const holder = spawn('unshare', ['--net', 'sleep', 'infinity'], {
    stdio: 'ignore',
  });
  holder.unref();
  process.on('exit', () => holder.kill());
  const network = (pid) => fs.readlinkSync(`/proc/${pid}/ns/net`);
  while (network(holder.pid) === network('self')) run('sleep 0.01');
  return {
    pid: holder.pid,
    enter: ['nsenter', `--net=/proc/${holder.pid}/ns/net`],
  };
}

/**
 * Holds back what is sent from a port of this network, after `burst` bytes:
 * three quarters of the longest message, which is more than the receiver's
 * window, so that its pieces are read before it is complete. What comes then
 * waits until `release()`, or is lost with `lose()`; what comes after these
 * passes.
 */
function holdBack(t, port, burst = Math.floor((SNDBUF * 3) / 4)) {
  // So slow that a third of it more would take half a minute.
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
      const show = 'tc -s qdisc show dev lo parent 1:3';
      await until(() => !run(show).includes('backlog 0b'));
      await until(() => association(to, port).unread < burst / 6);
    },
    release: () => tbf('change', 1e10),
    lose: () => run('tc qdisc replace dev lo parent 1:3 handle 31: pfifo'),
  };
}

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
  SNDBUF,
  association,
  associations,
  enterOwnNetwork,
  holdBack,
  otherNetwork,
};
