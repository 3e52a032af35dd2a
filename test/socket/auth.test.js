'use strict';

// Authenticated chunks (RFC 4895).

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { ending, messages, pair, test, until } = require('../helpers');

const DATA = 0;
const SHA256 = 3;
const key = Buffer.from('a shared secret');
const auth = (secret = key) => ({
  keys: { 1: secret },
  active: 1,
  chunks: [DATA],
  hmacs: [SHA256, 1],
});

test('with the same key, messages arrive authenticated', async (t) => {
  const { client, peer } = await pair(t, { auth: auth() }, { auth: auth() });
  client.write('signed');
  peer.write('signed, too');
  assert.equal(String((await messages(peer, 1))[0]), 'signed');
  assert.equal(String((await messages(client, 1))[0]), 'signed, too');
  const { gauth_chunks } = client.getOption('SCTP_PEER_AUTH_CHUNKS');
  assert.ok(gauth_chunks.includes(DATA));
  assert.equal(client.getOption('SCTP_AUTH_ACTIVE_KEY').scact_keynumber, 1);
  assert.equal(client.getOption('SCTP_HMAC_IDENT').shmac_idents[0], SHA256);
});

test('with another key, nothing arrives', async (t) => {
  const other = Buffer.from('another secret');
  const rto = { initial: 100, min: 50, max: 100 };
  const { client, peer } = await pair(
    t,
    { auth: auth() },
    { auth: auth(other), rto },
  );
  client.on('error', () => {});
  peer.on('data', () => assert.fail('a message with a wrong key arrived'));
  client.write('forged');
  await until(() => client.stats()?.rtxchunks > 0);
  assert.equal(peer.bytesRead, 0);
});

test('keys are changed while the association is up', async (t) => {
  const { client, peer } = await pair(t, { auth: auth() }, { auth: auth() });
  const next = Buffer.from('the next secret');
  for (const socket of [client, peer]) {
    assert.equal(socket.setAuthKey(2, next), socket);
    socket.activateAuthKey(2);
  }
  client.write('with the next key');
  assert.equal((await messages(peer, 1)).length, 1);
  await until(() => client.status().unackdata === 0);
  client.deleteAuthKey(1);
  client.write('still');
  assert.equal((await messages(peer, 1)).length, 1);
  assert.throws(() => client.deleteAuthKey(2), { code: 'EINVAL' });
  assert.throws(() => client.activateAuthKey(9), { code: 'EINVAL' });
  for (const call of [
    () => client.setAuthKey(undefined, next),
    () => client.setAuthKey(2),
    () => client.activateAuthKey(),
    () => client.deleteAuthKey(),
  ]) {
    assert.throws(call, { code: 'ERR_INVALID_ARG_TYPE' });
  }
});

test('with another key since, nothing arrives until the peer has it, too', async (t) => {
  const rto = { initial: 100, min: 50, max: 100 };
  const { client, peer } = await pair(
    t,
    { auth: auth() },
    { auth: auth(), rto, assocMaxRetrans: 100 },
  );
  client.setAuthKey(2, Buffer.from('the next secret'));
  client.activateAuthKey(2);
  peer.setAuthKey(2, Buffer.from('another secret'));
  peer.resume();
  client.write('with the next key');
  await until(() => client.stats().rtxchunks > 0);
  assert.equal(peer.bytesRead, 0);
  peer.setAuthKey(2, Buffer.from('the next secret'));
  await until(() => peer.bytesRead > 0);
});

test('a server drops a peer without the authentication that it demands', async (t) => {
  const server = await t.listen({ auth: auth() }, () => {
    assert.fail('the peer was accepted');
  });
  const dropped = once(server, 'drop');
  const client = t.connect({ host: '127.0.0.1', port: server.address().port });
  assert.deepEqual(await ending(client.resume()), ['ECONNRESET', 'close']);
  assert.equal((await dropped)[0].remoteAddress, '127.0.0.1');
});

test('connect() fails with a server that does not authenticate', async (t) => {
  const server = await t.listen({});
  const client = t.connect({
    host: '127.0.0.1',
    port: server.address().port,
    auth: auth(),
  });
  const [error] = await once(client, 'error');
  assert.equal(error.code, 'ERR_SCTP_NOT_NEGOTIATED');
  assert.match(error.message, /^AUTH was not negotiated/);
});

test('without the option auth, keys are refused and the error says so', async (t) => {
  const { client } = await pair(t);
  assert.throws(() => client.setAuthKey(1, key), {
    code: 'EACCES',
    message: 'setsockopt EACCES SCTP_AUTH_KEY: it needs the option auth',
  });
});

test('wrong options of auth throw and are named', (t) => {
  for (const [options, code, name] of [
    [7, 'ERR_INVALID_ARG_TYPE', /options\.auth/],
    [{ keys: { 1: 'text' } }, 'ERR_INVALID_ARG_TYPE', /options\.auth\.keys/],
    [{ keys: { x: key } }, 'ERR_OUT_OF_RANGE', /options\.auth\.keys/],
    [{ active: 70_000 }, 'ERR_OUT_OF_RANGE', /options\.auth\.active/],
    [{ chunks: ['DATA'] }, 'ERR_INVALID_ARG_TYPE', /chunks\[0\]/],
    [{ chunks: [256] }, 'ERR_OUT_OF_RANGE', /chunks\[0\]/],
    [{ chunks: 0 }, 'ERR_INVALID_ARG_TYPE', /options\.auth\.chunks/],
    [{ hmacs: 3 }, 'ERR_INVALID_ARG_TYPE', /options\.auth\.hmacs/],
    [{ hmacs: [undefined] }, 'ERR_INVALID_ARG_TYPE', /hmacs\[0\]/],
    [{ keys: { 1: undefined } }, 'ERR_INVALID_ARG_TYPE', /keys\[1\]/],
    [{ keys: new Map([[1, key]]) }, 'ERR_INVALID_ARG_TYPE', /auth\.keys/],
    [{ keys: Array(33).fill(key) }, 'ERR_OUT_OF_RANGE', /<= 32 keys/],
  ]) {
    assert.throws(() => t.server({ auth: options }), { code, message: name });
  }
});
