'use strict';

/** Messages to write and their attributes (RFC 6458 sections 5.3.4, 5.3.7). */

const { Buffer } = require('node:buffer'); // the global one is a getter
const {
  invalidType,
  invalidValue,
  noStream,
  unknownEncoding,
} = require('./errors');
const { UINT16, UINT32, integer } = require('./options');

/** Names of the attributes that a message may have. */
const ATTRIBUTES = ['sid', 'ppid', 'unordered', 'ttl'];

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

/** Checks attributes that are given as an object. A wrong name is a mistake. */
function attributes(value) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'object') {
    throw invalidType('attributes', 'of type object', value);
  }
  // A message that has arrived may be passed as its own attributes.
  const names = ArrayBuffer.isView(value) ? [] : Object.keys(value);
  const unknown = names.find((name) => !ATTRIBUTES.includes(name));
  if (unknown !== undefined) {
    throw invalidValue(
      `attributes.${unknown}`,
      `is none of ${ATTRIBUTES.join(', ')}`,
      value[unknown],
    );
  }
  return value;
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
  if (!Buffer.isEncoding(encoding)) throw unknownEncoding(encoding);
}

/** Returns the array that the addon takes: attributes, then the messages. */
function elements(messages) {
  const attributes = new Uint32Array(4 * messages.length);
  const list = [attributes];
  for (const data of messages) {
    const { length, sid, ppid, unordered, ttl } = data;
    if (length === 0) continue;
    const at = 4 * (list.length - 1);
    if (sid) attributes[at] = sid;
    if (ppid) attributes[at + 1] = ppid;
    if (unordered) attributes[at + 2] = 1;
    if (ttl) attributes[at + 3] = ttl;
    list.push(data);
  }
  list[0] = attributes.subarray(0, 4 * (list.length - 1));
  return list;
}

module.exports = {
  attributes,
  checkAttributes,
  checkEncoding,
  elements,
  toBuffer,
  withAttributes,
};
