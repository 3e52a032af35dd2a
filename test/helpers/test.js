'use strict';

/** Tests that close what they open. */

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const nodeTest = require('node:test');
const { connect, createServer, open } = require('../..');
const { socketDescriptors } = require('./descriptors');
const { until } = require('./events');

const openSockets = () => socketDescriptors().length;

/**
 * A test that fails when a socket it opened is still there afterwards. What
 * `t.open`, `t.server`, `t.listen` and `t.connect` made is closed at its end,
 * and what `t.spawn` started is killed.
 */
function test(name, body) {
  nodeTest(name, async (t) => {
    const before = openSockets();
    const handles = [];
    t.open = (onRecv = () => {}, options = {}) => {
      const { host = '127.0.0.1', port = 0, recvMaxlen = 65536 } = options;
      const handle = open(host, port, recvMaxlen, onRecv);
      handles.push(handle);
      return handle;
    };
    t.spawn = (program, args, stdin = 'ignore', stderr = 'inherit') => {
      const child = spawn(program, args, { stdio: [stdin, 'pipe', stderr] });
      handles.push({ close: () => child.kill('SIGKILL') });
      return child;
    };
    const sockets = [];
    t.server = (...args) => {
      const server = createServer(...args);
      handles.push(server);
      server.on('connection', (socket) => sockets.push(socket));
      return server;
    };
    t.listen = async (options, onConnection) => {
      const server = t.server(options, onConnection);
      server.listen(
        options.localAddresses ? {} : { host: options.host ?? '127.0.0.1' },
      );
      await once(server, 'listening');
      return server;
    };
    t.connect = (...args) => {
      const socket = connect(...args);
      sockets.push(socket);
      return socket;
    };
    try {
      await body(t);
    } finally {
      for (const handle of handles) handle.close();
      for (const socket of sockets) socket.destroy();
    }
    await until(() => openSockets() <= before); // else it leaked a socket
  });
}

/** Two ends of an association, both connected. */
async function pair(t, serverOptions = {}, clientOptions = {}) {
  const server = await t.listen(serverOptions);
  const { address, port } = server.address();
  const client = t.connect({ host: address, port, ...clientOptions });
  const [[peer]] = await Promise.all([
    once(server, 'connection'),
    once(client, 'connect'),
  ]);
  return { server, client, peer };
}

/** Opens an endpoint that keeps what it receives. */
function collector(t, options) {
  const received = [];
  const handle = t.open((result) => received.push(result), options);
  return { handle, received, port: handle.address().port };
}

module.exports = { collector, openSockets, pair, test };
