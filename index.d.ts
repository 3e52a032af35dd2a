/// <reference types="node" />

/**
 * What `onRecv` is called with: a whole message and who sent it, or, on
 * failure, a text. `typeof result === 'string'` tells them apart.
 *
 * - `data`: the message, in memory of its own.
 * - `host`: the sender's IP address. IPv4 is always in dotted form, also on a
 *   dual-stack endpoint; a link-local address carries its interface
 *   (`fe80::1%eth0`), except, on an endpoint bound to `'::'`, that of a sender
 *   which had closed before its message was read. A multihomed peer keeps one address here for as long as
 *   its association lasts: the first it sent from or was sent to.
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

/** A one-to-many SCTP endpoint, made by {@link open} (RFC 6458 section 3). */
export interface Endpoint {
  /**
   * Sends one message: unordered (SCTP_UNORDERED, RFC 6458 section 5.3.4),
   * reliable for 30 seconds. What could not be delivered by then is dropped
   * (timed reliability, RFC 3758). The first message to a peer opens the
   * association.
   *
   * The kernel copies the message before this returns. It is accepted whole or
   * not at all.
   *
   * @param buffer 1 byte to what the kernel grants as SO_SNDBUF: twice
   *   `net.core.wmem_max`, 8 MiB at the most, 416 KiB by default. Any view of
   *   bytes will do.
   * @param host IP address of one host. It must be of the family that the
   *   endpoint is bound to, or of either where that is `'::'`; a link-local
   *   address needs its interface.
   * @param port 1 to 65535.
   * @returns the number of bytes sent, which is the message's length.
   * @throws `TypeError` `ERR_INVALID_ARG_TYPE`, also where `host` is not an IP
   *   address.
   * @throws `RangeError` `ERR_OUT_OF_RANGE`, also for an empty buffer and for
   *   an unspecified, multicast or broadcast address.
   * @throws `Error` `ERR_SOCKET_CLOSED` after {@link Endpoint.close}.
   * @throws {@link NodeJS.ErrnoException} with `code`, `errno`, `syscall`
   *   (`'send'`), `address` and `port`. Nothing was sent, then. Among them:
   *   - `EAGAIN`: the send buffer, which all peers share, is full. Go on in
   *     {@link Endpoint.onDrain}.
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
   * Called once when sending can work again after `send` threw `EAGAIN`. Set it
   * to a function. An exception in it is an `uncaughtException`.
   *
   * @defaultValue `null`
   */
  onDrain: (() => void) | null;

  /**
   * Stops receiving and closes. No callback runs any more; calling it again
   * does nothing.
   *
   * What `send` has accepted is still delivered, in the background, which keeps
   * the process alive for at most 5 seconds. `process.exit()`, the end of a
   * worker and the garbage collector do not wait for it. Peers see a graceful
   * shutdown (RFC 6458 section 3.1.4); the port can be bound again at once.
   */
  close(): void;

  /** The same as {@link Endpoint.close}. */
  [Symbol.dispose](): void;

  /**
   * Where the endpoint is bound, with the port that the kernel chose if 0 was
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
 * (8.1.3), SCTP_RECVRCVINFO (8.1.29), SCTP_FRAGMENT_INTERLEAVE 1 (8.1.20),
 * SO_SNDBUF and SO_RCVBUF of 4 MiB as far as the kernel grants it, and, for an
 * IPv6 address, dual-stack.
 *
 * An open endpoint keeps the process running, see {@link Endpoint.unref}.
 *
 * @param bindHost IP address to bind to: `'0.0.0.0'` for all IPv4 interfaces,
 *   `'::'` for all of both families.
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
  bindHost: string,
  bindPort: number,
  recvMaxlen: number,
  onRecv: (result: RecvResult) => void,
): Endpoint;
