'use strict';

const assert = require('node:assert/strict');
const { lookup } = require('node:dns/promises');
const { once } = require('node:events');
const fs = require('node:fs');
const { createServer } = require('../..');
const {
  associations,
  ending,
  messages,
  pair,
  runScript,
  test,
  until,
} = require('../helpers');

const failed = async (server) => {
  const [error] = await once(server, 'error');
  const { code, errno, syscall, address, port, message } = error;
  return { code, errno, syscall, address, port, message };
};

test('listen() emits listening later, and address() tells the port', async (t) => {
  const server = t.server();
  assert.equal(server.address(), null);
  assert.deepEqual(server.getLocalAddresses(), []);
  assert.equal(server.listening, false);
  let early = true;
  const listening = new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      assert.equal(early, false);
      resolve();
    });
  });
  early = false;
  await listening;
  assert.equal(server.listening, true);
  const { address, family, port } = server.address();
  assert.deepEqual([address, family], ['127.0.0.1', 'IPv4']);
  assert.ok(port > 0);
  assert.deepEqual(server.getLocalAddresses(), [{ address, family, port }]);
});

for (const [name, args, expected] of [
  ['nothing', [], '0.0.0.0'],
  ['a port', [0], '0.0.0.0'],
  ['a port as text', ['0'], '0.0.0.0'],
  ['port and backlog', [0, 5], '0.0.0.0'],
  ['port, host and backlog', [0, '127.0.0.1', 5], '127.0.0.1'],
  ['options', [{ port: 0, host: '127.0.0.1', backlog: 1 }], '127.0.0.1'],
  ['null as options', [null], '0.0.0.0'],
  ['a host and no port', [undefined, '127.0.0.1'], '127.0.0.1'],
  ['backlog 0', [{ host: '127.0.0.1', backlog: 0 }], '127.0.0.1'],
  [
    'localAddresses',
    [{ localAddresses: ['127.0.0.1', '127.0.0.2'] }],
    '127.0.0.1',
  ],
  ['an IPv6 host', [{ host: '::1' }], '::1'],
  ['any host of both families', [{ host: '::' }], '::'],
]) {
  test(`listen() takes ${name}`, async (t) => {
    const server = t.server();
    await new Promise((resolve) => server.listen(...args, resolve));
    assert.equal(server.address().address, expected);
  });
}

test('listen() takes port and a host name', async (t) => {
  const server = t.server();
  await new Promise((resolve) => server.listen(0, 'localhost', resolve));
  const { address } = await lookup('localhost'); // of either family
  assert.equal(server.address().address, address);
});

test('listen(port) keeps the host that createServer() was given', async (t) => {
  const server = t.server({ host: '127.0.0.1' });
  await new Promise((resolve) => server.listen(0, resolve));
  assert.equal(server.address().address, '127.0.0.1');
});

test('listen() inside a getter of its options is one listen()', async (t) => {
  const server = t.server();
  const options = {
    host: '127.0.0.1',
    get port() {
      server.listen(0, '127.0.0.2');
      return 0;
    },
  };
  assert.throws(() => server.listen(options), {
    code: 'ERR_SERVER_ALREADY_LISTEN',
  });
  await once(server, 'listening');
  assert.equal(server.address().address, '127.0.0.2');
});

test('listen() on a port in use emits EADDRINUSE later', async (t) => {
  const { address, port } = (await t.listen({})).address();
  const server = t.server().listen(port, address);
  assert.deepEqual(await failed(server), {
    code: 'EADDRINUSE',
    errno: -98,
    syscall: 'bind',
    address,
    port,
    message: `bind EADDRINUSE ${address}:${port}`,
  });
  assert.equal(server.listening, false);
  server.listen(0, address); // it may be tried again
  await once(server, 'listening');
  server.close();
});

test('listen() on an address of another host emits EADDRNOTAVAIL', async () => {
  const server = createServer().listen({ host: '192.0.2.1', port: 0 });
  const { code, syscall, address } = await failed(server);
  assert.deepEqual(
    [code, syscall, address],
    ['EADDRNOTAVAIL', 'bind', '192.0.2.1'],
  );
});

test('listen() on an unknown name emits ENOTFOUND', async () => {
  const server = createServer().listen({ host: 'no.such.host.invalid' });
  assert.match((await failed(server)).code, /ENOTFOUND|EAI_AGAIN/);
});

test('listen() twice throws ERR_SERVER_ALREADY_LISTEN', async (t) => {
  const server = await t.listen({});
  assert.throws(() => server.listen(), { code: 'ERR_SERVER_ALREADY_LISTEN' });
});

for (const [name, call, code] of [
  [
    'a port that is none',
    () => createServer().listen(65536),
    'ERR_SOCKET_BAD_PORT',
  ],
  ['a path', () => createServer().listen('/tmp/socket'), 'ERR_SOCKET_BAD_PORT'],
  [
    'a backlog that is none',
    () => createServer().listen({ backlog: -1 }),
    'ERR_OUT_OF_RANGE',
  ],
  [
    'host and localAddresses',
    () => createServer().listen({ host: '::1', localAddresses: ['::1'] }),
    'ERR_INVALID_ARG_VALUE',
  ],
  [
    'a name and localAddresses',
    () => createServer().listen({ host: 'localhost', localAddresses: ['::1'] }),
    'ERR_INVALID_ARG_VALUE',
  ],
  [
    'a function as port',
    () => createServer().listen(Symbol('s')),
    'ERR_INVALID_ARG_TYPE',
  ],
  [
    'a text as signal',
    () => createServer().listen({ signal: 'x' }),
    'ERR_INVALID_ARG_TYPE',
  ],
  ['MIS 0', () => createServer({ MIS: 0 }), 'ERR_OUT_OF_RANGE'],
  [
    'highWaterMark -1',
    () => createServer({ highWaterMark: -1 }),
    'ERR_OUT_OF_RANGE',
  ],
  [
    'allowHalfOpen',
    () => createServer({ allowHalfOpen: true }),
    'ERR_INVALID_ARG_VALUE',
  ],
  ['a text as options', () => createServer('x'), 'ERR_INVALID_ARG_TYPE'],
  ['a text as listener', () => createServer({}, 'x'), 'ERR_INVALID_ARG_TYPE'],
]) {
  test(`${name} throws ${code}`, () => assert.throws(call, { code }));
}

test('close() ends when the last connection has', async (t) => {
  const { server, client, peer } = await pair(t);
  const { port } = server.address();
  let closed = false;
  server.close(() => {
    closed = true;
  });
  assert.equal(server.listening, false);
  assert.equal(server.address(), null);
  const refused = t.connect({ host: '127.0.0.1', port });
  assert.equal((await once(refused, 'error'))[0].code, 'ECONNREFUSED');
  client.write('still there');
  await messages(peer, 1);
  assert.equal(closed, false);
  client.resume().end();
  await once(server, 'close');
  assert.equal(closed, true);
});

test('close() of a server that does not listen gives ERR_SERVER_NOT_RUNNING', async () => {
  const error = await new Promise((resolve) => createServer().close(resolve));
  assert.equal(error.code, 'ERR_SERVER_NOT_RUNNING');
});

test('close() at once prevents listening', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  server.on('listening', assert.fail);
  server.close();
  await once(server, 'close');
});

test('a server can listen again after close()', async (t) => {
  const server = await t.listen({});
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  assert.equal(server.address().port, port);
});

test('[Symbol.asyncDispose] closes', async (t) => {
  const server = await t.listen({});
  await server[Symbol.asyncDispose]();
  assert.equal(server.listening, false);
  await server[Symbol.asyncDispose]();
});

test('signal closes the server', async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const server = createServer().listen({ host: '127.0.0.1', signal });
  await once(server, 'listening');
  controller.abort();
  await once(server, 'close');
  assert.equal(server.listening, false);
  await once(createServer().listen({ signal }), 'close');
});

test('maxConnections drops further connections and says so', async (t) => {
  const server = await t.listen({});
  server.maxConnections = 1;
  const { port } = server.address();
  const first = t.connect({ host: '127.0.0.1', port });
  await once(first, 'connect');
  const second = t.connect({ host: '127.0.0.1', port });
  const end = ending(second);
  const [data] = await once(server, 'drop');
  assert.deepEqual(data, {
    localAddress: '127.0.0.1',
    localPort: port,
    localFamily: 'IPv4',
    remoteAddress: '127.0.0.1',
    remotePort: data.remotePort,
    remoteFamily: 'IPv4',
  });
  assert.deepEqual(await end, ['ECONNRESET', 'close']);
  const count = await new Promise((resolve) =>
    server.getConnections((_error, connections) => resolve(connections)),
  );
  assert.equal(count, 1);
});

test('what is no number cannot be maxConnections, and loses no connection', async (t) => {
  const server = await t.listen({});
  for (const value of ['1', 1n, Symbol('one'), {}, true]) {
    assert.throws(
      () => {
        server.maxConnections = value;
      },
      { code: 'ERR_INVALID_ARG_TYPE' },
    );
  }
  const { port } = server.address();
  const client = t.connect({ host: '127.0.0.1', port });
  await Promise.all([once(client, 'connect'), once(server, 'connection')]);
});

test('backlog bounds those that wait to be accepted', async () => {
  const { code, stdout, stderr } = await runScript(`
    const server = createServer().listen({ host: '127.0.0.1', backlog: 1 });
    server.on('listening', () => {
      const { port } = server.address();
      // Blocks the loop, so that nobody is accepted meanwhile.
      const { status, stdout } = require('node:child_process').spawnSync(
        process.env.PYTHON, ['-c', \`
import socket
results = []
sockets = []
for i in range(4):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)
    sockets.append(s)
    try:
        s.connect(('127.0.0.1', \${port}))
        results.append('accepted')
    except ConnectionRefusedError:
        results.append('refused')
print(' '.join(results), end='')
\`], { encoding: 'utf8' });
      console.log(stdout);
      process.exit(status);
    });
  `);
  assert.deepEqual(
    [stderr, stdout, code],
    ['', 'accepted accepted refused refused\n', 0],
  );
});

test('a client that was gone before it was accepted is one connection that ends', async () => {
  for (const [linger, expected] of [
    [false, 'x end close'],
    [true, 'x ECONNRESET close'],
  ]) {
    const { code, stdout, stderr } = await runScript(`
      const server = createServer((peer) => {
        const seen = [peer.remoteAddress === '127.0.0.1' ? 'x' : 'wrong'];
        peer.resume();
        peer.on('end', () => seen.push('end'));
        peer.on('error', (error) => seen.push(error.code));
        peer.on('close', () => {
          console.log([...seen, 'close'].join(' '));
          server.close();
        });
      }).listen(0, '127.0.0.1', () => {
        require('node:child_process').spawnSync(process.env.PYTHON, ['-c', \`
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)
s.connect(('127.0.0.1', \${server.address().port}))
s.send(b'data')
if ${linger ? 1 : 0}:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
s.close()
\`]);
      });
    `);
    assert.deepEqual([stderr, stdout, code], ['', `${expected}\n`, 0]);
  }
});

test('a server without descriptors keeps its clients waiting and then serves them', async (t) => {
  const server = await t.listen({}, (peer) => peer.pipe(peer));
  const { port } = server.address();
  const clients = [];
  for (let i = 0; i < 3; i++) {
    clients.push(t.connect({ host: '127.0.0.1', port }));
  }
  // The sockets of the clients are there; now all other descriptors go.
  await new Promise((resolve) => process.nextTick(resolve));
  const hoard = [];
  try {
    for (;;) hoard.push(fs.openSync('/dev/null'));
  } catch (error) {
    assert.equal(error.code, 'EMFILE');
  }
  const accepted = once(server, 'connection');
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
  for (const fd of hoard) fs.closeSync(fd);
  await accepted;
  for (const client of clients) {
    client.write('served');
    assert.equal(String((await messages(client, 1))[0]), 'served');
  }
});

test('a burst of a hundred clients is accepted', async (t) => {
  const server = await t.listen({}, (peer) => peer.pipe(peer));
  const { port } = server.address();
  await Promise.all(
    Array.from({ length: 100 }, async (_, i) => {
      const client = t.connect({ host: '127.0.0.1', port });
      client.write(String(i));
      const [data] = await messages(client, 1);
      assert.equal(String(data), String(i));
      client.end();
      await once(client, 'close');
    }),
  );
});

test('no socket is handed to child processes', async (t) => {
  await pair(t);
  const O_CLOEXEC = 0o2000000;
  let sockets = 0;
  for (const fd of fs.readdirSync('/proc/self/fd')) {
    let link = '';
    try {
      link = fs.readlinkSync(`/proc/self/fd/${fd}`);
    } catch {} // the descriptor of the listing itself
    if (!link.startsWith('socket:') || Number(fd) <= 2) continue;
    const info = fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
    const flags = Number.parseInt(/flags:\s*(\d+)/.exec(info)[1], 8);
    assert.ok(flags & O_CLOEXEC);
    sockets++;
  }
  assert.ok(sockets >= 3);
});

test('pauseOnConnect keeps a socket from being read', async (t) => {
  const { client, peer } = await pair(t, { pauseOnConnect: true });
  client.write('early');
  peer.on('data', () => assert.fail('was read'));
  await until(() => associations().some((a) => a.unread > 0));
  peer.removeAllListeners('data');
  assert.equal(String((await messages(peer, 1))[0]), 'early');
});

test('a connection listener that throws is an uncaughtException and stops nobody', async () => {
  const { code, stdout, stderr } = await runScript(`
    let errors = 0;
    process.on('uncaughtException', () => errors++);
    let served = 0;
    const server = createServer((peer) => {
      peer.on('error', () => {});
      peer.end(String(++served));
      throw new Error('mine');
    }).listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      let closed = 0;
      for (let i = 0; i < 5; i++) {
        connect({ host: '127.0.0.1', port }).resume().on('close', () => {
          if (++closed < 5) return;
          console.log(served, errors);
          server.close();
        });
      }
    });
  `);
  assert.deepEqual([stderr, stdout, code], ['', '5 5\n', 0]);
});

test('listening keeps the process running, unref() lets it end', async () => {
  const listening = `const server = createServer().listen(0, '127.0.0.1');`;
  const kept = await runScript(`${listening}
    server.unref().ref();
    setTimeout(() => { console.log('alive'); process.exit(); }, 500).unref();`);
  assert.equal(kept.stdout, 'alive\n');
  const ended = await runScript(`${listening} server.unref();`);
  assert.deepEqual([ended.stdout, ended.code], ['', 0]);
  const early = await runScript(
    `createServer().unref().listen(0, '127.0.0.1');`,
  );
  assert.deepEqual([early.stderr, early.code], ['', 0]);
});

test('ipv6Only refuses IPv4', async (t) => {
  const options = { host: '::', ipv6Only: true };
  const server = t.server();
  server.listen(options);
  await once(server, 'listening');
  const { port } = server.address();
  const v4 = t.connect({ host: '127.0.0.1', port });
  assert.equal((await once(v4, 'error'))[0].code, 'ECONNREFUSED');
  await once(t.connect({ host: '::1', port }), 'connect');
});

test('on :: IPv4 addresses are plain', async (t) => {
  const { client, peer } = await pair(t, { host: '::' }, { host: '127.0.0.1' });
  for (const socket of [client, peer]) {
    assert.deepEqual(
      [socket.remoteAddress, socket.remoteFamily, socket.localAddress],
      ['127.0.0.1', 'IPv4', '127.0.0.1'],
    );
    assert.equal(
      socket.remoteAddresses.some((a) => a.startsWith('::ffff')),
      false,
    );
  }
});

test('listen() after close() forgets the name that was looked up before', async (t) => {
  const server = t.server().listen(0, 'localhost');
  server.close();
  server.listen({ host: '127.0.0.2' });
  await once(server, 'listening');
  for (let i = 0; i < 50; i++) await new Promise(setImmediate);
  assert.equal(server.address().address, '127.0.0.2');
});

test('reusePort lets several servers share a port, and none takes all', async (t) => {
  const counts = [0, 0];
  const servers = [];
  for (const i of [0, 1]) {
    const server = t.server(() => {
      counts[i]++;
    });
    const port = servers[0]?.address().port ?? 0;
    server.listen({ port, host: '127.0.0.1', reusePort: true });
    await once(server, 'listening');
    servers.push(server);
  }
  const { port } = servers[0].address();
  assert.equal(servers[1].address().port, port);
  for (let i = 0; i < 40; i++) {
    const client = t.connect({ host: '127.0.0.1', port });
    await once(client, 'connect');
  }
  await until(() => counts[0] + counts[1] === 40);
  assert.ok(counts[0] > 0 && counts[1] > 0, `${counts}`);
  const other = t.server();
  other.listen({ port, host: '127.0.0.1' });
  const [error] = await once(other, 'error');
  assert.equal(error.code, 'EADDRINUSE');
});
