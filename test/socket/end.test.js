'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const {
  SNDBUF,
  abortingPeer,
  associations,
  ending,
  enterOwnNetwork,
  messages,
  pair,
  run,
  test,
  until,
} = require('../helpers');

enterOwnNetwork(__filename); // whose associations are those of these tests
run('ip link set lo up');

const graceful = ['end', 'close'];

/** A hundred of them are more than the buffers of both sides hold. */
const LONG = Buffer.alloc(SNDBUF / 40);

test('end() ends both sides', async (t) => {
  const { client, peer } = await pair(t);
  const ends = Promise.all([ending(client.resume()), ending(peer.resume())]);
  client.end('last');
  assert.deepEqual(await ends, [graceful, graceful]);
  await until(() => associations().length === 0);
});

test('end() on the server ends both sides', async (t) => {
  const { client, peer } = await pair(t);
  const ends = Promise.all([ending(client.resume()), ending(peer.resume())]);
  peer.end();
  assert.deepEqual(await ends, [graceful, graceful]);
});

test('end() on both sides at once ends both', async (t) => {
  const { client, peer } = await pair(t);
  const ends = Promise.all([ending(client.resume()), ending(peer.resume())]);
  client.end();
  peer.end();
  assert.deepEqual(await ends, [graceful, graceful]);
});

test('a socket that nobody reads ends, too, when there is nothing to read', async (t) => {
  const { client, peer } = await pair(t);
  const ends = Promise.all([ending(client), ending(peer)]);
  client.end();
  assert.deepEqual(await ends, [graceful, graceful]);
});

test('end() delivers all that was written before', async (t) => {
  const { client, peer } = await pair(t);
  let bytes = 0;
  peer.on('data', (data) => {
    bytes += data.length;
  });
  for (let i = 0; i < 500; i++) client.write(Buffer.alloc(10_000));
  client.end();
  assert.deepEqual(await ending(peer), graceful);
  assert.equal(bytes, 5_000_000);
});

test('end() with data in flight both ways: what the kernel accepted arrives, the rest fails with EPIPE', async (t) => {
  const { client, peer } = await pair(t);
  let accepted = 0;
  let refused = 0;
  const codes = new Set();
  const write = () => {
    for (let i = 0; i < 400; i++) {
      peer.write(LONG, (error) => {
        if (!error) accepted++;
        else {
          refused++;
          codes.add(error.code);
        }
      });
    }
  };
  let received = 0;
  client.on('data', () => received++);
  client.pause();
  write();
  await until(() => accepted > 0 && client.readableLength > 0);
  const ends = Promise.all([ending(client), ending(peer.resume())]);
  client.end();
  await new Promise((resolve) => setImmediate(resolve));
  client.resume();
  const [clientEnd, peerEnd] = await ends;
  assert.deepEqual(clientEnd, graceful);
  assert.deepEqual(peerEnd, ['end', 'EPIPE', 'close']);
  assert.equal(accepted + refused, 400);
  assert.ok(refused > 0);
  assert.equal(received, accepted);
  assert.deepEqual([...codes], ['EPIPE']);
});

test('end() with unread data waits for the reader', async (t) => {
  const { client, peer } = await pair(t);
  peer.write('one');
  peer.write('two');
  await until(() => client.readableLength === 2);
  const end = ending(client);
  client.end();
  await once(peer.resume(), 'close');
  assert.equal(client.destroyed, false);
  assert.deepEqual((await messages(client, 2)).map(String), ['one', 'two']);
  assert.deepEqual(await end, graceful);
});

test('a write after end() fails with ERR_STREAM_WRITE_AFTER_END', async (t) => {
  const { client, peer } = await pair(t);
  peer.resume();
  client.end();
  const end = ending(client.resume());
  const [error] = await new Promise((resolve) =>
    client.write('late', (...args) => resolve(args)),
  );
  assert.equal(error.code, 'ERR_STREAM_WRITE_AFTER_END');
  assert.equal((await end).at(-1), 'close');
});

test('destroy() aborts: the peer gets ECONNRESET', async (t) => {
  const { client, peer } = await pair(t);
  const ends = Promise.all([ending(client), ending(peer.resume())]);
  client.destroy();
  const [clientEnd, peerEnd] = await ends;
  assert.deepEqual(clientEnd, ['close']);
  assert.deepEqual(peerEnd, ['ECONNRESET', 'close']);
  const { message, errno, syscall } = peerEnd.error;
  assert.deepEqual(
    [message, errno, syscall],
    ['read ECONNRESET', -104, 'read'],
  );
  await until(() => associations().length === 0);
});

test('destroy(error) emits the error', async (t) => {
  const { client, peer } = await pair(t);
  peer.on('error', () => {});
  const end = ending(client);
  client.destroy(new Error('mine'));
  assert.deepEqual(await end, ['mine', 'close']);
});

test('destroy() after end() has finished is a graceful end', async (t) => {
  const { client, peer } = await pair(t);
  const ends = Promise.all([ending(client), ending(peer.resume())]);
  client.end('last', () => client.destroy());
  const data = await messages(peer, 1);
  assert.equal(String(data[0]), 'last');
  assert.deepEqual(await ends, [['close'], graceful]);
});

test('destroySoon() delivers what was written', async (t) => {
  const { client, peer } = await pair(t);
  const end = ending(peer);
  client.write('last');
  client.destroySoon();
  assert.equal(String((await messages(peer, 1))[0]), 'last');
  assert.deepEqual(await end, graceful);
});

test('resetAndDestroy() aborts also after end()', async (t) => {
  const { client, peer } = await pair(t);
  peer.pause();
  const end = ending(peer);
  for (let i = 0; i < 100; i++) client.write(LONG);
  client.end();
  client.resetAndDestroy();
  assert.deepEqual(await Promise.all([end, peer.resume()]).then(([e]) => e), [
    'ECONNRESET',
    'close',
  ]);
});

test('destroy() fails the writes that are waiting', async (t) => {
  const { client, peer } = await pair(t);
  peer.pause();
  peer.on('error', () => {});
  const results = [];
  for (let i = 0; i < 200; i++) {
    client.write(LONG, (error) => results.push(error?.code));
  }
  await until(() => results.length > 0);
  await new Promise((resolve) => setImmediate(resolve));
  client.destroy();
  await until(() => results.length === 200);
  assert.equal(results.at(-1), 'ERR_STREAM_DESTROYED');
  peer.resume();
});

test('data that came before an abort is read first, and the error waits for the reader', async (t) => {
  const { client, peer } = await pair(t);
  const end = ending(peer);
  client.write('one');
  client.write('two');
  await until(() => peer.readableLength === 2);
  client.destroy();
  await until(() => associations().length === 0);
  for (let i = 0; i < 20; i++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(peer.destroyed, false);
  assert.deepEqual((await messages(peer, 2)).map(String), ['one', 'two']);
  assert.deepEqual(await end, ['ECONNRESET', 'close']);
});

test('an abort with unread data is one error for a writing peer, too', async (t) => {
  const { client, peer } = await pair(t);
  client.write('unread');
  await until(() => peer.readableLength === 1);
  const end = ending(peer);
  const results = [];
  client.destroy();
  await until(() => associations().length === 0);
  peer.write('lost', (error) => results.push(error.code));
  peer.write('lost', (error) => results.push(error.code));
  assert.equal(String((await messages(peer, 1))[0]), 'unread');
  assert.deepEqual(await end, ['ECONNRESET', 'close']);
  assert.deepEqual(results, ['ECONNRESET', 'ECONNRESET']);
});

test('the reason that the peer gave for its abort is on the error', async (t) => {
  let end;
  const server = await t.listen({}, (peer) => {
    end = ending(peer.resume());
  });
  const { port } = server.address();
  await abortingPeer(port, 'maintenance');
  await until(() => end);
  const events = await end;
  assert.deepEqual(events, ['ECONNRESET', 'close']);
  assert.equal(events.error.reason, 'maintenance');
});

for (const waiting of [62, 63, 64, 127]) {
  test(`the end is seen behind ${waiting} waiting messages`, async (t) => {
    const { client, peer } = await pair(t);
    const ends = Promise.all([ending(client.resume()), ending(peer.resume())]);
    for (let i = 0; i < waiting; i++) peer.write('x');
    client.end();
    await once(client, 'finish');
    // All of it waits for one turn of the loop.
    const { port } = client.address();
    const until = Date.now() + 2000;
    while (
      associations().some((a) => a.localPort === port) &&
      Date.now() < until
    );
    assert.deepEqual(await ends, [graceful, graceful]);
  });
}

test('close tells whether there was an error', async (t) => {
  const { client, peer } = await pair(t);
  peer.on('error', () => {});
  const closed = (socket) =>
    new Promise((resolve) => {
      socket.on('close', resolve);
    });
  const both = Promise.all([closed(client), closed(peer.resume())]);
  client.destroy();
  assert.deepEqual(await both, [false, true]);
});

test('of what was written together, only what was not handed over fails with EPIPE', async (t) => {
  const { client, peer } = await pair(t);
  let [sent, failed, received] = [0, 0, 0];
  client.on('data', () => received++);
  client.pause();
  peer.cork();
  for (let i = 0; i < 400; i++) {
    peer.write(LONG, (error) => {
      if (error) failed++;
      else sent++;
    });
  }
  peer.uncork();
  await until(() => client.readableLength > 0);
  const ends = Promise.all([ending(client), ending(peer.resume())]);
  client.end();
  await new Promise((resolve) => setImmediate(resolve));
  client.resume();
  assert.deepEqual(await ends, [graceful, ['end', 'EPIPE', 'close']]);
  assert.deepEqual([sent + failed, received], [400, sent]);
  assert.ok(sent > 0 && failed > 0);
});

test('one Buffer that was written twice and handed over twice has not failed', async (t) => {
  const server = await t.listen({ MIS: 5 });
  const { port } = server.address();
  const socket = t.connect({ host: '127.0.0.1', port, OS: 10 });
  const end = ending(socket);
  const results = [];
  const note = (error) => results.push(error?.code ?? null);
  const again = Buffer.from('again');
  socket.write(again, note);
  socket.write(again, note);
  socket.send('refused', { sid: 7 }, note); // there are not so many streams
  await end;
  assert.deepEqual(results, [null, null, 'ERR_OUT_OF_RANGE']);
});

test('end(data) checks its message as write() does', async (t) => {
  const { client, peer } = await pair(t);
  const data = (attributes) => Object.assign(Buffer.from('x'), attributes);
  const { maxSendSize } = client;
  for (const [message, code] of [
    [data({ sid: 65536 }), 'ERR_OUT_OF_RANGE'],
    [data({ sid: '4' }), 'ERR_INVALID_ARG_TYPE'],
    [Buffer.alloc(maxSendSize + 1), 'ERR_OUT_OF_RANGE'],
  ]) {
    assert.throws(() => client.end(message), { code });
  }
  const end = ending(client.resume());
  client.end(Object.assign(new Uint8Array([65]), { sid: 4, ppid: 7 }));
  const [received] = await messages(peer, 1);
  assert.deepEqual(
    [String(received), received.sid, received.ppid],
    ['A', 4, 7],
  );
  assert.equal(client.bytesWritten, 1);
  assert.deepEqual(await end, graceful);
});
