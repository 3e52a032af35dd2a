'use strict';

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const readline = require('node:readline');
const { PYTHON, enterOwnNetwork, otherNetwork, run } = require('../../helpers');

const HERE = '10.9.1.1';
const THERE = '10.9.1.2';

// Without this a packet's checksum is not computed where no hardware needs it,
// and a changed packet would not be one with a wrong checksum.
const checksums = `
import array, fcntl, socket, struct, sys
ETHTOOL_STXCSUM, SIOCETHTOOL = 0x17, 0x8946
value = array.array('B', struct.pack('II', ETHTOOL_STXCSUM, 0))
request = struct.pack('16sP', sys.argv[1].encode(), value.buffer_info()[0])
fcntl.ioctl(socket.socket(), SIOCETHTOOL, request)`;

/**
 * Runs a test file in a network of its own, as enterOwnNetwork does, with a
 * link to another host, which is a second network.
 */
function twoHosts(file) {
  enterOwnNetwork(file);
  const { pid, enter } = otherNetwork();
  const there = (command) => run(`${enter.join(' ')} ${command}`);
  /** Runs a command on both ends of the link, given the device's name. */
  const both = (command) => {
    run(command('here'));
    there(command('there'));
  };

  run('ip link add here type veth peer name there');
  run(`ip link set there netns ${pid}`);
  run('ip link set lo up');
  there('ip link set lo up');
  run(`ip address add ${HERE}/24 dev here`);
  there(`ip address add ${THERE}/24 dev there`);
  // A link hands on single packets, as wires do.
  const mtu = (bytes) =>
    both((dev) => `ip link set ${dev} mtu ${bytes} gso_max_size ${bytes}`);
  mtu(1500);
  both((dev) => `ip link set ${dev} up`);
  const python = [PYTHON, '-c', checksums];
  for (const [program, ...args] of [
    [...python, 'here'],
    [...enter, ...python, 'there'],
  ]) {
    const { status } = spawnSync(program, args, { stdio: 'inherit' });
    assert.equal(status, 0);
  }

  /**
   * Starts a program on the other host, for as long as this process runs, and
   * hands over each line that it prints. It keeps nothing running.
   */
  function startThere(program, args, onLine) {
    const child = spawn(enter[0], [enter[1], program, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    for (const handle of [child, child.stdin, child.stdout]) handle.unref();
    process.on('exit', () => child.kill('SIGKILL'));
    readline.createInterface({ input: child.stdout }).on('line', onLine);
    return child;
  }

  /** The kernel's counters of SCTP, on either host. */
  function counters(where) {
    const file = '/proc/net/sctp/snmp';
    const text =
      where === 'here' ? fs.readFileSync(file, 'latin1') : there(`cat ${file}`);
    const lines = text.trim().split('\n');
    return Object.fromEntries(
      lines.map((line) => {
        const [name, value] = line.split(/\s+/);
        return [name, Number(value)];
      }),
    );
  }

  return {
    both,
    counters,
    mtu,
    there,
    startThere,
    /** Puts a fault on both ends of the link. */
    netem(t, fault) {
      both((dev) => `tc qdisc add dev ${dev} root netem limit 10000 ${fault}`);
      t.after(() => both((dev) => `tc qdisc del dev ${dev} root`));
    },
  };
}

module.exports = { HERE, THERE, twoHosts };
