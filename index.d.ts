/// <reference types="node" />

import type { EventEmitter } from 'node:events';
import type { LookupFunction } from 'node:net';
import type { Duplex, Readable } from 'node:stream';

/* ---------------------------------------------------- Datagrams: open() */

/**
 * The argument of `onRecv`: a whole message and its sender, or, on
 * failure, a text. `typeof result === 'string'` tells them apart.
 *
 * - `data`: the message. It is yours to keep and to change. Messages may share
 *   an `ArrayBuffer` of 16 KiB, as Node's own short Buffers do; those of 4 KiB
 *   and more share it with none of another association. Copy what you keep for
 *   long, or hand to another thread: `structuredClone()` copies all of it.
 * - `host`: the sender's IP address. IPv4 is always in dotted form, also on a
 *   dual-stack endpoint; a link-local address carries its interface
 *   (`fe80::1%eth0`), except, on an endpoint bound to `'::'`, that of a sender
 *   which had closed before its message was read. A multihomed peer keeps one
 *   address here for as long as its association lasts: the first it sent from
 *   or was sent to.
 * - `port`: the sender's port, 1 to 65535.
 *
 * `host` and `port` can be given back to {@link Endpoint.send}.
 *
 * The texts begin with `recv` and an error code:
 *
 * - `recv EMSGSIZE HOST:PORT: …`: a message longer than `recvMaxlen` was
 *   dropped whole. The next message is intact.
 * - `recv ENOBUFS HOST:PORT: …`: there was no memory to assemble a long
 *   message; it was dropped whole.
 * - `recv CODE`: the system call failed; it is tried again by itself.
 */
export type RecvResult = [data: Buffer, host: string, port: number] | string;

/** The reason why a peer went down. */
export interface PeerError extends Error {
  code: 'ECONNREFUSED' | 'ETIMEDOUT' | 'ECONNRESET' | 'ECONNABORTED';
  errno: number;
  /** `'recv'` if nothing had been sent. */
  syscall: 'send' | 'recv';
  address: string;
  port: number;
  /** The cause text of the peer's ABORT. */
  reason?: string;
}

/** A peer of an endpoint, as {@link Endpoint.peers} tells. */
export interface EndpointPeer
  extends Partial<Omit<SocketStatus, 'associationId' | 'state' | 'stateName'>>,
    Pick<SocketStatus, 'associationId' | 'state' | 'stateName'> {
  /** Its address, as `onRecv` names it. */
  host: string;
  port: number;
  /** All its addresses. */
  addresses: string[];
  /** DATA chunks that it was sent and has not acknowledged. */
  outstanding: number;
}

/** A one-to-many SCTP endpoint, made by {@link open} (RFC 6458 section 3). */
export interface Endpoint {
  /**
   * Sends one message: unordered (SCTP_UNORDERED, RFC 6458 section 5.3.4),
   * reliable for 30 seconds. A message that was not delivered by then is dropped
   * (timed reliability, RFC 3758). The first message to a peer opens the
   * association.
   *
   * The kernel copies the message before this returns. It is accepted whole or
   * not at all.
   *
   * @param buffer 1 byte to what the kernel grants as SO_SNDBUF: twice
   *   `net.core.wmem_max`, 8 MiB at the most; 416 KiB with the defaults of
   *   Linux up to 6.12. Any view of bytes will do.
   * @param host IP address of one host, of the family that the endpoint is bound
   *   to. An endpoint bound to `'::'` has both families. A link-local address
   *   needs its interface.
   * @param port 1 to 65535.
   * @returns the number of bytes sent, which is the message's length.
   * @throws `TypeError` `ERR_INVALID_ARG_TYPE`, also if `host` is not an IP
   *   address.
   * @throws `RangeError` `ERR_OUT_OF_RANGE`, also for an empty buffer and for
   *   an unspecified, multicast or broadcast address.
   * @throws `Error` `ERR_SOCKET_CLOSED` after {@link Endpoint.close}.
   * @throws {@link NodeJS.ErrnoException} with `code`, `errno`, `syscall`
   *   (`'send'`), `address` and `port`. Nothing was sent, then. Among them:
   *   - `ERR_SCTP_PEER_BUSY` (without `errno`): this peer has used up
   *     its quota. All peers share the send buffer, which holds a message until
   *     it is acknowledged. A peer may use half as much of it as is left free,
   *     so a third if it is the only one, and a peer without outstanding data is
   *     never busy. Go on in {@link Endpoint.onDrain}. Until the peer takes a
   *     message, the same Error is thrown again.
   *   - `EAGAIN`: the send buffer is full, for every peer. Go on in `onDrain`.
   *   - `ECONNREFUSED`, `ETIMEDOUT`, `ECONNRESET`: since the last `send` to it,
   *     this peer went down and messages to it were lost, while neither
   *     {@link Endpoint.onPeer} nor {@link Endpoint.onUndelivered} was set. It is
   *     thrown once: the next `send` tries again, with a new association. It is
   *     not thrown if nothing was lost, or if the peer has come back by itself.
   *   - `EMSGSIZE`: longer than SO_SNDBUF.
   *   - `ESHUTDOWN`, `EADDRNOTAVAIL`: an old association with this peer is
   *     just closing. Try again after 100 ms.
   *   - `ENETUNREACH`, `EHOSTUNREACH`: there is no route.
   *   - `EAFNOSUPPORT`: an address of a family that the endpoint is not bound
   *     to; one bound to `'::'` has both.
   *   - `ENODEV`: there is no such interface.
   */
  send(buffer: NodeJS.ArrayBufferView, host: string, port: number): number;

  /**
   * Sends many messages to one peer, each of them as {@link Endpoint.send}
   * would, but in as few packets as the path allows (bundling, RFC 9260 section
   * 6.10). For short messages this takes little more than half the time.
   *
   * If there is no room for all, the first of them are sent: go on with the
   * others in {@link Endpoint.onDrain}. None of what was sent waits for that.
   *
   * @param messages any number of them, each 1 byte to SO_SNDBUF long.
   * @returns the number of messages sent, from the first one on; 0 for an empty
   *   array, and if `send` would throw `ERR_SCTP_PEER_BUSY` or `EAGAIN`.
   * @throws any other error of `send`, and then nothing was sent: for a wrong
   *   argument anywhere in `messages`, and if the kernel refuses the first
   *   message. If it refuses a later one, the batch ends before that, and it is
   *   the first one when you go on.
   */
  sendBatch(
    messages: readonly NodeJS.ArrayBufferView[],
    host: string,
    port: number,
  ): number;

  /**
   * Called once when sending can work again after `send` threw `EAGAIN` or
   * `ERR_SCTP_PEER_BUSY`, or `sendBatch` sent only some or none. Anything but a
   * function or `null` throws `ERR_INVALID_ARG_TYPE`. An exception in it is an
   * `uncaughtException`.
   *
   * If the whole send buffer was full (`EAGAIN`), it is called without
   * arguments. If the quota of one peer was used up (`ERR_SCTP_PEER_BUSY`, and a
   * batch that ended early for any other reason), it is called with that peer,
   * named as `onRecv` names it, also if the peer has gone down.
   *
   * @defaultValue `null`
   */
  onDrain: ((host?: string, port?: number) => void) | null;

  /**
   * Called when an association with a peer begins or ends
   * (SCTP_ASSOC_CHANGE, RFC 6458 section 6.1.1). Anything but a function or
   * `null` throws `ERR_INVALID_ARG_TYPE`.
   *
   * - `'up'`: before the first message from it.
   * - `'down'`: with `error` `null` if the peer closed, else with the reason:
   *   `ECONNREFUSED` (nobody listens there), `ETIMEDOUT` (no answer, for about
   *   30 seconds), `ECONNRESET` (it aborted, `error.reason` has its text if it
   *   gave one, or it does not know the association any more), `ECONNABORTED`
   *   (by {@link Endpoint.disconnect}). `error` has `address` and `port`.
   * - `'restart'`: it began anew without an end. What it had not acknowledged
   *   is lost.
   *
   * @defaultValue `null`
   */
  onPeer:
    | ((
        state: 'up' | 'down' | 'restart',
        host: string,
        port: number,
        error: PeerError | null,
      ) => void)
    | null;

  /**
   * Called, once for each, with the messages that the kernel gives back
   * (SCTP_SEND_FAILED_EVENT, RFC 6458 section 6.1.11): because the peer went
   * down or restarted, or because 30 seconds passed before they could be sent.
   * Anything but a function or `null` throws `ERR_INVALID_ARG_TYPE`.
   *
   * `sent` is `false` for a message that never left, and `true` for one that
   * did, but was not acknowledged: it may have arrived. The kernel does not give
   * back messages that had left and are abandoned after their 30 seconds (most of
   * them), messages that a peer has acknowledged but not read before it ended, and
   * those that are left at `close()`.
   *
   * @defaultValue `null`
   */
  onUndelivered:
    | ((data: Buffer, host: string, port: number, sent: boolean) => void)
    | null;

  /**
   * Stops receiving: `onRecv` is not called until {@link Endpoint.resume}. What
   * arrives waits in the kernel, whose receive window closes, so that senders
   * wait and nothing is lost. News of peers wait there, too; one that has been
   * read already still comes. Sending goes on, and so does the process. Returns
   * the endpoint.
   */
  pause(): this;

  /**
   * Receives again. Messages come later, never inside the call. Returns the
   * endpoint.
   */
  resume(): this;

  /**
   * The peers with an association, or with a handshake for one. Those that are
   * still to be acknowledged are counted now. While a handshake has not been
   * answered, `associationId` is 0 and the rest of the state is missing.
   *
   * @throws `Error` `ERR_SOCKET_CLOSED`
   */
  peers(): EndpointPeer[];

  /**
   * Ends the association with a peer, after all messages to it (SCTP_EOF, RFC
   * 6458 section 5.3.4), or, with `abort`, at once (SCTP_ABORT): then messages
   * are lost, as `onUndelivered` tells. `onPeer` is called with `'down'`, and
   * with `ECONNABORTED` after an abort. If the handshake has not ended, the
   * association is shut down as soon as it has. `send` to it throws `ESHUTDOWN`
   * while it shuts down, and then opens a new association.
   *
   * @param options.reason a text of at most 1,024 bytes for the peer, whose error
   *   has it as `reason` (User-Initiated Abort, RFC 9260 section 3.3.10.12).
   * @throws {@link NodeJS.ErrnoException} `ENOTCONN`: there is no such
   *   association.
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`,
   *   `ERR_SOCKET_CLOSED`
   */
  disconnect(
    host: string,
    port: number,
    options?: { abort?: boolean; reason?: string },
  ): void;

  /**
   * Any option of the kernel: that of associations to come, or of the
   * association with a peer. `fields` say what it is about, such as the address
   * of a path.
   *
   * @throws as {@link Socket.getOption}, and `ENOTCONN` if there is no such
   *   association, `ERR_INVALID_ARG_VALUE` for an option that associations do not
   *   have of their own, such as SCTP_NODELAY, or SCTP_AUTH_SUPPORTED to be set.
   */
  getOption<N extends keyof KernelOptions>(
    name: N,
    host: string,
    port: number,
  ): KernelOptions[N];
  getOption<N extends keyof KernelOptions>(
    name: N,
    fields?: Partial<KernelOptions[N]>,
    host?: string,
    port?: number,
  ): KernelOptions[N];

  /**
   * Sets an option of associations to come, or of the association with a peer.
   * Throws as {@link Endpoint.getOption} does.
   */
  setOption<N extends keyof KernelOptions>(
    name: N,
    fields: Partial<KernelOptions[N]>,
    host?: string,
    port?: number,
  ): this;

  /**
   * Makes a {@link Socket} of the association with a peer (RFC 6458 section
   * 9.2). Its messages are ordered and reliable. What `onRecv` has not been given
   * yet goes to the socket, but for messages received together with the present
   * one; no message goes to both. As long as the socket lives, `send` to this
   * peer throws `EADDRNOTAVAIL`; `onDrain` is not called for it any more.
   *
   * @param options.highWaterMark as for {@link connect}, bytes.
   * @param options.maxMessageSize as for {@link connect}, bytes.
   * @throws {@link NodeJS.ErrnoException} `ENOTCONN`: there is no association, or
   *   its handshake has not ended; `EMFILE`; `EBUSY` in callbacks in front of a
   *   restart of this peer, or while there is no memory for its message.
   * @throws `ERR_SOCKET_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  peelOff(
    host: string,
    port: number,
    options?: { highWaterMark?: number; maxMessageSize?: number },
  ): Socket;

  /**
   * Stops receiving and closes. No callback runs any more; calling it again
   * does nothing.
   *
   * Accepted messages are still delivered, in the background, which keeps
   * the process alive for at most 5 seconds. `process.exit()`, the end of a
   * worker and the garbage collector do not wait for it. Peers see a graceful
   * shutdown (RFC 6458 section 3.1.4); the port can be bound again at once.
   */
  close(): void;

  /** Calls {@link Endpoint.close}. */
  [Symbol.dispose](): void;

  /**
   * The address of the endpoint, with the port that the kernel chose if 0 was
   * asked for.
   *
   * @throws `Error` `ERR_SOCKET_CLOSED` after {@link Endpoint.close}.
   */
  address(): { address: string; family: 'IPv4' | 'IPv6'; port: number };

  /** Undoes {@link Endpoint.unref}. Returns the endpoint. */
  ref(): this;

  /**
   * Lets the process end while the endpoint is open. An endpoint that nobody
   * refers to any more is then closed by the garbage collector. Returns the
   * endpoint.
   */
  unref(): this;
}

/**
 * Opens an endpoint: a kernel SCTP socket (SOCK_SEQPACKET, RFC 6458 section
 * 3.1) that sends messages to any number of peers and receives theirs.
 *
 * The options are fixed: SO_REUSEADDR, SCTP_NODELAY (section 8.1.5),
 * SCTP_RTOINFO 250/200/5000 ms (8.1.1), SCTP_INITMSG with waits of at most 5 s
 * and 64 incoming streams (8.1.3), SCTP_RECVRCVINFO (8.1.29), SCTP_FRAGMENT_INTERLEAVE 1 (8.1.20),
 * SO_SNDBUF and SO_RCVBUF of 4 MiB as far as the kernel grants it, and, for an
 * IPv6 address, dual-stack.
 *
 * An open endpoint keeps the process running, see {@link Endpoint.unref}.
 *
 * @param bindHost IP address to bind to: `'0.0.0.0'` for all IPv4 interfaces,
 *   `'::'` for all of both families. An array of 1 to 64 addresses makes a
 *   multihomed endpoint (sctp_bindx(), section 9.1); {@link Endpoint.address}
 *   tells the first.
 * @param bindPort 0 to 65535; 0 lets the kernel choose.
 * @param recvMaxlen the longest message to receive, 1 to 16,777,216 bytes. A
 *   longer one is dropped whole and reported to `onRecv`.
 * @param onRecv called for each message, in the async context that `open` was
 *   called in. At most 64 messages are delivered before timers and other
 *   sockets get their turn; nextTick and promise callbacks run after them. An
 *   exception in it is an `uncaughtException` and stops nothing.
 * @throws `TypeError` `ERR_INVALID_ARG_TYPE`, `RangeError` `ERR_OUT_OF_RANGE`
 * @throws {@link NodeJS.ErrnoException} with `code`, `errno`, `syscall` and,
 *   from `bind`, `address` and `port`. Among them:
 *   - `ESOCKTNOSUPPORT`, `EPROTONOSUPPORT`: this kernel has no SCTP; the
 *     message says what to do.
 *   - `EADDRINUSE`: another socket is bound to this port.
 *   - `EADDRNOTAVAIL`: not an address of this host.
 *   - `EACCES`: ports below 1024 need CAP_NET_BIND_SERVICE.
 */
export function open(
  bindHost: string | readonly string[],
  bindPort: number,
  recvMaxlen: number,
  onRecv: (result: RecvResult) => void,
): Endpoint;

/* ------------------------------------------------ Associations as streams */

/** Delayed acknowledgement, SCTP_DELAYED_SACK (RFC 6458 section 8.1.19). */
export interface SackOptions {
  /**
   * How long an acknowledgement may wait: 1 to 500 ms; 0 keeps the kernel's,
   * which is 200 in Linux.
   */
  delay?: number;
  /**
   * Packets after which it is sent at once; 1 disables the delay, 0 keeps the
   * kernel's, which is 2 in Linux.
   */
  freq?: number;
}

/** Authentication of chunks (RFC 4895). */
export interface AuthOptions {
  /** Up to 32 shared keys by their number, 0 to 65535. Key 0 is empty by default. */
  keys?: Record<number, NodeJS.ArrayBufferView>;
  /** The key that is used for sending. @defaultValue 0 */
  active?: number;
  /**
   * Types of chunks that the peer must authenticate: 0 is DATA, 64 I-DATA. A peer
   * that does not is refused with `ERR_SCTP_NOT_NEGOTIATED`.
   */
  chunks?: number[];
  /** Algorithms, the best first: 1 is SHA-1, 3 is SHA-256. */
  hmacs?: number[];
}

/**
 * The options of both servers and connects. Each is optional; `undefined` and
 * `null` stand for its default. Inherited options and getters count. Unknown
 * options are ignored; a value of the wrong type throws and names the option.
 */
export interface AssociationOptions {
  /**
   * Bytes, both ways: `write()` returns false when so many wait to be sent, and
   * reading from the kernel stops while so many wait to be read. The stream
   * machinery itself counts messages on the readable side: 16
   * (`readableHighWaterMark`).
   *
   * @defaultValue `stream.getDefaultHighWaterMark(false)`
   */
  highWaterMark?: number | null;
  /**
   * SCTP_NODELAY (RFC 6458 section 8.1.5). With `false` a small message waits
   * for the acknowledgement of the one before, up to 200 ms.
   *
   * @defaultValue `true`
   */
  noDelay?: boolean | null;
  /**
   * Incoming streams that are accepted, 1 to 65535 (SCTP_INITMSG, section
   * 8.1.3).
   *
   * @defaultValue 1024: each costs the kernel memory
   */
  MIS?: number | null;
  /**
   * Outgoing streams that are asked for, 1 to 65535.
   *
   * @defaultValue the kernel's; Linux has 10
   */
  OS?: number | null;
  /** Delayed acknowledgement. */
  sack?: SackOptions | null;
  /** Another place for `sack`. */
  sctp?: { sack?: SackOptions | null } | null;
  /**
   * The longest message to receive, 1 to 67,108,864 bytes. A longer one aborts
   * the association with `EMSGSIZE`.
   *
   * @defaultValue 1,048,576
   */
  maxMessageSize?: number | null;
  /**
   * Retransmission timeout in ms, SCTP_RTOINFO (section 8.1.1). A minimum above
   * the maximum, given or the kernel's, throws `ERR_OUT_OF_RANGE`.
   *
   * @defaultValue the kernel's; Linux has 3000, 1000 and 60000
   */
  rto?: { initial?: number; min?: number; max?: number } | null;
  /**
   * Interval of heartbeats on idle paths in ms (section 8.1.12); 0: none.
   *
   * @defaultValue the kernel's; Linux has 30000
   */
  heartbeat?: { interval?: number } | null;
  /**
   * Retransmissions after which a path is inactive, 1 to 65535 (section
   * 8.1.12).
   *
   * @defaultValue the kernel's; Linux has 5
   */
  pathMaxRetrans?: number | null;
  /**
   * Retransmissions after which the association is lost, 1 to 65535 (section
   * 8.1.2).
   *
   * @defaultValue the kernel's; Linux has 10
   */
  assocMaxRetrans?: number | null;
  /**
   * How often, and at which intervals at the most (ms, up to 65535), an INIT is
   * repeated (section 8.1.3).
   *
   * @defaultValue the kernel's attempts, of which Linux has 8, and 5000 ms
   */
  init?: { attempts?: number; maxTimeout?: number } | null;
  /** Life of the cookie of a handshake in ms (section 8.1.2). */
  cookieLife?: number | null;
  /** Differentiated services code point of packets, 0 to 63 (section 8.1.12). */
  dscp?: number | null;
  /**
   * SO_SNDBUF in bytes: Linux grants twice as much, bounded by
   * `net.core.wmem_max`. It is also the length of the longest message.
   *
   * @defaultValue 4 MiB are asked for
   */
  sendBufferSize?: number | null;
  /** SO_RCVBUF in bytes, the same. It bounds what is received and not read. */
  recvBufferSize?: number | null;
  /** SO_BINDTODEVICE: the interface to use. */
  bindToDevice?: string | null;
  /** Longest DATA chunk in bytes, 1 to 65535 (section 8.1.16). */
  maxSegment?: number | null;
  /** Packets that may be sent at once (section 8.1.24). */
  maxBurst?: number | null;
  /**
   * Number that the peer gets as `SCTP_ADAPTATION_INDICATION` (section 8.1.10).
   */
  adaptation?: number | null;
  /** Explicit congestion notification (RFC 9260 appendix A). Linux 5.4. */
  ecn?: boolean | null;
  /**
   * Whether streams may be reset and added, by either side (RFC 6525). Both sides
   * must want it.
   *
   * @defaultValue `net.sctp.reconf_enable`, which is 0
   */
  streamReset?: boolean | null;
  /**
   * Order in which messages of different streams are sent (RFC 8260 section 3).
   * Linux before 6.4 has no `'fair'` and `'weighted'`: `connect()` fails with
   * `EINVAL` there.
   *
   * @defaultValue `'fcfs'`
   */
  scheduler?: 'fcfs' | 'priority' | 'round-robin' | 'fair' | 'weighted' | null;
  /**
   * Whether the pieces of messages on different streams may alternate (I-DATA
   * chunks, RFC 8260 section 2), so that a long message holds up no other stream.
   * Both sides need it; if the peer lacks it, messages go as ever. It fails with
   * `EPERM` if the sysctl `net.sctp.intl_enable` is 0. All unfinished messages of
   * a socket together may take 64 MiB; then it ends with `ENOBUFS`. On a big-endian
   * CPU it throws `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM`.
   *
   * @defaultValue `false`
   */
  interleaving?: boolean | null;
  /**
   * UDP port of the peer: packets are sent in UDP (RFC 6951). Throws
   * `ERR_SCTP_NOT_ENABLED` if the sysctl `net.sctp.udp_port` of this host is 0.
   * Linux 5.11.
   */
  udpEncapsulation?: number | null;
  /** Authenticated chunks (RFC 4895, RFC 6458 section 8.3). Linux 5.4. */
  auth?: AuthOptions | null;
  /** SCTP has no half-close: `true` throws `ERR_INVALID_ARG_VALUE`. */
  allowHalfOpen?: false | null;
}

/**
 * Options of {@link createServer}; those of {@link ListenOptions} may stand
 * here, too.
 */
export interface ServerOptions extends AssociationOptions, ListenOptions {
  /**
   * Whether the sockets begin paused, not read until `resume()` or `read()`.
   *
   * @defaultValue `false`
   */
  pauseOnConnect?: boolean | null;
}

export interface ListenOptions {
  /** 0 to 65535; 0 lets the kernel choose. @defaultValue 0 */
  port?: number | string | null;
  /** IP address or name; `'::'` is dual-stack. @defaultValue `'0.0.0.0'` */
  host?: string | null;
  /**
   * Several IP addresses, of either family, instead of `host` (sctp_bindx(),
   * RFC 6458 section 9.1).
   */
  localAddresses?: string[] | null;
  /** How many associations may wait to be accepted. @defaultValue 511 */
  backlog?: number | null;
  /** Takes no IPv4 on `'::'`. @defaultValue `false` */
  ipv6Only?: boolean | null;
  /**
   * Several servers, also of other processes, may listen on one port; the kernel
   * spreads associations over them (SCTP_REUSE_PORT, RFC 6458 section 8.1.27, and
   * SO_REUSEPORT).
   *
   * @defaultValue `false`
   */
  reusePort?: boolean | null;
  /**
   * A one-to-one SCTP socket that another program has made and bound, such as
   * systemd: the server takes it over and closes it. Host and port are not used,
   * and `ipv6Only` stays as it is. Fails with `EBADF`, `ENOTSOCK`, `EPROTOTYPE` for
   * a socket of another kind, or `EEXIST` for one that this package has already.
   */
  fd?: number | null;
  /** Closes the server when it is aborted. */
  signal?: AbortSignal | null;
}

/** Options of {@link connect}. */
export interface ConnectOptions extends AssociationOptions {
  /** 0 to 65535. */
  port: number | string;
  /**
   * IP address or name; each address that a name has is tried in order.
   *
   * @defaultValue `'localhost'`
   */
  host?: string | null;
  /**
   * Several IP addresses of one peer instead of `host` (sctp_connectx(), RFC
   * 6458 section 9.9).
   */
  remoteAddresses?: string[] | null;
  /** 0 lets the kernel choose. @defaultValue 0 */
  localPort?: number | string | null;
  /** IP address to bind to. @defaultValue all of this host */
  localAddress?: string | null;
  /** Several IP addresses instead of `localAddress`. */
  localAddresses?: string[] | null;
  /** In place of `dns.lookup`. */
  lookup?: LookupFunction | null;
  /** 4 or 6: what a name is looked up for. @defaultValue 0, both */
  family?: number;
  /** Flags of `dns.lookup`. */
  hints?: number;
  /** As {@link Socket.setTimeout}. */
  timeout?: number | null;
  /** Destroys the socket with an AbortError when it is aborted. */
  signal?: AbortSignal | null;
}

/**
 * The attributes of a message (RFC 6458 sections 5.3.4 and 5.3.7).
 */
export interface MessageAttributes {
  /**
   * Stream id, below {@link SocketStatus.numberOfOutgoingStreams}.
   *
   * @defaultValue 0
   */
  sid?: number;
  /**
   * Payload protocol identifier, 32 bits, in host byte order.
   *
   * @defaultValue 0
   */
  ppid?: number;
  /** Whether it may overtake others of its stream. @defaultValue `false` */
  unordered?: boolean;
  /**
   * ms after which the kernel drops it if it is not sent (RFC 3758), counted
   * from when the kernel accepts it, so its callback has succeeded then; an
   * `SCTP_SEND_FAILED_EVENT` tells. 0: never.
   *
   * @defaultValue 0
   */
  ttl?: number;
}

/** Attributes that {@link Socket.send} takes beside these. */
export interface SendAttributes extends MessageAttributes {
  /** Number that `'undelivered'` gives back, 32 bits. */
  context?: number;
  /**
   * Retransmissions after which the kernel drops the message (RFC 7496 section
   * 4.1). Of `ttl`, `maxRetransmits` and `priority` a message has one. With 0,
   * Linux drops most messages of several packets, even if none is lost.
   */
  maxRetransmits?: number;
  /**
   * A full send buffer drops messages with a greater number first (RFC 7496
   * section 4.2).
   */
  priority?: number;
  /** Asks the peer to acknowledge without delay (RFC 7053). */
  sackImmediately?: boolean;
  /** IP address of the peer to send to, instead of the primary path. */
  address?: string;
}

/** A message that the kernel could not deliver. */
export interface UndeliveredMessage {
  data: Buffer;
  sid: number;
  ppid: number;
  unordered: boolean;
  /** As given to {@link Socket.send}. */
  context: number;
  /** Whether it had been sent at least once, so that the peer may have it. */
  sent: boolean;
}

/** A message to write: bytes that may have attributes. */
export type OutgoingMessage = NodeJS.ArrayBufferView & MessageAttributes;

/** A message that has arrived, whole. */
export type IncomingMessage = Buffer &
  Required<Pick<MessageAttributes, 'sid' | 'ppid' | 'unordered'>>;

/** A path to a peer (RFC 6458 section 8.2.2). */
export interface PathInfo {
  /**
   * `constants.SCTP_INACTIVE`, `SCTP_PF`, `SCTP_ACTIVE` or `SCTP_UNCONFIRMED`.
   */
  state: 0 | 1 | 2 | 3;
  /** Congestion window, bytes. */
  cwnd: number;
  /** Smoothed round-trip time, ms. */
  srtt: number;
  /** Retransmission timeout, ms. */
  rto: number;
  /** Bytes. */
  mtu: number;
}

/** SCTP_STATUS (RFC 6458 section 8.2.1). */
export interface SocketStatus {
  associationId: number;
  /** One of the constants from `SCTP_EMPTY` to `SCTP_SHUTDOWN_ACK_SENT`. */
  state: 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;
  /** The name of that constant. */
  stateName:
    | 'SCTP_EMPTY'
    | 'SCTP_CLOSED'
    | 'SCTP_COOKIE_WAIT'
    | 'SCTP_COOKIE_ECHOED'
    | 'SCTP_ESTABLISHED'
    | 'SCTP_SHUTDOWN_PENDING'
    | 'SCTP_SHUTDOWN_SENT'
    | 'SCTP_SHUTDOWN_RECEIVED'
    | 'SCTP_SHUTDOWN_ACK_SENT';
  /** The peer's receive window, bytes. */
  rwnd: number;
  /** DATA chunks that the peer has not acknowledged. */
  unackdata: number;
  /** DATA chunks received that nobody has read. */
  penddata: number;
  numberOfIncomingStreams: number;
  numberOfOutgoingStreams: number;
  /** Bytes beyond which a message is sent in several chunks. */
  fragmentationPoint: number;
  /** The primary path. */
  primary: AddressInfo & PathInfo;
}

/** Settings of one path to the peer. */
export interface PathSettings {
  /** Interval of heartbeats, ms; 0: none (RFC 6458 section 8.1.12). */
  heartbeat?: number;
  /** Retransmissions after which it is inactive, 1 to 65535. */
  pathMaxRetrans?: number;
  /**
   * Retransmissions after which it is potentially failed, 0 to 65535 (RFC 7829
   * section 7.2).
   */
  pfThreshold?: number;
  /** Bytes of its packets, 512 to 65535. Discovery of the path's MTU ends. */
  mtu?: number;
  /** Differentiated services code point, 0 to 63. */
  dscp?: number;
  /** UDP port of the peer, 0: none (RFC 6951). Linux 5.11. */
  encapsulationPort?: number;
}

/** SCTP_GET_ASSOC_STATS of Linux: counts of the whole association. */
export interface SocketStats {
  /** The address that {@link SocketStats.maxrto} is of. */
  obsRtoIpaddr: string;
  /** Greatest retransmission timeout since the last call, ms. */
  maxrto: number;
  /** SACKs received. */
  isacks: number;
  /** SACKs sent. */
  osacks: number;
  /** Packets sent. */
  opackets: number;
  /** Packets received. */
  ipackets: number;
  /** Chunks retransmitted. */
  rtxchunks: number;
  /** TSNs received out of order. */
  outofseqtsns: number;
  /** Chunks received twice. */
  idupchunks: number;
  /** Gaps in SACKs received. */
  gapcnt: number;
  /** Unordered DATA chunks sent. */
  ouodchunks: number;
  /** Unordered DATA chunks received. */
  iuodchunks: number;
  /** Ordered DATA chunks sent. */
  oodchunks: number;
  /** Ordered DATA chunks received. */
  iodchunks: number;
  /** Control chunks sent. */
  octrlchunks: number;
  /** Control chunks received. */
  ictrlchunks: number;
}

/** A listener of one of our events, or of one with a name of your own. */
type Listener<Events, E> = E extends keyof Events
  ? Events[E] extends unknown[]
    ? (...args: Events[E]) => void
    : never
  : // biome-ignore lint/suspicious/noExplicitAny: as EventEmitter has it
    (...args: any[]) => void;

interface SocketEvents {
  close: [hadError: boolean];
  connect: [];
  data: [message: IncomingMessage];
  drain: [];
  end: [];
  error: [error: NodeJS.ErrnoException & { reason?: string }];
  finish: [];
  lookup: [
    error: Error | null,
    address: string | undefined,
    family: number | undefined,
    host: string,
  ];
  pause: [];
  pipe: [source: Readable];
  readable: [];
  ready: [];
  resume: [];
  timeout: [];
  unpipe: [source: Readable];
  /** A notification of the kernel about the association. */
  notification: [notification: Notification];
  /**
   * A path of the peer has changed its state, or an address was added or
   * removed: the name is one of the constants `SCTP_ADDR_…`.
   */
  'address-change': [change: { address: string; state: string }];
  /** {@link Socket.peerInfoByAddress} may have changed. */
  'peer-info-update': [];
  /**
   * A message that was not delivered: its lifetime has ended, or the association
   * has. It comes before the error.
   */
  undelivered: [message: UndeliveredMessage];
  /** Streams were reset, by either side. No `sids` stand for all streams. */
  'stream-reset': [
    streams: { incoming: boolean; outgoing: boolean; sids: number[] },
  ];
  /** Streams were added, by either side: how many. */
  'stream-change': [streams: { incoming: number; outgoing: number }];
}

/**
 * One association as a stream, made by {@link connect} or a {@link Server}.
 *
 * One `write()` is one message and one `'data'` is one whole message; the
 * readable side is in object mode. A message that is longer than
 * {@link Socket.maxSendSize}, a stream id that there is not, or another wrong
 * attribute throws `ERR_OUT_OF_RANGE` or `ERR_INVALID_ARG_TYPE` from `write()`,
 * `send()` and `end()` and destroys nothing. Only if a stream is piped into the
 * socket, it is destroyed with that error, since nobody could catch it.
 * Before `'connect'` a stream id is checked against `OS` only: if the peer grants
 * fewer streams, the message fails later, with `ERR_OUT_OF_RANGE`, and destroys the
 * socket. An empty message is a no-op. A callback means that the kernel has the
 * message, not that the peer has it.
 *
 * Messages that have arrived together are handed over together; nextTick and
 * promise callbacks run after them. So `await once(socket, 'data')` in a loop
 * misses messages; `for await` does not.
 *
 * `end()` shuts the association down after what was written (RFC 9260 section
 * 9.2); there is no half-close, so the peer's stream ends both ways. What the
 * kernel has accepted by then is delivered, what is still queued fails with
 * `EPIPE`. `destroy()` before `end()` has finished aborts the association (RFC
 * 9260 section 9.1): the peer reads what it has received, then gets one
 * `ECONNRESET`, with the text that an ABORT may carry as `reason` (this library
 * sends none).
 */
export interface Socket extends Duplex {
  /**
   * Writes one message; attributes are read from the Buffer when it is handed
   * to the kernel.
   */
  write(
    data: OutgoingMessage | string,
    callback?: (error?: Error | null) => void,
  ): boolean;
  write(
    data: OutgoingMessage | string,
    encoding?: BufferEncoding,
    callback?: (error?: Error | null) => void,
  ): boolean;
  /**
   * Writes one message with attributes: those given, and else those of the Buffer,
   * which is not touched. An unknown attribute throws `ERR_INVALID_ARG_VALUE`.
   */
  send(
    data: NodeJS.ArrayBufferView | string,
    callback?: (error?: Error | null) => void,
  ): boolean;
  send(
    data: NodeJS.ArrayBufferView | string,
    attributes?: SendAttributes | null,
    callback?: (error?: Error | null) => void,
  ): boolean;
  /** Ends after a last message. */
  end(callback?: () => void): this;
  end(data: OutgoingMessage | string, callback?: () => void): this;
  end(
    data: OutgoingMessage | string,
    encoding?: BufferEncoding,
    callback?: () => void,
  ): this;
  /**
   * Makes a text, by default in UTF-8, of every message that arrives from then
   * on; stream id and PPID are not seen then.
   */
  setEncoding(encoding?: BufferEncoding): this;
  read(size?: number): IncomingMessage | null;
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<IncomingMessage>;

  /** Ends when all is written, then destroys. */
  destroySoon(): void;
  /** Aborts the association, also after `end()`. */
  resetAndDestroy(): this;
  /**
   * Aborts as {@link Socket.resetAndDestroy} does.
   *
   * @param reason a text of at most 1,024 bytes for the peer, only on a socket of
   *   {@link Endpoint.peelOff}, which has no attribute `address` of `send()`.
   * @throws ERR_FEATURE_UNAVAILABLE_ON_PLATFORM  With a reason on any other socket:
   *   Linux sends none from one-to-one sockets.
   */
  abort(reason?: string): this;
  setNoDelay(noDelay?: boolean): this;
  /**
   * Turns heartbeats on or off; `interval` is in ms, 0 keeps
   * it.
   */
  setKeepAlive(enable?: boolean, interval?: number): this;
  /** Emits `'timeout'` after so many ms without traffic; 0: never. */
  setTimeout(timeout: number, callback?: () => void): this;
  ref(): this;
  unref(): this;
  /**
   * Local address, port and family; empty while there is no socket. This and
   * the fields below are known from the first attempt to connect on, and stay
   * when the socket has ended.
   */
  address(): AddressInfo | Record<string, never>;
  /**
   * The kernel's status of the association, or undefined if there is none.
   */
  status(): SocketStatus | undefined;
  /** Counts of the association, or undefined if there is none. */
  stats(): SocketStats | undefined;

  /**
   * Any option of the kernel. `fields` are those that say what it is about, such
   * as the address of a path.
   *
   * @throws The kernel's error with `option`: `ENOPROTOOPT` if this kernel does
   *   not have it, `EINVAL`, `EACCES`, …; `ERR_SOCKET_CLOSED`;
   *   `ERR_INVALID_STATE` before `'connect'`, as from the methods below;
   *   `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`
   */
  getOption<N extends keyof KernelOptions>(
    name: N,
    fields?: Partial<KernelOptions[N]>,
  ): KernelOptions[N];
  /** Sets an option of the kernel. Throws as {@link Socket.getOption} does. */
  setOption<N extends keyof KernelOptions>(
    name: N,
    fields: Partial<KernelOptions[N]>,
  ): this;

  /**
   * Sends to this address of the peer from now on (SCTP_PRIMARY_ADDR, RFC 6458
   * section 8.1.9).
   */
  setPrimary(address: string): this;
  /**
   * Asks the peer to send to this local address (section 8.3.1).
   *
   * @throws ERR_SCTP_NOT_NEGOTIATED  Addresses cannot change: see
   *   {@link Socket.addLocalAddress}.
   */
  setPeerPrimary(localAddress: string): this;
  /** Settings of one path; those that are left out stay as they are. */
  setPath(address: string, path: PathSettings): this;
  /** Sends a heartbeat to this address now (section 8.1.12). */
  heartbeat(address: string): this;
  /**
   * Adds a local address, and tells the peer (sctp_bindx(), section 9.1; RFC
   * 5061).
   *
   * @throws ERR_SCTP_NOT_NEGOTIATED  The peer cannot be told: both hosts need the
   *   sysctls `net.sctp.addip_enable` and `net.sctp.auth_enable`.
   */
  addLocalAddress(address: string): this;
  /** Removes a local address, and tells the peer. Throws as the one above. */
  removeLocalAddress(address: string): this;

  /**
   * Resets the sequence numbers of streams, an array of stream ids or `true` for
   * all (RFC 6525); if both directions are given, of the same streams. Resolves
   * when the peer has granted it.
   *
   * @throws Rejects with `ENOPROTOOPT` (no `streamReset` on either side),
   *   `EAGAIN` (messages of an outgoing stream are not acknowledged yet),
   *   `EINPROGRESS` (another request waits) or `ERR_SCTP_REQUEST_FAILED`.
   */
  resetStreams(streams: {
    outgoing?: number[] | boolean;
    incoming?: number[] | boolean;
  }): Promise<void>;
  /** Adds so many streams. Settles as {@link Socket.resetStreams} does. */
  addStreams(streams: { outgoing?: number; incoming?: number }): Promise<void>;
  /**
   * Sets the priority of a stream, or its weight, for the `scheduler` (RFC 8260
   * section 4.3.3), 0 to 65535. The lowest priority is sent first.
   */
  setStreamPriority(sid: number, value: number): this;

  /** Sets a shared key, 0 to 65535 (RFC 6458 section 8.3.3). */
  setAuthKey(id: number, key: NodeJS.ArrayBufferView): this;
  /** Uses this key for sending (section 8.1.18). */
  activateAuthKey(id: number): this;
  /** Deletes a key that is not active (section 8.3.5). */
  deleteAuthKey(id: number): this;

  /**
   * The longest message that can be written: SO_SNDBUF, as for {@link
   * Endpoint.send}.
   */
  readonly maxSendSize: number;
  /** Bytes of messages received. */
  readonly bytesRead: number;
  /** Bytes of messages written, sent or not. */
  readonly bytesWritten: number;
  readonly connecting: boolean;
  readonly pending: boolean;
  readonly readyState: 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed';
  /** As set by {@link Socket.setTimeout}. */
  readonly timeout: number | undefined;
  /** The server that has accepted it. */
  readonly server: Server | null;

  /** The address that packets to the primary path come from. */
  readonly localAddress: string | undefined;
  /**
   * All local addresses of the association, {@link Socket.localAddress} first.
   */
  readonly localAddresses: string[];
  readonly localFamily: 'IPv4' | 'IPv6' | undefined;
  readonly localPort: number | undefined;
  /**
   * The address of the path in use: the primary path, or while that is down the
   * first active one. After the end: what it was.
   */
  readonly remoteAddress: string | undefined;
  /** All addresses of the peer, {@link Socket.remoteAddress} first. */
  readonly remoteAddresses: string[];
  readonly remoteFamily: 'IPv4' | 'IPv6' | undefined;
  readonly remotePort: number | undefined;
  /** The state of each path. */
  readonly peerInfoByAddress: Record<string, PathInfo>;

  on<E extends string | symbol>(
    event: E,
    listener: Listener<SocketEvents, E>,
  ): this;
  once<E extends string | symbol>(
    event: E,
    listener: Listener<SocketEvents, E>,
  ): this;
  off<E extends string | symbol>(
    event: E,
    listener: Listener<SocketEvents, E>,
  ): this;
  addListener<E extends string | symbol>(
    event: E,
    listener: Listener<SocketEvents, E>,
  ): this;
  removeListener<E extends string | symbol>(
    event: E,
    listener: Listener<SocketEvents, E>,
  ): this;
  prependListener<E extends string | symbol>(
    event: E,
    listener: Listener<SocketEvents, E>,
  ): this;
  prependOnceListener<E extends string | symbol>(
    event: E,
    listener: Listener<SocketEvents, E>,
  ): this;
}

interface ServerEvents {
  close: [];
  connection: [socket: Socket];
  /**
   * An association was aborted: {@link Server.maxConnections} is reached, or the
   * peer does not authenticate the chunks that the option `auth` demands.
   */
  drop: [
    data: {
      localAddress?: string;
      localPort?: number;
      localFamily?: string;
      remoteAddress?: string;
      remotePort?: number;
      remoteFamily?: string;
    },
  ];
  error: [error: NodeJS.ErrnoException];
  listening: [];
}

/** Listens for associations, made by {@link createServer}. */
export interface Server extends EventEmitter {
  /**
   * Starts to listen: `'listening'` or `'error'` follows.
   *
   * @throws `ERR_SERVER_ALREADY_LISTEN`, `ERR_SOCKET_BAD_PORT`,
   *   `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`
   */
  listen(options?: ListenOptions | null, listener?: () => void): this;
  listen(
    port: number | string,
    host?: string,
    backlog?: number,
    listener?: () => void,
  ): this;
  listen(port: number | string, host?: string, listener?: () => void): this;
  listen(port: number | string, backlog?: number, listener?: () => void): this;
  listen(port: number | string, listener?: () => void): this;
  listen(listener?: () => void): this;
  /**
   * Takes no more associations; `'close'` follows when those that are open have
   * ended.
   */
  close(callback?: (error?: Error) => void): this;
  [Symbol.asyncDispose](): Promise<void>;
  /** The first local address and the port; null while it does not listen. */
  address(): AddressInfo | null;
  /** All local addresses; of a wildcard those of the host. */
  getLocalAddresses(): AddressInfo[];
  /** An option that associations to come inherit. As {@link Socket.getOption}. */
  getOption<N extends keyof KernelOptions>(
    name: N,
    fields?: Partial<KernelOptions[N]>,
  ): KernelOptions[N];
  setOption<N extends keyof KernelOptions>(
    name: N,
    fields: Partial<KernelOptions[N]>,
  ): this;
  /** Adds a local address for associations to come. */
  addLocalAddress(address: string): this;
  removeLocalAddress(address: string): this;
  getConnections(
    callback: (error: Error | null, connections: number) => void,
  ): this;
  readonly listening: boolean;
  /**
   * More connections than these are dropped; `undefined` and `null`: none is.
   * @throws ERR_INVALID_ARG_TYPE  Assigned what is neither.
   */
  maxConnections: number | null | undefined;
  ref(): this;
  unref(): this;

  on<E extends string | symbol>(
    event: E,
    listener: Listener<ServerEvents, E>,
  ): this;
  once<E extends string | symbol>(
    event: E,
    listener: Listener<ServerEvents, E>,
  ): this;
  off<E extends string | symbol>(
    event: E,
    listener: Listener<ServerEvents, E>,
  ): this;
  addListener<E extends string | symbol>(
    event: E,
    listener: Listener<ServerEvents, E>,
  ): this;
  removeListener<E extends string | symbol>(
    event: E,
    listener: Listener<ServerEvents, E>,
  ): this;
  prependListener<E extends string | symbol>(
    event: E,
    listener: Listener<ServerEvents, E>,
  ): this;
  prependOnceListener<E extends string | symbol>(
    event: E,
    listener: Listener<ServerEvents, E>,
  ): this;
}

/** The address of a socket or of its peer. */
export interface AddressInfo {
  address: string;
  family: 'IPv4' | 'IPv6';
  port: number;
}

/**
 * Makes a server. `connectionListener` is called for each association, before
 * anything of it is read.
 */
export function createServer(
  options?: ServerOptions | null,
  connectionListener?: (socket: Socket) => void,
): Server;
export function createServer(
  connectionListener?: (socket: Socket) => void,
): Server;

/**
 * Connects to a server: a one-to-one socket (RFC 6458 section 4). `'connect'`
 * or `'error'` follows.
 *
 * Errors have `code`, `errno`, `syscall`, `address` and `port`:
 * `connect ECONNREFUSED 10.0.0.1:5000`. Among them `ECONNREFUSED`, `ETIMEDOUT`,
 * `ENETUNREACH` (no route), `EADDRINUSE` and `EADDRNOTAVAIL` (of the local
 * address and port), `EAFNOSUPPORT` (no local address of the peer's family),
 * `ESOCKTNOSUPPORT` and `EPROTONOSUPPORT` (this kernel has no SCTP). A connect
 * from a fixed local port that meets its own closing association is repeated
 * for up to a second.
 *
 * @param listener is added to `'connect'`.
 * @throws `ERR_SOCKET_BAD_PORT`, `ERR_INVALID_ARG_TYPE`,
 *   `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`
 */
export function connect(options: ConnectOptions, listener?: () => void): Socket;
export function connect(
  port: number | string,
  host?: string,
  listener?: () => void,
): Socket;
export function connect(port: number | string, listener?: () => void): Socket;

/** Another name of {@link connect}. */
export const createConnection: typeof connect;

/* ---------------------------------------------------------------- Options */

/** An address of a socket in an option. `port` may be left out. */
export interface SocketAddress {
  address: string;
  family?: 'IPv4' | 'IPv6';
  port?: number;
}

/**
 * The kernel's options by name, with the fields of RFC 6458 section 8 and of
 * linux/sctp.h. The association is filled in. A plain number is `value`. A field
 * that is left out is 0, which keeps the present value in most options. The
 * number of elements of a list is filled in.
 */
export interface KernelOptions {
  /** Retransmission timeouts, ms (RFC 6458 section 8.1.1). */
  SCTP_RTOINFO: {
    srto_assoc_id: number;
    srto_initial: number;
    srto_max: number;
    srto_min: number;
  };
  /** Retransmissions, windows and cookie life in ms (section 8.1.2). */
  SCTP_ASSOCINFO: {
    sasoc_assoc_id: number;
    sasoc_asocmaxrxt: number;
    sasoc_number_peer_destinations: number;
    sasoc_peer_rwnd: number;
    sasoc_local_rwnd: number;
    sasoc_cookie_life: number;
  };
  /** Streams and attempts of the handshake (section 8.1.3). */
  SCTP_INITMSG: {
    sinit_num_ostreams: number;
    sinit_max_instreams: number;
    sinit_max_attempts: number;
    sinit_max_init_timeo: number;
  };
  /** Whether small messages leave at once (section 8.1.5). */
  SCTP_NODELAY: {
    value: number;
  };
  /** For one-to-many sockets (section 8.1.8). Read only here. */
  SCTP_AUTOCLOSE: {
    value: number;
  };
  /** Asks the peer to send to this local address (section 8.3.1). Set only. */
  SCTP_SET_PEER_PRIMARY_ADDR: {
    sspp_assoc_id: number;
    sspp_addr: SocketAddress;
  };
  /** The primary path (section 8.1.9). */
  SCTP_PRIMARY_ADDR: {
    ssp_assoc_id: number;
    ssp_addr: SocketAddress;
  };
  /** Number sent in the handshake (section 8.1.10). */
  SCTP_ADAPTATION_LAYER: {
    ssb_adaptation_ind: number;
  };
  /** Whether a message that needs several packets is refused (section 8.1.11). */
  SCTP_DISABLE_FRAGMENTS: {
    value: number;
  };
  /** Heartbeats, retransmissions and MTU of a path (section 8.1.12). */
  SCTP_PEER_ADDR_PARAMS: {
    spp_assoc_id: number;
    spp_address: SocketAddress;
    spp_hbinterval: number;
    spp_pathmaxrxt: number;
    spp_pathmtu: number;
    spp_sackdelay: number;
    spp_flags: number;
    spp_ipv6_flowlabel: number;
    spp_dscp: number;
  };
  /** Attributes of messages without any (section 8.1.13). */
  SCTP_DEFAULT_SEND_PARAM: {
    sinfo_stream: number;
    sinfo_ssn: number;
    sinfo_flags: number;
    sinfo_ppid: number;
    sinfo_context: number;
    sinfo_timetolive: number;
    sinfo_tsn: number;
    sinfo_cumtsn: number;
    sinfo_assoc_id: number;
  };
  /** Subscriptions (section 6.2.1). Read only here. */
  SCTP_EVENTS: {
    sctp_data_io_event: number;
    sctp_association_event: number;
    sctp_address_event: number;
    sctp_send_failure_event: number;
    sctp_peer_error_event: number;
    sctp_shutdown_event: number;
    sctp_partial_delivery_event: number;
    sctp_adaptation_layer_event: number;
    sctp_authentication_event: number;
    sctp_sender_dry_event: number;
    sctp_stream_reset_event: number;
    sctp_assoc_reset_event: number;
    sctp_stream_change_event: number;
    sctp_send_failure_event_event: number;
  };
  /** Form of IPv4 addresses (section 8.1.15). Read only here. */
  SCTP_I_WANT_MAPPED_V4_ADDR: {
    value: number;
  };
  /** Longest DATA chunk, bytes (section 8.1.16). */
  SCTP_MAXSEG: {
    assoc_id: number;
    assoc_value: number;
  };
  /** State of the association (section 8.2.1). Read only. */
  SCTP_STATUS: {
    sstat_assoc_id: number;
    sstat_state: number;
    sstat_rwnd: number;
    sstat_unackdata: number;
    sstat_penddata: number;
    sstat_instrms: number;
    sstat_outstrms: number;
    sstat_fragmentation_point: number;
    sstat_primary: {
      spinfo_assoc_id: number;
      spinfo_address: SocketAddress;
      spinfo_state: number;
      spinfo_cwnd: number;
      spinfo_srtt: number;
      spinfo_rto: number;
      spinfo_mtu: number;
    };
  };
  /** State of a path (section 8.2.2). Read only. */
  SCTP_GET_PEER_ADDR_INFO: {
    spinfo_assoc_id: number;
    spinfo_address: SocketAddress;
    spinfo_state: number;
    spinfo_cwnd: number;
    spinfo_srtt: number;
    spinfo_rto: number;
    spinfo_mtu: number;
  };
  /** Delayed acknowledgement, ms and packets (section 8.1.19). */
  SCTP_DELAYED_SACK: {
    sack_assoc_id: number;
    sack_delay: number;
    sack_freq: number;
  };
  /** Context of received messages (section 8.1.25). */
  SCTP_CONTEXT: {
    assoc_id: number;
    assoc_value: number;
  };
  /** Interleaving of pieces (section 8.1.20). Read only here. */
  SCTP_FRAGMENT_INTERLEAVE: {
    value: number;
  };
  /** Bytes at which a long message comes in pieces (section 8.1.21). */
  SCTP_PARTIAL_DELIVERY_POINT: {
    value: number;
  };
  /** Packets that may be sent at once (section 8.1.24). */
  SCTP_MAX_BURST: {
    assoc_id: number;
    assoc_value: number;
  };
  /**
   * Adds a type of chunk that must be authenticated (section 8.3.2). Set
   * only.
   */
  SCTP_AUTH_CHUNK: {
    sauth_chunk: number;
  };
  /** HMAC algorithms: 1 is SHA-1, 3 is SHA-256 (section 8.1.17). */
  SCTP_HMAC_IDENT: {
    shmac_number_of_idents: number;
    shmac_idents: number[];
  };
  /** Sets a shared key (section 8.3.3). Set only. */
  SCTP_AUTH_KEY: {
    sca_assoc_id: number;
    sca_keynumber: number;
    sca_keylength: number;
    sca_key: Uint8Array;
  };
  /** The key that is used for sending (section 8.1.18). */
  SCTP_AUTH_ACTIVE_KEY: {
    scact_assoc_id: number;
    scact_keynumber: number;
  };
  /** Deletes a shared key (section 8.3.5). Set only. */
  SCTP_AUTH_DELETE_KEY: {
    scact_assoc_id: number;
    scact_keynumber: number;
  };
  /** Uses a key for received chunks only (section 8.3.4). Set only. */
  SCTP_AUTH_DEACTIVATE_KEY: {
    scact_assoc_id: number;
    scact_keynumber: number;
  };
  /** Chunks that the peer wants authenticated (section 8.2.3). Read only. */
  SCTP_PEER_AUTH_CHUNKS: {
    gauth_assoc_id: number;
    gauth_number_of_chunks: number;
    gauth_chunks: Uint8Array;
  };
  /** Chunks that must be authenticated here (section 8.2.4). Read only. */
  SCTP_LOCAL_AUTH_CHUNKS: {
    gauth_assoc_id: number;
    gauth_number_of_chunks: number;
    gauth_chunks: Uint8Array;
  };
  /** For one-to-many sockets (section 8.2.5). Read only. */
  SCTP_GET_ASSOC_NUMBER: {
    value: number;
  };
  /** For one-to-many sockets (section 8.2.6). Read only. */
  SCTP_GET_ASSOC_ID_LIST: {
    gaids_number_of_ids: number;
    gaids_assoc_id: number[];
  };
  /**
   * Whether changes of the host’s addresses are told to the peer (section
   * 8.1.23).
   */
  SCTP_AUTO_ASCONF: {
    value: number;
  };
  /** Failure thresholds of a path (RFC 7829 section 7.2). */
  SCTP_PEER_ADDR_THLDS: {
    spt_assoc_id: number;
    spt_address: SocketAddress;
    spt_pathmaxrxt: number;
    spt_pathpfthld: number;
  };
  /**
   * Failure thresholds of a path, and that for a change of the primary path
   * (RFC 7829 section 7.2). Linux 5.5.
   */
  SCTP_PEER_ADDR_THLDS_V2: {
    spt_assoc_id: number;
    spt_address: SocketAddress;
    spt_pathmaxrxt: number;
    spt_pathpfthld: number;
    spt_pathcpthld: number;
  };
  /**
   * Attributes of received messages (RFC 6458 section 8.1.29). Read only
   * here.
   */
  SCTP_RECVRCVINFO: {
    value: number;
  };
  /** Attributes of the next message (section 8.1.30). Read only here. */
  SCTP_RECVNXTINFO: {
    value: number;
  };
  /** Attributes of messages without any (section 8.1.31). */
  SCTP_DEFAULT_SNDINFO: {
    snd_sid: number;
    snd_flags: number;
    snd_ppid: number;
    snd_context: number;
    snd_assoc_id: number;
  };
  /** Whether sockets may share a port (section 8.1.27). */
  SCTP_REUSE_PORT: {
    value: number;
  };
  /** Counts of chunks and packets. Linux only, read only. */
  SCTP_GET_ASSOC_STATS: {
    sas_assoc_id: number;
    sas_obs_rto_ipaddr: SocketAddress;
    sas_maxrto: number;
    sas_isacks: number;
    sas_osacks: number;
    sas_opackets: number;
    sas_ipackets: number;
    sas_rtxchunks: number;
    sas_outofseqtsns: number;
    sas_idupchunks: number;
    sas_gapcnt: number;
    sas_ouodchunks: number;
    sas_iuodchunks: number;
    sas_oodchunks: number;
    sas_iodchunks: number;
    sas_octrlchunks: number;
    sas_ictrlchunks: number;
  };
  /** Whether messages may be abandoned (RFC 7496 section 4.5). */
  SCTP_PR_SUPPORTED: {
    assoc_id: number;
    assoc_value: number;
  };
  /** Policy of messages without one (RFC 6458 section 8.1.32). */
  SCTP_DEFAULT_PRINFO: {
    pr_assoc_id: number;
    pr_value: number;
    pr_policy: number;
  };
  /** Abandoned messages of the association (RFC 7496 section 4.4). Read only. */
  SCTP_PR_ASSOC_STATUS: {
    sprstat_assoc_id: number;
    sprstat_sid: number;
    sprstat_policy: number;
    sprstat_abandoned_unsent: number;
    sprstat_abandoned_sent: number;
  };
  /** Abandoned messages of a stream (RFC 7496 section 4.3). Read only. */
  SCTP_PR_STREAM_STATUS: {
    sprstat_assoc_id: number;
    sprstat_sid: number;
    sprstat_policy: number;
    sprstat_abandoned_unsent: number;
    sprstat_abandoned_sent: number;
  };
  /** Whether streams may be reset and added (RFC 6525). Linux 5.2. */
  SCTP_RECONFIG_SUPPORTED: {
    assoc_id: number;
    assoc_value: number;
  };
  /** Requests of the peer that are granted (RFC 6525 section 6.3.1). */
  SCTP_ENABLE_STREAM_RESET: {
    assoc_id: number;
    assoc_value: number;
  };
  /** Resets streams (RFC 6525 section 6.3.2). Set only. */
  SCTP_RESET_STREAMS: {
    srs_assoc_id: number;
    srs_flags: number;
    srs_number_streams: number;
    srs_stream_list: number[];
  };
  /** Resets all streams and TSNs (RFC 6525 section 6.3.3). Set only. */
  SCTP_RESET_ASSOC: {
    value: number;
  };
  /** Adds streams (RFC 6525 section 6.3.4). Set only. */
  SCTP_ADD_STREAMS: {
    sas_assoc_id: number;
    sas_instrms: number;
    sas_outstrms: number;
  };
  /**
   * Order of streams: 0 first come, 1 priority, 2 round robin, 3 fair, 4
   * weighted (RFC 8260 section 4.3.2); 3 and 4 from Linux 6.4 on.
   */
  SCTP_STREAM_SCHEDULER: {
    assoc_id: number;
    assoc_value: number;
  };
  /** Priority or weight of a stream (RFC 8260 section 4.3.3). */
  SCTP_STREAM_SCHEDULER_VALUE: {
    assoc_id: number;
    stream_id: number;
    stream_value: number;
  };
  /** I-DATA (RFC 8260 section 4.3.1). Read only here. */
  SCTP_INTERLEAVING_SUPPORTED: {
    assoc_id: number;
    assoc_value: number;
  };
  /**
   * A subscription (RFC 6458 section 6.2.2). Those that the package needs
   * stay on.
   */
  SCTP_EVENT: {
    se_assoc_id: number;
    se_type: number;
    se_on: number;
  };
  /** Whether addresses may change (RFC 5061). Linux 5.4. */
  SCTP_ASCONF_SUPPORTED: {
    assoc_id: number;
    assoc_value: number;
  };
  /** Whether chunks may be authenticated (RFC 4895). Linux 5.4. */
  SCTP_AUTH_SUPPORTED: {
    assoc_id: number;
    assoc_value: number;
  };
  /** Explicit congestion notification. Linux 5.4. */
  SCTP_ECN_SUPPORTED: {
    assoc_id: number;
    assoc_value: number;
  };
  /**
   * 0 default, 1 hides, 2 shows SCTP_ADDR_POTENTIALLY_FAILED (RFC 7829
   * section 7.3). Linux 5.5.
   */
  SCTP_EXPOSE_POTENTIALLY_FAILED_STATE: {
    assoc_id: number;
    assoc_value: number;
  };
  /** UDP port of a path (RFC 6951 section 6.1). Linux 5.11. */
  SCTP_REMOTE_UDP_ENCAPS_PORT: {
    sue_assoc_id: number;
    sue_address: SocketAddress;
    sue_port: number;
  };
  /**
   * Interval of probes of the MTU, ms, 0 or from 5000 on (RFC 8899). Linux
   * 5.14.
   */
  SCTP_PLPMTUD_PROBE_INTERVAL: {
    spi_assoc_id: number;
    spi_address: SocketAddress;
    spi_interval: number;
  };
  /** Send buffer, bytes; Linux grants twice what is asked for. */
  SO_SNDBUF: {
    value: number;
  };
  /** Receive buffer, bytes; Linux grants twice what is asked for. */
  SO_RCVBUF: {
    value: number;
  };
  /** Whether sockets may share a port. It counts before the port is bound. */
  SO_REUSEPORT: {
    value: number;
  };
  /** The interface that is used, as bytes with a NUL at their end. */
  SO_BINDTODEVICE: {
    value: Uint8Array;
  };
  /** Whether IPv4 is refused. Read only here. */
  IPV6_V6ONLY: {
    value: number;
  };
}

/* ------------------------------------------------------------ Notifications */

interface NotificationOf<T extends string, P> {
  type: T;
  /** The bytes that the kernel gave. */
  raw: Buffer;
  /**
   * Its fields, named as in RFC 6458 and RFC 6525, numbers in host byte order.
   */
  parsed: P;
  /** The notification as a text for a log. */
  interpreted: string;
}

/** A notification about an association (RFC 6458 section 6.1). */
export type Notification =
  | NotificationOf<
      'SCTP_ASSOC_CHANGE',
      {
        sac_type: number;
        sac_flags: number;
        sac_length: number;
        /** `constants.SCTP_COMM_UP` and so on. */
        sac_state: number;
        /** Cause code of the peer's ABORT, or 0. */
        sac_error: number;
        sac_outbound_streams: number;
        sac_inbound_streams: number;
        sac_assoc_id: number;
        sac_info: Buffer;
      }
    >
  | NotificationOf<
      'SCTP_PEER_ADDR_CHANGE',
      {
        spc_type: number;
        spc_flags: number;
        spc_length: number;
        spc_aaddr: AddressInfo;
        /** `constants.SCTP_ADDR_AVAILABLE` and so on. */
        spc_state: number;
        spc_error: number;
        spc_assoc_id: number;
      }
    >
  | NotificationOf<
      'SCTP_REMOTE_ERROR',
      {
        sre_type: number;
        sre_flags: number;
        sre_length: number;
        sre_error: number;
        sre_assoc_id: number;
        sre_data: Buffer;
      }
    >
  | NotificationOf<
      'SCTP_SEND_FAILED',
      {
        ssf_type: number;
        ssf_flags: number;
        ssf_length: number;
        ssf_error: number;
        ssf_info: {
          sinfo_stream: number;
          sinfo_ssn: number;
          sinfo_flags: number;
          sinfo_ppid: number;
          sinfo_context: number;
          sinfo_timetolive: number;
          sinfo_tsn: number;
          sinfo_cumtsn: number;
          sinfo_assoc_id: number;
        };
        ssf_assoc_id: number;
        ssf_data: Buffer;
      }
    >
  | NotificationOf<
      'SCTP_SEND_FAILED_EVENT',
      {
        ssfe_type: number;
        /** `constants.SCTP_DATA_UNSENT` or `SCTP_DATA_SENT`. */
        ssfe_flags: number;
        ssfe_length: number;
        ssfe_error: number;
        ssfe_info: {
          snd_sid: number;
          /** The flags of the DATA chunk. */
          snd_flags: number;
          snd_ppid: number;
          snd_context: number;
          snd_assoc_id: number;
        };
        ssfe_assoc_id: number;
        /** The data of one chunk; a long message has several. */
        ssfe_data: Buffer;
      }
    >
  | NotificationOf<
      'SCTP_SHUTDOWN_EVENT',
      {
        sse_type: number;
        sse_flags: number;
        sse_length: number;
        sse_assoc_id: number;
      }
    >
  | NotificationOf<
      'SCTP_ADAPTATION_INDICATION',
      {
        sai_type: number;
        sai_flags: number;
        sai_length: number;
        sai_adaptation_ind: number;
        sai_assoc_id: number;
      }
    >
  | NotificationOf<
      'SCTP_PARTIAL_DELIVERY_EVENT',
      {
        pdapi_type: number;
        pdapi_flags: number;
        pdapi_length: number;
        pdapi_indication: number;
        pdapi_assoc_id: number;
        pdapi_stream: number;
        pdapi_seq: number;
      }
    >
  | NotificationOf<
      'SCTP_AUTHENTICATION_EVENT',
      {
        auth_type: number;
        auth_flags: number;
        auth_length: number;
        auth_keynumber: number;
        auth_altkeynumber: number;
        /** `constants.SCTP_AUTH_NEW_KEY` and so on. */
        auth_indication: number;
        auth_assoc_id: number;
      }
    >
  | NotificationOf<
      'SCTP_SENDER_DRY_EVENT',
      {
        sender_dry_type: number;
        sender_dry_flags: number;
        sender_dry_length: number;
        sender_dry_assoc_id: number;
      }
    >
  | NotificationOf<
      'SCTP_STREAM_RESET_EVENT',
      {
        strreset_type: number;
        /** Bits `constants.SCTP_STREAM_RESET_…`. */
        strreset_flags: number;
        strreset_length: number;
        strreset_assoc_id: number;
        strreset_stream_list: number[];
      }
    >
  | NotificationOf<
      'SCTP_ASSOC_RESET_EVENT',
      {
        assocreset_type: number;
        assocreset_flags: number;
        assocreset_length: number;
        assocreset_assoc_id: number;
        assocreset_local_tsn: number;
        assocreset_remote_tsn: number;
      }
    >
  | NotificationOf<
      'SCTP_STREAM_CHANGE_EVENT',
      {
        strchange_type: number;
        strchange_flags: number;
        strchange_length: number;
        strchange_assoc_id: number;
        strchange_instrms: number;
        strchange_outstrms: number;
      }
    >;

/** The result of {@link isSupported}. */
export type Support =
  | { supported: true; reason: null; hint: null }
  | { supported: false; reason: string; hint: string };

/**
 * Tells whether SCTP can be used here, and if not, why and what helps: another
 * platform, CPU or runtime, no binary, a kernel without SCTP, a module that is
 * not installed, blocked or not loaded, a container, a seccomp filter. Both are
 * sentences for people. An error of `open()`, `connect()` and `listen()` says the
 * same.
 *
 * The function never throws. It makes a socket and closes it, which lets Linux
 * load its module if that is allowed.
 */
export function isSupported(): Support;

/**
 * The kernel's numbers, by the names of RFC 6458 and linux/sctp.h. They exist on
 * each platform.
 */
export const constants: Readonly<
  Record<
    | Notification['type']
    | 'SCTP_COMM_UP'
    | 'SCTP_COMM_LOST'
    | 'SCTP_RESTART'
    | 'SCTP_SHUTDOWN_COMP'
    | 'SCTP_CANT_STR_ASSOC'
    | 'SCTP_ADDR_AVAILABLE'
    | 'SCTP_ADDR_UNREACHABLE'
    | 'SCTP_ADDR_REMOVED'
    | 'SCTP_ADDR_ADDED'
    | 'SCTP_ADDR_MADE_PRIM'
    | 'SCTP_ADDR_CONFIRMED'
    | 'SCTP_ADDR_POTENTIALLY_FAILED'
    | 'SCTP_DATA_UNSENT'
    | 'SCTP_DATA_SENT'
    | 'SCTP_PARTIAL_DELIVERY_ABORTED'
    | 'SCTP_AUTH_NEW_KEY'
    | 'SCTP_AUTH_FREE_KEY'
    | 'SCTP_AUTH_NO_AUTH'
    | 'SCTP_STREAM_RESET_INCOMING_SSN'
    | 'SCTP_STREAM_RESET_OUTGOING_SSN'
    | 'SCTP_STREAM_RESET_DENIED'
    | 'SCTP_STREAM_RESET_FAILED'
    | 'SCTP_INACTIVE'
    | 'SCTP_PF'
    | 'SCTP_ACTIVE'
    | 'SCTP_UNCONFIRMED'
    | 'SCTP_EMPTY'
    | 'SCTP_CLOSED'
    | 'SCTP_COOKIE_WAIT'
    | 'SCTP_COOKIE_ECHOED'
    | 'SCTP_ESTABLISHED'
    | 'SCTP_SHUTDOWN_PENDING'
    | 'SCTP_SHUTDOWN_SENT'
    | 'SCTP_SHUTDOWN_RECEIVED'
    | 'SCTP_SHUTDOWN_ACK_SENT',
    number
  >
>;
