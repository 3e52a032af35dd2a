'use strict';

// TCP of Node, with noDelay as SCTP has it.

const net = require('node:net');
const streams = require('./streams');

module.exports = streams(
  (listener) => net.createServer({ noDelay: true }, listener),
  (port) => net.connect({ port, host: '127.0.0.1', noDelay: true }),
);
