'use strict';

// There is no Node for musl to be had from npm or Debian: a small program that
// exports what Node does loads the prebuilt binary under musl's loader.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');

const { CACHE } = process.env;
const root = path.join(__dirname, '../..');
const musl = path.join(CACHE, 'musl/usr');
const TRIPLET = 'x86_64-linux-musl';
const headers = path.join(CACHE, '../prebuild/sysroot/x64/usr/include');

function run(program, ...args) {
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  return stdout;
}

const prebuilt = (arch) => path.join(root, `prebuilds/linux-${arch}.node`);

/** The symbols that a file imports. */
const imports = (file) =>
  run('readelf', '-W', '--dyn-syms', file)
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[6] === 'UND' && columns[7])
    .map((columns) => ({
      name: columns[7].replace(/@.*/, ''),
      weak: columns[4] === 'WEAK',
    }));

const FROM_NODE = /^(napi|uv)_/;

function directory(t) {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'musl-'));
  t.after(() => fs.rmSync(made, { recursive: true }));
  return made;
}

const compiler = [
  ...[`--target=${TRIPLET}`, '-nostdinc'],
  ...['-isystem', path.join(musl, 'include', TRIPLET)],
];

test('musl has all that the prebuilt binaries import', () => {
  const provided = new Set(
    run(
      'readelf',
      '-W',
      '--dyn-syms',
      path.join(musl, 'lib', TRIPLET, 'libc.so'),
    )
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((columns) => columns[6] && columns[6] !== 'UND')
      .map((columns) => columns[7]),
  );
  for (const arch of ['x64', 'arm64']) {
    const missing = imports(prebuilt(arch))
      .filter(({ name, weak }) => !weak && !FROM_NODE.test(name))
      .map(({ name }) => name)
      // musl has it on architectures whose compilers use it.
      .filter((name) => name !== '__stack_chk_guard' && !provided.has(name));
    assert.deepEqual(missing, [], arch);
  }
});

test('the prebuilt binary is loaded by musl’s loader, and is a Node-API 8 addon', (t) => {
  const made = directory(t);
  const source = path.join(made, 'host.c');
  const stubs = imports(prebuilt('x64'))
    .filter(({ name }) => FROM_NODE.test(name))
    .map(({ name }) => `int ${name}(void) { return 9; }\n`)
    .join('');
  fs.writeFileSync(
    source,
    `#include <dlfcn.h>
#include <stdio.h>
${stubs}
int main(int argc, char **argv) {
  void *addon = dlopen(argv[1], RTLD_NOW);
  int (*version)(void);
  if (!addon || !dlsym(addon, "napi_register_module_v1"))
    return fprintf(stderr, "%s\\n", dlerror()), 1;
  version = (int (*)(void))dlsym(addon, "node_api_module_get_api_version_v1");
  return printf("Node-API %d\\n", version()), 0;
}
`,
  );
  const host = path.join(made, 'host');
  const lib = path.join(musl, 'lib', TRIPLET);
  run(
    'clang',
    ...compiler,
    ...[
      '-fuse-ld=lld',
      '-nostdlib',
      '-rdynamic',
      '-no-pie',
      '-o',
      host,
      source,
    ],
    ...[path.join(lib, 'crt1.o'), path.join(lib, 'libc.so')],
    `-Wl,--dynamic-linker=${path.join(lib, 'libc.so')}`,
  );
  assert.equal(run(host, prebuilt('x64')), 'Node-API 8\n');
});

test('the source compiles on musl', (t) => {
  const made = directory(t);
  fs.symlinkSync(path.join(headers, 'linux'), path.join(made, 'linux'));
  fs.symlinkSync(
    path.join(headers, 'asm-generic'),
    path.join(made, 'asm-generic'),
  );
  fs.symlinkSync(
    path.join(headers, 'x86_64-linux-gnu/asm'),
    path.join(made, 'asm'),
  );
  fs.mkdirSync(path.join(made, 'netinet'));
  fs.symlinkSync(
    path.join(headers, 'netinet/sctp.h'),
    path.join(made, 'netinet/sctp.h'),
  );
  run(
    'clang',
    ...compiler,
    ...[
      '-isystem',
      made,
      '-isystem',
      `${run('clang', '-print-resource-dir').trim()}/include`,
    ],
    ...[
      '-std=gnu11',
      '-O2',
      '-fPIC',
      '-Wall',
      '-Wextra',
      '-Wshadow',
      '-Werror',
    ],
    ...['-DNAPI_VERSION=8', `-I${run('scripts/node-headers').trim()}`],
    ...['-c', 'sctp_dgram.c', '-o', path.join(made, 'sctp_dgram.o')],
  );
});
