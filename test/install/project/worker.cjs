'use strict';

const { Worker } = require('node:worker_threads');

new Worker(require.resolve('./index.cjs'));
