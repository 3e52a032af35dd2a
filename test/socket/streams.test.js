'use strict';

// Resetting and adding streams (RFC 6525), schedulers (RFC 8260).

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { messages, pair, runScript, test, until } = require('../helpers');

const reset = { streamReset: true };

/** Waits until the peer has acknowledged everything. */
const acknowledged = (socket) => until(() => socket.status().unackdata === 0);

test('resetStreams() of outgoing streams resolves, and both sides hear of it', async (t) => {
  const { client, peer } = await pair(t, reset, reset);
  client.send('x', { sid: 3 });
  await messages(peer, 1);
  await acknowledged(client);
  const here = once(client, 'stream-reset');
  const there = once(peer, 'stream-reset');
  await client.resetStreams({ outgoing: [3] });
  assert.deepEqual(await here, [
    { incoming: false, outgoing: true, sids: [3] },
  ]);
  assert.deepEqual(await there, [
    { incoming: true, outgoing: false, sids: [3] },
  ]);
  client.send('y', { sid: 3 });
  const [data] = await messages(peer, 1);
  assert.equal(data.sid, 3);
});

test('resetStreams() of incoming streams asks the peer to reset them', async (t) => {
  const { client, peer } = await pair(t, reset, reset);
  const there = once(peer, 'stream-reset');
  await client.resetStreams({ incoming: [1, 2] });
  const [streams] = await there;
  assert.equal(streams.outgoing, true);
  assert.deepEqual(streams.sids, [1, 2]);
});

test('addStreams() adds outgoing streams, which can be used', async (t) => {
  const { client, peer } = await pair(t, { ...reset, MIS: 100 }, reset);
  const before = client.status().numberOfOutgoingStreams;
  assert.throws(() => client.send('x', { sid: before }), {
    code: 'ERR_OUT_OF_RANGE',
  });
  const there = once(peer, 'stream-change');
  await client.addStreams({ outgoing: 5 });
  assert.deepEqual(await there, [{ incoming: 5, outgoing: 0 }]);
  assert.equal(client.status().numberOfOutgoingStreams, before + 5);
  client.send('x', { sid: before + 4 });
  const [data] = await messages(peer, 1);
  assert.equal(data.sid, before + 4);
});

test('addStreams() of incoming streams asks the peer to add them', async (t) => {
  const { client, peer } = await pair(t, reset, { ...reset, MIS: 100 });
  const before = peer.status().numberOfOutgoingStreams;
  await client.addStreams({ incoming: 4 });
  assert.equal(peer.status().numberOfOutgoingStreams, before + 4);
});

test('without streamReset on both sides the requests are rejected, and say what is missing', async (t) => {
  const { client } = await pair(t, {}, reset);
  const missing = {
    code: 'ENOPROTOOPT',
    message: /SCTP_RESET_STREAMS: it needs the option streamReset/,
  };
  await assert.rejects(client.resetStreams({ outgoing: true }), missing);
  await assert.rejects(client.addStreams({ outgoing: 1 }), {
    code: 'ENOPROTOOPT',
    message: /SCTP_ADD_STREAMS: it needs the option streamReset/,
  });
});

test('a request that the peer denies is rejected', async (t) => {
  const { client, peer } = await pair(t, reset, reset);
  peer.setOption('SCTP_ENABLE_STREAM_RESET', { assoc_value: 0 });
  peer.on('stream-reset', () => assert.fail('streams were reset'));
  await assert.rejects(client.resetStreams({ incoming: [1] }), {
    code: 'ERR_SCTP_REQUEST_FAILED',
    message: /denied/,
  });
});

test('wrong streams are rejected', async (t) => {
  const { client } = await pair(t, reset, reset);
  for (const [streams, code] of [
    [{}, 'ERR_INVALID_ARG_TYPE'],
    [{ outgoing: 3 }, 'ERR_INVALID_ARG_TYPE'],
    [{ outgoing: [70_000] }, 'ERR_OUT_OF_RANGE'],
    [{ outgoing: [9999] }, 'EINVAL'],
    [{ outgoing: [] }, 'ERR_INVALID_ARG_VALUE'],
    [{ outgoing: [1], incoming: [2] }, 'ERR_INVALID_ARG_VALUE'],
    [{ outgoing: true, incoming: [3] }, 'ERR_INVALID_ARG_VALUE'],
    [null, 'ERR_INVALID_ARG_TYPE'],
  ]) {
    await assert.rejects(client.resetStreams(streams), { code });
  }
  await assert.rejects(client.addStreams({ outgoing: -1 }), {
    code: 'ERR_OUT_OF_RANGE',
  });
  for (const args of [[], [1], [undefined, 5]]) {
    assert.throws(() => client.setStreamPriority(...args), {
      code: 'ERR_INVALID_ARG_TYPE',
    });
  }
});

test('a request is answered although a listener of notifications throws', async () => {
  const { stdout } = await runScript(`
    process.on('uncaughtException', ({ message }) => console.log(message));
    const server = createServer({ streamReset: true }, (peer) => peer.resume());
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      const socket = connect({ port, host: '127.0.0.1', streamReset: true });
      socket.on('connect', async () => {
        socket.on('notification', () => { throw new Error('thrown'); });
        await socket.addStreams({ outgoing: 3 });
        console.log('answered');
        socket.destroy();
        server.close();
      });
    });
  `);
  assert.match(stdout, /thrown\n(.*\n)*answered/);
});

test('a request that waits is rejected when the socket is destroyed', async (t) => {
  const { client } = await pair(t, reset, reset);
  const request = client.resetStreams({ outgoing: true });
  client.destroy();
  await assert.rejects(request, { code: 'ERR_STREAM_DESTROYED' });
});

test('the scheduler by priority sends the urgent stream first', async (t) => {
  const { client, peer } = await pair(
    t,
    { recvBufferSize: 32_768 },
    { scheduler: 'priority' },
  );
  assert.equal(client.getOption('SCTP_STREAM_SCHEDULER').assoc_value, 1);
  client.setStreamPriority(1, 20);
  client.setStreamPriority(2, 5);
  assert.equal(
    client.getOption('SCTP_STREAM_SCHEDULER_VALUE', { stream_id: 2 })
      .stream_value,
    5,
  );
  peer.pause();
  const order = [];
  // More than the receiver's window, so that they wait in the queue together.
  for (let i = 0; i < 18; i++) client.send(Buffer.alloc(8000), { sid: 1 });
  for (let i = 0; i < 4; i++) client.send(Buffer.alloc(8000), { sid: 2 });
  for (const { sid } of await messages(peer, 22)) order.push(sid);
  assert.ok(
    order.lastIndexOf(2) < order.lastIndexOf(1),
    `stream 2 came last: ${order}`,
  );
});

test('an unknown scheduler throws and lists the known ones', (t) => {
  assert.throws(() => t.connect({ port: 9, scheduler: 'random' }), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /fcfs, priority, round-robin, fair, weighted/,
  });
});
