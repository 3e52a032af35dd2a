// Compiled, not run: what must and what must not be accepted.
import {
  type AddressInfo,
  connect,
  constants,
  createConnection,
  createServer,
  type IncomingMessage,
  type Notification,
  type Server,
  type Socket,
} from 'sctp-napi';

const server: Server = createServer(
  {
    MIS: 10,
    OS: 10,
    sack: { delay: 100, freq: 2 },
    sctp: { sack: { delay: 100 } },
    rto: { initial: 100 },
    heartbeat: { interval: 1000 },
    init: { attempts: 3, maxTimeout: 1000 },
    maxMessageSize: 100,
    pauseOnConnect: true,
    highWaterMark: 100,
    noDelay: false,
  },
  (socket: Socket) => socket.pipe(socket),
);
createServer();
createServer(null, () => {});
createServer((socket) => socket.end('text', () => {}));
// @ts-expect-error SCTP has no half-close
createServer({ allowHalfOpen: true });
// @ts-expect-error a number, not a text
createServer({ MIS: '10' });

server.listen();
server.listen(() => {});
server.listen(5000, () => {});
server.listen('5000', '::1', 10, () => {});
server.listen({ port: 0, localAddresses: ['::1', '127.0.0.1'], backlog: 5 });
server.on('connection', (socket) => socket.resume());
server.on('drop', ({ remoteAddress }) => remoteAddress?.length);
server.once('error', (error) => error.code);
const bound: AddressInfo | null = server.address();
const addresses: AddressInfo[] = server.getLocalAddresses();
server.maxConnections = 5;
server.getConnections((error, count) => console.log(error, count.toFixed()));
server.close((error) => console.log(error?.message));
server.ref().unref();
// @ts-expect-error listening is read
server.listening = true;

const socket: Socket = connect({ port: 5000, remoteAddresses: ['::1'] });
createConnection(5000, 'localhost', () => {});
connect('5000', () => {});
// @ts-expect-error the port is missing
connect({ host: '::1' });

socket.write('text', 'utf8', () => {});
socket.write(Object.assign(Buffer.from('x'), { sid: 1, ppid: 46 }));
socket.send(new Uint8Array(3), { sid: 1, ttl: 100, unordered: true }, () => {});
socket.send('x', () => {});
// @ts-expect-error a stream id is a number
socket.send('x', { sid: '1' });
// @ts-expect-error a message is text or bytes
socket.write({});

socket.on('data', (data: IncomingMessage) => {
  const [sid, ppid, unordered]: [number, number, boolean] = [
    data.sid,
    data.ppid,
    data.unordered,
  ];
  console.log(sid, ppid, unordered, data.readUInt8());
});
socket.on('address-change', ({ address, state }) =>
  console.log(address, state),
);
socket.once('peer-info-update', () => {
  for (const { state, srtt } of Object.values(socket.peerInfoByAddress)) {
    console.log(state === constants.SCTP_ACTIVE, srtt.toFixed());
  }
});
socket.on('notification', (notification: Notification) => {
  if (notification.type === 'SCTP_ASSOC_CHANGE') {
    const { sac_state }: { sac_state: number } = notification.parsed;
    // @ts-expect-error a field of another notification
    console.log(sac_state, notification.parsed.spc_aaddr);
  } else if (notification.type === 'SCTP_PEER_ADDR_CHANGE') {
    console.log(notification.parsed.spc_aaddr.address.length);
  }
  console.log(notification.raw.length, notification.interpreted.length);
});
socket.on('error', (error) => console.log(error.code, error.reason?.length));
socket.on('an event of my own', (anything) => console.log(anything));
for (const add of ['addListener', 'off', 'prependListener'] as const) {
  socket[add]('data', (data) => console.log(data.sid));
  server[add]('connection', (peer) => peer.destroy());
  // @ts-expect-error a message is no number
  socket[add]('data', (data: number) => console.log(data));
}

async function read() {
  for await (const message of socket) console.log(message.sid);
}
const status = socket.status();
const out: number | undefined = status?.numberOfOutgoingStreams;
const shut: boolean = status?.stateName === 'SCTP_SHUTDOWN_SENT';
// @ts-expect-error there is no such state
const typo: boolean = status?.stateName === 'SCTP_SHUT_DOWN';
// @ts-expect-error nor is there such a number
const none: boolean = status?.state === 9;
const cwnd: number | undefined = status?.primary.cwnd;
const names: string[] = [...socket.localAddresses, ...socket.remoteAddresses];
socket.setTimeout(100).setNoDelay().setKeepAlive(true, 100).ref().unref();
socket.destroy().resetAndDestroy();
console.log(
  bound,
  addresses,
  read,
  out,
  shut,
  typo,
  none,
  cwnd,
  names,
  socket.readyState,
);
// @ts-expect-error there is no such constant
console.log(constants.SCTP_NOTHING);

// Options of the kernel: names, fields and their types.
const { srto_max } = socket.getOption('SCTP_RTOINFO');
srto_max.toFixed();
socket.setOption('SCTP_PRIMARY_ADDR', { ssp_addr: { address: '10.0.0.1' } });
server.setOption('SCTP_NODELAY', { value: 1 }).getOption('SO_SNDBUF').value;
// @ts-expect-error: no such option
socket.getOption('SCTP_RTOINF');
// @ts-expect-error: no such field
socket.setOption('SCTP_RTOINFO', { rto_max: 1 });
// @ts-expect-error: not a number
socket.setOption('SCTP_RTOINFO', { srto_max: '1' });
socket.setPath('10.0.0.1', { heartbeat: 500 }).setPrimary('10.0.0.1');
// @ts-expect-error: no such setting
socket.setPath('10.0.0.1', { hearbeat: 500 });
socket.resetStreams({ outgoing: [1], incoming: true }).then(() => {});
socket.on('undelivered', ({ data, context, sent }) => {
  data.equals(Buffer.alloc(context));
  sent satisfies boolean;
});
socket.send('x', { context: 1, maxRetransmits: 2, address: '10.0.0.1' });
// @ts-expect-error: no such attribute
socket.send('x', { retransmits: 2 });
connect({ port: 1, interleaving: true, scheduler: 'round-robin' });
// @ts-expect-error: no such scheduler
connect({ port: 1, scheduler: 'random' });
// @ts-expect-error: not a boolean
createServer({ interleaving: 'yes' });
server.listen({ fd: 3 });
// @ts-expect-error: not a number
server.listen({ fd: '3' });
