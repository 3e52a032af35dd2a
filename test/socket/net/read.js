'use strict';

/** Reading: 'data', pause(), read(), encodings, iteration, and the peer's end. */

const { until } = require('../../helpers');
const run = require('./run');
const { pick, reader, scenario, show, VALUES } = run;

const reading = (socket) => [
  socket.isPaused(),
  ...Object.values(pick(socket, ['readableFlowing', 'readableLength'])),
];

const hasData = (socket) => until(() => socket.readableLength > 0);

scenario('pause() and resume()', async (t) => {
  const { client, peer } = await t.pair();
  const seen = { 'at first': reading(client) };
  const returned = [client.pause() === client];
  seen['after pause()'] = reading(client);
  const received = reader(client);
  seen["with a 'data' listener"] = reading(client);
  peer.write('x');
  await hasData(client);
  returned.push(client.resume() === client);
  seen['after resume()'] = [client.isPaused(), client.readableFlowing];
  await t.next(client, 'data');
  return { returned, ...seen, received: received(), client: t.events(client) };
});

scenario('pauseOnConnect', async (t) => {
  const { client, peer } = await t.pair({ pauseOnConnect: true });
  const seen = { 'at first': reading(peer) };
  client.write('x');
  const received = reader(peer);
  seen["with a 'data' listener"] = reading(peer);
  peer.resume();
  await t.next(peer, 'data');
  return { ...seen, received: received(), accepted: t.events(peer) };
});

scenario('read()', async (t) => {
  const { client, peer } = await t.pair();
  const read = [client.read()];
  peer.write('hello');
  await hasData(client);
  read.push(client.read(), client.read());
  peer.end();
  await t.closed(client);
  read.push(client.read());
  return { read: read.map(show), client: t.events(client) };
});

scenario("a 'readable' listener", async (t) => {
  const { client, peer } = await t.pair();
  const read = [];
  client.on('readable', () => {
    for (let data = client.read(); data !== null; data = client.read()) {
      read.push(String(data));
    }
  });
  const flowing = client.readableFlowing;
  peer.write('one');
  await until(() => read.length > 0);
  peer.end('two');
  await t.closed(client);
  return { flowing, read, client: t.events(client) };
});

scenario('unshift()', async (t) => {
  const { client, peer } = await t.pair();
  peer.write('x');
  await hasData(client);
  client.unshift(client.read());
  return { read: show(client.read()), bytesRead: client.bytesRead };
});

scenario('values of setEncoding()', async (t) => {
  const set = (client, value) => [
    t.attempt(() => client.setEncoding(value) === client, String),
    client.readableEncoding,
  ];
  const seen = {};
  for (const [text, value] of Object.entries({
    ...VALUES,
    "'hex'": 'hex',
    "'UTF-8'": 'UTF-8',
    "'binary'": 'binary',
  })) {
    const { client } = await t.pair();
    seen[text] = set(client, value);
  }
  return seen;
});

scenario('setEncoding() and data', async (t) => {
  const { client, peer } = await t.pair();
  client.setEncoding('hex');
  const received = reader(client);
  peer.end('x');
  await t.closed(client);
  return {
    ...pick(client, ['readableEncoding', 'bytesRead']),
    received: received(),
    client: t.events(client),
  };
});

scenario('setEncoding() when data waits', async (t) => {
  const { client, peer } = await t.pair();
  peer.write('x');
  await hasData(client);
  client.setEncoding('hex');
  return { read: show(client.read()) };
});

scenario('for await', async (t) => {
  const { client, peer } = await t.pair();
  peer.end('x');
  const received = [];
  for await (const data of client) received.push(String(data));
  await t.closed(client);
  return { received, client: t.events(client) };
});

scenario('for await that is left', async (t) => {
  const { client, peer } = await t.pair();
  peer.write('x');
  const received = [];
  for await (const data of client) {
    received.push(String(data));
    break;
  }
  const { destroyed } = client;
  await t.closed(client);
  return { received, destroyed, client: t.events(client) };
});

scenario('for await of a socket that is destroyed', async (t) => {
  const { client } = await t.pair();
  const next = client[Symbol.asyncIterator]().next();
  client.destroy();
  return {
    next: await next.then(
      ({ done, value }) => [done, value],
      (error) => show(error),
    ),
  };
});

scenario('the peer ends while nobody reads', async (t) => {
  const { client, peer } = await t.pair();
  peer.end();
  await t.closed(client);
  return { client: t.events(client) };
});

scenario('the peer ends with data that is unread', async (t) => {
  const { client, peer } = await t.pair();
  client.pause();
  peer.end('unread');
  await hasData(client);
  const seen = pick(client, ['readable', 'readableEnded', 'destroyed']);
  client.resume();
  await t.closed(client);
  return { ...seen, client: t.events(client) };
});
