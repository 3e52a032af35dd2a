'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { open } = require('../..');

for (const host of ['127.0.0.1', '::1']) {
  test(`a kernel without SCTP: open('${host}') says what to do`, () => {
    assert.throws(
      () => open(host, 0, 100, () => {}),
      (error) => {
        assert.ok(['ESOCKTNOSUPPORT', 'EPROTONOSUPPORT'].includes(error.code));
        assert.equal(error.syscall, 'socket');
        assert.ok(error.errno < 0);
        assert.match(error.message, /modprobe sctp/);
        assert.match(error.message, /kernel-modules-extra/);
        assert.match(error.message, /container/);
        return true;
      },
    );
  });
}
