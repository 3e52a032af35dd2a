'use strict';

/** Listeners that throw or reject, and the async contexts that they run in. */

const { AsyncLocalStorage } = require('node:async_hooks');
const events = require('node:events');
const { until } = require('../../helpers');
const { scenario, show } = require('./run');

const thrower = (name) => () => {
  throw new Error(name);
};

const rejecter = (name) => async () => {
  throw new Error(name);
};

/* ---------------------------------------------------------------------- throw */

scenario('listeners and callbacks that throw', async (t) => {
  const uncaught = t.uncaught();
  const server = await t.listen();
  server.once('connection', thrower('connection'));
  const { client, peer } = await t.connectTo(server, {}, thrower('connect'));
  client.once('data', thrower('data'));
  peer.write('x', thrower('callback of write()'));
  await until(() => uncaught.length === 4);
  client.once('close', thrower('close'));
  peer.resume().end(thrower('callback of end()'));
  await t.closed(client, peer);
  server.close(thrower('callback of close()'));
  await t.closed(server);
  return {
    uncaught: uncaught.sort(),
    client: t.events(client),
    accepted: t.events(peer),
    server: t.events(server),
  };
});

scenario("an 'error' without a listener", async (t) => {
  const uncaught = t.uncaught();
  const { client, peer } = await t.pair();
  peer.resume();
  client.removeAllListeners('error');
  client.destroy(new Error('mine'));
  await t.closed(client);
  return { uncaught, client: t.events(client) };
});

/* --------------------------------------------------------------------- reject */

/** Until the scenario ends, rejections of listeners are captured. */
function captureRejections(t) {
  events.captureRejections = true;
  t.onEnd(() => {
    events.captureRejections = false;
  });
}

scenario("a captured rejection of a 'connection' listener", async (t) => {
  captureRejections(t);
  const server = await t.listen();
  server.on('connection', rejecter('mine'));
  const { peer } = await t.connectTo(server);
  await t.closed(peer);
  return {
    listening: server.listening,
    server: t.events(server),
    accepted: t.events(peer),
  };
});

scenario("a captured rejection of a 'listening' listener", async (t) => {
  captureRejections(t);
  const server = t.createServer().listen(0, '127.0.0.1', rejecter('mine'));
  await t.next(server, 'error');
  return { listening: server.listening, server: t.events(server) };
});

for (const [event, cause] of [
  ['data', ({ client, peer }) => peer.write('x') && client.resume()],
  ['end', ({ client, peer }) => peer.end() && client.resume()],
  ['finish', ({ client }) => client.end()],
  ['timeout', ({ client }) => client.setTimeout(1)],
  ['error', ({ client }) => client.destroy(new Error('first'))],
]) {
  scenario(`a captured rejection of a '${event}' listener`, async (t) => {
    captureRejections(t);
    const { client, peer } = await t.pair();
    client.once(event, rejecter('mine'));
    cause({ client, peer });
    await t.closed(client);
    return { errored: show(client.errored) };
  });
}

scenario("a captured rejection of a 'connect' listener", async (t) => {
  captureRejections(t);
  const { address, port } = (await t.listen()).address();
  const client = t.connect({ host: address, port }, rejecter('mine'));
  await t.closed(client);
  return { client: t.events(client) };
});

scenario('rejections of listeners that nobody captures', async (t) => {
  const rejections = [];
  const others = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection');
  process.on('unhandledRejection', (error) => rejections.push(show(error)));
  t.onEnd(() => {
    process.removeAllListeners('unhandledRejection');
    for (const listener of others) process.on('unhandledRejection', listener);
  });
  const server = await t.listen();
  server.on('connection', rejecter('connection'));
  const { client, peer } = await t.connectTo(server, {}, rejecter('connect'));
  client.on('data', rejecter('data'));
  peer.write('x');
  await until(() => rejections.length === 3);
  return {
    rejections: rejections.sort(),
    destroyed: [client.destroyed, peer.destroyed],
  };
});

/* ------------------------------------------------------------- async contexts */

scenario('the async contexts of listeners', async (t) => {
  const storage = new AsyncLocalStorage();
  const seen = {};
  const note = (name) => () => {
    seen[name] = String(storage.getStore());
  };
  const server = t.createServer();
  server.on('connection', note("'connection'"));
  storage.run('listen()', () =>
    server.listen(0, '127.0.0.1', note("'listening'")),
  );
  await t.next(server, 'listening');
  const client = storage.run('connect()', () =>
    t.connect({
      host: 'some.name',
      port: server.address().port,
      lookup: (_host, _options, callback) =>
        setImmediate(callback, null, [{ address: '127.0.0.1', family: 4 }]),
    }),
  );
  for (const event of [
    'lookup',
    'connect',
    'data',
    'timeout',
    'end',
    'close',
  ]) {
    client.on(event, note(`'${event}'`));
  }
  const [[peer]] = await Promise.all([
    t.next(server, 'connection'),
    t.next(client, 'connect'),
  ]);
  peer.on('data', note("'data' of the accepted socket"));
  storage.run('setTimeout()', () => client.setTimeout(1));
  await t.next(client, 'timeout');
  client.setTimeout(0);
  storage.run('write()', () => client.write('x', note('callback of write()')));
  await t.next(peer, 'data');
  peer.write('x');
  await t.next(client, 'data');
  storage.run('end()', () => client.end(note('callback of end()')));
  await t.closed(client, peer);
  storage.run('close()', () => server.close(note('callback of close()')));
  await t.closed(server);
  return seen;
});
