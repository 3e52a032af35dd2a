'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const {
  PYTHON,
  abortingPeer,
  association,
  associations,
  blockThread,
  collector,
  enterOwnNetwork,
  run,
  pythonAbort,
  SNDBUF,
  test,
  until,
} = require('../helpers');

enterOwnNetwork(__filename);
run('ip link set lo mtu 1500 up');
run('tc qdisc add dev lo root handle 1: prio');
run('tc qdisc add dev lo parent 1:3 handle 30: netem loss 100%');

const sysctl = (name, value) =>
  fs.writeFileSync(`/proc/sys/net/sctp/${name}`, String(value));
/** How often the kernel tries to reach a peer of a new socket. */
function retransmissions(path, association) {
  sysctl('path_max_retrans', path);
  sysctl('association_max_retrans', association);
}
retransmissions(5, 1000); // longer than a test needs
sysctl('hb_interval', 3_600_000); // nothing goes to a peer but what a test sends

/** Drops all packets to and from an address, until heal(). */
function cut(...hosts) {
  for (const host of hosts) {
    for (const side of ['src', 'dst']) {
      run(
        'tc filter add dev lo parent 1: protocol ip prio 1 u32 ' +
          `match ip ${side} ${host} flowid 1:3`,
      );
    }
  }
}

const heal = () => run('tc filter del dev lo parent 1: prio 1');

const message = (size = 1000) => Buffer.alloc(size, 'x');

/** Sends to a peer until that is refused; returns the error and the number. */
function fill(handle, host, port, size) {
  for (let count = 0; ; count++) {
    try {
      handle.send(message(size), host, port);
    } catch (error) {
      return { error, count };
    }
  }
}

/** A peer at this address that has an association with `sender`. */
async function acquainted(t, sender, host, options) {
  const peer = collector(t, { host, ...options });
  sender.send(Buffer.from('hello'), host, peer.port);
  await until(() => peer.received.length === 1);
  peer.received.length = 0;
  return { ...peer, host };
}

/** An endpoint that keeps what it hears of its peers. */
function observer(t, onRecv) {
  const handle = t.open(onRecv, { host: '0.0.0.0' });
  const states = [];
  const undelivered = [];
  handle.onPeer = (state, host, port, error) =>
    states.push([state, host, port, error?.code ?? null]);
  handle.onUndelivered = (...args) => undelivered.push(args);
  return { handle, states, undelivered };
}

/** The messages of uncaught exceptions from here on. */
function uncaught(t) {
  const errors = [];
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => errors.push(error.message));
  t.after(() => {
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
  });
  return errors;
}

test('a peer that does not answer is busy, and does not hold up another', async (t) => {
  const sender = t.open(() => {}, { host: '0.0.0.0' });
  const dead = await acquainted(t, sender, '127.0.1.1');
  const alive = await acquainted(t, sender, '127.0.1.2');
  const ready = [];
  sender.onDrain = (...peer) => ready.push(peer);
  cut(dead.host);
  const { error, count } = fill(sender, dead.host, dead.port);
  assert.ok(count > 10);
  assert.deepEqual(
    { name: error.name, ...error },
    {
      name: 'Error',
      code: 'ERR_SCTP_PEER_BUSY',
      syscall: 'send',
      address: dead.host,
      port: dead.port,
    },
  );
  for (let round = 1; round <= 50; round++) {
    for (let i = 0; i < 10; i++) {
      sender.send(message(), alive.host, alive.port);
    }
    await until(() => alive.received.length === 10 * round);
  }
  assert.deepEqual(ready, []);
  heal();
  await until(() => dead.received.length === count);
  await until(() => ready.length > 0);
  assert.deepEqual(ready, [[dead.host, dead.port]]);
  sender.send(message(), dead.host, dead.port);
  await until(() => dead.received.length === count + 1);
});

test('however many do not answer, there is room for one that does', async (t) => {
  const sender = t.open(() => {}, { host: '0.0.0.0' });
  const hosts = [1, 2, 3, 4, 5, 6, 7].map((i) => `127.0.1.${i}`);
  cut(...hosts);
  t.after(heal);
  // None of these has ever answered.
  const counts = hosts.map((host) => {
    const { error, count } = fill(sender, host, 9);
    assert.equal(error.code, 'ERR_SCTP_PEER_BUSY');
    return count;
  });
  assert.ok(counts.every((count) => count > 0));
  const { handle, received, port } = collector(t, { host: '127.0.2.1' });
  const list = Array.from({ length: 200 }, () => message(100));
  let next = 0;
  handle.onDrain = null;
  const go = () => {
    try {
      for (; next < list.length; next++) {
        sender.send(list[next], '127.0.2.1', port);
      }
    } catch (error) {
      assert.equal(error.code, 'ERR_SCTP_PEER_BUSY');
    }
  };
  sender.onDrain = go;
  go();
  await until(() => received.length === list.length);
});

test('a peer that holds nothing is never busy, whatever it is sent', async (t) => {
  const sender = t.open(() => {}, { host: '0.0.0.0' });
  const dead = await acquainted(t, sender, '127.0.1.1');
  const recvMaxlen = SNDBUF;
  const alive = await acquainted(t, sender, '127.0.1.2', { recvMaxlen });
  cut(dead.host);
  t.after(heal);
  fill(sender, dead.host, dead.port);
  for (let round = 1; round <= 3; round++) {
    sender.send(message(SNDBUF / 2), alive.host, alive.port);
    await until(
      () =>
        alive.received.length === round &&
        association(sender.address().port, alive.port).unacknowledged === 0,
    );
  }
});

test('EAGAIN and onDrain(): the whole buffer is full', async (t) => {
  const sender = t.open(() => {}, { host: '0.0.0.0' });
  const recvMaxlen = SNDBUF;
  const one = await acquainted(t, sender, '127.0.1.1', { recvMaxlen });
  const other = await acquainted(t, sender, '127.0.1.2');
  const drains = [];
  sender.onDrain = (...peer) => drains.push(peer);
  cut(one.host, other.host);
  sender.send(message(SNDBUF), one.host, one.port);
  assert.throws(() => sender.send(message(1), other.host, other.port), {
    message: `send EAGAIN ${other.host}:${other.port}`,
    code: 'EAGAIN',
    errno: -11,
    syscall: 'send',
    address: other.host,
    port: other.port,
  });
  heal();
  await until(() => drains.length > 0);
  sender.send(message(1), other.host, other.port);
  await until(() => one.received.length + other.received.length === 2);
  assert.deepEqual(drains, [[]]);
});

test('a refused peer: onPeer and onUndelivered say so, and the next send does not', async (t) => {
  const { handle, states, undelivered } = observer(t);
  const closed = t.open(() => {}, { host: '127.0.1.1' });
  const { port } = closed.address();
  closed.close();
  const long = Buffer.alloc(100_000, 'long');
  handle.send(Buffer.from('short'), '127.0.1.1', port);
  handle.send(long, '127.0.1.1', port);
  await until(() => undelivered.length === 2);
  // Either message may have begun an association of its own.
  assert.ok(states.length > 0);
  for (const state of states.splice(0)) {
    assert.deepEqual(state, ['down', '127.0.1.1', port, 'ECONNREFUSED']);
  }
  assert.deepEqual(undelivered, [
    [Buffer.from('short'), '127.0.1.1', port, false],
    [long, '127.0.1.1', port, false],
  ]);
  const { received } = collector(t, { host: '127.0.1.1', port });
  handle.send(Buffer.from('again'), '127.0.1.1', port);
  await until(() => received.length === 1);
  assert.deepEqual(states, [['up', '127.0.1.1', port, null]]);
});

test('the loss of a peer that no callback hears of is thrown once, by the next send', async (t) => {
  const handle = t.open();
  const closed = t.open();
  const { port } = closed.address();
  closed.close();
  handle.send(message(), '127.0.0.1', port);
  const { port: own } = handle.address();
  await until(() => !association(own, port));
  await new Promise((resolve) => setImmediate(resolve));
  assert.throws(() => handle.send(message(), '127.0.0.1', port), {
    message: `send ECONNREFUSED 127.0.0.1:${port}`,
    code: 'ECONNREFUSED',
    errno: -111,
    syscall: 'send',
    address: '127.0.0.1',
    port,
  });
  const { received } = collector(t, { port });
  handle.send(Buffer.from('again'), '127.0.0.1', port);
  await until(() => received.length === 1);
});

test('a peer that is cut off: messages come back once', async (t) => {
  retransmissions(1, 3); // after 200 + 400 + 800 + 1600 ms it is given up
  t.after(() => retransmissions(5, 1000));
  const { handle, states, undelivered } = observer(t);
  const peer = await acquainted(t, handle, '127.0.1.1');
  cut(peer.host);
  t.after(heal);
  const drains = [];
  handle.onDrain = (...args) => drains.push(args);
  const sent = [];
  for (let full = false; !full; ) {
    const data = Buffer.from(`message ${sent.length}`.padEnd(1000));
    try {
      handle.send(data, peer.host, peer.port);
      sent.push(String(data));
    } catch (error) {
      full = error.code === 'ERR_SCTP_PEER_BUSY';
    }
  }
  await until(() => undelivered.length === sent.length);
  assert.deepEqual(
    undelivered.map(([data]) => String(data)).sort(),
    sent.sort(),
  );
  assert.ok(
    undelivered.every(
      ([, host, port]) => host === peer.host && port === peer.port,
    ),
  );
  // Some had been sent and may have arrived, as far as the kernel knows.
  assert.deepEqual(
    [...new Set(undelivered.map(([, , , left]) => left))].sort(),
    [false, true],
  );
  assert.deepEqual(states, [
    ['up', peer.host, peer.port, null],
    ['down', peer.host, peer.port, 'ETIMEDOUT'],
  ]);
  assert.deepEqual(drains, [[peer.host, peer.port]]);
  handle.send(message(), peer.host, peer.port);
});

test('what an association before gives back is not taken from the next', async (t) => {
  retransmissions(1, 2);
  t.after(() => retransmissions(5, 1000));
  const { handle, undelivered } = observer(t);
  const peer = await acquainted(t, handle, '127.0.1.1');
  const { port } = handle.address();
  const drains = [];
  handle.onDrain = (...args) => drains.push(args);
  cut(peer.host);
  const { count } = fill(handle, peer.host, peer.port);
  let again;
  handle.onPeer = (state) => {
    if (state === 'down') again = fill(handle, peer.host, peer.port);
  };
  await until(() => undelivered.length === count);
  handle.onPeer = null;
  assert.equal(again.error.code, 'ERR_SCTP_PEER_BUSY');
  const more = fill(handle, peer.host, peer.port);
  assert.equal(more.error.code, 'ERR_SCTP_PEER_BUSY');
  drains.length = 0;
  heal();
  await until(() => drains.length > 0);
  assert.deepEqual(drains, [[peer.host, peer.port]]);
  const sent = again.count + more.count;
  await until(() => peer.received.length === sent);
  await until(() => association(port, peer.port).unacknowledged === 0);
});

test('onDrain comes also where onPeer throws', async (t) => {
  const { handle } = observer(t);
  const errors = uncaught(t);
  const drains = [];
  handle.onDrain = (...args) => drains.push(args);
  handle.onPeer = () => {
    throw new Error('of onPeer');
  };
  const { error } = fill(handle, '127.0.1.1', 9); // which refuses
  assert.equal(error.code, 'ERR_SCTP_PEER_BUSY');
  await until(() => drains.length > 0);
  assert.deepEqual(drains, [['127.0.1.1', 9]]);
  assert.deepEqual([...new Set(errors)], ['of onPeer']);
});

test('onDrain comes also to who has answered a peer that was gone by then', async (t) => {
  const drains = [];
  let answered;
  const { handle, states } = observer(t, ([, host, port]) => {
    answered = [host, port];
    assert.equal(fill(handle, host, port).error.code, 'ERR_SCTP_PEER_BUSY');
  });
  handle.onDrain = (...args) => drains.push(args);
  const { port } = handle.address();
  const peer = `const { open } = require('.');
    const handle = open('127.0.1.1', 0, 1000, () => {});
    handle.send(Buffer.from('hello'), '127.0.0.1', ${port});
    handle.close();`;
  // Nothing is read here until the association is gone.
  spawnSync(process.execPath, ['-e', peer], { stdio: 'inherit' });
  while (associations().some((a) => a.localPort === port)) blockThread(10);
  await until(() => drains.length > 0);
  assert.deepEqual(drains, [answered]);
  assert.equal(states.at(-1)[0], 'down');
});

test('onDrain comes also where a peer came and went unnoticed', async (t) => {
  const { handle, states } = observer(t);
  const child = t.spawn(process.execPath, [
    '-e',
    `const { open } = require('.');
    const handle = open('127.0.1.1', 0, 1000, () => {});
    console.log(handle.address().port);
    process.kill(process.pid, 'SIGSTOP');`,
  ]);
  const port = Number(await once(child.stdout, 'data'));
  cut('127.0.1.9');
  t.after(heal);
  handle.send(message(), '127.0.1.9', 9); // the buffer is never empty
  const drains = [];
  handle.onDrain = (...args) => drains.push(args);
  const { error } = fill(handle, '127.0.1.1', port);
  assert.equal(error.code, 'ERR_SCTP_PEER_BUSY');
  const ours = handle.address().port;
  while (!(association(port, ours)?.unread > 0)) blockThread(10);
  child.kill('SIGKILL'); // an abort, with messages unread
  while (association(ours, port)) blockThread(10);
  await until(() => drains.length > 0 && states.length === 2);
  assert.deepEqual(drains, [['127.0.1.1', port]]);
  assert.deepEqual(
    states.map(([state]) => state),
    ['up', 'down'],
  );
});

test('onDrain comes when the message fits that was refused, not before', async (t) => {
  const stalled = [];
  const server = await t.listen({ pauseOnConnect: true, highWaterMark: 1 });
  server.on('connection', (socket) => stalled.push(socket));
  const { port } = server.address();
  for (const size of [48_000, 52_000, 56_000, 60_000, 64_000]) {
    const { handle } = observer(t);
    let next = 0;
    let refused = 0;
    const go = () => {
      for (;;) {
        try {
          handle.send(message(size), '127.0.0.1', port);
          next++;
        } catch (error) {
          assert.equal(error.code, 'ERR_SCTP_PEER_BUSY');
          refused++;
          return;
        }
      }
    };
    handle.onDrain = go;
    go();
    await until(() => stalled.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.ok(refused <= next + 1, `${refused} of ${next} of ${size} bytes`);
    stalled.pop().destroy();
    handle.close();
  }
});

test('onDrain comes after a batch that another error has cut', async (t) => {
  const { handle } = observer(t);
  const peer = await acquainted(t, handle, '127.0.1.1');
  const list = [message(1), message(SNDBUF + 1), message(2)];
  const drained = new Promise((resolve) => {
    handle.onDrain = (...args) => resolve(args);
  });
  assert.equal(handle.sendBatch(list, peer.host, peer.port), 1);
  assert.deepEqual(await drained, [peer.host, peer.port]);
  assert.throws(() => handle.sendBatch(list.slice(1), peer.host, peer.port), {
    code: 'EMSGSIZE',
  });
  assert.equal(handle.sendBatch(list.slice(2), peer.host, peer.port), 1);
  await until(() => peer.received.length === 2);
});

test('a peer that is back by another of its addresses is reached by both', async (t) => {
  const { handle, states } = observer(t, () => {});
  cut('127.0.1.9');
  t.after(heal);
  handle.send(message(), '127.0.1.9', 9); // the buffer is never empty
  const { port } = handle.address();
  let localPort = 0;
  for (const localAddresses of [
    ['127.0.1.1', '127.0.1.2'],
    ['127.0.1.2', '127.0.1.1'],
  ]) {
    const host = '127.0.0.1';
    const socket = t.connect({ host, port, localAddresses, localPort });
    await once(socket, 'connect');
    ({ localPort } = socket);
    await until(() => states.at(-1)?.[0] === 'up');
    for (let i = 0; localAddresses[0] === '127.0.1.2' && i < 600; i++) {
      const arrived = once(socket, 'data');
      handle.send(message(), '127.0.1.1', localPort);
      await arrived;
    }
    socket.destroy();
    await until(() => states.at(-1)[0] === 'down');
  }
  assert.deepEqual(
    states.filter(([state]) => state === 'up').map(([, host]) => host),
    ['127.0.1.1', '127.0.1.2'],
  );
});

test('a host that never answered is ETIMEDOUT', async (t) => {
  const { handle, states, undelivered } = observer(t);
  cut('127.0.1.1');
  t.after(heal);
  handle.send(Buffer.from('x'), '127.0.1.1', 9);
  await until(() => undelivered.length === 1);
  assert.deepEqual(states, [['down', '127.0.1.1', 9, 'ETIMEDOUT']]);
});

test("a peer's ABORT is ECONNRESET with its text", async (t) => {
  const { handle } = observer(t);
  const down = new Promise((resolve) => {
    handle.onPeer = (state, host, _port, error) => {
      if (state === 'down') resolve({ host, error });
    };
  });
  await abortingPeer(handle.address().port, 'maintenance');
  const { host, error } = await down;
  assert.equal(host, '127.0.0.1');
  assert.deepEqual(
    [error.code, error.syscall, error.address, error.reason],
    ['ECONNRESET', 'recv', '127.0.0.1', 'maintenance'],
  );
  handle.send(message(), host, error.port);
});

test('a peer that closes is down without an error, and comes back by itself', async (t) => {
  const { handle, states } = observer(t);
  const peer = await acquainted(t, handle, '127.0.1.1');
  const name = [peer.host, peer.port];
  peer.handle.close();
  await until(() => states.length === 2);
  const again = collector(t, { host: peer.host, port: peer.port });
  again.handle.send(message(), '127.0.0.1', handle.address().port);
  await until(() => states.length === 3);
  assert.deepEqual(states, [
    ['up', ...name, null],
    ['down', ...name, null],
    ['up', ...name, null],
  ]);
});

test('a peer that restarts is told', async (t) => {
  let text = '';
  const { handle, states } = observer(t, ([data]) => {
    text += data;
  });
  const { port } = handle.address();
  const source = `${pythonAbort}
s = socket.socket(socket.AF_INET, socket.SOCK_SEQPACKET, 132)
s.bind(('127.0.1.1', int(sys.argv[2])))
address = ('127.0.0.1', int(sys.argv[1]))
s.sendto(b'hello ', address)
print(s.getsockname()[1], flush=True)
sys.stdin.readline()
abort(s, address, b'')
`;
  const start = (own) =>
    t.spawn(PYTHON, ['-c', source, port, own].map(String), 'pipe');
  const first = start(0);
  const [own] = await once(first.stdout, 'data');
  await until(() => text === 'hello ');
  cut('127.0.1.1'); // so that its goodbye is not heard
  first.stdin.end('\n');
  await once(first, 'exit');
  heal();
  start(Number(own));
  await until(() => text === 'hello hello ');
  assert.deepEqual(states, [
    ['up', '127.0.1.1', Number(own), null],
    ['restart', '127.0.1.1', Number(own), null],
  ]);
});

test('up is told before the first message', async (t) => {
  const order = [];
  const handle = t.open(() => order.push('message'));
  handle.onPeer = (state) => order.push(state);
  const sender = t.open();
  sender.send(message(), '127.0.0.1', handle.address().port);
  await until(() => order.length === 2);
  assert.deepEqual(order, ['up', 'message']);
});

test('a handler that throws loses nothing', async (t) => {
  const { handle, states } = observer(t);
  const errors = uncaught(t);
  const note = handle.onPeer;
  let undelivered = 0;
  handle.onPeer = (...args) => {
    note(...args);
    throw new Error('of onPeer');
  };
  handle.onUndelivered = () => {
    undelivered++;
    throw new Error('of onUndelivered');
  };
  for (let i = 0; i < 3; i++) handle.send(message(), '127.0.1.1', 9);
  await until(() => undelivered === 3);
  assert.deepEqual(errors.sort(), [
    ...Array(states.length).fill('of onPeer'),
    ...Array(3).fill('of onUndelivered'),
  ]);
});

test('close() inside onPeer and onUndelivered is the last of it', async (t) => {
  for (const property of ['onPeer', 'onUndelivered']) {
    const handle = t.open();
    let calls = 0;
    await new Promise((resolve) => {
      handle.onPeer = handle.onUndelivered = null;
      handle[property] = () => {
        calls++;
        handle.close();
        setImmediate(() => setImmediate(resolve));
      };
      for (let i = 0; i < 5; i++) handle.send(message(), '127.0.0.1', 9);
    });
    assert.equal(calls, 1);
  }
});

test('a send that fails at once leaves nothing behind', async (t) => {
  const handle = t.open();
  const { received, port } = collector(t);
  for (let i = 0; i < 5000; i++) {
    // Too long for the kernel, each to another peer.
    assert.throws(
      () => handle.send(Buffer.alloc(SNDBUF + 1), '127.0.0.1', 1 + i),
      { code: 'EMSGSIZE' },
    );
  }
  handle.send(message(), '127.0.0.1', port);
  await until(() => received.length === 1);
});

test('with net.sctp.sndbuf_policy each peer has a buffer of its own', async (t) => {
  sysctl('sndbuf_policy', 1);
  t.after(() => sysctl('sndbuf_policy', 0));
  const sender = t.open(() => {}, { host: '0.0.0.0' });
  const dead = [];
  for (let i = 1; i <= 5; i++) {
    dead.push(await acquainted(t, sender, `127.0.1.${i}`));
  }
  const alive = await acquainted(t, sender, '127.0.2.1');
  cut(...dead.map(({ host }) => host));
  t.after(heal);
  const counts = dead.map(({ host, port }) => {
    const { error, count } = fill(sender, host, port);
    assert.equal(error.code, 'ERR_SCTP_PEER_BUSY');
    return count;
  });
  assert.ok(Math.min(...counts) >= Math.max(...counts) - 5, String(counts));
  for (let i = 1; i <= 100; i++) {
    sender.send(message(), alive.host, alive.port);
    await until(() => alive.received.length === i);
  }
});
