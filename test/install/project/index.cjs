'use strict';

const exchange = require('./exchange');
const sctp = require('sctp-napi');

exchange(sctp).then(console.log);
