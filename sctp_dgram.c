/*
 * SCTP for Node.js: kernel sockets of Linux through Node-API.
 *
 * open() gives a one-to-many endpoint (RFC 6458 section 3): one socket that
 * exchanges messages with any number of peers. The file has three layers, each
 * of which calls only what stands above it: plain C (errors, addresses, system
 * calls), the socket's life and its messages (handle, peers, receive, send),
 * and what JavaScript sees (methods, open, init). Upwards a handle calls
 * through its kind only.
 *
 * Words: an association is the kernel's connection to one peer. A message is
 * what one send() hands over and one onRecv() delivers. A notification is a
 * message from the kernel about an association. A partial delivery is a
 * message that the kernel hands over in pieces; the last one has MSG_EOR.
 *
 * Lifetime and ownership:
 *
 * 1. A handle is allocated by open() and freed, once, when its libuv handles
 *    have reported that they are closed and its JavaScript object has been
 *    finalized, in whichever order.
 * 2. Until the close callback has run the environment's list owns it. While it
 *    is open and referenced, a strong reference keeps its JavaScript object
 *    alive; unref() makes that reference weak, and the finalizer of a dropped
 *    object then closes a socket that is still open.
 * 3. sd_handle_close() is the only place that calls uv_close() and, in the same
 *    tick and after it, close(fd). It may be called at any time, any number of
 *    times, also inside a callback of the handle.
 * 4. JavaScript that we call may close the handle. After each such call the
 *    state is read again before fd, event mask or peers are touched. The
 *    memory itself stays valid: libuv runs no close callback inside ours.
 * 5. close() of an endpoint first flushes: in SD_FLUSHING no JavaScript is
 *    called any more, and the socket lives on until its peers have everything.
 *    Peers are removed while messages are read and at the end, and a flush,
 *    which reads too, does not start while a drain is running: so a drain may
 *    use its peer after a call into JavaScript.
 * 6. One asynchronous cleanup hook per environment closes all handles and is
 *    removed by the last close callback. From then on, and when a call into
 *    JavaScript fails because the thread is being terminated, none is made.
 * 7. State per environment is its instance data; nothing static is written to.
 *    A handle is used by its environment's thread only.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <math.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <node_api.h>
#include <uv.h>

/* Messages (and notifications) taken from a socket before timers and other
 * sockets get their turn. */
#define SD_DRAIN 64

/* The same where messages are thrown away, without a call into JavaScript. */
#define SD_DISCARD 1024

/* Where recvmsg() writes. Longer messages are assembled from pieces; Linux
 * grants a socket about this much by default, so that is rare. */
#define SD_SLAB (256 * 1024)

#define SD_RECV_MAX (16 * 1024 * 1024)

/* Memory for the half-arrived messages of all peers of one endpoint, so that
 * peers which never finish theirs cannot exhaust it. */
#define SD_ASSEMBLY_TOTAL (4 * SD_RECV_MAX)

/* With the defaults of Linux, 64 KiB messages stall for the delayed SACK again
 * and again; the kernel cuts this to what net.core.*mem_max allows. */
#define SD_BUFFER (4 * 1024 * 1024)

/* Of the table of peers, at first; a power of two. */
#define SD_PEER_SLOTS 8

#define SD_TTL_MS 30000
#define SD_FLUSH_MS 5000

/* How long to wait where poll() says "ready" while the call says "no memory":
 * asking again at once would spin. */
#define SD_BACKOFF_MS 10

/* An IPv6 address, '%' and the name of its interface. */
#define SD_HOST_MAX (INET6_ADDRSTRLEN + 1 + IF_NAMESIZE)

union sd_addr {
  struct sockaddr sa;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

/* One per N-API environment (main thread, worker, reload). */
struct sd_env {
  napi_env env;
  uv_loop_t *loop;
  napi_ref endpoint_class;
  napi_ref storage_class; /* AsyncLocalStorage, where a handle needs it */
  napi_async_cleanup_hook_handle hook;
  struct sd_handle *handles;        /* not yet closed, newest first */
  struct sd_endpoint *constructing; /* what the class is to wrap, or NULL */
  bool exiting;                     /* call no JavaScript any more */
  _Alignas(max_align_t) char slab[SD_SLAB]; /* where recvmsg() writes */
};

enum sd_state {
  SD_OPEN,
  SD_FLUSHING, /* closed for JavaScript, the socket still sends */
  SD_CLOSING,  /* uv_close() called, fd closed */
  SD_CLOSED    /* close callbacks have run */
};

struct sd_handle;

/* What differs between handles. */
struct sd_kind {
  void (*on_ready)(struct sd_handle *handle, int events); /* 0: an error */
  void (*on_timer)(struct sd_handle *handle);
  void (*release)(struct sd_handle *handle); /* what it owns, not itself */
};

/* What every open socket has. */
struct sd_handle {
  const struct sd_kind *kind;
  struct sd_env *owner;
  struct sd_handle *next;
  struct sd_handle **link; /* what points to this one in the owner's list */
  enum sd_state state;
  bool collected; /* no JavaScript object, or finalized */
  bool unrefed;   /* self is weak, the loop may end */
  int fd;
  int armed;      /* event mask given to uv_poll_start() */
  int uv_handles; /* of poll and timer, those not yet closed */
  uv_poll_t poll;
  uv_timer_t timer; /* back-off while open, deadline while flushing */
  napi_ref self;    /* the JavaScript object */
  napi_async_context context;
  napi_ref run; /* weak, or NULL: calls a function in the context of open() */
};

/* One per association of an endpoint. */
struct sd_peer {
  struct sd_peer *next; /* in the same slot of the table */
  sctp_assoc_t id;
  bool gone;     /* the association had ended when this was made */
  bool skipping; /* the current message is too long, drop its pieces */
  char host[SD_HOST_MAX];
  uint16_t port;
  char *partial; /* the pieces of the current message so far */
  size_t length;
  size_t capacity;
};

/* One per open(). */
struct sd_endpoint {
  struct sd_handle handle; /* first, so that one is cast to the other */
  napi_ref on_recv;        /* weak: a property of self keeps it alive */
  size_t recv_max;
  union sd_addr local;
  bool receiving;         /* a drain is running, below us on the stack */
  bool blocked;           /* send() met EAGAIN, onDrain is due */
  bool in_vain;           /* no send() has worked since the last onDrain */
  struct sd_peer **peers; /* hash table over the association id */
  size_t slots;           /* a power of two */
  size_t peer_count;
  struct sd_peer *spare; /* memory for the next new peer */
  size_t assembling;     /* capacity of all partial messages */
};

/* What recvmsg() tells beside the data. */
struct sd_received {
  union sd_addr from;
  struct sctp_rcvinfo info;
  int flags;
};

/* ---------------------------------------------------------------- Errors */

static void sd_throw_status(napi_env env) {
  bool pending = true;
  napi_is_exception_pending(env, &pending);
  if (!pending)
    napi_throw_error(env, NULL, "Node-API call failed");
}

/* For functions that return a value to JavaScript; NULL: an exception. */
#define SD_CHECK(env, call)                                                    \
  do {                                                                         \
    if ((call) != napi_ok) {                                                   \
      sd_throw_status(env);                                                    \
      return NULL;                                                             \
    }                                                                          \
  } while (0)

static bool sd_set_int(napi_env env, napi_value object, const char *name,
                       int value) {
  napi_value number;
  return napi_create_int32(env, value, &number) == napi_ok &&
         napi_set_named_property(env, object, name, number) == napi_ok;
}

static bool sd_set_string(napi_env env, napi_value object, const char *name,
                          const char *value) {
  napi_value string;
  return napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &string) ==
             napi_ok &&
         napi_set_named_property(env, object, name, string) == napi_ok;
}

static const char *sd_hint(int error) {
  switch (error) {
  case -EPROTONOSUPPORT:
  case -ESOCKTNOSUPPORT:
    return ": this kernel has no SCTP. Load it with 'modprobe sctp'; on RHEL "
           "and Fedora install kernel-modules-extra and remove sctp from the "
           "blacklist in /etc/modprobe.d first; in a container load it on the "
           "host";
  default:
    return "";
  }
}

/* Throws what Node throws for a failed system call: code, errno, syscall, and
 * address and port where `host` is given. */
static void sd_throw_system(napi_env env, const char *syscall, int error,
                            const char *host, int port) {
  char code[64], message[512];
  napi_value text, name, object;
  uv_err_name_r(error, code, sizeof code);
  if (host)
    snprintf(message, sizeof message, "%s %s %s:%d%s", syscall, code, host,
             port, sd_hint(error));
  else
    snprintf(message, sizeof message, "%s %s%s", syscall, code, sd_hint(error));
  if (napi_create_string_utf8(env, code, NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &text) ==
          napi_ok &&
      napi_create_error(env, name, text, &object) == napi_ok &&
      sd_set_int(env, object, "errno", error) &&
      sd_set_string(env, object, "syscall", syscall) &&
      (!host || (sd_set_string(env, object, "address", host) &&
                 sd_set_int(env, object, "port", port))))
    napi_throw(env, object);
  else
    sd_throw_status(env);
}

static const char *sd_type_name(napi_env env, napi_value value) {
  static const char *const names[] = {
      [napi_undefined] = "undefined",  [napi_null] = "null",
      [napi_boolean] = "type boolean", [napi_number] = "type number",
      [napi_string] = "type string",   [napi_symbol] = "type symbol",
      [napi_object] = "an object",     [napi_function] = "a function",
      [napi_external] = "an external", [napi_bigint] = "type bigint",
  };
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok)
    return "something else";
  return names[type];
}

static void sd_throw_type(napi_env env, const char *argument,
                          const char *expected, napi_value value) {
  char message[256];
  snprintf(message, sizeof message,
           "The \"%s\" argument must be %s. Received %s", argument, expected,
           sd_type_name(env, value));
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
}

static void sd_throw_range(napi_env env, const char *argument,
                           const char *expected, const char *received) {
  char message[256];
  snprintf(message, sizeof message,
           "The value of \"%s\" is out of range. It must be %s. Received %s",
           argument, expected, received);
  napi_throw_range_error(env, "ERR_OUT_OF_RANGE", message);
}

/* ------------------------------------------------------------- Addresses */

static socklen_t sd_addr_length(const union sd_addr *addr) {
  return addr->sa.sa_family == AF_INET6 ? sizeof addr->v6 : sizeof addr->v4;
}

static int sd_addr_port(const union sd_addr *addr) {
  return ntohs(addr->sa.sa_family == AF_INET6 ? addr->v6.sin6_port
                                              : addr->v4.sin_port);
}

/* An IPv4-mapped address becomes the IPv4 address that it stands for, so that
 * one peer has one name on every socket. */
static void sd_addr_unmap(union sd_addr *addr) {
  struct sockaddr_in v4 = {.sin_family = AF_INET};
  if (addr->sa.sa_family != AF_INET6 ||
      !IN6_IS_ADDR_V4MAPPED(&addr->v6.sin6_addr))
    return;
  v4.sin_port = addr->v6.sin6_port;
  memcpy(&v4.sin_addr, &addr->v6.sin6_addr.s6_addr[12], sizeof v4.sin_addr);
  addr->v4 = v4;
}

/* Interface name or number to scope id, 0 if there is no such interface. */
static uint32_t sd_scope_parse(const char *text) {
  char *end;
  unsigned long number = strtoul(text, &end, 10);
  if (*text >= '0' && *text <= '9' && *end == '\0' && number <= UINT32_MAX)
    return (uint32_t)number;
  return if_nametoindex(text);
}

/* Returns 0, -EINVAL (not an IP address) or -ENODEV (unknown interface). */
static int sd_addr_parse(const char *host, int port, union sd_addr *addr) {
  char text[SD_HOST_MAX];
  char *scope;
  memset(addr, 0, sizeof *addr);
  if (inet_pton(AF_INET, host, &addr->v4.sin_addr) == 1) {
    addr->v4.sin_family = AF_INET;
    addr->v4.sin_port = htons((uint16_t)port);
    return 0;
  }
  snprintf(text, sizeof text, "%s", host);
  scope = strchr(text, '%');
  if (scope)
    *scope++ = '\0';
  if (inet_pton(AF_INET6, text, &addr->v6.sin6_addr) != 1)
    return -EINVAL;
  addr->v6.sin6_family = AF_INET6;
  addr->v6.sin6_port = htons((uint16_t)port);
  if (scope && *scope == '\0')
    return -EINVAL;
  if (scope) {
    addr->v6.sin6_scope_id = sd_scope_parse(scope);
    if (addr->v6.sin6_scope_id == 0)
      return -ENODEV;
  }
  sd_addr_unmap(addr);
  return 0;
}

static void sd_addr_format(const union sd_addr *addr, char host[SD_HOST_MAX]) {
  char interface[IF_NAMESIZE];
  size_t length;
  if (addr->sa.sa_family == AF_INET) {
    inet_ntop(AF_INET, &addr->v4.sin_addr, host, SD_HOST_MAX);
    return;
  }
  inet_ntop(AF_INET6, &addr->v6.sin6_addr, host, SD_HOST_MAX);
  if (!IN6_IS_ADDR_LINKLOCAL(&addr->v6.sin6_addr) ||
      addr->v6.sin6_scope_id == 0)
    return;
  length = strlen(host);
  if (if_indextoname(addr->v6.sin6_scope_id, interface))
    snprintf(host + length, SD_HOST_MAX - length, "%%%s", interface);
  else
    snprintf(host + length, SD_HOST_MAX - length, "%%%u",
             addr->v6.sin6_scope_id);
}

/* NULL if messages can be sent there, else what the address should be. Linux
 * accepts some of these and then never says that nothing arrived. */
static const char *sd_addr_unsendable(const union sd_addr *addr) {
  static const char *const unicast = "the address of one host";
  const struct in6_addr *v6 = &addr->v6.sin6_addr;
  if (addr->sa.sa_family == AF_INET) {
    uint32_t v4 = ntohl(addr->v4.sin_addr.s_addr);
    return v4 == INADDR_ANY || v4 == INADDR_BROADCAST || IN_MULTICAST(v4)
               ? unicast
               : NULL;
  }
  if (IN6_IS_ADDR_UNSPECIFIED(v6) || IN6_IS_ADDR_MULTICAST(v6))
    return unicast;
  if (IN6_IS_ADDR_LINKLOCAL(v6) && addr->v6.sin6_scope_id == 0)
    return "followed by its interface, as in fe80::1%eth0";
  return NULL;
}

/* Whether a socket bound to `local` has an address of the family of `addr`.
 * Linux takes messages for the other family, too, and loses them. */
static bool sd_addr_reaches(const union sd_addr *local,
                            const union sd_addr *addr) {
  return local->sa.sa_family == addr->sa.sa_family ||
         (local->sa.sa_family == AF_INET6 &&
          IN6_IS_ADDR_UNSPECIFIED(&local->v6.sin6_addr));
}

/* ---------------------------------------------------------- System calls */
/* Each returns what the call returns, or -errno. */

static int sd_sys_socket(int family, int type) {
  int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_SCTP);
  return fd < 0 ? -errno : fd;
}

static int sd_sys_setsockopt(int fd, int level, int name, const void *value,
                             socklen_t length) {
  return setsockopt(fd, level, name, value, length) < 0 ? -errno : 0;
}

static int sd_sys_getsockopt(int fd, int level, int name, void *value,
                             socklen_t *length) {
  return getsockopt(fd, level, name, value, length) < 0 ? -errno : 0;
}

static int sd_sys_bind(int fd, const union sd_addr *addr) {
  return bind(fd, &addr->sa, sd_addr_length(addr)) < 0 ? -errno : 0;
}

static int sd_sys_listen(int fd, int backlog) {
  return listen(fd, backlog) < 0 ? -errno : 0;
}

static int sd_sys_getsockname(int fd, union sd_addr *addr) {
  socklen_t length = sizeof *addr;
  return getsockname(fd, &addr->sa, &length) < 0 ? -errno : 0;
}

/* One message or piece of it, with RFC 6458 section 5.3.5 SCTP_RCVINFO. */
static ssize_t sd_sys_recv(int fd, char *data, size_t size,
                           struct sd_received *received) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof received->info)];
  } control;
  struct iovec iov = {.iov_base = data, .iov_len = size};
  struct msghdr message = {.msg_name = &received->from,
                           .msg_namelen = sizeof received->from,
                           .msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof control};
  struct cmsghdr *cmsg;
  ssize_t n;
  memset(received, 0, sizeof *received);
  do {
    n = recvmsg(fd, &message, 0);
  } while (n < 0 && errno == EINTR);
  if (n < 0)
    return -errno;
  received->flags = message.msg_flags;
  cmsg = CMSG_FIRSTHDR(&message);
  if (cmsg && cmsg->cmsg_level == IPPROTO_SCTP &&
      cmsg->cmsg_type == SCTP_RCVINFO)
    memcpy(&received->info, CMSG_DATA(cmsg), sizeof received->info);
  return n;
}

/* The TTL is not given here but as the socket's default: as a PR-SCTP policy
 * of the message it would make Linux drop whatever is sent before the
 * handshake with a new peer ends. */
static ssize_t sd_sys_send(int fd, void *data, size_t size,
                           union sd_addr *addr) {
  struct sctp_sndinfo info = {.snd_flags = SCTP_UNORDERED};
  struct iovec iov = {.iov_base = data, .iov_len = size};
  int n;
  do {
    n = sctp_sendv(fd, &iov, 1, &addr->sa, 1, &info, sizeof info,
                   SCTP_SENDV_SNDINFO, 0);
  } while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n;
}

/* ----------------------------------------------------------------- Peers */

static struct sd_peer **sd_peer_slot(struct sd_endpoint *endpoint,
                                     sctp_assoc_t id) {
  struct sd_peer **link =
      &endpoint->peers[(uint32_t)id & (endpoint->slots - 1)];
  while (*link && (*link)->id != id)
    link = &(*link)->next;
  return link;
}

static struct sd_peer *sd_peer_find(struct sd_endpoint *endpoint,
                                    sctp_assoc_t id) {
  return *sd_peer_slot(endpoint, id);
}

/* Keeps the chains short: the kernel hands out ids in sequence, so a table as
 * large as the number of peers has about one peer in each slot. Without memory
 * for a larger table, the chains of the old one just get longer. */
static void sd_peers_grow(struct sd_endpoint *endpoint) {
  size_t old_slots = endpoint->slots, i;
  struct sd_peer **old = endpoint->peers, **slots, *peer, *next;
  if (endpoint->peer_count < old_slots)
    return;
  slots = calloc(old_slots * 2, sizeof *slots);
  if (!slots)
    return;
  endpoint->peers = slots;
  endpoint->slots = old_slots * 2;
  for (i = 0; i < old_slots; i++)
    for (peer = old[i]; peer; peer = next) {
      next = peer->next;
      peer->next = NULL;
      *sd_peer_slot(endpoint, peer->id) = peer;
    }
  free(old);
}

/* Makes sure that there is memory for one more peer. Nothing is read from the
 * socket without it, so that no piece of a message goes unaccounted for. */
static bool sd_peers_reserve(struct sd_endpoint *endpoint) {
  if (!endpoint->spare)
    endpoint->spare = calloc(1, sizeof *endpoint->spare);
  return endpoint->spare != NULL;
}

/* What the peer is called from now on, whichever of its addresses a packet
 * comes from: its primary address, which is the one that we first sent to or
 * that it first sent from. `from` serves where the association is gone
 * already. The kernel leaves the value of another field in its scope id, so
 * the scope of our own address is taken. */
static bool sd_peer_name(struct sd_endpoint *endpoint, struct sd_peer *peer,
                         const union sd_addr *from) {
  struct sctp_status status = {.sstat_assoc_id = peer->id};
  socklen_t length = sizeof status;
  union sd_addr addr;
  if (sd_sys_getsockopt(endpoint->handle.fd, IPPROTO_SCTP, SCTP_STATUS, &status,
                        &length) == 0) {
    memcpy(&addr, &status.sstat_primary.spinfo_address, sizeof addr);
  } else if (!from) {
    return false;
  } else {
    peer->gone = true;
    addr = *from;
    if (addr.sa.sa_family == AF_INET6)
      addr.v6.sin6_scope_id = endpoint->local.v6.sin6_scope_id;
  }
  sd_addr_unmap(&addr);
  sd_addr_format(&addr, peer->host);
  peer->port = (uint16_t)sd_addr_port(&addr);
  return true;
}

/* The peer of an association, made of the spare one when it is first met.
 * NULL: the association is gone and there is no `from`. */
static struct sd_peer *sd_peer_get(struct sd_endpoint *endpoint,
                                   sctp_assoc_t id, const union sd_addr *from) {
  struct sd_peer *peer = sd_peer_find(endpoint, id);
  if (peer)
    return peer;
  endpoint->spare->id = id;
  if (!sd_peer_name(endpoint, endpoint->spare, from))
    return NULL;
  sd_peers_grow(endpoint);
  peer = endpoint->spare;
  endpoint->spare = NULL;
  *sd_peer_slot(endpoint, id) = peer;
  endpoint->peer_count++;
  return peer;
}

/* Forgets the pieces of a message of which no more will come. */
static void sd_peer_drop_partial(struct sd_endpoint *endpoint,
                                 struct sd_peer *peer) {
  endpoint->assembling -= peer->capacity;
  free(peer->partial);
  peer->partial = NULL;
  peer->length = peer->capacity = 0;
}

static void sd_peer_remove(struct sd_endpoint *endpoint, struct sd_peer *peer) {
  *sd_peer_slot(endpoint, peer->id) = peer->next;
  endpoint->peer_count--;
  sd_peer_drop_partial(endpoint, peer);
  free(peer);
}

static void sd_peers_free(struct sd_endpoint *endpoint) {
  size_t i;
  for (i = 0; i < endpoint->slots; i++)
    while (endpoint->peers[i])
      sd_peer_remove(endpoint, endpoint->peers[i]);
  free(endpoint->peers);
  free(endpoint->spare);
}

/* Appends a piece of the current message. Returns 0, or why the message cannot
 * be assembled: -EMSGSIZE or -ENOBUFS. */
static int sd_peer_append(struct sd_endpoint *endpoint, struct sd_peer *peer,
                          const char *data, size_t size) {
  size_t needed = peer->length + size, capacity = peer->capacity * 2;
  char *grown;
  if (needed > endpoint->recv_max)
    return -EMSGSIZE;
  if (needed > peer->capacity) {
    if (capacity > endpoint->recv_max)
      capacity = endpoint->recv_max;
    if (capacity < needed)
      capacity = needed;
    if (endpoint->assembling + capacity - peer->capacity > SD_ASSEMBLY_TOTAL)
      return -ENOBUFS;
    grown = realloc(peer->partial, capacity);
    if (!grown)
      return -ENOBUFS;
    endpoint->assembling += capacity - peer->capacity;
    peer->partial = grown;
    peer->capacity = capacity;
  }
  memcpy(peer->partial + peer->length, data, size);
  peer->length = needed;
  return 0;
}

/* ------------------------------------------------------- Handle lifetime */

static void sd_handle_maybe_free(struct sd_handle *handle) {
  if (handle->state == SD_CLOSED && handle->collected)
    free(handle);
}

static void sd_env_maybe_done(struct sd_env *owner) {
  if (!owner->exiting || owner->handles || !owner->hook)
    return;
  napi_remove_async_cleanup_hook(owner->hook);
  owner->hook = NULL;
}

static void sd_on_handle_closed(struct sd_handle *handle) {
  struct sd_env *owner = handle->owner;
  if (--handle->uv_handles > 0)
    return;
  handle->kind->release(handle);
  if (handle->context)
    napi_async_destroy(owner->env, handle->context);
  if (handle->self)
    napi_delete_reference(owner->env, handle->self);
  if (handle->run)
    napi_delete_reference(owner->env, handle->run);
  *handle->link = handle->next;
  if (handle->next)
    handle->next->link = handle->link;
  handle->state = SD_CLOSED;
  sd_handle_maybe_free(handle);
  sd_env_maybe_done(owner);
}

static void sd_on_poll_closed(uv_handle_t *poll) {
  sd_on_handle_closed(poll->data);
}

static void sd_on_timer_closed(uv_handle_t *timer) {
  sd_on_handle_closed(timer->data);
}

static void sd_handle_close(struct sd_handle *handle) {
  if (handle->state >= SD_CLOSING)
    return;
  handle->state = SD_CLOSING;
  uv_close((uv_handle_t *)&handle->poll, sd_on_poll_closed);
  uv_close((uv_handle_t *)&handle->timer, sd_on_timer_closed);
  close(handle->fd);
}

/* Takes over `fd`, which is closed if this fails. */
static int sd_handle_init(struct sd_handle *handle, const struct sd_kind *kind,
                          struct sd_env *owner, int fd) {
  int error = uv_poll_init(owner->loop, &handle->poll, fd);
  if (error < 0) {
    close(fd);
    return error;
  }
  uv_timer_init(owner->loop, &handle->timer);
  handle->kind = kind;
  handle->owner = owner;
  handle->fd = fd;
  handle->uv_handles = 2;
  handle->collected = true;
  handle->poll.data = handle->timer.data = handle;
  handle->next = owner->handles;
  if (handle->next)
    handle->next->link = &handle->next;
  handle->link = &owner->handles;
  owner->handles = handle;
  return 0;
}

static void sd_on_collected(napi_env env, void *data, void *hint) {
  struct sd_handle *handle = data;
  (void)env;
  (void)hint;
  handle->collected = true;
  if (handle->state == SD_OPEN)
    sd_handle_close(handle);
  sd_handle_maybe_free(handle);
}

/* A property that nobody meets by accident. What a handle calls is held by its
 * object in this way, and weakly here: a strong reference would keep a handle
 * alive for ever that the function itself refers to. */
static bool sd_hide(napi_env env, napi_value object, const char *name,
                    napi_value value, napi_ref *weak) {
  napi_property_descriptor property = {.value = value};
  napi_value text;
  return napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &text) ==
             napi_ok &&
         napi_create_symbol(env, text, &property.name) == napi_ok &&
         napi_define_properties(env, object, 1, &property) == napi_ok &&
         napi_create_reference(env, value, 0, weak) == napi_ok;
}

/* Where the async context is more than the async id that Node-API restores,
 * keeps the present one. */
static bool sd_handle_keep_context(struct sd_handle *handle,
                                   napi_value object) {
  struct sd_env *owner = handle->owner;
  napi_env env = owner->env;
  napi_value class, snapshot, run;
  if (!owner->storage_class)
    return true;
  return napi_get_reference_value(env, owner->storage_class, &class) ==
             napi_ok &&
         napi_get_named_property(env, class, "snapshot", &snapshot) ==
             napi_ok &&
         napi_call_function(env, class, snapshot, 0, NULL, &run) == napi_ok &&
         sd_hide(env, object, "run", run, &handle->run);
}

/* Gives the handle its JavaScript object. If this fails, the caller closes
 * the handle. */
static bool sd_handle_wrap(struct sd_handle *handle, napi_value object) {
  napi_env env = handle->owner->env;
  /* Node 26 would keep the resource of a context from being collected. There
   * the context is in the snapshot, so the handle need not be the resource. */
  napi_value resource = handle->owner->storage_class ? NULL : object;
  napi_value name;
  if (napi_wrap(env, object, handle, sd_on_collected, NULL, NULL) != napi_ok)
    return false;
  handle->collected = false;
  return napi_create_reference(env, object, 1, &handle->self) == napi_ok &&
         napi_create_string_utf8(env, "SCTP", NAPI_AUTO_LENGTH, &name) ==
             napi_ok &&
         napi_async_init(env, resource, name, &handle->context) == napi_ok &&
         sd_handle_keep_context(handle, object);
}

static bool sd_handle_set_unrefed(struct sd_handle *handle, bool unrefed) {
  napi_env env = handle->owner->env;
  if (handle->state != SD_OPEN || handle->unrefed == unrefed)
    return true;
  handle->unrefed = unrefed;
  if (unrefed) {
    uv_unref((uv_handle_t *)&handle->poll);
    uv_unref((uv_handle_t *)&handle->timer);
    return napi_reference_unref(env, handle->self, NULL) == napi_ok;
  }
  uv_ref((uv_handle_t *)&handle->poll);
  uv_ref((uv_handle_t *)&handle->timer);
  return napi_reference_ref(env, handle->self, NULL) == napi_ok;
}

/* ------------------------------------------------------------------ Poll */

/* A status below 0 says that the socket has an error and that polling has
 * stopped. Which error it is, reading tells. */
static void sd_on_poll(uv_poll_t *poll, int status, int events) {
  struct sd_handle *handle = poll->data;
  if (status < 0)
    handle->armed = events = 0;
  handle->kind->on_ready(handle, events);
}

static void sd_on_timer(uv_timer_t *timer) {
  struct sd_handle *handle = timer->data;
  handle->kind->on_timer(handle);
}

/* uv_poll_start() costs system calls also where nothing changes. It fails only
 * for a descriptor that is polled elsewhere, and ours never leaves this file.
 */
static void sd_handle_arm(struct sd_handle *handle, int events) {
  if (handle->armed == events)
    return;
  handle->armed = events;
  if (events)
    uv_poll_start(&handle->poll, events, sd_on_poll);
  else
    uv_poll_stop(&handle->poll);
}

static void sd_handle_start_timer(struct sd_handle *handle, uint64_t ms) {
  /* The loop's clock stands still while JavaScript runs. */
  uv_update_time(handle->owner->loop);
  uv_timer_start(&handle->timer, sd_on_timer, ms, 0);
}

/* --------------------------------------------------------- Notifications */

/* The rest of a half-arrived message will never come. Without this, the next
 * message would look like its continuation. */
static void sd_on_message_aborted(struct sd_endpoint *endpoint,
                                  sctp_assoc_t id) {
  struct sd_peer *peer = sd_peer_find(endpoint, id);
  if (!peer)
    return;
  sd_peer_drop_partial(endpoint, peer);
  peer->skipping = false;
}

static void sd_on_assoc_change(struct sd_endpoint *endpoint,
                               const struct sctp_assoc_change *change) {
  struct sd_peer *peer;
  switch (change->sac_state) {
  case SCTP_COMM_UP:
    /* When its data is read, the association may be gone already. */
    sd_peer_get(endpoint, change->sac_assoc_id, NULL);
    break;
  case SCTP_RESTART:
    sd_on_message_aborted(endpoint, change->sac_assoc_id);
    break;
  default:
    peer = sd_peer_find(endpoint, change->sac_assoc_id);
    if (peer)
      sd_peer_remove(endpoint, peer);
  }
}

/* RFC 6458 section 6.1. `data` has the alignment of the slab. */
static void sd_on_notification(struct sd_endpoint *endpoint, const char *data,
                               size_t size) {
  const union sctp_notification *event = (const void *)data;
  if (size < sizeof event->sn_header)
    return;
  switch (event->sn_header.sn_type) {
  case SCTP_ASSOC_CHANGE:
    if (size >= sizeof event->sn_assoc_change)
      sd_on_assoc_change(endpoint, &event->sn_assoc_change);
    break;
  case SCTP_PARTIAL_DELIVERY_EVENT:
    if (size >= sizeof event->sn_pdapi_event)
      sd_on_message_aborted(endpoint, event->sn_pdapi_event.pdapi_assoc_id);
    break;
  }
}

/* ----------------------------------------------------------------- Flush */

/* Whether all peers together have acknowledged everything: the kernel charges
 * every DATA chunk to the socket until then, also during a handshake. */
static bool sd_endpoint_flushed(struct sd_endpoint *endpoint) {
  uint32_t memory[SK_MEMINFO_VARS] = {0};
  socklen_t length = sizeof memory;
  return sd_sys_getsockopt(endpoint->handle.fd, SOL_SOCKET, SO_MEMINFO, memory,
                           &length) < 0 ||
         memory[SK_MEMINFO_WMEM_QUEUED] == 0;
}

/* Throws away what was received: with unread data in the queue, the kernel
 * answers close() with an ABORT to every peer and drops what is unsent. True:
 * the queue is empty. */
static bool sd_endpoint_discard(struct sd_endpoint *endpoint) {
  struct sd_handle *handle = &endpoint->handle;
  struct sd_received received;
  ssize_t n = 0;
  int i;
  for (i = 0; i < SD_DISCARD && n >= 0; i++)
    n = sd_sys_recv(handle->fd, handle->owner->slab, SD_SLAB, &received);
  /* poll() would report again and again what cannot be read. */
  if (n < 0 && n != -EAGAIN)
    sd_handle_arm(handle, 0);
  return n == -EAGAIN;
}

static void sd_endpoint_flush_step(struct sd_endpoint *endpoint) {
  if (sd_endpoint_discard(endpoint) && sd_endpoint_flushed(endpoint))
    sd_handle_close(&endpoint->handle);
}

/* Starts the flush of a closed endpoint. The kernel goes on sending after
 * close(fd), but not to a peer whose handshake is not finished. SENDER_DRY (RFC
 * 6458 section 6.1.9) wakes us when a peer has everything. */
static void sd_endpoint_start_flush(struct sd_endpoint *endpoint) {
  struct sd_handle *handle = &endpoint->handle;
  struct sctp_event dry = {.se_assoc_id = SCTP_ALL_ASSOC,
                           .se_type = SCTP_SENDER_DRY_EVENT,
                           .se_on = 1};
  /* New peers are refused, and the port can be bound again. */
  sd_sys_listen(handle->fd, 0);
  sd_sys_setsockopt(handle->fd, IPPROTO_SCTP, SCTP_EVENT, &dry, sizeof dry);
  sd_handle_arm(handle, UV_READABLE);
  sd_endpoint_flush_step(endpoint);
  if (handle->state != SD_FLUSHING)
    return;
  uv_ref((uv_handle_t *)&handle->poll);
  uv_ref((uv_handle_t *)&handle->timer);
  sd_handle_start_timer(handle, SD_FLUSH_MS);
}

/* What close() does. Inside onRecv the drain still uses its peer, so there the
 * flush starts when the drain has ended. */
static void sd_endpoint_close(struct sd_endpoint *endpoint) {
  endpoint->handle.state = SD_FLUSHING;
  if (!endpoint->receiving)
    sd_endpoint_start_flush(endpoint);
}

/* --------------------------------------------------- Calls to JavaScript */

/* A batch of calls: nextTick and promise callbacks run once, at its end. */
struct sd_calls {
  napi_handle_scope handles;
  napi_callback_scope scope;
};

/* Reports what JavaScript threw as Node does for any callback. `status` is
 * what the failed call returned. */
static void sd_report(struct sd_env *owner, napi_status status) {
  napi_value error;
  bool pending = false;
  napi_is_exception_pending(owner->env, &pending);
  if (pending &&
      napi_get_and_clear_last_exception(owner->env, &error) == napi_ok)
    status = napi_fatal_exception(owner->env, error);
  /* "Pending exception" without one: the thread is being terminated. */
  if (status == napi_pending_exception)
    owner->exiting = true;
}

static bool sd_calls_begin(struct sd_handle *handle, struct sd_calls *calls) {
  napi_env env = handle->owner->env;
  napi_value self;
  if (handle->owner->exiting ||
      napi_open_handle_scope(env, &calls->handles) != napi_ok)
    return false;
  if (napi_get_reference_value(env, handle->self, &self) == napi_ok && self &&
      napi_open_callback_scope(env, self, handle->context, &calls->scope) ==
          napi_ok)
    return true;
  napi_close_handle_scope(env, calls->handles);
  return false;
}

static void sd_calls_end(struct sd_handle *handle, struct sd_calls *calls) {
  struct sd_env *owner = handle->owner;
  napi_status status = napi_close_callback_scope(owner->env, calls->scope);
  if (status != napi_ok)
    sd_report(owner, status);
  napi_close_handle_scope(owner->env, calls->handles);
}

/* Calls `function` within a batch, with one argument or, if that is NULL, with
 * none. False: end the batch, since the handle is not open any more, or since
 * an exception has cleared the async context. */
static bool sd_call(struct sd_handle *handle, napi_value function,
                    napi_value argument) {
  struct sd_env *owner = handle->owner;
  napi_env env = owner->env;
  napi_value self, argv[2] = {function, argument};
  size_t argc = argument ? 2 : 1;
  napi_status status;
  if (handle->state != SD_OPEN || owner->exiting)
    return false;
  status = napi_get_reference_value(env, handle->self, &self);
  if (status == napi_ok && handle->run)
    status = napi_get_reference_value(env, handle->run, &function);
  if (status == napi_ok && handle->run)
    status = napi_call_function(env, self, function, argc, argv, NULL);
  else if (status == napi_ok)
    status = napi_call_function(env, self, function, argc - 1, argv + 1, NULL);
  if (status != napi_ok)
    sd_report(owner, status);
  return status == napi_ok && handle->state == SD_OPEN && !owner->exiting;
}

/* --------------------------------------------------------------- Receive */
/* A result of false ends the drain. What is left then, polling reports. */

static bool sd_deliver(struct sd_endpoint *endpoint, napi_value result) {
  napi_value on_recv;
  if (napi_get_reference_value(endpoint->handle.owner->env, endpoint->on_recv,
                               &on_recv) != napi_ok ||
      !on_recv)
    return false;
  return sd_call(&endpoint->handle, on_recv, result);
}

/* `peer` may be NULL, where the error is of no message. */
static bool sd_deliver_error(struct sd_endpoint *endpoint,
                             const struct sd_peer *peer, int error) {
  napi_env env = endpoint->handle.owner->env;
  char code[64], where[SD_HOST_MAX + 8] = "", why[96] = "", text[256];
  napi_value string;
  uv_err_name_r(error, code, sizeof code);
  if (peer)
    snprintf(where, sizeof where, " %s:%d", peer->host, peer->port);
  if (peer && error == -EMSGSIZE)
    snprintf(why, sizeof why,
             ": the message is longer than recvMaxlen (%zu bytes)",
             endpoint->recv_max);
  else if (peer)
    snprintf(why, sizeof why, ": no memory for the message");
  snprintf(text, sizeof text, "recv %s%s%s", code, where, why);
  return napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &string) ==
             napi_ok &&
         sd_deliver(endpoint, string);
}

static bool sd_deliver_message(struct sd_endpoint *endpoint,
                               const struct sd_peer *peer, const char *data,
                               size_t size) {
  napi_env env = endpoint->handle.owner->env;
  napi_value result, buffer, host, port;
  if (napi_create_buffer_copy(env, size, data, NULL, &buffer) != napi_ok ||
      napi_create_string_latin1(env, peer->host, NAPI_AUTO_LENGTH, &host) !=
          napi_ok ||
      napi_create_uint32(env, peer->port, &port) != napi_ok ||
      napi_create_array_with_length(env, 3, &result) != napi_ok ||
      napi_set_element(env, result, 0, buffer) != napi_ok ||
      napi_set_element(env, result, 1, host) != napi_ok ||
      napi_set_element(env, result, 2, port) != napi_ok) {
    napi_get_and_clear_last_exception(env, &result);
    return sd_deliver_error(endpoint, peer, -ENOBUFS);
  }
  return sd_deliver(endpoint, result);
}

/* A message that is in pieces, or too long. The pieces of different peers may
 * come interleaved, those of one peer do not. */
static bool sd_on_piece(struct sd_endpoint *endpoint, struct sd_peer *peer,
                        const char *data, size_t size, bool last) {
  bool go_on = true;
  int error;
  if (!peer->skipping) {
    error = sd_peer_append(endpoint, peer, data, size);
    if (error < 0) {
      peer->skipping = true;
      sd_peer_drop_partial(endpoint, peer);
      go_on = sd_deliver_error(endpoint, peer, error);
    } else if (last) {
      go_on = sd_deliver_message(endpoint, peer, peer->partial, peer->length);
      sd_peer_drop_partial(endpoint, peer);
    }
  }
  if (last)
    peer->skipping = false;
  return go_on;
}

static bool sd_on_data(struct sd_endpoint *endpoint,
                       const struct sd_received *received, const char *data,
                       size_t size) {
  bool last = received->flags & MSG_EOR, go_on;
  struct sd_peer *peer =
      sd_peer_get(endpoint, received->info.rcv_assoc_id, &received->from);
  if (last && !peer->partial && !peer->skipping && size <= endpoint->recv_max)
    go_on = sd_deliver_message(endpoint, peer, data, size);
  else
    go_on = sd_on_piece(endpoint, peer, data, size, last);
  if (last && peer->gone)
    sd_peer_remove(endpoint, peer);
  return go_on;
}

/* Takes what has arrived, up to the budget; what is left, the poll handle
 * reports again at once. */
static void sd_endpoint_receive(struct sd_endpoint *endpoint) {
  struct sd_handle *handle = &endpoint->handle;
  char *slab = handle->owner->slab;
  struct sd_received received;
  struct sd_calls calls;
  bool go_on = true;
  ssize_t n;
  int i;
  if (!sd_calls_begin(handle, &calls))
    return;
  endpoint->receiving = true;
  for (i = 0; i < SD_DRAIN && go_on; i++) {
    napi_handle_scope scope;
    n = sd_peers_reserve(endpoint)
            ? sd_sys_recv(handle->fd, slab, SD_SLAB, &received)
            : -ENOMEM;
    if (n == -EAGAIN)
      break;
    if (n >= 0 && received.flags & MSG_NOTIFICATION) {
      sd_on_notification(endpoint, slab, (size_t)n);
      continue;
    }
    if (napi_open_handle_scope(handle->owner->env, &scope) != napi_ok)
      break;
    if (n >= 0) {
      go_on = sd_on_data(endpoint, &received, slab, (size_t)n);
    } else {
      sd_handle_arm(handle, handle->armed & ~UV_READABLE);
      sd_handle_start_timer(handle, SD_BACKOFF_MS);
      sd_deliver_error(endpoint, NULL, (int)n);
      go_on = false;
    }
    napi_close_handle_scope(handle->owner->env, scope);
  }
  sd_calls_end(handle, &calls);
  endpoint->receiving = false;
  if (handle->state == SD_FLUSHING)
    sd_endpoint_start_flush(endpoint);
}

/* ------------------------------------------------------------------ Send */

/* What to do after send() met a full buffer: wait for room. Under memory
 * pressure poll() reports room all the time and send() still has none. */
static void sd_endpoint_block(struct sd_endpoint *endpoint) {
  struct sd_handle *handle = &endpoint->handle;
  if (endpoint->blocked)
    return;
  endpoint->blocked = true;
  if (endpoint->in_vain)
    sd_handle_start_timer(handle, SD_BACKOFF_MS);
  else
    sd_handle_arm(handle, handle->armed | UV_WRITABLE);
}

static ssize_t sd_endpoint_send(struct sd_endpoint *endpoint, void *data,
                                size_t size, union sd_addr *addr) {
  ssize_t n;
  if (!sd_addr_reaches(&endpoint->local, addr))
    return -EAFNOSUPPORT;
  n = sd_sys_send(endpoint->handle.fd, data, size, addr);
  if (n == -EAGAIN)
    sd_endpoint_block(endpoint);
  else if (n >= 0)
    endpoint->in_vain = false;
  return n;
}

static void sd_endpoint_call_on_drain(struct sd_endpoint *endpoint) {
  struct sd_handle *handle = &endpoint->handle;
  napi_env env = handle->owner->env;
  napi_value self, on_drain;
  napi_valuetype type;
  struct sd_calls calls;
  napi_status status;
  sd_handle_arm(handle, handle->armed & ~UV_WRITABLE);
  endpoint->blocked = false;
  endpoint->in_vain = true;
  if (!sd_calls_begin(handle, &calls))
    return;
  status = napi_get_reference_value(env, handle->self, &self);
  if (status == napi_ok)
    status = napi_get_named_property(env, self, "onDrain", &on_drain);
  if (status == napi_ok)
    status = napi_typeof(env, on_drain, &type);
  if (status != napi_ok)
    sd_report(handle->owner, status);
  else if (type == napi_function)
    sd_call(handle, on_drain, NULL);
  sd_calls_end(handle, &calls);
}

/* ------------------------------------------------- What the loop reports */

static void sd_endpoint_on_ready(struct sd_handle *handle, int events) {
  struct sd_endpoint *endpoint = (struct sd_endpoint *)handle;
  if (handle->state == SD_FLUSHING) {
    sd_endpoint_flush_step(endpoint);
    return;
  }
  if (events == 0)
    sd_handle_start_timer(handle, SD_BACKOFF_MS);
  if (events == 0 || events & UV_READABLE)
    sd_endpoint_receive(endpoint);
  if (events & UV_WRITABLE && handle->state == SD_OPEN)
    sd_endpoint_call_on_drain(endpoint);
}

static void sd_endpoint_on_timer(struct sd_handle *handle) {
  struct sd_endpoint *endpoint = (struct sd_endpoint *)handle;
  if (handle->state == SD_FLUSHING) {
    sd_endpoint_discard(endpoint);
    sd_handle_close(handle);
    return;
  }
  sd_handle_arm(handle, UV_READABLE | (endpoint->blocked ? UV_WRITABLE : 0));
}

static void sd_endpoint_release(struct sd_handle *handle) {
  struct sd_endpoint *endpoint = (struct sd_endpoint *)handle;
  sd_peers_free(endpoint);
  if (endpoint->on_recv)
    napi_delete_reference(handle->owner->env, endpoint->on_recv);
}

static const struct sd_kind sd_endpoint_kind = {
    .on_ready = sd_endpoint_on_ready,
    .on_timer = sd_endpoint_on_timer,
    .release = sd_endpoint_release};

/* ------------------------------------------------------------- Arguments */
/* Each throws and returns false where the value does not fit. */

static bool sd_arg_integer(napi_env env, napi_value value, const char *name,
                           double min, double max, double *result) {
  char expected[64], received[32];
  if (napi_get_value_double(env, value, result) != napi_ok) {
    sd_throw_type(env, name, "of type number", value);
    return false;
  }
  if (*result >= min && *result <= max && trunc(*result) == *result)
    return true;
  snprintf(expected, sizeof expected, "an integer >= %.0f && <= %.0f", min,
           max);
  if (isnan(*result))
    snprintf(received, sizeof received, "NaN");
  else if (isinf(*result))
    snprintf(received, sizeof received, *result < 0 ? "-Infinity" : "Infinity");
  else
    snprintf(received, sizeof received, "%.15g", *result);
  sd_throw_range(env, name, expected, received);
  return false;
}

static void sd_throw_not_address(napi_env env, const char *name,
                                 const char *host) {
  char message[256];
  snprintf(message, sizeof message,
           "The \"%s\" argument must be an IP address. Received '%s'", name,
           host);
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
}

/* A text that may be an IP address. */
static bool sd_arg_host(napi_env env, napi_value value, const char *name,
                        char host[SD_HOST_MAX]) {
  size_t length;
  if (napi_get_value_string_utf8(env, value, host, SD_HOST_MAX, &length) !=
      napi_ok) {
    sd_throw_type(env, name, "of type string", value);
    return false;
  }
  /* Cut off, or with a NUL in it. */
  if (length == SD_HOST_MAX - 1 || strlen(host) != length) {
    sd_throw_not_address(env, name, host);
    return false;
  }
  return true;
}

static bool sd_arg_address(napi_env env, const char *syscall, const char *name,
                           const char *host, int port, union sd_addr *addr) {
  int error = sd_addr_parse(host, port, addr);
  if (error == -EINVAL)
    sd_throw_not_address(env, name, host);
  else if (error < 0)
    sd_throw_system(env, syscall, error, host, port);
  return error == 0;
}

/* Any view of bytes: Buffer, typed array, DataView. */
static bool sd_arg_bytes(napi_env env, napi_value value, const char *name,
                         void **data, size_t *size) {
  bool is_buffer = false;
  if (napi_is_buffer(env, value, &is_buffer) != napi_ok || !is_buffer ||
      napi_get_buffer_info(env, value, data, size) != napi_ok) {
    sd_throw_type(env, name, "a Buffer, TypedArray or DataView", value);
    return false;
  }
  return true;
}

/* ------------------------------------------------- Methods of a handle */

/* The class's signature makes sure that `this` is one of its objects. */
static struct sd_endpoint *sd_this(napi_env env, napi_callback_info info,
                                   size_t argc, napi_value *argv,
                                   napi_value *self) {
  void *endpoint = NULL;
  if (napi_get_cb_info(env, info, &argc, argv, self, NULL) == napi_ok &&
      napi_unwrap(env, *self, &endpoint) == napi_ok)
    return endpoint;
  sd_throw_status(env);
  return NULL;
}

static bool sd_check_open(napi_env env, const struct sd_endpoint *endpoint) {
  if (endpoint->handle.state == SD_OPEN)
    return true;
  napi_throw_error(env, "ERR_SOCKET_CLOSED", "Socket is closed");
  return false;
}

static napi_value sd_js_send(napi_env env, napi_callback_info info) {
  napi_value argv[3], self, result;
  char host[SD_HOST_MAX];
  const char *unsendable;
  union sd_addr addr;
  double port;
  void *data;
  size_t size;
  ssize_t n;
  struct sd_endpoint *endpoint = sd_this(env, info, 3, argv, &self);
  if (!endpoint || !sd_check_open(env, endpoint) ||
      !sd_arg_bytes(env, argv[0], "buffer", &data, &size) ||
      !sd_arg_host(env, argv[1], "host", host) ||
      !sd_arg_integer(env, argv[2], "port", 1, UINT16_MAX, &port) ||
      !sd_arg_address(env, "send", "host", host, (int)port, &addr))
    return NULL;
  unsendable = sd_addr_unsendable(&addr);
  if (unsendable) {
    sd_throw_range(env, "host", unsendable, host);
    return NULL;
  }
  if (size == 0) {
    sd_throw_range(env, "buffer.length", ">= 1", "0");
    return NULL;
  }
  n = sd_endpoint_send(endpoint, data, size, &addr);
  if (n < 0) {
    sd_throw_system(env, "send", (int)n, host, (int)port);
    return NULL;
  }
  SD_CHECK(env, napi_create_int64(env, n, &result));
  return result;
}

static napi_value sd_js_close(napi_env env, napi_callback_info info) {
  napi_value self;
  struct sd_endpoint *endpoint = sd_this(env, info, 0, NULL, &self);
  if (endpoint && endpoint->handle.state == SD_OPEN)
    sd_endpoint_close(endpoint);
  return NULL;
}

static napi_value sd_js_address(napi_env env, napi_callback_info info) {
  napi_value self, result;
  char host[SD_HOST_MAX];
  struct sd_endpoint *endpoint = sd_this(env, info, 0, NULL, &self);
  if (!endpoint || !sd_check_open(env, endpoint))
    return NULL;
  sd_addr_format(&endpoint->local, host);
  SD_CHECK(env, napi_create_object(env, &result));
  if (sd_set_string(env, result, "address", host) &&
      sd_set_string(env, result, "family",
                    endpoint->local.sa.sa_family == AF_INET ? "IPv4"
                                                            : "IPv6") &&
      sd_set_int(env, result, "port", sd_addr_port(&endpoint->local)))
    return result;
  sd_throw_status(env);
  return NULL;
}

static napi_value sd_js_set_unrefed(napi_env env, napi_callback_info info,
                                    bool unrefed) {
  napi_value self;
  struct sd_endpoint *endpoint = sd_this(env, info, 0, NULL, &self);
  if (!endpoint)
    return NULL;
  if (!sd_handle_set_unrefed(&endpoint->handle, unrefed)) {
    sd_throw_status(env);
    return NULL;
  }
  return self;
}

static napi_value sd_js_ref(napi_env env, napi_callback_info info) {
  return sd_js_set_unrefed(env, info, false);
}

static napi_value sd_js_unref(napi_env env, napi_callback_info info) {
  return sd_js_set_unrefed(env, info, true);
}

/* ------------------------------------------------------------------ open */

struct sd_option {
  int level;
  int name;
  const void *value;
  socklen_t length;
};

static int sd_set_options(int fd, const struct sd_option *options,
                          size_t count) {
  size_t i;
  int error = 0;
  for (i = 0; i < count && error == 0; i++)
    error = sd_sys_setsockopt(fd, options[i].level, options[i].name,
                              options[i].value, options[i].length);
  return error;
}

/* Everything is set before bind(), since associations copy it and the window
 * that they announce is fixed by then. RFC 6458 sections 8.1 and 8.2. */
static int sd_endpoint_options(int fd, int family) {
  static const int on = 1, off = 0, buffer = SD_BUFFER;
  static const struct sctp_rtoinfo rto = {
      .srto_initial = 250, .srto_min = 200, .srto_max = 5000};
  /* Bounds the waits between INITs, which the RTO's maximum does not: without
   * it, a host that is down is given up after 128 s, with it after 29 s. */
  static const struct sctp_initmsg init = {.sinit_max_init_timeo = 5000};
  /* The time to live. Here, and not as a PR-SCTP policy, it also suits what is
   * sent before the handshake with a new peer ends. */
  static const struct sctp_sndrcvinfo send_param = {
      .sinfo_flags = SCTP_UNORDERED, .sinfo_timetolive = SD_TTL_MS};
  static const struct sctp_event assoc_change = {.se_type = SCTP_ASSOC_CHANGE,
                                                 .se_on = 1};
  static const struct sctp_event partial_delivery = {
      .se_type = SCTP_PARTIAL_DELIVERY_EVENT, .se_on = 1};
  /* At level 0, one peer's half-arrived message holds back all others. */
  static const int interleave = 1;
  static const struct sd_option options[] = {
      {SOL_SOCKET, SO_REUSEADDR, &on, sizeof on},
      {SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer},
      {SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer},
      {IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof on},
      {IPPROTO_SCTP, SCTP_RTOINFO, &rto, sizeof rto},
      {IPPROTO_SCTP, SCTP_INITMSG, &init, sizeof init},
      {IPPROTO_SCTP, SCTP_DEFAULT_SEND_PARAM, &send_param, sizeof send_param},
      {IPPROTO_SCTP, SCTP_RECVRCVINFO, &on, sizeof on},
      {IPPROTO_SCTP, SCTP_FRAGMENT_INTERLEAVE, &interleave, sizeof interleave},
      {IPPROTO_SCTP, SCTP_EVENT, &assoc_change, sizeof assoc_change},
      {IPPROTO_SCTP, SCTP_EVENT, &partial_delivery, sizeof partial_delivery},
  };
  static const struct sd_option options_v6[] = {
      {IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off},
      {IPPROTO_SCTP, SCTP_I_WANT_MAPPED_V4_ADDR, &off, sizeof off},
  };
  int error = sd_set_options(fd, options, sizeof options / sizeof *options);
  if (error == 0 && family == AF_INET6)
    error =
        sd_set_options(fd, options_v6, sizeof options_v6 / sizeof *options_v6);
  return error;
}

/* Makes, binds and listens. Returns the descriptor, or -errno and in `syscall`
 * what failed. */
static int sd_endpoint_socket(union sd_addr *addr, const char **syscall) {
  /* getsockname() forgets the interface of a link-local address. */
  uint32_t scope = addr->sa.sa_family == AF_INET6 ? addr->v6.sin6_scope_id : 0;
  int fd, error;
  *syscall = "socket";
  fd = sd_sys_socket(addr->sa.sa_family, SOCK_SEQPACKET);
  if (fd < 0)
    return fd;
  *syscall = "setsockopt";
  error = sd_endpoint_options(fd, addr->sa.sa_family);
  if (error == 0) {
    *syscall = "bind";
    error = sd_sys_bind(fd, addr);
  }
  if (error == 0) {
    *syscall = "listen";
    error = sd_sys_listen(fd, SOMAXCONN);
  }
  if (error == 0) {
    *syscall = "getsockname";
    error = sd_sys_getsockname(fd, addr);
    if (addr->sa.sa_family == AF_INET6)
      addr->v6.sin6_scope_id = scope;
  }
  if (error == 0)
    return fd;
  close(fd);
  return error;
}

static napi_value sd_endpoint_object(struct sd_endpoint *endpoint,
                                     napi_value on_recv) {
  struct sd_env *owner = endpoint->handle.owner;
  napi_env env = owner->env;
  napi_value class, object;
  napi_property_descriptor on_drain = {
      .utf8name = "onDrain",
      .attributes = napi_writable | napi_enumerable | napi_configurable};
  SD_CHECK(env, napi_get_reference_value(env, owner->endpoint_class, &class));
  SD_CHECK(env, napi_get_null(env, &on_drain.value));
  owner->constructing = endpoint;
  if (napi_new_instance(env, class, 0, NULL, &object) != napi_ok)
    object = NULL;
  owner->constructing = NULL;
  if (object && napi_define_properties(env, object, 1, &on_drain) == napi_ok &&
      sd_hide(env, object, "onRecv", on_recv, &endpoint->on_recv))
    return object;
  sd_throw_status(env);
  return NULL;
}

static napi_value sd_js_construct(napi_env env, napi_callback_info info) {
  size_t argc = 0;
  napi_value self;
  struct sd_env *owner;
  SD_CHECK(env, napi_get_cb_info(env, info, &argc, NULL, &self, NULL));
  SD_CHECK(env, napi_get_instance_data(env, (void **)&owner));
  if (!owner->constructing) {
    napi_throw_type_error(env, "ERR_ILLEGAL_CONSTRUCTOR",
                          "Illegal constructor: use open()");
    return NULL;
  }
  if (!sd_handle_wrap(&owner->constructing->handle, self)) {
    sd_throw_status(env);
    return NULL;
  }
  return self;
}

/* Takes over `fd`. NULL: no memory. */
static struct sd_endpoint *sd_endpoint_new(struct sd_env *owner, int fd) {
  struct sd_endpoint *endpoint = calloc(1, sizeof *endpoint);
  struct sd_peer **peers = calloc(SD_PEER_SLOTS, sizeof *peers);
  if (!endpoint || !peers) {
    close(fd);
  } else if (sd_handle_init(&endpoint->handle, &sd_endpoint_kind, owner, fd) ==
             0) {
    endpoint->peers = peers;
    endpoint->slots = SD_PEER_SLOTS;
    return endpoint;
  }
  free(peers);
  free(endpoint);
  return NULL;
}

static napi_value sd_js_open(napi_env env, napi_callback_info info) {
  size_t argc = 4;
  napi_value argv[4], object;
  char host[SD_HOST_MAX];
  double port, recv_max;
  napi_valuetype type;
  union sd_addr addr;
  struct sd_env *owner;
  struct sd_endpoint *endpoint;
  const char *syscall;
  int fd;
  SD_CHECK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  SD_CHECK(env, napi_get_instance_data(env, (void **)&owner));
  if (!sd_arg_host(env, argv[0], "bindHost", host) ||
      !sd_arg_integer(env, argv[1], "bindPort", 0, UINT16_MAX, &port) ||
      !sd_arg_integer(env, argv[2], "recvMaxlen", 1, SD_RECV_MAX, &recv_max) ||
      !sd_arg_address(env, "bind", "bindHost", host, (int)port, &addr))
    return NULL;
  SD_CHECK(env, napi_typeof(env, argv[3], &type));
  if (type != napi_function) {
    sd_throw_type(env, "onRecv", "of type function", argv[3]);
    return NULL;
  }
  fd = sd_endpoint_socket(&addr, &syscall);
  if (fd < 0) {
    sd_throw_system(env, syscall, fd, strcmp(syscall, "bind") ? NULL : host,
                    (int)port);
    return NULL;
  }
  endpoint = sd_endpoint_new(owner, fd);
  if (!endpoint) {
    sd_throw_system(env, "open", -ENOMEM, NULL, 0);
    return NULL;
  }
  endpoint->recv_max = (size_t)recv_max;
  endpoint->local = addr;
  object = sd_endpoint_object(endpoint, argv[3]);
  if (!object) {
    sd_handle_close(&endpoint->handle);
    return NULL;
  }
  sd_handle_arm(&endpoint->handle, UV_READABLE);
  return object;
}

/* ------------------------------------------------------------------ Init */

static void sd_on_exit(napi_async_cleanup_hook_handle hook, void *data) {
  struct sd_env *owner = data;
  struct sd_handle *handle;
  (void)hook;
  owner->exiting = true;
  for (handle = owner->handles; handle; handle = handle->next)
    sd_handle_close(handle);
  sd_env_maybe_done(owner);
}

static void sd_on_env_free(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  free(data);
}

/* Symbol.dispose, or undefined where this version of Node has none. */
static napi_status sd_symbol_dispose(napi_env env, napi_value *result) {
  napi_value global, symbol;
  napi_status status = napi_get_global(env, &global);
  if (status == napi_ok)
    status = napi_get_named_property(env, global, "Symbol", &symbol);
  if (status == napi_ok)
    status = napi_get_named_property(env, symbol, "dispose", result);
  return status;
}

/* From version 24 on, Node keeps AsyncLocalStorage apart from async ids. */
static napi_status sd_find_storage(napi_env env, struct sd_env *owner) {
  napi_value global, process, get, name, module, class;
  const napi_node_version *version;
  napi_status status = napi_get_node_version(env, &version);
  if (status != napi_ok || version->major < 24)
    return status;
  if ((status = napi_get_global(env, &global)) == napi_ok &&
      (status = napi_get_named_property(env, global, "process", &process)) ==
          napi_ok &&
      (status = napi_get_named_property(env, process, "getBuiltinModule",
                                        &get)) == napi_ok &&
      (status = napi_create_string_utf8(env, "node:async_hooks",
                                        NAPI_AUTO_LENGTH, &name)) == napi_ok &&
      (status = napi_call_function(env, process, get, 1, &name, &module)) ==
          napi_ok &&
      (status = napi_get_named_property(env, module, "AsyncLocalStorage",
                                        &class)) == napi_ok)
    status = napi_create_reference(env, class, 1, &owner->storage_class);
  return status;
}

static napi_status sd_define_endpoint(napi_env env, struct sd_env *owner) {
  napi_property_descriptor methods[] = {
      {.utf8name = "send", .method = sd_js_send},
      {.utf8name = "close", .method = sd_js_close},
      {.utf8name = "address", .method = sd_js_address},
      {.utf8name = "ref", .method = sd_js_ref},
      {.utf8name = "unref", .method = sd_js_unref},
      {.method = sd_js_close}, /* [Symbol.dispose] */
  };
  size_t count = sizeof methods / sizeof *methods, i;
  napi_value dispose, class;
  napi_valuetype type;
  napi_status status = sd_symbol_dispose(env, &dispose);
  for (i = 0; i < count; i++)
    methods[i].attributes = napi_default_method;
  if (status == napi_ok)
    status = napi_typeof(env, dispose, &type);
  if (status != napi_ok)
    return status;
  methods[count - 1].name = dispose;
  if (type != napi_symbol)
    count--;
  status = napi_define_class(env, "Endpoint", NAPI_AUTO_LENGTH, sd_js_construct,
                             NULL, count, methods, &class);
  if (status == napi_ok)
    status = napi_create_reference(env, class, 1, &owner->endpoint_class);
  return status;
}

NAPI_MODULE_INIT() {
  napi_property_descriptor open = {
      .utf8name = "open", .method = sd_js_open, .attributes = napi_enumerable};
  struct sd_env *owner = calloc(1, sizeof *owner);
  if (!owner) {
    napi_throw_error(env, "ENOMEM", "no memory");
    return NULL;
  }
  owner->env = env;
  if (napi_set_instance_data(env, owner, sd_on_env_free, NULL) != napi_ok) {
    free(owner);
    return NULL;
  }
  SD_CHECK(env, napi_get_uv_event_loop(env, &owner->loop));
  SD_CHECK(env, sd_find_storage(env, owner));
  SD_CHECK(env, sd_define_endpoint(env, owner));
  SD_CHECK(env,
           napi_add_async_cleanup_hook(env, sd_on_exit, owner, &owner->hook));
  SD_CHECK(env, napi_define_properties(env, exports, 1, &open));
  return exports;
}
