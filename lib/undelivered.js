'use strict';

const constants = require('./constants');

/** Flags of a DATA chunk, RFC 9260 section 3.3.1. */
const LAST = 1;
const FIRST = 2;
const UNORDERED = 4;

/**
 * Puts messages together that the kernel gives back: chunk by chunk, those of one
 * message together (SCTP_SEND_FAILED_EVENT, RFC 6458 section 6.1.11).
 */
class Undelivered {
  #pieces = [];
  #sent = false;

  /** Returns a message if this chunk is its last one. */
  add({ ssfe_flags, ssfe_info, ssfe_data }) {
    const { snd_flags, snd_sid, snd_ppid, snd_context } = ssfe_info;
    if (snd_flags & FIRST) {
      this.#pieces = [];
      this.#sent = false;
    }
    this.#pieces.push(ssfe_data);
    this.#sent ||= (ssfe_flags & constants.SCTP_DATA_SENT) !== 0;
    if (!(snd_flags & LAST)) return undefined;
    const data = Buffer.concat(this.#pieces);
    this.#pieces = [];
    return {
      data,
      sid: snd_sid,
      ppid: snd_ppid,
      unordered: (snd_flags & UNORDERED) !== 0,
      context: snd_context,
      sent: this.#sent,
    };
  }
}

module.exports = { Undelivered };
