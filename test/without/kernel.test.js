'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const test = require('node:test');
const { connect, createServer, open } = require('../..');

function saysWhatToDo(error) {
  assert.ok(['ESOCKTNOSUPPORT', 'EPROTONOSUPPORT'].includes(error.code));
  assert.equal(error.syscall, 'socket');
  assert.ok(error.errno < 0);
  assert.match(error.message, /modprobe sctp/);
  assert.match(error.message, /kernel-modules-extra/);
  assert.match(error.message, /container/);
  return true;
}

for (const host of ['127.0.0.1', '::1']) {
  test(`a kernel without SCTP: open('${host}') says what to do`, () => {
    assert.throws(() => open(host, 0, 100, () => {}), saysWhatToDo);
  });

  test(`a kernel without SCTP: listen() on ${host} says what to do`, async () => {
    const [error] = await once(createServer().listen({ host }), 'error');
    saysWhatToDo(error);
  });

  test(`a kernel without SCTP: connect() to ${host} says what to do`, async () => {
    const socket = connect({ host, port: 5000 });
    socket.write('early');
    const [error] = await once(socket, 'error');
    saysWhatToDo(error);
  });
}
