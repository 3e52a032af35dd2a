'use strict';

/** Members of modules, sockets and servers, and their values. */

const { EventEmitter } = require('node:events');
const { Duplex } = require('node:stream');
const { pick, scenario, show, turns } = require('./run');

/** The type of each public member, own and inherited. */
function members(object) {
  const types = {};
  for (let o = object; o !== Object.prototype; o = Object.getPrototypeOf(o)) {
    for (const key of Reflect.ownKeys(o)) {
      const isSymbol = typeof key === 'symbol';
      const name = isSymbol ? key.description : key;
      if (isSymbol ? /^(Symbol|nodejs)\./.test(name) : !name.startsWith('_')) {
        types[name] ??= typeof object[key];
      }
    }
  }
  return types;
}

scenario('the exports of the module', (t) => members(t.module));

scenario('the members of a connected socket', async (t) => {
  const { client, peer } = await t.pair();
  return { client: members(client), accepted: members(peer) };
});

scenario('the members of a server', async (t) => members(await t.listen()));

scenario('classes and identities', async (t) => {
  const { server, client, peer } = await t.pair();
  return {
    'a socket': [client instanceof Duplex, client.constructor.name],
    'both ends have one class': client.constructor === peer.constructor,
    'a server': [server instanceof EventEmitter, server.constructor.name],
    'the server of an accepted socket': peer.server === server,
    'the server of a client': client.server,
    'createConnection is connect':
      t.module.createConnection === t.module.connect,
  };
});

const assignments = (t, object, names) =>
  Object.fromEntries(
    names.map((name) => [
      name,
      t.attempt(() => Object.assign(object, { [name]: object[name] })),
    ]),
  );

scenario('assigning to the fields of a socket', async (t) => {
  const { client } = await t.pair();
  return assignments(t, client, [
    ...['connecting', 'pending', 'readyState', 'timeout'],
    ...['bytesRead', 'bytesWritten'],
    ...['localAddress', 'localPort', 'localFamily'],
    ...['remoteAddress', 'remotePort', 'remoteFamily'],
  ]);
});

scenario('assigning to the fields of a server', async (t) =>
  assignments(t, await t.listen(), ['listening', 'maxConnections']),
);

/* ------------------------------------------- states that a socket goes through */

const state = (socket) => {
  const names = [
    ...['connecting', 'pending', 'readyState', 'destroyed', 'closed'],
    ...['readable', 'readableAborted', 'readableDidRead', 'readableEnded'],
    ...['readableEncoding', 'readableFlowing', 'readableLength'],
    ...['writable', 'writableAborted', 'writableCorked', 'writableEnded'],
    ...['writableFinished', 'writableLength', 'writableNeedDrain'],
    ...['allowHalfOpen', 'timeout', 'bytesRead', 'bytesWritten'],
  ];
  return { ...pick(socket, names), errored: show(socket.errored) };
};

const endpoint = (address, port, family) =>
  `${address} ${port && 'PORT'} ${family}`;

const addresses = (socket) => ({
  local: endpoint(socket.localAddress, socket.localPort, socket.localFamily),
  remote: endpoint(
    socket.remoteAddress,
    socket.remotePort,
    socket.remoteFamily,
  ),
  'address()': show(socket.address()),
});

/** Returns the results of `look` at a client that connects, is idle and ends. */
async function ofClient(t, look) {
  const server = await t.listen();
  const { address, port } = server.address();
  const client = t.connect({ host: address, port });
  const seen = { 'after connect()': look(client) };
  for (const event of ['connect', 'close']) {
    client.on(event, () => {
      seen[`in '${event}'`] = look(client);
    });
  }
  const [[peer]] = await Promise.all([
    t.next(server, 'connection'),
    t.next(client, 'connect'),
  ]);
  peer.resume();
  client.resume();
  await turns();
  seen.idle = look(client);
  client.end();
  seen['after end()'] = look(client);
  await t.closed(client);
  seen.closed = look(client);
  return seen;
}

/** Returns the results of `look` at an accepted socket, whose peer ends. */
async function ofAccepted(t, look) {
  const server = await t.listen();
  const seen = {};
  server.on('connection', (peer) => {
    seen["in 'connection'"] = look(peer);
  });
  const { client, peer } = await t.connectTo(server);
  seen.idle = look(peer);
  for (const event of ['end', 'close']) {
    peer.on(event, () => {
      seen[`in '${event}'`] = look(peer);
    });
  }
  peer.resume();
  client.resume().end();
  await t.closed(peer);
  return seen;
}

async function ofDestroyed(t, look) {
  const { server, client } = await t.pair();
  const { address, port } = server.address();
  const early = t.connect({ host: address, port }).destroy();
  const seen = { 'after connect().destroy()': look(early) };
  client.destroy();
  seen['after destroy()'] = look(client);
  await t.closed(client);
  seen.closed = look(client);
  return seen;
}

async function ofRefused(t, look) {
  const client = t.connect({ host: '127.0.0.1', port: await t.freePort() });
  const seen = {};
  client.on('error', () => {
    seen["in 'error'"] = look(client);
  });
  await t.closed(client);
  seen.closed = look(client);
  return seen;
}

for (const [what, look] of [
  ['the state', state],
  ['the addresses', addresses],
]) {
  scenario(`${what} of a client`, (t) => ofClient(t, look));
  scenario(`${what} of an accepted socket`, (t) => ofAccepted(t, look));
  scenario(`${what} of a destroyed socket`, (t) => ofDestroyed(t, look));
  scenario(`${what} of a refused socket`, (t) => ofRefused(t, look));
}

scenario('addresses over IPv6', async (t) => {
  const server = await t.listen({}, '::1');
  const { client, peer } = await t.connectTo(server);
  return {
    server: show(server.address()),
    client: addresses(client),
    accepted: addresses(peer),
  };
});

scenario('addresses of an IPv4 client of a server on ::', async (t) => {
  const server = await t.listen({}, '::');
  const { client, peer } = await t.connectTo(server, { host: '127.0.0.1' });
  return {
    server: show(server.address()),
    client: addresses(client),
    accepted: addresses(peer),
  };
});

scenario('modes and high-water marks', async (t) => {
  const modes = (socket) =>
    pick(socket, [
      ...['readableObjectMode', 'readableHighWaterMark'],
      ...['writableObjectMode', 'writableHighWaterMark'],
    ]);
  const usual = await t.pair();
  const small = await t.pair({ highWaterMark: 10 }, { highWaterMark: 20 });
  return {
    client: modes(usual.client),
    accepted: modes(usual.peer),
    'client, highWaterMark 20': modes(small.client),
    'accepted, highWaterMark 10': modes(small.peer),
  };
});
