'use strict';

/** setTimeout(), setNoDelay(), setKeepAlive(), ref() and unref(). */

const fs = require('node:fs');
const { SNDBUF, until } = require('../../helpers');
const { pick, scenario, show, VALUES, withEach } = require('./run');

scenario('values of setTimeout()', async (t) => {
  const { client } = await t.pair();
  const set = (...args) =>
    t.attempt(() => client.setTimeout(...args) === client, String);
  return {
    msecs: withEach({ ...VALUES, '2 ** 40': 2 ** 40 }, (value) => set(value)),
    callback: withEach(VALUES, (value) => set(1000, value)),
    'callback of 0': withEach(VALUES, (value) => set(0, value)),
  };
});

scenario('the field timeout', async (t) => {
  const { client } = await t.pair();
  const after = (value) => {
    t.attempt(() => client.setTimeout(value));
    return show(client.timeout);
  };
  return {
    'at first': show(client.timeout),
    500: after(500),
    0: after(0),
    1.5: after(1.5),
    '2 ** 40': after(2 ** 40),
    NaN: after(Number.NaN),
  };
});

scenario('values of setTimeout() after destroy()', async (t) => {
  const { client } = await t.pair();
  client.destroy();
  return withEach(VALUES, (value) =>
    t.attempt(() => client.setTimeout(value, value) === client, String),
  );
});

scenario('the listeners of setTimeout()', async (t) => {
  const { client } = await t.pair();
  const listener = () => {};
  const counts = [500, 600, 0, 0].map((msecs) =>
    client.setTimeout(msecs, listener).listenerCount('timeout'),
  );
  return { counts };
});

scenario("'timeout' of an idle socket", async (t) => {
  const { client } = await t.pair();
  const args = [];
  client.setTimeout(1, (...given) => args.push(given.length));
  await t.next(client, 'timeout');
  const seen = pick(client, ['destroyed', 'timeout', 'readyState']);
  // That of another socket has had its time, too, when it comes again.
  const { client: other } = await t.pair();
  other.setTimeout(5);
  await t.next(other, 'timeout');
  client.destroy();
  await t.closed(client);
  return { args, ...seen, client: t.events(client) };
});

scenario("'timeout' comes again after traffic", async (t) => {
  const { client, peer } = await t.pair();
  client.setTimeout(1);
  await t.next(client, 'timeout');
  client.write('x');
  await t.next(client, 'timeout');
  peer.write('x');
  await t.next(client.resume(), 'data');
  await t.next(client, 'timeout');
  return { destroyed: client.destroyed };
});

scenario('the option timeout', async (t) => {
  const { address, port } = (await t.listen()).address();
  const client = t.connect({ host: address, port, timeout: 1 });
  const { timeout } = client;
  await Promise.all([t.next(client, 'connect'), t.next(client, 'timeout')]);
  return { timeout, destroyed: client.destroyed };
});

scenario("no 'timeout' after destroy()", async (t) => {
  const { client } = await t.pair();
  client.setTimeout(1).destroy();
  const { client: other } = await t.pair();
  other.setTimeout(5);
  await t.next(other, 'timeout');
  return { client: t.events(client) };
});

/** More than the kernel holds of one connection, on both sides. */
function moreThanKernelHolds() {
  const [wmem, rmem] = ['wmem', 'rmem'].map((name) =>
    fs.readFileSync(`/proc/sys/net/ipv4/tcp_${name}`, 'latin1').split(/\s+/),
  );
  return Math.max(Number(wmem[2]) + Number(rmem[2]), 3 * SNDBUF);
}

/**
 * How long after a queue had begun to progress 'timeout' came. Undefined where
 * it came meanwhile, since the machine was busy with something else.
 */
async function idleAfterProgress(t, msecs) {
  const { client, peer } = await t.pair();
  const data = Buffer.alloc(100_000);
  const enough = moreThanKernelHolds();
  let received = 0;
  peer.on('data', ({ length }) => {
    received += length;
  });
  peer.pause();
  client.cork();
  for (let length = 0; length < 3 * enough; length += data.length) {
    client.write(data);
  }
  client.uncork();
  client.setTimeout(msecs);
  const timeout = t.next(client, 'timeout').then(() => performance.now());
  await new Promise((resolve) => setTimeout(resolve, msecs / 2));
  const start = performance.now();
  peer.resume();
  await until(() => received > enough); // so more of the queue has been sent
  peer.pause();
  const end = performance.now();
  const at = await timeout;
  client.destroy();
  peer.destroy();
  return at < end ? undefined : at - start;
}

scenario("no 'timeout' while a queue progresses", async (t) => {
  for (let msecs = 400; ; msecs *= 2) {
    const idle = await idleAfterProgress(t, msecs);
    if (idle !== undefined) return { 'was idle as long': idle > msecs - 2 };
  }
});

scenario('values of setNoDelay() and setKeepAlive()', async (t) => {
  const { server, client } = await t.pair();
  const { address, port } = server.address();
  const seen = {};
  for (const [state, socket] of [
    ['connected', client],
    ['connecting', t.connect({ host: address, port })],
    ['destroyed', t.connect({ host: address, port }).destroy()],
  ]) {
    const call = (method, ...args) =>
      t.attempt(() => socket[method](...args) === socket, String);
    seen[state] = {
      setNoDelay: withEach(VALUES, (value) => call('setNoDelay', value)),
      setKeepAlive: withEach(VALUES, (value) => call('setKeepAlive', value)),
      'setKeepAlive, interval': withEach(VALUES, (value) =>
        call('setKeepAlive', true, value),
      ),
    };
  }
  return seen;
});

scenario('ref() and unref()', async (t) => {
  const { server, client } = await t.pair();
  const { address, port } = server.address();
  const returned = (it) => [it.unref() === it, it.ref() === it];
  return {
    'a socket': returned(client),
    'a connecting socket': returned(t.connect({ host: address, port })),
    'a destroyed socket': returned(
      t.connect({ host: address, port }).destroy(),
    ),
    'a listening server': returned(server),
    'an idle server': returned(t.createServer()),
  };
});
