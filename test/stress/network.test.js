'use strict';

const { run } = require('../helpers');
const { WINDOW, size, twoHostsThatTalk } = require('./programs/exchange');
const { until } = require('./programs/report');

const { hosts, talk } = twoHostsThatTalk(__filename);

const netem = (fault) => (t) => hosts.netem(t, fault);
const resent = (host) => host('T3Retransmits') + host('FastRetransmits');

for (const [loss, count] of [
  [1, 600],
  [10, 300],
  [30, 100],
]) {
  talk(`${loss} % loss`, `netem loss ${loss}%`, {
    count,
    make: netem(`loss ${loss}%`),
    happened: ({ here, there }) =>
      here('OutSCTPPacks') > there('InSCTPPacks') &&
      there('OutSCTPPacks') > here('InSCTPPacks') &&
      resent(here) > 0 &&
      resent(there) > 0,
  });
}

talk('10 % duplication', 'netem duplicate 10%', {
  count: 600,
  make: netem('duplicate 10%'),
  happened: ({ here, there }) =>
    here('OutSCTPPacks') < there('InSCTPPacks') &&
    there('OutSCTPPacks') < here('InSCTPPacks'),
});

talk('25 % reordering', 'netem delay 10ms reorder 75% 50%', {
  count: 600,
  // One of four packets is late, so that three overtake it.
  make: netem('delay 10ms reorder 75% 50%'),
  happened: ({ here, there }) => resent(here) > 0 && resent(there) > 0,
});

talk('corruption', 'netem corrupt 5%', {
  count: 300,
  make: netem('corrupt 5%'),
  happened: ({ here, there }) =>
    here('ChecksumErrors') > 0 && there('ChecksumErrors') > 0,
});

talk('delay with jitter', 'netem delay 100ms 30ms', {
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

talk('MTU 1280', 'ip link mtu 1280', {
  count: 600,
  make(t) {
    hosts.mtu(1280);
    t.after(() => hosts.mtu(1500));
  },
  happened: ({ here, there }) =>
    sentChunks(here) === chunks(600, 1280) &&
    sentChunks(there) === chunks(600, 1280),
});

talk('MTU that drops', 'ip link mtu 1500, then 1280 under traffic', {
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

talk('link that flaps', 'ip link down and up, six times, at either end', {
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
