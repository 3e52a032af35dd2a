'use strict';

// getOption() and setOption(), and the options of connect() that become options of
// the kernel: each with its effect, as the kernel or the peer sees it.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const { constants } = require('../..');
const binding = require('../../lib/binding');
const { ending, messages, pair, test } = require('../helpers');

const { options } = binding.tables();

/** Options that an association without AUTH does not let be read, by name alone. */
const UNREADABLE = [
  ...[
    'SCTP_AUTOCLOSE',
    'SCTP_SET_PEER_PRIMARY_ADDR',
    'SCTP_GET_PEER_ADDR_INFO',
  ],
  ...['SCTP_AUTH_CHUNK', 'SCTP_HMAC_IDENT', 'SCTP_AUTH_KEY'],
  ...['SCTP_AUTH_ACTIVE_KEY', 'SCTP_AUTH_DELETE_KEY'],
  ...['SCTP_AUTH_DEACTIVATE_KEY', 'SCTP_PEER_AUTH_CHUNKS'],
  ...['SCTP_LOCAL_AUTH_CHUNKS', 'SCTP_GET_ASSOC_NUMBER'],
  ...[
    'SCTP_GET_ASSOC_ID_LIST',
    'SCTP_PR_ASSOC_STATUS',
    'SCTP_PR_STREAM_STATUS',
  ],
  ...['SCTP_RESET_STREAMS', 'SCTP_RESET_ASSOC', 'SCTP_ADD_STREAMS'],
  ...['SCTP_EVENT', 'IPV6_V6ONLY'],
];

/** Options of Linux 5.11 and later. */
const SINCE_5_11 = [
  'SCTP_REMOTE_UDP_ENCAPS_PORT',
  'SCTP_PLPMTUD_PROBE_INTERVAL',
];

test('getOption() reads every option that the kernel lets be read', async (t) => {
  const { client } = await pair(t, {}, { streamReset: true });
  const refused = [];
  for (const { name } of options) {
    try {
      client.getOption(name);
    } catch (error) {
      if (/this kernel does not have it/.test(error.message)) {
        assert.ok(SINCE_5_11.includes(name), error.message);
        continue;
      }
      assert.equal(error.syscall, 'getsockopt', `${name}: ${error.stack}`);
      assert.equal(error.option, name);
      assert.match(
        error.message,
        new RegExp(`^getsockopt ${error.code} ${name}`),
      );
      refused.push(name);
    }
  }
  assert.deepEqual(refused.sort(), [...UNREADABLE].sort());
});

for (const [name, fields, of] of [
  ['SCTP_DISABLE_FRAGMENTS', { value: 1 }],
  ['SCTP_CONTEXT', { assoc_value: 7 }],
  ['SCTP_AUTO_ASCONF', { value: 1 }],
  ['SCTP_DEFAULT_SNDINFO', { snd_sid: 3, snd_ppid: 9 }],
  ['SCTP_DEFAULT_PRINFO', { pr_policy: 0x10, pr_value: 5000 }],
  ['SCTP_EXPOSE_POTENTIALLY_FAILED_STATE', { assoc_value: 1 }],
  ['SCTP_MAX_BURST', { assoc_value: 3 }],
  ['SCTP_PARTIAL_DELIVERY_POINT', { value: 3000 }],
  ['SCTP_DELAYED_SACK', { sack_delay: 120, sack_freq: 5 }],
  [
    'SCTP_PEER_ADDR_THLDS_V2',
    { spt_pathmaxrxt: 4, spt_pathpfthld: 2, spt_pathcpthld: 9 },
    { spt_address: { address: '127.0.0.1' } },
  ],
]) {
  test(`${name} is read as it was set`, async (t) => {
    const { client } = await pair(t);
    const before = client.getOption(name, of);
    for (const field of Object.keys(fields)) {
      assert.notEqual(before[field], fields[field]);
    }
    client.setOption(name, { ...of, ...fields });
    const { ...read } = client.getOption(name, of);
    assert.deepEqual({ ...read, ...fields }, read);
  });
}

test('SCTP_DISABLE_FRAGMENTS lets messages of several packets fail', async (t) => {
  const { client } = await pair(t, {}, { maxSegment: 600 });
  client.setOption('SCTP_DISABLE_FRAGMENTS', { value: 1 });
  client.write(Buffer.alloc(601));
  const [error] = await once(client, 'error');
  assert.equal(error.code, 'EMSGSIZE');
});

test('setOption() changes what getOption() and the kernel’s list show', async (t) => {
  const { client } = await pair(t);
  const rto = { srto_initial: 500, srto_min: 300, srto_max: 4000 };
  assert.equal(client.setOption('SCTP_RTOINFO', rto), client);
  const { srto_assoc_id, ...read } = client.getOption('SCTP_RTOINFO');
  assert.deepEqual(read, rto);
  assert.equal(srto_assoc_id, client.status().associationId);
  client.setOption('SCTP_ASSOCINFO', { sasoc_asocmaxrxt: 4 });
  assert.equal(client.getOption('SCTP_ASSOCINFO').sasoc_asocmaxrxt, 4);
  client.setOption('SCTP_MAXSEG', { assoc_value: 700 });
  assert.equal(client.status().fragmentationPoint, 700);
});

test('an address in an option needs no port', async (t) => {
  const { client } = await pair(t);
  const spp_address = { address: '127.0.0.1' };
  client.setOption('SCTP_PEER_ADDR_PARAMS', {
    spp_address,
    spp_flags: 1,
    spp_hbinterval: 12_000,
  });
  const path = client.getOption('SCTP_PEER_ADDR_PARAMS', { spp_address });
  assert.equal(path.spp_hbinterval, 12_000);
  assert.deepEqual(path.spp_address, {
    address: '127.0.0.1',
    family: 'IPv4',
    port: client.remotePort,
  });
});

test('associations inherit the options that their server was given', async (t) => {
  const server = await t.listen({});
  server.setOption('SCTP_RTOINFO', { srto_max: 7000 });
  assert.equal(server.getOption('SCTP_RTOINFO').srto_max, 7000);
  t.connect({ host: '127.0.0.1', port: server.address().port });
  const [peer] = await once(server, 'connection');
  assert.equal(peer.getOption('SCTP_RTOINFO').srto_max, 7000);
});

for (const [what, name, fields, code, text] of [
  ['an unknown option', 'SCTP_NONE', {}, 'ERR_INVALID_ARG_VALUE', 'no option'],
  ['a name that is none', 7, {}, 'ERR_INVALID_ARG_TYPE', '"name"'],
  [
    'an unknown field',
    'SCTP_RTOINFO',
    { rto_max: 1 },
    'ERR_INVALID_ARG_VALUE',
    'fields.rto_max.*srto_initial',
  ],
  [
    'a number that is none',
    'SCTP_RTOINFO',
    { srto_max: '1' },
    'ERR_INVALID_ARG_TYPE',
    'fields.srto_max',
  ],
  [
    'a number too large',
    'SCTP_INITMSG',
    { sinit_max_attempts: 65_536 },
    'ERR_OUT_OF_RANGE',
    'fields.sinit_max_attempts.*65535',
  ],
  [
    'an address that is none',
    'SCTP_PRIMARY_ADDR',
    { ssp_addr: '127.0.0.1' },
    'ERR_INVALID_ARG_TYPE',
    'fields.ssp_addr',
  ],
  [
    'a list that is none',
    'SCTP_RESET_STREAMS',
    { srs_stream_list: 1 },
    'ERR_INVALID_ARG_TYPE',
    'fields.srs_stream_list',
  ],
  [
    'an option that the package relies on',
    'SCTP_RECVRCVINFO',
    { value: 0 },
    'ERR_INVALID_ARG_VALUE',
    'relies on',
  ],
  [
    'the end of a subscription that the package relies on',
    'SCTP_EVENT',
    { se_type: constants.SCTP_ASSOC_CHANGE, se_on: 0 },
    'ERR_INVALID_ARG_VALUE',
    'relies on',
  ],
  [
    'an option that Linux does not have',
    'SCTP_EXPLICIT_EOR',
    { value: 1 },
    'ENOPROTOOPT',
    'setsockopt ENOPROTOOPT SCTP_EXPLICIT_EOR: this kernel does not have it',
  ],
  [
    'values that the kernel refuses',
    'SCTP_RTOINFO',
    { srto_min: 5000, srto_max: 100 },
    'EINVAL',
    'setsockopt EINVAL SCTP_RTOINFO',
  ],
]) {
  test(`setOption() refuses ${what}, and nothing is lost`, async (t) => {
    const { client, peer } = await pair(t);
    assert.throws(() => client.setOption(name, fields), {
      code,
      message: new RegExp(text),
    });
    client.write('still here');
    const [data] = await messages(peer, 1);
    assert.equal(String(data), 'still here');
  });
}

test('getOption() and setOption() of a closed socket throw ERR_SOCKET_CLOSED', async (t) => {
  const { client } = await pair(t);
  client.destroy();
  const closed = { code: 'ERR_SOCKET_CLOSED' };
  assert.throws(() => client.getOption('SCTP_STATUS'), closed);
  assert.throws(() => client.setOption('SCTP_NODELAY', { value: 1 }), closed);
  assert.throws(() => client.setPrimary('127.0.0.1'), closed);
});

test('stats() counts packets and chunks', async (t) => {
  const { client, peer } = await pair(t);
  client.stats();
  for (let i = 0; i < 10; i++) client.write('x');
  client.send('y', { unordered: true });
  await messages(peer, 11);
  const sent = client.stats();
  assert.equal(sent.oodchunks, 10);
  assert.equal(sent.ouodchunks, 1);
  assert.equal(client.stats().oodchunks, 10);
  assert.ok(sent.opackets >= 1);
  const received = peer.stats();
  assert.equal(received.iodchunks + received.iuodchunks, 11);
  client.destroy();
  assert.equal(client.stats(), undefined);
});

test('adaptation, maxSegment, maxBurst, cookieLife and ecn reach the kernel', async (t) => {
  const { client, peer } = await pair(
    t,
    { ecn: false },
    { adaptation: 77, maxSegment: 600, maxBurst: 2, cookieLife: 12_000 },
  );
  assert.equal(client.getOption('SCTP_MAXSEG').assoc_value, 600);
  assert.equal(client.status().fragmentationPoint, 600);
  assert.equal(client.getOption('SCTP_MAX_BURST').assoc_value, 2);
  assert.equal(client.getOption('SCTP_ASSOCINFO').sasoc_cookie_life, 12_000);
  assert.equal(peer.getOption('SCTP_ECN_SUPPORTED').assoc_value, 0);
  assert.equal(
    client.getOption('SCTP_ADAPTATION_LAYER').ssb_adaptation_ind,
    77,
  );
});

test('the peer gets the number of adaptation', async (t) => {
  const server = await t.listen({});
  const seen = new Promise((resolve) => {
    server.on('connection', (peer) => {
      peer.on('notification', ({ type, parsed }) => {
        if (type === 'SCTP_ADAPTATION_INDICATION') resolve(parsed);
      });
    });
  });
  t.connect({ host: '127.0.0.1', port: server.address().port, adaptation: 99 });
  assert.equal((await seen).sai_adaptation_ind, 99);
});

test('sendBufferSize and recvBufferSize bound the buffers', async (t) => {
  const small = 16_384;
  const { client } = await pair(
    t,
    {},
    { sendBufferSize: small, recvBufferSize: small },
  );
  assert.equal(client.getOption('SO_SNDBUF').value, 2 * small);
  assert.equal(client.getOption('SO_RCVBUF').value, 2 * small);
  assert.equal(client.maxSendSize, 2 * small);
  assert.throws(() => client.write(Buffer.alloc(2 * small + 1)), {
    code: 'ERR_OUT_OF_RANGE',
  });
});

test('before there is a socket, messages longer than sendBufferSize throw, too', async (t) => {
  const server = await t.listen({});
  const { address: host, port } = server.address();
  const small = 16_384;
  const client = t.connect({ host, port, sendBufferSize: small });
  client.write('hello');
  const tooLong = () => client.write(Buffer.alloc(2 * small + 1));
  assert.throws(tooLong, { code: 'ERR_OUT_OF_RANGE' });
  await once(client, 'connect');
  assert.equal(client.maxSendSize, 2 * small);
  assert.throws(tooLong, { code: 'ERR_OUT_OF_RANGE' });
});

test('bindToDevice keeps a socket to its interface', async (t) => {
  const server = await t.listen({ host: '127.0.0.1' });
  const { port } = server.address();
  const client = t.connect({ host: '127.0.0.1', port, bindToDevice: 'lo' });
  await once(client, 'connect');
  const { value } = client.getOption('SO_BINDTODEVICE');
  assert.equal(value.subarray(0, 3).toString(), 'lo\0');
  const missing = t.connect({ host: '127.0.0.1', port, bindToDevice: 'none0' });
  const [error] = await once(missing, 'error');
  assert.equal(error.message, 'setsockopt ENODEV SO_BINDTODEVICE');
});

test('dscp is that of the paths, together with heartbeats', async (t) => {
  const { client } = await pair(
    t,
    {},
    { dscp: 46, heartbeat: { interval: 5000 } },
  );
  const path = client.getOption('SCTP_PEER_ADDR_PARAMS', {
    spp_address: { address: '127.0.0.1' },
  });
  assert.equal(path.spp_dscp >> 2, 46);
  assert.equal(path.spp_hbinterval, 5000);
});

test('an option that the kernel refuses is named by connect() and listen()', async (t) => {
  const server = t.server({ maxSegment: 1 });
  server.listen(0, '127.0.0.1');
  const [error] = await once(server, 'error');
  assert.equal(error.message, 'setsockopt EINVAL SCTP_MAXSEG');
  assert.equal(error.option, 'SCTP_MAXSEG');
  const client = t.connect({ port: 9, host: '127.0.0.1', maxSegment: 1 });
  assert.deepEqual(await ending(client), ['EINVAL', 'close']);
});

test('udpEncapsulation without its sysctl, or before Linux 5.11, fails and says so', async (t) => {
  const options = { port: 9, host: '127.0.0.1', udpEncapsulation: 9899 };
  if (fs.existsSync('/proc/sys/net/sctp/udp_port')) {
    assert.throws(() => t.connect(options), {
      code: 'ERR_SCTP_NOT_ENABLED',
      message: /net\.sctp\.udp_port/,
    });
    return;
  }
  const [error] = await once(t.connect(options), 'error');
  assert.equal(
    error.message,
    'setsockopt ENOPROTOOPT SCTP_REMOTE_UDP_ENCAPS_PORT: this kernel does not have it',
  );
});
