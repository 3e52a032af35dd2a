// Sends every message back, on its stream: node examples/echo-server.js [PORT]
'use strict';

const { createServer } = require('sctp-napi');

const [port = '5000'] = process.argv.slice(2);
const server = createServer((socket) => {
  const peer = `${socket.remoteAddress} ${socket.remotePort}`;
  console.log(`${peer} has connected`);
  socket.pipe(socket);
  socket.on('error', (error) => console.log(`${peer}: ${error.message}`));
  socket.on('close', () => console.log(`${peer} has gone`));
});
server.listen({ port, host: '::' }, () => {
  console.log('echoing on port', server.address().port);
});
