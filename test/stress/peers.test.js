'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { setTimeout: wait } = require('node:timers/promises');
const {
  PYTHON,
  association,
  associations,
  ending,
  run,
} = require('../helpers');
const { HERE, THERE, twoHosts } = require('./programs/hosts');
const { scenario, until } = require('./programs/report');
const { deliver, drained, payload, quick } = require('./programs/traffic');

const hosts = twoHosts(__filename);

/** A second address of this host: what comes from it is no good peer. */
const BESIDE = '10.9.2.1';
run(`ip address add ${BESIDE}/32 dev lo`);

/** The port of those bad peers that have a fixed one. */
const FIXED = 6000;

const STREAMS = 'createServer()';

// Bad peers are written in Python, whose sockets can do what ours never do.
const prelude = `
import errno, json, os, select, signal, socket, struct, sys, time
HERE, THERE, FIXED = '${HERE}', '${THERE}', ${FIXED}

def again(call, *args):
    # An old association of the same port may be just closing.
    while True:
        try:
            return call(*args)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.ESHUTDOWN):
                raise
            time.sleep(0.02)

def peer(port=0, abort=False):
    s = socket.socket(socket.AF_INET, KIND, socket.IPPROTO_SCTP)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, 32, 1 << 25)  # SO_SNDBUFFORCE
    if abort:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    again(s.bind, (THERE, port))
    return s

def send(s, data):
    again(s.sendto, data, SURVIVOR)

def unread(s):
    select.select([s], [], [])

def listener():
    s = peer(FIXED)
    s.listen(10)
    say('line', 'listening')
    return s

def accept(s):
    return s.accept()[0] if KIND == socket.SOCK_STREAM else s

def die():
    os.kill(os.getpid(), signal.SIGKILL)

# Each line that is read starts a process, and what that prints goes out with
# its id. To start Python anew for each would take seconds where the CPU is
# emulated.
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    ID, api, port, source = json.loads(line)
    if os.fork():
        continue
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    def say(*words):
        os.write(1, (' '.join(map(str, [ID, *words])) + '\\n').encode())
    pid = os.fork()
    if pid == 0:
        KIND = socket.SOCK_STREAM if api == '${STREAMS}' else socket.SOCK_SEQPACKET
        SURVIVOR = (HERE, port)
        exec(source)
        os._exit(0)
    say('pid', pid)
    say('exit', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os._exit(0)
`;

const started = [];
const python = hosts.startThere(PYTHON, ['-c', prelude], (line) => {
  const [id, kind, ...rest] = line.split(' ');
  const peer = started[Number(id)];
  if (kind === 'pid') peer.pid = Number(rest[0]);
  else if (kind === 'exit') peer.status = Number(rest[0]);
  else peer.lines.push(rest.join(' '));
});

/** Starts a bad peer on the other host; it is killed with its scenario. */
function badPeer(t, api, port, source) {
  const kill = () => {
    if (peer.pid && peer.status === undefined)
      process.kill(peer.pid, 'SIGKILL');
  };
  const peer = {
    lines: [],
    /** The next line that it says. */
    async line() {
      await until(() => peer.lines.length || peer.status !== undefined);
      assert.ok(peer.lines.length, `a bad peer failed: ${peer.status}`);
      return peer.lines.shift();
    },
    async exit() {
      await until(() => peer.status !== undefined);
      assert.ok([0, -9].includes(peer.status), 'a bad peer failed');
    },
    async kill() {
      await until(() => peer.pid);
      kill();
      await peer.exit();
    },
  };
  const id = started.push(peer) - 1;
  python.stdin.write(`${JSON.stringify([id, api, port, source])}\n`);
  t.after(kill);
  return peer;
}

/** The side under test: it echoes messages of good peers, by either API. */
async function survive(t, row, api, { recvMaxlen }) {
  const survivor = {
    /** Called for what bad peers send. */
    onMessage: () => {},
    /** The sockets of bad peers, with how each of them ends. */
    sockets: [],
  };
  if (api === STREAMS) {
    const options = { host: HERE, maxMessageSize: recvMaxlen, ...quick };
    const server = await t.listen(options, (socket) => {
      const good = socket.remoteAddress === HERE;
      const reply = (data) => socket.write(data);
      socket.on('data', (data) =>
        good ? reply(data) : survivor.onMessage(data, reply),
      );
      socket.on('error', ({ code }) => row.error(code));
      if (!good) survivor.sockets.push({ socket, end: ending(socket) });
    });
    survivor.port = server.address().port;
    return survivor;
  }
  const handle = t.open(
    (result) => {
      if (typeof result === 'string') return row.error(result.split(' ')[1]);
      const [data, host, port] = result;
      const reply = (d) => deliver(handle, d, host, port, row.error);
      if (host === HERE) reply(data);
      else survivor.onMessage(data, reply);
    },
    { host: HERE, recvMaxlen },
  );
  survivor.handle = handle;
  survivor.port = handle.address().port;
  return survivor;
}

/** A peer without fault, which gets back whatever it sends. */
async function befriend(t, row, api, port) {
  const tally = row.tally();
  let send;
  if (api === STREAMS) {
    const socket = t.connect({ host: HERE, port, localAddress: HERE });
    socket.on('data', (data) => tally.arrive(data));
    socket.on('error', ({ code }) => row.error(`good peer: ${code}`));
    await once(socket, 'connect');
    send = (data) => socket.write(data);
  } else {
    const handle = t.open(([data]) => tally.arrive(data), { host: HERE });
    send = (data) =>
      deliver(handle, data, HERE, port, (code) =>
        row.error(`good peer: ${code}`),
      );
  }
  let stopped = false;
  t.after(() => {
    stopped = true;
  });
  const traffic = (async () => {
    for (let i = 0; !stopped; i++) {
      await send(tally.send(payload([1, 1000, 30][i % 3])));
      await until(() => tally.lost <= 0 || stopped);
      await wait(20); // leaves the CPU to others
    }
  })();
  return {
    served(count) {
      const enough = tally.once + count;
      return until(() => tally.once >= enough);
    },
    async stop() {
      stopped = true;
      await traffic;
      await until(() => tally.lost <= 0);
    },
  };
}

/** A survivor of either API with two good peers meets bad ones. */
function peers(fault, how, body, { recvMaxlen = 2 ** 20 } = {}) {
  for (const api of ['open()', STREAMS]) {
    scenario(`${fault}, ${api}`, how, async (t, row) => {
      const survivor = await survive(t, row, api, { recvMaxlen });
      const { port } = survivor;
      const good = [
        await befriend(t, row, api, port),
        await befriend(t, row, api, port),
      ];
      await body({
        t,
        row,
        survivor,
        streams: api === STREAMS,
        /** Starts a bad peer on the other host. */
        python: (source) => badPeer(t, api, port, source),
        /** Until the good peers have got `count` more answers each. */
        served: (count = 20) => Promise.all(good.map((p) => p.served(count))),
      });
      await Promise.all(good.map((peer) => peer.stop()));
    });
  }
}

/** Errors that open() may report of a dead peer on the next send to it. */
const GONE = ['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT'];

function onlyErrors(row, allowed) {
  for (const code of Object.keys(row.errors)) {
    assert.ok(allowed.includes(code), `${code} was reported`);
  }
}

/** Until the kernel has forgotten the bad peer with the fixed port. */
const forgotten = ({ port }) => until(() => !association(port, FIXED));

/** A new peer at the port of one that died gets what is sent to it. */
async function replaced({ t, row, survivor, streams, python }) {
  const child = python(`
s = accept(listener())
say('line', s.recv(1000).decode())
time.sleep(1000)`);
  await child.line();
  if (streams) {
    const socket = t.connect({ host: THERE, port: FIXED, localAddress: HERE });
    socket.write('welcome');
  } else {
    deliver(survivor.handle, Buffer.from('welcome'), THERE, FIXED, row.error);
  }
  assert.equal(await child.line(), 'welcome');
  await child.kill();
}

peers(
  'kill -9 in the handshake',
  'delay 200 ms; 5 peers die when their INIT is sent, one before it answers',
  async (peer) => {
    const { t, row, survivor, streams, python, served } = peer;
    hosts.netem(t, 'delay 200ms');
    const tally = row.tally({ mayLose: true });
    for (let i = 0; i < 5; i++) tally.send(Buffer.from(`from ${i}`));
    survivor.onMessage = (data) => tally.arrive(data);
    const dying = python(`
for i in range(5):
    if os.fork() == 0:
        s = peer()
        s.setblocking(False)
        try:
            s.sendto(b'from %d' % i, SURVIVOR)
        except BlockingIOError:
            pass
        die()
    assert os.WTERMSIG(os.wait()[1]) == signal.SIGKILL
say('line', 'dead')`);
    assert.equal(await dying.line(), 'dead');
    await served();
    assert.equal(tally.lost, 5);
    assert.deepEqual(survivor.sockets, []);

    const child = python('s = listener(); time.sleep(1000)');
    await child.line();
    if (streams) {
      const socket = t.connect({
        host: THERE,
        port: FIXED,
        localAddress: HERE,
      });
      const end = ending(socket);
      await child.kill();
      assert.deepEqual(await end, ['ECONNREFUSED', 'close']);
    } else {
      survivor.handle.send(tally.send(Buffer.from('to')), THERE, FIXED);
      await child.kill();
      await forgotten(survivor);
    }
    await served();
    await replaced(peer);
    onlyErrors(row, streams ? [] : GONE);
  },
);

peers(
  'kill -9 when idle',
  '5 peers have been answered and are killed',
  async ({ row, survivor, streams, python, served }) => {
    survivor.onMessage = (data, reply) => reply(data);
    for (let i = 0; i < 5; i++) {
      const child = python(`
s = peer(FIXED)
send(s, b'hello')
say('line', s.recv(100).decode())
time.sleep(1000)`);
      assert.equal(await child.line(), 'hello');
      await child.kill();
      if (streams) {
        assert.deepEqual(await survivor.sockets[i].end, ['end', 'close']);
      }
      await forgotten(survivor);
    }
    await served();
    assert.deepEqual(row.errors, {});
  },
);

const LONG = 300_000;
const long = Buffer.from(Array.from({ length: LONG }, (_, i) => (i * 7) % 251));
const makeLong = `long = bytes(i * 7 % 251 for i in range(${LONG}))`;

peers(
  'kill -9 in mid-message',
  '2 Mbit/s; killed within 300 kB: one with nothing unread, whose kernel goes on, one with a message unread, whose kernel aborts',
  async ({ t, row, survivor, streams, python, served }) => {
    hosts.netem(t, 'rate 2mbit');
    let tally;
    survivor.onMessage = (data, reply) => {
      if (data.length < 100) reply(data);
      else tally.arrive(data);
    };
    for (const aborts of [false, true]) {
      tally = row.tally({ mayLose: aborts });
      tally.send(long);
      const child = python(`
${makeLong}
s = peer(FIXED)
send(s, b'hello')
unread(s)
if not ${aborts ? 1 : 0}:
    s.recv(100)
send(s, long)
time.sleep(1000)`);
      await until(() => association(survivor.port, FIXED)?.unread > 20_000);
      await child.kill();
      if (streams) {
        assert.deepEqual(
          await survivor.sockets.at(-1).end,
          aborts ? ['ECONNRESET', 'close'] : ['end', 'close'],
        );
      }
      await forgotten(survivor);
      await served();
      assert.equal(tally.lost, aborts ? 1 : 0);
    }
    assert.deepEqual(row.errors, streams ? { ECONNRESET: 1 } : {});
  },
);

peers(
  'kill -9 when shutting down',
  '2 Mbit/s; a peer dies after close() with 300 kB to send, one with unread messages while this side closes',
  async ({ t, row, survivor, streams, python, served }) => {
    hosts.netem(t, 'rate 2mbit');
    const tally = row.tally();
    survivor.onMessage = (data) => tally.arrive(data);
    tally.send(long);
    python(`
${makeLong}
s = peer(FIXED)
send(s, long)
s.shutdown(socket.SHUT_WR) if KIND == socket.SOCK_STREAM else s.close()
die()`);
    await until(() => tally.once === 1);
    if (streams) {
      assert.deepEqual(await survivor.sockets[0].end, ['end', 'close']);
    }
    await forgotten(survivor);

    const child = python(`
s = accept(listener())
unread(s)
die()`);
    await child.line();
    const unread = row.tally({ mayLose: true });
    const parts = Array.from({ length: 5 }, () => unread.send(payload(10_000)));
    if (streams) {
      const socket = t.connect({
        host: THERE,
        port: FIXED,
        localAddress: HERE,
        ...quick,
      });
      await once(socket, 'connect');
      const end = ending(socket.resume());
      for (const part of parts) socket.write(part);
      socket.end();
      assert.deepEqual(await end, ['ECONNRESET', 'close']);
    } else {
      const closing = t.open(() => {}, { host: HERE });
      for (const part of parts) closing.send(part, THERE, FIXED);
      const { port } = closing.address();
      closing.close();
      await forgotten({ port });
    }
    await child.exit();
    await served();
    assert.deepEqual(row.errors, {});
  },
);

peers(
  'restart on the same port',
  '6 generations of a peer that kills itself, each with 20 messages',
  async ({ row, survivor, streams, python, served }) => {
    const tally = row.tally();
    survivor.onMessage = (data, reply) => {
      tally.arrive(data);
      reply(data);
    };
    for (let i = 0; i < 120; i++) tally.send(Buffer.from(`message ${i}`));
    const child = python(`
for i in range(0, 120, 20):
    if os.fork() == 0:
        s = peer(FIXED)
        for j in range(i, i + 20):
            send(s, b'message %d' % j)
        replies = sorted(s.recv(100) for j in range(i, i + 20))
        assert replies == sorted(b'message %d' % j for j in range(i, i + 20))
        die()
    assert os.WTERMSIG(os.wait()[1]) == signal.SIGKILL
say('line', 'dead')`);
    assert.equal(await child.line(), 'dead');
    await until(() => tally.lost <= 0);
    for (const { end } of survivor.sockets) {
      assert.deepEqual(await end, ['end', 'close']);
    }
    if (streams) assert.equal(survivor.sockets.length, 6);
    await served();
    assert.deepEqual(row.errors, {});
  },
);

peers(
  'reboot without goodbye',
  'link cut, peer killed, link healed, 6 times; every second time this side sends to the peer that is gone',
  async ({ t, row, survivor, streams, python, served }) => {
    const tally = row.tally();
    const toTheDead = row.tally({ mayLose: true });
    survivor.onMessage = (data, reply) => {
      tally.arrive(data);
      reply(data);
    };
    t.after(() => hosts.there('tc qdisc replace dev there root pfifo'));
    for (let i = 0; i < 6; i++) {
      const text = `life ${i}`;
      tally.send(Buffer.from(text));
      // Its kernel forgets the association at once; the ABORT is lost.
      const child = python(`
s = peer(FIXED, abort=True)
send(s, b'${text}')
say('line', s.recv(100).decode())
time.sleep(1000)`);
      assert.equal(await child.line(), text);
      if (streams && i > 0) {
        assert.deepEqual(await survivor.sockets[i - 1].end, [
          'ECONNRESET',
          'close',
        ]);
      }
      hosts.there('tc qdisc replace dev there root netem loss 100%');
      await child.kill();
      hosts.there('tc qdisc replace dev there root pfifo');
      if (i % 2 === 0) continue;
      const lost = toTheDead.send(Buffer.from(`are you there, ${i}?`));
      if (streams) survivor.sockets[i].socket.write(lost);
      else await deliver(survivor.handle, lost, THERE, FIXED, row.error);
      await forgotten(survivor);
    }
    await served();
    assert.equal(toTheDead.lost, 3);
    if (streams) assert.deepEqual(row.errors, { ECONNRESET: 6 });
    else onlyErrors(row, GONE);
  },
);

peers(
  'simultaneous open',
  'delay 300 ms on loopback; 10 pairs with fixed ports, 20 messages each way',
  async ({ t, row, streams, served }) => {
    run('tc qdisc add dev lo root netem limit 10000 delay 300ms');
    t.after(() => run('tc qdisc del dev lo root'));
    for (let i = 0; i < 10; i++) {
      const ports = [7000 + i, 8000 + i];
      const tallies = ports.map(() => row.tally({ ordered: streams }));
      const ends = ports.map((localPort, me) => {
        const tally = tallies[1 - me];
        if (!streams) {
          return t.open(([data]) => tally.arrive(data), {
            host: HERE,
            port: localPort,
          });
        }
        const socket = t.connect({
          host: HERE,
          port: ports[1 - me],
          localAddress: HERE,
          localPort,
        });
        socket.on('error', ({ code }) => row.error(code));
        return socket.on('data', (data) => tally.arrive(data));
      });
      for (const [me, end] of ends.entries()) {
        for (let n = 0; n < 20; n++) {
          const data = tallies[me].send(payload(1000));
          if (streams) end.write(data);
          else end.send(data, HERE, ports[1 - me]);
        }
      }
      await until(() => tallies.every((tally) => tally.lost <= 0));
      const between = associations().filter((a) => a.localPort === ports[0]);
      assert.equal(between.length, 1);
      assert.equal(between[0].remotePort, ports[1]);
    }
    await served();
    assert.deepEqual(row.errors, {});
  },
);

peers(
  'abort storm',
  '300 associations aborted by linger 0, 200 by destroy(), after a message',
  async ({ t, row, survivor, streams, python, served }) => {
    const tally = row.tally({ mayLose: true });
    survivor.onMessage = (data) => tally.arrive(data);
    for (let i = 0; i < 300; i++) tally.send(Buffer.from(`python ${i}`));
    const child = python(`
for i in range(300):
    s = peer(abort=True)
    send(s, b'python %d' % i)
    s.close()
say('line', 'done')`);
    const done = child.line();
    for (let i = 0; i < 200; i += 50) {
      await Promise.all(
        Array.from({ length: 50 }, async (_, j) => {
          const socket = t.connect({
            host: HERE,
            port: survivor.port,
            localAddress: BESIDE,
          });
          await once(socket, 'connect');
          socket.write(tally.send(Buffer.from(`node ${i + j}`)));
          socket.destroy();
          await once(socket, 'close');
        }),
      );
    }
    assert.equal(await done, 'done');
    await served();
    // Those of the two good peers stay, on both of their ends.
    await until(() => associations().length === 4);
    if (streams) {
      await until(() => survivor.sockets.length === 500);
      for (const { end } of survivor.sockets) {
        assert.deepEqual(await end, ['ECONNRESET', 'close']);
      }
    }
    assert.deepEqual(row.errors, streams ? { ECONNRESET: 500 } : {});
  },
);

peers(
  'a peer that never reads',
  'sent to whenever it can be, then killed',
  async (peer) => {
    const { t, row, survivor, streams, python, served } = peer;
    const tally = row.tally({ mayLose: true });
    let stopped = false;
    t.after(() => {
      stopped = true;
    });
    const child = python(`
if KIND == socket.SOCK_STREAM:
    s = peer(FIXED)
    send(s, b'hello')
    say('line', 'connected')
else:
    s = listener()
time.sleep(1000)`);
    await child.line();
    if (streams) {
      await until(() => survivor.sockets.length);
      const [{ socket }] = survivor.sockets;
      while (socket.write(tally.send(payload(1000))));
      assert.ok(socket.writableNeedDrain);
    } else {
      // Whenever there is room again it gets more.
      (async () => {
        while (!stopped) {
          const data = payload(1000);
          try {
            survivor.handle.send(data, THERE, FIXED);
            tally.send(data);
          } catch ({ code }) {
            row.error(code);
            await drained(survivor.handle);
          }
        }
      })();
    }
    await served(50);
    // It has not read, and holds what it was sent.
    assert.ok(association(survivor.port, FIXED).unacknowledged > 0);
    stopped = true;
    await child.kill();
    await forgotten(survivor);
    if (streams) {
      const { end } = survivor.sockets[0];
      assert.deepEqual(await end, ['ECONNRESET', 'close']);
      assert.deepEqual(row.errors, { ECONNRESET: 1 });
    } else {
      assert.ok(row.errors.ERR_SCTP_PEER_BUSY > 0);
    }
    await replaced(peer);
    if (!streams) onlyErrors(row, ['ERR_SCTP_PEER_BUSY', 'ECONNRESET']);
  },
);

peers(
  'a flood of 1-byte messages',
  '10,000, or 3,000 to a stream, as fast as it can',
  async ({ row, survivor, streams, python, served }) => {
    const tally = row.tally();
    // Those of a stream are in order, so that what is lost holds up the others
    // in a buffer that has no room for them.
    const count = streams ? 3000 : 10_000;
    for (let i = 0; i < count; i++) tally.send(Buffer.from([i % 256]));
    survivor.onMessage = (data) => tally.arrive(data);
    python(`
s = peer(FIXED)
# The kernel drops what it has no room for, though the window is open: each
# short message takes as much room as a whole packet.
s.setsockopt(132, 0, struct.pack('iIII', 0, 100, 1000, 100))  # SCTP_RTOINFO
for i in range(${count}):
    send(s, bytes([i % 256]))`);
    await until(() => tally.once > 0);
    await served(3);
    assert.ok(tally.lost > 0, 'the flood was over before the good peers came');
    await until(() => tally.lost <= 0);
    if (streams) {
      assert.deepEqual(await survivor.sockets[0].end, ['end', 'close']);
    }
    await served();
    assert.deepEqual(row.errors, {});
  },
);

peers(
  'a message of 10 MB to a limit of 1 KiB',
  'twice, each followed by a short one',
  async ({ row, survivor, streams, python, served }) => {
    const tally = row.tally({ mayLose: streams });
    survivor.onMessage = (data) => tally.arrive(data);
    for (let i = 1; i <= 2; i++) {
      tally.send(Buffer.from(`short ${i}`));
      const child = python(`
s = peer(FIXED)
send(s, bytes(10_000_000))
try:
    send(s, b'short ${i}')
except OSError as error:
    assert error.errno in (errno.ECONNRESET, errno.EPIPE), error`);
      if (streams) {
        await until(() => survivor.sockets.length === i);
        const { end } = survivor.sockets[i - 1];
        assert.deepEqual(await end, ['EMSGSIZE', 'close']);
      } else {
        await until(() => tally.lost <= 0);
      }
      await child.exit();
      await forgotten(survivor);
    }
    await served();
    assert.deepEqual(row.errors, { EMSGSIZE: 2 });
  },
  { recvMaxlen: 1024 },
);
