'use strict';

// Endpoints of open().

const { open } = require('../..');

const HOST = '127.0.0.1';
const MAX = 256 * 1024;

function listen(onMessage, onReady) {
  const handle = open(HOST, 0, MAX, ([data, host, port]) =>
    onMessage(data, (answer) => handle.send(answer, host, port)),
  );
  onReady(handle.address().port);
}

const isFull = ({ code }) => code === 'EAGAIN' || code === 'ERR_SCTP_PEER_BUSY';

/** False: there is no room. */
function trySend(handle, data, host, port) {
  try {
    handle.send(data, host, port);
    return true;
  } catch (error) {
    if (isFull(error)) return false;
    throw error;
  }
}

function connect(port, onMessage, onReady, onDrain) {
  const handle = open(HOST, 0, MAX, ([data]) => onMessage(data));
  handle.onDrain = onDrain;
  onReady({
    send: (data) => trySend(handle, data, HOST, port),
    sendMany: (list) => handle.sendBatch(list, HOST, port),
  });
}

/** An endpoint that others say hello to. */
function hub(onMessage) {
  return open(HOST, 0, MAX, ([, host, port]) => onMessage(host, port));
}

module.exports = {
  listen,
  connect,
  trySend,
  hub,
  create: () => hub(() => {}),
};
