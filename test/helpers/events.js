'use strict';

/** Events and states that tests wait for. */

const assert = require('node:assert/strict');
const { setTimeout: wait } = require('node:timers/promises');

/**
 * Resolves when `condition()` holds; asks so seldom that others can work. A wait
 * that is in vain ends after `limit` ms and says what it waited for.
 */
async function until(condition, limit = 120_000) {
  const deadline = performance.now() + limit;
  while (!condition()) {
    if (performance.now() > deadline) {
      assert.fail(`waited ${limit} ms in vain for ${condition}`);
    }
    await wait(5);
  }
}

/** The next `count` messages of a socket. */
function messages(socket, count) {
  return new Promise((resolve) => {
    const received = [];
    socket.on('data', function take(data) {
      if (received.push(data) < count) return;
      socket.removeListener('data', take);
      resolve(received);
    });
    socket.resume();
  });
}

/** How a socket ends: the names of its events, with the errors' codes. */
function ending(socket) {
  const events = [];
  socket.on('end', () => events.push('end'));
  socket.on('error', (error) => {
    events.push(error.code ?? error.message);
    Object.defineProperty(events, 'error', { value: error });
  });
  return new Promise((resolve) => {
    socket.on('close', () => {
      events.push('close');
      // A second 'close', or an error after it, would show.
      setImmediate(() => setImmediate(() => resolve(events)));
    });
  });
}

/** Whether send() has no room now, for this peer or for any. */
const isFull = ({ code }) => code === 'EAGAIN' || code === 'ERR_SCTP_PEER_BUSY';

/** Sends all messages, going on in onDrain where there is no room. */
function sendAll(handle, messages, host, port) {
  return new Promise((resolve, reject) => {
    let next = 0;
    const go = () => {
      try {
        while (next < messages.length) {
          handle.send(messages[next], host, port);
          next++;
        }
      } catch (error) {
        if (!isFull(error)) reject(error);
        return;
      }
      handle.onDrain = null;
      resolve();
    };
    handle.onDrain = go;
    go();
  });
}

/** The kernel goes on, JavaScript does not. */
const blockThread = (ms) =>
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

module.exports = { blockThread, ending, isFull, messages, sendAll, until };
