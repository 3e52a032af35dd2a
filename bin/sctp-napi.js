#!/usr/bin/env node
'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const USAGE = `Usage: sctp-napi build

Compiles the addon with this machine's compiler and libsctp. It is then used in
place of the binary that came with the package.
`;

const [command, ...args] = process.argv.slice(2);
if (command === 'build') {
  const script = path.join(__dirname, '../scripts/build');
  const { status, error } = spawnSync(script, args, { stdio: 'inherit' });
  if (error) throw error;
  process.exitCode = status ?? 1;
} else {
  const asked = ['help', '--help', '-h'].includes(command);
  (asked ? process.stdout : process.stderr).write(USAGE);
  process.exitCode = asked ? 0 : 2;
}
