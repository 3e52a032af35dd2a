'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const path = require('node:path');
const { ending, run } = require('../helpers');
const { HERE, THERE, twoHosts } = require('./hosts');
const { scenario, until } = require('./report');
const { deliver, payload, quick } = require('./traffic');

const hosts = twoHosts(__filename);

/** The ports where the other host sends back what it gets. */
const echoes = {};
for (const api of ['open()', 'createServer()']) {
  const file = path.join(__dirname, 'echo.js');
  hosts.startThere(process.execPath, [file, api, THERE], (port) => {
    echoes[api] = Number(port);
  });
}

const SIZES = [1, 1452, 20, 3000, 100, 500, 2, 1000, 10_000, 50];

/** The length of a message: one of 50 goes in many packets. */
const size = (i) => (i % 50 === 7 ? 50_000 : SIZES[i % SIZES.length]);

/** How many messages may be unanswered: none waits for its turn for long. */
const WINDOW = 16;

/** Sends messages one after the other, while `send` and the window allow. */
async function exchange(tally, count, send) {
  for (let i = 0; i < count; i++) {
    await until(() => tally.lost < WINDOW);
    await send(tally.send(payload(size(i))));
  }
  await until(() => tally.lost <= 0);
}

/** What each API does: messages go to the other host and come back. */
const apis = {
  async 'open()'(t, row, count, port) {
    const tally = row.tally();
    const handle = t.open(
      (result) => {
        if (typeof result === 'string') row.error(result);
        else tally.arrive(result[0]);
      },
      { host: HERE },
    );
    row.progress = tally;
    await exchange(tally, count, (data) =>
      deliver(handle, data, THERE, port, row.error),
    );
  },

  async 'createServer()'(t, row, count, port) {
    const tally = row.tally({ ordered: true });
    const socket = t.connect({
      host: THERE,
      port,
      localAddress: HERE,
      ...quick,
    });
    socket.on('data', (data) => tally.arrive(data));
    const end = ending(socket);
    row.progress = tally;
    await once(socket, 'connect');
    await exchange(tally, count, async (data) => {
      if (!socket.write(data)) await once(socket, 'drain');
    });
    socket.end();
    assert.deepEqual(await end, ['end', 'close']);
  },
};

/** Traffic under a fault; then `happened` tells whether the fault took place. */
function network(fault, how, { count, make, happened }) {
  for (const [api, traffic] of Object.entries(apis)) {
    scenario(`${fault}, ${api}`, how, async (t, row) => {
      await until(() => echoes[api]);
      const port = echoes[api];
      const start = performance.now();
      const before = [hosts.counters('here'), hosts.counters('there')];
      const fault = make(t, row);
      await Promise.all([traffic(t, row, count, port), fault]);
      const [here, there] = ['here', 'there'].map((where, i) => {
        const now = hosts.counters(where);
        return (name) => {
          assert.ok(`Sctp${name}` in now, name);
          return now[`Sctp${name}`] - before[i][`Sctp${name}`];
        };
      });
      const ms = performance.now() - start;
      assert.ok(happened({ here, there, ms }), 'the fault did not happen');
      assert.deepEqual(row.errors, {});
    });
  }
}

const netem = (fault) => (t) => hosts.netem(t, fault);
const resent = (host) => host('T3Retransmits') + host('FastRetransmits');

for (const [loss, count] of [
  [1, 600],
  [10, 300],
  [30, 100],
]) {
  network(`${loss} % loss`, `netem loss ${loss}%`, {
    count,
    make: netem(`loss ${loss}%`),
    happened: ({ here, there }) =>
      here('OutSCTPPacks') > there('InSCTPPacks') &&
      there('OutSCTPPacks') > here('InSCTPPacks') &&
      resent(here) > 0 &&
      resent(there) > 0,
  });
}

network('10 % duplication', 'netem duplicate 10%', {
  count: 600,
  make: netem('duplicate 10%'),
  happened: ({ here, there }) =>
    here('OutSCTPPacks') < there('InSCTPPacks') &&
    there('OutSCTPPacks') < here('InSCTPPacks'),
});

network('25 % reordering', 'netem delay 10ms reorder 75% 50%', {
  count: 600,
  // Of four packets one is late, so that three overtake it.
  make: netem('delay 10ms reorder 75% 50%'),
  happened: ({ here, there }) => resent(here) > 0 && resent(there) > 0,
});

network('corruption', 'netem corrupt 5%', {
  count: 300,
  make: netem('corrupt 5%'),
  happened: ({ here, there }) =>
    here('ChecksumErrors') > 0 && there('ChecksumErrors') > 0,
});

network('delay with jitter', 'netem delay 100ms 30ms', {
  count: 300,
  make: netem('delay 100ms 30ms'),
  happened: ({ ms }) => ms > (300 / WINDOW - 1) * 2 * 70,
});

/** In how many DATA chunks `count` messages go; headers take 48 bytes. */
function chunks(count, bytes) {
  let sum = 0;
  for (let i = 0; i < count; i++) {
    sum += Math.ceil(size(i) / (bytes - 48));
  }
  return sum;
}
const sentChunks = (host) => host('OutUnorderChunks') + host('OutOrderChunks');

network('MTU 1280', 'ip link mtu 1280', {
  count: 600,
  make(t) {
    hosts.mtu(1280);
    t.after(() => hosts.mtu(1500));
  },
  happened: ({ here, there }) =>
    sentChunks(here) === chunks(600, 1280) &&
    sentChunks(there) === chunks(600, 1280),
});

network('MTU that drops', 'ip link mtu 1500, then 1280 under traffic', {
  count: 600,
  async make(t, row) {
    t.after(() => hosts.mtu(1500));
    await until(() => row.progress?.once > 200);
    hosts.mtu(1280);
  },
  happened: ({ here, there }) =>
    sentChunks(here) > chunks(600, 1500) &&
    sentChunks(there) > chunks(600, 1500),
});

network('link that flaps', 'ip link down and up, six times, at either end', {
  count: 600,
  async make(_t, row) {
    for (let i = 1; i <= 6; i++) {
      await until(() => row.progress?.once >= i * 80);
      const link = (state) =>
        i % 2
          ? run(`ip link set here ${state}`)
          : hosts.there(`ip link set there ${state}`);
      link('down');
      // Until something was sent in vain.
      const { SctpT3RtxExpireds } = hosts.counters('here');
      await until(
        () => hosts.counters('here').SctpT3RtxExpireds > SctpT3RtxExpireds,
      );
      link('up');
    }
  },
  happened: ({ here }) => here('T3RtxExpireds') >= 6,
});
