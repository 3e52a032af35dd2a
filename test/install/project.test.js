'use strict';

// Runs beside the projects, in a root that has Node and nothing to compile with.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const test = require('node:test');

function run(command) {
  const { status, stdout, stderr } = spawnSync('sh', ['-ec', command], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stdout + stderr);
  return stdout;
}

const sends = (command) =>
  assert.match(run(command), /^datagram, stream$/m, command);

test('the root has no compiler, no make, no Python and no libsctp', () => {
  assert.equal(
    run(
      'for name in cc gcc c++ make python3; do command -v $name || true; done',
    ),
    '',
  );
  assert.equal(
    run(
      'find /lib/ /usr/lib/x86_64-linux-gnu -name "libsctp*" -o -name sctp.h',
    ),
    '',
  );
});

test('npm install of the tarball alone, then a message', () => {
  sends(
    `mkdir -p /alone && cd /alone && npm install --no-audit --no-fund /sctp-napi.tgz
    cp /project/exchange.js /project/index.cjs . && node index.cjs`,
  );
  assert.ok(!fs.existsSync('/alone/node_modules/sctp-napi/build'));
});

test('CommonJS', () => sends('cd /project && node index.cjs'));

test('ECMAScript modules', () => sends('cd /project && node index.mjs'));

test('a worker', () => sends('cd /project && node worker.cjs'));

for (const resolution of ['node16', 'bundler']) {
  test(`TypeScript with moduleResolution ${resolution}`, () => {
    sends(`cd /project && node out/${resolution}/index.mjs`);
  });
}

test('jest, two files, module registry reset', () => {
  run(`cd /project && node_modules/.bin/jest --testMatch '**/*.jest.js'`);
});

for (const pool of ['threads', 'forks']) {
  test(`vitest in ${pool}`, () => {
    run(
      `cd /project
      node_modules/.bin/vitest run --pool=${pool} one.vitest two.vitest`,
    );
  });
}

test('an esbuild bundle has all that it needs', () => {
  sends(
    `cd /project
    node_modules/.bin/esbuild index.cjs --bundle --platform=node \\
      --loader:.node=copy --outfile=/bundle/index.js
    node /bundle/index.js`,
  );
});

test('an addon that was compiled elsewhere says that libsctp is missing', () => {
  const directory = '/alone/node_modules/sctp-napi/build/Release';
  fs.mkdirSync(directory, { recursive: true });
  fs.copyFileSync('/compiled.node', `${directory}/sctp_dgram.node`);
  const { stderr } = spawnSync(
    'node',
    ['-e', `require('sctp-napi').open('::', 0, 100, () => {})`],
    { cwd: '/alone', encoding: 'utf8' },
  );
  assert.match(
    stderr,
    /^Error: the sctp-napi that was compiled here needs libsctp \(libsctp\.so\.1: .*\): run `apt install libsctp1`, or `dnf install`, `pacman -S` or `apk add` with lksctp-tools$/m,
  );
});
