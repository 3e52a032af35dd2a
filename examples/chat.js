// A chat whose rooms are streams, so that a lost packet holds up one room only:
//   node examples/chat.js listen PORT
//   node examples/chat.js connect HOST PORT NAME     and lines: ROOM TEXT
// The PPID tells what a message is.
'use strict';

const readline = require('node:readline');
const { connect, createServer } = require('sctp-napi');

const NAME = 1;
const TEXT = 2;
const ROOMS = 10;

function listen(port) {
  const members = new Map();
  const server = createServer({ MIS: ROOMS, OS: ROOMS }, (socket) => {
    socket.on('data', (data) => {
      if (data.ppid === NAME) members.set(socket, data);
      if (data.ppid !== TEXT) return;
      const text = `${members.get(socket) ?? 'somebody'}: ${data}`;
      for (const member of members.keys()) {
        if (member !== socket) member.send(text, { sid: data.sid, ppid: TEXT });
      }
    });
    socket.on('error', (error) => console.log(error.message));
    socket.on('close', () => members.delete(socket));
  });
  server.listen(port, () => console.log('port', server.address().port));
}

function join(host, port, name) {
  const socket = connect({ host, port, MIS: ROOMS, OS: ROOMS }, () => {
    socket.send(name, { ppid: NAME });
    console.log('connected');
  });
  socket.on('data', (data) => console.log(`[${data.sid}] ${data}`));
  socket.on('error', (error) => console.log(error.message));
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const [room, ...words] = line.split(' ');
    try {
      socket.send(words.join(' '), { sid: Number(room), ppid: TEXT });
    } catch (error) {
      console.log(error.message); // no such room
    }
  });
  lines.on('close', () => socket.end());
}

const [mode, ...args] = process.argv.slice(2);
if (mode === 'listen') listen(...args);
else join(...args);
