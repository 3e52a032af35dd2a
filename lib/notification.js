'use strict';

const constants = require('./constants');
const { decodeNotification } = require('./struct');

/** Returns a function that finds, among these names, the one of a value. */
const among = (names) => (value) =>
  names.find((name) => constants[name] === value) ?? String(value);

const pathChanges = Object.keys(constants).filter((name) =>
  name.startsWith('SCTP_ADDR_'),
);

const associationChanges = [
  'SCTP_COMM_UP',
  'SCTP_COMM_LOST',
  'SCTP_RESTART',
  'SCTP_SHUTDOWN_COMP',
  'SCTP_CANT_STR_ASSOC',
];
const associationStates = [
  'SCTP_EMPTY',
  'SCTP_CLOSED',
  'SCTP_COOKIE_WAIT',
  'SCTP_COOKIE_ECHOED',
  'SCTP_ESTABLISHED',
  'SCTP_SHUTDOWN_PENDING',
  'SCTP_SHUTDOWN_SENT',
  'SCTP_SHUTDOWN_RECEIVED',
  'SCTP_SHUTDOWN_ACK_SENT',
];
const associationChange = among(associationChanges);
const pathChange = among(pathChanges);
const authentication = among([
  'SCTP_AUTH_NEW_KEY',
  'SCTP_AUTH_FREE_KEY',
  'SCTP_AUTH_NO_AUTH',
]);
const sent = (flags) =>
  flags & constants.SCTP_DATA_SENT ? 'SCTP_DATA_SENT' : 'SCTP_DATA_UNSENT';

/** Functions that put a notification into words. */
const details = {
  SCTP_ASSOC_CHANGE: (n) =>
    `${associationChange(n.sac_state)}, ` +
    `MIS ${n.sac_inbound_streams} / OS ${n.sac_outbound_streams}` +
    (n.sac_error ? `, error ${n.sac_error}` : ''),
  SCTP_PEER_ADDR_CHANGE: (n) =>
    `${pathChange(n.spc_state)}, ${n.spc_aaddr.address}`,
  SCTP_REMOTE_ERROR: (n) => `error ${n.sre_error}`,
  SCTP_SEND_FAILED: (n) =>
    `${sent(n.ssf_flags)}, sid ${n.ssf_info.sinfo_stream}, ` +
    `${n.ssf_data.length} bytes`,
  SCTP_SEND_FAILED_EVENT: (n) =>
    `${sent(n.ssfe_flags)}, sid ${n.ssfe_info.snd_sid}, ` +
    `${n.ssfe_data.length} bytes`,
  SCTP_ADAPTATION_INDICATION: (n) =>
    `0x${n.sai_adaptation_ind.toString(16).padStart(8, '0')}`,
  SCTP_PARTIAL_DELIVERY_EVENT: (n) => `sid ${n.pdapi_stream} aborted`,
  SCTP_AUTHENTICATION_EVENT: (n) =>
    `${authentication(n.auth_indication)}, key ${n.auth_keynumber}`,
  SCTP_STREAM_RESET_EVENT: (n) =>
    `flags ${n.strreset_flags}, sids ${n.strreset_stream_list.join(' ')}`,
  SCTP_ASSOC_RESET_EVENT: (n) => `flags ${n.assocreset_flags}`,
  SCTP_STREAM_CHANGE_EVENT: (n) =>
    `MIS ${n.strchange_instrms} / OS ${n.strchange_outstrms}`,
};

/** Returns a decoded notification, or undefined if its type is unknown. */
function decode(raw) {
  const decoded = decodeNotification(raw);
  if (!decoded) return undefined;
  const { type, parsed } = decoded;
  const detail = details[type]?.(parsed);
  const interpreted = detail ? `${type}: ${detail}` : type;
  return { type, raw, parsed, interpreted };
}

module.exports = {
  decode,
  pathChange,
  associationState: among(associationStates),
};
