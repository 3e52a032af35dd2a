'use strict';

// The package where it cannot work: it can be required, and the first call says
// why it cannot, and what helps.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');

const { CACHE } = process.env;
const installed = path.join(CACHE, 'root/project/node_modules/sctp-napi');
const compile =
  'compile it with `npx sctp-napi build`, in a clone with `scripts/build`';

const CALLS = `
const sctp = require('sctp-napi');
const { reason, hint, supported } = sctp.isSupported();
const failed = ['open', 'createServer', 'connect', 'createConnection'].map((name) => {
  try { sctp[name]('127.0.0.1', 0, 100, () => {}); } catch (error) { return error; }
});
const [{ code, message }] = failed;
console.log(JSON.stringify({
  supported,
  code,
  message,
  same: failed.every((error) => error.message === reason + ': ' + hint),
  constants: sctp.constants.SCTP_COMM_LOST,
}));`;

/** A project with a copy of the package, of which nothing is built. */
function project(t) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'load-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const copy = path.join(directory, 'node_modules/sctp-napi');
  fs.cpSync(installed, copy, { recursive: true });
  fs.writeFileSync(path.join(directory, 'calls.cjs'), CALLS);
  return directory;
}

function run(cwd, program, ...args) {
  const { status, signal, stdout, stderr } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
  });
  assert.deepEqual({ status, signal }, { status: 0, signal: null }, stderr);
  return JSON.parse(stdout);
}

const says = (message) => ({
  supported: false,
  code: 'ERR_SCTP_UNAVAILABLE',
  message,
  same: true,
  constants: 1,
});

/** The binary of another runtime, from its npm package. */
function runtime(name, file) {
  const directory = path.join(CACHE, 'runtimes', path.basename(name));
  const binary = path.join(directory, file);
  if (!fs.existsSync(binary)) {
    fs.mkdirSync(directory, { recursive: true });
    const packed = spawnSync('npm', ['pack', '--silent', name], {
      cwd: directory,
      encoding: 'utf8',
    });
    assert.equal(packed.status, 0, packed.stderr);
    spawnSync('tar', ['xzf', packed.stdout.trim(), '--strip-components=1'], {
      cwd: directory,
    });
    fs.chmodSync(binary, 0o755);
  }
  return binary;
}

test('under Bun', (t) => {
  const bun = runtime('@oven/bun-linux-x64-baseline@1.4.5', 'bin/bun');
  assert.deepEqual(
    run(project(t), bun, 'calls.cjs'),
    says(
      'sctp-napi needs libuv, whose functions bun lacks: run it with `node`',
    ),
  );
});

test('under Deno', (t) => {
  const deno = runtime('@deno/linux-x64-glibc@2.9.6', 'deno');
  assert.deepEqual(
    run(project(t), deno, 'run', '--allow-all', 'calls.cjs'),
    says(
      'sctp-napi needs libuv, whose functions deno lacks: run it with `node`',
    ),
  );
});

// Node itself says so there; what it says is all that lib/binding.js looks at.
for (const [property, value, message] of [
  [
    'platform',
    'darwin',
    'sctp-napi uses the SCTP of the Linux kernel, which darwin does not have: ' +
      'run it on Linux, for instance in a virtual machine',
  ],
  [
    'platform',
    'win32',
    'sctp-napi uses the SCTP of the Linux kernel, which win32 does not have: ' +
      'run it on Linux, for instance in a virtual machine',
  ],
  [
    'arch',
    'riscv64',
    `sctp-napi has no prebuilt binary for linux-riscv64: ${compile}`,
  ],
]) {
  test(`on ${value}`, (t) => {
    const directory = project(t);
    fs.writeFileSync(
      path.join(directory, 'as.cjs'),
      `Object.defineProperty(process, '${property}', { value: '${value}' });`,
    );
    assert.deepEqual(
      run(directory, process.execPath, '-r', './as.cjs', 'calls.cjs'),
      says(message),
    );
  });
}

test('without its prebuilt binary', (t) => {
  const directory = project(t);
  fs.rmSync(path.join(directory, 'node_modules/sctp-napi/prebuilds'), {
    recursive: true,
  });
  assert.deepEqual(
    run(directory, process.execPath, 'calls.cjs'),
    says(`prebuilds/linux-x64.node of sctp-napi is missing: ${compile}`),
  );
});

test('with a binary that cannot be loaded', (t) => {
  const directory = project(t);
  const file = path.join(
    directory,
    'node_modules/sctp-napi/prebuilds/linux-x64.node',
  );
  fs.writeFileSync(file, 'no ELF file');
  const { message, ...rest } = run(directory, process.execPath, 'calls.cjs');
  assert.match(
    message,
    /^sctp-napi cannot be loaded \(.*(file too short|invalid ELF header)\): compile it/,
  );
  assert.deepEqual({ message, ...rest }, says(message));
});

test('npx sctp-napi build compiles it, and that binary is used', (t) => {
  const directory = project(t);
  const copy = path.join(directory, 'node_modules/sctp-napi');
  const bin = path.join(directory, 'node_modules/.bin');
  fs.mkdirSync(bin);
  fs.symlinkSync('../sctp-napi/bin/sctp-napi.js', path.join(bin, 'sctp-napi'));
  const { status, stderr } = spawnSync('npx', ['--no', 'sctp-napi', 'build'], {
    cwd: directory,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  assert.deepEqual(fs.readdirSync(path.join(copy, 'src')).sort(), [
    'binding.gyp',
    'sctp_dgram.c',
  ]);
  const loaded = spawnSync(
    process.execPath,
    [
      '-p',
      `require('sctp-napi'); Object.keys(require.cache).filter((name) => name.endsWith('.node')).join()`,
    ],
    { cwd: directory, encoding: 'utf8' },
  );
  assert.equal(
    loaded.stdout.trim(),
    path.join(fs.realpathSync(copy), 'build/Release/sctp_dgram.node'),
  );
});

test('npx sctp-napi build names the packages that are missing', (t) => {
  const directory = project(t);
  const script = path.join(directory, 'node_modules/sctp-napi/scripts/build');
  const tools = path.join(directory, 'tools');
  fs.mkdirSync(tools);
  for (const name of ['sh', 'dirname', 'node', 'env']) {
    const { stdout } = spawnSync('sh', ['-c', `command -v ${name}`], {
      encoding: 'utf8',
    });
    fs.symlinkSync(stdout.trim(), path.join(tools, name));
  }
  const { status, stderr } = spawnSync(script, [], {
    encoding: 'utf8',
    env: { PATH: tools },
  });
  assert.equal(status, 1);
  assert.equal(
    stderr,
    'sctp-napi: cannot be compiled without: ' +
      'apt install build-essential python3 libsctp-dev | ' +
      'dnf install gcc-c++ make python3 lksctp-tools-devel | ' +
      'pacman -S base-devel python lksctp-tools | ' +
      'apk add build-base linux-headers python3 lksctp-tools-dev\n',
  );
});
