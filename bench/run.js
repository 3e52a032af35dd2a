'use strict';

// Runs the benchmark and prints its table:
//
//   npm run bench [-- [--json] [SCENARIO...]]
//
// With SCTP_BENCH_COUNTED, time is counted in instructions: see scripts/bench.

const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const COUNTED = process.env.SCTP_BENCH_COUNTED === '1';
const FLOOR = path.join(__dirname, '../build/floor');
const NODE = path.join(__dirname, 'node.js');
const POLICY = '/proc/sys/net/sctp/sndbuf_policy';

/** The measurements: name, program and arguments. */
const programs = {
  floor: { label: 'C', floor: true },
  bundled: { label: 'C, MSG_MORE', floor: true, set: { more: 64 } },
  open: { label: 'open(), send()', driver: 'open' },
  batch: { label: 'open(), sendBatch()', driver: 'open', set: { batch: 1 } },
  dgram: { label: 'node:dgram', driver: 'dgram' },
  floor1: { label: 'C, one-to-one', floor: true, set: { one: 1 } },
  stream: { label: 'connect(), write()', driver: 'stream' },
  corked: { label: 'connect(), cork()', driver: 'stream', set: { batch: 1 } },
  net: { label: 'node:net (TCP)', driver: 'net' },
};

const SIZES = [64, 256, 1024, 4096, 8192, 16384, 65536];

/**
 * Enough for V8 to have compiled what is measured, and for its garbage
 * collections to be in the mean. Of long messages, no more at once than the
 * smallest buffers hold that a kernel grants by default.
 */
const lengths = (size) => {
  if (size > 16384) return { burst: 2, warmup: 5000, count: 5000 };
  if (size > 1024) return { burst: 8, warmup: 40000, count: 25000 };
  return { burst: 64, warmup: 150000, count: 100000 };
};

/** Time has noise: programs take turns, and each is measured that often. */
const ROUNDS = COUNTED ? 1 : 5;

const scenarios = {
  oneway: () =>
    SIZES.flatMap((size) =>
      ['floor', 'open', 'bundled', 'batch', 'floor1', 'stream', 'corked', 'net']
        .filter((name) => size <= 1024 || !/bundled|batch|corked/.test(name))
        .map((name) => oneway(name, { size, ...lengths(size) })),
    ),
  dgram: () =>
    [64, 256, 1024].flatMap((size) =>
      ['dgram', 'open', 'batch'].map((name) =>
        oneway(name, { size, ...lengths(size), burst: 32 }),
      ),
    ),
  associations: () =>
    ['floor1', 'stream', 'net'].flatMap((name) =>
      [1, 100].map((peers) =>
        oneway(name, { size: 64, peers, warmup: 150000, count: 50000 }),
      ),
    ),
  pingpong: () =>
    [64, 1024, 16384].flatMap((size) =>
      ['floor', 'open', 'dgram', 'floor1', 'stream', 'net'].map((name) =>
        pair(name, 'pong', 'ping', { size, warmup: 20000, count: 20000 }),
      ),
    ),
  refused: () =>
    ['open', 'batch'].flatMap((name) => {
      const set = { size: 64, burst: 64, warmup: 150000, count: 100000 };
      return [
        { name, set, run: () => result(start(name, 'calls', set)) },
        pair(name, 'stopped', 'calls', { ...set, refused: 1 }),
      ];
    }),
  fanout: () => fans({ size: 64 }),
  fanin: () => fans({ size: 64, fanIn: 1 }),
  connect: () =>
    ['floor1', 'stream', 'net'].map((name) =>
      pair(name, 'disconnect', 'connects', { warmup: 1000, count: 1000 }),
    ),
  memory: () => [
    memory('floor', { what: 'endpoint', count: 1000 }),
    memory('open', { what: 'endpoint', count: 1000 }),
    memory('floor1', { what: 'association', count: 1000 }),
    memory('stream', { what: 'association', count: 1000 }),
    memory('net', { what: 'association', count: 1000 }),
    memory('floor1', { what: 'message' }),
    memory('stream', { what: 'message', count: 20000 }),
    memory('net', { what: 'message', count: 20000 }),
  ],
};

/** With batches, V8 takes longer to see what is worth to be compiled. */
const warmUp = (name, { warmup }) =>
  warmup * (programs[name].set?.batch ? 4 : 1);

const oneway = (name, set) => ({
  name,
  set,
  run: () =>
    result(start(name, 'oneway', { ...set, warmup: warmUp(name, set) })),
});

/** Two processes: the first waits for what the second does. */
const pair = (name, server, client, set) => ({
  name,
  set,
  async run() {
    const first = start(name, server, set);
    const { port } = await line(first);
    const measured = await result(start(name, client, { ...set, port }));
    first.kill('SIGKILL');
    return measured;
  },
});

/** One endpoint, and a process that plays all its peers. */
const fan = (name, policy, set) => ({
  name,
  set: { ...set, policy },
  async run() {
    if (!setPolicy(policy)) return null;
    const hub = start(name, 'fan', set);
    const { port } = await line(hub);
    const peers = start('floor', 'peers', { ...set, port });
    const measured = await result(hub);
    peers.kill();
    setPolicy(0);
    return measured;
  },
});

const fans = (set) =>
  [0, 1].flatMap((policy) =>
    [1, 10, 100, 1000].flatMap((peers) =>
      ['floor', 'open'].map((name) =>
        fan(name, policy, { ...set, peers, warmup: 20000, count: 10000 }),
      ),
    ),
  );

const memory = (name, set) => ({
  name,
  set,
  run: () => result(start(name, 'memory', set)),
});

/** Only root may change it; what it is already, needs no change. */
function setPolicy(policy) {
  try {
    if (Number(fs.readFileSync(POLICY, 'latin1')) !== policy) {
      fs.writeFileSync(POLICY, String(policy));
    }
    return true;
  } catch {
    return false;
  }
}

function start(name, role, set) {
  const { floor, driver, set: own } = programs[name];
  const args = Object.entries({ ...set, ...own }).map((pair) => pair.join('='));
  const stdio = ['ignore', 'pipe', 'inherit'];
  return floor
    ? spawn(FLOOR, [role, ...args], { stdio })
    : spawn(process.execPath, ['--expose-gc', NODE, driver, role, ...args], {
        stdio,
      });
}

/** The next line that the process prints; null: it ends without one. */
function line(child) {
  return new Promise((resolve) => {
    let text = '';
    const done = (value) => {
      child.stdout.removeAllListeners();
      resolve(value);
    };
    child.stdout.on('data', (data) => {
      text += data;
      if (text.includes('\n')) done(JSON.parse(text));
    });
    child.stdout.on('end', () => done(null));
  });
}

async function result(child) {
  const measured = (await line(child)) ?? {};
  child.kill();
  return measured;
}

/** Averages several rounds, and tells by how much they differ. */
function combined(rounds) {
  const [first] = rounds;
  if (rounds.length === 1 || first?.mean === undefined) return first;
  const average = (name) =>
    rounds.reduce((sum, round) => sum + round[name], 0) / rounds.length;
  const means = rounds.map(({ mean }) => mean);
  const mean = average('mean');
  const spread = (Math.max(...means) - Math.min(...means)) / mean;
  return { mean, median: average('median') || undefined, spread };
}

// ------------------------------------------------------------------- table

const UNIT = COUNTED ? 'k instructions' : 'µs';
const bytes = (n) => (n < 1024 ? `${n} B` : `${n / 1024} KiB`);

function describe({ size, burst, peers, policy, what, refused }) {
  return [
    refused && 'refused',
    what && `per ${what}`,
    size && bytes(size),
    burst && `bursts of ${burst}`,
    peers && `${peers} peer${peers > 1 ? 's' : ''}`,
    policy === 1 && 'sndbuf_policy 1',
  ]
    .filter(Boolean)
    .join(', ');
}

const thousands = (ns) => (ns === undefined ? '' : (ns / 1000).toFixed(1));

function value({ mean, spread, rss, kernel, count }) {
  const around = spread === undefined ? '' : ` ±${(50 * spread).toFixed(0)} %`;
  if (mean !== undefined) return `${thousands(mean)} ${UNIT}${around}`;
  if (count === undefined) return 'failed';
  const per = (total) => Math.round(total / count);
  return `${per(rss)} B, kernel ${per(kernel)} B`;
}

/** Ratio to the program that does as little as possible. */
function ratio(row, rows) {
  if (row.set.refused) {
    const accepted = rows[rows.indexOf(row) - 1];
    return (row.mean / accepted.mean).toFixed(2);
  }
  const like = (other) =>
    JSON.stringify(other.set) === JSON.stringify(row.set) &&
    other.name ===
      (/floor1|stream|corked|net/.test(row.name) ? 'floor1' : 'floor');
  const base =
    rows.find(like) ??
    rows.find(
      (other) => other.name === 'dgram' && other.set.size === row.set.size,
    );
  return base && base !== row && row.mean
    ? (base.mean / row.mean).toFixed(2)
    : '';
}

function print(scenario, rows) {
  const cells = rows.map((row) => [
    describe(row.set),
    programs[row.name].label,
    value(row),
    thousands(row.median),
    ratio(row, rows),
  ]);
  const head = [scenario, 'program', 'mean', 'median', 'ratio'];
  const width = head.map((_, i) =>
    Math.max(...[head, ...cells].map((row) => row[i].length)),
  );
  const format = (row) =>
    `| ${row.map((cell, i) => cell.padEnd(width[i])).join(' | ')} |`;
  console.log(format(head));
  console.log(format(width.map((n) => '-'.repeat(n))));
  for (const row of cells) console.log(format(row));
  console.log();
}

const LEGEND = `
C, open():      one-to-many; SCTP_NODELAY, SCTP_RTOINFO 250/200/5000 ms, unordered,
                TTL 30 s, SCTP_FRAGMENT_INTERLEAVE 1, SCTP_RECVRCVINFO,
                SO_SNDBUF and SO_RCVBUF asked at 4 MiB
C, connect():   one-to-one; SCTP_NODELAY, SCTP_RECVRCVINFO, the same buffers, ordered
node:net:       TCP_NODELAY, the system's buffers
node:dgram:     connected, the system's buffers; more than 32 at once are dropped

oneway, dgram, associations: both ends in one process, which sends a burst when
the one before has arrived (associations: 64 messages). pingpong, connect: two processes. fanout, fanin: the CPU time of the process
with the one endpoint. refused: of send() and of sendBatch() with one message, the
call alone; the ratio there is that of a refused one to an accepted one. mean: of
all, garbage collections included; median: of 50 slices. ratio: the time of plain C with the same socket (in "dgram":
that of node:dgram) by the time of this one, so more is better.`;

function commit() {
  try {
    return execFileSync('git', [
      '-C',
      __dirname,
      'rev-parse',
      '--short',
      'HEAD',
    ])
      .toString()
      .trim();
  } catch {
    return undefined; // not a clone
  }
}

async function main(args) {
  const json = args.includes('--json');
  const names = args.filter((arg) => arg !== '--json');
  const unknown = names.find((name) => !scenarios[name]);
  if (unknown) {
    console.error(`${unknown} is none of ${Object.keys(scenarios).join(', ')}`);
    process.exitCode = 2;
    return;
  }
  const where = {
    node: process.version,
    kernel: os.release(),
    counted: COUNTED,
  };
  for (const scenario of names.length ? names : Object.keys(scenarios)) {
    const list = scenarios[scenario]();
    const measured = list.map(() => []);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [i, { run }] of list.entries()) measured[i].push(await run());
    }
    const rows = [];
    for (const [i, { name, set }] of list.entries()) {
      if (!measured[i][0]) continue;
      const row = { scenario, name, set, ...combined(measured[i]) };
      rows.push(row);
      if (json) {
        console.log(JSON.stringify({ ...row, ...where, commit: commit() }));
      }
    }
    if (!json) print(scenario, rows);
  }
  if (!json) console.log(LEGEND.trim());
}

main(process.argv.slice(2));
