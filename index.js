'use strict';

const { constants, open } = require('./lib/binding');
const { createServer } = require('./lib/server');
const { connect } = require('./lib/socket');

exports.open = open;
exports.createServer = createServer;
exports.connect = connect;
exports.createConnection = connect;
exports.constants = constants;
