'use strict';

/** Servers: createServer(), listen(), close(), limits, signals and counters. */

const dns = require('node:dns');
const { getEventListeners } = require('node:events');
const { promisify } = require('node:util');
const { formsOfOptions } = require('./connect');
const { log, pick, scenario, show, turns, VALUES, withEach } = require('./run');

/* ------------------------------------------------------------- createServer() */

scenario('values of createServer()', (t) => {
  const listeners = (...args) =>
    t.attempt(
      () => t.createServer(...args).listenerCount('connection'),
      String,
    );
  return {
    options: withEach(VALUES, (value) => listeners(value)),
    listener: withEach(VALUES, (value) => listeners({}, value)),
    'listener after null': listeners(null, () => {}),
  };
});

for (const option of [
  ...['allowHalfOpen', 'highWaterMark', 'keepAlive', 'keepAliveInitialDelay'],
  ...['noDelay', 'pauseOnConnect'],
]) {
  scenario(`values of the option ${option} of createServer()`, (t) =>
    withEach(VALUES, (value) =>
      t.attempt(() => t.createServer({ [option]: value })),
    ),
  );
}

scenario('forms of the options of createServer()', async (t) => {
  const seen = {};
  for (const [form, options] of Object.entries(
    formsOfOptions({ pauseOnConnect: true }),
  )) {
    const { peer } = await t.pair(options);
    seen[form] = peer.isPaused();
  }
  return seen;
});

/* ------------------------------------------------------------------- listen() */

/** Returns the address of a server after listen() with these arguments. */
async function listens(t, ...args) {
  const server = t.createServer();
  const called = [];
  const returned = t.attempt(
    () => server.listen(...args, () => called.push('listener')) === server,
    String,
  );
  if (returned !== 'true') return [returned];
  await Promise.race([t.next(server, 'listening'), t.next(server, 'error')]);
  await turns();
  return [...t.events(server), ...called, show(server.address())];
}

scenario('forms of listen()', async (t) => {
  const host = '127.0.0.1';
  const seen = {};
  for (const [form, ...args] of [
    ['no argument'],
    ['0', 0],
    ['undefined', undefined],
    ['null', null],
    ["'0'", '0'],
    ['0, host', 0, host],
    ['0, backlog', 0, 5],
    ['0, host, backlog', 0, host, 5],
    ['0, undefined, backlog', 0, undefined, 5],
    ['0, null, backlog', 0, null, 5],
    ["0, ''", 0, ''],
    ['0, ::1', 0, '::1'],
    ['0, ::', 0, '::'],
    ['0, localhost', 0, 'localhost'],
    ['null, host', null, host],
    ['undefined, host', undefined, host],
    ['{}', {}],
    ['{ host }', { host }],
    ['{ port: 0 }', { port: 0 }],
    ['{ port: undefined }', { port: undefined }],
    ['{ port: null }', { port: null }],
    ["{ port: '0', host }", { port: '0', host }],
    ['{ port: 0, host }', { port: 0, host }],
    ['{ port: 0, host: null }', { port: 0, host: null }],
    ["{ port: 0, host: '' }", { port: 0, host: '' }],
    ['{ port: 0, host, backlog }', { port: 0, host, backlog: 1 }],
    ['{ port: 0, host }, more', { port: 0, host }, 'more', 5],
  ]) {
    seen[form] = await listens(t, ...args);
  }
  return seen;
});

scenario('forms of the options of listen()', async (t) => {
  const port = await t.freePort();
  const seen = {};
  for (const [form, options] of Object.entries(
    formsOfOptions({ port, host: '127.0.0.1' }),
  )) {
    const server = t.createServer().listen(options);
    await t.next(server, 'listening');
    const { address, port: bound } = server.address();
    seen[form] = [address, bound === port];
    server.close();
    await t.closed(server);
  }
  return seen;
});

scenario('wrong arguments of listen()', (t) => {
  const { "'x'": _path, ...values } = VALUES; // for node:net, a file to make
  return withEach({ ...values, '-1': -1, 65536: 65536 }, (value) =>
    t.attempt(() => t.createServer().listen(value).close()),
  );
});

for (const option of [
  ...['port', 'host', 'backlog', 'signal', 'ipv6Only', 'exclusive'],
]) {
  const usual = { port: 0, host: '127.0.0.1' };
  scenario(`values of the option ${option} of listen()`, (t) =>
    withEach(VALUES, (value) =>
      t.attempt(() =>
        t
          .createServer()
          .listen({ ...usual, [option]: value })
          .close(),
      ),
    ),
  );
}

scenario('values of the listener of listen()', (t) => {
  const { 'Symbol()': _symbol, ...values } = VALUES; // its number is a backlog
  return withEach(values, (value) =>
    t.attempt(
      () =>
        t
          .createServer()
          .listen({ port: 0, host: '127.0.0.1' }, value)
          .listenerCount('listening'),
      String,
    ),
  );
});

scenario('listen() twice', async (t) => {
  const server = t.createServer();
  const listen = () => t.attempt(() => server.listen(0));
  const seen = { first: listen(), 'at once': listen() };
  await t.next(server, 'listening');
  seen.listening = listen();
  server.close();
  seen['after close()'] = listen();
  await t.next(server, 'listening');
  await turns();
  return { ...seen, server: t.events(server) };
});

scenario('the states of a server', async (t) => {
  const look = (server) => [server.listening, show(server.address())];
  const seen = {};
  for (const [name, host] of [
    ['an address', '127.0.0.1'],
    ['a name', 'localhost'],
    ['any address', '0.0.0.0'],
  ]) {
    const server = t.createServer();
    const states = { 'at first': look(server) };
    server.listen(0, host);
    states['after listen()'] = look(server);
    await t.next(server, 'listening');
    states.listening = look(server);
    server.close();
    states['after close()'] = look(server);
    await t.closed(server);
    seen[name] = states;
  }
  return seen;
});

scenario('a port in use', async (t) => {
  const { address, port } = (await t.listen()).address();
  const server = t.createServer().listen(port, address);
  await t.next(server, 'error');
  await turns();
  const seen = [server.listening, show(server.address())];
  server.listen(0, address); // it may be tried again
  await t.next(server, 'listening');
  return { 'after the error': seen, server: t.events(server) };
});

scenario('an address of another host to listen on', async (t) => {
  const server = t.createServer().listen(0, '192.0.2.1');
  await t.next(server, 'error');
  await turns();
  return { server: t.events(server), listening: server.listening };
});

scenario('a name to listen on that nobody has', async (t) => {
  const server = t.createServer().listen(0, 'no.such.host.invalid');
  await t.next(server, 'error');
  await turns();
  return { server: t.events(server), listening: server.listening };
});

/* -------------------------------------------------------------------- close() */

scenario('close() and its callback', async (t) => {
  const done = [];
  const idle = t.createServer();
  const returned = idle.close(log(done, 'never listened')) === idle;
  await t.closed(idle);
  const server = await t.listen();
  server.close(log(done, 'first'));
  server.close(log(done, 'second'));
  await t.closed(server);
  server.close(log(done, "after 'close'"));
  await t.closed(server);
  return { returned, done, idle: t.events(idle), server: t.events(server) };
});

scenario('values of close()', (t) =>
  withEach(VALUES, (value) => {
    const server = t.createServer();
    return t.attempt(() => server.close(value) === server, String);
  }),
);

scenario('close() right after listen()', async (t) => {
  const seen = {};
  for (const host of ['127.0.0.1', 'localhost']) {
    const server = t.createServer().listen(0, host);
    const done = [];
    server.close(log(done, 'callback'));
    await t.closed(server);
    await promisify(dns.lookup)(host);
    await turns();
    seen[host] = { done, server: t.events(server) };
  }
  return seen;
});

scenario('close() with a connection', async (t) => {
  const { server, client, peer } = await t.pair();
  const { address, port } = server.address();
  const order = [];
  server.close(() => order.push('callback'));
  peer.on('close', () => order.push('socket'));
  const late = t.connect({ host: address, port });
  await t.closed(late);
  const before = [server.listening, ...order];
  peer.resume();
  client.resume().end();
  await t.closed(server, peer);
  return { before, order, late: t.events(late), server: t.events(server) };
});

scenario('the asynchronous disposal of a server', async (t) => {
  const server = await t.listen();
  const dispose = (it) => it[Symbol.asyncDispose]().then(show, show);
  return {
    idle: await dispose(t.createServer()),
    listening: await dispose(server),
    closed: await dispose(server),
    server: t.events(server),
  };
});

scenario('a signal that closes a server', async (t) => {
  const controller = new AbortController();
  const { signal } = controller;
  const options = { port: 0, host: '127.0.0.1', signal };
  const server = t.createServer().listen(options);
  await t.next(server, 'listening');
  const listeners = [getEventListeners(signal, 'abort').length];
  controller.abort();
  const { listening } = server;
  await t.closed(server);
  listeners.push(getEventListeners(signal, 'abort').length);
  return { listeners, listening, server: t.events(server) };
});

scenario('a signal that a server was aborted with before', async (t) => {
  const signal = AbortSignal.abort();
  const options = { port: 0, host: '127.0.0.1', signal };
  const server = t.createServer().listen(options);
  await t.closed(server);
  return { listening: server.listening, server: t.events(server) };
});

scenario('a closed server leaves its signal', async (t) => {
  const { signal } = new AbortController();
  const options = { port: 0, host: '127.0.0.1', signal };
  const server = t.createServer().listen(options);
  await t.next(server, 'listening');
  server.close();
  await t.closed(server);
  return { listeners: getEventListeners(signal, 'abort').length };
});

/* ---------------------------------------------------------------- connections */

const connections = (server) =>
  new Promise((resolve) => {
    const returned = server.getConnections((...args) =>
      resolve([returned === server, ...args]),
    );
  });

scenario('getConnections()', async (t) => {
  const { server, client, peer } = await t.pair();
  const seen = { connected: await connections(server) };
  peer.resume();
  client.resume().end();
  await t.closed(peer);
  seen['none left'] = await connections(server);
  server.close();
  seen.closed = await connections(server);
  return seen;
});

scenario('values of getConnections()', async (t) => {
  const server = await t.listen();
  return withEach(VALUES, (value) =>
    t.attempt(() => server.getConnections(value) === server, String),
  );
});

scenario('values of maxConnections', async (t) => {
  const server = await t.listen();
  return withEach(VALUES, (value) =>
    t.attempt(() => Object.assign(server, { maxConnections: value })),
  );
});

for (const maximum of [0, 1, undefined, null]) {
  scenario(`two clients and maxConnections ${maximum}`, async (t) => {
    const server = await t.listen();
    server.maxConnections = maximum;
    const { address, port } = server.address();
    for (let i = 0; i < 2; i++) {
      const client = t.connect({ host: address, port }).resume();
      await Promise.all([
        t.next(client, 'connect'),
        Promise.race([t.next(server, 'connection'), t.next(server, 'drop')]),
      ]);
    }
    const count = await connections(server);
    return { count, server: t.events(server) };
  });
}

scenario('a client that is dropped', async (t) => {
  const { server } = await t.pair();
  server.maxConnections = 1;
  const { address, port } = server.address();
  const client = t.connect({ host: address, port }).resume();
  await t.closed(client);
  return { client: t.events(client), ...pick(server, ['maxConnections']) };
});
