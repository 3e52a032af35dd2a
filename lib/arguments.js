'use strict';

/**
 * Checks of options and arguments. Each returns undefined if there is no value, but
 * for `required()`.
 */

const { isIP } = require('node:net');
const { badPort, invalidType, invalidValue, outOfRange } = require('./errors');

const UINT8 = 0xff;
const UINT16 = 0xffff;
const UINT32 = 0xffffffff;

/** Returns an integer from min to max, or undefined if there is none. */
function integer(value, name, min, max) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number') {
    throw invalidType(name, 'of type number', value);
  }
  if (!Number.isInteger(value) || value < min || value > max) {
    throw outOfRange(name, `an integer >= ${min} && <= ${max}`, value);
  }
  return value;
}

/** Returns an argument that must be given, by one of the other checks. */
function required(check, value, name, ...range) {
  const checked = check(value, name, ...range);
  if (checked === undefined) throw invalidType(name, 'given', value);
  return checked;
}

/** Returns a port, which may be given as a string, as in node:net. */
function port(value, name) {
  const number = typeof value === 'string' && value.trim() ? +value : value;
  if (typeof number !== 'number' && typeof number !== 'string') {
    throw invalidType(name, 'of type number or string', value);
  }
  if (!Number.isInteger(number) || number < 0 || number > UINT16) {
    throw badPort(name, value);
  }
  return number;
}

function boolean(value, name) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'boolean') {
    throw invalidType(name, 'of type boolean', value);
  }
  return value;
}

/** Returns a group of options, an empty one if there is none. */
function group(value, name) {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object') {
    throw invalidType(name, 'of type object', value);
  }
  return value;
}

function string(value, name) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') {
    throw invalidType(name, 'of type string', value);
  }
  return value;
}

function func(value, name) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'function') {
    throw invalidType(name, 'of type function', value);
  }
  return value;
}

/** Returns an IP address, which may name an interface. */
function address(value, name) {
  if (typeof value !== 'string') {
    throw invalidType(name, 'of type string', value);
  }
  if (!isIP(value)) throw invalidValue(name, 'must be an IP address', value);
  return value;
}

/** Returns the addresses of `options[list]`, or the one of `options[single]`. */
function addresses(options, single, list) {
  const many = options[list];
  const one = options[single];
  if (many === undefined || many === null) {
    return one === undefined || one === null
      ? []
      : [address(one, `options.${single}`)];
  }
  if (one !== undefined && one !== null) {
    throw invalidValue(
      `options.${single}`,
      `must not be given with options.${list}`,
      one,
    );
  }
  if (!Array.isArray(many)) {
    throw invalidType(`options.${list}`, 'an array', many);
  }
  if (many.length === 0) {
    throw invalidValue(`options.${list}`, 'must not be empty', many);
  }
  // Array.from() stops at the first hole of a sparse array.
  return Array.from(many, (value, i) =>
    address(value, `options.${list}[${i}]`),
  );
}

/** Returns the elements of an array. */
function array(value, name) {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) && !ArrayBuffer.isView(value)) {
    throw invalidType(name, 'an array', value);
  }
  return Array.from(value);
}

/** Returns one of these strings. */
function oneOf(value, name, names) {
  if (value === undefined || value === null) return undefined;
  if (!names.includes(value)) {
    throw invalidValue(name, `must be one of ${names.join(', ')}`, value);
  }
  return value;
}

/** Returns a view of bytes. */
function bytes(value, name) {
  if (value === undefined || value === null) return undefined;
  if (!ArrayBuffer.isView(value)) {
    throw invalidType(name, 'a Buffer, TypedArray or DataView', value);
  }
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

/** Bytes of the text of an ABORT at most: it has to fit into one packet. */
const REASON_MAX = 1024;

/** Returns the text that an ABORT gives as its reason, as bytes. */
function abortReason(value, name) {
  if (value === undefined || value === null) return undefined;
  const text = Buffer.from(string(value, name));
  if (text.length > REASON_MAX) {
    throw outOfRange(`${name}.length`, `<= ${REASON_MAX} bytes`, text.length);
  }
  return text;
}

module.exports = {
  UINT8,
  UINT16,
  UINT32,
  abortReason,
  address,
  addresses,
  array,
  boolean,
  bytes,
  func,
  group,
  integer,
  oneOf,
  port,
  required,
  string,
};
