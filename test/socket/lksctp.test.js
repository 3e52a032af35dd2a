'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const lksctp = require('../..');
const { test } = require('../helpers');

// As programs for the npm package `lksctp` are written.

test('a program written for lksctp runs unchanged', async () => {
  const log = [];
  const server = lksctp.createServer({
    MIS: 20,
    OS: 20,
    highWaterMark: 1024 * 1024,
    noDelay: true,
    sctp: { sack: { delay: 100, freq: 2 } },
  });
  server.on('connection', (duplex) => {
    duplex.on('data', (data) => {
      log.push(['server', data.toString(), data.sid, data.ppid]);
      const answer = Buffer.from(`answer to ${data}`);
      answer.sid = data.sid;
      answer.ppid = data.ppid;
      duplex.write(answer);
    });
    duplex.on('error', assert.ifError);
  });
  server.on('error', assert.ifError);
  server.listen({
    localAddresses: ['127.0.0.1', '127.0.0.2'],
    port: 0,
    backlog: 128,
  });
  await once(server, 'listening');
  const { port } = server.address();
  assert.equal(server.getLocalAddresses().length, 2);

  const duplex = lksctp.connect({
    remoteAddresses: ['127.0.0.1', '127.0.0.2'],
    port,
    localAddresses: ['127.0.0.3', '127.0.0.4'],
    localPort: 0,
    MIS: 20,
    OS: 20,
    noDelay: true,
    sctp: { sack: { delay: 100, freq: 2 } },
  });
  const notifications = [];
  duplex.on('notification', (event) => {
    assert.ok(event.raw && event.parsed && event.interpreted);
    notifications.push(event.interpreted);
  });
  const updated = once(duplex, 'peer-info-update');
  duplex.on('address-change', () => assert.ok(duplex.remoteAddresses.length));
  await once(duplex, 'connect');
  await updated;

  assert.deepEqual(
    {
      localFamily: duplex.localFamily,
      localAddress: duplex.localAddress,
      localAddresses: duplex.localAddresses,
      remoteFamily: duplex.remoteFamily,
      remoteAddress: duplex.remoteAddress,
      remoteAddresses: duplex.remoteAddresses,
      remotePort: duplex.remotePort,
    },
    {
      localFamily: 'IPv4',
      localAddress: duplex.address().address,
      localAddresses: duplex.localAddresses,
      remoteFamily: 'IPv4',
      remoteAddress: '127.0.0.1',
      remoteAddresses: ['127.0.0.1', '127.0.0.2'],
      remotePort: port,
    },
  );
  assert.deepEqual([...duplex.localAddresses].sort(), [
    '127.0.0.3',
    '127.0.0.4',
  ]);
  assert.equal(duplex.localPort, duplex.address().port);
  const info = duplex.peerInfoByAddress['127.0.0.2'];
  assert.deepEqual(Object.keys(info).sort(), [
    'cwnd',
    'mtu',
    'rto',
    'srtt',
    'state',
  ]);
  assert.equal(duplex.peerInfoByAddress['127.0.0.99'], undefined);
  assert.equal(duplex.status().numberOfOutgoingStreams, 20);

  const request = Buffer.from('request');
  request.sid = 19;
  request.ppid = 46;
  duplex.write(request);
  const [answer] = await once(duplex, 'data');
  assert.deepEqual(
    [answer.toString(), answer.sid, answer.ppid],
    ['answer to request', 19, 46],
  );
  assert.deepEqual(log[0], ['server', 'request', 19, 46]);
  assert.ok(notifications.length > 0);

  duplex.end();
  await once(duplex, 'close');
  server.close();
  await once(server, 'close');
});

test('destroy() aborts, as a program written for lksctp expects', async () => {
  const server = lksctp.createServer({}).listen({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const duplex = lksctp.connect({
    host: '127.0.0.1',
    port: server.address().port,
  });
  const [peer] = await once(server, 'connection');
  const failed = once(peer, 'error');
  duplex.destroy();
  assert.equal((await failed)[0].code, 'ECONNRESET');
  server.close();
  await once(server, 'close');
});
