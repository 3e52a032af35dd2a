'use strict';

// Sockets of connect() and createServer().

const { connect, createServer } = require('../..');
const streams = require('./streams');

module.exports = streams(createServer, (port) => connect(port, '127.0.0.1'));
