'use strict';

/** connect(): its arguments, how it succeeds and fails, lookup and signal. */

const dns = require('node:dns');
const { log, pick, scenario, show, turns, VALUES, withEach } = require('./run');

scenario('the events of a connection', async (t) => {
  const { server, client, peer } = await t.pair();
  client.resume().end();
  await t.closed(client, peer.resume());
  server.close();
  await t.closed(server);
  return {
    client: t.events(client),
    accepted: t.events(peer),
    server: t.events(server),
  };
});

scenario('the events of a refused connection', async (t) => {
  const client = t.connect({ host: '127.0.0.1', port: await t.freePort() });
  await t.closed(client);
  return { client: t.events(client) };
});

scenario('events beside those that both have', async (t) => {
  const { client, peer } = await t.pair();
  client.resume().end();
  await t.closed(client, peer.resume());
  const refused = t.connect({ host: '127.0.0.1', port: await t.freePort() });
  await t.closed(refused);
  return {
    client: t.specificEvents(client),
    accepted: t.specificEvents(peer),
    refused: t.specificEvents(refused),
  };
});

/* ---------------------------------------------------------------- arguments */

/** Returns the peer of a connect() with these arguments. */
async function reaches(t, server, ...args) {
  const called = [];
  const client = t.connect(...args, log(called, 'listener'));
  await Promise.race([t.next(client, 'ready'), t.next(client, 'error')]);
  const { remoteAddress, remotePort } = client;
  const isThere = remotePort === server.address().port;
  client.destroy();
  return [
    ...t.events(client).filter((event) => !event.startsWith('lookup')),
    ...called,
    isThere ? `at ${remoteAddress}` : 'elsewhere',
  ];
}

/** Options in forms that a spread or Object.keys() would miss. */
function formsOfOptions(options) {
  class WithGetters {}
  const own = {};
  for (const [name, value] of Object.entries(options)) {
    const getter = { get: () => value, enumerable: true };
    Object.defineProperty(own, name, getter);
    Object.defineProperty(WithGetters.prototype, name, getter);
  }
  return {
    inherited: Object.create(options),
    getters: own,
    'getters of a class': new WithGetters(),
    frozen: Object.freeze({ ...options }),
  };
}

scenario('forms of connect()', async (t) => {
  const server = await t.listen();
  const { port } = server.address();
  const host = '127.0.0.1';
  const forms = {
    'port, host': [port, host],
    "'port', host": [String(port), host],
    port: [port],
    'port, undefined': [port, undefined],
    'port, null': [port, null],
    "port, ''": [port, ''],
    'port, 5': [port, 5],
    'port, host, more': [port, host, 'more', 5],
    '{ port, host }': [{ port, host }],
    '{ port, host }, more': [{ port, host }, 'more', 5],
    "{ 'port', host }": [{ port: String(port), host }],
    '{ port, host: null }': [{ port, host: null }],
    "{ port, host: '' }": [{ port, host: '' }],
    "{ port, host: '0.0.0.0' }": [{ port, host: '0.0.0.0' }],
    '{ port, family: 4 }': [{ port, family: 4 }],
    "{ port, family: 'IPv4' }": [{ port, family: 'IPv4' }],
    "{ port, host, localAddress: '' }": [{ port, host, localAddress: '' }],
  };
  for (const [form, options] of Object.entries(
    formsOfOptions({ port, host }),
  )) {
    forms[`options, ${form}`] = [options];
  }
  const seen = {};
  for (const [form, args] of Object.entries(forms)) {
    seen[form] = await reaches(t, server, ...args);
  }
  return seen;
});

scenario('connect() to ::', async (t) => {
  const server = await t.listen({}, '::1');
  return { '::': await reaches(t, server, server.address().port, '::') };
});

scenario('wrong arguments of connect()', (t) => {
  const connect = (...args) => t.attempt(() => t.connect(...args).destroy());
  const { "'x'": _path, ...values } = VALUES;
  return {
    'no argument': connect(),
    65536: connect(65536),
    '{ port: 65536 }': connect({ port: 65536 }),
    first: withEach(values, (value) => connect(value)),
  };
});

for (const option of [
  ...['port', 'host', 'localAddress', 'localPort', 'timeout', 'signal'],
  ...['noDelay', 'keepAlive', 'keepAliveInitialDelay', 'highWaterMark'],
  ...['allowHalfOpen', 'family', 'hints', 'lookup'],
]) {
  const isOfLookup = ['family', 'hints', 'lookup'].includes(option);
  const options = { port: 9, host: isOfLookup ? 'localhost' : '127.0.0.1' };
  scenario(`values of the option ${option} of connect()`, (t) =>
    withEach(VALUES, (value) =>
      t.attempt(() => t.connect({ ...options, [option]: value }).destroy()),
    ),
  );
}

scenario('values of the listener of connect()', (t) =>
  withEach(VALUES, (value) =>
    t.attempt(
      () =>
        t
          .connect({ port: 9, host: '127.0.0.1' }, value)
          .destroy()
          .listenerCount('connect'),
      String,
    ),
  ),
);

/* -------------------------------------------------------------- local address */

scenario('localAddress and localPort', async (t) => {
  const localPort = await t.freePort();
  const { client, peer } = await t.pair(
    {},
    { localAddress: '127.0.0.3', localPort },
  );
  return {
    client: [client.localAddress, client.localPort === localPort],
    accepted: [peer.remoteAddress, peer.remotePort === localPort],
  };
});

scenario('a connect() that cannot bind', async (t) => {
  const { port } = (await t.listen()).address();
  const seen = {};
  for (const [name, options] of Object.entries({
    'a port in use': { localPort: port },
    'an address and port in use': {
      localAddress: '127.0.0.1',
      localPort: port,
    },
    'an address of another host': { localAddress: '192.0.2.1' },
    'an address of the other family': { localAddress: '::1' },
  })) {
    const client = t.connect({ host: '127.0.0.1', port, ...options });
    await t.closed(client);
    seen[name] = t.events(client);
  }
  return seen;
});

scenario('a host without a route', async (t) => {
  const client = t.connect({ host: '203.0.113.1', port: 5000 });
  await t.closed(client);
  return { client: t.events(client) };
});

/* --------------------------------------------------------------------- lookup */

/** Calls back with these arguments in another turn. */
const answer =
  (...args) =>
  (_host, _options, callback) =>
    setImmediate(callback, ...args);

/** Answers as is right where `all` is asked for. */
const found = (...list) => answer(null, list);

const ipv4 = (address) => ({ address, family: 4 });

const notFound = answer(new Error('not found'));

/** A client whose name is looked up so, when it has connected or failed. */
async function lookUp(t, lookup, options = {}) {
  const { port } = (await t.listen()).address();
  const client = t.connect({ host: 'some.name', port, lookup, ...options });
  await Promise.race([t.next(client, 'ready'), t.next(client, 'close')]);
  await turns();
  return client;
}

scenario('the arguments of a lookup function', async (t) => {
  const seen = {};
  for (const [name, options] of Object.entries({
    'no options': {},
    'family 0': { family: 0 },
    'family 4': { family: 4 },
    'family 6': { family: 6 },
    "family 'IPv4'": { family: 'IPv4' },
    'hints V4MAPPED': { hints: dns.V4MAPPED },
    localAddress: { localAddress: '127.0.0.1' },
  })) {
    const lookup = (host, asked, callback) => {
      seen[name] = {
        host,
        ...pick(asked, ['family', 'hints', 'all']),
        callback: typeof callback,
      };
      notFound(host, asked, callback);
    };
    await lookUp(t, lookup, options);
  }
  return seen;
});

for (const [what, lookup, options] of [
  ['one address', found(ipv4('127.0.0.1'))],
  ['an address twice', found(ipv4('127.0.0.1'), ipv4('127.0.0.1'))],
  ['a refusing address first', found(ipv4('127.0.0.2'), ipv4('127.0.0.1'))],
  ['refusing addresses', found(ipv4('127.0.0.2'), ipv4('127.0.0.3'))],
  ['a bad address first', found(ipv4('x'), ipv4('127.0.0.1'))],
  ['a bad address', found(ipv4('x'))],
  ['an undefined address', found(ipv4(undefined))],
  ['a bad family', found({ address: '127.0.0.1', family: 5 })],
  ['no family', found({ address: '127.0.0.1' })],
  ['an address for family 4', answer(null, '127.0.0.1', 4), { family: 4 }],
  ['a bad address for family 4', answer(null, 'x', 4), { family: 4 }],
  ['nothing for family 4', answer(null), { family: 4 }],
  ['a bad family for family 4', answer(null, '127.0.0.1', 5), { family: 4 }],
  ['no family for family 4', answer(null, '127.0.0.1'), { family: 4 }],
  ['an address, asked for all', answer(null, '127.0.0.1', 4)],
  ['an error', notFound],
  ['an error for family 4', notFound, { family: 4 }],
]) {
  scenario(`a lookup function that gives ${what}`, async (t) => ({
    client: t.events(await lookUp(t, lookup, options)),
  }));
}

scenario('a lookup function that calls back at once', async (t) => {
  const atOnce =
    (...args) =>
    (_host, _options, callback) =>
      callback(...args);
  const good = await lookUp(t, atOnce(null, [ipv4('127.0.0.1')]));
  const bad = await lookUp(t, atOnce(new Error('not found')));
  return { found: t.events(good), 'not found': t.events(bad) };
});

scenario('a lookup function that gives an empty list', async (t) => {
  let client;
  const callback = await new Promise((resolve) => {
    const lookup = (_host, _options, callback) =>
      setImmediate(() => resolve(t.attempt(() => callback(null, []))));
    client = t.connect({ host: 'some.name', port: 9, lookup });
  });
  await turns();
  return { 'its callback': callback, client: t.events(client) };
});

scenario('a lookup function that throws', (t) => {
  const lookup = () => {
    throw new Error('mine');
  };
  return {
    connect: t.attempt(() => t.connect({ host: 'x', port: 9, lookup })),
  };
});

scenario("the state in 'lookup'", async (t) => {
  const seen = {};
  for (const [name, lookup] of [
    ['found', found(ipv4('127.0.0.1'))],
    ['not found', notFound],
  ]) {
    const { port } = (await t.listen()).address();
    const client = t.connect({ host: 'some.name', port, lookup });
    client.on('lookup', () => {
      seen[name] = pick(client, ['connecting', 'destroyed', 'readyState']);
    });
    await Promise.race([t.next(client, 'ready'), t.next(client, 'close')]);
  }
  return seen;
});

scenario('destroy() before the lookup is over', async (t) => {
  const seen = {};
  for (const [name, family, ...args] of [
    ['of all addresses', 0, [ipv4('127.0.0.1')]],
    ['of one address', 4, '127.0.0.1', 4],
  ]) {
    let client;
    await new Promise((resolve) => {
      const lookup = (_host, _options, callback) =>
        setImmediate(() => {
          client.destroy();
          callback(null, ...args);
          resolve();
        });
      client = t.connect({ host: 'some.name', port: 9, family, lookup });
    });
    await turns();
    seen[name] = t.events(client);
  }
  return seen;
});

scenario('a name that nobody has', async (t) => {
  const client = t.connect({ host: 'no.such.host.invalid', port: 9 });
  await t.closed(client);
  return { client: t.events(client) };
});

/* --------------------------------------------------------------------- signal */

scenario('a signal that is aborted before connect()', async (t) => {
  const { address, port } = (await t.listen()).address();
  const signal = AbortSignal.abort();
  const client = t.connect({ host: address, port, signal });
  const { destroyed, readyState } = client;
  await t.next(client, 'close');
  return {
    'after connect()': [destroyed, readyState],
    client: t.events(client),
  };
});

scenario('a signal that is aborted while connecting', async (t) => {
  const { address, port } = (await t.listen()).address();
  const controller = new AbortController();
  const { signal } = controller;
  const client = t.connect({ host: address, port, signal });
  controller.abort();
  const { destroyed, readyState } = client;
  await t.closed(client);
  return { 'after abort()': [destroyed, readyState], client: t.events(client) };
});

scenario('a signal that is aborted when connected', async (t) => {
  const controller = new AbortController();
  const { client } = await t.pair({}, { signal: controller.signal });
  controller.abort(new Error('mine'));
  await t.closed(client);
  return {
    cause: show(client.errored.cause),
    client: t.events(client),
  };
});

module.exports = { formsOfOptions };
