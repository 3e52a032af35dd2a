'use strict';

/**
 * The script of section 3.2 in sctp_dgram.c, which compiles it when it is loaded:
 * `scripts/embed` copies this function there. It may use globals only.
 *
 * `words` is struct sd_rx_batch: next, count, and for each message the fields of
 * struct sd_item.
 */
module.exports = (words, SLOTS, LONG) => {
  const { allocUnsafe, allocUnsafeSlow, [Symbol.species]: View } = Buffer;
  const { setPrototypeOf } = Object;
  const { markAsUntransferable } =
    process.getBuiltinModule?.('node:worker_threads') ?? {};
  const blocks = new Array(SLOTS + 1).fill(undefined);
  let current = 0;
  let slab;
  let memory;
  let base = 0;
  function setSlab(newSlab) {
    slab = newSlab;
  }
  function deliverBatch(onMessage) {
    while (words[0] < words[1]) {
      const at = 2 + 7 * words[0]++;
      const slot = words[at];
      const start = words[at + 1];
      const size = words[at + 2];
      const span = words[at + 3];
      let data;
      if (slot === 0 && slab.length === 0) continue;
      if (slot > 0) {
        if (slot !== current) {
          blocks[current] = undefined;
          current = slot;
        }
        data = blocks[slot];
        if (size === data.length) {
          blocks[slot] = undefined;
        } else {
          if (start === 0) markAsUntransferable?.(data.buffer);
          data = new View(data.buffer, start, size);
        }
      } else if (span > 0) {
        data = span < LONG ? allocUnsafe(span) : allocUnsafeSlow(span);
        slab.copy(data, 0, start, start + span);
        if (span > size) {
          memory = data.buffer;
          base = data.byteOffset - start;
          markAsUntransferable?.(memory);
          data = new View(memory, base + start, size);
        }
      } else {
        data = new View(memory, base + start, size);
      }
      onMessage(data, words[at + 4], words[at + 5], words[at + 6]);
    }
  }
  const makeReceiver = (onRecv, hosts, callbacks) => {
    setPrototypeOf(hosts, null);
    setPrototypeOf(callbacks, null);
    const held = { __proto__: null };
    let begin = 0;
    let end = 0;
    let paused = false;
    let waiting = false;
    const receive = (item) => {
      if (waiting) held[end++] = item;
      else onRecv(item);
    };
    return {
      onMessage(data, host, port) {
        receive([data, hosts[host], port]);
      },
      onError: receive,
      hold(on) {
        paused = on;
        waiting = true;
        while (begin < end && !paused) {
          const item = held[begin];
          delete held[begin++];
          onRecv(item);
        }
        waiting = paused;
      },
    };
  };
  const makeSend = (send) =>
    ({
      send(buffer, host, port) {
        const result = send.call(this, buffer, host, port);
        if (typeof result === 'number') return result;
        throw result;
      },
    }).send;
  return { setSlab, deliverBatch, makeReceiver, blocks, makeSend };
};
