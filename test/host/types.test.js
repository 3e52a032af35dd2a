'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const test = require('node:test');

test('index.d.ts accepts and refuses what it should', () => {
  const { status, stdout } = spawnSync(
    process.execPath,
    [require.resolve('typescript/bin/tsc'), '-p', 'test/types'],
    { cwd: path.resolve(__dirname, '../..'), encoding: 'utf8' },
  );
  assert.equal(stdout, '');
  assert.equal(status, 0);
});
