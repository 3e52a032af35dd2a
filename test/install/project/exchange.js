'use strict';

const { once } = require('node:events');

/** Sends a message through each API; resolves to what has arrived. */
module.exports = async function exchange({ connect, createServer, open }) {
  const datagram = await new Promise((resolve) => {
    const endpoint = open('127.0.0.1', 0, 65536, ([data]) => {
      endpoint.close();
      resolve(String(data));
    });
    const { address, port } = endpoint.address();
    endpoint.send(Buffer.from('datagram'), address, port);
  });

  const server = createServer((peer) => peer.pipe(peer));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect(server.address().port, '127.0.0.1');
  socket.write('stream');
  const [stream] = await once(socket, 'data');
  socket.end();
  server.close();
  await once(server, 'close');
  return `${datagram}, ${stream}`;
};
