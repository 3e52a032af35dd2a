'use strict';

const assert = require('node:assert/strict');
const { isSupported } = require('../..');
const { test } = require('../helpers');

test('isSupported() is true where sockets can be made, and leaves none', () => {
  assert.deepEqual(isSupported(), {
    supported: true,
    reason: null,
    hint: null,
  });
});
