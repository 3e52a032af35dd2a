// Compiled, not run: what must and what must not be accepted.
import { type Endpoint, isSupported, open, type RecvResult } from 'sctp-napi';

import sctp = require('sctp-napi');

const endpoint: Endpoint = open('0.0.0.0', 0, 65536, (result) => {
  if (typeof result === 'string') {
    const text: string = result;
    console.error(text);
    // @ts-expect-error a text is not a message
    result[0].readUInt8();
    return;
  }
  const [data, host, port] = result;
  const echoed: number = endpoint.send(data, host, port);
  const byte: number = data.readUInt8(0);
  console.log(echoed, byte, host.toUpperCase(), port.toFixed());
  // @ts-expect-error a message is not a text
  result.toUpperCase();
});

const same: typeof open = sctp.open;
const result: RecvResult = [Buffer.from('x'), '::1', 5000];
endpoint.send(new Uint8Array(3), '::1', 5000);
endpoint.send(new DataView(new ArrayBuffer(3)), '::1', 5000);
const sent: number = endpoint.sendBatch(
  [Buffer.from('x'), new Uint8Array(3)],
  '::1',
  5000,
);
endpoint.onDrain = () => {};
endpoint.onDrain = (host, port) => host ?? port?.toFixed();
endpoint.onDrain = null;
endpoint.onPeer = (state, host, port, error) => {
  const states: 'up' | 'down' | 'restart' = state;
  const code:
    | 'ECONNREFUSED'
    | 'ETIMEDOUT'
    | 'ECONNRESET'
    | 'ECONNABORTED'
    | undefined = error?.code;
  console.log(states, host.length, port.toFixed(), code, error?.reason);
};
endpoint.onUndelivered = (data, host, port, left) =>
  console.log(data.readUInt8(), host.length, port.toFixed(), left === true);
const { address, family, port } = endpoint.address();
const families: 'IPv4' | 'IPv6' = family;
endpoint.ref().unref().pause().resume().close();
endpoint[Symbol.dispose]();
console.log(same, result, sent, address.length, families, port.toFixed());

open(['10.0.0.1', '10.1.0.1'], 5000, 65536, () => {});
for (const peer of endpoint.peers()) {
  const outstanding: number = peer.outstanding;
  // @ts-expect-error a peer that has not answered has no window
  const rwnd: number = peer.rwnd;
  endpoint.disconnect(peer.host, peer.port, { abort: true, reason: 'x' });
  console.log(outstanding, rwnd, peer.stateName === 'SCTP_ESTABLISHED');
}
const rto: number = endpoint.getOption('SCTP_RTOINFO', '::1', 5000).srto_max;
endpoint.setOption('SCTP_RTOINFO', { srto_max: rto }, '::1', 5000);
endpoint.setOption('SCTP_AUTOCLOSE', { value: 60 });
const socket: sctp.Socket = endpoint.peelOff('::1', 5000, {
  maxMessageSize: 1000,
});
socket.abort('x');
// @ts-expect-error there is no such option
endpoint.getOption('SCTP_RTO');
// @ts-expect-error the option has no such field
endpoint.setOption('SCTP_RTOINFO', { max: 1 });
// @ts-expect-error the port is missing
endpoint.peelOff('::1');

// @ts-expect-error a string is not a message
endpoint.send('text', '::1', 5000);
// @ts-expect-error strings are no messages
endpoint.sendBatch(['text'], '::1', 5000);
// @ts-expect-error the port is missing
endpoint.send(Buffer.from('x'), '::1');
// @ts-expect-error the port is a number
endpoint.send(Buffer.from('x'), '::1', '5000');
// @ts-expect-error onRecv is missing
open('0.0.0.0', 0, 65536);
// @ts-expect-error the host is a string
open(null, 0, 65536, () => {});
// @ts-expect-error onDrain may be called without arguments
endpoint.onDrain = (host: string) => host;

const support = isSupported();
if (!support.supported) {
  const why: string = `${support.reason}: ${support.hint}`;
  console.error(why);
}
