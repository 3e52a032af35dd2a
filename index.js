'use strict';

const { isSupported, open, unavailable } = require('./lib/binding');
const constants = require('./lib/constants');
const { createServer } = require('./lib/server');
const { connect } = require('./lib/socket');

require('./lib/endpoint'); // completes what open() returns

exports.open = open;
exports.createServer = unavailable ?? createServer;
exports.connect = unavailable ?? connect;
exports.createConnection = exports.connect;
exports.isSupported = isSupported;
exports.constants = constants;
