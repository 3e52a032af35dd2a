'use strict';

const { open } = require('../..');

/** The addon that the package has loaded: compiled here, or a prebuilt one. */
const binary = Object.keys(require.cache).find((file) =>
  file.endsWith('.node'),
);

module.exports = {
  ...require('./events'),
  ...require('./network'),
  ...require('./processes'),
  ...require('./test'),
  binary,
  open,
};
