'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { constants } = require('../..');
const { decode } = require('../../lib/notification');
const {
  ending,
  messages,
  pair,
  run,
  runPython,
  test,
  until,
} = require('../helpers');

/** The next notification of a type. */
function notification(socket, type) {
  return new Promise((resolve) => {
    socket.on('notification', function take(event) {
      if (event.type !== type) return;
      socket.removeListener('notification', take);
      resolve(event);
    });
  });
}

test('SCTP_ASSOC_CHANGE tells of the start, after connect and connection', async (t) => {
  const server = await t.listen({});
  const events = [];
  const seen = new Promise((resolve) => {
    server.on('connection', (peer) => {
      events.push('connection');
      peer.on('notification', (event) => {
        if (event.type === 'SCTP_ASSOC_CHANGE') resolve(event);
      });
    });
  });
  const client = t.connect({ host: '127.0.0.1', port: server.address().port });
  client.on('connect', () => events.push('connect'));
  client.on('notification', () => events.push('notification'));
  const updated = once(client, 'peer-info-update');
  const { type, raw, parsed, interpreted } = await seen;
  await updated;
  assert.equal(type, 'SCTP_ASSOC_CHANGE');
  assert.equal(interpreted, 'SCTP_ASSOC_CHANGE: SCTP_COMM_UP, MIS 10 / OS 10');
  const { sac_assoc_id, sac_info, ...fields } = parsed;
  assert.deepEqual(fields, {
    sac_type: constants.SCTP_ASSOC_CHANGE,
    sac_flags: 0,
    sac_length: raw.length,
    sac_state: constants.SCTP_COMM_UP,
    sac_error: 0,
    sac_outbound_streams: 10,
    sac_inbound_streams: 10,
  });
  assert.ok(sac_assoc_id > 0);
  assert.ok(Buffer.isBuffer(raw) && Buffer.isBuffer(sac_info));
  assert.ok(events.indexOf('connect') < events.indexOf('notification'));
});

test('SCTP_SHUTDOWN_EVENT and SCTP_SHUTDOWN_COMP tell of a graceful end', async (t) => {
  const { client, peer } = await pair(t);
  const seen = { client: [], peer: [] };
  for (const [name, socket] of Object.entries({ client, peer })) {
    socket.on('notification', ({ interpreted }) =>
      seen[name].push(interpreted),
    );
  }
  client.resume().end();
  await Promise.all([ending(client), ending(peer.resume())]);
  // A socket may not read any more after the end of its input.
  assert.ok(seen.peer.includes('SCTP_SHUTDOWN_EVENT'));
  assert.ok(
    seen.client.includes('SCTP_ASSOC_CHANGE: SCTP_SHUTDOWN_COMP, MIS 0 / OS 0'),
  );
});

test('SCTP_COMM_LOST tells of an abort and its cause', async (t) => {
  const { client, peer } = await pair(t);
  const lost = [];
  peer.on('notification', (event) => {
    if (event.parsed.sac_state === constants.SCTP_COMM_LOST) lost.push(event);
  });
  client.destroy();
  await ending(peer.resume());
  assert.equal(lost.length, 1);
  assert.equal(lost[0].parsed.sac_error, 12); // User-Initiated Abort
  assert.match(lost[0].interpreted, /SCTP_COMM_LOST, .*error 12$/);
});

test('SCTP_SENDER_DRY_EVENT tells that all was acknowledged', async (t) => {
  const { client, peer } = await pair(t);
  await notification(client, 'SCTP_SENDER_DRY_EVENT'); // on subscribing
  const dry = notification(client, 'SCTP_SENDER_DRY_EVENT');
  client.write('x');
  await messages(peer, 1);
  const { parsed, interpreted } = await dry;
  assert.equal(interpreted, 'SCTP_SENDER_DRY_EVENT');
  assert.equal(parsed.sender_dry_assoc_id, client.status().associationId);
  assert.equal(client.status().unackdata, 0);
});

test('prependListener() asks for all notifications, too', async (t) => {
  const { client } = await pair(t);
  const dry = new Promise((resolve) => {
    client.prependListener('notification', ({ type }) => {
      if (type === 'SCTP_SENDER_DRY_EVENT') resolve();
    });
  });
  client.write('x');
  await dry;
});

test('SCTP_SEND_FAILED_EVENT gives back what was not sent', async (t) => {
  const { client, peer } = await pair(t);
  peer.pause();
  const message = Buffer.alloc(client.maxSendSize / 4);
  for (let i = 0; i < 16; i++) client.write(message);
  const failed = [];
  client.on('notification', (event) => {
    if (event.type === 'SCTP_SEND_FAILED_EVENT') failed.push(event);
  });
  await until(() => client.writableLength > 0);
  const end = ending(client.resume());
  peer.destroy();
  assert.deepEqual(await end, ['ECONNRESET', 'close']);
  assert.ok(failed.length > 0);
  const [{ parsed, interpreted }] = failed;
  assert.equal(parsed.ssfe_info.snd_sid, 0);
  assert.ok(parsed.ssfe_data.length > 0);
  assert.match(
    interpreted,
    /^SCTP_SEND_FAILED_EVENT: SCTP_DATA_(UN)?SENT, sid 0, \d+ bytes$/,
  );
});

test('SCTP_ADAPTATION_INDICATION tells the peer’s layer', async (t) => {
  const server = await t.listen({});
  const indication = new Promise((resolve) => {
    server.on('connection', (peer) => {
      peer.on('error', () => {});
      notification(peer, 'SCTP_ADAPTATION_INDICATION').then(resolve);
    });
  });
  await runPython(
    `
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)
SCTP_ADAPTATION_LAYER = 7
s.setsockopt(132, SCTP_ADAPTATION_LAYER, struct.pack('I', 0x12345678))
s.connect(('127.0.0.1', int(sys.argv[1])))
`,
    server.address().port,
  );
  const { parsed, interpreted } = await indication;
  assert.equal(parsed.sai_adaptation_ind, 0x12345678);
  assert.equal(interpreted, 'SCTP_ADAPTATION_INDICATION: 0x12345678');
});

// Notifications that are rare, or need extensions to be configured, are
// decoded from bytes laid out as in linux/sctp.h.
const u16 = (...values) => Buffer.from(new Uint16Array(values).buffer);
const u32 = (...values) => Buffer.from(new Uint32Array(values).buffer);
const head = (type, length, flags = 0) =>
  Buffer.concat([u16(constants[type], flags), u32(length)]);
const address4 = Buffer.concat([
  u16(2),
  Buffer.from([0x13, 0x88, 10, 0, 0, 7]),
  Buffer.alloc(120),
]);
const address6 = Buffer.concat([
  u16(10),
  Buffer.from([0x13, 0x88, 0, 0, 0, 0]),
  Buffer.from('fd000000000000000000000000000001', 'hex'),
  Buffer.alloc(104),
]);

const layouts = {
  SCTP_PEER_ADDR_CHANGE: {
    bytes: [head('SCTP_PEER_ADDR_CHANGE', 148), address4, u32(1, 0, 5)],
    parsed: {
      spc_type: 0x8002,
      spc_flags: 0,
      spc_length: 148,
      spc_aaddr: { address: '10.0.0.7', family: 'IPv4', port: 5000 },
      spc_state: 1,
      spc_error: 0,
      spc_assoc_id: 5,
    },
    interpreted: 'SCTP_PEER_ADDR_CHANGE: SCTP_ADDR_UNREACHABLE, 10.0.0.7',
  },
  'SCTP_PEER_ADDR_CHANGE of IPv6': {
    bytes: [head('SCTP_PEER_ADDR_CHANGE', 148), address6, u32(0, 0, 5)],
    parsed: {
      spc_type: 0x8002,
      spc_flags: 0,
      spc_length: 148,
      spc_aaddr: { address: 'fd00::1', family: 'IPv6', port: 5000 },
      spc_state: 0,
      spc_error: 0,
      spc_assoc_id: 5,
    },
    interpreted: 'SCTP_PEER_ADDR_CHANGE: SCTP_ADDR_AVAILABLE, fd00::1',
  },
  SCTP_REMOTE_ERROR: {
    bytes: [
      head('SCTP_REMOTE_ERROR', 20),
      Buffer.from([0, 6, 0, 0]),
      u32(5),
      Buffer.from([0, 6, 0, 4]),
    ],
    parsed: {
      sre_type: 0x8004,
      sre_flags: 0,
      sre_length: 20,
      sre_error: 6,
      sre_assoc_id: 5,
      sre_data: Buffer.from([0, 6, 0, 4]),
    },
    interpreted: 'SCTP_REMOTE_ERROR: error 6',
  },
  SCTP_SEND_FAILED: {
    bytes: [
      head('SCTP_SEND_FAILED', 51, 1),
      Buffer.from([0, 0, 0, 13]),
      u16(3, 0, 4, 0),
      Buffer.from([0, 0, 0, 46]),
      u32(7, 1000, 0, 0, 5),
      u32(5),
      Buffer.from('abc'),
    ],
    parsed: {
      ssf_type: 0x8003,
      ssf_flags: 1,
      ssf_length: 51,
      ssf_error: 13,
      ssf_info: {
        sinfo_stream: 3,
        sinfo_ssn: 0,
        sinfo_flags: 4,
        sinfo_ppid: 46,
        sinfo_context: 7,
        sinfo_timetolive: 1000,
        sinfo_tsn: 0,
        sinfo_cumtsn: 0,
        sinfo_assoc_id: 5,
      },
      ssf_assoc_id: 5,
      ssf_data: Buffer.from('abc'),
    },
    interpreted: 'SCTP_SEND_FAILED: SCTP_DATA_SENT, sid 3, 3 bytes',
  },
  SCTP_PARTIAL_DELIVERY_EVENT: {
    bytes: [head('SCTP_PARTIAL_DELIVERY_EVENT', 24), u32(0, 5, 3, 17)],
    parsed: {
      pdapi_type: 0x8006,
      pdapi_flags: 0,
      pdapi_length: 24,
      pdapi_indication: constants.SCTP_PARTIAL_DELIVERY_ABORTED,
      pdapi_assoc_id: 5,
      pdapi_stream: 3,
      pdapi_seq: 17,
    },
    interpreted: 'SCTP_PARTIAL_DELIVERY_EVENT: sid 3 aborted',
  },
  SCTP_AUTHENTICATION_EVENT: {
    bytes: [head('SCTP_AUTHENTICATION_EVENT', 20), u16(9, 0), u32(0, 5)],
    parsed: {
      auth_type: 0x8008,
      auth_flags: 0,
      auth_length: 20,
      auth_keynumber: 9,
      auth_altkeynumber: 0,
      auth_indication: constants.SCTP_AUTH_NEW_KEY,
      auth_assoc_id: 5,
    },
    interpreted: 'SCTP_AUTHENTICATION_EVENT: SCTP_AUTH_NEW_KEY, key 9',
  },
  SCTP_STREAM_RESET_EVENT: {
    bytes: [head('SCTP_STREAM_RESET_EVENT', 16, 1), u32(5), u16(2, 4)],
    parsed: {
      strreset_type: 0x800a,
      strreset_flags: constants.SCTP_STREAM_RESET_INCOMING_SSN,
      strreset_length: 16,
      strreset_assoc_id: 5,
      strreset_stream_list: [2, 4],
    },
    interpreted: 'SCTP_STREAM_RESET_EVENT: flags 1, sids 2 4',
  },
  SCTP_ASSOC_RESET_EVENT: {
    bytes: [head('SCTP_ASSOC_RESET_EVENT', 20), u32(5, 100, 200)],
    parsed: {
      assocreset_type: 0x800b,
      assocreset_flags: 0,
      assocreset_length: 20,
      assocreset_assoc_id: 5,
      assocreset_local_tsn: 100,
      assocreset_remote_tsn: 200,
    },
    interpreted: 'SCTP_ASSOC_RESET_EVENT: flags 0',
  },
  SCTP_STREAM_CHANGE_EVENT: {
    bytes: [head('SCTP_STREAM_CHANGE_EVENT', 16), u32(5), u16(20, 30)],
    parsed: {
      strchange_type: 0x800c,
      strchange_flags: 0,
      strchange_length: 16,
      strchange_assoc_id: 5,
      strchange_instrms: 20,
      strchange_outstrms: 30,
    },
    interpreted: 'SCTP_STREAM_CHANGE_EVENT: MIS 20 / OS 30',
  },
};

for (const [name, { bytes, parsed, interpreted }] of Object.entries(layouts)) {
  test(`${name} is decoded, also unaligned, and not when it is cut short`, () => {
    const raw = Buffer.concat(bytes);
    const type = name.split(' ')[0];
    const unaligned = Buffer.concat([Buffer.alloc(1), raw]).subarray(1);
    for (const data of [raw, unaligned]) {
      assert.deepEqual(decode(data), { type, raw: data, parsed, interpreted });
    }
    const fixed = { SCTP_REMOTE_ERROR: 16, SCTP_SEND_FAILED: 48 };
    const size =
      fixed[type] ?? (type === 'SCTP_STREAM_RESET_EVENT' ? 12 : raw.length);
    assert.equal(decode(raw.subarray(0, size - 1)), undefined);
    assert.equal(decode(raw.subarray(0, 1)), undefined);
  });
}

test('an unknown notification is none', () => {
  assert.equal(decode(Buffer.concat([u16(0x80ff, 0), u32(8)])), undefined);
  assert.equal(decode(Buffer.alloc(0)), undefined);
});

test('an unknown value in a notification is its number', () => {
  const raw = Buffer.concat([
    head('SCTP_PEER_ADDR_CHANGE', 148),
    address4,
    u32(99, 0, 5),
  ]);
  assert.equal(decode(raw).interpreted, 'SCTP_PEER_ADDR_CHANGE: 99, 10.0.0.7');
});

test('all constants have the names and values of linux/sctp.h', (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'constants-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const program = path.join(directory, 'print');
  const names = Object.keys(constants);
  const { status, stderr } = spawnSync('cc', ['-x', 'c', '-o', program, '-'], {
    encoding: 'utf8',
    env: { ...process.env, LD_PRELOAD: '' }, // of a sanitizer
    input:
      '#include <netinet/in.h>\n#include <stdio.h>\n' +
      `#include <linux/sctp.h>\nint main() {${names
        .map((name) => `printf("${name} %d\\n", ${name});`)
        .join('')}}`,
  });
  assert.equal(status, 0, stderr);
  const printed = run(program).trim().split('\n');
  assert.deepEqual(
    Object.entries(constants).map(([name, value]) => `${name} ${value}`),
    printed,
  );
});
