'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {
  associations,
  blockThread,
  collector,
  enterOwnNetwork,
  isFull,
  run,
  SNDBUF,
  test,
  until,
} = require('../helpers');
const { getOption, SCTP_RTOINFO } = require('../helpers/descriptors');

enterOwnNetwork(__filename);
// Each packet goes by itself, so that filters see what is in it.
run('ip link set lo mtu 1500 gso_max_size 1500 up');
// Packets go through the last two bands only if a filter sends them there.
run('tc qdisc add dev lo root handle 1: prio bands 5');
run('tc qdisc add dev lo parent 1:4 handle 40: netem loss 100%');
run('tc qdisc add dev lo parent 1:5 handle 50: pfifo');
run('ip link add dummy0 type dummy');
run('ip addr add fe80::1/64 dev dummy0 nodad');
run('ip addr add fe80::2/64 dev dummy0 nodad');
run('ip link set dummy0 up');

const root = JSON.stringify(path.resolve(__dirname, '../..'));
const sysctl = (name, value) =>
  fs.writeFileSync(`/proc/sys/net/${name}`, String(value));

/** How often the kernel tries to reach a peer of a new socket. */
function retransmissions(path, association) {
  sysctl('sctp/path_max_retrans', path);
  sysctl('sctp/association_max_retrans', association);
}
retransmissions(5, 1000); // longer than a test needs
sysctl('sctp/hb_interval', 3_600_000); // nothing goes to a peer but what a test sends

/** Has the packets that match go through one of the bands. */
const filter = (match, band) =>
  run(
    `tc filter add dev lo parent 1: protocol ip prio 1 u32 ${match} flowid 1:${band}`,
  );

/** Drops all packets to and from an address, until heal(). */
function cut(host) {
  filter(`match ip src ${host}`, 4);
  filter(`match ip dst ${host}`, 4);
}

const heal = () => run('tc filter del dev lo parent 1: prio 1');

const message = (size) => Buffer.alloc(size, 'x');

/** Sends to a peer until that is refused. */
function fill(handle, host, port, size) {
  try {
    for (;;) handle.send(message(size), host, port);
  } catch (error) {
    assert.equal(error.code, 'ERR_SCTP_PEER_BUSY');
  }
}

/** A peer at this address that has an association with `sender`. */
async function acquainted(t, sender, host) {
  const peer = collector(t, { host });
  sender.send(Buffer.from('hello'), host, peer.port);
  await until(() => peer.received.length === 1);
  return { ...peer, host };
}

/** A table of the kernel's: the names of its columns, and its lines. */
const table = (name) =>
  fs
    .readFileSync(`/proc/net/sctp/${name}`, 'latin1')
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));

/** Reads how much the send buffer of a port's socket can take, and has taken. */
function sendBuffer(port) {
  const [header, ...lines] = table('assocs');
  const line = lines.find((l) => l[header.indexOf('LPORT')] === String(port));
  // The lists of addresses in the middle are of any length.
  const column = (name) =>
    Number(line.at(header.indexOf(name) - header.length));
  return { size: column('sndbuf'), used: column('wmemq') };
}

/** The state of the path to an address (RFC 6458 section 8.2.2). */
function pathState(host) {
  const [header, ...lines] = table('remaddr');
  const line = lines.find(([address]) => address === host);
  return Number(line[header.indexOf('STATE')]);
}
const INACTIVE = 0;
const ACTIVE = 2;

/** The kernel has no association of this port any more. */
const alone = (port) => !associations().some((a) => a.localPort === port);

test('the RTO of an endpoint is 250 ms at first, then 200 to 5000 ms', (t) => {
  const { port } = t.open().address();
  const [[, initial, max, min]] = getOption([port], SCTP_RTOINFO, 4);
  assert.deepEqual(
    { initial, min, max },
    { initial: 250, min: 200, max: 5000 },
  );
});

test("'::' takes IPv4 also where net.ipv6.bindv6only is set", async (t) => {
  sysctl('ipv6/bindv6only', 1);
  t.after(() => sysctl('ipv6/bindv6only', 0));
  const { received, port } = collector(t, { host: '::' });
  const sender = t.open();
  sender.send(Buffer.from('x'), '127.0.0.1', port);
  await until(() => received.length === 1);
  assert.deepEqual(received[0], [
    Buffer.from('x'),
    '127.0.0.1',
    sender.address().port,
  ]);
});

test('a link-local peer that is gone is named with its interface', async (t) => {
  const names = [];
  const handle = t.open(([, host]) => names.push(host), {
    host: 'fe80::1%dummy0',
  });
  handle.onPeer = (_state, host) => names.push(host);
  const { port } = handle.address();
  const peer = `const { open } = require(${root});
    const handle = open('fe80::2%dummy0', 0, 1000, () => {});
    handle.send(Buffer.from('x'), 'fe80::1%dummy0', ${port});
    handle.close();`;
  // Nothing is read here until the association is gone.
  spawnSync(process.execPath, ['-e', peer], { stdio: 'inherit' });
  while (!alone(port)) blockThread(10);
  await until(() => names.length === 3);
  assert.deepEqual(names, Array(3).fill('fe80::2%dummy0'));
});

/**
 * Starts a script whose calls to the kernel fail with an errno. The kernel
 * answers so when it has no memory for SCTP, which would be for all tests.
 */
function withoutMemory(t, calls, errno, script) {
  return t.spawn('python3', [
    '-c',
    `import ctypes, os, platform, struct, sys
numbers = {
    'x86_64': {'sendto': 44, 'sendmsg': 46, 'recvmsg': 47},
    'aarch64': {'sendto': 206, 'sendmsg': 211, 'recvmsg': 212},
}[platform.machine()]
calls = [numbers[name] for name in sys.argv[1].split(',')]
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7fff0000, 0x00050000
code = [(LOAD, 0, 0, 0)]
code += [(EQUAL, len(calls) - i, 0, n) for i, n in enumerate(calls)]
code += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ERRNO | int(sys.argv[2]))]
code = [struct.pack('=HBBI', *line) for line in code]
memory = ctypes.create_string_buffer(b''.join(code))
program = struct.pack('@HP', len(code), ctypes.addressof(memory))
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
prctl = ctypes.CDLL(None, use_errno=True).prctl
assert prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program) == 0
os.execvp(sys.argv[3], sys.argv[3:])`,
    calls.join(),
    String(errno),
    process.execPath,
    '-e',
    `const { open } = require(${root});
    const start = performance.now();
    let count = 0;
    function again() {
      if (++count < 50) return;
      console.log(performance.now() - start);
      process.exit();
    }
    ${script}`,
  ]);
}

/** 50 attempts with 10 ms between them, of which a few come without a wait. */
async function backsOff(child) {
  const [elapsed] = await once(child.stdout, 'data');
  assert.ok(Number(elapsed) > 400, `50 attempts in ${elapsed} ms`);
}

test('a send that finds no memory is tried again after a while, not in a busy loop', async (t) => {
  const child = withoutMemory(
    t,
    ['sendto', 'sendmsg'],
    os.constants.errno.EAGAIN,
    `const handle = open('127.0.0.1', 0, 1000, () => {});
    handle.onDrain = () => {
      again();
      try {
        handle.send(Buffer.from('x'), '127.0.0.1', 9);
      } catch ({ code }) {
        if (code === 'EAGAIN') return;
      }
      console.log('no error');
    };
    handle.onDrain();`,
  );
  await backsOff(child);
});

test('a receive that finds no memory is tried again after a while, not in a busy loop', async (t) => {
  const child = withoutMemory(
    t,
    ['recvmsg'],
    os.constants.errno.ENOMEM,
    `const handle = open('127.0.0.1', 0, 1000, (result) => {
      if (result === 'recv ENOMEM') again();
      else console.log('no error');
    });
    console.log(handle.address().port);`,
  );
  const [port] = await once(child.stdout, 'data');
  t.open().send(Buffer.from('x'), '127.0.0.1', Number(port));
  await backsOff(child);
});

test('a peer may hold half as much of the send buffer as is left free', async (t) => {
  const sender = t.open(() => {}, { host: '0.0.0.0' });
  const { port } = sender.address();
  let before = 0;
  try {
    for (const host of ['127.0.1.1', '127.0.1.2', '127.0.1.3']) {
      const peer = await acquainted(t, sender, host);
      cut(host);
      fill(sender, host, peer.port, 1000);
      const { size, used } = sendBuffer(port);
      const held = (used - before) / size;
      const free = (size - used) / size;
      assert.ok(
        Math.abs(held - free / 2) < 0.03,
        `${host} holds ${held} of the buffer, ${free} is free`,
      );
      before = used;
    }
  } finally {
    heal(); // or close() would wait for them
  }
});

test('a message that leaves no room for another like it is acknowledged at once', async (t) => {
  const sender = t.open();
  const peer = collector(t, { recvMaxlen: SNDBUF });
  // DATA chunks with the I bit (RFC 7053).
  const [type, flags] = [32, 33].map((offset) => `at ${offset}`);
  filter(
    `match ip protocol 132 0xff match u8 0 0xff ${type} match u8 8 8 ${flags}`,
    5,
  );
  t.after(heal);
  const hurried = () =>
    Number(
      /class prio 1:5 .*\n Sent \d+ bytes (\d+) pkt/.exec(
        run('tc -s class show dev lo'),
      )[1],
    );
  const send = async (size) => {
    const before = hurried();
    const count = peer.received.length;
    sender.send(message(size), '127.0.0.1', peer.port);
    await until(() => peer.received.length > count);
    return hurried() > before;
  };
  await send(1); // the first shares its packet with the handshake
  assert.equal(await send(1), false);
  assert.equal(await send(SNDBUF >> 2), true);
});

test('`sent` is true for a long message of which a part had left', async (t) => {
  retransmissions(1, 2); // after 200 + 400 + 800 ms it is given up
  t.after(() => retransmissions(5, 1000));
  const handle = t.open(() => {}, { host: '0.0.0.0' });
  const undelivered = [];
  handle.onUndelivered = (data, host, port, sent) =>
    undelivered.push([data.length, host, port, sent]);
  const { host, port } = await acquainted(t, handle, '127.0.1.1');
  cut(host);
  t.after(heal);
  // So much does not fit into the congestion window.
  handle.send(message(100_000), host, port);
  await until(() => undelivered.length > 0);
  assert.deepEqual(undelivered, [[100_000, host, port, true]]);
});

test('an ABORT without a cause is ECONNRESET, also after a path had failed and recovered', async (t) => {
  retransmissions(1, 1000);
  t.after(() => retransmissions(5, 1000));
  const handle = t.open();
  const states = [];
  handle.onPeer = (state, host, port, error) =>
    states.push([state, host, port, error?.code ?? null]);
  const host = '127.0.1.1';
  const { address, port } = handle.address();
  const peer = t.connect({ host: address, port, localAddress: host });
  await once(peer, 'connect');
  const { localPort } = peer;
  await until(() => states.length === 1);
  cut(host);
  handle.send(Buffer.from('late'), host, localPort);
  await until(() => pathState(host) === INACTIVE);
  heal();
  assert.equal(String((await once(peer, 'data'))[0]), 'late');
  await until(() => pathState(host) === ACTIVE);
  cut(host);
  peer.destroy(); // of which nothing is heard
  await once(peer, 'close');
  heal();
  // The kernel answers so to what belongs to no association.
  handle.send(Buffer.from('lost'), host, localPort);
  await until(() => states.length === 2);
  assert.deepEqual(states, [
    ['up', host, localPort, null],
    ['down', host, localPort, 'ECONNRESET'],
  ]);
});

test('of more than 1,024 peers that are gone the oldest is forgotten', async (t) => {
  const received = [];
  const handle = t.open(([data]) => received.push(String(data)));
  const { address, port } = handle.address();
  const send = (text, to) => handle.send(Buffer.from(text), address, to);
  const [oldest, ...others] = Array.from({ length: 1025 }, (_, i) => i + 1);
  send('refused', oldest);
  await until(() => alone(port));
  for (const other of others) {
    try {
      send('refused', other);
    } catch (error) {
      assert.ok(isFull(error));
      await until(() => alone(port));
      send('refused', other);
    }
  }
  await until(() => alone(port));
  // News of them stands before this message.
  send('after them', port);
  await until(() => received.length === 1);
  for (const other of others) {
    assert.throws(() => send('again', other), { code: 'ECONNREFUSED' });
  }
  send('again', oldest);
});
