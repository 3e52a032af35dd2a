'use strict';

const assert = require('node:assert/strict');
const { spawn, execFile } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { promisify } = require('node:util');
const { test } = require('../helpers');

const run = promisify(execFile);
const file = (name) => path.join(__dirname, '../..', name);
const FLOOR = file('build/floor-test');
const program = (driver) =>
  driver === 'floor'
    ? [FLOOR]
    : [process.execPath, '--expose-gc', file('bench/node.js'), driver];

async function measure(driver, ...args) {
  const [command, ...first] = program(driver);
  const { stdout } = await run(command, [...first, ...args]);
  return JSON.parse(stdout);
}

/** Starts the one that waits, and gives its port to the other. */
async function measurePair(driver, server, client, ...args) {
  const [command, ...first] = program(driver);
  const child = spawn(command, [...first, server, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(child.stdout, 'data');
  const { port } = JSON.parse(line);
  const result = await measure(driver, client, `port=${port}`, ...args);
  child.kill('SIGKILL');
  await once(child, 'exit');
  return result;
}

const positive = ({ mean, median = mean }) =>
  assert.ok(mean > 0 && median > 0, `${mean}, ${median}`);

const FEW = ['warmup=64', 'count=128'];

test('each program of the benchmark measures what it is asked for', async () => {
  const flags = [
    '-std=gnu11',
    '-O2',
    '-Wall',
    '-Wextra',
    '-Wshadow',
    '-Werror',
  ];
  await run('cc', [...flags, '-o', FLOOR, file('bench/floor.c')], {
    env: { ...process.env, LD_PRELOAD: '' }, // of a sanitizer
  });
  for (const [driver, ...args] of [
    ['floor', 'more=64'],
    ['floor', 'one=1', 'peers=10'],
    ['open', 'batch=1', 'burst=32'],
    ['stream', 'peers=10', 'size=16384'],
    ['dgram', 'burst=32'],
  ]) {
    positive(await measure(driver, 'oneway', ...FEW, ...args));
  }
  positive(await measurePair('open', 'pong', 'ping', ...FEW));
  positive(await measure('open', 'calls', ...FEW));
  positive(await measurePair('open', 'stopped', 'calls', ...FEW, 'batch=1'));
  positive(await measurePair('stream', 'disconnect', 'connects', 'count=20'));
  const memory = await measure('open', 'memory', 'what=endpoint', 'count=9');
  assert.deepEqual(Object.keys(memory), ['count', 'rss', 'kernel']);
});
