'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { finish, messages, runScript, test } = require('../helpers');

const root = path.resolve(__dirname, '../..');
const read = (file) => fs.readFileSync(path.join(root, file), 'utf8');
const snippetsOf = (file, language) =>
  [...read(file).matchAll(/^```(\w+)\n(.*?)^```/gms)]
    .filter((match) => match[1] === language)
    .map(([, , source]) => source);
const snippets = [
  ...snippetsOf('README.md', 'js'),
  ...snippetsOf('docs/datagrams.md', 'js'),
];

/** Runs a program of the repository; the test may write its input. */
function start(file, ...args) {
  const child = spawn(process.execPath, [path.join(root, file), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdout.setEncoding('utf8');
  return child;
}

async function stop(...children) {
  for (const child of children) {
    child.kill();
    await once(child, 'close');
  }
}

async function line(child, pattern) {
  let text = '';
  for (;;) {
    const [data] = await once(child.stdout, 'data');
    text += data;
    const match = pattern.exec(text);
    if (match) return match;
  }
}

test('README.md and docs/datagrams.md have their snippets', () => {
  assert.equal(snippets.length, 4);
});

/** The snippet as a user runs it, who has installed the package. */
const asUser = (source) => source.replace(/const \{ .* \} =/, 'const {} =');

test('the snippet of streams echoes with stream id and PPID', async () => {
  const { code, stdout, stderr } = await runScript(asUser(snippets[0]), {
    cwd: root,
  });
  assert.deepEqual(
    [stderr, stdout, code],
    ['', 'echo of hello on stream 3 with PPID 46\n', 0],
  );
});

test('the snippet of datagrams echoes', async () => {
  const { code, stdout, stderr } = await runScript(asUser(snippets[1]), {
    cwd: root,
  });
  assert.deepEqual([stderr, stdout, code], ['', 'echo of hello\n', 0]);
});

test('the snippet of onDrain sends all', async () => {
  const { code, stdout, stderr } = await runScript(asUser(snippets[2]), {
    cwd: root,
  });
  assert.deepEqual([stderr, stdout, code], ['', '', 0]);
});

test('the snippet of peelOff() answers from a socket of its own', async () => {
  const { code, stdout, stderr } = await runScript(asUser(snippets[3]), {
    cwd: root,
  });
  assert.deepEqual(
    [stderr, stdout, code],
    ['', 'here it is, from 1 peer\n', 0],
  );
});

/** A program in a folder where the package is installed, as a user has it. */
function installed(t, program) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sctp-napi-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  fs.mkdirSync(path.join(folder, 'node_modules'));
  fs.symlinkSync(root, path.join(folder, 'node_modules/sctp-napi'));
  fs.writeFileSync(path.join(folder, 'program.js'), program);
  return path.join(folder, 'program.js');
}

/** Pages whose program is followed by what it prints. */
for (const page of [
  ...['authentication', 'delivery', 'multihoming'],
  ...['options', 'processes', 'streams'],
]) {
  test(`the program of docs/${page}.md prints what stands there`, async (t) => {
    const [program, ...others] = snippetsOf(`docs/${page}.md`, 'js');
    const [expected] = snippetsOf(`docs/${page}.md`, 'text');
    assert.deepEqual(others, []);
    const { code, stdout, stderr } = await finish(process.execPath, [
      installed(t, program),
    ]);
    assert.deepEqual([stderr, stdout, code], ['', expected, 0]);
  });
}

const INSTALL = 'docs/install.md';

test('the snippets of docs/install.md run', async () => {
  const [support, echo, webpack, ...configurations] = snippetsOf(INSTALL, 'js');
  // In a block, they may declare names that runScript() has declared.
  const run = (source) => runScript(`{${source}}`, { cwd: root });

  const { code, stdout, stderr } = await run(support);
  assert.deepEqual([stderr, stdout, code], ['', '', 0]);

  const report = await run(echo);
  assert.equal(report.code, 0, report.stdout);
  for (const count of ['pass 1', 'fail 0', 'skipped 0']) {
    assert.ok(report.stdout.includes(count), report.stdout);
  }

  const externals = await run(
    `${webpack};console.log(Object.keys(module.exports.externals))`,
  );
  assert.equal(externals.stdout, "[ 'sctp-napi' ]\n");

  assert.equal(configurations.length, 2); // Vite, Rollup
  for (const source of configurations) {
    const url = `data:text/javascript,${encodeURIComponent(source)}`;
    const { default: options } = await import(url);
    const { external } = options.build?.rollupOptions ?? options;
    assert.deepEqual(external, ['sctp-napi']);
  }
});

test('the JSON in docs/install.md is valid', () => {
  const [dockerfile] = snippetsOf(INSTALL, 'dockerfile');
  const [, command] = /^CMD (.*)$/m.exec(dockerfile);
  for (const source of [...snippetsOf(INSTALL, 'json'), command]) {
    JSON.parse(source);
  }
});

test('docs/install.md names the packages that scripts/build asks for', () => {
  const asked = [...read('scripts/build').matchAll(/^\s*.*\bneed (\S.*)$/gm)]
    .map(([, names]) => names.match(/'[^']*'|[\w.+-]+/g))
    .filter((names) => names.length === 4 && names[0] !== 'APT');
  assert.equal(asked.length, 3);
  for (const [i, command] of [
    'apt install',
    'dnf install',
    'pacman -S',
    'apk add',
  ].entries()) {
    const names = asked.map((packages) => packages[i].replaceAll("'", ''));
    assert.ok(read(INSTALL).includes(`\`${command} ${names.join(' ')}\``));
  }
});

test('the links in README.md and docs lead somewhere', () => {
  const anchors = (file) =>
    [...read(file).matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
      title
        .toLowerCase()
        .replace(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    );
  const pages = fs.readdirSync(path.join(root, 'docs'));
  for (const file of ['README.md', ...pages.map((name) => `docs/${name}`)]) {
    for (const [, link] of read(file).matchAll(/\]\(([^)\s]+)\)/g)) {
      const [name, anchor] = link.split('#');
      const target = name ? path.join(path.dirname(file), name) : file;
      assert.ok(fs.existsSync(path.join(root, target)), `${file}: ${link}`);
      if (anchor) assert.ok(anchors(target).includes(anchor), link);
    }
  }
});

test('docs/features.md names tests that there are', () => {
  const rows = [
    ...read('docs/features.md').matchAll(/`([\w-]+\/[\w-]+)`: (.+)/g),
  ];
  assert.ok(rows.length >= 50);
  for (const [, file, name] of rows) {
    const source = read(`test/${file}.test.js`);
    assert.ok(source.includes(name.trim()), `${file}: ${name}`);
  }
});

test('an ECMAScript module can import all', async () => {
  const { code, stdout, stderr } = await runScript(
    `import('sctp-napi').then((all) => console.log(
       all.open === open && all.connect === connect &&
       all.createServer === createServer && all.constants !== undefined &&
       all.createConnection === connect))`,
    { cwd: root },
  );
  assert.deepEqual([stderr, stdout, code], ['', 'true\n', 0]);
});

test('the demo sends a file and shows that every byte arrived', async () => {
  const child = start('examples/demo.js', path.join(root, 'index.d.ts'));
  let output = '';
  child.stdout.on('data', (data) => {
    output += data;
  });
  const [code] = await once(child, 'close');
  assert.match(output, /\d+ of \d+ messages answered/);
  assert.match(output, /\d+ messages per second/);
  assert.match(output, /p50 [\d.]+ ms, p90 [\d.]+ ms, p99 [\d.]+ ms/);
  assert.match(output, /every byte arrived\n$/);
  assert.equal(code, 0);
});

test('the receive example prints what arrives', async (t) => {
  const child = start('examples/receive.js', '127.0.0.1', '0');
  const [, port] = await line(child, /port (\d+)/);
  const handle = t.open();
  handle.send(Buffer.from('hello'), '127.0.0.1', Number(port));
  await line(child, new RegExp(`127.0.0.1 ${handle.address().port}: hello`));
  child.kill();
  await once(child, 'close');
});

test('the echo example sends every message back', async (t) => {
  const child = start('examples/echo.js', '127.0.0.1', '0');
  const [, port] = await line(child, /port (\d+)/);
  await new Promise((resolve) => {
    const handle = t.open(([data]) => {
      assert.equal(String(data), 'hello');
      resolve();
    });
    handle.send(Buffer.from('hello'), '127.0.0.1', Number(port));
  });
  child.kill('SIGINT');
  const [code] = await once(child, 'close');
  assert.equal(code, 0);
});

test('the echo server sends every message back on its stream', async (t) => {
  const child = start('examples/echo-server.js', '0');
  const [, port] = await line(child, /port (\d+)/);
  const socket = t.connect({ host: '127.0.0.1', port });
  socket.send('hello', { sid: 2, ppid: 5 });
  const [data] = await messages(socket, 1);
  assert.deepEqual([String(data), data.sid, data.ppid], ['hello', 2, 5]);
  socket.end();
  await line(child, /127\.0\.0\.1 \d+ has gone/);
  await stop(child);
});

test('the chat hands a line on to the others of its room', async () => {
  const server = start('examples/chat.js', 'listen', '0');
  const [, port] = await line(server, /port (\d+)/);
  const join = async (name) => {
    const child = start('examples/chat.js', 'connect', '127.0.0.1', port, name);
    await line(child, /connected/);
    return child;
  };
  const [ann, bob] = [await join('ann'), await join('bob')];
  // The server knows bob by name when it has read what he says.
  bob.stdin.write('4 hello ann\n');
  await line(ann, /^\[4\] bob: hello ann$/m);
  ann.stdin.write('3 hello bob\n');
  await line(bob, /^\[3\] ann: hello bob$/m);
  ann.stdin.end();
  const [code] = await once(ann, 'close');
  assert.equal(code, 0);
  await stop(bob, server);
});

test('the multihomed pair tells its addresses and gets its messages back', async () => {
  const [here, there] = ['127.0.0.3,127.0.0.4', '127.0.0.1,127.0.0.2'];
  const server = start('examples/multihome.js', 'listen', '0', there);
  const [, port] = await line(server, /127\.0\.0\.2.* port: (\d+)/);
  const client = start('examples/multihome.js', 'connect', port, here, there);
  await line(client, /connected to 127\.0\.0\.1 and 127\.0\.0\.2/);
  await line(client, /message 2 came back/);
  await stop(client, server);
});

test('the minimal examples are at most 20 lines long', () => {
  for (const file of [
    'examples/receive.js',
    'examples/echo.js',
    'examples/echo-server.js',
  ]) {
    assert.ok(read(file).trim().split('\n').length <= 20, file);
  }
});
