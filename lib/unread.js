'use strict';

/**
 * Counts the bytes of the messages that wait in a stream for their reader. The
 * stream itself counts only messages.
 */
class Unread {
  /** Bytes that wait. */
  bytes = 0;

  /** Lengths of the messages; those before #first have been read. */
  #lengths = [];
  #first = 0;

  /** Notes a message. `waiting` is the number of messages in the stream now. */
  add(length, waiting) {
    if (waiting <= this.#lengths.length - this.#first) return; // read at once
    this.bytes += length;
    this.#lengths.push(length);
  }

  /** Leaves out the messages that have been read. */
  update(waiting) {
    const lengths = this.#lengths;
    while (lengths.length - this.#first > waiting) {
      this.bytes -= lengths[this.#first++];
    }
    // shift() would move all that wait for each that is read.
    if (this.#first > 0 && this.#first * 2 >= lengths.length) {
      lengths.splice(0, this.#first);
      this.#first = 0;
    }
  }
}

module.exports = { Unread };
