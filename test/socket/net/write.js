'use strict';

/** Writing: write(), end(), cork(), callbacks, counters and pipes. */

const { finished, pipeline, Readable, Writable } = require('node:stream');
const run = require('./run');
const { log, pick, reader, scenario, show, turns, VALUES, withEach } = run;

/* -------------------------------------------------------------------- write() */

scenario('forms of write()', async (t) => {
  const { client, peer } = await t.pair();
  const received = reader(peer);
  const done = [];
  const returned = [
    client.write('a'),
    client.write('b', log(done, 'text')),
    client.write('63', 'hex'),
    client.write('64', 'hex', log(done, 'text, encoding')),
    client.write('e', undefined, log(done, 'text, undefined')),
    client.write('f', null, log(done, 'text, null')),
    client.write(Buffer.from('g'), log(done, 'Buffer')),
    client.write(new Uint8Array([0x68]), log(done, 'Uint8Array')),
    client.write('', log(done, 'empty text')),
    client.write(Buffer.alloc(0), log(done, 'empty Buffer')),
  ];
  client.end();
  await t.closed(peer);
  return { returned, done, received: received() };
});

scenario('values of write()', async (t) => {
  const { client } = await t.pair();
  const write = (...args) => t.attempt(() => client.write(...args), String);
  const seen = {
    data: withEach(VALUES, (value) => write(value)),
    encoding: withEach(VALUES, (value) => write('x', value)),
    'encoding of bytes': withEach(VALUES, (value) =>
      write(Buffer.from('x'), value),
    ),
    callback: withEach(VALUES, (value) => write('x', 'utf8', value)),
  };
  return { ...seen, destroyed: client.destroyed };
});

scenario('a write before the connection', async (t) => {
  const server = await t.listen();
  const { address, port } = server.address();
  const client = t.connect({ host: address, port });
  const done = [];
  const returned = client.write('early', log(done, 'write'));
  const seen = pick(client, ['writableLength', 'bytesWritten']);
  const [peer] = await t.next(server, 'connection');
  const received = reader(peer);
  await t.next(peer, 'data');
  return { returned, ...seen, done, received: received() };
});

scenario('a write that returns false', async (t) => {
  const { client, peer } = await t.pair({}, { highWaterMark: 1000 });
  peer.resume();
  const full = () => pick(client, ['writableNeedDrain', 'writableLength']);
  client.cork();
  const returned = [1, 2, 3].map(() => client.write(Buffer.alloc(400)));
  const before = full();
  client.uncork();
  await t.next(client, 'drain');
  return { returned, before, after: full(), client: t.events(client) };
});

scenario('cork() and uncork()', async (t) => {
  const { client, peer } = await t.pair();
  const received = reader(peer);
  const look = () =>
    pick(client, ['writableCorked', 'writableLength', 'bytesWritten']);
  const seen = { returned: [client.cork(), client.cork(), client.uncork()] };
  client.cork();
  client.write('one');
  client.write('two');
  seen.corked = look();
  client.uncork();
  seen['uncorked once'] = look();
  client.uncork();
  seen['uncorked twice'] = look();
  client.uncork();
  seen['uncorked thrice'] = look();
  client.end();
  await t.closed(peer);
  return { ...seen, received: received() };
});

scenario('setDefaultEncoding()', async (t) => {
  const { client, peer } = await t.pair();
  const received = reader(peer);
  const set = (value) =>
    t.attempt(() => client.setDefaultEncoding(value) === client, String);
  const values = withEach({ ...VALUES, "'HEX'": 'HEX' }, set);
  client.end('78');
  await t.closed(peer);
  return { ...values, received: received() };
});

scenario('bytesWritten and bytesRead', async (t) => {
  const server = await t.listen();
  const { address, port } = server.address();
  const client = t.connect({ host: address, port });
  const seen = {};
  const look = (when) => {
    seen[when] = [client.bytesWritten, client.bytesRead];
  };
  look('at first');
  client.write('früh');
  look('after a text of 5 bytes while connecting');
  client.write(Buffer.alloc(10));
  look('after 10 bytes while connecting');
  const [[peer]] = await Promise.all([
    t.next(server, 'connection'),
    t.next(client, 'connect'),
  ]);
  peer.resume();
  look('when connected');
  client.write('ff', 'hex');
  look('after one byte in hex');
  client.cork();
  client.write('ü');
  look('after a corked text of 2 bytes');
  client.uncork();
  client.write('');
  client.write(Buffer.alloc(0));
  look('after empty writes');
  t.attempt(() => client.write(5));
  look('after a wrong write');
  peer.write('12 bytes read'.slice(0, 12));
  await t.next(client.resume(), 'data');
  look('after 12 bytes were read');
  client.end('end');
  look('after 3 bytes of end()');
  client.on('close', () => look("in 'close'"));
  await t.closed(client, peer);
  client.write('late');
  look('after a late write');
  return { ...seen, accepted: [peer.bytesWritten, peer.bytesRead] };
});

/* ---------------------------------------------------------------------- end() */

scenario('forms of end()', async (t) => {
  const seen = {};
  for (const [form, ...args] of [
    ['no data'],
    ['undefined', undefined],
    ['null', null],
    ["''", ''],
    ["'x'", 'x'],
    ["'78', 'hex'", '78', 'hex'],
    ["'x', undefined", 'x', undefined],
    ["'x', null", 'x', null],
  ]) {
    const { client, peer } = await t.pair();
    const received = reader(peer);
    const done = [];
    const returned = client.resume().end(...args, log(done, 'callback'));
    await t.closed(client, peer);
    seen[form] = [returned === client, ...done, received()];
  }
  return seen;
});

scenario('values of end()', async (t) => {
  const { true: _true, ...values } = VALUES;
  const seen = {};
  for (const [text, value] of Object.entries(values)) {
    const { client } = await t.pair();
    seen[text] = t.attempt(() => client.end(value) === client, String);
  }
  const { client } = await t.pair();
  seen["'x', 'x'"] = t.attempt(() => client.end('x', 'x'));
  return seen;
});

scenario('end() while connecting', async (t) => {
  const server = await t.listen();
  const { address, port } = server.address();
  const client = t.connect({ host: address, port });
  const done = [];
  client.resume().end('all', log(done, 'callback'));
  const seen = pick(client, ['readyState', 'writable', 'writableLength']);
  const [peer] = await t.next(server, 'connection');
  const received = reader(peer);
  await t.closed(client, peer);
  return { ...seen, done, received: received(), client: t.events(client) };
});

scenario('end() twice', async (t) => {
  const { client, peer } = await t.pair();
  peer.resume();
  const done = [];
  client.resume().end(log(done, 'first'));
  client.end(log(done, 'second'));
  await t.next(client, 'finish');
  client.end(log(done, "after 'finish'"));
  await t.closed(client);
  client.end(log(done, "after 'close'"));
  await turns();
  return { done, client: t.events(client) };
});

/* ------------------------------------------------- write() and end() too late */

scenario('write() after end()', async (t) => {
  const { client, peer } = await t.pair();
  peer.resume();
  const done = [];
  client.resume().end(log(done, 'end'));
  const returned = client.write('late', log(done, 'write'));
  await t.closed(client);
  return { returned, done, client: t.events(client) };
});

scenario('end(data) after end()', async (t) => {
  const { client, peer } = await t.pair();
  peer.resume();
  const done = [];
  client.resume().end('first', log(done, 'first'));
  const returned = client.end('second', log(done, 'second')) === client;
  await t.closed(client);
  return { returned, done, client: t.events(client) };
});

scenario("write() and end(data) after 'finish'", async (t) => {
  const seen = {};
  for (const method of ['write', 'end']) {
    const { client } = await t.pair();
    client.end();
    await t.next(client, 'finish');
    const done = [];
    const returned = client[method]('late', log(done, method));
    await t.closed(client);
    seen[method] = { returned: show(returned), done, client: t.events(client) };
  }
  return seen;
});

scenario("write() in 'end'", async (t) => {
  const { client, peer } = await t.pair();
  const done = [];
  let returned;
  peer.resume().on('end', () => {
    returned = peer.write('late', log(done, 'write'));
  });
  client.end();
  await t.closed(peer);
  return { returned, done, accepted: t.events(peer) };
});

scenario('writes while connecting, and a refusal', async (t) => {
  const client = t.connect({ host: '127.0.0.1', port: await t.freePort() });
  const done = [];
  client.write('one', log(done, 'first'));
  client.write('two', log(done, 'second'));
  client.end(log(done, 'end'));
  await t.closed(client);
  return { done };
});

scenario('writes while connecting, and destroy()', async (t) => {
  const { address, port } = (await t.listen()).address();
  const client = t.connect({ host: address, port });
  const done = [];
  client.write('one', log(done, 'first'));
  client.write('two', log(done, 'second'));
  client.end(log(done, 'end'));
  client.destroy();
  await t.closed(client);
  return { done, client: t.events(client) };
});

for (const [name, call] of Object.entries({
  'write()': (client, callback) => client.write('x', callback),
  'end()': (client, callback) => client.end(callback),
  'end(data)': (client, callback) => client.end('x', callback),
  'end() and end(data)': (client, callback) => client.end().end('x', callback),
  'write() under cork()': (client, callback) => {
    client.cork();
    client.write('x', callback);
    client.uncork();
  },
})) {
  scenario(`${name} after destroy()`, async (t) => {
    const seen = {};
    for (const [how, ...args] of [
      ['destroy()'],
      ['destroy(error)', new Error('mine')],
    ]) {
      for (const isClosed of [false, true]) {
        const { client } = await t.pair();
        client.destroy(...args);
        if (isClosed) await t.closed(client);
        const done = [];
        const returned = show(call(client, log(done, 'callback')));
        if (!isClosed) await t.closed(client);
        await turns();
        seen[isClosed ? `'close' of ${how}` : how] = {
          ...{ returned, done },
          client: t.events(client),
        };
      }
    }
    return seen;
  });
}

/* ---------------------------------------------------------------------- pipes */

scenario('a stream is piped into a socket', async (t) => {
  const { client, peer } = await t.pair();
  const received = reader(peer);
  const source = Readable.from([Buffer.from('one'), Buffer.from('two')]);
  const returned = source.pipe(client.resume()) === client;
  await t.closed(client, peer);
  return { returned, received: received(), client: t.events(client) };
});

scenario('a socket is piped into a stream', async (t) => {
  const { client, peer } = await t.pair();
  const received = [];
  const sink = new Writable({
    write(chunk, _encoding, callback) {
      received.push(String(chunk));
      callback();
    },
  });
  peer.pipe(sink);
  client.end('all');
  await t.closed(peer);
  const { writableFinished } = sink;
  return { received, writableFinished, accepted: t.events(peer) };
});

scenario('pipeline() and finished()', async (t) => {
  const { client, peer } = await t.pair();
  const received = reader(peer);
  const done = [];
  finished(client, log(done, 'client'));
  finished(peer, log(done, 'accepted'));
  pipeline(Readable.from([Buffer.from('x')]), client, log(done, 'pipeline'));
  await t.closed(client.resume(), peer);
  return { done: done.sort(), received: received() };
});

scenario('finished() and destroy()', async (t) => {
  const { client } = await t.pair();
  const done = [];
  finished(client, log(done, 'before'));
  client.destroy();
  finished(client, log(done, 'after'));
  await t.closed(client);
  finished(client, log(done, 'closed'));
  await turns();
  return { done: done.sort() };
});
