'use strict';

/** getOption() and setOption(): any option of the kernel by its name. */

const { constants } = require('node:os');
const {
  invalidType,
  invalidValue,
  outOfRange,
  systemError,
} = require('./errors');
const {
  LIMITS,
  elementType,
  fieldsOf,
  notifications,
  option,
  request,
  writeOption,
} = require('./struct');

/** Options that the package needs as they are. */
const RESERVED = [
  ...['SCTP_EVENTS', 'SCTP_RECVRCVINFO', 'SCTP_RECVNXTINFO'],
  ...['SCTP_I_WANT_MAPPED_V4_ADDR', 'SCTP_FRAGMENT_INTERLEAVE'],
  ...['SCTP_INTERLEAVING_SUPPORTED', 'IPV6_V6ONLY'],
];

/** Options that only a one-to-many socket has. */
const ONE_TO_MANY = ['SCTP_AUTOCLOSE'];

/** Options that are set for a socket as a whole, although they name an association. */
const OF_SOCKET = [
  ...['SCTP_PR_SUPPORTED', 'SCTP_RECONFIG_SUPPORTED', 'SCTP_AUTH_SUPPORTED'],
  ...['SCTP_ASCONF_SUPPORTED', 'SCTP_ECN_SUPPORTED'],
];

/** Options of RFC 6458 that Linux does not have. */
const LACKING = ['SCTP_EXPLICIT_EOR', 'SCTP_USE_EXT_RCVINFO'];

/** Needs of an option beside the call, by its name. */
const NEEDS = {
  SCTP_SET_PEER_PRIMARY_ADDR: 'ASCONF, with the peer',
  SCTP_AUTH_CHUNK: 'the option auth',
  SCTP_AUTH_KEY: 'the option auth',
  SCTP_AUTH_ACTIVE_KEY: 'the option auth',
  SCTP_AUTH_DELETE_KEY: 'the option auth',
  SCTP_AUTH_DEACTIVATE_KEY: 'the option auth',
  SCTP_HMAC_IDENT: 'the option auth',
  SCTP_INTERLEAVING_SUPPORTED: 'the sysctl net.sctp.intl_enable',
  SCTP_RESET_STREAMS: 'the option streamReset on both sides',
  SCTP_RESET_ASSOC: 'the option streamReset on both sides',
  SCTP_ADD_STREAMS: 'the option streamReset on both sides',
};

function checkNumber(value, type, name) {
  const [min, max] = LIMITS[type];
  if (typeof value !== 'number') {
    throw invalidType(name, 'of type number', value);
  }
  if (!Number.isInteger(value) || value < min || value > max) {
    throw outOfRange(name, `an integer >= ${min} && <= ${max}`, value);
  }
  return value;
}

/** Returns an address. Its port may be left out: `port` is that of its socket. */
function checkAddress(value, name, port) {
  if (typeof value !== 'object' || value === null) {
    throw invalidType(name, 'of type object', value);
  }
  if (typeof value.address !== 'string') {
    throw invalidType(`${name}.address`, 'of type string', value.address);
  }
  const given = value.port ?? port;
  return {
    address: value.address,
    port: checkNumber(given, 'u16', `${name}.port`),
  };
}

function checkList(value, type, name) {
  if (!Array.isArray(value) && !ArrayBuffer.isView(value)) {
    throw invalidType(name, 'an array', value);
  }
  return Array.from(value, (item, i) =>
    checkNumber(item, type, `${name}[${i}]`),
  );
}

/** Returns the field that names the association, or undefined. */
const associationField = (fields) =>
  fields.find(({ name, type }) => type === 'i32' && name.endsWith('assoc_id'));

/**
 * Checks the fields of a struct. The association, ports and the number of elements
 * of a list are filled in: `known` has what its socket knows of them.
 */
function checkFields(of, values, known, path) {
  if (typeof values !== 'object' || values === null) {
    throw invalidType(path, 'of type object', values);
  }
  const fields = fieldsOf(of);
  const checked = {};
  for (const [name, value] of Object.entries(values)) {
    const field = fields.find((candidate) => candidate.name === name);
    if (!field) {
      const names = fields.map((candidate) => candidate.name).join(', ');
      throw invalidValue(`${path}.${name}`, `is none of ${names}`, value);
    }
    if (value === undefined) continue;
    const { type } = field;
    const where = `${path}.${name}`;
    const element = elementType(type);
    if (LIMITS[type]) checked[name] = checkNumber(value, type, where);
    else if (element) {
      checked[name] = checkList(value, element, where);
      const count = fields.at(-2)?.name; // the field before a list
      if (count) checked[count] ??= checked[name].length;
    } else if (type === 'address') {
      const port = name === 'sspp_addr' ? known.local : known.remote;
      checked[name] = checkAddress(value, where, port);
    } else checked[name] = checkFields(type, value, known, where);
  }
  const id = associationField(fields);
  if (id && known.association) checked[id.name] = known.association;
  return checked;
}

function failure(syscall, errno, name) {
  const error = systemError(syscall, errno, name);
  const needs = NEEDS[name];
  if (error.code === 'ENOPROTOOPT' && !needs) {
    error.message += ': this kernel does not have it';
  } else if (needs && ['EACCES', 'EPERM', 'ENOPROTOOPT'].includes(error.code)) {
    error.message += `: it needs ${needs}`;
  }
  error.option = name;
  return error;
}

/** Returns the struct that an option carries. Throws if Linux has no such option. */
function structOf(syscall, name) {
  if (typeof name !== 'string') {
    throw invalidType('name', 'of type string', name);
  }
  const row = option(name);
  if (row) return row.of;
  if (LACKING.includes(name)) {
    throw failure(syscall, -constants.errno.ENOPROTOOPT, name);
  }
  throw invalidValue('name', 'is no option of SCTP', name);
}

/** Throws if an option is one that the package relies on. */
function checkReserved(name, { se_type, se_on }, { oneToMany }) {
  const reserved =
    name === 'SCTP_EVENT'
      ? !se_on &&
        notifications.find(({ number }) => number === se_type)?.subscribed ===
          'always'
      : RESERVED.includes(name) || (!oneToMany && ONE_TO_MANY.includes(name));
  if (reserved) {
    throw invalidValue('name', 'is an option that the package relies on', name);
  }
}

/**
 * Returns whether an option may be read, or set, for one association. Linux takes
 * the id of one and sets some for the whole socket.
 */
function isPerAssociation(name, setting) {
  const row = option(name);
  if (!row) return true; // no such option, as will be said
  const id = associationField(fieldsOf(row.of));
  return id !== undefined && !(setting && OF_SOCKET.includes(name));
}

/** Returns the fields of an option. `fields` say what it is about. */
function getOption(handle, name, fields = {}, known = {}) {
  const of = structOf('getsockopt', name);
  const checked = checkFields(of, fields, known, 'fields');
  const { error, values } = request(handle, name, checked);
  if (error) throw failure('getsockopt', error, name);
  return values;
}

function setOption(handle, name, fields, known = {}) {
  const of = structOf('setsockopt', name);
  const checked = checkFields(of, fields, known, 'fields');
  checkReserved(name, checked, known);
  const error = writeOption(handle, name, checked);
  if (error) throw failure('setsockopt', error, name);
}

module.exports = { failure, getOption, isPerAssociation, setOption };
