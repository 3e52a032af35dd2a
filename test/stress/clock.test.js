'use strict';

const assert = require('node:assert/strict');
const { runScript, test } = require('../helpers');

test('a send after 20 s of synchronous work is refused as ECONNREFUSED', async () => {
  const result = await runScript(`
    const handle = open('127.0.0.1', 0, 1000, () => {});
    handle.onPeer = (state, host, port, error) => {
      console.log(state, error.code);
      handle.close();
    };
    setImmediate(() => {
      const end = performance.now() + 20_500;
      while (performance.now() < end);
      handle.send(Buffer.from('x'), '127.0.0.1', 4); // nobody listens there
    });`);
  assert.deepEqual(result, {
    code: 0,
    signal: null,
    stdout: 'down ECONNREFUSED\n',
    stderr: '',
  });
});
