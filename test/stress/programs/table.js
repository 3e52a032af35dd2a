'use strict';

const rows = [];

const columns = {
  fault: 'fault',
  how: 'how it was made',
  sent: 'messages sent',
  once: 'delivered once',
  twice: 'delivered twice',
  lost: 'lost',
  errors: 'errors reported',
  fds: 'fds before/after',
  rss: 'RSS before/after',
};

/** A number, a text, counts by name, or a pair of what was before and after. */
function text(value) {
  if (value === undefined) return '';
  if (Array.isArray(value)) return value.join(' / ');
  if (typeof value !== 'object') return String(value);
  const counts = Object.entries(value).map(([name, n]) => `${name} ${n}`);
  return counts.join(', ') || 'none';
}

const megabytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** Adds a line: of `columns`, with `rss` in bytes. */
function row(values) {
  rows.push({ ...values, rss: values.rss?.map(megabytes) });
}

/** Prints rows of texts, the first of which is the head. */
function printTable([head, ...body]) {
  const widths = head.map((_, i) =>
    Math.max(...[head, ...body].map((cells) => cells[i].length)),
  );
  const rule = widths.map((width) => '-'.repeat(width));
  for (const cells of [head, rule, ...body]) {
    console.log(`| ${cells.map((c, i) => c.padEnd(widths[i])).join(' | ')} |`);
  }
}

/** Prints the lines as a table. */
function print() {
  const names = Object.keys(columns);
  printTable([columns, ...rows].map((r) => names.map((name) => text(r[name]))));
}

module.exports = { print, printTable, row };
