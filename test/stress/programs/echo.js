'use strict';

// Sends back what it gets, by either API, and prints the port it listens on:
//
//   node echo.js 'open()'|'createServer()' ADDRESS
//
// A number that it reads is how many ms it does nothing.

const { createServer, open } = require('../../..');
const { deliver, quick } = require('./traffic');

const [, , api, address] = process.argv;

if (api === 'open()') {
  const handle = open(address, 0, 65536, (result) => {
    if (typeof result === 'string') throw new Error(result);
    deliver(handle, ...result);
  });
  console.log(handle.address().port);
} else {
  const server = createServer(quick, (socket) => {
    socket.pipe(socket);
    socket.on('error', () => {});
  });
  server.listen(0, address, () => console.log(server.address().port));
}

const never = new Int32Array(new SharedArrayBuffer(4));
process.stdin.on('data', (ms) => Atomics.wait(never, 0, 0, Number(ms)));
