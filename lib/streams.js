'use strict';

/** Requests to reset and add streams (RFC 6525), which the peer answers later. */

const { UINT16, integer } = require('./arguments');
const constants = require('./constants');
const { invalidType, invalidValue, requestFailed } = require('./errors');
const { setOption } = require('./sockopt');

const INCOMING = 1;
const OUTGOING = 2;

/** Returns the stream ids to reset, an empty list for all, or null for none. */
function sids(value, name) {
  if (value === undefined || value === null || value === false) return null;
  if (value === true) return [];
  if (!Array.isArray(value)) throw invalidType(name, 'an array or true', value);
  if (value.length === 0) throw invalidValue(name, 'must not be empty', value);
  return value.map((sid, i) => integer(sid, `${name}[${i}]`, 0, UINT16));
}

/** Waits for the kernel's answers to the requests of one socket. */
class StreamRequests {
  #pending = []; // { name, waits, resolve, reject }: waits is INCOMING | OUTGOING

  #request(name, waits) {
    return new Promise((resolve, reject) => {
      this.#pending.push({ name, waits, resolve, reject });
    });
  }

  /** Asks for a reset. Throws if the kernel refuses at once. */
  reset(handle, { outgoing, incoming }) {
    const lists = {
      outgoing: sids(outgoing, 'outgoing'),
      incoming: sids(incoming, 'incoming'),
    };
    const list = lists.outgoing ?? lists.incoming;
    if (!list) throw invalidType('streams', 'outgoing or incoming streams');
    if (lists.incoming && String(lists.incoming) !== String(list)) {
      const reason = 'must be those of outgoing: a request has one list';
      throw invalidValue('incoming', reason, incoming);
    }
    const flags =
      (lists.outgoing ? OUTGOING : 0) | (lists.incoming ? INCOMING : 0);
    setOption(handle, 'SCTP_RESET_STREAMS', {
      srs_flags: flags,
      srs_stream_list: list,
    });
    return this.#request('reset', flags);
  }

  add(handle, { outgoing, incoming }) {
    const sas_outstrms = integer(outgoing, 'outgoing', 0, UINT16) ?? 0;
    const sas_instrms = integer(incoming, 'incoming', 0, UINT16) ?? 0;
    setOption(handle, 'SCTP_ADD_STREAMS', { sas_outstrms, sas_instrms });
    return this.#request(
      'change',
      (sas_outstrms ? OUTGOING : 0) | (sas_instrms ? INCOMING : 0),
    );
  }

  /** Settles the first request of this name that waits for these directions. */
  answer(name, directions, flags) {
    const request = this.#pending.find(
      (pending) => pending.name === name && pending.waits & directions,
    );
    if (!request) return; // the peer has asked
    const {
      SCTP_STREAM_RESET_DENIED: DENIED,
      SCTP_STREAM_RESET_FAILED: FAILED,
    } = constants;
    request.waits &= ~directions;
    if (request.waits && !(flags & (DENIED | FAILED))) return;
    this.#pending.splice(this.#pending.indexOf(request), 1);
    if (flags & DENIED) request.reject(requestFailed(name, 'denied'));
    else if (flags & FAILED) request.reject(requestFailed(name, 'failed'));
    else request.resolve();
  }

  /** Rejects all requests, since the association has ended. */
  fail(error) {
    for (const { reject } of this.#pending.splice(0)) reject(error);
  }
}

module.exports = { INCOMING, OUTGOING, StreamRequests };
