'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after } = require('node:test');
const { enterOwnNetwork, finish, run, test } = require('../helpers');

enterOwnNetwork(__filename);
run('ip link set lo up');

const directory = path.join(__dirname, 'programs');
const build = fs.mkdtempSync(path.join(os.tmpdir(), 'sctp-faults-'));
after(() => fs.rmSync(build, { recursive: true }));
const library = path.join(build, 'faults.so');
const source = path.join(directory, 'faults.c');
const { stderr } = spawnSync(
  process.env.CC ?? 'cc',
  ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'],
  { encoding: 'utf8' },
);
assert.equal(stderr, '');

const { EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM } = os.constants.errno;

/** Errors of each call when the system has run out of something. */
const faults = {
  endpoints: {
    socket: [EMFILE, ENFILE, ENOMEM],
    setsockopt: [ENOMEM],
    getsockopt: [ENOBUFS],
    bind: [ENOMEM],
    listen: [ENOMEM],
    getsockname: [ENOBUFS],
    recvmsg: [ENOMEM, ENOBUFS, EAGAIN],
    sendto: [ENOMEM, ENOBUFS, EAGAIN],
    sendmsg: [ENOMEM, ENOBUFS, EAGAIN],
    calloc: [ENOMEM],
    realloc: [ENOMEM],
  },
  streams: {
    socket: [EMFILE, ENFILE, ENOMEM],
    setsockopt: [ENOMEM],
    getsockopt: [ENOBUFS],
    bind: [ENOMEM],
    listen: [ENOMEM],
    getsockname: [ENOBUFS],
    accept4: [EMFILE, ENFILE, ENOMEM, ENOBUFS],
    recvmsg: [ENOMEM, ENOBUFS, EAGAIN],
    sendmsg: [ENOMEM, ENOBUFS, EAGAIN],
    shutdown: [ENOBUFS],
    calloc: [ENOMEM],
    realloc: [ENOMEM],
  },
};

/** Faults of which nobody hears, since the call is made again. */
const hidden = /^(recvmsg|accept4|sendmsg)$/;

for (const [scenario, calls] of Object.entries(faults)) {
  test(`${scenario}: whichever call fails, it is an error or nothing, never a crash, a hang or a leak`, async () => {
    const list = Object.entries(calls).flatMap(([name, errnos]) =>
      errnos.map((errno) => `${name}:${errno}`),
    );
    const preload = [process.env.LD_PRELOAD, library].filter(Boolean).join(':');
    const { code, stdout, stderr } = await finish(
      process.execPath,
      [path.join(directory, 'scenario.js'), scenario, ...list],
      { env: { ...process.env, LD_PRELOAD: preload } },
    );
    assert.deepEqual([code, stderr], [0, ''], stdout);
    const results = stdout.trim().split('\n').map(JSON.parse);
    assert.equal(results.length, list.length);
    for (const { name, errno, faults, reported } of results) {
      console.log(`${scenario}: ${name} ${errno}: ${faults} faults,`, reported);
      if (scenario === 'streams' && hidden.test(name)) {
        assert.deepEqual(reported, {}, name);
      }
    }
    const made = (name) => results.find((r) => r.name === name).faults;
    for (const name of ['socket', 'setsockopt', 'recvmsg', 'calloc']) {
      assert.ok(made(name) > 0, name);
    }
  });
}
