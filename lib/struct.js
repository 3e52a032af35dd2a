'use strict';

/**
 * Encodes and decodes the structs of options and notifications, as the tables of
 * the addon describe them. Only this file knows bytes.
 */

const { Buffer } = require('node:buffer');
const os = require('node:os');
const binding = require('./binding');

/** Without an addon there are no tables, and nobody asks for a struct. */
const tables = binding.tables?.() ?? {
  fields: [],
  options: [],
  notifications: [],
};

const LITTLE = os.endianness() === 'LE';

const NUMBERS = {
  u8: { kind: 'Uint8', width: 1 },
  u16: { kind: 'Uint16', width: 2 },
  u32: { kind: 'Uint32', width: 4 },
  i32: { kind: 'Int32', width: 4 },
  u64: { kind: 'BigUint64', width: 8 },
  be16: { kind: 'Uint16', width: 2, little: false },
  be32: { kind: 'Uint32', width: 4, little: false },
};

/** The least and the greatest value of each type of number. */
const LIMITS = Object.fromEntries(
  Object.entries(NUMBERS).map(([type, { width }]) => {
    const range = 2 ** (8 * width);
    return [
      type,
      type === 'i32' ? [-range / 2, range / 2 - 1] : [0, range - 1],
    ];
  }),
);

/** Bytes of a struct sockaddr_storage. */
const ADDRESS = 128;

/**
 * Bytes to provide for a list at the end of an option that is read: 65,535 streams, or
 * 16,384 associations.
 */
const LIST = 65_536;

/** Fields by the name of their struct. */
const structs = new Map();
for (const field of tables.fields) {
  if (!structs.has(field.of)) structs.set(field.of, []);
  structs.get(field.of).push(field);
}

const options = new Map(tables.options.map((row) => [row.name, row]));

const notifications = new Map(
  tables.notifications.map((row) => [row.number, row]),
);

/** Bytes of a struct, without a list at its end. */
const sizeOf = (of) => structs.get(of)[0].size;

const viewOf = (bytes) =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

function readNumber(view, type, at) {
  const { kind, little = LITTLE } = NUMBERS[type];
  return Number(view[`get${kind}`](at, little));
}

function writeNumber(view, type, at, value) {
  const { kind, little = LITTLE } = NUMBERS[type];
  view[`set${kind}`](at, kind === 'BigUint64' ? BigInt(value) : value, little);
}

/** The type of the elements of a list, or undefined for any other type. */
const elementType = (type) =>
  type.endsWith('[]') ? type.slice(0, -'[]'.length) : undefined;

/** Bytes of a field, of a list only those of one element. */
function widthOf(type) {
  if (type === 'address') return ADDRESS;
  return NUMBERS[elementType(type) ?? type]?.width ?? sizeOf(type);
}

function decodeList(bytes, type) {
  if (type === 'u8') return Buffer.from(bytes);
  const view = viewOf(bytes);
  const { width } = NUMBERS[type];
  return Array.from({ length: Math.floor(bytes.length / width) }, (_, i) =>
    readNumber(view, type, i * width),
  );
}

/**
 * Returns the fields of a struct. An older kernel may know a shorter one, whose
 * fields are then all that there are.
 */
function decode(of, bytes) {
  const view = viewOf(bytes);
  const values = {};
  for (const { name, type, offset } of structs.get(of)) {
    const element = elementType(type);
    const end = offset + widthOf(type);
    if (element) values[name] = decodeList(bytes.subarray(offset), element);
    else if (end > bytes.length) continue;
    else if (NUMBERS[type]) values[name] = readNumber(view, type, offset);
    else if (type === 'address') {
      values[name] = binding.toAddress(bytes.subarray(offset, end));
    } else values[name] = decode(type, bytes.subarray(offset, end));
  }
  return values;
}

function encodeField(bytes, { type, offset }, value) {
  const view = viewOf(bytes);
  const element = elementType(type);
  if (NUMBERS[type]) writeNumber(view, type, offset, value);
  else if (type === 'address') {
    bytes.set(binding.fromAddress(value.address, value.port ?? 0), offset);
  } else if (element) {
    const width = widthOf(type);
    for (let i = 0; i < value.length; i++) {
      writeNumber(view, element, offset + i * width, value[i]);
    }
  } else bytes.set(encode(type, value), offset);
}

/** Returns a struct with these fields. The others are 0. */
function encode(of, values, extra = 0) {
  const fields = structs.get(of);
  const { name, type } = fields.at(-1);
  const list = elementType(type) ? (values[name] ?? []) : [];
  const bytes = Buffer.alloc(sizeOf(of) + list.length * widthOf(type) + extra);
  for (const field of fields) {
    const value = values[field.name];
    if (value !== undefined) encodeField(bytes, field, value);
  }
  return bytes;
}

/** Returns an option as the addon takes it: level, number and bytes. */
function optionRow(name, values, extra) {
  const { level, number, of } = options.get(name);
  return [level, number, encode(of, values, extra)];
}

/**
 * Reads an option by its name. `values` are the fields that say what it is about.
 * Returns its fields as `values`, or a negative errno as `error`.
 */
function request(handle, name, values) {
  const { of } = options.get(name);
  const extra = elementType(structs.get(of).at(-1).type) ? LIST : 0;
  const [level, number, bytes] = optionRow(name, values, extra);
  const length = handle.getOption(level, number, bytes);
  return length < 0
    ? { error: length }
    : { values: decode(of, bytes.subarray(0, length)) };
}

/** Returns the fields of an option, or undefined if the kernel has no answer. */
const readOption = (handle, name, values = {}) =>
  request(handle, name, values).values;

/** Sets an option by its name. Returns 0 or a negative errno. */
const writeOption = (handle, name, values) =>
  handle.setOption(...optionRow(name, values));

/** Subscribes a handle to a notification, or ends the subscription. */
const subscription = (row, on) =>
  optionRow('SCTP_EVENT', { se_type: row.number, se_on: on ? 1 : 0 });

/** Returns a notification's type and fields, or undefined if it is unknown. */
function decodeNotification(raw) {
  if (raw.length < NUMBERS.u16.width) return undefined;
  const row = notifications.get(readNumber(viewOf(raw), 'u16', 0));
  if (!row || raw.length < sizeOf(row.of)) return undefined;
  return { type: row.name, parsed: decode(row.of, raw) };
}

/** Stands for a new socket, which has the kernel's own values. */
const newSocket = { getOption: binding.getNewOption };

module.exports = {
  LIMITS,
  decodeNotification,
  elementType,
  fieldsOf: (of) => structs.get(of),
  newSocket,
  notifications: tables.notifications,
  option: (name) => options.get(name),
  optionRow,
  readOption,
  request,
  subscription,
  writeOption,
};
