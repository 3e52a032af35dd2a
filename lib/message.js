'use strict';

/** Messages to write and their attributes (RFC 6458 sections 5.3.4, 5.3.7). */

const { Buffer } = require('node:buffer'); // the global one is a getter
const {
  invalidType,
  invalidValue,
  noStream,
  unknownEncoding,
} = require('./errors');
const { UINT16, UINT32, address, boolean, integer } = require('./arguments');
const binding = require('./binding');

/** Attributes that a message may have as properties of its Buffer. */
const BASIC = ['sid', 'ppid', 'unordered', 'ttl'];

/** Attributes that only send() takes. */
const EXTENDED = [
  ...['context', 'maxRetransmits', 'priority', 'sackImmediately', 'address'],
];
const ATTRIBUTES = [...BASIC, ...EXTENDED];

/** The property of a Buffer that has the extended attributes. */
const EXTRA = Symbol('attributes');

/** Lifetimes of a message, of which it has one (RFC 3758, RFC 7496). */
const POLICIES = { ttl: 0x10, maxRetransmits: 0x20, priority: 0x30 };

/** Words of a message's attributes, `struct sd_attributes` of the addon. */
const WORDS = 13;
const ADDRESS_AT = 24; // bytes
const ADDRESS_BYTES = 28;

/** Flags of struct sctp_sndinfo, RFC 6458 section 5.3.4. */
const UNORDERED = 1;
const SACK = 8;

/**
 * Checks the attributes of a message, and returns whether it has any. `streams()`
 * returns the number of outgoing streams.
 */
function checkAttributes(attributes, streams) {
  const { sid, ppid, ttl, unordered } = attributes;
  if (sid !== undefined && sid !== 0) {
    integer(sid, 'sid', 0, UINT16);
    if (sid >= streams()) throw noStream(sid, streams());
  }
  if (ppid !== undefined) integer(ppid, 'ppid', 0, UINT32);
  if (ttl !== undefined) integer(ttl, 'ttl', 0, UINT32);
  if (typeof (unordered ?? false) !== 'boolean') {
    throw invalidType('unordered', 'of type boolean', unordered);
  }
  return (sid ?? ppid ?? ttl ?? unordered) !== undefined;
}

/** Returns an address of the peer as the kernel has it. */
const socketAddress = (to, port) =>
  binding
    .fromAddress(address(to, 'address'), port() ?? 0)
    .subarray(0, ADDRESS_BYTES);

const isGiven = (value) => value !== undefined && value !== null;

/** Checks the attributes that only send() takes. Returns undefined without any. */
function checkExtended(given, port) {
  const { context, maxRetransmits, priority, sackImmediately } = given;
  const extra = {
    context: integer(context, 'context', 0, UINT32),
    maxRetransmits: integer(maxRetransmits, 'maxRetransmits', 0, UINT32),
    priority: integer(priority, 'priority', 0, UINT32),
    sackImmediately: boolean(sackImmediately, 'sackImmediately'),
    address: isGiven(given.address)
      ? socketAddress(given.address, port)
      : undefined,
  };
  // A ttl of 0 is none.
  const [policy, other] = Object.keys(POLICIES).filter((name) =>
    name === 'ttl' ? given.ttl : isGiven(given[name]),
  );
  if (other) {
    throw invalidValue(other, `must not be given with ${policy}`, given[other]);
  }
  return Object.values(extra).some((value) => value !== undefined)
    ? extra
    : undefined;
}

/**
 * Checks the attributes that send() is given; `port()` returns the peer's. A wrong name
 * is a mistake. A message that has arrived may be passed as its own attributes.
 */
function attributes(value, port) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'object') {
    throw invalidType('attributes', 'of type object', value);
  }
  if (ArrayBuffer.isView(value)) return value;
  const unknown = Object.keys(value).find((name) => !ATTRIBUTES.includes(name));
  if (unknown !== undefined) {
    throw invalidValue(
      `attributes.${unknown}`,
      `is none of ${ATTRIBUTES.join(', ')}`,
      value[unknown],
    );
  }
  const extra = checkExtended(value, port);
  return extra ? { ...value, [EXTRA]: extra } : value;
}

/** Returns text and bytes as a Buffer, anything else as it is. */
function toBuffer(data, encoding) {
  if (typeof data === 'string') return Buffer.from(data, encoding);
  if (ArrayBuffer.isView(data) && !Buffer.isBuffer(data)) {
    return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  }
  return data;
}

/** Sets the attributes of a message: those `given`, or else those of `own`. */
function withAttributes(message, own, given = own) {
  const {
    sid = own.sid,
    ppid = own.ppid,
    unordered = own.unordered,
    ttl = own.ttl,
  } = given;
  if (given[EXTRA]) message[EXTRA] = given[EXTRA];
  return Object.assign(message, { sid, ppid, unordered, ttl });
}

function checkEncoding(encoding) {
  if (typeof encoding !== 'string') {
    throw invalidType(
      'encoding',
      'of type string (attributes are for send())',
      encoding,
    );
  }
  // Writable hands on Buffers with the encoding 'buffer'.
  if (encoding !== 'buffer' && !Buffer.isEncoding(encoding)) {
    throw unknownEncoding(encoding);
  }
}

function writeExtended(
  words,
  { context, sackImmediately, address: to, ...rest },
) {
  if (sackImmediately) words[2] |= SACK;
  for (const policy of ['maxRetransmits', 'priority']) {
    if (rest[policy] === undefined) continue;
    words[3] = POLICIES[policy];
    words[4] = rest[policy];
  }
  if (context) words[5] = context;
  if (to) new Uint8Array(words.buffer).set(to, words.byteOffset + ADDRESS_AT);
}

/** Writes the attributes of a message to its words. */
function writeAttributes(words, { sid, ppid, unordered, ttl, [EXTRA]: extra }) {
  if (sid) words[0] = sid;
  if (ppid) words[1] = ppid;
  if (unordered) words[2] = UNORDERED;
  if (ttl) {
    words[3] = POLICIES.ttl;
    words[4] = ttl;
  }
  if (extra) writeExtended(words, extra);
}

/** Returns the array that the addon takes: attributes, then the messages. */
function elements(messages) {
  const attributes = new Uint32Array(WORDS * messages.length);
  const list = [attributes];
  for (const data of messages) {
    if (data.length === 0) continue;
    const at = WORDS * (list.length - 1);
    writeAttributes(attributes.subarray(at, at + WORDS), data);
    list.push(data);
  }
  list[0] = attributes.subarray(0, WORDS * (list.length - 1));
  return list;
}

module.exports = {
  EXTRA,
  attributes,
  checkAttributes,
  checkEncoding,
  elements,
  toBuffer,
  withAttributes,
};
