'use strict';

const assert = require('node:assert/strict');
const { until } = require('./events');

const EN10MB = 1;
const IPV4 = 0x0800;
const UDP = 17;
const SCTP = 132;
const DATA = 0;
const UNORDERED = 0x04;

/** The frames of a capture that tcpdump may still be writing. */
function* frames(capture) {
  if (capture.length < 24) return;
  // Microseconds, in the byte order of the machine that has captured.
  const little = capture.readUInt32LE(0) === 0xa1b2c3d4;
  if (!little) assert.equal(capture.readUInt32BE(0), 0xa1b2c3d4, 'no pcap');
  const u32 = (at) =>
    little ? capture.readUInt32LE(at) : capture.readUInt32BE(at);
  assert.equal(u32(20), EN10MB, 'the link type of the capture');

  for (let at = 24; at + 16 <= capture.length; ) {
    const start = at + 16;
    at = start + u32(at + 8);
    if (at <= capture.length) yield capture.subarray(start, at);
  }
}

/** The packets of a protocol over IPv4. */
const ofProtocol = (capture, protocol) =>
  [...frames(capture)]
    .filter(
      (frame) => frame.readUInt16BE(12) === IPV4 && frame[14 + 9] === protocol,
    )
    .map((frame) => frame.subarray(14));

/** The SCTP packets of a capture over IPv4 (RFC 9260 section 3). */
function packets(capture) {
  return ofProtocol(capture, SCTP).map((packet) => {
    const end = packet.readUInt16BE(2);
    const chunks = [];
    for (let at = (packet[0] & 0x0f) * 4 + 12; at + 4 <= end; ) {
      const length = packet.readUInt16BE(at + 2);
      const bytes = packet.subarray(at, at + length);
      chunks.push({ type: bytes[0], flags: bytes[1], bytes });
      at += (length + 3) & ~3;
    }
    return {
      dscp: packet[1] >> 2,
      from: packet.subarray(12, 16).join('.'),
      to: packet.subarray(16, 20).join('.'),
      chunks,
    };
  });
}

/** The DATA chunks of a capture (RFC 9260 section 3.3.1). */
const dataChunks = (capture) =>
  packets(capture)
    .flatMap(({ chunks }) => chunks)
    .filter(({ type }) => type === DATA)
    .map(({ flags, bytes }) => ({
      unordered: (flags & UNORDERED) !== 0,
      sid: bytes.readUInt16BE(8),
      ppid: [...bytes.subarray(12, 16)],
      text: bytes.toString('utf8', 16),
    }));

/**
 * Captures what an interface carries, in its order. `packets()` returns the packets
 * of SCTP so far, `datagrams()` those of UDP.
 */
async function sniff(t, device) {
  const args = [
    ...['-i', device, '-n', 'sctp or udp'],
    ...['-U', '-w', '-', '--immediate-mode'],
  ];
  const child = t.spawn('tcpdump', args, 'ignore', 'pipe');
  let capture = Buffer.alloc(0);
  child.stdout.on('data', (data) => {
    capture = Buffer.concat([capture, data]);
  });
  let text = '';
  child.stderr.on('data', (data) => {
    text += data;
  });
  await until(() => /listening on/.test(text));
  return {
    packets: () => packets(capture),
    datagrams: () => ofProtocol(capture, UDP),
  };
}

module.exports = { dataChunks, packets, sniff };
