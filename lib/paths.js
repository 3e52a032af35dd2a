'use strict';

/** Paths and local addresses of an association. */

const fs = require('node:fs');
const {
  UINT16,
  UINT32,
  address: validAddress,
  group,
  integer,
} = require('./arguments');
const constants = require('./constants');
const { invalidValue, notNegotiated } = require('./errors');
const { dscp, heartbeat } = require('./options');
const { failure, setOption } = require('./sockopt');
const { pathInfo } = require('./status');
const { readOption } = require('./struct');

/** Flags of SCTP_PEER_ADDR_PARAMS, RFC 6458 section 8.1.12. */
const SPP_HB_DEMAND = 4;
const SPP_PMTUD_DISABLE = 16;

const ASCONF_SYSCTLS =
  'both hosts need the sysctls net.sctp.addip_enable=1, and ' +
  'net.sctp.auth_enable=1 or net.sctp.addip_noauth_enable=1';

/** Returns whether ASCONF is on here. Linux before 5.4 has only the sysctl. */
function asconf(handle) {
  const option = readOption(handle, 'SCTP_ASCONF_SUPPORTED');
  if (option) return option.assoc_value !== 0;
  const sysctl = fs.readFileSync('/proc/sys/net/sctp/addip_enable', 'latin1');
  return Number(sysctl) !== 0;
}

/** Linux tells the peer nothing, and reports no error, if ASCONF is off. */
function requireAsconf(handle) {
  if (!asconf(handle)) throw notNegotiated('ASCONF', ASCONF_SYSCTLS);
}

function setPrimary(handle, known, address) {
  const ssp_addr = { address: validAddress(address, 'address') };
  setOption(handle, 'SCTP_PRIMARY_ADDR', { ssp_addr }, known);
}

function setPeerPrimary(handle, known, localAddress) {
  const sspp_addr = { address: validAddress(localAddress, 'localAddress') };
  requireAsconf(handle);
  setOption(handle, 'SCTP_SET_PEER_PRIMARY_ADDR', { sspp_addr }, known);
}

function requestHeartbeat(handle, known, address) {
  const spp_address = { address: validAddress(address, 'address') };
  const fields = { spp_address, spp_flags: SPP_HB_DEMAND };
  setOption(handle, 'SCTP_PEER_ADDR_PARAMS', fields, known);
}

/** Settings of a path: their range, and the option and fields that they become. */
const PATH = {
  heartbeat: [
    0,
    UINT32,
    (ms) => ['SCTP_PEER_ADDR_PARAMS', heartbeat(ms > 0, ms)],
  ],
  pathMaxRetrans: [
    1,
    UINT16,
    (count) => ['SCTP_PEER_ADDR_PARAMS', { spp_pathmaxrxt: count }],
  ],
  mtu: [
    512,
    UINT16,
    (bytes) => [
      'SCTP_PEER_ADDR_PARAMS',
      { spp_pathmtu: bytes, spp_flags: SPP_PMTUD_DISABLE },
    ],
  ],
  dscp: [0, 63, (value) => ['SCTP_PEER_ADDR_PARAMS', dscp(value)]],
  pfThreshold: [
    0,
    UINT16,
    (count) => ['SCTP_PEER_ADDR_THLDS', { spt_pathpfthld: count }],
  ],
  encapsulationPort: [
    0,
    UINT16,
    (port) => ['SCTP_REMOTE_UDP_ENCAPS_PORT', { sue_port: port }],
  ],
};

/** Names of the field that is the address of the path. */
const ADDRESS_FIELDS = {
  SCTP_PEER_ADDR_PARAMS: 'spp_address',
  SCTP_PEER_ADDR_THLDS: 'spt_address',
  SCTP_REMOTE_UDP_ENCAPS_PORT: 'sue_address',
};

function setPath(handle, known, address, path) {
  const where = { address: validAddress(address, 'address') };
  const given = Object.entries(group(path, 'path')).filter(
    ([, value]) => value !== undefined && value !== null,
  );
  const options = given.map(([name, value]) => {
    const row = PATH[name];
    if (!row) {
      const names = Object.keys(PATH).join(', ');
      throw invalidValue(`path.${name}`, `is none of ${names}`, value);
    }
    const [min, max, toKernel] = row;
    return toKernel(integer(value, `path.${name}`, min, max));
  });
  for (const [option, fields] of options) {
    const named = { [ADDRESS_FIELDS[option]]: where, ...fields };
    setOption(handle, option, named, known);
  }
}

/**
 * Returns the addresses of the peer with the path in use first. Linux names the
 * primary path also while it is down.
 */
function inUseFirst(handle, addresses) {
  if (addresses.length < 2) return addresses;
  const state = ({ address, port }) =>
    pathInfo(handle, { address, port })?.state;
  const { SCTP_ACTIVE, SCTP_INACTIVE, SCTP_PF } = constants;
  const down = [SCTP_INACTIVE, SCTP_PF].includes(state(addresses[0]));
  const used = down && addresses.find((other) => state(other) === SCTP_ACTIVE);
  if (!used) return addresses;
  return [used, ...addresses.filter((other) => other !== used)];
}

/**
 * Adds or removes a local address. `associated` is true for a socket, whose peer is
 * to be told.
 */
function changeAddress(handle, known, address, { add, associated }) {
  validAddress(address, 'address');
  if (associated) requireAsconf(handle);
  const error = handle.bindx([address], known.local ?? 0, add);
  if (error) throw failure('bindx', error, address);
}

module.exports = {
  changeAddress,
  inUseFirst,
  requestHeartbeat,
  setPath,
  setPeerPrimary,
  setPrimary,
};
