'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const {
  association,
  associations,
  ending,
  enterOwnNetwork,
  messages,
  PYTHON,
  pair,
  run,
  SNDBUF,
  test,
  until,
} = require('../helpers');

enterOwnNetwork(__filename);
run('ip link set lo up');

const cut = () => run('tc qdisc replace dev lo root netem loss 100%');
const heal = () => run('tc qdisc del dev lo root');
const quick = {
  rto: { initial: 50, min: 50, max: 100 },
  heartbeat: { interval: 0 }, // nothing is sent but by the tests
};

/** A client in a process of its own, which writes `text` when it is connected. */
function client(t, { port, localPort, text, size = 0, options = quick }) {
  return t.spawn(process.execPath, [
    '-e',
    `const { connect } = require(${JSON.stringify(path.resolve(__dirname, '../..'))});
     const socket = connect(${JSON.stringify({ host: '127.0.0.1', port, localPort, ...options })}, () => {
       if (${size}) socket.write(Buffer.alloc(${size}, 1));
       else socket.write('${text}');
     });
     socket.on('data', (data) => console.log(String(data)));
     process.on('SIGTERM', () => socket.destroy());`,
  ]);
}

/** One of the kernel's counters for this network. */
const counter = (name) =>
  Number(
    new RegExp(`${name}\\s+(\\d+)`).exec(
      fs.readFileSync('/proc/net/sctp/snmp', 'latin1'),
    )[1],
  );

/** Ends a client in such a way that its peer never hears of it. */
async function vanish(child) {
  cut();
  child.kill(); // the kernel would go on for a process that is killed
  await once(child, 'exit');
  heal();
}

/** A socket whose handshake takes longer than the call of connect(). */
async function slowConnect(t, options = {}) {
  const server = await t.listen({});
  run('tc qdisc add dev lo root netem delay 20ms');
  t.after(heal);
  const { address: host, port } = server.address();
  return t.connect({ host, port, ...options });
}

test('setKeepAlive() and a listener from before connect are of the association', async (t) => {
  const socket = await slowConnect(t);
  const dry = new Promise((resolve) => {
    socket.on('notification', ({ type }) => {
      if (type === 'SCTP_SENDER_DRY_EVENT') resolve();
    });
  });
  socket.setKeepAlive(true, 5000);
  await once(socket, 'connect');
  const { spp_hbinterval } = socket.getOption('SCTP_PEER_ADDR_PARAMS', {
    spp_address: { address: '127.0.0.1' },
  });
  assert.equal(spp_hbinterval, 5000);
  socket.write('x');
  await dry;
});

test('before connect, what needs an association throws ERR_INVALID_STATE', async (t) => {
  const socket = await slowConnect(t);
  const check = () => {
    for (const call of [
      () => socket.getOption('SCTP_STATUS'),
      () => socket.setOption('SCTP_RTOINFO', { srto_max: 5000 }),
      () => socket.setPrimary('127.0.0.1'),
      () => socket.setPath('127.0.0.1', { mtu: 1400 }),
      () => socket.heartbeat('127.0.0.1'),
      () => socket.setAuthKey(1, Buffer.from('x')),
    ]) {
      assert.throws(call, {
        code: 'ERR_INVALID_STATE',
        message: 'Invalid state: the socket is not connected yet',
      });
    }
    assert.throws(() => socket.abort('reason'), {
      code: 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM',
    });
  };
  check();
  await new Promise(setImmediate); // the handshake has begun
  check();
  await once(socket, 'connect');
  socket.setOption('SCTP_RTOINFO', { srto_max: 5000 });
});

test('a message with an address may be sent before connect', async (t) => {
  const socket = await slowConnect(t);
  socket.send('early', { address: '127.0.0.1' });
  await once(socket, 'connect');
  await until(() => socket.status().unackdata === 0);
});

test('a peer that restarts from the same port: the old socket is reset, a new one follows', async (t) => {
  const sockets = [];
  const server = await t.listen(quick, (peer) => {
    const socket = { peer, notified: [], data: [], end: ending(peer) };
    peer.on('data', (data) => socket.data.push(String(data)));
    peer.on('notification', (n) => socket.notified.push(n.interpreted));
    sockets.push(socket);
  });
  const { port } = server.address();
  const first = client(t, { port, text: 'first' });
  await until(() => sockets[0]?.data.length);
  const localPort = sockets[0].peer.remotePort;
  await vanish(first);

  const second = client(t, { port, localPort, text: 'second' });
  await until(() => sockets[1]?.data.length);
  assert.deepEqual(await sockets[0].end, ['ECONNRESET', 'close']);
  assert.deepEqual(sockets[0].data, ['first']);
  assert.deepEqual(sockets[1].data, ['second']);
  assert.ok(sockets[0].notified.some((text) => /SCTP_RESTART/.test(text)));
  const { peer } = sockets[1];
  assert.deepEqual([peer.remotePort, peer.readyState], [localPort, 'open']);
  peer.end('answer');
  const [answer] = await once(second.stdout, 'data');
  assert.equal(String(answer), 'answer\n');
  assert.deepEqual(await sockets[1].end, ['end', 'close']);
  const count = await new Promise((resolve) =>
    server.getConnections((_error, connections) => resolve(connections)),
  );
  assert.equal(count, 0);
});

test('data from before a restart is read first', async (t) => {
  const sockets = [];
  const server = await t.listen(quick, (peer) => {
    peer.pause();
    sockets.push({ peer, end: ending(peer) });
  });
  const { port } = server.address();
  const first = client(t, { port, text: 'unread' });
  await until(() => sockets[0]?.peer.readableLength === 1);
  const localPort = sockets[0].peer.remotePort;
  await vanish(first);
  client(t, { port, localPort, text: 'second' });
  await until(() => sockets.length === 2);
  assert.equal(sockets[0].peer.destroyed, false);
  const [unread] = await messages(sockets[0].peer, 1);
  assert.equal(String(unread), 'unread');
  assert.deepEqual(await sockets[0].end, ['ECONNRESET', 'close']);
  assert.equal(String((await messages(sockets[1].peer, 1))[0]), 'second');
});

test('a restart is reset when its server has closed meanwhile', async (t) => {
  const sockets = [];
  const server = await t.listen(quick, (peer) => sockets.push(peer));
  const { port } = server.address();
  const first = client(t, { port, text: 'first' });
  await until(() => sockets[0]?.readableLength === 1);
  const [peer] = sockets;
  const end = ending(peer);
  const localPort = peer.remotePort;
  server.close();
  await vanish(first);
  const second = client(t, { port, localPort, text: 'second' });
  second.stderr?.resume();
  peer.resume();
  assert.deepEqual(await end, ['ECONNRESET', 'close']);
  assert.equal(sockets.length, 1);
  await until(() => associations().length === 0);
});

test('a sender that dies in the middle of a message leaves no trace of it', async (t) => {
  const server = await t.listen({ ...quick, assocMaxRetrans: 2 });
  const { port } = server.address();
  const connection = once(server, 'connection');
  run('tc qdisc add dev lo root netem rate 256kbit');
  const sender = client(t, { port, size: SNDBUF, options: {} });
  const [peer] = await connection;
  peer.on('data', (data) => assert.fail(`delivered ${data.length} bytes`));
  const end = ending(peer);
  await until(() => {
    const half = association(peer.localPort, peer.remotePort);
    return half?.unread > 60_000;
  });
  await vanish(sender);
  peer.write('are you there?');
  assert.deepEqual(await end, ['ECONNRESET', 'close']);
});

test('a peer that is cut off ends the socket with ETIMEDOUT', async (t) => {
  const options = { ...quick, assocMaxRetrans: 2 };
  const { client: socket, peer } = await pair(t, options, options);
  peer.on('error', () => {});
  const end = ending(socket.resume());
  cut();
  t.after(heal);
  socket.write('lost');
  const events = await end;
  assert.deepEqual(events, ['ETIMEDOUT', 'close']);
  assert.deepEqual(
    [events.error.message, events.error.errno],
    ['read ETIMEDOUT', -110],
  );
});

test('end() towards a peer that is cut off ends with ETIMEDOUT', async (t) => {
  const options = { ...quick, assocMaxRetrans: 2 };
  const { client: socket, peer } = await pair(t, options, options);
  peer.on('error', () => {});
  const end = ending(socket.resume());
  cut();
  t.after(heal);
  socket.end('lost');
  assert.deepEqual(await end, ['ETIMEDOUT', 'close']);
});

test('heartbeats can be turned off', async (t) => {
  const chunks = () => counter('SctpOutCtrlChunks');
  const heartbeat = { interval: 20 };
  const off = { ...quick, heartbeat: { interval: 0 } };
  const { client: socket } = await pair(t, off, { ...quick, heartbeat });
  const before = chunks();
  await until(() => chunks() > before + 10);
  socket.setKeepAlive(false);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const after = chunks();
  // Nothing can be awaited where nothing is to happen.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assert.equal(chunks(), after);
  socket.setKeepAlive(true, 20);
  await until(() => chunks() > after + 10);
});

/** A client of the server dies unseen, and comes back from the same port. */
async function restart(t, server, sockets) {
  const { port } = server.address();
  const first = client(t, { port, text: 'first' });
  await until(() => sockets[0]?.bytesRead > 0);
  const localPort = sockets[0].remotePort;
  await vanish(first);
  const second = client(t, { port, localPort, text: 'second' });
  await until(() => sockets[1]?.bytesRead > 0);
  return second;
}

test('the old socket may be destroyed when its successor is announced', async (t) => {
  const sockets = [];
  const server = await t.listen(quick, (peer) => {
    sockets[0]?.destroy();
    peer.on('error', () => {});
    sockets.push(peer.resume());
  });
  await restart(t, server, sockets);
  assert.deepEqual(
    sockets.map((socket) => socket.destroyed),
    [true, false],
  );
});

test('a restart takes the place of its old connection, also at maxConnections', async (t) => {
  const sockets = [];
  const server = await t.listen(quick, (peer) => {
    peer.on('error', () => {});
    sockets.push(peer.resume());
  });
  server.maxConnections = 1;
  server.on('drop', assert.fail);
  await restart(t, server, sockets);
});

test('the old socket sends nothing to the peer that has restarted', async (t) => {
  const sockets = [];
  const failed = [];
  const server = await t.listen(quick, (peer) => {
    peer.on('error', () => {});
    sockets[0]?.write('stale', ({ code }) => failed.push(code));
    sockets[0]?.end();
    sockets.push(peer.resume());
  });
  const second = await restart(t, server, sockets);
  sockets[1].write('fresh');
  const [answer] = await once(second.stdout, 'data');
  assert.equal(String(answer), 'fresh\n');
  assert.deepEqual(failed, ['ECONNRESET']);
});

test('a listener of SCTP_RESTART that destroys the old socket does not cost the new one', async (t) => {
  const sockets = [];
  const server = await t.listen(quick, (peer) => {
    peer.on('error', () => {});
    peer.on('notification', ({ interpreted }) => {
      if (/SCTP_RESTART/.test(interpreted)) peer.destroy();
    });
    sockets.push(peer.resume());
  });
  const second = await restart(t, server, sockets);
  sockets[1].write('fresh');
  const [answer] = await once(second.stdout, 'data');
  assert.equal(String(answer), 'fresh\n');
  assert.equal(sockets[0].destroyed, true);
});

test('a full socket that is written to learns first that its peer has restarted', async (t) => {
  const sockets = [];
  const server = await t.listen({ ...quick, highWaterMark: 1 }, (peer) => {
    peer.on('error', () => {});
    sockets.push(peer);
    if (sockets.length === 1) peer.pause();
    else peer.resume();
  });
  const { port } = server.address();
  const first = client(t, { port, text: 'unread' });
  await until(() => sockets[0]?.readableLength === 1);
  const [old] = sockets;
  const { remotePort, localPort } = old;
  await vanish(first);
  const second = client(t, { port, localPort: remotePort, text: 'second' });
  await until(() => association(localPort, remotePort)?.unread > 0);
  const failed = new Promise((resolve) => old.write('stale', resolve));
  await until(() => sockets[1]?.bytesRead > 0);
  sockets[1].write('fresh');
  const [answer] = await once(second.stdout, 'data');
  assert.equal(String(answer), 'fresh\n');
  const end = ending(old);
  assert.equal(String((await messages(old, 1))[0]), 'unread');
  assert.equal((await failed).code, 'ECONNRESET');
  assert.deepEqual(await end, ['ECONNRESET', 'close']);
});

/** Sends a DATA chunk that is too short to an association whose data it sees. */
const malformedChunk = `
import socket, struct, sys
def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return struct.pack('<I', crc ^ 0xFFFFFFFF)
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)
port = struct.pack('>H', int(sys.argv[1]))
print('ready', flush=True)
DATA = 0
while True:
    packet = raw.recv(65536)
    packet = packet[(packet[0] & 15) * 4:]
    if packet[2:4] == port and packet[12] == DATA:
        break
chunk = struct.pack('>BBH', DATA, 3, 8) + b'abcd'
crc = crc32c(packet[:8] + bytes(4) + chunk)
sys.stdin.readline()
raw.sendto(packet[:8] + crc + chunk, ('127.0.0.1', 0))
`;

for (const corked of [false, true]) {
  test(`a ${corked ? 'corked ' : ''}write after a protocol violation leaves what had arrived to be read`, async (t) => {
    const server = await t.listen({ ...quick, highWaterMark: 1 });
    const { port } = server.address();
    const intruder = t.spawn(PYTHON, ['-c', malformedChunk, port], 'pipe');
    await once(intruder.stdout, 'data');
    const client = t.connect({ host: '127.0.0.1', port, ...quick });
    client.on('error', () => {});
    const [peer] = await once(server, 'connection');
    peer.pause();
    client.write('one');
    client.write('two');
    await new Promise((resolve) => client.write('three', resolve));
    // Arrived is what has been acknowledged.
    await until(() => association(client.localPort, port).unacknowledged === 0);
    intruder.stdin.end('\n');
    await until(() => !association(port, client.localPort));

    const data = [];
    peer.on('data', (message) => data.push(String(message)));
    peer.pause();
    const end = ending(peer);
    if (corked) peer.cork();
    const written = new Promise((resolve) => peer.write('x', resolve));
    if (corked) {
      peer.write('y');
      peer.uncork();
    }
    peer.resume();
    assert.deepEqual(await end, ['ECONNABORTED', 'close']);
    assert.deepEqual(data, ['one', 'two', 'three']);
    assert.ok((await written) instanceof Error);
  });
}
