'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const {
  association,
  collector,
  enterOwnNetwork,
  run,
  test,
  until,
} = require('../helpers');
const {
  SCTP_PARTIAL_DELIVERY_POINT,
  setOption,
} = require('../helpers/descriptors');

enterOwnNetwork(__filename);
run('ip link set lo mtu 1500 up');
run('tc qdisc add dev lo root handle 1: prio');
run('tc qdisc add dev lo parent 1:3 handle 30: netem loss 100%');
// Whatever stays unacknowledged is sent again for as long as a test needs.
fs.writeFileSync('/proc/sys/net/sctp/association_max_retrans', '1000');

const HOST = '127.0.0.1';
const PEER = '127.0.1.1';

/** Drops the packets that go to the peer ('dst') or come from it ('src'). */
const cut = (side) =>
  run(
    'tc filter add dev lo parent 1: protocol ip prio 1 u32 ' +
      `match ip ${side} ${PEER} flowid 1:3`,
  );
const heal = () => run('tc filter del dev lo parent 1: prio 1');

/** The DATA chunks that have arrived in this network. */
const arrived = () =>
  Number(
    /SctpInOrderChunks\s+(\d+)/.exec(
      fs.readFileSync('/proc/net/sctp/snmp', 'latin1'),
    )[1],
  );

/**
 * Returns all that an endpoint receives from a peer that restarts in the middle of a message of
 * 20,000 bytes, of which a part has been read, and then sends a short one.
 */
async function restartInTheMiddle(t, recvMaxlen) {
  const { handle, received, port } = collector(t, { recvMaxlen });
  // The kernel hands a message over as soon as so many bytes of it are there.
  setOption(port, SCTP_PARTIAL_DELIVERY_POINT, 1000);
  const connect = async (localPort) => {
    const peer = t.connect({ host: HOST, port, localAddress: PEER, localPort });
    await once(peer, 'connect');
    return peer;
  };
  const first = await connect();
  const { localPort } = first;
  let chunks = arrived();
  cut('dst'); // so that after the first packets it waits for their SACK
  first.write(Buffer.alloc(20_000, 'before '));
  await until(() => arrived() > chunks);
  // Another peer's message stands behind the piece that is there.
  t.open().send(Buffer.from('of another'), HOST, port);
  await until(() => received.some(([data]) => String(data) === 'of another'));

  cut('src');
  first.destroy(); // of which nothing is heard
  await until(() => !association(localPort, port));
  heal();
  const states = [];
  handle.onPeer = (state, host) => {
    if (host === PEER) states.push(state);
  };
  const second = await connect(localPort);
  chunks = arrived();
  second.write('after');
  await until(() => arrived() > chunks);
  // Linux 6.1 holds it back until the association is aborted.
  second.destroy();
  await until(() => states.includes('down'));
  assert.deepEqual(states, ['restart', 'down']);
  return received
    .filter(([data]) => String(data) !== 'of another')
    .map((result) =>
      typeof result === 'string' ? result : [String(result[0]), result[1]],
    );
}

test('a restart in the middle of a message does not join it with the next', async (t) => {
  assert.deepEqual(await restartInTheMiddle(t, 65_536), [['after', PEER]]);
});

test('the first message after a restart in the middle of an oversized one arrives', async (t) => {
  const [error, ...rest] = await restartInTheMiddle(t, 1000);
  assert.match(error, /^recv EMSGSIZE 127\.0\.1\.1:/);
  assert.deepEqual(rest, [['after', PEER]]);
});
