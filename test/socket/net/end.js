'use strict';

/** How sockets end: end(), destroy(), destroySoon(), resetAndDestroy(). */

const { log, pick, reader, scenario, show, turns } = require('./run');

/** The events of both sides, when both have closed. */
async function bothClosed(t, { client, peer }) {
  await t.closed(client, peer);
  return { client: t.events(client), accepted: t.events(peer) };
}

/** A client that is connecting. */
async function connecting(t) {
  const server = await t.listen();
  server.on('connection', (peer) => peer.resume());
  const { address, port } = server.address();
  return { server, client: t.connect({ host: address, port }) };
}

scenario('end() of both sides', async (t) => {
  const { client, peer } = await t.pair();
  client.resume().end();
  peer.resume().end();
  return bothClosed(t, { client, peer });
});

scenario('end() of an accepted socket', async (t) => {
  const { client, peer } = await t.pair();
  client.resume();
  peer.resume().end('bye');
  return bothClosed(t, { client, peer });
});

scenario("end() in 'connect'", async (t) => {
  const { client } = await connecting(t);
  client.resume().on('connect', () => client.end());
  await t.closed(client);
  return { client: t.events(client) };
});

/* ------------------------------------------------------------------ destroy() */

scenario('destroy()', async (t) => {
  const { client, peer } = await t.pair();
  peer.resume();
  const returned = [client.destroy() === client, client.destroy() === client];
  await t.closed(client, peer);
  returned.push(client.destroy() === client);
  return { returned, ...(await bothClosed(t, { client, peer })) };
});

scenario('destroy(error)', async (t) => {
  const { client, peer } = await t.pair();
  peer.resume();
  client.destroy(new Error('first'));
  client.destroy(new Error('second'));
  const errored = show(client.errored);
  await t.closed(client, peer);
  client.destroy(new Error('third'));
  await turns();
  return { errored, client: t.events(client) };
});

scenario('destroy(error) while connecting', async (t) => {
  const { client } = await connecting(t);
  client.destroy(new Error('mine'));
  await t.closed(client);
  return { client: t.events(client) };
});

scenario("destroy() in 'connect'", async (t) => {
  const { client } = await connecting(t);
  client.on('connect', () => client.destroy());
  await t.closed(client);
  return { client: t.events(client) };
});

scenario("destroy() in 'connection'", async (t) => {
  const { server } = await connecting(t);
  server.on('connection', (peer) => peer.destroy());
  const [peer] = await t.next(server, 'connection');
  await t.closed(peer);
  return { accepted: t.events(peer) };
});

scenario("destroy() in 'data'", async (t) => {
  const { client, peer } = await t.pair();
  client.on('data', () => client.destroy());
  peer.write('x');
  await t.closed(client);
  return { client: t.events(client) };
});

scenario("destroy() in 'end'", async (t) => {
  const { client, peer } = await t.pair();
  client.resume().on('end', () => client.destroy());
  peer.resume().end();
  return bothClosed(t, { client, peer });
});

scenario('destroy() in the callback of end()', async (t) => {
  const { client, peer } = await t.pair();
  peer.resume();
  client.end('bye', () => client.destroy());
  return bothClosed(t, { client, peer });
});

/* -------------------------------------------------------------- destroySoon() */

scenario('destroySoon()', async (t) => {
  const { client, peer } = await t.pair();
  const received = reader(peer);
  client.write('all');
  const returned = [client.destroySoon()];
  await t.closed(client, peer);
  returned.push(client.destroySoon());
  return {
    returned,
    received: received(),
    ...(await bothClosed(t, { client, peer })),
  };
});

scenario('destroySoon() while connecting', async (t) => {
  const { server, client } = await connecting(t);
  client.write('all');
  client.destroySoon();
  const [peer] = await t.next(server, 'connection');
  const received = reader(peer);
  await t.closed(client, peer);
  // The peer's end may have come before 'finish'.
  const events = t.events(client).filter((event) => event !== 'end');
  return { received: received(), client: events };
});

/* ---------------------------------------------------------- resetAndDestroy() */

scenario('resetAndDestroy()', async (t) => {
  const { client, peer } = await t.pair();
  peer.resume();
  const returned = client.resetAndDestroy() === client;
  const { destroyed } = client;
  return { returned, destroyed, ...(await bothClosed(t, { client, peer })) };
});

scenario('resetAndDestroy() of an accepted socket', async (t) => {
  const { client, peer } = await t.pair();
  client.resume();
  peer.resetAndDestroy();
  return bothClosed(t, { client, peer });
});

scenario('resetAndDestroy() while connecting', async (t) => {
  const { server, client } = await connecting(t);
  const returned = client.resetAndDestroy() === client;
  const seen = pick(client, ['destroyed', 'readyState']);
  const [[peer]] = await Promise.all([
    t.next(server, 'connection'),
    t.next(client, 'close'),
  ]);
  return { returned, ...seen, ...(await bothClosed(t, { client, peer })) };
});

scenario('resetAndDestroy() with a write that waits', async (t) => {
  const { client } = await t.pair();
  const done = [];
  client.cork();
  client.write('x', log(done, 'write'));
  client.resetAndDestroy();
  await t.closed(client);
  return { done, client: t.events(client) };
});

scenario("resetAndDestroy() after 'finish'", async (t) => {
  const { client } = await t.pair();
  client.end();
  await t.next(client, 'finish');
  client.resetAndDestroy();
  await t.closed(client);
  return { client: t.events(client) };
});

scenario('resetAndDestroy() after destroy()', async (t) => {
  const { client } = await t.pair();
  const returned = [client.destroy().resetAndDestroy() === client];
  await t.closed(client);
  returned.push(client.resetAndDestroy() === client);
  await turns();
  return { returned, client: t.events(client) };
});

scenario('resetAndDestroy() when the peer has reset', async (t) => {
  const { client, peer } = await t.pair();
  peer.resetAndDestroy();
  await t.closed(client.resume());
  client.resetAndDestroy();
  await turns();
  return { client: t.events(client) };
});

/* ------------------------------------------------------- Symbol.asyncDispose */

scenario('the asynchronous disposal of a socket', async (t) => {
  const { client } = await t.pair();
  const disposed = client[Symbol.asyncDispose]();
  const { destroyed } = client;
  const done = await disposed.then(() => 'fulfilled', show);
  await t.closed(client);
  return { destroyed, done, client: t.events(client) };
});
