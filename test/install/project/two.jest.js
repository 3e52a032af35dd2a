'use strict';

const exchange = require('./exchange');

// Each evaluates the package's lib anew, over one binary.
test('file two, first evaluation', async () => {
  expect(await exchange(require('sctp-napi'))).toBe('datagram, stream');
});

test('file two, second evaluation', async () => {
  jest.resetModules();
  expect(await exchange(require('sctp-napi'))).toBe('datagram, stream');
});
