'use strict';

const assert = require('node:assert/strict');

const EN10MB = 1;
const IPV4 = 0x0800;
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

/** The chunks of an Ethernet frame with SCTP over IPv4 (RFC 9260 section 3). */
function* chunks(frame) {
  if (frame.readUInt16BE(12) !== IPV4) return;
  const packet = frame.subarray(14);
  if (packet[9] !== SCTP) return;
  const end = packet.readUInt16BE(2);
  const header = (packet[0] & 0x0f) * 4;
  for (let at = header + 12; at + 4 <= end; ) {
    const length = packet.readUInt16BE(at + 2);
    yield packet.subarray(at, at + length);
    at += (length + 3) & ~3;
  }
}

/** The DATA chunks of a capture (RFC 9260 section 3.3.1). */
function dataChunks(capture) {
  return [...frames(capture)]
    .flatMap((frame) => [...chunks(frame)])
    .filter((chunk) => chunk[0] === DATA)
    .map((chunk) => ({
      unordered: (chunk[1] & UNORDERED) !== 0,
      sid: chunk.readUInt16BE(8),
      ppid: [...chunk.subarray(12, 16)],
      text: chunk.toString('utf8', 16),
    }));
}

module.exports = { dataChunks };
