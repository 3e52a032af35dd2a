'use strict';

/** The driver of TCP and of our sockets, which have the same API. */
module.exports = (createServer, createSocket) => {
  function serve(onSocket, onReady) {
    const server = createServer(onSocket);
    server.listen(0, '127.0.0.1', () => onReady(server.address().port));
  }

  function listen(onMessage, onReady) {
    serve((socket) => {
      const answer = (data) => socket.write(data);
      socket.on('data', (data) => onMessage(data, answer));
    }, onReady);
  }

  function connect(port, onMessage, onReady, onDrain) {
    const socket = createSocket(port);
    let room = true;
    const send = (data) => {
      if (!room) return false;
      room = socket.write(data);
      return true;
    };
    const sendMany = (list) => {
      let count = 0;
      socket.cork();
      while (count < list.length && send(list[count])) count++;
      socket.uncork();
      return count;
    };
    socket.on('data', onMessage);
    socket.on('connect', () => onReady({ send, sendMany }));
    socket.on('drain', () => {
      room = true;
      onDrain();
    });
  }

  return { listen, connect, serve, createSocket };
};
