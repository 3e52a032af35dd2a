'use strict';

// Mistakes of callers: each throws and says what is wrong, and loses nothing.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { connect, createServer } = require('../..');
const { messages, pair, test } = require('../helpers');

const TYPE = 'ERR_INVALID_ARG_TYPE';
const RANGE = 'ERR_OUT_OF_RANGE';

for (const [name, value, code] of [
  ['heartbeat', 1000, TYPE],
  ['rto', 500, TYPE],
  ['init', 3, TYPE],
  ['sack', true, TYPE],
  ['sctp', 3, TYPE],
  ['noDelay', 'yes', TYPE],
  ['ipv6Only', 1, TYPE],
  ['pauseOnConnect', 'no', TYPE],
  ['rto.max', { rto: { min: 5000, max: 100 } }, RANGE],
  ['rto.max', { rto: { max: 1 } }, RANGE], // below the kernel's minimum
  ['rto.min', { rto: { min: 0xffffffff } }, RANGE], // above its maximum
]) {
  test(`an option ${name} of ${JSON.stringify(value)} throws and is named`, () => {
    const [option] = name.split('.');
    const options = name === option ? { [name]: value } : value;
    const error = { code, message: new RegExp(`"options\\.${name}"`) };
    assert.throws(() => createServer(options), error);
    if (option === 'pauseOnConnect') return; // of servers only
    assert.throws(
      () => connect({ ...options, port: 9, host: '127.0.0.1' }),
      error,
    );
  });
}

test('inherited options and getters count', async (t) => {
  class Options {
    get host() {
      return '127.0.0.2';
    }
    get MIS() {
      return 3;
    }
  }
  const server = t.server(new Options());
  server.listen(Object.create({ port: 0 }));
  await once(server, 'listening');
  const { address, port } = server.address();
  assert.equal(address, '127.0.0.2');
  class Target extends Options {
    port = port;
  }
  const client = t.connect(new Target());
  await once(client, 'connect');
  assert.equal(client.status().numberOfOutgoingStreams, 3);
});

test("send() honours the Buffer's own attributes, and those given before them", async (t) => {
  const { client, peer } = await pair(t);
  const arrived = messages(peer, 3);
  const own = Object.assign(Buffer.from('own'), { sid: 3, ppid: 46 });
  client.send(own);
  client.send(own, { sid: 4 });
  assert.deepEqual([own.sid, own.ppid, own.ttl], [3, 46, undefined]);
  const [first, second] = await Promise.race([arrived, messages(peer, 2)]);
  assert.deepEqual([first.sid, first.ppid], [3, 46]);
  assert.deepEqual([second.sid, second.ppid], [4, 46]);
  client.send('again', first); // what has arrived may be given on
  const [, , third] = await arrived;
  assert.deepEqual([String(third), third.sid, third.ppid], ['again', 3, 46]);
});

test('an unknown attribute throws and is named', async (t) => {
  const { client } = await pair(t);
  assert.throws(() => client.send('x', { stream: 3 }), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /attributes\.stream.*sid, ppid, unordered, ttl/,
  });
});

test("write() and end() refuse an object in the encoding's place", async (t) => {
  const { client } = await pair(t);
  const error = { code: TYPE, message: /"encoding".*send\(\)/ };
  assert.throws(() => client.write(Buffer.from('x'), { sid: 3 }), error);
  assert.throws(() => client.end('x', { sid: 3 }), error);
  assert.throws(() => client.write('x', 'no-such'), {
    code: 'ERR_UNKNOWN_ENCODING',
  });
  assert.equal(client.writable, true);
});

test('a stream id that the association does not have: the error says how many there are', async (t) => {
  const { client } = await pair(t, { MIS: 5 }, { OS: 7 });
  assert.throws(() => client.send('x', { sid: 5 }), {
    code: RANGE,
    message: /has 5 outgoing streams.*OS asks for more.*Received 5/,
  });
});

test('a stream id that the peer does not grant fails with the same error after the handshake', async (t) => {
  const server = await t.listen({ MIS: 5 });
  const { port } = server.address();
  const client = t.connect({ host: '127.0.0.1', port, OS: 7 });
  client.send('x', { sid: 6 });
  const [error] = await once(client, 'error');
  assert.equal(error.code, RANGE);
  assert.match(error.message, /has 5 outgoing streams/);
});
