'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const { enterOwnNetwork, run, test, until } = require('../helpers');

enterOwnNetwork(__filename);
run('ip link set lo mtu 1500 up');
run('tc qdisc add dev lo root handle 1: prio');
run('tc qdisc add dev lo parent 1:2 handle 20: netem rate 100mbit');
run('tc qdisc add dev lo parent 1:3 handle 30: netem loss 100%');

const MB = 1024 * 1024;

/** DATA chunks that this network has received. */
function chunks() {
  const text = fs.readFileSync('/proc/net/sctp/snmp', 'latin1');
  const count = (name) => Number(new RegExp(`${name}\\s+(\\d+)`).exec(text)[1]);
  return count('SctpInOrderChunks') + count('SctpInUnorderChunks');
}

/** Sends what goes to or comes from an address through a band of the root. */
function steer(host, band) {
  for (const side of ['src', 'dst']) {
    run(
      `tc filter add dev lo parent 1: protocol ip prio ${band} u32 ` +
        `match ip ${side} ${host} flowid 1:${4 - band}`,
    );
  }
}

/** A peer whose send buffer takes one message of 16 MiB, which it sends. */
function sender(t, host, port) {
  const program = `
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_SEQPACKET, 132)
s.setsockopt(socket.SOL_SOCKET, 32, 64 << 20) # SO_SNDBUFFORCE
s.bind((sys.argv[1], 0))
s.sendto(b'x' * (16 << 20), ('127.0.0.1', int(sys.argv[2])))
print('sent', flush=True)
time.sleep(1000)`;
  return t.spawn('python3', ['-c', program, host, String(port)]);
}

test('peers that stop in the middle of long messages do not keep others from theirs', async (t) => {
  const received = [];
  const handle = t.open((result) => received.push(result), {
    host: '127.0.0.1',
    recvMaxlen: 16 * MB,
  });
  const { port } = handle.address();
  for (let i = 1; i <= 4; i++) {
    const host = `127.0.3.${i}`;
    steer(host, 2);
    const before = chunks();
    const child = sender(t, host, port);
    // Beyond 8 MiB, memory for 16 has been taken.
    await until(() => chunks() - before > (10 * MB) / 1452);
    steer(host, 1);
    await once(child.stdout, 'data');
  }
  assert.deepEqual(received, []);
  const child = sender(t, '127.0.3.9', port);
  await until(() => received.some((result) => Array.isArray(result)));
  const lost = received.filter((result) => typeof result === 'string');
  for (const text of lost)
    assert.match(text, /^recv ENOBUFS 127\.0\.3\.[1-4]:/);
  assert.ok(lost.length > 0);
  const [[data, host]] = received.filter(Array.isArray);
  assert.deepEqual([data.length, host], [16 * MB, '127.0.3.9']);
  child.kill('SIGKILL');
});
