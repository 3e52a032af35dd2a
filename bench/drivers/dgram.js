'use strict';

// UDP of Node, connected.

const dgram = require('node:dgram');

function listen(onMessage, onReady) {
  const socket = dgram.createSocket('udp4');
  socket.on('message', (data, { address, port }) =>
    onMessage(data, (answer) => socket.send(answer, port, address)),
  );
  socket.bind(0, '127.0.0.1', () => onReady(socket.address().port));
}

function connect(port, onMessage, onReady) {
  const socket = dgram.createSocket('udp4');
  socket.on('message', onMessage);
  socket.connect(port, '127.0.0.1', () =>
    onReady({
      send(data) {
        socket.send(data);
        return true;
      },
    }),
  );
}

module.exports = { listen, connect };
