// Two hosts with several addresses each; a link may fail and nothing is lost:
//   node examples/multihome.js listen PORT ADDRESS,ADDRESS
//   node examples/multihome.js connect PORT ADDRESS,ADDRESS PEER,PEER
'use strict';

const { connect, createServer } = require('sctp-napi');

const [mode, port, local, remote] = process.argv.slice(2);
const localAddresses = local.split(',');
// Finds out within a second or two that a path has failed.
const paths = {
  rto: { initial: 250, min: 200, max: 1000 },
  heartbeat: { interval: 500 },
  pathMaxRetrans: 2,
};

if (mode === 'listen') {
  const server = createServer(paths, (socket) => {
    socket.on('error', (error) => console.log(error.message));
    socket.pipe(socket);
  });
  server.listen({ port, localAddresses }, () => {
    console.log('listening', server.getLocalAddresses());
  });
} else {
  const remoteAddresses = remote.split(',');
  const socket = connect({ port, localAddresses, remoteAddresses, ...paths });
  socket.on('connect', () => {
    console.log('connected to', socket.remoteAddresses.join(' and '));
    let count = 0;
    setInterval(() => socket.write(`message ${++count}`), 500);
  });
  socket.on('data', (data) => console.log(`${data} came back`));
  socket.on('error', (error) => {
    console.log(error.message);
    process.exit(1);
  });
  socket.on('address-change', ({ address, state }) => {
    console.log(address, state, socket.peerInfoByAddress);
  });
}
