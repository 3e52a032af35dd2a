'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const path = require('node:path');
const { ending } = require('../../helpers');
const { HERE, THERE, twoHosts } = require('./hosts');
const { scenario, until } = require('./report');
const { deliver, payload, quick } = require('./traffic');

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

/** Exchanges of each API: messages go to the other host and come back. */
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

/**
 * Runs a test file in a network of two hosts, of which the other one sends back
 * what it gets, each API in a process of its own.
 */
function twoHostsThatTalk(file) {
  const hosts = twoHosts(file);
  const ports = {};
  const echoes = {};
  for (const api of Object.keys(apis)) {
    const args = [path.join(__dirname, 'echo.js'), api, THERE];
    echoes[api] = hosts.startThere(process.execPath, args, (port) => {
      ports[api] = Number(port);
    });
  }

  /**
   * Traffic under a fault, which `make(t, row, echo)` makes; then `happened`
   * tells whether the fault took place. `row.progress` counts the messages.
   */
  function talk(fault, how, { count, make, happened }) {
    for (const [api, traffic] of Object.entries(apis)) {
      scenario(`${fault}, ${api}`, how, async (t, row) => {
        await until(() => ports[api]);
        const start = performance.now();
        const before = [hosts.counters('here'), hosts.counters('there')];
        const made = make(t, row, echoes[api]);
        await Promise.all([traffic(t, row, count, ports[api]), made]);
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

  return { hosts, talk };
}

module.exports = { WINDOW, size, twoHostsThatTalk };
