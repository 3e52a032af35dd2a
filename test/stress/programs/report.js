'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const { after } = require('node:test');
const helpers = require('../../helpers');
const { printTable } = require('./table');
const { Tally } = require('./traffic');

/** Time limit of a scenario in ms; an emulated CPU needs some of it. */
const LIMIT = 180_000;

/** Limit for the growth of the process in one scenario, in MB. */
const GROWTH = 64;

const fds = () => fs.readdirSync('/proc/self/fd').length;
const rss = () => Math.round(process.memoryUsage.rss() / 2 ** 20);

// The first child makes libuv open what it then keeps.
spawnSync('true');

/** One row of the table: what a scenario did, and what came of it. */
class Row {
  #tallies = [];
  #errors = new Map();
  #peak = 0;
  #sampler;

  constructor(fault, how) {
    this.fault = fault;
    this.how = how;
    this.fds = [fds()];
    this.rss = [rss()];
    const sample = () => {
      this.#peak = Math.max(this.#peak, rss());
    };
    sample();
    this.#sampler = setInterval(sample, 50).unref();
  }

  /**
   * A tally that is checked at the end: no message may have changed or have
   * arrived twice, none be lost unless `mayLose`, none overtake another where
   * they are `ordered`.
   */
  tally({ mayLose = false, ordered = false } = {}) {
    const tally = new Tally();
    this.#tallies.push({ tally, mayLose, ordered });
    return tally;
  }

  /** Notes an error that was reported. */
  error = (code) => {
    this.#errors.set(code, (this.#errors.get(code) ?? 0) + 1);
  };

  get errors() {
    return Object.fromEntries(this.#errors);
  }

  /** When all is closed. */
  async end() {
    clearInterval(this.#sampler);
    const deadline = Date.now() + 20_000;
    await helpers.until(() => fds() <= this.fds[0] || Date.now() > deadline);
    this.fds.push(fds());
    this.rss.push(this.#peak, rss());
  }

  check() {
    const { fault } = this;
    for (const { tally, mayLose, ordered } of this.#tallies) {
      assert.ok(tally.sent > 0, `${fault}: nothing was sent`);
      assert.equal(tally.foreign, 0, `${fault}: messages changed on their way`);
      assert.equal(tally.twice, 0, `${fault}: messages arrived twice`);
      if (!mayLose) assert.equal(tally.lost, 0, `${fault}: messages are lost`);
      if (ordered) assert.equal(tally.misordered, 0, `${fault}: out of order`);
    }
    assert.ok(this.fds[1] <= this.fds[0], `${fault}: descriptors leaked`);
    assert.ok(
      this.#peak - this.rss[0] < GROWTH,
      `${fault}: memory grew from ${this.rss[0]} to ${this.#peak} MB`,
    );
  }

  columns() {
    const sum = (field, which = () => true) =>
      this.#tallies
        .filter(which)
        .reduce((total, { tally }) => total + tally[field], 0);
    const lost = sum('lost', (t) => !t.mayLose);
    const allowed = sum('lost', (t) => t.mayLose);
    const errors = [...this.#errors].map(([code, n]) => `${code} ×${n}`);
    return [
      this.fault,
      this.how,
      sum('sent'),
      sum('once'),
      sum('twice'),
      allowed ? `${lost} (+${allowed} allowed)` : lost,
      errors.join(', ') || 'none',
      this.fds.join('/'),
      this.rss.join('/'),
    ].map(String);
  }
}

const rows = [];

/** As that of the helpers, but gives up with its scenario. */
async function until(condition) {
  const row = rows.at(-1);
  await helpers.until(() => row.overdue || condition(), Infinity);
  if (row.overdue) throw row.overdue;
}

/**
 * A test that makes one row of the table. `body(t, row)` may use all that
 * `test` of the helpers offers; the row is checked when that is closed.
 */
function scenario(fault, how, body) {
  helpers.test(fault, async (t) => {
    const row = new Row(fault, how);
    rows.push(row);
    let failed = true;
    // Hooks run after the helpers have closed what the body opened.
    t.after(async () => {
      await row.end();
      if (!failed) row.check();
    });
    let timer;
    const overdue = new Promise((_, reject) => {
      timer = setTimeout(() => {
        row.overdue = new Error(`not over yet: ${row.columns().join(', ')}`);
        reject(row.overdue);
      }, LIMIT);
    });
    try {
      await Promise.race([body(t, row), overdue]);
      failed = false;
    } finally {
      clearTimeout(timer);
    }
  });
}

after(() => {
  const table = [
    [
      'fault',
      'how it was made',
      'messages sent',
      'delivered once',
      'delivered twice',
      'lost',
      'errors reported',
      'fds before/after',
      'RSS before/peak/after (MB)',
    ],
    ...rows.map((row) => row.columns()),
  ];
  printTable(table);
});

module.exports = { scenario, until };
