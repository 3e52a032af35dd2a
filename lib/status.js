'use strict';

/** The state of an association and of its paths (RFC 6458 sections 8.2.1, 8.2.2). */

const { associationState } = require('./notification');
const { readOption } = require('./struct');

const path = (info) => ({
  state: info.spinfo_state,
  cwnd: info.spinfo_cwnd,
  srtt: info.spinfo_srtt,
  rto: info.spinfo_rto,
  mtu: info.spinfo_mtu,
});

/**
 * Returns what socket.status() does, or undefined if there is no association. An
 * endpoint's has an id.
 */
function status(handle, sstat_assoc_id) {
  const values = readOption(handle, 'SCTP_STATUS', { sstat_assoc_id });
  if (!values) return undefined;
  const primary = values.sstat_primary;
  return {
    associationId: values.sstat_assoc_id,
    state: values.sstat_state,
    stateName: associationState(values.sstat_state),
    rwnd: values.sstat_rwnd,
    unackdata: values.sstat_unackdata,
    penddata: values.sstat_penddata,
    numberOfIncomingStreams: values.sstat_instrms,
    numberOfOutgoingStreams: values.sstat_outstrms,
    fragmentationPoint: values.sstat_fragmentation_point,
    primary: { ...primary.spinfo_address, ...path(primary) },
  };
}

/** Returns one path to the peer, or undefined if the peer has no such address. */
function pathInfo(handle, spinfo_address) {
  const info = readOption(handle, 'SCTP_GET_PEER_ADDR_INFO', {
    spinfo_address,
  });
  return info && path(info);
}

/** Returns what socket.stats() does: SCTP_GET_ASSOC_STATS without its prefix. */
function stats(handle) {
  const values = readOption(handle, 'SCTP_GET_ASSOC_STATS');
  if (!values) return undefined;
  const { sas_assoc_id, sas_obs_rto_ipaddr, ...counts } = values;
  const named = { obsRtoIpaddr: sas_obs_rto_ipaddr.address };
  for (const [name, count] of Object.entries(counts)) {
    named[name.slice('sas_'.length)] = count;
  }
  return named;
}

/** Returns whether the peer authenticates chunks, if the options demand it. */
const authenticates = (handle, { SCTP_AUTH_CHUNK: demanded }) =>
  !demanded?.length ||
  readOption(handle, 'SCTP_AUTH_SUPPORTED')?.assoc_value !== 0;

module.exports = { authenticates, pathInfo, stats, status };
