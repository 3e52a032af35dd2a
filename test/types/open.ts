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
  const code: 'ECONNREFUSED' | 'ETIMEDOUT' | 'ECONNRESET' | undefined =
    error?.code;
  console.log(states, host.length, port.toFixed(), code, error?.reason);
};
endpoint.onUndelivered = (data, host, port, left) =>
  console.log(data.readUInt8(), host.length, port.toFixed(), left === true);
const { address, family, port } = endpoint.address();
const families: 'IPv4' | 'IPv6' = family;
endpoint.ref().unref().close();
endpoint[Symbol.dispose]();
console.log(same, result, sent, address.length, families, port.toFixed());

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
