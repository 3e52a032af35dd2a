'use strict';

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after } = require('node:test');
const {
  ending,
  enterOwnNetwork,
  run,
  test: plainTest,
  until,
} = require('../helpers');
const { dataChunks } = require('../helpers/pcap');

// Nobody else takes a port there, and tcpdump sees nothing else.
enterOwnNetwork(__filename);
run('ip link set lo up');

/** After how many milliseconds a test tells what it waits for. */
const PATIENCE = 300_000;

const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
const javaModules = spawnSync('java', ['--list-modules']).stdout ?? '';
const hasJava = ['jdk.compiler@', 'jdk.sctp@'].every((name) =>
  javaModules.includes(name),
);

/** Another program, with what it has printed so far. */
class Program {
  bytes = Buffer.alloc(0);
  stderr = '';
  status = undefined;

  constructor(child) {
    this.child = child;
    this.closed = once(child, 'close').then(([code, signal]) => {
      this.status = code ?? signal;
    });
    child.stdout.on('data', (data) => {
      this.bytes = Buffer.concat([this.bytes, data]);
    });
    child.stderr.on('data', (data) => {
      this.stderr += data;
    });
  }

  /** Waits for its end, and rejects where it has failed. */
  async failure() {
    await this.closed;
    // The status of sctp_darn is the length of its last message: 3 or more.
    if ([0, 'SIGKILL'].includes(this.status) || this.status > 2) return;
    assert.fail(`${this.child.spawnargs.join(' ')}: ${this.status}: ${this}`);
  }

  /** Waits until it has printed what is looked for, and returns the match. */
  async prints(pattern) {
    await until(() => this.status !== undefined || pattern.test(`${this}`));
    assert.match(`${this}`, pattern);
    return pattern.exec(`${this}`);
  }

  get stdout() {
    return String(this.bytes);
  }

  type(text) {
    this.child.stdin.write(text);
  }

  toString() {
    return this.stdout + this.stderr;
  }
}

/**
 * A test with `t.start(program, ...args)`: fails when that program is missing
 * or fails or keeps it waiting, and kills it in the end.
 */
function test(name, body) {
  plainTest(name, async (t) => {
    const programs = [];
    let failed;
    const failure = new Promise((_, reject) => {
      failed = reject;
    });
    const timer = setTimeout(
      () => failed(new Error(`waits in vain; printed: ${programs.join('')}`)),
      PATIENCE,
    );
    t.start = async (...args) => {
      const child = spawn(args[0], args.slice(1), { env });
      try {
        await once(child, 'spawn');
      } catch {
        assert.fail(`${args[0]} is missing: scripts/setup installs it`);
      }
      const program = new Program(child);
      programs.push(program);
      program.failure().catch(failed);
      return program;
    };
    try {
      await Promise.race([body(t), failure]);
    } finally {
      clearTimeout(timer);
      for (const { child } of programs) child.kill('SIGKILL');
      await Promise.all(programs.map(({ closed }) => closed));
    }
  });
}

/** Messages of a socket, as they come. */
function received(socket) {
  const list = [];
  socket.on('data', (data) => {
    const { sid, ppid, unordered } = data;
    list.push({ text: String(data), sid, ppid, unordered });
  });
  return list;
}

const texts = (list) => list.map(({ text }) => text).join('');

/** A server of ours and its port. */
async function ourServer(t) {
  const server = await t.listen({});
  return { server, port: server.address().port };
}

async function connected(t, port) {
  const socket = t.connect({ host: '127.0.0.1', port });
  await once(socket, 'connect');
  return socket;
}

async function freePort(t) {
  const { server, port } = await ourServer(t);
  server.close();
  await once(server, 'close');
  return port;
}

/** Until a program listens at a port, as the kernel lists it. */
async function listening(port) {
  const LISTEN = '10';
  await until(() =>
    fs
      .readFileSync('/proc/net/sctp/eps', 'latin1')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .some(([, , , state, , at]) => state === LISTEN && at === String(port)),
  );
}

/** A PPID as programs show it that leave its byte order to their user. */
const swapped = (ppid) =>
  os.endianness() === 'LE' ? u32(ppid).readUInt32LE() : ppid;

function u32(number) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
}

const streamPrograms = [
  {
    name: 'ncat',
    client: (port) => ['ncat', '--sctp', '127.0.0.1', port],
    listener: (port) => ['ncat', '--sctp', '--listen', '127.0.0.1', port],
  },
  {
    name: 'socat',
    client: (port) => ['socat', '-', `SCTP-CONNECT:127.0.0.1:${port}`],
    listener: (port) => ['socat', '-', `SCTP-LISTEN:${port},bind=127.0.0.1`],
  },
];

for (const { name, client, listener } of streamPrograms) {
  const asClient = async (t) => {
    const { server, port } = await ourServer(t);
    const connection = once(server, 'connection');
    const program = await t.start(...client(port));
    const [socket] = await connection;
    return { program, socket };
  };
  const asListener = async (t) => {
    const port = await freePort(t);
    const program = await t.start(...listener(port));
    await listening(port);
    const socket = await connected(t, port);
    return { program, socket };
  };

  for (const [role, start] of [
    ['client', asClient],
    ['listener', asListener],
  ]) {
    test(`${name} as ${role}: text arrives in both directions`, async (t) => {
      const { program, socket } = await start(t);
      const list = received(socket);
      program.type('one\n');
      await until(() => texts(list) === 'one\n');
      socket.write('an answer, in UTF-8: äöü\n');
      await program.prints(/^an answer, in UTF-8: äöü\n/);
      program.type('two\n');
      await until(() => texts(list) === 'one\ntwo\n');
    });

    test(`${name} as ${role}: the end of its input ends our socket`, async (t) => {
      const { program, socket } = await start(t);
      const list = received(socket);
      const ended = ending(socket);
      program.child.stdin.end('last\n');
      assert.deepEqual(await ended, ['end', 'close']);
      assert.equal(texts(list), 'last\n');
      await program.closed;
      assert.equal(program.status, 0);
    });

    test(`${name} as ${role}: the end of our socket ends it`, async (t) => {
      const { program, socket } = await start(t);
      const ended = ending(socket);
      socket.resume();
      socket.end('last\n');
      await program.closed;
      assert.equal(program.stdout, 'last\n');
      assert.equal(program.status, 0);
      assert.deepEqual(await ended, ['end', 'close']);
    });
  }
}

/** The arguments that both programs of lksctp-tools have. */
const local = (port) => ['-H', '127.0.0.1', '-P', port];
const remote = (port) => ['-h', '127.0.0.1', '-p', port];

test('sctp_darn as client: text arrives, and its end ends our socket', async (t) => {
  const { server, port } = await ourServer(t);
  const from = await freePort(t);
  const connection = once(server, 'connection');
  const darn = await t.start(
    'sctp_darn',
    ...local(from),
    ...remote(port),
    '-s',
  );
  darn.type('one\n');
  const [socket] = await connection;
  const list = received(socket);
  const ended = ending(socket);
  await until(() => list.length === 1);
  darn.child.stdin.end('two\n');
  assert.deepEqual(await ended, ['end', 'close']);
  // It sends the zero byte of C's strings, too.
  assert.deepEqual(list, [
    { text: 'one\n\0', sid: 0, ppid: 0, unordered: false },
    { text: 'two\n\0', sid: 0, ppid: 0, unordered: false },
  ]);
});

test('sctp_darn as listener: text, stream, PPID and end arrive', async (t) => {
  const port = await freePort(t);
  // To a pipe it would print only when it ends.
  const darn = await t.start(
    'stdbuf',
    '-oL',
    'sctp_darn',
    ...local(port),
    '-l',
  );
  await listening(port);
  const socket = await connected(t, port);
  const ended = ending(socket);
  // It does not show the last byte.
  socket.send('one\n', { sid: 3, ppid: 0x11223344 });
  socket.send('two\n', { sid: 2, ppid: 0xfffefdfc, unordered: true });
  await darn.prints(/two/);
  socket.end();
  await darn.prints(/SHUTDOWN_COMP/);
  assert.deepEqual(await ended, ['end', 'close']);
  const pattern =
    /sinfo_stream (\d+)\s[\s\S]*?sinfo_flags (\w+)\s[\s\S]*?sinfo_ppid (\d+)\s[\s\S]*?DATA\((\d+)\): {2}(\w+)/g;
  assert.deepEqual(
    [...darn.stdout.matchAll(pattern)].map((match) => match.slice(1)),
    [
      ['3', '0x0', String(swapped(0x11223344)), '4', 'one'],
      ['2', '0x1', String(swapped(0xfffefdfc)), '4', 'two'],
    ],
  );
});

test('sctp_test as client: length, stream, PPID and order arrive as it prints them', async (t) => {
  const { server, port } = await ourServer(t);
  const from = await freePort(t);
  const connection = once(server, 'connection');
  const program = await t.start(
    ...['sctp_test', ...local(from), ...remote(port), '-s'],
    // Messages of 1, 1453 and 32768 bytes, every other one unordered.
    ...['-c', '3', '-x', '1', '-o', '2', '-M', '4'],
  );
  const [socket] = await connection;
  const list = received(socket);
  assert.deepEqual(await ending(socket), ['end', 'close']);
  await program.closed;
  const pattern =
    /(\d+) bytes\.\s+SNDRCV\(stream=(\d+) flags=0x(\d) ppid=(\d+)/g;
  const sent = [...program.stdout.matchAll(pattern)].map((match) => {
    const [length, sid, flags, ppid] = match.slice(1).map(Number);
    return { length, sid, ppid: swapped(ppid), unordered: flags === 1 };
  });
  assert.equal(sent.length, 10);
  assert.deepEqual(
    list.map(({ text, ...rest }) => ({ length: text.length, ...rest })),
    sent,
  );
});

test('sctp_test as listener: text, stream, PPID and end arrive', async (t) => {
  const port = await freePort(t);
  const program = await t.start('sctp_test', ...local(port), '-l');
  await listening(port);
  const socket = await connected(t, port);
  const ended = ending(socket);
  // It has no attributes of what follows a notification.
  socket.send('zero');
  socket.send('one', { sid: 3, ppid: 0x11223344 });
  socket.send('two', { sid: 2, ppid: 0xfffefdfc, unordered: true });
  await program.prints(/two\s+SNDRCV.*ppid=\d+\n/);
  socket.end();
  await program.prints(/SHUTDOWN_COMPLETE/);
  assert.deepEqual(await ended, ['end', 'close']);
  const pattern =
    /bytes: (\w+)\s+SNDRCV\(stream=(\d+) \S+ \S+ flags=(\w+) ppid=(\d+)/g;
  assert.deepEqual(
    [...program.stdout.matchAll(pattern)].map((match) => match.slice(1)),
    [
      ['one', '3', '0x0', String(swapped(0x11223344))],
      ['two', '2', '0x1', String(swapped(0xfffefdfc))],
    ],
  );
});

if (hasJava) {
  const source = path.join(__dirname, 'interop', 'Peer.java');
  const classes = fs.mkdtempSync(path.join(os.tmpdir(), 'sctp-interop-'));
  after(() => fs.rmSync(classes, { recursive: true }));
  run(`javac -d ${classes} ${source}`);
  // Nothing of what makes Java fast later, since this is over soon.
  const peer = ['-Xint', '-XX:+UseSerialGC', '-cp', classes, 'Peer'];

  const talk = async (program, socket) => {
    const list = received(socket);
    await until(() => list.length === 1);
    assert.deepEqual(list, [
      { text: 'from Java', sid: 5, ppid: 0x89abcdef, unordered: true },
    ]);
    socket.send('äöü', { sid: 3, ppid: 0xfedcba98 });
    await program.prints(/sid=3 ppid=fedcba98 unordered=false text=äöü\n/);
    socket.send('one', { sid: 2, ppid: 0x11223344, unordered: true });
    await program.prints(/sid=2 ppid=11223344 unordered=true text=one\n/);
  };

  test('Java as client: text, stream, PPID and order arrive in both directions, its end ends our socket', async (t) => {
    const { server, port } = await ourServer(t);
    const connection = once(server, 'connection');
    const program = await t.start('java', ...peer, 'connect', port);
    const [socket] = await connection;
    const ended = ending(socket);
    await talk(program, socket);
    socket.write('bye');
    assert.deepEqual(await ended, ['end', 'close']);
  });

  test('Java as listener: text, stream, PPID and order arrive in both directions, our end ends it', async (t) => {
    const program = await t.start('java', ...peer, 'listen');
    const [, port] = await program.prints(/listening on (\d+)\n/);
    const socket = await connected(t, port);
    const ended = ending(socket);
    await talk(program, socket);
    socket.end();
    await program.prints(/end\n/);
    assert.deepEqual(await ended, ['end', 'close']);
    await program.closed;
    assert.equal(program.status, 0);
  });
}

/** The DATA chunks on the wire of messages that our client sends. */
async function onTheWire(t, ...messages) {
  const { server, port } = await ourServer(t);
  server.on('connection', (socket) => socket.resume());
  const tcpdump = await t.start(
    ...['tcpdump', '-i', 'lo', '--immediate-mode', '-U', '-w', '-', 'sctp'],
  );
  await tcpdump.prints(/listening on lo/);
  const socket = await connected(t, port);
  for (const [text, attributes] of messages) socket.send(text, attributes);
  await until(() => dataChunks(tcpdump.bytes).length >= messages.length);
  return dataChunks(tcpdump.bytes);
}

test('stream and PPID stand on the wire in network byte order', async (t) => {
  assert.deepEqual(await onTheWire(t, ['text', { sid: 3, ppid: 0x11223344 }]), [
    {
      unordered: false,
      sid: 3,
      ppid: [0x11, 0x22, 0x33, 0x44],
      text: 'text',
    },
  ]);
});

test('unordered: true sets the U flag on the wire', async (t) => {
  const sent = await onTheWire(
    t,
    ['ordered', { sid: 1 }],
    ['unordered', { sid: 1, unordered: true }],
  );
  assert.deepEqual(
    sent.map(({ text, unordered }) => [text, unordered]),
    [
      ['ordered', false],
      ['unordered', true],
    ],
  );
});
