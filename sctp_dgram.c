/*
 * SCTP for Node.js: kernel sockets of Linux through Node-API.
 *
 * open() gives a one-to-many endpoint (RFC 6458 section 3): one socket that
 * exchanges messages with any number of peers. connect() and listen() give the
 * one-to-one sockets (section 4) that lib/ turns into streams. The prefix sd_
 * stands for the name of this file.
 *
 * Contents. A function calls only functions above it; a handle calls those of
 * its class through struct sd_kind.
 *
 *   1. Foundation     errors, addresses, arguments, system calls
 *   2. Handles        lifetime, poll, upcalls, classes
 *   3. Receiving      reassembly, slab and receive batch
 *   4. Sending        send buffer
 *   5. Endpoint       peers, send quota, notifications, linger, receive, send,
 *                     loop, methods, open
 *   6. Socket         options and addresses, receive, send, loop, methods,
 *                     listener, peel-off
 *   7. Kernel tables  fields, options, notifications, export
 *   8. Module         init
 *
 * Glossary. Other terms are those of RFC 6458, RFC 9260 and libuv.
 *
 *   addon          the state of one Node-API environment
 *   handle         an endpoint, a socket or a listener: a descriptor with its
 *                  libuv handles and its JavaScript object
 *   association    the kernel's connection to one peer
 *   peer           an endpoint's record of an association, also before it is
 *                  set up and after it has ended
 *   destination    a host and port by which a caller of send() names a peer
 *   message        the bytes of one send() and of one onRecv()
 *   notification   a message from the kernel about an association
 *   partial        a message that the kernel hands over in pieces (partial
 *     delivery     delivery); the last piece has MSG_EOR
 *   reassembly     the making of one message from its pieces
 *   slab           the memory that short messages are received into
 *   block          a Buffer that long messages of one association are received
 *                  into and stay in
 *   receive batch  the messages that one call hands over to JavaScript
 *   outstanding    data that a peer has been sent and has not acknowledged
 *   send quota     the share of the send buffer that one peer may use; a peer
 *                  that uses it up is busy
 *   linger         the time after close() in which an endpoint still sends
 *   upcall         a call into JavaScript; its scope is open meanwhile
 *
 * Ownership.
 *
 *   memory               owner                        freed by
 *   -------------------  --------------------------- --------------------------
 *   struct sd_addon      the environment              sd_on_addon_free()
 *   handle               the addon's list, then its   sd_handle_maybe_free()
 *                        JavaScript object
 *   descriptor, poll,    the handle                   sd_handle_close();
 *   timer                                             close callbacks
 *   peer                 the endpoint; spare ones     sd_peers_free()
 *                        are used again
 *   destination          its peer                     sd_destination_remove()
 *   reassembly buffer    the peer or the socket       sd_partial_drop()
 *   slab, block          their JavaScript Buffer      the garbage collector
 *   receive batch        its ArrayBuffer              the garbage collector
 *   unsent messages      the socket's reference to    sd_socket_cancel_unsent()
 *                        a JavaScript array
 *   iovecs of sendBatch  the call                     the end of the call
 *
 * Lifetime.
 *
 * 1. A handle is allocated with its descriptor and freed, once, when its libuv
 *    handles have reported that they are closed and its JavaScript object has
 *    been finalized, in whichever order.
 * 2. The addon's list owns a handle until the close callback has run. While the
 *    handle is open, a strong reference keeps its JavaScript object alive. Only
 *    an endpoint's reference becomes weak by unref(); the finalizer of a
 *    dropped object then closes a socket that is still open.
 * 3. sd_handle_close() is the only place that calls uv_close() and, in the same
 *    tick and after it, close(fd). It may be called at any time, any number of
 *    times, also inside a callback of the handle. After a restart of the peer
 *    two handles have one socket, each by its own descriptor; the older one
 *    does nothing but close its own.
 * 4. JavaScript may close the handle, and it runs not only in upcalls: hooks of
 *    async_hooks, getters, setters and proxies are JavaScript, too. After each
 *    of them sd_handle_usable() says whether to go on, before fd, event mask or
 *    peers are touched. The memory itself stays valid: libuv runs no close
 *    callback inside another callback. Objects made here get their properties
 *    defined, not assigned, so that making one runs no JavaScript.
 * 5. close() of an endpoint lingers first: in SD_LINGERING there are no upcalls
 *    any more, and the socket lives on until its peers have acknowledged
 *    everything. Peers with an association are removed while messages are read
 *    and at the end. Lingering reads, too, but does not start while a receive
 *    loop is running, and a peer that peelOff() removes inside one stays in
 *    `parted` until its end; so a receive loop may use its peer after an
 *    upcall. A peer owns its destinations; endpoint->to is one of them, or
 *    NULL.
 * 6. Messages that a socket's send() could not hand over stay in their
 *    JavaScript array, which the socket refers to until they are sent, have
 *    failed, or the socket is closed.
 * 7. One receive loop runs at a time. It fills the receive batch while no
 *    JavaScript runs, and delivers it: short messages from the slab, long ones
 *    in blocks, which JavaScript cannot reach before. JavaScript may take the
 *    slab away, so the slab is looked up again after it may have run. A block
 *    is filled by messages of one association only. Items of the batch refer to
 *    peers by index, so they are delivered before peers change; close() empties
 *    the batch.
 * 8. One asynchronous cleanup hook per environment closes all handles and is
 *    removed by the last close callback. From then on, and after an upcall has
 *    failed because the thread is being terminated, there are no upcalls.
 * 9. The state of an environment is its instance data; nothing static is
 *    written to. Only the thread of its environment uses a handle.
 */

#define _GNU_SOURCE /* accept4 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
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
#include <sys/uio.h>
#include <unistd.h>

#include <node_api.h>
#include <uv.h>

/* === 1. Foundation ======================================================== */

/* Send and receive buffer to ask for, in bytes. With the defaults of Linux,
 * messages of 64 KiB wait for the delayed SACK again and again. The kernel cuts
 * this to what net.core.wmem_max and rmem_max allow. */
#define SD_BUFFER (4 * 1024 * 1024)

/* Messages and notifications to receive from one socket before timers and other
 * sockets get their turn. */
#define SD_RECEIVE_BUDGET 64

/* --- 1.1 Errors ----------------------------------------------------------- */

/* Results of functions beside 0 and -errno. */
enum {
  SD_PEER_BUSY = -100000, /* the send quota of the peer is used up */
  SD_EXCEPTION = -100001  /* JavaScript has an exception to handle */
};

static void sd_throw_status(napi_env env) {
  bool pending = true;
  napi_is_exception_pending(env, &pending);
  if (!pending)
    napi_throw_error(env, NULL, "Node-API call failed");
}

/* Makes a function that returns a value to JavaScript return NULL after an
 * exception if `call` fails. */
#define SD_CHECK(env, call)                                                    \
  do {                                                                         \
    if ((call) != napi_ok) {                                                   \
      sd_throw_status(env);                                                    \
      return NULL;                                                             \
    }                                                                          \
  } while (0)

/* Defines a property of an object made here. An assignment would call a
 * setter on Object.prototype, which is JavaScript. */
static bool sd_define(napi_env env, napi_value object, const char *name,
                      napi_value value) {
  napi_property_descriptor property = {
      .utf8name = name, .value = value, .attributes = napi_default_jsproperty};
  return napi_define_properties(env, object, 1, &property) == napi_ok;
}

static bool sd_define_element(napi_env env, napi_value array, uint32_t index,
                              napi_value value) {
  char name[16];
  snprintf(name, sizeof name, "%u", index);
  return sd_define(env, array, name, value);
}

static bool sd_define_number(napi_env env, napi_value object, const char *name,
                             double value) {
  napi_value number;
  return napi_create_double(env, value, &number) == napi_ok &&
         sd_define(env, object, name, number);
}

static bool sd_define_string(napi_env env, napi_value object, const char *name,
                             const char *value) {
  napi_value string;
  return napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &string) ==
             napi_ok &&
         sd_define(env, object, name, string);
}

/* A function of Node-API that makes an error of one class. */
typedef napi_status (*sd_error_class)(napi_env, napi_value, napi_value,
                                      napi_value *);

/* Makes an error with a `code`. Returns NULL if there is no memory. */
static napi_value sd_error(napi_env env, sd_error_class create,
                           const char *code, const char *message) {
  napi_value text, error;
  return napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &text) ==
                     napi_ok &&
                 create(env, NULL, text, &error) == napi_ok &&
                 sd_define_string(env, error, "code", code)
             ? error
             : NULL;
}

static void sd_throw_value(napi_env env, napi_value error) {
  if (!error || napi_throw(env, error) != napi_ok)
    sd_throw_status(env);
}

static void sd_throw(napi_env env, sd_error_class create, const char *code,
                     const char *message) {
  sd_throw_value(env, sd_error(env, create, code, message));
}

/* Makes the Error that Node makes of a failed system call: with code, errno and
 * syscall and, if `host` is given, address and port. Returns NULL if there
 * is no memory. */
static napi_value sd_system_error(napi_env env, const char *syscall, int error,
                                  const char *host, int port) {
  char code[64], message[512];
  napi_value object;
  uv_err_name_r(error, code, sizeof code);
  if (host && port > 0)
    snprintf(message, sizeof message, "%s %s %s:%d", syscall, code, host, port);
  else if (host)
    snprintf(message, sizeof message, "%s %s %s", syscall, code, host);
  else
    snprintf(message, sizeof message, "%s %s", syscall, code);
  object = sd_error(env, napi_create_error, code, message);
  return object && sd_define_number(env, object, "errno", error) &&
                 sd_define_string(env, object, "syscall", syscall) &&
                 (!host || sd_define_string(env, object, "address", host)) &&
                 (!host || port == 0 ||
                  sd_define_number(env, object, "port", port))
             ? object
             : NULL;
}

static void sd_throw_system(napi_env env, const char *syscall, int error,
                            const char *host, int port) {
  sd_throw_value(env, sd_system_error(env, syscall, error, host, port));
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
  sd_throw(env, napi_create_type_error, "ERR_INVALID_ARG_TYPE", message);
}

static void sd_throw_range(napi_env env, const char *argument,
                           const char *expected, const char *received) {
  char message[256];
  snprintf(message, sizeof message,
           "The value of \"%s\" is out of range. It must be %s. Received %s",
           argument, expected, received);
  sd_throw(env, napi_create_range_error, "ERR_OUT_OF_RANGE", message);
}

/* --- 1.2 Addresses -------------------------------------------------------- */

/* Addresses of one side of an association; Linux announces no more. */
#define SD_ADDRS 64

/* Length of an IPv6 address with '%' and the name of its interface. */
#define SD_HOST_MAX (INET6_ADDRSTRLEN + 1 + IF_NAMESIZE)

union sd_addr {
  struct sockaddr sa;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

/* A list of addresses without gaps, as sctp_bindx() and sctp_connectx() take
 * it. */
struct sd_addrs {
  char packed[SD_ADDRS * sizeof(struct sockaddr_in6)];
  size_t length;
  int count;
  int family; /* family of a socket that can use them all, or AF_UNSPEC */
};

static socklen_t sd_addr_length(const union sd_addr *addr) {
  return addr->sa.sa_family == AF_INET6 ? sizeof addr->v6 : sizeof addr->v4;
}

static int sd_addr_port(const union sd_addr *addr) {
  return ntohs(addr->sa.sa_family == AF_INET6 ? addr->v6.sin6_port
                                              : addr->v4.sin_port);
}

static void sd_addr_set_port(union sd_addr *addr, int port) {
  if (addr->sa.sa_family == AF_INET6)
    addr->v6.sin6_port = htons((uint16_t)port);
  else
    addr->v4.sin_port = htons((uint16_t)port);
}

/* Replaces an IPv4-mapped address by its IPv4 address, so that one peer has
 * one name on every socket. */
static void sd_addr_unmap(union sd_addr *addr) {
  struct sockaddr_in v4 = {.sin_family = AF_INET};
  if (addr->sa.sa_family != AF_INET6 ||
      !IN6_IS_ADDR_V4MAPPED(&addr->v6.sin6_addr))
    return;
  v4.sin_port = addr->v6.sin6_port;
  memcpy(&v4.sin_addr, &addr->v6.sin6_addr.s6_addr[12], sizeof v4.sin_addr);
  addr->v4 = v4;
}

/* Returns the scope id of an interface, given by name or number, or 0 if
 * there is no such interface. */
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

/* Replaces an unspecified address by this host's, as Linux does for TCP. */
static void sd_addr_resolve_any(union sd_addr *addr) {
  if (addr->sa.sa_family == AF_INET && addr->v4.sin_addr.s_addr == INADDR_ANY)
    addr->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  else if (addr->sa.sa_family == AF_INET6 &&
           IN6_IS_ADDR_UNSPECIFIED(&addr->v6.sin6_addr))
    addr->v6.sin6_addr = in6addr_loopback;
}

/* Returns NULL if messages can be sent to the address, else a description of
 * a valid one. Linux accepts some of these addresses and never reports that
 * nothing arrived. */
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

/* Returns whether a socket bound to `local` has an address of the family of
 * `addr`. Linux takes messages for the other family, too, and loses them. */
static bool sd_addr_reaches(const union sd_addr *local,
                            const union sd_addr *addr) {
  return local->sa.sa_family == addr->sa.sa_family ||
         (local->sa.sa_family == AF_INET6 &&
          IN6_IS_ADDR_UNSPECIFIED(&local->v6.sin6_addr));
}

static bool sd_addr_same(const union sd_addr *a, const union sd_addr *b) {
  if (a->sa.sa_family != b->sa.sa_family)
    return false;
  return a->sa.sa_family == AF_INET
             ? a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr
             : IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr);
}

/* Adds an address. Returns false if the list is full. */
static bool sd_addrs_add(struct sd_addrs *addrs, const union sd_addr *addr) {
  if (addrs->count == SD_ADDRS)
    return false;
  memcpy(addrs->packed + addrs->length, addr, sd_addr_length(addr));
  addrs->length += sd_addr_length(addr);
  addrs->count++;
  if (addrs->family != AF_INET6)
    addrs->family = addr->sa.sa_family;
  return true;
}

/* Reads the address at `offset` of a packed list and returns the offset of
 * the next one. An IPv4-mapped address takes the space of an IPv6 one. */
static size_t sd_addrs_next(const char *packed, size_t offset,
                            union sd_addr *addr) {
  memset(addr, 0, sizeof *addr);
  memcpy(&addr->sa.sa_family, packed + offset, sizeof addr->sa.sa_family);
  memcpy(addr, packed + offset, sd_addr_length(addr));
  offset += sd_addr_length(addr);
  sd_addr_unmap(addr);
  return offset;
}

/* Sets the port of all addresses. */
static void sd_addrs_set_port(struct sd_addrs *addrs, int port) {
  union sd_addr addr;
  size_t offset = 0, next;
  for (; offset < addrs->length; offset = next) {
    next = sd_addrs_next(addrs->packed, offset, &addr);
    sd_addr_set_port(&addr, port);
    memcpy(addrs->packed + offset, &addr, next - offset);
  }
}

/* Adds the unspecified address. */
static void sd_addrs_add_any(struct sd_addrs *addrs, int family, int port) {
  union sd_addr any = {0};
  any.sa.sa_family = (sa_family_t)family;
  sd_addr_set_port(&any, port);
  sd_addrs_add(addrs, &any);
}

/* Returns whether a socket bound to `locals`, or to nothing, has an address
 * of the family of `addr`. */
static bool sd_addrs_reach(const struct sd_addrs *locals,
                           const union sd_addr *addr) {
  union sd_addr local;
  size_t offset = 0;
  bool reached = locals->count == 0;
  while (!reached && offset < locals->length) {
    offset = sd_addrs_next(locals->packed, offset, &local);
    reached = sd_addr_reaches(&local, addr);
  }
  return reached;
}

/* --- 1.3 Arguments -------------------------------------------------------- */
/* Each function reads a JavaScript value. It throws and returns false if the
 * value does not fit. */

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
  sd_throw(env, napi_create_type_error, "ERR_INVALID_ARG_TYPE", message);
}

/* Reads a text that may be an IP address. */
static bool sd_arg_host(napi_env env, napi_value value, const char *name,
                        char host[SD_HOST_MAX]) {
  size_t length;
  if (napi_get_value_string_utf8(env, value, host, SD_HOST_MAX, &length) !=
      napi_ok) {
    sd_throw_type(env, name, "of type string", value);
    return false;
  }
  /* The text was cut off, or has a NUL in it. */
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

/* Reads any view of bytes: Buffer, typed array, DataView. */
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

static bool sd_arg_message(napi_env env, napi_value value, const char *name,
                           struct iovec *message) {
  if (!sd_arg_bytes(env, value, name, &message->iov_base, &message->iov_len))
    return false;
  if (message->iov_len > 0)
    return true;
  sd_throw_range(env, "buffer.length", ">= 1", "0");
  return false;
}

/* Reads `count` elements of an array from `first` on. Getters among them may
 * run any JavaScript, so the memory of the messages is looked up after all
 * of them have been read. */
static bool sd_arg_elements(napi_env env, napi_value array, uint32_t first,
                            uint32_t count, napi_value *elements,
                            struct iovec *messages) {
  uint32_t i;
  for (i = 0; i < count; i++) {
    if (napi_get_element(env, array, first + i, &elements[i]) != napi_ok) {
      sd_throw_status(env);
      return false;
    }
    if (!sd_arg_message(env, elements[i], "messages", &messages[i]))
      return false;
  }
  for (i = 0; i < count; i++)
    if (!sd_arg_message(env, elements[i], "messages", &messages[i]))
      return false;
  return true;
}

static bool sd_arg_function(napi_env env, napi_value value, const char *name) {
  napi_valuetype type;
  if (napi_typeof(env, value, &type) == napi_ok && type == napi_function)
    return true;
  sd_throw_type(env, name, "of type function", value);
  return false;
}

/* Reads an array of IP addresses, all with one port. */
static bool sd_arg_addresses(napi_env env, napi_value value,
                             const char *syscall, const char *name, int port,
                             struct sd_addrs *addrs) {
  uint32_t count, i;
  memset(addrs, 0, sizeof *addrs);
  if (napi_get_array_length(env, value, &count) != napi_ok) {
    sd_throw_type(env, name, "an array", value);
    return false;
  }
  for (i = 0; i < count; i++) {
    napi_value element;
    char host[SD_HOST_MAX];
    union sd_addr addr;
    if (napi_get_element(env, value, i, &element) != napi_ok) {
      sd_throw_status(env);
      return false;
    }
    if (!sd_arg_host(env, element, name, host) ||
        !sd_arg_address(env, syscall, name, host, port, &addr))
      return false;
    if (strcmp(syscall, "connect") == 0)
      sd_addr_resolve_any(&addr);
    if (!sd_addrs_add(addrs, &addr)) {
      sd_throw_system(env, syscall, -E2BIG, NULL, 0);
      return false;
    }
  }
  return true;
}

/* --- 1.4 System calls ----------------------------------------------------- */

/* Messages to discard from one socket before others get their turn. */
#define SD_DISCARD 1024

/* Bytes that a discarded message is read into. */
#define SD_SCRATCH (16 * 1024)

/* The result of recvmsg() beside the data. */
struct sd_received {
  union sd_addr from;
  struct sctp_rcvinfo info;
  int flags;
};

/* Each function returns the result of its call, or -errno. */

static int sd_sys_socket(int family, int type) {
  int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_SCTP);
  return fd < 0 ? -errno : fd;
}

static void sd_sys_close(int fd) { close(fd); }

static int sd_sys_setsockopt(int fd, int level, int name, const void *value,
                             socklen_t length) {
  return setsockopt(fd, level, name, value, length) < 0 ? -errno : 0;
}

static int sd_sys_getsockopt(int fd, int level, int name, void *value,
                             socklen_t *length) {
  return getsockopt(fd, level, name, value, length) < 0 ? -errno : 0;
}

static int sd_sys_event(int fd, int type, bool on) {
  /* SCTP_ALL_ASSOC reaches the present associations of an endpoint, too. */
  struct sctp_event event = {
      .se_assoc_id = SCTP_ALL_ASSOC, .se_type = (uint16_t)type, .se_on = on};
  return sd_sys_setsockopt(fd, IPPROTO_SCTP, SCTP_EVENT, &event, sizeof event);
}

static int sd_sys_listen(int fd, int backlog) {
  return listen(fd, backlog) < 0 ? -errno : 0;
}

/* Sets the port of `addr`, to which the socket is bound, to the port that
 * the kernel has chosen. The rest of getsockname()'s result is another
 * address if there are several, and lacks the interface of a link-local one. */
static int sd_sys_get_port(int fd, union sd_addr *addr) {
  union sd_addr bound = {0};
  socklen_t length = sizeof bound;
  if (getsockname(fd, &bound.sa, &length) < 0)
    return -errno;
  sd_addr_set_port(addr, sd_addr_port(&bound));
  return 0;
}

/* Prepares a one-to-one socket that another program has made, and finds its
 * address. Returns -EPROTOTYPE for any other socket. */
static int sd_sys_adopt(int fd, union sd_addr *addr) {
  int type = 0, protocol = 0, flags = fcntl(fd, F_GETFL);
  socklen_t type_length = sizeof type, protocol_length = sizeof protocol;
  socklen_t length = sizeof *addr;
  memset(addr, 0, sizeof *addr);
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_length) < 0 ||
      getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &protocol_length) < 0)
    return -errno;
  if (type != SOCK_STREAM || protocol != IPPROTO_SCTP)
    return -EPROTOTYPE;
  if (getsockname(fd, &addr->sa, &length) < 0 ||
      fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
    return -errno;
  return 0;
}

static int sd_sys_dup(int fd) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return copy < 0 ? -errno : copy;
}

/* Adds or removes local addresses: `flags` is SCTP_BINDX_ADD_ADDR or
 * SCTP_BINDX_REM_ADDR. */
static int sd_sys_bindx(int fd, struct sd_addrs *addrs, int flags) {
  return sctp_bindx(fd, (struct sockaddr *)addrs->packed, addrs->count, flags) <
                 0
             ? -errno
             : 0;
}

/* Returns 0 also if the handshake has only begun. */
static int sd_sys_connectx(int fd, struct sd_addrs *addrs) {
  errno = 0; /* libsctp reads errno even if its call has worked */
  if (sctp_connectx(fd, (struct sockaddr *)addrs->packed, addrs->count, NULL) <
          0 &&
      errno != EINPROGRESS)
    return -errno;
  return 0;
}

static int sd_sys_accept(int fd, union sd_addr *addr) {
  socklen_t length = sizeof *addr;
  int accepted = accept4(fd, &addr->sa, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  return accepted < 0 ? -errno : accepted;
}

static int sd_sys_shutdown(int fd, int how) {
  return shutdown(fd, how) < 0 ? -errno : 0;
}

/* Receives a message or a piece of one, with SCTP_RCVINFO (RFC 6458 section
 * 5.3.5). */
static ssize_t sd_sys_recv(int fd, struct iovec *iov, size_t count,
                           struct sd_received *received) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof received->info)];
  } control;
  struct msghdr message = {.msg_name = &received->from,
                           .msg_namelen = sizeof received->from,
                           .msg_iov = iov,
                           .msg_iovlen = count,
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

/* Returns whether a notification is at the head of the receive queue. */
static bool sd_sys_notification_waits(int fd) {
  char byte;
  struct iovec iov = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
  return recvmsg(fd, &message, MSG_PEEK) > 0 &&
         message.msg_flags & MSG_NOTIFICATION;
}

static void sd_add_cmsg(struct msghdr *header, int type, const void *data,
                        size_t size) {
  struct cmsghdr *cmsg;
  size_t used = header->msg_controllen;
  header->msg_controllen += CMSG_SPACE(size);
  cmsg = (struct cmsghdr *)((char *)header->msg_control + used);
  cmsg->cmsg_level = IPPROTO_SCTP;
  cmsg->cmsg_type = type;
  cmsg->cmsg_len = CMSG_LEN(size);
  memcpy(CMSG_DATA(cmsg), data, size);
}

/* Sends a message of an endpoint that waits for another one to share its
 * packet. sctp_sendv() cannot do this, since its flags never reach the
 * kernel. Order and TTL are defaults of the socket. `hurry` asks for an
 * immediate SACK (RFC 7053), which needs a control message. */
static ssize_t sd_sys_send_more(int fd, const struct iovec *message,
                                const union sd_addr *addr,
                                const struct sctp_sndinfo *info, bool hurry) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof *info)];
  } control;
  struct msghdr header = {.msg_name = (void *)addr,
                          .msg_namelen = sd_addr_length(addr),
                          .msg_iov = (struct iovec *)message,
                          .msg_iovlen = 1,
                          .msg_control = &control};
  if (!hurry)
    return sendto(fd, message->iov_base, message->iov_len,
                  MSG_MORE | MSG_NOSIGNAL, &addr->sa, sd_addr_length(addr));
  sd_add_cmsg(&header, SCTP_SNDINFO, info, sizeof *info);
  return sendmsg(fd, &header, MSG_MORE | MSG_NOSIGNAL);
}

/* Sends a message of an endpoint. The TTL is a default of the socket: as a
 * PR-SCTP policy of the message, it would make Linux drop everything that is
 * sent before the handshake with a new peer ends. */
static ssize_t sd_sys_send(int fd, const struct iovec *message,
                           const union sd_addr *addr, bool more, bool hurry) {
  struct sctp_sndinfo info = {.snd_flags = SCTP_UNORDERED |
                                           (hurry ? SCTP_SACK_IMMEDIATELY : 0)};
  ssize_t n;
  do {
    n = more ? sd_sys_send_more(fd, message, addr, &info, hurry)
             : sctp_sendv(fd, message, 1, (struct sockaddr *)&addr->sa, 1,
                          &info, sizeof info, SCTP_SENDV_SNDINFO, 0);
  } while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n;
}

/* The attributes of a message of a one-to-one socket, in the order in which
 * lib/ writes them. */
struct sd_attributes {
  uint32_t sid;
  uint32_t ppid;
  uint32_t flags;  /* of struct sctp_sndinfo */
  uint32_t policy; /* SCTP_PR_SCTP_TTL and so on, 0: none */
  uint32_t value;  /* of the policy */
  uint32_t context;
  struct sockaddr_in6 address; /* of the peer, or of family 0 */
};

_Static_assert(sizeof(struct sd_attributes) == 13 * sizeof(uint32_t),
               "lib/message.js writes this struct");

/* Sends a message of a one-to-one socket (RFC 6458 sections 5.3.4 and
 * 5.3.7). Here the lifetime may be a policy of the message, since nothing is
 * sent before the handshake has ended. `flags` may be MSG_MORE. */
static ssize_t sd_sys_send_with(int fd, const struct iovec *message,
                                const struct sd_attributes *attributes,
                                int flags) {
  static const struct sd_attributes defaults;
  union sd_addr to = {.v6 = attributes->address};
  struct sctp_sndinfo info = {.snd_sid = (uint16_t)attributes->sid,
                              .snd_flags = (uint16_t)attributes->flags,
                              .snd_ppid = htonl(attributes->ppid),
                              .snd_context = attributes->context};
  struct sctp_prinfo pr = {.pr_policy = (uint16_t)attributes->policy,
                           .pr_value = attributes->value};
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof info) + CMSG_SPACE(sizeof pr)];
  } control;
  struct msghdr header = {.msg_iov = (struct iovec *)message,
                          .msg_iovlen = 1,
                          .msg_control = &control};
  ssize_t n;
  if (to.sa.sa_family != AF_UNSPEC) {
    info.snd_flags |= SCTP_ADDR_OVER;
    header.msg_name = &to;
    header.msg_namelen = sd_addr_length(&to);
  }
  if (memcmp(attributes, &defaults, sizeof defaults) != 0)
    sd_add_cmsg(&header, SCTP_SNDINFO, &info, sizeof info);
  if (attributes->policy)
    sd_add_cmsg(&header, SCTP_PRINFO, &pr, sizeof pr);
  do {
    n = sendmsg(fd, &header, flags | MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n;
}

/* Ends an association of a one-to-many socket, or one that was peeled off
 * (RFC 6458 section 5.3.4): `flag` is SCTP_EOF, or SCTP_ABORT with the text of
 * its cause. An association that Linux has given no id yet is found by `addr`,
 * which is NULL otherwise. */
static int sd_sys_end(int fd, sctp_assoc_t id, const union sd_addr *addr,
                      uint16_t flag, const struct iovec *reason) {
  struct sctp_sndinfo info = {.snd_flags = flag, .snd_assoc_id = id};
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof info)];
  } control;
  struct msghdr header = {.msg_name = (void *)addr,
                          .msg_namelen = addr ? sd_addr_length(addr) : 0,
                          .msg_iov = (struct iovec *)reason,
                          .msg_iovlen = reason ? 1 : 0,
                          .msg_control = &control};
  sd_add_cmsg(&header, SCTP_SNDINFO, &info, sizeof info);
  return sendmsg(fd, &header, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Makes a socket of one association of a one-to-many socket. libsctp declares
 * sctp_peeloff_flags() and does not have it. */
static int sd_sys_peeloff(int fd, sctp_assoc_t id) {
  /* Without a free descriptor, Linux would end the association. */
  int spare = sd_sys_dup(fd);
  sctp_peeloff_flags_arg_t argument = {.p_arg.associd = id,
                                       .flags = SOCK_NONBLOCK | SOCK_CLOEXEC};
  socklen_t length = sizeof argument;
  int error;
  if (spare < 0)
    return spare;
  sd_sys_close(spare);
  error = sd_sys_getsockopt(fd, IPPROTO_SCTP, SCTP_SOCKOPT_PEELOFF_FLAGS,
                            &argument, &length);
  if (error == -EINVAL) /* there is no such association any more */
    return -ENOTCONN;
  return error < 0 ? error : argument.p_arg.sd;
}

/* Discards received messages: with unread data in the queue, Linux answers
 * close() with an ABORT and drops unsent data. Returns the result that ended
 * it: -EAGAIN when the queue is empty, 0 at its end. */
static ssize_t sd_sys_discard(int fd, char scratch[SD_SCRATCH]) {
  struct iovec iov = {.iov_base = scratch, .iov_len = SD_SCRATCH};
  struct sd_received received;
  ssize_t n = 1;
  int i;
  for (i = 0; i < SD_DISCARD && n > 0; i++)
    n = sd_sys_recv(fd, &iov, 1, &received);
  return n;
}

/* Finds the source address of packets to `to` by the host's routes, without
 * a port. */
static void sd_addr_source(const union sd_addr *to, union sd_addr *source) {
  socklen_t length = sizeof *source;
  int fd = socket(to->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  memset(source, 0, sizeof *source);
  if (fd < 0)
    return;
  if (connect(fd, &to->sa, sd_addr_length(to)) == 0)
    getsockname(fd, &source->sa, &length);
  close(fd);
}

struct sd_option {
  int level;
  int name;
  const void *value;
  socklen_t length;
};

/* Sets options of a socket. Those of IPv6 are for sockets that have it, and an
 * older kernel lacks some notifications. */
static int sd_set_options(int fd, int family, const struct sd_option *options,
                          size_t count) {
  size_t i;
  int error = 0;
  for (i = 0; i < count && error == 0; i++) {
    const struct sd_option *option = &options[i];
    if (option->level == IPPROTO_IPV6 && family != AF_INET6)
      continue;
    error = sd_sys_setsockopt(fd, option->level, option->name, option->value,
                              option->length);
    if (error == -EINVAL && option->level == IPPROTO_SCTP &&
        option->name == SCTP_EVENT)
      error = 0;
  }
  return error;
}

/* Sets the options that all sockets have. They are set before bind(), since
 * associations copy them and the window that they announce is fixed by then. */
static int sd_set_common_options(int fd, int family) {
  static const int on = 1, off = 0, buffer = SD_BUFFER;
  static const struct sd_option options[] = {
      {SOL_SOCKET, SO_REUSEADDR, &on, sizeof on},
      {SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer},
      {SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer},
      {IPPROTO_SCTP, SCTP_RECVRCVINFO, &on, sizeof on},
      {IPPROTO_SCTP, SCTP_I_WANT_MAPPED_V4_ADDR, &off, sizeof off},
  };
  return sd_set_options(fd, family, options, sizeof options / sizeof *options);
}

/* Returns whether sysctl net.sctp.sndbuf_policy gives each association of a
 * new socket a send buffer of its own. */
static bool sd_sys_own_buffers(void) {
  char policy = '0';
  int fd = open("/proc/sys/net/sctp/sndbuf_policy", O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  if (read(fd, &policy, 1) < 0)
    policy = '0';
  close(fd);
  return policy != '0';
}

/* Gives a link-local address of this host its interface, which Linux omits
 * from the addresses of a socket. */
static void sd_addr_find_scope(union sd_addr *addr) {
  struct ifaddrs *list = NULL, *entry;
  if (addr->sa.sa_family != AF_INET6 || addr->v6.sin6_scope_id != 0 ||
      !IN6_IS_ADDR_LINKLOCAL(&addr->v6.sin6_addr) || getifaddrs(&list) < 0)
    return;
  for (entry = list; entry; entry = entry->ifa_next) {
    const struct sockaddr_in6 *own = (const void *)entry->ifa_addr;
    if (own && own->sin6_family == AF_INET6 &&
        IN6_ARE_ADDR_EQUAL(&own->sin6_addr, &addr->v6.sin6_addr))
      addr->v6.sin6_scope_id = own->sin6_scope_id;
  }
  freeifaddrs(list);
}

/* Gets the packed local addresses of an association or, with id 0, of a
 * listener, to be freed by sd_sys_free_local(). Returns their number, or 0. */
static int sd_sys_local_addresses(int fd, sctp_assoc_t id, char **packed) {
  struct sockaddr *addrs;
  int count = sctp_getladdrs(fd, id, &addrs);
  *packed = NULL;
  if (count <= 0)
    return 0;
  *packed = (char *)addrs;
  return count;
}

static void sd_sys_free_local(char *packed) {
  if (packed)
    sctp_freeladdrs((struct sockaddr *)packed);
}

/* Gets the packed addresses of the peer, to be freed by sd_sys_free_peer().
 * Returns their number, or 0. */
static int sd_sys_peer_addresses(int fd, sctp_assoc_t id, char **packed) {
  struct sockaddr *addrs;
  int count = sctp_getpaddrs(fd, id, &addrs);
  *packed = NULL;
  if (count <= 0)
    return 0;
  *packed = (char *)addrs;
  return count;
}

static void sd_sys_free_peer(char *packed) {
  if (packed)
    sctp_freepaddrs((struct sockaddr *)packed);
}

/* === 2. Handles =========================================================== */

/* --- 2.1 Lifetime --------------------------------------------------------- */

enum sd_class { SD_ENDPOINT, SD_SOCKET, SD_LISTENER, SD_CLASSES };

enum sd_state {
  SD_OPEN,
  SD_LINGERING, /* closed for JavaScript, the socket still sends */
  SD_CLOSING,   /* uv_close() called, fd closed */
  SD_CLOSED     /* close callbacks have run */
};

/* Bytes that short messages are received into. Longer messages are assembled
 * from pieces; Linux grants a socket about this much by default, so that is
 * rare. */
#define SD_SLAB (256 * 1024)

/* One Node-API environment: the main thread, a worker, or a reload. */
struct sd_addon {
  napi_env env;
  uv_loop_t *loop;
  napi_ref classes[SD_CLASSES];
  napi_ref storage_class; /* AsyncLocalStorage, or NULL if no handle needs it */
  napi_async_cleanup_hook_handle hook;
  struct sd_handle *handles;      /* handles not yet closed, newest first */
  struct sd_handle *constructing; /* handle for the object in construction */
  struct sd_handle *recent;       /* last result of sd_this(), or NULL */
  struct sd_handle *receiving;    /* handle whose receive loop runs, or NULL */
  bool exiting;                   /* no upcalls any more */
  struct sd_rx_batch *batch;
  napi_ref slab_bytes;   /* the slab as a Buffer */
  char *slab;            /* the slab's memory, valid until an upcall */
  size_t used;           /* bytes of the slab that the batch uses */
  size_t bytes;          /* bytes of all messages in the batch */
  struct sd_item *group; /* item with the span that grows, or NULL */
  uint32_t group_source; /* association of that span */
  char *received;        /* the message received last, in slab or block */
  char *block;           /* memory for the next long messages, or NULL */
  size_t block_size;
  size_t block_used;              /* bytes that messages use */
  size_t block_dirty;             /* bytes behind them that hold older data */
  struct sd_handle *block_handle; /* handle of the block's messages */
  uint32_t block_source;          /* association of the block's messages */
  uint32_t block_slot;            /* index in the array `blocks` */
  napi_ref blocks;                /* the array of blocks of the script */
  napi_ref set_slab;              /* functions of the script, section 3.2 */
  napi_ref deliver_batch;
  napi_ref make_receiver;
  napi_ref make_send;
  _Alignas(max_align_t) char spill[SD_SLAB]; /* see sd_batch_deliver_before() */
  char scratch[SD_SCRATCH];                  /* discarded messages */
};

struct sd_handle;

/* A timer of a handle. */
struct sd_timer {
  uv_timer_t uv;
  struct sd_handle *handle;
  struct sd_timer *next;             /* another timer of the handle */
  void (*fired)(struct sd_handle *); /* what it is for */
};

/* The difference between endpoints, sockets and listeners. */
struct sd_kind {
  enum sd_class class;
  bool collectable; /* an unrefed and dropped object closes its handle */
  void (*handle_ready)(struct sd_handle *handle, int events); /* 0: an error */
  void (*handle_retry)(struct sd_handle *handle); /* the back-off is over */
  void (*release)(struct sd_handle *handle); /* frees what it owns, or NULL */
};

/* The common part of endpoints, sockets and listeners. */
struct sd_handle {
  const struct sd_kind *kind;
  struct sd_addon *addon;
  struct sd_handle *next;
  struct sd_handle **link; /* the pointer to this handle in the addon's list */
  enum sd_state state;
  bool collected;    /* there is no JavaScript object, or it is finalized */
  bool unrefed;      /* the loop may end while this handle is open */
  bool blocked;      /* a send met a full buffer and waits for space */
  bool retry_failed; /* no send has worked since poll() reported space */
  int fd;
  unsigned singles; /* receive loops in a row that found one message */
  size_t expected;  /* length of long messages of this handle, or 0 */
  int armed;        /* event mask given to uv_poll_start() */
  int uv_handles;   /* poll and timers, as long as they are not yet closed */
  uv_poll_t poll;
  struct sd_timer retry;   /* until the socket is tried again */
  struct sd_timer *timers; /* all timers; the class may have more */
  napi_ref self;           /* the JavaScript object */
  napi_async_context context;
  napi_ref run; /* weak, or NULL: calls a function in its first context */
  napi_ref on_message; /* weak, or NULL: the function for each message */
  napi_ref on_event;   /* weak, or NULL: the function for each event */
  union sd_addr local;
};

static void sd_handle_maybe_free(struct sd_handle *handle) {
  if (handle->state == SD_CLOSED && handle->collected)
    free(handle);
}

static void sd_addon_maybe_done(struct sd_addon *addon) {
  if (!addon->exiting || addon->handles || !addon->hook)
    return;
  napi_remove_async_cleanup_hook(addon->hook);
  addon->hook = NULL;
}

static void sd_on_handle_closed(struct sd_handle *handle) {
  struct sd_addon *addon = handle->addon;
  if (--handle->uv_handles > 0)
    return;
  if (handle->kind->release)
    handle->kind->release(handle);
  if (handle->context)
    napi_async_destroy(addon->env, handle->context);
  if (handle->self)
    napi_delete_reference(addon->env, handle->self);
  if (handle->run)
    napi_delete_reference(addon->env, handle->run);
  if (handle->on_message)
    napi_delete_reference(addon->env, handle->on_message);
  if (handle->on_event)
    napi_delete_reference(addon->env, handle->on_event);
  *handle->link = handle->next;
  if (handle->next)
    handle->next->link = handle->link;
  if (addon->recent == handle)
    addon->recent = NULL;
  if (addon->block_handle == handle)
    addon->block = NULL;
  handle->state = SD_CLOSED;
  sd_handle_maybe_free(handle);
  sd_addon_maybe_done(addon);
}

static void sd_on_poll_closed(uv_handle_t *poll) {
  sd_on_handle_closed(poll->data);
}

static void sd_on_timer_closed(uv_handle_t *uv) {
  sd_on_handle_closed(((struct sd_timer *)uv->data)->handle);
}

static void sd_handle_close(struct sd_handle *handle) {
  struct sd_timer *timer;
  if (handle->state >= SD_CLOSING)
    return;
  handle->state = SD_CLOSING;
  uv_close((uv_handle_t *)&handle->poll, sd_on_poll_closed);
  for (timer = handle->timers; timer; timer = timer->next)
    uv_close((uv_handle_t *)&timer->uv, sd_on_timer_closed);
  sd_sys_close(handle->fd);
}

static void sd_timer_init(struct sd_handle *handle, struct sd_timer *timer,
                          void (*fired)(struct sd_handle *)) {
  uv_timer_init(handle->addon->loop, &timer->uv);
  timer->uv.data = timer;
  timer->handle = handle;
  timer->fired = fired;
  timer->next = handle->timers;
  handle->timers = timer;
  handle->uv_handles++;
}

/* Returns whether a handle has this descriptor already. With a second one,
 * libuv would end the process when the first is closed. */
static bool sd_addon_polls(const struct sd_addon *addon, int fd) {
  const struct sd_handle *handle = addon->handles;
  while (handle && handle->fd != fd)
    handle = handle->next;
  return handle;
}

/* Takes over `fd`, and closes it if this fails. */
static int sd_handle_init(struct sd_handle *handle, const struct sd_kind *kind,
                          struct sd_addon *addon, int fd) {
  int error = uv_poll_init(addon->loop, &handle->poll, fd);
  if (error < 0) {
    sd_sys_close(fd);
    return error;
  }
  handle->kind = kind;
  handle->addon = addon;
  handle->fd = fd;
  handle->uv_handles = 1;
  handle->collected = true;
  handle->poll.data = handle;
  sd_timer_init(handle, &handle->retry, kind->handle_retry);
  handle->next = addon->handles;
  if (handle->next)
    handle->next->link = &handle->next;
  handle->link = &addon->handles;
  addon->handles = handle;
  return 0;
}

/* Makes the struct of a class, which begins with its handle, and takes over
 * `fd`. Returns NULL, with `fd` closed, if there is no memory. */
static void *sd_handle_new(size_t size, const struct sd_kind *kind,
                           struct sd_addon *addon, int fd) {
  struct sd_handle *handle = calloc(1, size);
  if (!handle) {
    sd_sys_close(fd);
    return NULL;
  }
  if (sd_handle_init(handle, kind, addon, fd) == 0)
    return handle;
  free(handle);
  return NULL;
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

/* Stores a value under a private symbol of the handle's object and keeps
 * only a weak reference here. Callbacks usually refer to their handle, so a
 * strong reference would leak both. */
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

/* Keeps the present async context, if there is more to it than the async id
 * that Node-API restores. */
static bool sd_handle_keep_context(struct sd_handle *handle,
                                   napi_value object) {
  struct sd_addon *addon = handle->addon;
  napi_env env = addon->env;
  napi_value class, snapshot, run;
  if (!addon->storage_class)
    return true;
  return napi_get_reference_value(env, addon->storage_class, &class) ==
             napi_ok &&
         napi_get_named_property(env, class, "snapshot", &snapshot) ==
             napi_ok &&
         napi_call_function(env, class, snapshot, 0, NULL, &run) == napi_ok &&
         sd_hide(env, object, "run", run, &handle->run);
}

/* Gives the handle its JavaScript object. If this fails, the caller closes
 * the handle. */
static bool sd_handle_wrap(struct sd_handle *handle, napi_value object) {
  napi_env env = handle->addon->env;
  /* Node 26 would keep the resource of a context from being collected. There
   * the context is in the snapshot, so the handle need not be the resource. */
  napi_value resource = handle->addon->storage_class ? NULL : object;
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
  napi_env env = handle->addon->env;
  void (*set)(uv_handle_t *) = unrefed ? uv_unref : uv_ref;
  struct sd_timer *timer;
  if (handle->state != SD_OPEN || handle->unrefed == unrefed)
    return true;
  handle->unrefed = unrefed;
  set((uv_handle_t *)&handle->poll);
  for (timer = handle->timers; timer; timer = timer->next)
    set((uv_handle_t *)&timer->uv);
  if (!handle->kind->collectable)
    return true;
  return (unrefed ? napi_reference_unref
                  : napi_reference_ref)(env, handle->self, NULL) == napi_ok;
}

/* --- 2.2 Poll ------------------------------------------------------------- */

/* Milliseconds until the next try if poll() says "ready" and the call says
 * "no memory": an immediate try would spin. */
#define SD_BACKOFF_MS 10

/* Passes events on. A status below 0 means that the socket has an error and
 * that polling has stopped; a read tells the error. */
static void sd_on_poll(uv_poll_t *poll, int status, int events) {
  struct sd_handle *handle = poll->data;
  if (status < 0)
    handle->armed = events = 0;
  handle->kind->handle_ready(handle, events);
}

static void sd_on_timer(uv_timer_t *uv) {
  struct sd_timer *timer = uv->data;
  timer->fired(timer->handle);
}

/* Sets the event mask. uv_poll_start() costs system calls even if nothing
 * changes. It fails only for a descriptor that is polled elsewhere, which
 * never happens here. A closed handle stays as it is. */
static void sd_handle_arm(struct sd_handle *handle, int events) {
  if (handle->armed == events || handle->state >= SD_CLOSING)
    return;
  handle->armed = events;
  if (events)
    uv_poll_start(&handle->poll, events, sd_on_poll);
  else
    uv_poll_stop(&handle->poll);
}

static void sd_timer_start(struct sd_timer *timer, uint64_t ms) {
  if (timer->handle->state >= SD_CLOSING)
    return;
  /* The loop's clock stands still while JavaScript runs. */
  uv_update_time(timer->handle->addon->loop);
  uv_timer_start(&timer->uv, sd_on_timer, ms, 0);
}

/* Waits for space after a send has met a full buffer. Under memory pressure
 * poll() reports space all the time and a send still fails, so a timer takes
 * over. */
static void sd_handle_block(struct sd_handle *handle) {
  if (handle->blocked)
    return;
  handle->blocked = true;
  if (handle->retry_failed)
    sd_timer_start(&handle->retry, SD_BACKOFF_MS);
  else
    sd_handle_arm(handle, handle->armed | UV_WRITABLE);
}

/* Lets sends try again. */
static void sd_handle_unblock(struct sd_handle *handle) {
  sd_handle_arm(handle, handle->armed & ~UV_WRITABLE);
  handle->blocked = false;
  handle->retry_failed = true;
}

/* --- 2.3 Upcalls ---------------------------------------------------------- */

/* The most arguments of an upcall. */
#define SD_ARGUMENTS 5

/* A series of upcalls: nextTick and promise callbacks run once, at its end. */
struct sd_scope {
  bool begun;
  napi_handle_scope handles;
  napi_callback_scope callbacks;
};

/* Whether a receive loop goes on with its handle. It stops if the handle is not
 * open any more, or if an exception has cleared the async context; poll() then
 * reports the rest of the queue. Results are chained with &&. */
enum sd_next { SD_STOP, SD_CONTINUE };

/* Reports an exception as Node does for any callback. `status` is the result
 * of the failed call. */
static void sd_report_exception(struct sd_addon *addon, napi_status status) {
  napi_value error;
  bool pending = false;
  napi_is_exception_pending(addon->env, &pending);
  if (pending &&
      napi_get_and_clear_last_exception(addon->env, &error) == napi_ok)
    status = napi_fatal_exception(addon->env, error);
  /* "Pending exception" without one: the thread is being terminated. */
  if (status == napi_pending_exception)
    addon->exiting = true;
}

/* Returns whether to go on with a handle. It is asked after any JavaScript:
 * upcalls, hooks, getters, setters and proxies. */
static bool sd_handle_usable(const struct sd_handle *handle) {
  return handle->state == SD_OPEN && !handle->addon->exiting;
}

static void sd_scope_close(struct sd_handle *handle, struct sd_scope *scope) {
  struct sd_addon *addon = handle->addon;
  napi_status status;
  if (!scope->begun)
    return;
  scope->begun = false;
  status = napi_close_callback_scope(addon->env, scope->callbacks);
  if (status != napi_ok)
    sd_report_exception(addon, status);
  napi_close_handle_scope(addon->env, scope->handles);
}

/* Opens a scope. Returns false, with none open, if the handle cannot be used
 * any more: a `before` hook of async_hooks is JavaScript. */
static bool sd_scope_open(struct sd_handle *handle, struct sd_scope *scope) {
  napi_env env = handle->addon->env;
  napi_value self;
  scope->begun = false;
  if (!sd_handle_usable(handle) ||
      napi_open_handle_scope(env, &scope->handles) != napi_ok)
    return false;
  scope->begun =
      napi_get_reference_value(env, handle->self, &self) == napi_ok && self &&
      napi_open_callback_scope(env, self, handle->context, &scope->callbacks) ==
          napi_ok;
  if (!scope->begun)
    napi_close_handle_scope(env, scope->handles);
  else if (!sd_handle_usable(handle))
    sd_scope_close(handle, scope);
  return scope->begun;
}

/* Opens the scope again after an exception has closed it. Returns false if
 * the handle cannot be used any more: nextTick and promise callbacks have
 * run. */
static bool sd_scope_reopen(struct sd_handle *handle, struct sd_scope *scope) {
  sd_scope_close(handle, scope);
  return sd_scope_open(handle, scope);
}

/* Calls `function` in an open scope. */
static enum sd_next sd_upcall(struct sd_handle *handle, napi_value function,
                              size_t argc, const napi_value *argv) {
  struct sd_addon *addon = handle->addon;
  napi_env env = addon->env;
  napi_value self, run, run_argv[1 + SD_ARGUMENTS];
  napi_status status;
  if (!sd_handle_usable(handle))
    return SD_STOP;
  status = napi_get_reference_value(env, handle->self, &self);
  if (status == napi_ok && handle->run) {
    run_argv[0] = function;
    if (argc > 0)
      memcpy(run_argv + 1, argv, argc * sizeof *argv);
    status = napi_get_reference_value(env, handle->run, &run);
    if (status == napi_ok)
      status = napi_call_function(env, self, run, argc + 1, run_argv, NULL);
  } else if (status == napi_ok) {
    status = napi_call_function(env, self, function, argc, argv, NULL);
  }
  if (status != napi_ok)
    sd_report_exception(addon, status);
  return status == napi_ok && sd_handle_usable(handle);
}

/* Calls the function onEvent(event, ...) that lib/ has given to start().
 * Nothing is polled before start(). */
static enum sd_next sd_emit(struct sd_handle *handle, const char *event,
                            size_t argc, const napi_value *argv) {
  napi_env env = handle->addon->env;
  napi_value on_event, all[SD_ARGUMENTS];
  if (argc > 0)
    memcpy(all + 1, argv, argc * sizeof *argv);
  return sd_handle_usable(handle) &&
         napi_get_reference_value(env, handle->on_event, &on_event) ==
             napi_ok &&
         on_event &&
         napi_create_string_latin1(env, event, NAPI_AUTO_LENGTH, &all[0]) ==
             napi_ok &&
         sd_upcall(handle, on_event, argc + 1, all);
}

/* --- 2.4 Classes ---------------------------------------------------------- */

static bool sd_check_open(napi_env env, const struct sd_handle *handle) {
  if (handle->state == SD_OPEN)
    return true;
  sd_throw(env, napi_create_error, "ERR_SOCKET_CLOSED", "Socket is closed");
  return false;
}

/* Makes the JavaScript object of a handle. Returns NULL after an exception. */
static napi_value sd_handle_object(struct sd_handle *handle) {
  struct sd_addon *addon = handle->addon;
  napi_env env = addon->env;
  napi_value class, object;
  SD_CHECK(env, napi_get_reference_value(
                    env, addon->classes[handle->kind->class], &class));
  addon->constructing = handle;
  if (napi_new_instance(env, class, 0, NULL, &object) != napi_ok) {
    sd_throw_status(env);
    object = NULL;
  }
  addon->constructing = NULL; /* also if the class was not called */
  return object;
}

/* Returns the object of a new handle to JavaScript. If it could not be made, or
 * a hook has closed the handle, closes it and returns NULL after an exception.
 */
static napi_value sd_handle_return(struct sd_handle *handle,
                                   napi_value object) {
  if (object && sd_check_open(handle->addon->env, handle))
    return object;
  sd_handle_close(handle);
  return NULL;
}

/* Constructs an object of any class. It takes the handle before it wraps it,
 * since an `init` hook, which runs meanwhile, may call this function again. */
static napi_value sd_js_construct(napi_env env, napi_callback_info info) {
  size_t argc = 0;
  napi_value self;
  struct sd_addon *addon;
  struct sd_handle *handle;
  SD_CHECK(env, napi_get_cb_info(env, info, &argc, NULL, &self, NULL));
  SD_CHECK(env, napi_get_instance_data(env, (void **)&addon));
  handle = addon->constructing;
  addon->constructing = NULL;
  if (!handle) {
    sd_throw(env, napi_create_type_error, "ERR_ILLEGAL_CONSTRUCTOR",
             "Illegal constructor");
    return NULL;
  }
  if (!sd_handle_wrap(handle, self)) {
    sd_throw_status(env);
    return NULL;
  }
  return self;
}

/* Returns whether `self` is the object of the handle that was used last.
 * This is faster than to unwrap it, for which Node-API looks up a property. */
static bool sd_is_recent(napi_env env, struct sd_addon *addon,
                         napi_value self) {
  napi_value recent;
  bool same = false;
  return addon->recent &&
         napi_get_reference_value(env, addon->recent->self, &recent) ==
             napi_ok &&
         recent && napi_strict_equals(env, recent, self, &same) == napi_ok &&
         same;
}

/* Returns the handle of `this`. The signature of the class ensures that
 * `this` is one of its objects, or a new object if a method is called with
 * `new`. */
static void *sd_this(napi_env env, napi_callback_info info, size_t argc,
                     napi_value *argv, napi_value *self) {
  void *addon, *handle;
  if (napi_get_cb_info(env, info, &argc, argv, self, &addon) == napi_ok) {
    if (sd_is_recent(env, addon, *self))
      return ((struct sd_addon *)addon)->recent;
    if (napi_unwrap(env, *self, &handle) == napi_ok) {
      if (((struct sd_handle *)handle)->state == SD_OPEN)
        ((struct sd_addon *)addon)->recent = handle;
      return handle;
    }
  }
  sd_throw(env, napi_create_type_error, "ERR_INVALID_THIS",
           "Illegal invocation");
  return NULL;
}

/* Keeps the function given to start() of a socket or listener. Returns false
 * after an exception. */
static bool sd_handle_start(napi_env env, struct sd_handle *handle,
                            napi_value self, napi_value on_event) {
  if (!sd_check_open(env, handle) || !sd_arg_function(env, on_event, "onEvent"))
    return false;
  if (handle->on_event) {
    sd_throw(env, napi_create_error, "ERR_INVALID_STATE",
             "start() was called before");
    return false;
  }
  if (sd_hide(env, self, "onEvent", on_event, &handle->on_event))
    return true;
  sd_throw_status(env);
  return false;
}

/* Makes { address, family, port }. Returns NULL after an exception. */
static napi_value sd_addr_object(napi_env env, const union sd_addr *addr) {
  napi_value result;
  char host[SD_HOST_MAX];
  sd_addr_format(addr, host);
  SD_CHECK(env, napi_create_object(env, &result));
  if (sd_define_string(env, result, "address", host) &&
      sd_define_string(env, result, "family",
                       addr->sa.sa_family == AF_INET ? "IPv4" : "IPv6") &&
      sd_define_number(env, result, "port", sd_addr_port(addr)))
    return result;
  sd_throw_status(env);
  return NULL;
}

/* Makes an array of { address, family, port }, with `first` in front if it
 * is among them. Returns NULL after an exception. */
static napi_value sd_addrs_array(napi_env env, const char *packed, int count,
                                 const union sd_addr *first) {
  size_t offset = 0;
  union sd_addr addr;
  napi_value array, object;
  int front = -1, i;
  SD_CHECK(env, napi_create_array_with_length(env, (size_t)count, &array));
  for (i = 0; i < count && front < 0; i++) {
    offset = sd_addrs_next(packed, offset, &addr);
    if (sd_addr_same(&addr, first))
      front = i;
  }
  for (offset = 0, i = 0; i < count; i++) {
    int index = i == front ? 0 : i < front ? i + 1 : i;
    offset = sd_addrs_next(packed, offset, &addr);
    sd_addr_find_scope(&addr);
    object = sd_addr_object(env, &addr);
    if (!object)
      return NULL;
    if (!sd_define_element(env, array, (uint32_t)index, object)) {
      sd_throw_status(env);
      return NULL;
    }
  }
  return array;
}

static napi_value sd_js_address(napi_env env, napi_callback_info info) {
  napi_value self;
  struct sd_handle *handle = sd_this(env, info, 0, NULL, &self);
  if (!handle || !sd_check_open(env, handle))
    return NULL;
  return sd_addr_object(env, &handle->local);
}

static napi_value sd_js_set_unrefed(napi_env env, napi_callback_info info,
                                    bool unrefed) {
  napi_value self;
  struct sd_handle *handle = sd_this(env, info, 0, NULL, &self);
  if (!handle)
    return NULL;
  if (!sd_handle_set_unrefed(handle, unrefed)) {
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

/* Makes the result of a system call, a number or -errno, for lib/. */
static napi_value sd_result(napi_env env, int number) {
  napi_value result;
  SD_CHECK(env, napi_create_int32(env, number, &result));
  return result;
}

/* Reads level, name and bytes of a socket option. */
static bool sd_arg_option(napi_env env, const napi_value *argv,
                          struct sd_option *option) {
  double level, name;
  void *data;
  size_t size;
  if (!sd_arg_integer(env, argv[0], "level", 0, INT32_MAX, &level) ||
      !sd_arg_integer(env, argv[1], "name", 0, INT32_MAX, &name) ||
      !sd_arg_bytes(env, argv[2], "bytes", &data, &size))
    return false;
  *option = (struct sd_option){.level = (int)level,
                               .name = (int)name,
                               .value = data,
                               .length = (socklen_t)size};
  return true;
}

/* getOption(level, name, bytes) writes the option into `bytes`, from which the
 * kernel reads what it is about, and returns its length or -errno. */
static napi_value sd_js_get_option(napi_env env, napi_callback_info info) {
  napi_value argv[3], self;
  struct sd_handle *handle = sd_this(env, info, 3, argv, &self);
  struct sd_option option;
  int error;
  if (!handle || !sd_check_open(env, handle) ||
      !sd_arg_option(env, argv, &option))
    return NULL;
  error = sd_sys_getsockopt(handle->fd, option.level, option.name,
                            (void *)option.value, &option.length);
  return sd_result(env, error < 0 ? error : (int)option.length);
}

/* setOption(level, name, bytes) returns 0 or -errno. */
static napi_value sd_js_set_option(napi_env env, napi_callback_info info) {
  napi_value argv[3], self;
  struct sd_handle *handle = sd_this(env, info, 3, argv, &self);
  struct sd_option option;
  if (!handle || !sd_check_open(env, handle) ||
      !sd_arg_option(env, argv, &option))
    return NULL;
  return sd_result(env, sd_sys_setsockopt(handle->fd, option.level, option.name,
                                          option.value, option.length));
}

/* Copies the text of a peer's ABORT from `cause`, the sac_info of
 * SCTP_COMM_LOST: RFC 9260 section 3.3.10.12, User-Initiated Abort. Returns
 * its length. */
static size_t sd_abort_reason(const uint8_t *cause, size_t size,
                              const char **text) {
  const size_t head = 4;
  size_t length;
  if (size < head || cause[0] != 0 || cause[1] != 12)
    return 0;
  length = (size_t)cause[2] << 8 | cause[3];
  if (length < head || length > size)
    return 0;
  *text = (const char *)cause + head;
  return length - head;
}

static bool sd_set_reason(napi_env env, napi_value error, const char *text,
                          size_t length) {
  napi_value reason;
  return length == 0 ||
         (napi_create_string_utf8(env, text, length, &reason) == napi_ok &&
          sd_define(env, error, "reason", reason));
}

#define SD_METHOD(js_name, function)                                           \
  { .utf8name = js_name, .method = function, .attributes = napi_default_method }

#define SD_CALLBACK(name)                                                      \
  {                                                                            \
    .utf8name = #name, .getter = sd_js_get_##name, .setter = sd_js_set_##name, \
    .attributes = napi_enumerable | napi_configurable                          \
  }

static napi_status sd_define_class(napi_env env, struct sd_addon *addon,
                                   enum sd_class which, const char *name,
                                   napi_property_descriptor *methods,
                                   size_t count) {
  napi_value class;
  napi_status status;
  size_t i;
  for (i = 0; i < count; i++)
    methods[i].data = addon; /* for sd_this() */
  status = napi_define_class(env, name, NAPI_AUTO_LENGTH, sd_js_construct, NULL,
                             count, methods, &class);
  if (status == napi_ok)
    status = napi_create_reference(env, class, 1, &addon->classes[which]);
  return status;
}

/* === 3. Receiving ========================================================= */

/* --- 3.1 Reassembly ------------------------------------------------------- */

#define SD_RECV_MAX (16 * 1024 * 1024)

/* Memory for the unfinished messages of all peers of one socket, so that peers
 * which never finish a message cannot exhaust it. */
#define SD_ASSEMBLY_TOTAL (4 * SD_RECV_MAX)

/* The pieces of a message so far. */
struct sd_partial {
  struct sd_partial *next; /* another unfinished message of a socket */
  uint32_t stream;         /* see sd_stream_of() */
  uint32_t ppid; /* of the first piece: with I-DATA the others have none */
  uint16_t mid;  /* rcv_ssn, see sd_socket_expire_partials() */
  char *data;
  size_t length;
  size_t capacity;
};

/* The limits of reassembly for one socket. */
struct sd_assembly {
  size_t max;   /* length of a message */
  size_t total; /* capacity of all unfinished messages */
};

/* Returns the number by which pieces of one message are told from those of
 * others. With I-DATA chunks (RFC 8260), the pieces of two streams, and those
 * of ordered and unordered messages of one stream, may alternate. */
static uint32_t sd_stream_of(uint16_t sid, bool unordered) {
  return (uint32_t)sid << 1 | unordered;
}

/* Drops the pieces of a message that has been delivered or will never be
 * complete. */
static void sd_partial_drop(struct sd_assembly *assembly,
                            struct sd_partial *partial) {
  assembly->total -= partial->capacity;
  free(partial->data);
  memset(partial, 0, sizeof *partial);
}

/* Appends a piece. Returns 0, -EMSGSIZE (the message is too long) or
 * -ENOBUFS (no memory). */
static int sd_partial_append(struct sd_assembly *assembly,
                             struct sd_partial *partial, const char *data,
                             size_t size) {
  size_t needed = partial->length + size, capacity = partial->capacity * 2;
  char *grown;
  if (needed > assembly->max)
    return -EMSGSIZE;
  if (needed > partial->capacity) {
    if (capacity > assembly->max)
      capacity = assembly->max;
    if (capacity < needed)
      capacity = needed;
    if (assembly->total + capacity - partial->capacity > SD_ASSEMBLY_TOTAL)
      return -ENOBUFS;
    grown = realloc(partial->data, capacity);
    if (!grown)
      return -ENOBUFS;
    assembly->total += capacity - partial->capacity;
    partial->data = grown;
    partial->capacity = capacity;
  }
  if (partial->data) /* else there is nothing yet, not even in this piece */
    memcpy(partial->data + partial->length, data, size);
  partial->length = needed;
  return 0;
}

/* --- 3.2 Slab and receive batch ------------------------------------------- */

/* The longest span of short messages of one association that JavaScript copies
 * together, and the length of a block for long ones. Each of these messages
 * keeps the memory of all. */
#define SD_TOGETHER (16 * 1024)

/* Length from which on a message is received into a block and stays there. */
#define SD_LONG (4 * 1024)

/* Free bytes of the slab below which the batch is delivered before the next
 * message. The longest chunk that the kernel gives back (RFC 6458 section
 * 6.1.11) must fit, with the header of the notification. */
#define SD_SLAB_MIN_FREE (68 * 1024)

/* Bytes of messages at which the batch is delivered. */
#define SD_BATCH_MAX (1024 * 1024)

/* A received message. The script reads the fields in this order. */
struct sd_item {
  uint32_t slot;  /* index of its block, from 1 on; 0: it is in the slab */
  uint32_t start; /* offset in block or slab */
  uint32_t size;
  uint32_t span; /* bytes of the messages from here on that the script copies
                    together; 0: this one is in the last copy already */
  uint32_t sid;  /* for an endpoint, index of the peer's host */
  uint32_t ppid; /* for an endpoint, the peer's port */
  uint32_t unordered;
};

/* Messages on their way to JavaScript, which shares this memory. The script
 * increments `next` before it delivers a message; the next upcall delivers what
 * was left after an exception. */
struct sd_rx_batch {
  uint32_t next;
  uint32_t count;
  struct sd_item items[SD_RECEIVE_BUDGET];
};

/* Blocks: at most two for each message of a batch, and one for the next. */
#define SD_SLOTS (2 * SD_RECEIVE_BUDGET + 1)

/* An upcall, and each JavaScript object made in C, costs about as much as a
 * small copy in the kernel. Therefore messages are received into memory that
 * JavaScript can read, and one upcall delivers many. */

/* The script, from lib/deliver.js: functions in JavaScript, since the same in C
 * would take four times as long. They are compiled here, so that the package
 * and the bare binary have the same.
 *
 * deliverBatch() delivers the batch in `words`: short messages from the slab,
 * which setSlab() has set, and long ones from `blocks`, one after the other.
 * makeReceiver() makes the functions that it calls from onRecv, holds items
 * back from pause() to resume(), and lets no setter on a prototype see the
 * elements of its arrays. makeSend() makes a send() that throws the Error
 * which the one in C returns for a refused message: to throw it from C costs
 * more.
 *
 * Messages that share memory cannot be transferred to another thread, as is
 * the case for small Buffers in Node. If JavaScript takes the slab away, the
 * messages left in it are lost. Node may take memory for short Buffers from
 * a pool, which messages of SD_LONG and more never share. */
/* clang-format off: scripts/embed writes this */
static const char sd_deliver_source[] =
    "(words, SLOTS, LONG) => { "
    "const { allocUnsafe, allocUnsafeSlow, [Symbol.species]: View } = Buffer; "
    "const { setPrototypeOf } = Object; "
    "const { markAsUntransferable } = "
    "process.getBuiltinModule?.('node:worker_threads') ?? {}; "
    "const blocks = new Array(SLOTS + 1).fill(undefined); "
    "let current = 0; "
    "let slab; "
    "let memory; "
    "let base = 0; "
    "function setSlab(newSlab) { "
    "slab = newSlab; "
    "} "
    "function deliverBatch(onMessage) { "
    "while (words[0] < words[1]) { "
    "const at = 2 + 7 * words[0]++; "
    "const slot = words[at]; "
    "const start = words[at + 1]; "
    "const size = words[at + 2]; "
    "const span = words[at + 3]; "
    "let data; "
    "if (slot === 0 && slab.length === 0) continue; "
    "if (slot > 0) { "
    "if (slot !== current) { "
    "blocks[current] = undefined; "
    "current = slot; "
    "} "
    "data = blocks[slot]; "
    "if (size === data.length) { "
    "blocks[slot] = undefined; "
    "} else { "
    "if (start === 0) markAsUntransferable?.(data.buffer); "
    "data = new View(data.buffer, start, size); "
    "} "
    "} else if (span > 0) { "
    "data = span < LONG ? allocUnsafe(span) : allocUnsafeSlow(span); "
    "slab.copy(data, 0, start, start + span); "
    "if (span > size) { "
    "memory = data.buffer; "
    "base = data.byteOffset - start; "
    "markAsUntransferable?.(memory); "
    "data = new View(memory, base + start, size); "
    "} "
    "} else { "
    "data = new View(memory, base + start, size); "
    "} "
    "onMessage(data, words[at + 4], words[at + 5], words[at + 6]); "
    "} "
    "} "
    "const makeReceiver = (onRecv, hosts, callbacks) => { "
    "setPrototypeOf(hosts, null); "
    "setPrototypeOf(callbacks, null); "
    "const held = { __proto__: null }; "
    "let begin = 0; "
    "let end = 0; "
    "let paused = false; "
    "let waiting = false; "
    "const receive = (item) => { "
    "if (waiting) held[end++] = item; "
    "else onRecv(item); "
    "}; "
    "return { "
    "onMessage(data, host, port) { "
    "receive([data, hosts[host], port]); "
    "}, "
    "onError: receive, "
    "hold(on) { "
    "paused = on; "
    "waiting = true; "
    "while (begin < end && !paused) { "
    "const item = held[begin]; "
    "delete held[begin++]; "
    "onRecv(item); "
    "} "
    "waiting = paused; "
    "}, "
    "}; "
    "}; "
    "const makeSend = (send) => "
    "({ "
    "send(buffer, host, port) { "
    "const result = send.call(this, buffer, host, port); "
    "if (typeof result === 'number') return result; "
    "throw result; "
    "}, "
    "}).send; "
    "return { setSlab, deliverBatch, makeReceiver, blocks, makeSend }; "
    "} ";
/* clang-format on */

/* Allocates a new slab. */
static napi_status sd_slab_new(struct sd_addon *addon) {
  napi_env env = addon->env;
  void *data;
  napi_value slab, use;
  napi_ref bytes = NULL;
  napi_status status = napi_create_buffer(env, SD_SLAB, &data, &slab);
  if (status == napi_ok &&
      (status = napi_create_reference(env, slab, 1, &bytes)) == napi_ok &&
      (status = napi_get_reference_value(env, addon->set_slab, &use)) ==
          napi_ok)
    status = napi_call_function(env, use, use, 1, &slab, NULL);
  if (status != napi_ok) {
    if (bytes)
      napi_delete_reference(env, bytes);
    napi_get_and_clear_last_exception(env, &use);
    return status;
  }
  if (addon->slab_bytes)
    napi_delete_reference(env, addon->slab_bytes);
  addon->slab_bytes = bytes;
  addon->slab = data;
  return napi_ok;
}

/* Finds the slab again after an upcall, which may have taken it away. */
static bool sd_slab_find(struct sd_addon *addon) {
  napi_value bytes;
  void *data;
  size_t size;
  if (napi_get_reference_value(addon->env, addon->slab_bytes, &bytes) !=
          napi_ok ||
      napi_get_buffer_info(addon->env, bytes, &data, &size) != napi_ok)
    return false;
  addon->slab = data;
  if (size == SD_SLAB)
    return true;
  addon->batch->next = addon->batch->count = 0; /* gone with it */
  return sd_slab_new(addon) == napi_ok;
}

static void sd_batch_clear(struct sd_addon *addon) {
  addon->batch->next = addon->batch->count = 0;
  addon->used = addon->bytes = 0;
  addon->group = NULL;
}

/* Begins a batch, before the first sd_batch_recv(). */
static void sd_batch_begin(struct sd_handle *handle) {
  handle->addon->receiving = handle;
  sd_batch_clear(handle->addon);
}

/* Empties the batch of a closed handle. */
static void sd_batch_cancel(struct sd_handle *handle) {
  struct sd_addon *addon = handle->addon;
  if (addon->receiving == handle)
    addon->batch->count = 0;
}

static bool sd_batch_full(const struct sd_addon *addon) {
  return addon->batch->count == SD_RECEIVE_BUDGET ||
         SD_SLAB - addon->used < SD_SLAB_MIN_FREE ||
         addon->bytes >= SD_BATCH_MAX;
}

/* After this many receive loops with a single message, only every Nth loop
 * tries a second recvmsg(). */
#define SD_SINGLES 8

/* Returns the number of messages to look for. If they come one at a time, a
 * second recvmsg() costs more than it finds, and poll() would report the
 * message. */
static int sd_receive_budget(struct sd_handle *handle) {
  if (handle->singles < SD_SINGLES || handle->singles++ % SD_SINGLES == 0)
    return SD_RECEIVE_BUDGET;
  return 1;
}

/* Adapts the next budget to the number of messages found. */
static void sd_receive_found(struct sd_handle *handle, int budget, int found) {
  if (found > 1)
    handle->singles = 0;
  else if (budget > 1 && handle->singles < SD_SINGLES)
    handle->singles++;
}

/* Puts a block into the next slot. Its messages are delivered after those of
 * the block before. Returns false if there is no memory. */
static bool sd_block_put(struct sd_addon *addon, napi_value block) {
  napi_env env = addon->env;
  napi_value blocks;
  uint32_t slot = addon->block_slot % SD_SLOTS + 1;
  if (napi_get_reference_value(env, addon->blocks, &blocks) != napi_ok ||
      napi_set_element(env, blocks, slot, block) != napi_ok)
    return false;
  addon->block_slot = slot;
  return true;
}

/* Provides memory that a message of the expected length is received into,
 * since a second copy would cost as much as the first. Returns its size, or
 * 0 if there is none. */
static size_t sd_block_prepare(struct sd_handle *handle) {
  struct sd_addon *addon = handle->addon;
  size_t size = handle->expected;
  size_t block_size = size <= SD_TOGETHER / 2 ? SD_TOGETHER : size;
  napi_value block, error;
  void *data;
  if (size == 0 || size > SD_SLAB - addon->used)
    return 0;
  if (addon->block && addon->block_size == block_size &&
      (addon->block_used == 0 || addon->block_handle == handle) &&
      addon->block_size - addon->block_used >= size)
    return size;
  addon->block = NULL;
  if (napi_create_buffer(addon->env, block_size, &data, &block) != napi_ok ||
      !sd_block_put(addon, block)) {
    napi_get_and_clear_last_exception(addon->env, &error);
    return 0;
  }
  addon->block = data;
  addon->block_size = block_size;
  addon->block_used = addon->block_dirty = 0;
  return size;
}

/* Moves the message received last, whose first `own` bytes are in the block,
 * to the slab. */
static void sd_block_leave(struct sd_addon *addon, size_t n, size_t own) {
  char *slab = addon->slab + addon->used;
  if (n > own)
    memmove(slab + own, slab, n - own);
  memcpy(slab, addon->received, n < own ? n : own);
  addon->received = slab;
}

/* Decides where a message of `n` bytes stays, whose first `own` bytes were
 * received into the block: there, if it is long and nearly as long as
 * expected, else in the slab. */
static void sd_batch_place(struct sd_handle *handle, size_t n, size_t own,
                           int flags) {
  struct sd_addon *addon = handle->addon;
  size_t in_block = n < own ? n : own;
  bool whole = flags & MSG_EOR && !(flags & MSG_NOTIFICATION);
  if (whole && n >= SD_LONG &&
      (n > handle->expected || n < handle->expected / 2))
    handle->expected = n;
  if (own == 0) {
    addon->received = addon->slab + addon->used;
    return;
  }
  addon->received = addon->block + addon->block_used;
  if (addon->block_dirty < in_block)
    addon->block_dirty = in_block;
  if (!whole || n > own || n < SD_LONG || n < own / 2)
    sd_block_leave(addon, n, own);
}

/* Receives a message behind those of the batch, and sets addon->received to
 * its place. An upcall may have run since if the batch is empty. */
static ssize_t sd_batch_recv(struct sd_handle *handle,
                             struct sd_received *received) {
  struct sd_addon *addon = handle->addon;
  struct iovec iov[2];
  size_t own;
  ssize_t n;
  if (addon->batch->count == 0 && !sd_slab_find(addon))
    return -ENOMEM;
  own = sd_block_prepare(handle);
  iov[0] =
      (struct iovec){.iov_base = own ? addon->block + addon->block_used : NULL,
                     .iov_len = own};
  iov[1] = (struct iovec){.iov_base = addon->slab + addon->used,
                          .iov_len = SD_SLAB - addon->used - own};
  n = sd_sys_recv(handle->fd, own ? iov : iov + 1, own ? 2 : 1, received);
  sd_batch_place(handle, n > 0 ? (size_t)n : 0, own, received->flags);
  return n;
}

/* Rounds up to the alignment that notifications need. */
#define SD_ALIGN(size)                                                         \
  (((size) + _Alignof(max_align_t) - 1) / _Alignof(max_align_t) *              \
   _Alignof(max_align_t))

static struct sd_item *sd_batch_next(struct sd_addon *addon, size_t size,
                                     uint32_t sid, uint32_t ppid,
                                     bool unordered) {
  struct sd_item *item = &addon->batch->items[addon->batch->count++];
  *item = (struct sd_item){
      .size = (uint32_t)size, .sid = sid, .ppid = ppid, .unordered = unordered};
  addon->bytes += size;
  return item;
}

/* Adds a message to the batch in the block that it was received into. */
static void sd_block_add(struct sd_addon *addon, struct sd_item *item,
                         size_t size, uint32_t source) {
  size_t taken = SD_ALIGN(size);
  if (addon->block_dirty > size)
    memset(addon->received + size, 0, addon->block_dirty - size);
  addon->block_dirty = 0;
  item->slot = addon->block_slot;
  item->start = (uint32_t)addon->block_used;
  addon->block_used += taken;
  addon->block_handle = addon->receiving;
  addon->block_source = source;
  if (addon->block_size < addon->block_used + SD_LONG)
    addon->block = NULL;
}

/* Adds the message received last to the batch. Messages of different
 * associations share no memory. */
static void sd_batch_add(struct sd_addon *addon, size_t size, uint32_t source,
                         uint32_t sid, uint32_t ppid, bool unordered) {
  struct sd_item *item = sd_batch_next(addon, size, sid, ppid, unordered);
  size_t start = addon->used;
  if (addon->received != addon->slab + start) {
    if (addon->block_used == 0 || addon->block_source == source) {
      sd_block_add(addon, item, size, source);
      addon->group = NULL;
      return;
    }
    sd_block_leave(addon, size, size);
    addon->block = NULL; /* the next may be of this source again */
  }
  item->start = (uint32_t)start;
  addon->used += SD_ALIGN(size);
  if (!addon->group || addon->group_source != source || size >= SD_LONG ||
      addon->group->size >= SD_LONG ||
      start + size - addon->group->start > SD_TOGETHER)
    addon->group = item;
  addon->group_source = source;
  addon->group->span = (uint32_t)(start + size - addon->group->start);
}

/* Adds a reassembled message to the batch. Returns false if there is no
 * memory. */
static bool sd_batch_add_whole(struct sd_addon *addon,
                               const struct sd_partial *message, uint32_t sid,
                               uint32_t ppid, bool unordered) {
  napi_value whole, error;
  if (napi_create_buffer_copy(addon->env, message->length, message->data, NULL,
                              &whole) != napi_ok ||
      !sd_block_put(addon, whole)) {
    napi_get_and_clear_last_exception(addon->env, &error);
    return false;
  }
  addon->block = NULL;
  sd_batch_next(addon, message->length, sid, ppid, unordered)->slot =
      addon->block_slot;
  addon->group = NULL;
  return true;
}

static enum sd_next sd_batch_call(struct sd_handle *handle) {
  napi_env env = handle->addon->env;
  napi_value deliver, on_message;
  return napi_get_reference_value(env, handle->addon->deliver_batch,
                                  &deliver) == napi_ok &&
         napi_get_reference_value(env, handle->on_message, &on_message) ==
             napi_ok &&
         on_message && sd_upcall(handle, deliver, 1, &on_message);
}

/* Delivers the batch and empties it; after an exception it goes on with the
 * rest. Stops if the handle is not open any more or there is no
 * memory. */
static enum sd_next sd_batch_deliver(struct sd_handle *handle,
                                     struct sd_scope *scope) {
  struct sd_addon *addon = handle->addon;
  while (addon->batch->next < addon->batch->count) {
    uint32_t next = addon->batch->next;
    bool done = sd_batch_call(handle);
    if (!sd_handle_usable(handle))
      return SD_STOP;
    if (addon->batch->next == next)
      addon->batch->next++; /* not even begun: there is no memory */
    if (!done && (!sd_scope_reopen(handle, scope) || !sd_slab_find(addon)))
      return SD_STOP;
  }
  sd_batch_clear(addon);
  return SD_CONTINUE;
}

/* Delivers the batch before a notification that has just been received at
 * `*data` in the slab. Since JavaScript may take the slab away, the
 * notification is copied first. */
static enum sd_next sd_batch_deliver_before(struct sd_handle *handle,
                                            struct sd_scope *scope,
                                            const char **data, size_t size) {
  struct sd_addon *addon = handle->addon;
  if (addon->batch->count > 0) {
    memcpy(addon->spill, *data, size);
    *data = addon->spill;
  }
  return sd_batch_deliver(handle, scope);
}

/* === 4. Sending =========================================================== */

/* --- 4.1 Send buffer ------------------------------------------------------ */

/* A send buffer, as SO_MEMINFO told last. */
struct sd_sndbuf {
  int fd;
  long size; /* bytes of the buffer */
  long left; /* lower bound of the free bytes: sent messages are subtracted */
};

/* With SCTP_NODELAY each message leaves in a packet of its own. With
 * MSG_MORE it waits for the next one to share a packet, but it also waits if
 * no next one comes or if the next one is refused. So MSG_MORE is used only
 * if another message follows that the kernel will take, which it does as
 * long as the send buffer is not full. */

/* Returns the kernel's charge of the send buffer for a chunk: its bytes,
 * rounded up by the allocator, and two headers. */
static long sd_charge_chunk(size_t size) {
  long allocated = 512;
  while (allocated < (long)size + 448)
    allocated *= 2;
  return allocated + 512;
}

/* Returns the charge for a message that goes in chunks of at most `fragment`
 * bytes. */
static long sd_charge(size_t size, size_t fragment) {
  size_t rest = size % fragment;
  if (rest == size)
    return sd_charge_chunk(size);
  return (long)(size / fragment) * sd_charge_chunk(fragment) +
         (rest > 0 ? sd_charge_chunk(rest) : 0);
}

static void sd_sndbuf_refresh(struct sd_sndbuf *sndbuf) {
  uint32_t memory[SK_MEMINFO_VARS] = {0};
  socklen_t length = sizeof memory;
  sd_sys_getsockopt(sndbuf->fd, SOL_SOCKET, SO_MEMINFO, memory, &length);
  sndbuf->size = (long)memory[SK_MEMINFO_SNDBUF];
  sndbuf->left = sndbuf->size - (long)memory[SK_MEMINFO_WMEM_QUEUED];
}

/* Returns whether the kernel will take another message of `next` bytes after
 * one with this charge. 0 stands for no further message. */
static bool sd_sndbuf_fits(struct sd_sndbuf *sndbuf, long charge, size_t next) {
  long taken = charge + (long)next; /* nor longer than the buffer */
  if (next == 0)
    return false;
  if (sndbuf->left <= taken)
    sd_sndbuf_refresh(sndbuf);
  return sndbuf->left > taken;
}

/* === 5. Endpoint ========================================================== */

/* --- 5.1 Peers ------------------------------------------------------------ */

/* Slots of a new hash table; a power of two. */
#define SD_TABLE_SLOTS 8

/* Peers without an association whose loss the next send() may have to report.
 * Beyond this, those that ended longest ago are removed. */
#define SD_ENDED_MAX 1024

/* An element of a hash table, chained with others of its slot. */
struct sd_node {
  struct sd_node *next;
  uint32_t hash;
};

struct sd_table {
  struct sd_node **slots;
  size_t size; /* a power of two */
  size_t count;
};

/* A host and port by which a caller of send() names a peer. */
struct sd_destination {
  struct sd_node node; /* in the endpoint's table, by host and port */
  char host[SD_HOST_MAX];
  int port;
  union sd_addr addr;
  bool lasting; /* no interface is named, whose number may change */
  struct sd_peer *peer;
  struct sd_destination *next; /* another destination of this peer */
};

/* A doubly linked list, whose first peer is next in turn. */
struct sd_peers {
  struct sd_peer *first;
  struct sd_peer *last;
};

/* The use that one peer makes of the send buffer, section 5.2. */
struct sd_quota {
  uint32_t handed;   /* chunks given to the association */
  uint32_t chunks;   /* upper bound of chunks sent and not acknowledged */
  long bytes;        /* upper bound of their charge of the send buffer */
  long each;         /* the largest charge of one chunk among them */
  long refused;      /* buffer charge of the message that was refused */
  int fragment;      /* bytes of a chunk at most */
  unsigned refusals; /* refused sends since the last system call */
};

/* The send quotas of all peers of an endpoint. */
struct sd_quotas {
  struct sd_sndbuf sndbuf;
  bool own_buffers;      /* each association has a send buffer of its own */
  struct sd_peers busy;  /* peers whose quota is used up */
  struct sd_peers ready; /* peers that were busy, before onDrain says so */
  unsigned refresh_ms;   /* time until busy peers are refreshed */
  struct sd_timer timer;
};

/* A peer of an endpoint: its association, also before the kernel has set it up
 * and after it has ended. */
struct sd_peer {
  struct sd_node node;       /* in the endpoint's table, by id */
  sctp_assoc_t id;           /* 0: there is no association now */
  struct sd_destination own; /* its primary address, in the table from the
                                beginning to the end */
  struct sd_peers *list;     /* the endpoint's list that it is in, or NULL */
  struct sd_peer *before, *after; /* neighbours in that list */

  /* Receive state. */
  uint32_t host_index; /* index of own.host in the endpoint's host strings */
  bool ended_early;    /* the association had ended when this was made */
  bool skipping;       /* the present message is too long, drop its pieces */
  struct sd_partial partial;

  /* Send state. */
  struct sd_quota quota;
  napi_ref refusal; /* the Error of the last refused send, or NULL */
  ssize_t refusal_code;
  const struct sd_destination *refusal_to;

  /* Loss. */
  uint64_t since;       /* time of the first send of this association, or of the
                           end of the one before, of sd_now() */
  bool unreachable;     /* the last news of a path was that it failed */
  bool ending;          /* disconnect() shuts it down when it has come up */
  bool aborted;         /* disconnect() has aborted it */
  int error;            /* reason of the association's end */
  bool loss_unreported; /* messages were lost and no callback has heard of it:
                           the next send() reports it */
};

/* The properties of an endpoint that its user sets to a function or to null. */
enum sd_callback { SD_ON_DRAIN, SD_ON_PEER, SD_ON_UNDELIVERED };

/* The endpoint that one open() makes. */
struct sd_endpoint {
  struct sd_handle handle; /* first, so that one is cast to the other */
  struct sd_addrs locals;  /* addresses that it is bound to */
  bool paused;             /* JavaScript wants no messages */
  napi_ref on_error;       /* weak: a property of self keeps it alive */
  napi_ref hold;         /* weak, too: holds messages back, or delivers them */
  napi_ref host_strings; /* weak, too: hosts of the peers, as strings */
  napi_ref callbacks;    /* weak, too: by enum sd_callback */
  struct sd_assembly assembly;
  struct sd_quotas quotas;
  struct sd_table peers; /* peers with an association, by id */
  struct sd_table destinations;
  struct sd_destination *to; /* destination of the last send, or NULL: most
                                often the next send has the same */
  const struct sd_peer *appending; /* its piece is being handled, or NULL */
  sctp_assoc_t restarting;         /* its notification is being handled, or 0 */
  struct sd_peers ended; /* peers without an association, newest first */
  size_t ended_count;
  struct sd_peers parted; /* peeled off in the receive loop, spare after it */
  struct sd_peers spare;  /* memory for new peers; one at least to receive */
  uint32_t host_count;    /* peers in all, the spare ones included */
  unsigned refusals;      /* refused sends since the buffer was read last */
  struct sd_timer linger; /* the longest that close() waits */
  struct sd_assembly returns; /* limits of messages given back by the kernel */
  struct sd_partial returned; /* pieces of the present one of these */
  bool returned_sent;         /* a piece of it had been sent already */
};

/* Returns the time in ms. The loop's own clock stands still while JavaScript
 * runs, for however long. */
static uint64_t sd_now(void) { return uv_hrtime() / 1000000; }

/* Returns false if there is no memory. */
static bool sd_table_init(struct sd_table *table) {
  table->slots = calloc(SD_TABLE_SLOTS, sizeof *table->slots);
  table->size = table->slots ? SD_TABLE_SLOTS : 0;
  return table->slots;
}

/* Returns the first element with this hash, from `node` on. */
static struct sd_node *sd_node_from(struct sd_node *node, uint32_t hash) {
  while (node && node->hash != hash)
    node = node->next;
  return node;
}

static struct sd_node *sd_table_find(const struct sd_table *table,
                                     uint32_t hash) {
  return sd_node_from(table->slots[hash & (table->size - 1)], hash);
}

static void sd_table_link(struct sd_table *table, struct sd_node *node) {
  struct sd_node **slot = &table->slots[node->hash & (table->size - 1)];
  node->next = *slot;
  *slot = node;
}

/* Doubles the slots, so that each has about one element. If there is no
 * memory, the chains of the old table get longer. */
static void sd_table_grow(struct sd_table *table) {
  struct sd_table grown = {.size = table->size * 2, .count = table->count};
  struct sd_node *node, *next;
  size_t i;
  if (table->count < table->size)
    return;
  grown.slots = calloc(grown.size, sizeof *grown.slots);
  if (!grown.slots)
    return;
  for (i = 0; i < table->size; i++)
    for (node = table->slots[i]; node; node = next) {
      next = node->next;
      sd_table_link(&grown, node);
    }
  free(table->slots);
  *table = grown;
}

/* Adds an element, which is found before older ones with the same hash. */
static void sd_table_add(struct sd_table *table, struct sd_node *node,
                         uint32_t hash) {
  sd_table_grow(table);
  node->hash = hash;
  sd_table_link(table, node);
  table->count++;
}

static void sd_table_remove(struct sd_table *table, struct sd_node *node) {
  struct sd_node **link = &table->slots[node->hash & (table->size - 1)];
  while (*link != node)
    link = &(*link)->next;
  *link = node->next;
  table->count--;
}

/* Finds a peer by its association. The kernel gives ids in sequence, so each
 * is its own good hash. The node is the first member of the peer. */
static struct sd_peer *sd_peer_find(const struct sd_endpoint *endpoint,
                                    sctp_assoc_t id) {
  return (struct sd_peer *)sd_table_find(&endpoint->peers, (uint32_t)id);
}

/* Hashes host and port (FNV-1a). */
static uint32_t sd_destination_hash(const char *host, int port) {
  uint32_t hash = 2166136261u ^ (uint32_t)port;
  for (; *host; host++)
    hash = (hash ^ (uint8_t)*host) * 16777619u;
  return hash;
}

static bool sd_destination_is(const struct sd_destination *to, const char *host,
                              int port) {
  return to->port == port && strcmp(to->host, host) == 0;
}

static struct sd_destination *
sd_destination_find(const struct sd_endpoint *endpoint, const char *host,
                    int port) {
  uint32_t hash = sd_destination_hash(host, port);
  struct sd_node *node = sd_table_find(&endpoint->destinations, hash);
  while (node && !sd_destination_is((struct sd_destination *)node, host, port))
    node = sd_node_from(node->next, hash);
  return (struct sd_destination *)node;
}

static void sd_destination_add(struct sd_endpoint *endpoint,
                               struct sd_destination *to, struct sd_peer *peer,
                               const char *host, const union sd_addr *addr) {
  snprintf(to->host, sizeof to->host, "%s", host);
  to->port = sd_addr_port(addr);
  to->addr = *addr;
  to->lasting = !strchr(host, '%');
  to->peer = peer;
  sd_table_add(&endpoint->destinations, &to->node,
               sd_destination_hash(host, to->port));
}

static void sd_peers_remove(struct sd_peers *list, struct sd_peer *peer) {
  *(peer->before ? &peer->before->after : &list->first) = peer->after;
  *(peer->after ? &peer->after->before : &list->last) = peer->before;
}

static void sd_peers_add_first(struct sd_peers *list, struct sd_peer *peer) {
  peer->before = NULL;
  peer->after = list->first;
  *(list->first ? &list->first->before : &list->last) = peer;
  list->first = peer;
}

static void sd_peers_add_last(struct sd_peers *list, struct sd_peer *peer) {
  peer->after = NULL;
  peer->before = list->last;
  *(list->last ? &list->last->after : &list->first) = peer;
  list->last = peer;
}

/* Moves a peer to the head of a list, or to none. */
static void sd_peer_move(struct sd_endpoint *endpoint, struct sd_peer *peer,
                         struct sd_peers *list) {
  if (peer->list)
    sd_peers_remove(peer->list, peer);
  if (peer->list == &endpoint->ended)
    endpoint->ended_count--;
  if (list)
    sd_peers_add_first(list, peer);
  if (list == &endpoint->ended)
    endpoint->ended_count++;
  peer->list = list;
}

/* Provides memory for one more peer. Nothing is read from the socket without
 * it, so that every piece of a message has a peer. */
static bool sd_peers_reserve(struct sd_endpoint *endpoint) {
  struct sd_peer *peer;
  if (endpoint->spare.first)
    return true;
  peer = calloc(1, sizeof *peer);
  if (!peer)
    return false;
  peer->host_index = endpoint->host_count++;
  sd_peer_move(endpoint, peer, &endpoint->spare);
  return true;
}

/* Bytes of a chunk until the path to the peer is known: those of Ethernet. */
#define SD_FRAGMENT 1452

/* Makes the quota that of an association without outstanding data. */
static void sd_quota_reset(struct sd_quota *quota) {
  *quota = (struct sd_quota){.fragment = SD_FRAGMENT};
}

/* Makes a spare peer the one with this primary address. Messages refer to
 * its host by the index of a string that is made once. send() never finds a
 * peer by this name that has ended early. Returns NULL if there is no
 * memory. */
static struct sd_peer *sd_peer_new(struct sd_endpoint *endpoint,
                                   const union sd_addr *addr, bool gone) {
  napi_env env = endpoint->handle.addon->env;
  struct sd_peer *peer;
  char host[SD_HOST_MAX];
  napi_value host_strings, string;
  if (!sd_peers_reserve(endpoint))
    return NULL;
  peer = endpoint->spare.first;
  sd_addr_format(addr, host);
  if (napi_get_reference_value(env, endpoint->host_strings, &host_strings) !=
          napi_ok ||
      !host_strings ||
      napi_create_string_latin1(env, host, NAPI_AUTO_LENGTH, &string) !=
          napi_ok ||
      napi_set_element(env, host_strings, peer->host_index, string) != napi_ok)
    return NULL;
  sd_peer_move(endpoint, peer, NULL);
  peer->ended_early = gone;
  if (!gone)
    sd_destination_add(endpoint, &peer->own, peer, host, addr);
  memcpy(peer->own.host, host, sizeof host);
  peer->own.port = sd_addr_port(addr);
  sd_quota_reset(&peer->quota);
  return peer;
}

static void sd_destination_remove(struct sd_endpoint *endpoint,
                                  struct sd_destination *to) {
  sd_table_remove(&endpoint->destinations, &to->node);
  if (endpoint->to == to)
    endpoint->to = NULL;
}

/* Drops the Error of a refused send. */
static void sd_peer_drop_refusal(struct sd_endpoint *endpoint,
                                 struct sd_peer *peer) {
  if (peer->refusal)
    napi_delete_reference(endpoint->handle.addon->env, peer->refusal);
  peer->refusal = NULL;
}

/* Resets the part of a peer that belongs to its association. */
static void sd_peer_detach(struct sd_endpoint *endpoint, struct sd_peer *peer) {
  struct sd_destination *to;
  while ((to = peer->own.next)) {
    peer->own.next = to->next;
    sd_destination_remove(endpoint, to);
    free(to);
  }
  if (peer->id)
    sd_table_remove(&endpoint->peers, &peer->node);
  sd_partial_drop(&endpoint->assembly, &peer->partial);
  sd_peer_drop_refusal(endpoint, peer);
  sd_peer_move(endpoint, peer, NULL);
  sd_quota_reset(&peer->quota);
  peer->id = 0;
  peer->since = sd_now();
  peer->ended_early = peer->skipping = peer->unreachable =
      peer->loss_unreported = peer->ending = peer->aborted = false;
}

static void sd_peer_remove_to(struct sd_endpoint *endpoint,
                              struct sd_peer *peer, struct sd_peers *list) {
  bool gone = peer->ended_early;
  sd_peer_detach(endpoint, peer);
  if (!gone)
    sd_destination_remove(endpoint, &peer->own);
  if (endpoint->to == &peer->own) /* it went while send() looked */
    endpoint->to = NULL;
  sd_peer_move(endpoint, peer, list);
}

static void sd_peer_remove(struct sd_endpoint *endpoint, struct sd_peer *peer) {
  sd_peer_remove_to(endpoint, peer, &endpoint->spare);
}

/* Removes a peer whose association has left the endpoint. The receive loop may
 * still use it, and items of the batch its host. */
static void sd_peer_part(struct sd_endpoint *endpoint, struct sd_peer *peer) {
  bool used = endpoint->handle.addon->receiving == &endpoint->handle;
  sd_peer_remove_to(endpoint, peer,
                    used ? &endpoint->parted : &endpoint->spare);
}

/* Makes the parted peers spare at the end of the receive loop. */
static void sd_peers_reclaim(struct sd_endpoint *endpoint) {
  struct sd_peer *peer;
  while ((peer = endpoint->parted.first)) {
    sd_partial_drop(&endpoint->assembly, &peer->partial);
    peer->skipping = false;
    sd_peer_move(endpoint, peer, &endpoint->spare);
  }
}

/* Finds the primary address of an association: the first one sent to, or the
 * first that the peer sent from. Returns false if there is no association. */
static bool sd_peer_address(const struct sd_endpoint *endpoint, sctp_assoc_t id,
                            union sd_addr *addr) {
  struct sctp_status status = {.sstat_assoc_id = id};
  socklen_t length = sizeof status;
  if (sd_sys_getsockopt(endpoint->handle.fd, IPPROTO_SCTP, SCTP_STATUS, &status,
                        &length) < 0)
    return false;
  memcpy(addr, &status.sstat_primary.spinfo_address, sizeof *addr);
  sd_addr_unmap(addr);
  return true;
}

/* Returns the association with this address, or 0. */
static sctp_assoc_t sd_endpoint_assoc_of(const struct sd_endpoint *endpoint,
                                         const union sd_addr *addr) {
  struct sctp_paddrinfo path = {0};
  socklen_t length = sizeof path;
  memcpy(&path.spinfo_address, addr, sizeof *addr);
  sd_sys_getsockopt(endpoint->handle.fd, IPPROTO_SCTP, SCTP_GET_PEER_ADDR_INFO,
                    &path, &length);
  return path.spinfo_assoc_id;
}

/* Returns the peer of an association, named by its primary address whichever
 * of its addresses packets come from. `from` is used if the association has
 * ended already; its scope id is then the value of another field of the
 * kernel's, so the scope of the local address is taken. Returns NULL if
 * there is no memory. */
static struct sd_peer *sd_peer_get(struct sd_endpoint *endpoint,
                                   sctp_assoc_t id, const union sd_addr *from) {
  struct sd_peer *peer = sd_peer_find(endpoint, id);
  struct sd_destination *to;
  char host[SD_HOST_MAX];
  union sd_addr addr = *from;
  bool gone;
  if (peer || id == 0) /* 0 is no association's */
    return peer;
  gone = !sd_peer_address(endpoint, id, &addr);
  if (gone && addr.sa.sa_family == AF_INET6)
    addr.v6.sin6_scope_id = endpoint->handle.local.v6.sin6_scope_id;
  sd_addr_unmap(&addr);
  sd_addr_format(&addr, host);
  /* A peer that has been sent to before there was an association. */
  to = sd_destination_find(endpoint, host, sd_addr_port(&addr));
  peer =
      to && to->peer->id == 0 && !(gone && to->peer->list == &endpoint->ended)
          ? to->peer
          : sd_peer_new(endpoint, &addr, gone);
  if (!peer)
    return NULL;
  if (peer->list == &endpoint->ended) /* the peer has come back by itself */
    sd_peer_move(endpoint, peer, NULL);
  peer->id = id;
  sd_table_add(&endpoint->peers, &peer->node, (uint32_t)id);
  return peer;
}

/* Returns the peer of a notification. The kernel gives no id if the
 * association has not come up, but always its primary address. */
static struct sd_peer *sd_peer_of(const struct sd_endpoint *endpoint,
                                  sctp_assoc_t id, const union sd_addr *from) {
  struct sd_peer *peer = id ? sd_peer_find(endpoint, id) : NULL;
  struct sd_destination *to;
  char host[SD_HOST_MAX];
  if (id)
    return peer;
  sd_addr_format(from, host);
  to = sd_destination_find(endpoint, host, sd_addr_port(from));
  return to && to->peer->id == 0 ? to->peer : NULL;
}

static void sd_peers_free(struct sd_endpoint *endpoint) {
  struct sd_table *all = &endpoint->destinations;
  struct sd_peer *peer, *next;
  size_t i;
  for (i = 0; i < endpoint->peers.size; i++)
    while (endpoint->peers.slots[i])
      sd_peer_remove(endpoint, (struct sd_peer *)endpoint->peers.slots[i]);
  for (i = 0; i < all->size; i++)
    while (all->slots[i])
      sd_peer_remove(endpoint, ((struct sd_destination *)all->slots[i])->peer);
  for (peer = endpoint->spare.first; peer; peer = next) {
    next = peer->after;
    free(peer);
  }
  free(all->slots);
  free(endpoint->peers.slots);
}

/* --- 5.2 Send quota ------------------------------------------------------- */

/* First and last wait of a doubling series until the outstanding data of busy
 * peers is read again: the kernel does not report acknowledgements. */
#define SD_REFRESH_MIN_MS 1
#define SD_REFRESH_MAX_MS 64

/* Busy peers refreshed together: each costs two system calls. */
#define SD_REFRESH_PEERS 64

/* Every Nth refused send reads the outstanding data again. */
#define SD_REFUSALS 64

/* Linux has one send buffer for all peers of a one-to-many socket and keeps
 * outstanding data in it: a peer that does not answer would fill it, and no
 * other could be sent to. So each peer has a quota. Its use is counted as an
 * upper bound, and read from the kernel when it becomes much.
 *
 * The rest of the endpoint calls sd_quota_admits() before a message,
 * sd_quota_charge() after it, sd_quota_wait() if it was refused and
 * sd_quota_poll() from the timer; sd_quota_refresh(), sd_quota_returned() and,
 * of section 5.1, sd_quota_reset() when the kernel has changed its counts. */

/* Returns the quota of one peer in bytes: half as much as is left free for the
 * others, so a third if it is the only one, and something is left however many
 * use up theirs. */
static long sd_quota_limit(const struct sd_quotas *quotas) {
  return quotas->own_buffers ? quotas->sndbuf.size : quotas->sndbuf.left / 2;
}

/* Returns whether this charge fits the quota, after the outstanding data and
 * `ahead`. A peer with little outstanding data may be sent any message. */
static bool sd_quota_fits(const struct sd_quotas *quotas,
                          const struct sd_quota *quota, long ahead,
                          long charge) {
  long limit = sd_quota_limit(quotas), taken = quota->bytes + ahead;
  return taken <= limit / 4 || taken + charge <= limit;
}

/* Lowers the outstanding data to this number of chunks. */
static void sd_quota_set_outstanding(struct sd_quota *quota, uint32_t chunks) {
  if (chunks >= quota->chunks)
    return;
  quota->chunks = chunks;
  if (quota->bytes > quota->each * (long)chunks)
    quota->bytes = quota->each * (long)chunks;
  if (chunks == 0)
    quota->each = 0;
}

/* Reads the outstanding data of the peer from the kernel: chunks sent and
 * not acknowledged, and chunks not sent. The count kept here may differ from
 * the kernel's, so it is corrected by the free part of the send buffer,
 * which has been read before. */
static void sd_quota_read(struct sd_endpoint *endpoint, struct sd_peer *peer) {
  const struct sd_sndbuf *sndbuf = &endpoint->quotas.sndbuf;
  struct sd_quota *quota = &peer->quota;
  sctp_assoc_t id =
      peer->id ? peer->id : sd_endpoint_assoc_of(endpoint, &peer->own.addr);
  struct sctp_status status = {.sstat_assoc_id = id};
  struct sctp_assoc_stats stats = {.sas_assoc_id = id};
  socklen_t length = sizeof status, stats_length = sizeof stats;
  uint32_t sent;
  bool up = id && sd_sys_getsockopt(sndbuf->fd, IPPROTO_SCTP, SCTP_STATUS,
                                    &status, &length) == 0;
  /* The association may have ended, and its notification is unread. */
  if (sndbuf->left == sndbuf->size ||
      (id && !up && !sd_endpoint_assoc_of(endpoint, &peer->own.addr)))
    sd_quota_set_outstanding(quota, 0);
  if (!up || sd_sys_getsockopt(sndbuf->fd, IPPROTO_SCTP, SCTP_GET_ASSOC_STATS,
                               &stats, &stats_length) < 0)
    return;
  if (status.sstat_fragmentation_point > 0)
    quota->fragment = (int)status.sstat_fragmentation_point;
  sent = (uint32_t)(stats.sas_ouodchunks + stats.sas_oodchunks);
  /* With no chunk in flight, none waits to be sent either. */
  if ((int32_t)(quota->handed - sent) < 0 ||
      (status.sstat_state >= SCTP_ESTABLISHED && status.sstat_unackdata == 0))
    quota->handed = sent;
  sd_quota_set_outstanding(quota,
                           status.sstat_unackdata + quota->handed - sent);
}

/* Reads the free part of the send buffer. The outstanding data of the peer is
 * no more than that of all peers together. */
static void sd_quota_read_sndbuf(struct sd_quotas *quotas,
                                 struct sd_quota *quota) {
  long taken;
  sd_sndbuf_refresh(&quotas->sndbuf);
  taken = quotas->sndbuf.size - quotas->sndbuf.left;
  if (quota->bytes > taken)
    quota->bytes = taken;
}

/* Reads the send buffer and the outstanding data of the peer. */
static void sd_quota_refresh(struct sd_endpoint *endpoint,
                             struct sd_peer *peer) {
  sd_quota_read_sndbuf(&endpoint->quotas, &peer->quota);
  sd_quota_read(endpoint, peer);
}

/* Returns whether to refuse a send at once, since the one before was refused
 * and nothing has changed. A read costs three system calls, which a caller
 * that ignores refusals would pay again and again. The timer reads anyway;
 * for a caller that never lets it run, every Nth refusal does. */
static bool sd_still_refused(unsigned *refusals) {
  return ++*refusals % SD_REFUSALS != 0;
}

/* Returns whether the peer may be sent a message of `size` bytes, after
 * another one with the charge `ahead`, or 0. If the buffer is full or the
 * message too long for it, the kernel refuses it. */
static bool sd_quota_admits(struct sd_endpoint *endpoint, struct sd_peer *peer,
                            long ahead, size_t size, long charge) {
  struct sd_quotas *quotas = &endpoint->quotas;
  struct sd_quota *quota = &peer->quota;
  bool busy = peer->list == &quotas->busy;
  if (!(busy && quotas->own_buffers) &&
      sd_quota_fits(quotas, quota, ahead, charge))
    return true;
  if (busy && (long)size <= quotas->sndbuf.size &&
      sd_still_refused(&quota->refusals))
    return false;
  sd_quota_read_sndbuf(quotas, quota);
  if (!sd_quota_fits(quotas, quota, ahead, charge))
    sd_quota_read(endpoint, peer);
  return sd_quota_fits(quotas, quota, ahead, charge) ||
         quotas->sndbuf.left <= 0 || (long)size > quotas->sndbuf.size;
}

/* Returns whether to ask for an immediate SACK (RFC 7053): another message
 * of this size may have to wait for it, and the peer would delay it. */
static bool sd_quota_wants_sack(const struct sd_quotas *quotas,
                                const struct sd_quota *quota, long charge) {
  return quota->bytes + 2 * charge > sd_quota_limit(quotas);
}

/* Adds the charge of a message that has been sent to the peer. */
static void sd_quota_charge(struct sd_quotas *quotas, struct sd_quota *quota,
                            size_t size, long charge) {
  uint32_t chunks = 1 + (uint32_t)((size - 1) / (size_t)quota->fragment);
  quota->handed += chunks;
  quota->chunks += chunks;
  quota->bytes += charge;
  if (quota->each < charge / (long)chunks)
    quota->each = charge / (long)chunks;
  quotas->sndbuf.left -= charge;
}

/* Takes back a chunk that the kernel has given back without sending it. */
static void sd_quota_returned(struct sd_quota *quota) { quota->handed--; }

static void sd_quota_start_timer(struct sd_quotas *quotas, unsigned ms) {
  quotas->refresh_ms = ms;
  sd_timer_start(&quotas->timer, ms);
}

/* Marks a peer as busy. The timer refreshes it. */
static void sd_quota_wait(struct sd_endpoint *endpoint, struct sd_peer *peer,
                          long charge) {
  peer->quota.refused = charge;
  if (peer->list == &endpoint->quotas.busy)
    return;
  sd_peer_move(endpoint, peer, &endpoint->quotas.busy);
  sd_quota_start_timer(&endpoint->quotas, SD_REFRESH_MIN_MS);
}

/* Refreshes SD_REFRESH_PEERS busy peers, those first that were refused last,
 * and moves those that are busy no more to the list `ready`. The others have
 * their turn the next time. */
static void sd_quota_poll(struct sd_endpoint *endpoint) {
  struct sd_quotas *quotas = &endpoint->quotas;
  struct sd_peer *peer, *last = quotas->busy.last;
  int i;
  sd_sndbuf_refresh(&quotas->sndbuf);
  for (i = 0; i < SD_REFRESH_PEERS && (peer = quotas->busy.first); i++) {
    struct sd_quota *quota = &peer->quota;
    sd_quota_read(endpoint, peer);
    if (quota->chunks == 0 ||
        (quota->bytes <= sd_quota_limit(quotas) / 2 &&
         sd_quota_fits(quotas, quota, 0, quota->refused))) {
      sd_peer_move(endpoint, peer, &quotas->ready);
    } else {
      sd_peers_remove(&quotas->busy, peer);
      sd_peers_add_last(&quotas->busy, peer);
    }
    if (peer == last)
      break;
  }
}

/* Starts the timer again after sd_quota_poll(): soon if that has found a peer
 * that is `ready`, else after twice the time. */
static void sd_quota_poll_again(struct sd_quotas *quotas, bool ready) {
  unsigned ms = ready ? SD_REFRESH_MIN_MS : quotas->refresh_ms * 2;
  if (quotas->busy.first || quotas->ready.first)
    sd_quota_start_timer(quotas,
                         ms < SD_REFRESH_MAX_MS ? ms : SD_REFRESH_MAX_MS);
}

/* --- 5.3 Notifications ---------------------------------------------------- */

/* Milliseconds after which an association that was never set up has timed out:
 * a host that refuses answers much earlier. */
#define SD_UNANSWERED_MS 20000

/* Drops an unfinished message whose rest will never come. The next message
 * would look like its continuation. */
static void sd_endpoint_handle_message_aborted(struct sd_endpoint *endpoint,
                                               sctp_assoc_t id) {
  struct sd_peer *peer = sd_peer_find(endpoint, id);
  if (!peer)
    return;
  sd_partial_drop(&endpoint->assembly, &peer->partial);
  peer->skipping = false;
}

/* Returns the callback that the user has set, or NULL. */
static napi_value sd_endpoint_callback(const struct sd_endpoint *endpoint,
                                       enum sd_callback which) {
  napi_env env = endpoint->handle.addon->env;
  napi_value list, function;
  napi_valuetype type;
  return napi_get_reference_value(env, endpoint->callbacks, &list) == napi_ok &&
                 list &&
                 napi_get_element(env, list, which, &function) == napi_ok &&
                 napi_typeof(env, function, &type) == napi_ok &&
                 type == napi_function
             ? function
             : NULL;
}

/* Calls a callback, if it is set, with the peer's address between `first`
 * and `last`, each of which may be NULL. */
static enum sd_next sd_endpoint_emit_peer(struct sd_endpoint *endpoint,
                                          enum sd_callback which,
                                          napi_value first, const char *host,
                                          int port, napi_value last) {
  napi_env env = endpoint->handle.addon->env;
  napi_value function = sd_endpoint_callback(endpoint, which), argv[4];
  size_t argc = 0;
  if (!function)
    return sd_handle_usable(&endpoint->handle);
  if (first)
    argv[argc++] = first;
  if (napi_create_string_latin1(env, host, NAPI_AUTO_LENGTH, &argv[argc++]) !=
          napi_ok ||
      napi_create_int32(env, port, &argv[argc++]) != napi_ok)
    return SD_STOP;
  if (last)
    argv[argc++] = last;
  return sd_upcall(&endpoint->handle, function, argc, argv);
}

/* Calls onPeer(what, host, port, error or null). */
static enum sd_next sd_endpoint_emit_peer_state(struct sd_endpoint *endpoint,
                                                const char *what,
                                                const char *host, int port,
                                                napi_value error) {
  napi_env env = endpoint->handle.addon->env;
  napi_value state;
  return napi_create_string_latin1(env, what, NAPI_AUTO_LENGTH, &state) ==
             napi_ok &&
         (error || napi_get_null(env, &error) == napi_ok) &&
         sd_endpoint_emit_peer(endpoint, SD_ON_PEER, state, host, port, error);
}

/* Returns the reason of an association's end, other than a shutdown. Linux
 * reports refusal and timeout alike (SCTP_CANT_STR_ASSOC): the elapsed time
 * tells them apart. It reports an ABORT without a cause like the failure of
 * all paths, but only after the latter a path was unreachable. */
static int sd_endpoint_end_error(const struct sd_peer *peer,
                                 const struct sctp_assoc_change *change) {
  if (peer && peer->aborted)
    return -ECONNABORTED;
  if (change->sac_state == SCTP_COMM_LOST)
    return peer && peer->unreachable && change->sac_error == 0 ? -ETIMEDOUT
                                                               : -ECONNRESET;
  return peer && sd_now() - peer->since >= SD_UNANSWERED_MS ? -ETIMEDOUT
                                                            : -ECONNREFUSED;
}

/* Keeps the peer of an association that has ended for the next send() to it,
 * which may report the reason. */
static void sd_peer_end(struct sd_endpoint *endpoint, struct sd_peer *peer,
                        int error) {
  sd_peer_detach(endpoint, peer);
  peer->error = error;
  sd_peer_move(endpoint, peer, &endpoint->ended);
  if (endpoint->ended_count > SD_ENDED_MAX)
    sd_peer_remove(endpoint, endpoint->ended.last);
}

/* Returns whether a send() to this name was refused since. */
static bool sd_endpoint_is_busy(const struct sd_endpoint *endpoint,
                                const char *host, int port) {
  struct sd_destination *to = sd_destination_find(endpoint, host, port);
  return to && to->peer->list == &endpoint->quotas.busy;
}

/* Calls onPeer('down'), and onDrain if the peer was busy. */
static enum sd_next sd_endpoint_emit_down(struct sd_endpoint *endpoint,
                                          struct sd_scope *scope,
                                          const char *host, int port,
                                          napi_value error, bool waits) {
  enum sd_next next =
      sd_endpoint_emit_peer_state(endpoint, "down", host, port, error);
  if (!waits)
    return next;
  if (next == SD_STOP && !sd_scope_reopen(&endpoint->handle, scope))
    return SD_STOP;
  return sd_endpoint_is_busy(endpoint, host, port) || /* again, in onPeer */
         sd_endpoint_emit_peer(endpoint, SD_ON_DRAIN, NULL, host, port, NULL);
}

/* Handles SCTP_COMM_LOST, SCTP_CANT_STR_ASSOC and SCTP_SHUTDOWN_COMP. */
static enum sd_next
sd_endpoint_handle_assoc_end(struct sd_endpoint *endpoint,
                             struct sd_scope *scope, struct sd_peer *peer,
                             const struct sctp_assoc_change *change,
                             size_t size, const char *host, int port) {
  napi_env env = endpoint->handle.addon->env;
  bool graceful = change->sac_state == SCTP_SHUTDOWN_COMP;
  bool waits = peer && (peer->list == &endpoint->quotas.busy ||
                        peer->list == &endpoint->quotas.ready);
  int error = graceful ? 0 : sd_endpoint_end_error(peer, change);
  const char *syscall = peer && peer->quota.handed > 0 ? "send" : "recv";
  napi_value object = NULL;
  const char *text = NULL;
  size_t length =
      sd_abort_reason(change->sac_info, size - sizeof *change, &text);
  if (peer && (graceful || peer->ended_early))
    sd_peer_remove(endpoint, peer);
  else if (peer)
    sd_peer_end(endpoint, peer, error);
  if (!graceful)
    object = sd_system_error(env, syscall, error, host, port);
  if (!graceful && (!object || !sd_set_reason(env, object, text, length)))
    return SD_STOP;
  return sd_endpoint_emit_down(endpoint, scope, host, port, object, waits);
}

static enum sd_next sd_endpoint_handle_assoc_change(
    struct sd_endpoint *endpoint, struct sd_scope *scope,
    const union sd_addr *from, const struct sctp_assoc_change *change,
    size_t size) {
  sctp_assoc_t id = change->sac_assoc_id;
  struct sd_peer *peer = change->sac_state == SCTP_COMM_UP
                             ? sd_peer_get(endpoint, id, from)
                             : sd_peer_of(endpoint, id, from);
  char host[SD_HOST_MAX];
  int port = sd_addr_port(from);
  sd_addr_format(from, host);
  if (peer) {
    memcpy(host, peer->own.host, sizeof host);
    port = peer->own.port;
  }
  switch (change->sac_state) {
  case SCTP_COMM_UP:
    if (peer && peer->ending)
      sd_sys_end(endpoint->handle.fd, id, NULL, SCTP_EOF, NULL);
    if (peer && peer->ended_early) /* it is made again when its data is read */
      sd_peer_remove(endpoint, peer);
    return sd_endpoint_emit_peer_state(endpoint, "up", host, port, NULL);
  case SCTP_RESTART:
    sd_endpoint_handle_message_aborted(endpoint, id);
    if (peer) {
      sd_quota_reset(&peer->quota);
      sd_quota_refresh(endpoint, peer);
    }
    return sd_endpoint_emit_peer_state(endpoint, "restart", host, port, NULL);
  default:
    return sd_endpoint_handle_assoc_end(endpoint, scope, peer, change, size,
                                        host, port);
  }
}

/* Handles SCTP_PEER_ADDR_CHANGE (RFC 6458 section 6.1.2). */
static void
sd_endpoint_handle_path_change(struct sd_endpoint *endpoint,
                               const struct sctp_paddr_change *change) {
  struct sd_peer *peer = sd_peer_find(endpoint, change->spc_assoc_id);
  if (peer)
    peer->unreachable = change->spc_state == SCTP_ADDR_UNREACHABLE;
}

/* Calls onUndelivered(data, host, port, sent). */
static enum sd_next sd_endpoint_emit_undelivered(struct sd_endpoint *endpoint,
                                                 const char *host, int port) {
  napi_env env = endpoint->handle.addon->env;
  struct sd_partial *message = &endpoint->returned;
  napi_value data, sent;
  bool told = napi_create_buffer_copy(env, message->length, message->data, NULL,
                                      &data) == napi_ok &&
              napi_get_boolean(env, endpoint->returned_sent, &sent) == napi_ok;
  sd_partial_drop(&endpoint->returns, message);
  if (told)
    return sd_endpoint_emit_peer(endpoint, SD_ON_UNDELIVERED, data, host, port,
                                 sent);
  sd_report_exception(endpoint->handle.addon, napi_generic_failure);
  return SD_STOP;
}

/* Handles SCTP_SEND_FAILED_EVENT (RFC 6458 section 6.1.11). Linux gives a
 * message back chunk by chunk, but the chunks of one message together; the
 * flags are those of the DATA chunk (RFC 9260 section 3.3.1). */
static enum sd_next sd_endpoint_handle_send_failed(
    struct sd_endpoint *endpoint, const union sd_addr *from,
    const struct sctp_send_failed_event *failed, size_t size) {
  const uint16_t last = 1, first = 2;
  uint16_t flags = failed->ssfe_info.snd_flags;
  bool sent = failed->ssf_flags & SCTP_DATA_SENT;
  struct sd_peer *peer = sd_peer_of(endpoint, failed->ssf_assoc_id, from);
  struct sd_partial *message = &endpoint->returned;
  struct sd_destination *to;
  char host[SD_HOST_MAX];
  sd_addr_format(from, host);
  to = sd_destination_find(endpoint, host, sd_addr_port(from));
  if (!peer && to && to->peer->list == &endpoint->ended)
    peer = to->peer;
  if (peer && peer->list == &endpoint->ended)
    peer->loss_unreported = !sd_endpoint_callback(endpoint, SD_ON_PEER) &&
                            !sd_endpoint_callback(endpoint, SD_ON_UNDELIVERED);
  else if (peer && peer->id &&
           !sent) /* the message is of the present association */
    sd_quota_returned(&peer->quota);
  if (flags & first) {
    sd_partial_drop(&endpoint->returns, message);
    endpoint->returned_sent = false;
  } else if (!message->data) {
    return SD_CONTINUE;
  }
  endpoint->returned_sent |= sent;
  if (sd_partial_append(&endpoint->returns, message,
                        (const char *)failed->ssf_data,
                        size - sizeof *failed) < 0) {
    sd_partial_drop(&endpoint->returns, message);
    return SD_CONTINUE;
  }
  return !(flags & last) || sd_endpoint_emit_undelivered(
                                endpoint, peer ? peer->own.host : host,
                                peer ? peer->own.port : sd_addr_port(from));
}

/* Handles a notification (RFC 6458 section 6.1). `data` has the alignment of
 * the slab. */
static enum sd_next sd_endpoint_handle_notification(
    struct sd_endpoint *endpoint, struct sd_scope *scope,
    const union sd_addr *from, const char *data, size_t size) {
  const union sctp_notification *event = (const void *)data;
  if (size < sizeof event->sn_header)
    return SD_CONTINUE;
  switch (event->sn_header.sn_type) {
  case SCTP_ASSOC_CHANGE:
    if (size >= sizeof event->sn_assoc_change)
      return sd_endpoint_handle_assoc_change(endpoint, scope, from,
                                             &event->sn_assoc_change, size);
    break;
  case SCTP_PEER_ADDR_CHANGE:
    if (size >= sizeof event->sn_paddr_change)
      sd_endpoint_handle_path_change(endpoint, &event->sn_paddr_change);
    break;
  case SCTP_SEND_FAILED_EVENT:
    if (size >= sizeof event->sn_send_failed_event)
      return sd_endpoint_handle_send_failed(endpoint, from,
                                            &event->sn_send_failed_event, size);
    break;
  case SCTP_PARTIAL_DELIVERY_EVENT:
    if (size >= sizeof event->sn_pdapi_event)
      sd_endpoint_handle_message_aborted(endpoint,
                                         event->sn_pdapi_event.pdapi_assoc_id);
    break;
  }
  return SD_CONTINUE;
}

/* --- 5.4 Linger ----------------------------------------------------------- */

/* Milliseconds that close() waits for acknowledgements. */
#define SD_LINGER_MS 5000

/* Returns whether all peers have acknowledged everything: until then the
 * kernel charges each DATA chunk to the socket, also during a handshake. */
static bool sd_endpoint_linger_done(struct sd_endpoint *endpoint) {
  uint32_t memory[SK_MEMINFO_VARS] = {0};
  socklen_t length = sizeof memory;
  return sd_sys_getsockopt(endpoint->handle.fd, SOL_SOCKET, SO_MEMINFO, memory,
                           &length) < 0 ||
         memory[SK_MEMINFO_WMEM_QUEUED] == 0;
}

/* Discards received messages. Returns true if the receive queue is empty. */
static bool sd_endpoint_discard(struct sd_endpoint *endpoint) {
  struct sd_handle *handle = &endpoint->handle;
  ssize_t n = sd_sys_discard(handle->fd, handle->addon->scratch);
  /* poll() would report the unreadable queue again and again. */
  if (n < 0 && n != -EAGAIN)
    sd_handle_arm(handle, 0);
  return n == -EAGAIN;
}

static void sd_endpoint_linger_step(struct sd_endpoint *endpoint) {
  if (sd_endpoint_discard(endpoint) && sd_endpoint_linger_done(endpoint))
    sd_handle_close(&endpoint->handle);
}

/* Ends lingering although peers have not acknowledged everything. */
static void sd_endpoint_linger_timeout(struct sd_handle *handle) {
  sd_endpoint_discard((struct sd_endpoint *)handle);
  sd_handle_close(handle);
}

/* Lets a closed endpoint linger. Linux goes on sending after close(fd), but
 * not to a peer whose handshake is not finished. SENDER_DRY (RFC 6458
 * section 6.1.9) reports that a peer has everything. */
static void sd_endpoint_linger(struct sd_endpoint *endpoint) {
  struct sd_handle *handle = &endpoint->handle;
  sd_sys_event(handle->fd, SCTP_SENDER_DRY_EVENT, true);
  sd_handle_arm(handle, UV_READABLE);
  sd_endpoint_linger_step(endpoint);
  if (handle->state != SD_LINGERING)
    return;
  uv_ref((uv_handle_t *)&handle->poll);
  uv_ref((uv_handle_t *)&endpoint->linger.uv);
  sd_timer_start(&endpoint->linger, SD_LINGER_MS);
}

/* Closes an endpoint for JavaScript. Inside onRecv the receive loop still
 * uses its peer, so there the endpoint lingers from the end of the loop on.
 * New peers are refused, and the port can be bound again, at once. */
static void sd_endpoint_close(struct sd_endpoint *endpoint) {
  endpoint->handle.state = SD_LINGERING;
  sd_sys_listen(endpoint->handle.fd, 0);
  sd_batch_cancel(&endpoint->handle);
  if (endpoint->handle.addon->receiving != &endpoint->handle)
    sd_endpoint_linger(endpoint);
}

/* --- 5.5 Receive ---------------------------------------------------------- */

/* Delivers an error string, after the messages before it. `peer` is NULL if
 * the error belongs to no message. */
static enum sd_next sd_endpoint_deliver_error(struct sd_endpoint *endpoint,
                                              struct sd_scope *scope,
                                              const struct sd_peer *peer,
                                              int error) {
  struct sd_handle *handle = &endpoint->handle;
  napi_env env = handle->addon->env;
  char code[64], where[SD_HOST_MAX + 8] = "", why[96] = "", text[256];
  napi_value string, on_error;
  uv_err_name_r(error, code, sizeof code);
  if (peer)
    snprintf(where, sizeof where, " %s:%d", peer->own.host, peer->own.port);
  if (peer && error == -EMSGSIZE)
    snprintf(why, sizeof why,
             ": the message is longer than recvMaxlen (%zu bytes)",
             endpoint->assembly.max);
  else if (peer)
    snprintf(why, sizeof why, ": no memory for the message");
  snprintf(text, sizeof text, "recv %s%s%s", code, where, why);
  return sd_batch_deliver(handle, scope) &&
         napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &string) ==
             napi_ok &&
         napi_get_reference_value(env, endpoint->on_error, &on_error) ==
             napi_ok &&
         on_error && sd_upcall(handle, on_error, 1, &string);
}

/* Returns the peer with the largest unfinished message, if it is larger than
 * that of `peer`, or NULL. */
static struct sd_peer *
sd_endpoint_largest_partial(const struct sd_endpoint *endpoint,
                            struct sd_peer *peer) {
  struct sd_peer *largest = peer;
  struct sd_node *node;
  size_t i;
  for (i = 0; i < endpoint->peers.size; i++)
    for (node = endpoint->peers.slots[i]; node; node = node->next)
      if (((struct sd_peer *)node)->partial.capacity >
          largest->partial.capacity)
        largest = (struct sd_peer *)node;
  return largest == peer ? NULL : largest;
}

/* Appends a piece to the message of a peer. If the memory for all peers is
 * used up, the peers with the largest unfinished messages lose theirs, so
 * that a few which never finish cannot keep the others from it. An exception
 * of onRecv does not end the loop then, since this message goes on. Returns
 * 0 or an error, and in `next` whether the handle is still usable. */
static int sd_peer_append(struct sd_endpoint *endpoint, struct sd_scope *scope,
                          struct sd_peer *peer, const char *data, size_t size,
                          enum sd_next *next) {
  struct sd_handle *handle = &endpoint->handle;
  struct sd_assembly *assembly = &endpoint->assembly;
  char *spill = handle->addon->spill;
  struct sd_peer *other;
  int error = sd_partial_append(assembly, &peer->partial, data, size);
  if (error == -ENOBUFS) /* JavaScript may take the slab away */
    memcpy(spill, data, size);
  endpoint->appending = peer;
  while (error == -ENOBUFS && *next == SD_CONTINUE &&
         (other = sd_endpoint_largest_partial(endpoint, peer))) {
    sd_partial_drop(assembly, &other->partial);
    other->skipping = true;
    error = sd_partial_append(assembly, &peer->partial, spill, size);
    *next = sd_endpoint_deliver_error(endpoint, scope, other, -ENOBUFS) ||
            sd_scope_reopen(handle, scope);
  }
  endpoint->appending = NULL;
  return error;
}

/* Handles a piece of a message, or a message that is too long. The pieces of
 * different peers may be interleaved; those of one peer are not. */
static enum sd_next sd_endpoint_handle_piece(struct sd_endpoint *endpoint,
                                             struct sd_scope *scope,
                                             struct sd_peer *peer,
                                             const char *data, size_t size,
                                             bool last) {
  enum sd_next next = SD_CONTINUE;
  bool skips = peer->skipping;
  int error;
  peer->skipping = skips && !last;
  if (skips)
    return SD_CONTINUE;
  error = sd_peer_append(endpoint, scope, peer, data, size, &next);
  if (error == 0 && last && next == SD_CONTINUE &&
      !sd_batch_add_whole(endpoint->handle.addon, &peer->partial,
                          peer->host_index, (uint32_t)peer->own.port, true))
    error = -ENOBUFS;
  if (error < 0 || last)
    sd_partial_drop(&endpoint->assembly, &peer->partial);
  peer->skipping = error < 0 && !last; /* before peelOff() may ask */
  return error < 0 && next == SD_CONTINUE
             ? sd_endpoint_deliver_error(endpoint, scope, peer, error)
             : next;
}

/* Handles a received message or piece. */
static enum sd_next sd_endpoint_handle_data(struct sd_endpoint *endpoint,
                                            struct sd_scope *scope,
                                            const struct sd_received *received,
                                            const char *data, size_t size) {
  struct sd_handle *handle = &endpoint->handle;
  struct sd_addon *addon = handle->addon;
  bool last = received->flags & MSG_EOR;
  enum sd_next next = SD_CONTINUE;
  struct sd_peer *peer =
      sd_peer_get(endpoint, received->info.rcv_assoc_id, &received->from);
  if (!peer)
    return sd_endpoint_deliver_error(endpoint, scope, NULL, -ENOBUFS);
  if (last && !peer->partial.data && !peer->skipping &&
      size <= endpoint->assembly.max)
    sd_batch_add(addon, size, (uint32_t)peer->id, peer->host_index,
                 (uint32_t)peer->own.port, true);
  else {
    /* For the socket that peelOff() may make. */
    peer->partial.stream = sd_stream_of(
        received->info.rcv_sid, received->info.rcv_flags & SCTP_UNORDERED);
    peer->partial.mid = received->info.rcv_ssn;
    peer->partial.ppid = ntohl(received->info.rcv_ppid);
    next = sd_endpoint_handle_piece(endpoint, scope, peer, data, size, last);
  }
  if (next == SD_CONTINUE && (peer->ended_early || sd_batch_full(addon)))
    next = sd_batch_deliver(handle, scope);
  if (last && peer->ended_early)
    sd_peer_remove(endpoint, peer);
  return next;
}

/* Looks at a notification before the messages in front of it are delivered:
 * then peelOff() must not take what it makes void along. */
static void sd_endpoint_foresee(struct sd_endpoint *endpoint, const char *data,
                                size_t size) {
  const union sctp_notification *event = (const void *)data;
  if (size >= sizeof event->sn_pdapi_event &&
      event->sn_header.sn_type == SCTP_PARTIAL_DELIVERY_EVENT)
    sd_endpoint_handle_message_aborted(endpoint,
                                       event->sn_pdapi_event.pdapi_assoc_id);
  if (size >= sizeof event->sn_assoc_change &&
      event->sn_header.sn_type == SCTP_ASSOC_CHANGE &&
      event->sn_assoc_change.sac_state == SCTP_RESTART)
    endpoint->restarting = event->sn_assoc_change.sac_assoc_id;
}

/* `n` is what recvmsg() returned. */
static enum sd_next
sd_endpoint_handle_received(struct sd_endpoint *endpoint,
                            struct sd_scope *scope,
                            const struct sd_received *received, ssize_t n) {
  struct sd_handle *handle = &endpoint->handle;
  const char *data = handle->addon->received;
  size_t size = n > 0 ? (size_t)n : 0;
  enum sd_next next;
  if (n >= 0 && !(received->flags & MSG_NOTIFICATION))
    return sd_endpoint_handle_data(endpoint, scope, received, data, size);
  if (n >= 0)
    sd_endpoint_foresee(endpoint, data, size);
  next = sd_batch_deliver_before(handle, scope, &data, size);
  endpoint->restarting = 0;
  if (next == SD_STOP)
    return SD_STOP;
  if (n >= 0)
    return sd_endpoint_handle_notification(endpoint, scope, &received->from,
                                           data, size);
  sd_handle_arm(handle, handle->armed & ~UV_READABLE);
  sd_timer_start(&handle->retry, SD_BACKOFF_MS);
  sd_endpoint_deliver_error(endpoint, scope, NULL, (int)n);
  return SD_STOP;
}

/* Receives up to the budget; poll() reports the rest at once. */
static void sd_endpoint_receive(struct sd_endpoint *endpoint) {
  struct sd_handle *handle = &endpoint->handle;
  struct sd_received received;
  struct sd_scope scope;
  int budget = sd_receive_budget(handle), i;
  enum sd_next next = SD_CONTINUE;
  ssize_t n;
  if (!sd_scope_open(handle, &scope))
    return;
  sd_batch_begin(handle);
  for (i = 0; i < budget && next == SD_CONTINUE && !endpoint->paused; i++) {
    n = sd_peers_reserve(endpoint) ? sd_batch_recv(handle, &received) : -ENOMEM;
    if (n == -EAGAIN)
      break;
    next = sd_endpoint_handle_received(endpoint, &scope, &received, n);
  }
  sd_receive_found(handle, budget, i);
  if (next == SD_CONTINUE)
    sd_batch_deliver(handle, &scope);
  sd_scope_close(handle, &scope);
  handle->addon->receiving = NULL;
  sd_peers_reclaim(endpoint);
  if (handle->state == SD_LINGERING)
    sd_endpoint_linger(endpoint);
}

/* --- 5.6 Send ------------------------------------------------------------- */

/* Lifetime of a message in milliseconds (RFC 6458 section 5.3.7). */
#define SD_TTL_MS 30000

/* Returns the peer with this address, which may be a new one. Returns NULL
 * if there is no memory. */
static struct sd_peer *sd_peer_at(struct sd_endpoint *endpoint,
                                  const union sd_addr *addr) {
  struct sd_destination *to;
  char host[SD_HOST_MAX];
  sctp_assoc_t id;
  sd_addr_format(addr, host);
  to = sd_destination_find(endpoint, host, sd_addr_port(addr));
  if (to && to->peer->list != &endpoint->ended)
    return to->peer;
  id = sd_endpoint_assoc_of(endpoint, addr);
  if (to && !id)
    return to->peer;
  if (to) /* the peer has come back by another address */
    sd_peer_remove(endpoint, to->peer);
  return id ? sd_peer_get(endpoint, id, addr)
            : sd_peer_new(endpoint, addr, false);
}

/* Makes the destination for a name that send() uses for the first time.
 * Returns NULL if there is no memory. */
static struct sd_destination *sd_destination_new(struct sd_endpoint *endpoint,
                                                 const char *host,
                                                 const union sd_addr *addr) {
  struct sd_peer *peer = sd_peer_at(endpoint, addr);
  struct sd_destination *to;
  if (!peer)
    return NULL;
  if (sd_destination_is(&peer->own, host, sd_addr_port(addr))) {
    peer->own.addr = *addr;
    return &peer->own;
  }
  to = calloc(1, sizeof *to);
  if (!to)
    return NULL;
  sd_destination_add(endpoint, to, peer, host, addr);
  to->next = peer->own.next;
  peer->own.next = to;
  return to;
}

/* Reads host and port of send(). Returns NULL after an exception. */
static struct sd_destination *sd_arg_destination(napi_env env,
                                                 struct sd_endpoint *endpoint,
                                                 napi_value host,
                                                 napi_value port) {
  struct sd_destination *to = endpoint->to;
  char name[SD_HOST_MAX];
  const char *unsendable;
  union sd_addr addr;
  double number;
  if (!sd_arg_host(env, host, "host", name) ||
      !sd_arg_integer(env, port, "port", 1, UINT16_MAX, &number))
    return NULL;
  if (!to || !sd_destination_is(to, name, (int)number))
    to = sd_destination_find(endpoint, name, (int)number);
  if (to && to->peer->list == &endpoint->ended)
    to = NULL; /* the peer may have come back by another address */
  if (to && to->lasting)
    return endpoint->to = to;
  if (!sd_arg_address(env, "send", "host", name, (int)number, &addr))
    return NULL;
  unsendable = sd_addr_unsendable(&addr);
  if (unsendable) {
    sd_throw_range(env, "host", unsendable, name);
    return NULL;
  }
  if (!sd_addrs_reach(&endpoint->locals, &addr)) {
    sd_throw_system(env, "send", -EAFNOSUPPORT, name, (int)number);
    return NULL;
  }
  if (to)
    to->addr = addr;
  else
    to = sd_destination_new(endpoint, name, &addr);
  if (!to)
    sd_throw_system(env, "send", -ENOMEM, name, (int)number);
  return endpoint->to = to;
}

static ssize_t sd_endpoint_send(struct sd_endpoint *endpoint,
                                const struct sd_destination *to,
                                const struct iovec *message, long charge,
                                bool more) {
  struct sd_handle *handle = &endpoint->handle;
  struct sd_quotas *quotas = &endpoint->quotas;
  struct sd_peer *peer = to->peer;
  ssize_t n;
  if (handle->blocked && sd_still_refused(&endpoint->refusals))
    return -EAGAIN;
  n = sd_sys_send(handle->fd, message, &to->addr, more,
                  sd_quota_wants_sack(quotas, &peer->quota, charge));
  if (n == -EAGAIN && quotas->own_buffers)
    return SD_PEER_BUSY;
  if (n == -EAGAIN)
    sd_handle_block(handle);
  if (n < 0)
    return n;
  handle->retry_failed = false;
  if (peer->quota.handed == 0)
    peer->since = sd_now();
  if (peer->refusal)
    sd_peer_drop_refusal(endpoint, peer);
  sd_quota_charge(quotas, &peer->quota, message->iov_len, charge);
  return n;
}

/* Sends messages, bundled (see sd_sndbuf), until one is refused. Returns the
 * number of accepted ones, or the error of the first. */
static ssize_t sd_endpoint_send_batch(struct sd_endpoint *endpoint,
                                      const struct sd_destination *to,
                                      const struct iovec *messages,
                                      size_t count) {
  struct sd_peer *peer = to->peer;
  size_t fragment = (size_t)peer->quota.fragment, i;
  size_t next = count > 0 ? messages->iov_len : 0;
  long charge = 0, next_charge = sd_charge(next, fragment);
  ssize_t n = 0;
  if (next > 0 && !sd_quota_admits(endpoint, peer, 0, next, next_charge))
    n = SD_PEER_BUSY;
  for (i = 0; i < count && n >= 0; i++) {
    bool admitted, more;
    charge = next_charge;
    next = i + 1 < count ? messages[i + 1].iov_len : 0;
    next_charge = sd_charge(next, fragment);
    admitted =
        next > 0 && sd_quota_admits(endpoint, peer, charge, next, next_charge);
    /* Charged twice, since the path may have smaller packets by now. */
    more =
        admitted && sd_sndbuf_fits(&endpoint->quotas.sndbuf, 2 * charge, next);
    n = sd_endpoint_send(endpoint, to, &messages[i], charge, more);
    if (n < 0) {
      next_charge = charge;
      break;
    }
    if (next > 0 && !admitted)
      n = SD_PEER_BUSY;
  }
  /* The call after onDrain meets any other error of a later message. */
  if (n == SD_PEER_BUSY || (i > 0 && n < 0 && n != -EAGAIN))
    sd_quota_wait(endpoint, peer, next_charge);
  return i > 0 || n >= 0 ? (ssize_t)i : n;
}

/* Reports the end of the association before, once. Returns its error or 0. */
static int sd_peer_report_loss(struct sd_endpoint *endpoint,
                               struct sd_peer *peer) {
  bool owed = peer->loss_unreported;
  if (peer->list != &endpoint->ended)
    return 0;
  sd_peer_move(endpoint, peer, NULL);
  peer->loss_unreported = false;
  return owed ? peer->error : 0;
}

/* Makes the Error of a refused send. Returns NULL if there is no memory. */
static napi_value sd_refusal(napi_env env, const struct sd_destination *to,
                             ssize_t code) {
  static const char busy[] = "ERR_SCTP_PEER_BUSY";
  char message[256];
  napi_value error;
  if (code != SD_PEER_BUSY)
    return sd_system_error(env, "send", (int)code, to->host, to->port);
  snprintf(message, sizeof message,
           "send %s %s:%d: this peer has not acknowledged what it was sent",
           busy, to->host, to->port);
  error = sd_error(env, napi_create_error, busy, message);
  return error && sd_define_string(env, error, "syscall", "send") &&
                 sd_define_string(env, error, "address", to->host) &&
                 sd_define_number(env, error, "port", to->port)
             ? error
             : NULL;
}

/* Returns the Error of a refused send for makeSend() to throw. It is the
 * same until the peer has been sent a message again: a new one, with its
 * stack, costs more than a message. */
static napi_value sd_get_refusal(napi_env env, const struct sd_destination *to,
                                 ssize_t code) {
  struct sd_peer *peer = to->peer;
  napi_value error = NULL;
  if (peer->refusal && peer->refusal_code == code && peer->refusal_to == to)
    napi_get_reference_value(env, peer->refusal, &error);
  if (error)
    return error;
  error = sd_refusal(env, to, code);
  if (!error) {
    sd_throw_status(env);
    return NULL;
  }
  if (peer->refusal)
    napi_delete_reference(env, peer->refusal);
  peer->refusal = NULL;
  if (napi_create_reference(env, error, 1, &peer->refusal) != napi_ok)
    peer->refusal = NULL;
  peer->refusal_code = code;
  peer->refusal_to = to;
  return error;
}

/* Makes the JavaScript result of a send. */
static napi_value sd_endpoint_send_result(struct sd_endpoint *endpoint,
                                          napi_env env,
                                          struct sd_destination *to,
                                          const struct iovec *messages,
                                          size_t count, bool batch) {
  struct sd_peer *peer = to->peer;
  ssize_t n = sd_peer_report_loss(endpoint, peer);
  napi_value result = NULL;
  bool refused;
  if (n == 0)
    n = sd_endpoint_send_batch(endpoint, to, messages, count);
  refused = n == SD_PEER_BUSY || n == -EAGAIN;
  if (refused && batch)
    n = 0;
  else if (refused)
    result = sd_get_refusal(env, to, n);
  else if (n < 0)
    sd_throw_system(env, "send", (int)n, to->host, to->port);
  if (peer->id == 0 && peer->quota.handed == 0 && !peer->list)
    sd_peer_remove(endpoint, peer); /* no association was begun */
  if (n < 0)
    return result;
  SD_CHECK(env, napi_create_int64(env, batch ? n : (int64_t)messages->iov_len,
                                  &result));
  return result;
}

/* Calls onDrain for the peers that are busy no more. */
static void sd_endpoint_emit_ready(struct sd_endpoint *endpoint) {
  struct sd_handle *handle = &endpoint->handle;
  struct sd_scope scope;
  struct sd_peer *peer;
  enum sd_next next = sd_scope_open(handle, &scope) ? SD_CONTINUE : SD_STOP;
  while (next == SD_CONTINUE && (peer = endpoint->quotas.ready.first)) {
    sd_peer_move(endpoint, peer, NULL);
    next = sd_endpoint_emit_peer(endpoint, SD_ON_DRAIN, NULL, peer->own.host,
                                 peer->own.port, NULL);
  }
  sd_scope_close(handle, &scope);
}

/* Looks after the busy peers when the timer of the quotas has fired. */
static void sd_endpoint_poll_quotas(struct sd_handle *handle) {
  struct sd_endpoint *endpoint = (struct sd_endpoint *)handle;
  bool ready;
  if (handle->state != SD_OPEN)
    return;
  sd_quota_poll(endpoint);
  ready = endpoint->quotas.ready.first;
  if (ready)
    sd_endpoint_emit_ready(endpoint);
  if (handle->state == SD_OPEN)
    sd_quota_poll_again(&endpoint->quotas, ready);
}

static void sd_endpoint_emit_drain(struct sd_endpoint *endpoint) {
  struct sd_handle *handle = &endpoint->handle;
  struct sd_scope scope;
  napi_value function;
  sd_handle_unblock(handle);
  if (!sd_scope_open(handle, &scope))
    return;
  function = sd_endpoint_callback(endpoint, SD_ON_DRAIN);
  if (function)
    sd_upcall(handle, function, 0, NULL);
  sd_scope_close(handle, &scope);
}

/* --- 5.7 Loop ------------------------------------------------------------- */

static void sd_endpoint_handle_ready(struct sd_handle *handle, int events) {
  struct sd_endpoint *endpoint = (struct sd_endpoint *)handle;
  if (handle->state == SD_LINGERING) {
    sd_endpoint_linger_step(endpoint);
    return;
  }
  if (events == 0)
    sd_timer_start(&handle->retry, SD_BACKOFF_MS);
  if (!endpoint->paused && (events == 0 || events & UV_READABLE))
    sd_endpoint_receive(endpoint);
  if (events & UV_WRITABLE && handle->state == SD_OPEN)
    sd_endpoint_emit_drain(endpoint);
}

/* Sets the event mask of an open endpoint. A paused one waits for an event that
 * never comes, so that it still keeps the process running. */
static void sd_endpoint_arm(struct sd_endpoint *endpoint) {
  struct sd_handle *handle = &endpoint->handle;
  sd_handle_arm(handle, (endpoint->paused ? UV_DISCONNECT : UV_READABLE) |
                            (handle->blocked ? UV_WRITABLE : 0));
}

/* Delivers what pause() has held back, also after an exception. */
static void sd_endpoint_deliver_held(struct sd_endpoint *endpoint) {
  struct sd_handle *handle = &endpoint->handle;
  napi_env env = handle->addon->env;
  struct sd_scope scope;
  napi_value hold, off;
  bool open = sd_scope_open(handle, &scope);
  while (open && !endpoint->paused &&
         napi_get_reference_value(env, endpoint->hold, &hold) == napi_ok &&
         hold && napi_get_boolean(env, false, &off) == napi_ok &&
         !sd_upcall(handle, hold, 1, &off))
    open = sd_scope_reopen(handle, &scope);
  sd_scope_close(handle, &scope);
}

static void sd_endpoint_handle_retry(struct sd_handle *handle) {
  struct sd_endpoint *endpoint = (struct sd_endpoint *)handle;
  if (handle->state == SD_OPEN && !endpoint->paused)
    sd_endpoint_deliver_held(endpoint);
  if (handle->state == SD_OPEN)
    sd_endpoint_arm(endpoint);
}

static void sd_endpoint_release(struct sd_handle *handle) {
  struct sd_endpoint *endpoint = (struct sd_endpoint *)handle;
  sd_peers_free(endpoint);
  sd_partial_drop(&endpoint->returns, &endpoint->returned);
  if (endpoint->on_error)
    napi_delete_reference(handle->addon->env, endpoint->on_error);
  if (endpoint->hold)
    napi_delete_reference(handle->addon->env, endpoint->hold);
  if (endpoint->host_strings)
    napi_delete_reference(handle->addon->env, endpoint->host_strings);
  if (endpoint->callbacks)
    napi_delete_reference(handle->addon->env, endpoint->callbacks);
}

static const struct sd_kind sd_endpoint_kind = {
    .class = SD_ENDPOINT,
    .collectable = true,
    .handle_ready = sd_endpoint_handle_ready,
    .handle_retry = sd_endpoint_handle_retry,
    .release = sd_endpoint_release};

/* --- 5.8 Methods ---------------------------------------------------------- */

static napi_value sd_js_endpoint_send(napi_env env, napi_callback_info info) {
  napi_value argv[3], self;
  struct iovec message;
  struct sd_destination *to;
  struct sd_endpoint *endpoint = sd_this(env, info, 3, argv, &self);
  if (!endpoint || !sd_check_open(env, &endpoint->handle) ||
      !sd_arg_message(env, argv[0], "buffer", &message))
    return NULL;
  to = sd_arg_destination(env, endpoint, argv[1], argv[2]);
  return to ? sd_endpoint_send_result(endpoint, env, to, &message, 1, false)
            : NULL;
}

/* Reads the Buffers of sendBatch() into iovecs, which the caller frees. Returns
 * NULL after an exception. */
static struct iovec *sd_arg_messages(napi_env env, napi_value array,
                                     uint32_t *count) {
  struct iovec *messages;
  napi_value *elements;
  if (napi_get_array_length(env, array, count) != napi_ok) {
    sd_throw_type(env, "messages", "an array", array);
    return NULL;
  }
  messages = calloc((size_t)*count + 1, sizeof *messages);
  elements = calloc((size_t)*count + 1, sizeof *elements);
  if (!messages || !elements)
    sd_throw_system(env, "send", -ENOMEM, NULL, 0);
  else if (sd_arg_elements(env, array, 0, *count, elements, messages)) {
    free(elements);
    return messages;
  }
  free(elements);
  free(messages);
  return NULL;
}

static napi_value sd_js_endpoint_send_batch(napi_env env,
                                            napi_callback_info info) {
  napi_value argv[3], self, result = NULL;
  struct sd_endpoint *endpoint = sd_this(env, info, 3, argv, &self);
  struct sd_destination *to = NULL;
  struct iovec *messages;
  uint32_t count;
  if (!endpoint)
    return NULL;
  messages = sd_arg_messages(env, argv[0], &count);
  if (!messages)
    return NULL;
  if (sd_check_open(env, &endpoint->handle))
    to = sd_arg_destination(env, endpoint, argv[1], argv[2]);
  if (to)
    result = sd_endpoint_send_result(endpoint, env, to, messages, count, true);
  free(messages);
  return result;
}

/* Sets a callback. A closed endpoint keeps none. */
static napi_value sd_js_endpoint_get_callback(napi_env env,
                                              napi_callback_info info,
                                              enum sd_callback which) {
  napi_value self, result;
  struct sd_endpoint *endpoint = sd_this(env, info, 0, NULL, &self);
  if (!endpoint)
    return NULL;
  result = endpoint->handle.state == SD_OPEN
               ? sd_endpoint_callback(endpoint, which)
               : NULL;
  if (!result)
    SD_CHECK(env, napi_get_null(env, &result));
  return result;
}

static napi_value sd_js_endpoint_set_callback(napi_env env,
                                              napi_callback_info info,
                                              enum sd_callback which,
                                              const char *name) {
  napi_value self, value, list;
  napi_valuetype type;
  struct sd_endpoint *endpoint = sd_this(env, info, 1, &value, &self);
  if (!endpoint)
    return NULL;
  SD_CHECK(env, napi_typeof(env, value, &type));
  if (type != napi_function && type != napi_null) {
    sd_throw_type(env, name, "a function or null", value);
    return NULL;
  }
  if (endpoint->handle.state == SD_OPEN) {
    SD_CHECK(env, napi_get_reference_value(env, endpoint->callbacks, &list));
    SD_CHECK(env, napi_set_element(env, list, which, value));
  }
  return NULL;
}

#define SD_JS_CALLBACK(name, which)                                            \
  static napi_value sd_js_get_##name(napi_env env, napi_callback_info info) {  \
    return sd_js_endpoint_get_callback(env, info, which);                      \
  }                                                                            \
  static napi_value sd_js_set_##name(napi_env env, napi_callback_info info) {  \
    return sd_js_endpoint_set_callback(env, info, which, #name);               \
  }

SD_JS_CALLBACK(onDrain, SD_ON_DRAIN)
SD_JS_CALLBACK(onPeer, SD_ON_PEER)
SD_JS_CALLBACK(onUndelivered, SD_ON_UNDELIVERED)

/* Makes the script hold messages back. */
static bool sd_endpoint_hold(struct sd_endpoint *endpoint) {
  napi_env env = endpoint->handle.addon->env;
  napi_value hold, on;
  return napi_get_reference_value(env, endpoint->hold, &hold) == napi_ok &&
         napi_get_boolean(env, true, &on) == napi_ok &&
         napi_call_function(env, hold, hold, 1, &on, NULL) == napi_ok;
}

static napi_value
sd_js_endpoint_set_paused(napi_env env, napi_callback_info info, bool paused) {
  napi_value self;
  struct sd_endpoint *endpoint = sd_this(env, info, 0, NULL, &self);
  if (!endpoint)
    return NULL;
  if (endpoint->handle.state != SD_OPEN || endpoint->paused == paused)
    return self;
  if (paused && !sd_endpoint_hold(endpoint)) {
    sd_throw_status(env);
    return NULL;
  }
  endpoint->paused = paused;
  if (paused)
    sd_endpoint_arm(endpoint);
  else
    sd_timer_start(&endpoint->handle.retry, 0);
  return self;
}

static napi_value sd_js_endpoint_pause(napi_env env, napi_callback_info info) {
  return sd_js_endpoint_set_paused(env, info, true);
}

static napi_value sd_js_endpoint_resume(napi_env env, napi_callback_info info) {
  return sd_js_endpoint_set_paused(env, info, false);
}

/* Returns whether a peer has an association, or a handshake for one. */
static bool sd_peer_present(const struct sd_endpoint *endpoint,
                            const struct sd_peer *peer) {
  return peer->list != &endpoint->ended && (peer->id || peer->quota.handed > 0);
}

/* Reads host and port of a peer that is there. Returns NULL after an
 * exception. */
static struct sd_peer *sd_arg_peer(napi_env env, struct sd_endpoint *endpoint,
                                   const napi_value *argv,
                                   const char *syscall) {
  struct sd_destination *to;
  struct sd_peer *peer;
  char host[SD_HOST_MAX], canonical[SD_HOST_MAX];
  union sd_addr addr;
  double port;
  if (!sd_arg_host(env, argv[0], "host", host) ||
      !sd_arg_integer(env, argv[1], "port", 1, UINT16_MAX, &port) ||
      !sd_arg_address(env, syscall, "host", host, (int)port, &addr))
    return NULL;
  to = sd_destination_find(endpoint, host, (int)port);
  sd_addr_format(&addr, canonical);
  if (!to)
    to = sd_destination_find(endpoint, canonical, (int)port);
  peer =
      to && to->peer->list != &endpoint->ended
          ? to->peer
          : sd_peer_get(endpoint, sd_endpoint_assoc_of(endpoint, &addr), &addr);
  if (peer && sd_peer_present(endpoint, peer))
    return peer;
  sd_throw_system(env, syscall, -ENOTCONN, host, (int)port);
  return NULL;
}

/* Shuts an association down or aborts it. A handshake that is not finished is
 * no reason to lose messages, so it is shut down later. */
static int sd_peer_disconnect(struct sd_endpoint *endpoint,
                              struct sd_peer *peer, bool aborts,
                              const struct iovec *reason) {
  int error;
  if (!peer->id && !aborts) {
    peer->ending = true;
    return 0;
  }
  error = sd_sys_end(endpoint->handle.fd, peer->id,
                     peer->id ? NULL : &peer->own.addr,
                     aborts ? SCTP_ABORT : SCTP_EOF, reason);
  if (error == 0 && aborts)
    peer->aborted = true;
  /* The association may have ended, as a notification will tell. */
  return error == -EPIPE || (error == -EINVAL && !peer->id) ? 0 : error;
}

/* disconnect(host, port, aborts, reason): `reason` are the bytes of a text, or
 * undefined. */
static napi_value sd_js_endpoint_disconnect(napi_env env,
                                            napi_callback_info info) {
  napi_value argv[4], self;
  struct iovec reason = {0};
  struct sd_endpoint *endpoint = sd_this(env, info, 4, argv, &self);
  struct sd_peer *peer;
  napi_valuetype type;
  bool aborts;
  int error;
  if (!endpoint || !sd_check_open(env, &endpoint->handle))
    return NULL;
  SD_CHECK(env, napi_get_value_bool(env, argv[2], &aborts));
  SD_CHECK(env, napi_typeof(env, argv[3], &type));
  if (type != napi_undefined &&
      !sd_arg_bytes(env, argv[3], "reason", &reason.iov_base, &reason.iov_len))
    return NULL;
  peer = sd_arg_peer(env, endpoint, argv, "disconnect");
  if (!peer)
    return NULL;
  error = sd_peer_disconnect(endpoint, peer, aborts,
                             type == napi_undefined ? NULL : &reason);
  if (error < 0)
    sd_throw_system(env, "disconnect", error, peer->own.host, peer->own.port);
  return NULL;
}

/* Makes { host, port, associationId, outstanding, addresses } of a peer. */
static napi_value sd_peer_object(struct sd_endpoint *endpoint,
                                 struct sd_peer *peer) {
  napi_env env = endpoint->handle.addon->env;
  sctp_assoc_t id =
      peer->id ? peer->id : sd_endpoint_assoc_of(endpoint, &peer->own.addr);
  napi_value object, addresses;
  char *packed;
  int count = sd_sys_peer_addresses(endpoint->handle.fd, id, &packed);
  addresses = count > 0 ? sd_addrs_array(env, packed, count, &peer->own.addr)
                        : sd_addrs_array(env, (char *)&peer->own.addr, 1,
                                         &peer->own.addr);
  sd_sys_free_peer(packed);
  sd_quota_refresh(endpoint, peer);
  if (!addresses)
    return NULL;
  SD_CHECK(env, napi_create_object(env, &object));
  if (sd_define_string(env, object, "host", peer->own.host) &&
      sd_define_number(env, object, "port", peer->own.port) &&
      sd_define_number(env, object, "associationId", id) &&
      sd_define_number(env, object, "outstanding", peer->quota.chunks) &&
      sd_define(env, object, "addresses", addresses))
    return object;
  sd_throw_status(env);
  return NULL;
}

/* peers() returns an object for each peer that is there. */
static napi_value sd_js_endpoint_peers(napi_env env, napi_callback_info info) {
  napi_value self, array, object;
  struct sd_endpoint *endpoint = sd_this(env, info, 0, NULL, &self);
  struct sd_node *node;
  uint32_t count = 0;
  size_t i;
  if (!endpoint || !sd_check_open(env, &endpoint->handle))
    return NULL;
  SD_CHECK(env, napi_create_array(env, &array));
  for (i = 0; i < endpoint->destinations.size; i++)
    for (node = endpoint->destinations.slots[i]; node; node = node->next) {
      struct sd_destination *to = (struct sd_destination *)node;
      if (to != &to->peer->own || !sd_peer_present(endpoint, to->peer))
        continue;
      object = sd_peer_object(endpoint, to->peer);
      if (!object)
        return NULL;
      if (!sd_define_element(env, array, count++, object)) {
        sd_throw_status(env);
        return NULL;
      }
    }
  return array;
}

static napi_value sd_js_endpoint_close(napi_env env, napi_callback_info info) {
  napi_value self;
  struct sd_endpoint *endpoint = sd_this(env, info, 0, NULL, &self);
  if (!endpoint || endpoint->handle.state != SD_OPEN)
    return NULL;
  /* An `init` hook may close an endpoint that is not complete. */
  if (endpoint->hold && !sd_endpoint_hold(endpoint))
    sd_throw_status(env);
  sd_endpoint_close(endpoint);
  return NULL;
}

/* In section 6.7, since it makes a socket. */
static napi_value sd_js_endpoint_peel_off(napi_env env,
                                          napi_callback_info info);

/* Gets Symbol.dispose, or undefined if this version of Node has none. */
static napi_status sd_symbol_dispose(napi_env env, napi_value *result) {
  napi_value global, symbol;
  napi_status status = napi_get_global(env, &global);
  if (status == napi_ok)
    status = napi_get_named_property(env, global, "Symbol", &symbol);
  if (status == napi_ok)
    status = napi_get_named_property(env, symbol, "dispose", result);
  return status;
}

/* Replaces the endpoint's send() by the one that makeSend() makes of it. */
static napi_status sd_wrap_send(napi_env env, struct sd_addon *addon) {
  napi_property_descriptor send = {.utf8name = "send",
                                   .attributes = napi_default_method};
  napi_value class, prototype, native, throwing;
  napi_status status =
      napi_get_reference_value(env, addon->classes[SD_ENDPOINT], &class);
  if (status == napi_ok &&
      (status = napi_get_named_property(env, class, "prototype", &prototype)) ==
          napi_ok &&
      (status = napi_get_named_property(env, prototype, "send", &native)) ==
          napi_ok &&
      (status = napi_get_reference_value(env, addon->make_send, &throwing)) ==
          napi_ok &&
      (status = napi_call_function(env, throwing, throwing, 1, &native,
                                   &send.value)) == napi_ok)
    status = napi_define_properties(env, prototype, 1, &send);
  return status;
}

static napi_status sd_define_endpoint(napi_env env, struct sd_addon *addon,
                                      napi_value exports) {
  napi_property_descriptor methods[] = {
      SD_METHOD("send", sd_js_endpoint_send),
      SD_METHOD("sendBatch", sd_js_endpoint_send_batch),
      SD_METHOD("pause", sd_js_endpoint_pause),
      SD_METHOD("resume", sd_js_endpoint_resume),
      SD_METHOD("peers", sd_js_endpoint_peers),
      SD_METHOD("disconnect", sd_js_endpoint_disconnect),
      SD_METHOD("peelOff", sd_js_endpoint_peel_off),
      SD_METHOD("getOption", sd_js_get_option),
      SD_METHOD("setOption", sd_js_set_option),
      SD_METHOD("close", sd_js_endpoint_close),
      SD_METHOD("address", sd_js_address),
      SD_METHOD("ref", sd_js_ref),
      SD_METHOD("unref", sd_js_unref),
      SD_CALLBACK(onDrain),
      SD_CALLBACK(onPeer),
      SD_CALLBACK(onUndelivered),
      SD_METHOD(NULL, sd_js_endpoint_close), /* [Symbol.dispose] */
  };
  size_t count = sizeof methods / sizeof *methods;
  napi_value dispose, class;
  napi_valuetype type;
  napi_status status = sd_symbol_dispose(env, &dispose);
  if (status == napi_ok)
    status = napi_typeof(env, dispose, &type);
  if (status != napi_ok)
    return status;
  methods[count - 1].name = dispose;
  if (type != napi_symbol)
    count--;
  status = sd_define_class(env, addon, SD_ENDPOINT, "Endpoint", methods, count);
  if (status == napi_ok)
    status = sd_wrap_send(env, addon);
  if (status == napi_ok)
    status = napi_get_reference_value(env, addon->classes[SD_ENDPOINT], &class);
  if (status == napi_ok && !sd_define(env, exports, "Endpoint", class))
    status = napi_generic_failure;
  return status;
}

/* --- 5.9 Open ------------------------------------------------------------- */

/* Incoming streams that an endpoint accepts. All messages are unordered, so
 * streams mean nothing to it, while each costs the kernel memory: 65,535 cost
 * 1.35 MB for every association. */
#define SD_IN_STREAMS 64

/* Unanswered INITs until the kernel gives up, each after at most this many
 * milliseconds. Together they take 28 s. */
#define SD_INIT_ATTEMPTS 8
#define SD_INIT_MAX_MS 5000

/* Sets the options of an endpoint (RFC 6458 sections 8.1 and 8.2). */
static int sd_endpoint_options(int fd, int family) {
  static const int on = 1, off = 0;
  static const struct sctp_rtoinfo rto = {
      .srto_initial = 250, .srto_min = 200, .srto_max = 5000};
  /* sinit_max_init_timeo bounds the waits between INITs, which the maximum
   * of the RTO does not: without it, a host that is down is given up after
   * 128 s, with it after 29 s. */
  static const struct sctp_initmsg init = {
      .sinit_max_instreams = SD_IN_STREAMS,
      .sinit_max_attempts = SD_INIT_ATTEMPTS,
      .sinit_max_init_timeo = SD_INIT_MAX_MS};
  /* The TTL. As a default and not as a PR-SCTP policy, it also suits
   * messages that are sent before the handshake with a new peer ends. */
  static const struct sctp_sndrcvinfo send_param = {
      .sinfo_flags = SCTP_UNORDERED, .sinfo_timetolive = SD_TTL_MS};
  /* At level 0, an unfinished message of one peer holds back all others. */
  static const int interleave = 1;
  static const struct sd_option options[] = {
      {IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof on},
      {IPPROTO_SCTP, SCTP_RTOINFO, &rto, sizeof rto},
      {IPPROTO_SCTP, SCTP_INITMSG, &init, sizeof init},
      {IPPROTO_SCTP, SCTP_DEFAULT_SEND_PARAM, &send_param, sizeof send_param},
      {IPPROTO_SCTP, SCTP_FRAGMENT_INTERLEAVE, &interleave, sizeof interleave},
      {IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off},
  };
  static const int events[] = {SCTP_ASSOC_CHANGE, SCTP_PEER_ADDR_CHANGE,
                               SCTP_SEND_FAILED_EVENT,
                               SCTP_PARTIAL_DELIVERY_EVENT};
  size_t i;
  int error = sd_set_common_options(fd, family);
  if (error == 0)
    error =
        sd_set_options(fd, family, options, sizeof options / sizeof *options);
  for (i = 0; i < sizeof events / sizeof *events && error == 0; i++)
    error = sd_sys_event(fd, events[i], true);
  return error;
}

/* Makes a socket that is bound and listens. Returns the descriptor, and in
 * `addr` its first address, or -errno and in `syscall` the call that failed. */
static int sd_endpoint_socket(struct sd_addrs *locals, union sd_addr *addr,
                              const char **syscall) {
  int fd, error;
  *syscall = "socket";
  fd = sd_sys_socket(locals->family, SOCK_SEQPACKET);
  if (fd < 0)
    return fd;
  *syscall = "setsockopt";
  error = sd_endpoint_options(fd, locals->family);
  if (error == 0) {
    *syscall = "bind";
    error = sd_sys_bindx(fd, locals, SCTP_BINDX_ADD_ADDR);
  }
  if (error == 0) {
    *syscall = "listen";
    error = sd_sys_listen(fd, SOMAXCONN);
  }
  if (error == 0) {
    *syscall = "getsockname";
    error = sd_sys_get_port(fd, addr);
  }
  if (error == 0)
    return fd;
  sd_sys_close(fd);
  return error;
}

/* Makes the functions for messages, errors and resume(), and the arrays of
 * strings and callbacks, and stores them in the endpoint's object. */
static bool sd_endpoint_make_receiver(struct sd_endpoint *endpoint,
                                      napi_value object, napi_value on_recv) {
  struct sd_addon *addon = endpoint->handle.addon;
  napi_env env = addon->env;
  napi_value make, receiver, on_message, on_error, hold;
  napi_value argv[3] = {on_recv};
  return napi_create_array(env, &argv[1]) == napi_ok &&
         napi_create_array(env, &argv[2]) == napi_ok &&
         napi_get_reference_value(env, addon->make_receiver, &make) ==
             napi_ok &&
         napi_call_function(env, make, make, 3, argv, &receiver) == napi_ok &&
         napi_get_named_property(env, receiver, "onMessage", &on_message) ==
             napi_ok &&
         napi_get_named_property(env, receiver, "onError", &on_error) ==
             napi_ok &&
         napi_get_named_property(env, receiver, "hold", &hold) == napi_ok &&
         sd_hide(env, object, "names", argv[1], &endpoint->host_strings) &&
         sd_hide(env, object, "callbacks", argv[2], &endpoint->callbacks) &&
         sd_hide(env, object, "onMessage", on_message,
                 &endpoint->handle.on_message) &&
         sd_hide(env, object, "onError", on_error, &endpoint->on_error) &&
         sd_hide(env, object, "hold", hold, &endpoint->hold);
}

static napi_value sd_endpoint_object(struct sd_endpoint *endpoint,
                                     napi_value on_recv) {
  napi_value object = sd_handle_object(&endpoint->handle);
  if (!object || sd_endpoint_make_receiver(endpoint, object, on_recv))
    return object;
  sd_throw_status(endpoint->handle.addon->env);
  return NULL;
}

/* Makes an endpoint that takes over `fd`. Returns NULL, with `fd` closed, if
 * there is no memory. */
static struct sd_endpoint *sd_endpoint_new(struct sd_addon *addon, int fd) {
  struct sd_endpoint *endpoint =
      sd_handle_new(sizeof *endpoint, &sd_endpoint_kind, addon, fd);
  if (!endpoint)
    return NULL;
  sd_timer_init(&endpoint->handle, &endpoint->quotas.timer,
                sd_endpoint_poll_quotas);
  sd_timer_init(&endpoint->handle, &endpoint->linger,
                sd_endpoint_linger_timeout);
  if (!sd_table_init(&endpoint->peers) ||
      !sd_table_init(&endpoint->destinations)) {
    sd_handle_close(&endpoint->handle);
    return NULL;
  }
  endpoint->quotas.sndbuf.fd = fd;
  endpoint->quotas.own_buffers = sd_sys_own_buffers();
  sd_sndbuf_refresh(&endpoint->quotas.sndbuf);
  endpoint->returns.max = 2 * SD_BUFFER; /* the longest message */
  return endpoint;
}

/* Reads bindHost: an address, or an array of them. */
static bool sd_arg_bind_host(napi_env env, napi_value value,
                             struct sd_addrs *locals) {
  char host[SD_HOST_MAX];
  union sd_addr addr;
  uint32_t count;
  if (napi_get_array_length(env, value, &count) != napi_ok) {
    memset(locals, 0, sizeof *locals);
    return sd_arg_host(env, value, "bindHost", host) &&
           sd_arg_address(env, "bind", "bindHost", host, 0, &addr) &&
           sd_addrs_add(locals, &addr);
  }
  if (!sd_arg_addresses(env, value, "bind", "bindHost", 0, locals))
    return false;
  if (locals->count == 0)
    sd_throw_range(env, "bindHost.length", ">= 1", "0");
  return locals->count > 0;
}

static napi_value sd_js_open(napi_env env, napi_callback_info info) {
  size_t argc = 4;
  napi_value argv[4], object;
  char host[SD_HOST_MAX];
  double port, recv_max;
  struct sd_addrs locals;
  union sd_addr addr;
  struct sd_addon *addon;
  struct sd_endpoint *endpoint;
  const char *syscall;
  int fd;
  SD_CHECK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  SD_CHECK(env, napi_get_instance_data(env, (void **)&addon));
  if (!sd_arg_bind_host(env, argv[0], &locals) ||
      !sd_arg_integer(env, argv[1], "bindPort", 0, UINT16_MAX, &port) ||
      !sd_arg_integer(env, argv[2], "recvMaxlen", 1, SD_RECV_MAX, &recv_max) ||
      !sd_arg_function(env, argv[3], "onRecv"))
    return NULL;
  sd_addrs_set_port(&locals, (int)port);
  sd_addrs_next(locals.packed, 0, &addr);
  fd = sd_endpoint_socket(&locals, &addr, &syscall);
  if (fd < 0) {
    sd_addr_format(&addr, host);
    sd_throw_system(env, syscall, fd, strcmp(syscall, "bind") ? NULL : host,
                    (int)port);
    return NULL;
  }
  endpoint = sd_endpoint_new(addon, fd);
  if (!endpoint) {
    sd_throw_system(env, "open", -ENOMEM, NULL, 0);
    return NULL;
  }
  endpoint->assembly.max = (size_t)recv_max;
  endpoint->locals = locals;
  endpoint->handle.local = addr;
  object = sd_handle_return(&endpoint->handle,
                            sd_endpoint_object(endpoint, argv[3]));
  if (object)
    sd_handle_arm(&endpoint->handle, UV_READABLE);
  return object;
}

/* === 6. Socket ============================================================ */

/* --- 6.1 Options and addresses -------------------------------------------- */

/* The phases of a socket's association, in the order of time. In SD_REFUSED,
 * SD_SHUT and SD_LOST it has ended, and the messages that have arrived are
 * still read. */
enum sd_phase {
  SD_CONNECTING,
  SD_UP,
  SD_REFUSED,  /* the handshake has failed */
  SD_SHUT,     /* by a shutdown */
  SD_LOST,     /* by an ABORT or a timeout */
  SD_REPORTED, /* JavaScript knows the end: nothing is read any more */
};

/* A socket of one association, connected or accepted. */
struct sd_socket {
  struct sd_handle handle; /* first, so that one is cast to the other */
  union sd_addr remote;    /* address connected to, or accepted from */
  enum sd_phase phase;
  bool accepted;
  bool reading;     /* JavaScript wants messages */
  bool poll_silent; /* poll() may not report the end any more */
  bool peeled;      /* it was an endpoint's, which other calls shut down */
  bool skipping;    /* the present message is too long, drop its pieces */
  bool restarted;   /* the association belongs to the peer's next life */
  bool moved;       /* another handle has this socket, too */
  int send_error;   /* error that a send met first: no receive will meet it */
  struct sd_partial *partials; /* unfinished messages, one for a stream */
  struct sd_assembly assembly;
  napi_ref unsent;  /* messages that send() could not hand over yet, or NULL */
  uint32_t next;    /* index of the first of these */
  size_t batch_max; /* bytes at which the batch is delivered */
  char *reason;     /* cause text of the peer's ABORT, or NULL */
  size_t reason_length;
};

/* A server's socket. */
struct sd_listener {
  struct sd_handle handle; /* first, so that one is cast to the other */
  size_t max_message;      /* limits of the sockets that it accepts */
  size_t batch_max;
};

/* The most options that connect() and listen() take, and bytes of all. */
#define SD_OPTIONS 64
#define SD_OPTION_BYTES 8192

/* How lib/ wants a socket, or the sockets that a listener accepts. */
struct sd_settings {
  struct sd_option options[SD_OPTIONS];
  uint32_t count;
  char bytes[SD_OPTION_BYTES]; /* values of the options */
  size_t max_message;          /* bytes of the longest message to receive */
  size_t batch_max; /* bytes at which received messages are delivered */
};

/* Reads an array of [level, name, bytes], and two numbers. It keeps copies of
 * the bytes, since a getter of a later element may take their memory away. */
static bool sd_arg_settings(napi_env env, const napi_value *argv,
                            struct sd_settings *settings) {
  double max_message, batch_max;
  size_t used = 0;
  uint32_t i, j;
  if (napi_get_array_length(env, argv[0], &settings->count) != napi_ok ||
      settings->count > SD_OPTIONS) {
    sd_throw_type(env, "options", "an array", argv[0]);
    return false;
  }
  for (i = 0; i < settings->count; i++) {
    napi_value row, option[3];
    bool got = napi_get_element(env, argv[0], i, &row) == napi_ok;
    for (j = 0; j < 3 && got; j++)
      got = napi_get_element(env, row, j, &option[j]) == napi_ok;
    if (!got) {
      sd_throw_status(env);
      return false;
    }
    if (!sd_arg_option(env, option, &settings->options[i]))
      return false;
    if (settings->options[i].length > SD_OPTION_BYTES - used) {
      sd_throw_system(env, "setsockopt", -E2BIG, NULL, 0);
      return false;
    }
    memcpy(settings->bytes + used, settings->options[i].value,
           settings->options[i].length);
    settings->options[i].value = settings->bytes + used;
    used += settings->options[i].length;
  }
  if (!sd_arg_integer(env, argv[1], "maxMessageSize", 0, UINT32_MAX,
                      &max_message) ||
      !sd_arg_integer(env, argv[2], "batchMax", 0, UINT32_MAX, &batch_max))
    return false;
  settings->max_message = (size_t)max_message;
  settings->batch_max = (size_t)batch_max;
  return true;
}

/* Sets the options of a one-to-one socket. Returns -errno, and in `option` the
 * index of the setting that failed, counted from 1 on. */
static int sd_apply_settings(int fd, int family,
                             const struct sd_settings *settings,
                             uint32_t *option) {
  int error = sd_set_common_options(fd, family);
  if (error == 0)
    for (*option = 0; *option < settings->count && error == 0;)
      error = sd_set_options(fd, family, &settings->options[(*option)++], 1);
  return error;
}

/* Makes a one-to-one socket and binds it, if there are local addresses. Returns
 * the descriptor, or -errno, in `syscall` what failed, and in `option` the
 * index of the setting that failed. */
static int sd_stream_socket(int family, const struct sd_settings *settings,
                            struct sd_addrs *locals, const char **syscall,
                            uint32_t *option) {
  int fd, error;
  *syscall = "socket";
  fd = sd_sys_socket(family, SOCK_STREAM);
  if (fd < 0)
    return fd;
  *syscall = "setsockopt";
  error = sd_apply_settings(fd, family, settings, option);
  if (error == 0 && locals->count) {
    *syscall = "bind";
    error = sd_sys_bindx(fd, locals, SCTP_BINDX_ADD_ADDR);
  }
  if (error == 0)
    return fd;
  sd_sys_close(fd);
  return error;
}

/* Throws the Error of a setting that failed, counted from 1 on. */
static void sd_throw_setting(napi_env env, int error, uint32_t option) {
  napi_value object = sd_system_error(env, "setsockopt", error, NULL, 0);
  sd_throw_value(env, object && sd_define_number(env, object, "option", option)
                          ? object
                          : NULL);
}

/* Throws the Error of a failed call on a socket with these addresses. */
static void sd_throw_addrs(napi_env env, const char *syscall, int error,
                           const struct sd_addrs *addrs) {
  union sd_addr addr;
  char host[SD_HOST_MAX];
  bool named = strcmp(syscall, "bind") == 0 || strcmp(syscall, "connect") == 0;
  if (named && addrs->count) {
    sd_addrs_next(addrs->packed, 0, &addr);
    sd_addr_format(&addr, host);
    sd_throw_system(env, syscall, error, host, sd_addr_port(&addr));
  } else {
    sd_throw_system(env, syscall, error, NULL, 0);
  }
}

/* Throws the Error of sd_stream_socket(). */
static void sd_throw_socket(napi_env env, const char *syscall, int error,
                            const struct sd_addrs *locals, uint32_t option) {
  if (strcmp(syscall, "setsockopt") == 0)
    sd_throw_setting(env, error, option);
  else
    sd_throw_addrs(env, syscall, error, locals);
}

/* Makes the array of the local addresses of an association or, with id 0, of
 * a listener. */
static napi_value sd_local_addresses(napi_env env, int fd, sctp_assoc_t id,
                                     const union sd_addr *first) {
  char *packed;
  int count = sd_sys_local_addresses(fd, id, &packed);
  napi_value array = sd_addrs_array(env, packed, count, first);
  sd_sys_free_local(packed);
  return array;
}

/* --- 6.2 Receive ---------------------------------------------------------- */

/* Makes a socket that takes over `fd`. Returns NULL, with `fd` closed, if there
 * is no memory. */
static struct sd_socket *sd_socket_new(const struct sd_kind *kind,
                                       struct sd_addon *addon, int fd,
                                       size_t max_message, size_t batch_max) {
  struct sd_socket *socket = sd_handle_new(sizeof *socket, kind, addon, fd);
  if (!socket)
    return NULL;
  socket->assembly.max = max_message;
  socket->batch_max = batch_max;
  return socket;
}

/* Returns the pointer to an unfinished message, or to the end of the list. */
static struct sd_partial **sd_socket_find_partial(struct sd_socket *socket,
                                                  uint32_t stream,
                                                  uint16_t mid) {
  struct sd_partial **link = &socket->partials;
  while (*link && ((*link)->stream != stream || (*link)->mid != mid))
    link = &(*link)->next;
  return link;
}

/* Removes an unfinished message from the list. */
static void sd_socket_drop_partial(struct sd_socket *socket,
                                   struct sd_partial **link) {
  struct sd_partial *partial = *link;
  *link = partial->next;
  sd_partial_drop(&socket->assembly, partial);
  free(partial);
}

/* Drops the unfinished messages of a stream. Returns whether there were any. */
static bool sd_socket_drop_stream(struct sd_socket *socket, uint32_t stream) {
  struct sd_partial **link = &socket->partials;
  bool found = false;
  while (*link)
    if ((*link)->stream == stream) {
      sd_socket_drop_partial(socket, link);
      found = true;
    } else {
      link = &(*link)->next;
    }
  return found;
}

static void sd_socket_drop_partials(struct sd_socket *socket) {
  while (socket->partials)
    sd_socket_drop_partial(socket, &socket->partials);
  socket->skipping = false;
}

/* Handles SCTP_PARTIAL_DELIVERY_EVENT (RFC 6458 section 6.1.7). Without I-DATA
 * chunks, sctp_ulpq_abort_pd() gives 0 for the stream and the sequence number
 * of the message, which is the only one. */
static void
sd_socket_handle_message_aborted(struct sd_socket *socket,
                                 const struct sctp_pdapi_event *event) {
  uint32_t stream =
      sd_stream_of((uint16_t)event->pdapi_stream, event->pdapi_flags & 1);
  if (!sd_socket_drop_stream(socket, stream) && stream == 0 &&
      event->pdapi_seq == 0)
    sd_socket_drop_partials(socket);
}

/* Handles SCTP_STREAM_RESET_EVENT (RFC 6525 section 6.1.1). Messages of an
 * incoming stream that was reset are numbered anew, and none is on its way. */
static void
sd_socket_handle_stream_reset(struct sd_socket *socket,
                              const struct sctp_stream_reset_event *event,
                              size_t size) {
  size_t count = (size - sizeof *event) / sizeof *event->strreset_stream_list;
  size_t i;
  if (event->strreset_flags &
          (SCTP_STREAM_RESET_DENIED | SCTP_STREAM_RESET_FAILED) ||
      !(event->strreset_flags & SCTP_STREAM_RESET_INCOMING_SSN))
    return;
  if (count == 0) /* all streams */
    sd_socket_drop_partials(socket);
  for (i = 0; i < count; i++) {
    uint16_t sid = event->strreset_stream_list[i];
    sd_socket_drop_stream(socket, sd_stream_of(sid, false));
    sd_socket_drop_stream(socket, sd_stream_of(sid, true));
  }
}

/* Emits 'end': no more messages will come. An `error` of 0 stands for a
 * shutdown. */
static enum sd_next sd_socket_end(struct sd_socket *socket, int error) {
  struct sd_handle *handle = &socket->handle;
  napi_env env = handle->addon->env;
  napi_value argument = NULL;
  char host[SD_HOST_MAX];
  bool refused = socket->phase == SD_CONNECTING || socket->phase == SD_REFUSED;
  socket->phase = SD_REPORTED;
  sd_handle_arm(handle, handle->armed & ~UV_READABLE);
  sd_socket_drop_partials(socket);
  if (error == 0)
    return sd_emit(handle, "end", 0, NULL);
  sd_addr_format(&socket->remote, host);
  argument = refused ? sd_system_error(env, "connect", error, host,
                                       sd_addr_port(&socket->remote))
                     : sd_system_error(env, "read", error, NULL, 0);
  if (argument &&
      sd_set_reason(env, argument, socket->reason, socket->reason_length))
    return sd_emit(handle, "end", 1, &argument);
  sd_report_exception(handle->addon, napi_generic_failure);
  return SD_STOP;
}

static void
sd_socket_handle_assoc_change(struct sd_socket *socket,
                              const struct sctp_assoc_change *change,
                              size_t size) {
  const char *text;
  size_t length;
  switch (change->sac_state) {
  case SCTP_COMM_LOST:
  case SCTP_CANT_STR_ASSOC:
    socket->phase = socket->phase == SD_CONNECTING ? SD_REFUSED : SD_LOST;
    length = sd_abort_reason(change->sac_info, size - sizeof *change, &text);
    free(socket->reason);
    socket->reason = length > 0 ? malloc(length) : NULL;
    if (socket->reason)
      memcpy(socket->reason, text, length);
    socket->reason_length = socket->reason ? length : 0;
    break;
  case SCTP_SHUTDOWN_COMP:
    socket->phase = SD_SHUT;
    break;
  case SCTP_RESTART:
    sd_socket_drop_partials(socket);
    break;
  }
}

/* Makes the handle that takes over the association after a restart of the
 * peer, on the server's side. Returns its object, or NULL. */
static napi_value sd_socket_successor(struct sd_socket *socket) {
  struct sd_handle *handle = &socket->handle;
  struct sd_socket *successor = NULL;
  napi_value object;
  int fd = socket->accepted ? sd_sys_dup(handle->fd) : -1;
  if (fd >= 0)
    successor = sd_socket_new(handle->kind, handle->addon, fd,
                              socket->assembly.max, socket->batch_max);
  if (!successor)
    return NULL;
  successor->remote = socket->remote;
  successor->accepted = true;
  successor->phase = SD_UP;
  object = sd_handle_object(&successor->handle);
  if (!object)
    sd_report_exception(handle->addon, napi_generic_failure);
  /* An async_hooks hook may have closed either handle. */
  if (object && sd_handle_usable(handle) &&
      sd_handle_usable(&successor->handle))
    return object;
  sd_handle_close(&successor->handle);
  return NULL;
}

/* Handles a restart of the peer (RFC 9260 section 5.2). The old messages
 * have been read, so the old handle has ended. Its successor is made before
 * any listener is called, so that no listener can prevent it. */
static enum sd_next sd_socket_handle_restart(struct sd_socket *socket,
                                             struct sd_scope *scope,
                                             napi_value raw) {
  struct sd_handle *handle = &socket->handle;
  napi_value argv[2] = {raw, sd_socket_successor(socket)};
  socket->restarted = true;
  socket->moved = argv[1] != NULL;
  if (!sd_emit(handle, "restart", socket->moved ? 2 : 1, argv) &&
      !sd_scope_reopen(handle, scope))
    return SD_STOP;
  return sd_socket_end(socket, -ECONNRESET);
}

/* Handles a notification (RFC 6458 section 6.1). `data` has the alignment of
 * the slab. */
static enum sd_next sd_socket_handle_notification(struct sd_socket *socket,
                                                  struct sd_scope *scope,
                                                  const char *data,
                                                  size_t size) {
  struct sd_handle *handle = &socket->handle;
  const union sctp_notification *event = (const void *)data;
  napi_value raw;
  int change = -1;
  if (size < sizeof event->sn_header)
    return SD_CONTINUE;
  if (event->sn_header.sn_type == SCTP_ASSOC_CHANGE &&
      size >= sizeof event->sn_assoc_change) {
    change = event->sn_assoc_change.sac_state;
    sd_socket_handle_assoc_change(socket, &event->sn_assoc_change, size);
  } else if (event->sn_header.sn_type == SCTP_PARTIAL_DELIVERY_EVENT &&
             size >= sizeof event->sn_pdapi_event) {
    sd_socket_handle_message_aborted(socket, &event->sn_pdapi_event);
  } else if (event->sn_header.sn_type == SCTP_STREAM_RESET_EVENT &&
             size >= sizeof event->sn_strreset_event) {
    sd_socket_handle_stream_reset(socket, &event->sn_strreset_event, size);
  }
  if (change == SCTP_COMM_UP && socket->phase == SD_CONNECTING) {
    socket->phase = SD_UP;
    /* The notification is used before JavaScript, which may take the slab
     * away. */
    memmove(handle->addon->spill, data, size);
    data = handle->addon->spill;
    if (!sd_emit(handle, "connect", 0, NULL) && !sd_scope_reopen(handle, scope))
      return SD_STOP;
  }
  if (napi_create_buffer_copy(handle->addon->env, size, data, NULL, &raw) !=
      napi_ok) {
    sd_report_exception(handle->addon, napi_generic_failure);
    return SD_STOP;
  }
  if (change == SCTP_RESTART)
    return sd_socket_handle_restart(socket, scope, raw);
  return sd_emit(handle, "notification", 1, &raw);
}

/* The number of messages before and after an unfinished one that its `mid` is
 * told from. */
#define SD_MID_SPAN 16384

/* Drops unfinished messages of a stream of which a piece of the message `mid`
 * shows that they were given up. Ordered messages come one after the other.
 * Among the pieces of an unordered one, others come whole (I-DATA); a long one
 * of these is received in pieces, too. So when a third comes in pieces, the
 * first was given up, which sctp_intl_skip() does not report. */
static void sd_socket_expire_partials(struct sd_socket *socket, uint32_t stream,
                                      uint16_t mid, bool last) {
  struct sd_partial **link = &socket->partials, **oldest = NULL;
  bool unordered = stream & 1;
  int others = 0;
  while (*link) {
    bool other = (*link)->stream == stream && (*link)->mid != mid;
    if (other &&
        (!unordered || abs((int16_t)(mid - (*link)->mid)) > SD_MID_SPAN)) {
      sd_socket_drop_partial(socket, link);
      continue;
    }
    if (other && others++ == 0)
      oldest = link;
    link = &(*link)->next;
  }
  if (others > 1 && !last)
    sd_socket_drop_partial(socket, oldest);
}

/* Handles a piece of a message, whose pieces so far are at `link`, or a message
 * that is too long. Returns 0, -EMSGSIZE or -ENOBUFS. */
static int sd_socket_handle_piece(struct sd_socket *socket,
                                  struct sd_partial **link,
                                  const struct sctp_rcvinfo *info,
                                  const char *data, size_t size, bool last) {
  bool unordered = info->rcv_flags & SCTP_UNORDERED;
  int error;
  if (!*link) {
    *link = calloc(1, sizeof **link);
    if (!*link)
      return -ENOBUFS;
    (*link)->stream = sd_stream_of(info->rcv_sid, unordered);
    (*link)->ppid = ntohl(info->rcv_ppid);
    (*link)->mid = info->rcv_ssn;
  }
  error = sd_partial_append(&socket->assembly, *link, data, size);
  if (error == 0 && last) {
    if (!sd_batch_add_whole(socket->handle.addon, *link, info->rcv_sid,
                            (*link)->ppid, unordered))
      error = -ENOBUFS;
    sd_socket_drop_partial(socket, link);
  }
  return error;
}

/* Handles a received message or piece. */
static enum sd_next sd_socket_handle_data(struct sd_socket *socket,
                                          struct sd_scope *scope,
                                          const struct sd_received *received,
                                          const char *data, size_t size) {
  struct sd_handle *handle = &socket->handle;
  struct sd_addon *addon = handle->addon;
  const struct sctp_rcvinfo *info = &received->info;
  bool last = received->flags & MSG_EOR;
  bool unordered = info->rcv_flags & SCTP_UNORDERED;
  uint32_t stream = sd_stream_of(info->rcv_sid, unordered);
  struct sd_partial **link;
  int error = 0;
  if (socket->partials)
    sd_socket_expire_partials(socket, stream, info->rcv_ssn, last);
  link = sd_socket_find_partial(socket, stream, info->rcv_ssn);
  if (socket->skipping)
    socket->skipping = !last;
  else if (last && !*link && size <= socket->assembly.max)
    sd_batch_add(addon, size, 0, info->rcv_sid, ntohl(info->rcv_ppid),
                 unordered);
  else
    error = sd_socket_handle_piece(socket, link, info, data, size, last);
  if (error < 0)
    return sd_batch_deliver(handle, scope) && sd_socket_end(socket, error);
  return (!sd_batch_full(addon) && addon->bytes < socket->batch_max) ||
         sd_batch_deliver(handle, scope);
}

/* Handles a recvmsg() without a message. Linux reports the error of an ended
 * association once, to whichever call comes first, and after a shutdown of
 * its own nothing at all. */
static enum sd_next sd_socket_handle_empty(struct sd_socket *socket,
                                           int result) {
  bool over = socket->phase >= SD_REFUSED;
  if (result == -EAGAIN && !over && !socket->send_error)
    return SD_STOP;
  if (result == -ENOMEM || result == -ENOBUFS) {
    sd_handle_arm(&socket->handle, socket->handle.armed & ~UV_READABLE);
    sd_timer_start(&socket->handle.retry, SD_BACKOFF_MS);
    return SD_STOP;
  }
  if (result == -EAGAIN)
    result = socket->send_error;
  if (result == 0 && over && socket->phase != SD_SHUT)
    result = -ECONNRESET;
  return sd_socket_end(socket, result);
}

/* Returns whether JavaScript wants to be told what arrives. */
static bool sd_socket_wants(const struct sd_socket *socket) {
  return socket->reading && socket->phase != SD_REPORTED;
}

/* Returns whether poll() may be silent although there is something to read:
 * it reports an error once, and never the queue of an association that has
 * ended. */
static bool sd_socket_unseen(const struct sd_socket *socket) {
  return sd_socket_wants(socket) &&
         (socket->poll_silent || socket->phase >= SD_REFUSED);
}

static void sd_socket_schedule_unseen(struct sd_socket *socket) {
  struct sd_handle *handle = &socket->handle;
  if (handle->state == SD_OPEN && sd_socket_unseen(socket) &&
      !uv_is_active((uv_handle_t *)&handle->retry.uv))
    sd_timer_start(&handle->retry, 0);
}

/* `n` is what recvmsg() returned. */
static enum sd_next
sd_socket_handle_received(struct sd_socket *socket, struct sd_scope *scope,
                          const struct sd_received *received, ssize_t n) {
  struct sd_addon *addon = socket->handle.addon;
  const char *data = addon->received;
  size_t size = n > 0 ? (size_t)n : 0;
  if (n > 0 && !(received->flags & MSG_NOTIFICATION))
    return sd_socket_handle_data(socket, scope, received, data, size);
  if (!sd_batch_deliver_before(&socket->handle, scope, &data, size))
    return SD_STOP;
  if (n <= 0)
    return sd_socket_handle_empty(socket, (int)n);
  return sd_socket_handle_notification(socket, scope, data, size);
}

/* Receives up to the budget; for a paused socket, only the notifications
 * before the next message. */
static void sd_socket_receive(struct sd_socket *socket) {
  struct sd_handle *handle = &socket->handle;
  struct sd_received received;
  struct sd_scope scope;
  int budget = sd_receive_budget(handle), found = 0;
  enum sd_next next = SD_CONTINUE;
  if (!sd_scope_open(handle, &scope))
    return;
  sd_batch_begin(handle);
  while (found < budget && next == SD_CONTINUE &&
         socket->phase != SD_REPORTED &&
         (socket->reading || sd_sys_notification_waits(handle->fd))) {
    ssize_t n = sd_batch_recv(handle, &received);
    found += n > 0;
    next = sd_socket_handle_received(socket, &scope, &received, n);
  }
  sd_receive_found(handle, budget, found);
  if (next == SD_CONTINUE)
    sd_batch_deliver(handle, &scope);
  sd_scope_close(handle, &scope);
  handle->addon->receiving = NULL;
  sd_socket_schedule_unseen(socket);
}

/* --- 6.3 Send ------------------------------------------------------------- */

/* Reads SCTP_STATUS (RFC 6458 section 8.2.1), and the peer's address from
 * its primary path. */
static int sd_socket_status(struct sd_socket *socket,
                            struct sctp_status *status) {
  socklen_t length = sizeof *status;
  int error;
  memset(status, 0, sizeof *status);
  error = sd_sys_getsockopt(socket->handle.fd, IPPROTO_SCTP, SCTP_STATUS,
                            status, &length);
  if (error < 0)
    return error;
  memcpy(&socket->remote, &status->sstat_primary.spinfo_address,
         sizeof socket->remote);
  sd_addr_unmap(&socket->remote);
  return 0;
}

/* Decides whether the error of a send belongs to the message, which is so
 * while the association takes messages. Otherwise the association has ended
 * or is ending, whatever the error is: the result is -EPIPE then, and the
 * queue is read before JavaScript hears of the end. Linux reports the reason
 * of an end once; EPIPE is none. */
static int sd_socket_handle_send_failed(struct sd_socket *socket, int error) {
  struct sctp_status status;
  bool gone = sd_socket_status(socket, &status) < 0;
  if (!gone && status.sstat_state == SCTP_ESTABLISHED)
    return error;
  if (gone && error != -EPIPE)
    socket->send_error = error;
  socket->poll_silent = true;
  sd_socket_schedule_unseen(socket);
  return -EPIPE;
}

/* Hands one message to the kernel. Returns 0, -EAGAIN (it must wait) or
 * another error. */
static int sd_socket_send(struct sd_socket *socket, const struct iovec *message,
                          const struct sd_attributes *attributes, bool more) {
  struct sd_handle *handle = &socket->handle;
  ssize_t n;
  if (socket->restarted) /* the message is for the peer's previous life */
    return -EPIPE;
  /* A paused socket may not know yet that its peer has restarted. A
   * notification at the head of the queue is read before anything is sent. */
  if (!socket->reading && socket->phase != SD_REPORTED && socket->accepted &&
      sd_sys_notification_waits(handle->fd)) {
    handle->blocked = true;
    sd_timer_start(&handle->retry, 0);
    return -EAGAIN;
  }
  n = sd_sys_send_with(handle->fd, message, attributes, more ? MSG_MORE : 0);
  if (n == -EAGAIN || n == -ENOBUFS || n == -ENOMEM) {
    sd_handle_block(handle);
    return -EAGAIN;
  }
  if (n < 0)
    return sd_socket_handle_send_failed(socket, (int)n);
  handle->retry_failed = false;
  return 0;
}

/* Bytes of a chunk on the smallest path. */
#define SD_FRAGMENT_MIN 512

/* Messages that sd_socket_send_list() reads from its array together. */
#define SD_SEND_LIST 64

/* Reads up to SD_SEND_LIST messages from socket->next on, and their
 * attributes. Returns their number, or -1 after an exception. */
static int sd_socket_read_messages(napi_env env, napi_value list, uint32_t next,
                                   uint32_t total, struct iovec *messages,
                                   struct sd_attributes *attributes) {
  napi_value elements[SD_SEND_LIST], first;
  uint32_t count = total - next < SD_SEND_LIST ? total - next : SD_SEND_LIST;
  size_t size;
  void *data;
  /* First, since this element may be a getter, too. */
  if (napi_get_element(env, list, 0, &first) != napi_ok) {
    sd_throw_status(env);
    return -1;
  }
  if (!sd_arg_elements(env, list, 1 + next, count, elements, messages) ||
      !sd_arg_bytes(env, first, "attributes", &data, &size))
    return -1;
  if (size != total * sizeof *attributes) {
    sd_throw_range(env, "attributes.length", "13 for each message", "another");
    return -1;
  }
  memcpy(attributes, (char *)data + next * sizeof *attributes,
         count * sizeof *attributes);
  return (int)count;
}

/* Hands messages from socket->next on to the kernel, bundled. Returns 0
 * (all), -EAGAIN (the rest must wait), another error, or SD_EXCEPTION. */
static int sd_socket_send_list(struct sd_socket *socket, napi_value list) {
  napi_env env = socket->handle.addon->env;
  struct sd_sndbuf sndbuf = {.fd = socket->handle.fd};
  struct sd_attributes attributes[SD_SEND_LIST];
  struct iovec messages[SD_SEND_LIST];
  uint32_t length, total;
  int count, i, error = 0;
  if (napi_get_array_length(env, list, &length) != napi_ok || length == 0) {
    sd_throw_type(env, "messages", "an array", list);
    return SD_EXCEPTION;
  }
  total = length - 1;
  while (error == 0 && socket->next < total) {
    count = sd_socket_read_messages(env, list, socket->next, total, messages,
                                    attributes);
    /* A getter among the elements may have closed the socket. */
    if (count < 0 || socket->handle.state != SD_OPEN)
      return SD_EXCEPTION;
    for (i = 0; error == 0 && i < count; i++) {
      size_t following = i + 1 < count ? messages[i + 1].iov_len : 0;
      long charge = sd_charge(messages[i].iov_len, SD_FRAGMENT_MIN);
      bool more = sd_sndbuf_fits(&sndbuf, charge, following);
      error = sd_socket_send(socket, &messages[i], &attributes[i], more);
      if (error == 0) {
        sndbuf.left -= charge;
        socket->next++;
      }
    }
  }
  return error;
}

static void sd_socket_cancel_unsent(struct sd_socket *socket) {
  if (socket->unsent)
    napi_delete_reference(socket->handle.addon->env, socket->unsent);
  socket->unsent = NULL;
}

/* Makes the Error of a send, with the number of messages that were handed
 * over. */
static napi_value sd_socket_send_error(struct sd_socket *socket, int error) {
  napi_env env = socket->handle.addon->env;
  napi_value object = sd_system_error(env, "write", error, NULL, 0);
  return object && sd_define_number(env, object, "sent", socket->next) ? object
                                                                       : NULL;
}

/* Goes on with the unsent messages of send(). */
static void sd_socket_resume_send(struct sd_socket *socket) {
  struct sd_handle *handle = &socket->handle;
  napi_env env = handle->addon->env;
  napi_value list, error = NULL;
  struct sd_scope scope;
  uint32_t before = socket->next;
  int result = SD_EXCEPTION;
  sd_handle_unblock(handle);
  /* The message of write() may have been sent by send() since. */
  if (!socket->unsent || !sd_scope_open(handle, &scope))
    return;
  if (napi_get_reference_value(env, socket->unsent, &list) == napi_ok)
    result = sd_socket_send_list(socket, list);
  if (result == -EAGAIN) {
    if (socket->next != before)
      sd_emit(handle, "progress", 0, NULL);
  } else {
    sd_socket_cancel_unsent(socket);
    if (result == SD_EXCEPTION)
      napi_get_and_clear_last_exception(env, &error);
    else if (result < 0)
      error = sd_socket_send_error(socket, result);
    sd_emit(handle, "sent", error ? 1 : 0, &error);
  }
  sd_scope_close(handle, &scope);
}

/* --- 6.4 Loop ------------------------------------------------------------- */

static void sd_socket_handle_ready(struct sd_handle *handle, int events) {
  struct sd_socket *socket = (struct sd_socket *)handle;
  /* poll() reports an error once, and a read tells which. */
  if (events == 0)
    socket->poll_silent = true;
  if (sd_socket_wants(socket) && (events == 0 || events & UV_READABLE))
    sd_socket_receive(socket);
  if (handle->state == SD_OPEN && handle->blocked &&
      (events == 0 || events & UV_WRITABLE))
    sd_socket_resume_send(socket);
}

static void sd_socket_handle_retry(struct sd_handle *handle) {
  struct sd_socket *socket = (struct sd_socket *)handle;
  bool wants = sd_socket_wants(socket);
  sd_handle_arm(handle, (wants ? UV_READABLE : 0) |
                            (handle->blocked ? UV_WRITABLE : 0));
  if (sd_socket_unseen(socket) || (!wants && handle->blocked))
    sd_socket_receive(socket);
}

static void sd_socket_release(struct sd_handle *handle) {
  struct sd_socket *socket = (struct sd_socket *)handle;
  sd_socket_drop_partials(socket);
  sd_socket_cancel_unsent(socket);
  free(socket->reason);
}

static const struct sd_kind sd_socket_kind = {
    .class = SD_SOCKET,
    .handle_ready = sd_socket_handle_ready,
    .handle_retry = sd_socket_handle_retry,
    .release = sd_socket_release};

/* --- 6.5 Methods ---------------------------------------------------------- */

static struct sd_socket *sd_this_socket(napi_env env, napi_callback_info info,
                                        size_t argc, napi_value *argv) {
  napi_value self;
  struct sd_socket *socket = sd_this(env, info, argc, argv, &self);
  return socket && sd_check_open(env, &socket->handle) ? socket : NULL;
}

/* Makes the JavaScript result of a send: true, false if it must wait, or an
 * exception. */
static napi_value sd_socket_send_result(struct sd_socket *socket, int error) {
  napi_env env = socket->handle.addon->env;
  napi_value result;
  if (error == 0 || error == -EAGAIN) {
    SD_CHECK(env, napi_get_boolean(env, error == 0, &result));
    return result;
  }
  sd_throw_value(env, sd_socket_send_error(socket, error));
  return NULL;
}

/* write(data, sid, ppid, unordered, ttl) returns whether the message was
 * handed to the kernel. The attributes may be left out, all together. */
static napi_value sd_js_socket_write(napi_env env, napi_callback_info info) {
  napi_value argv[5];
  struct sd_socket *socket = sd_this_socket(env, info, 5, argv);
  struct sd_attributes attributes = {0};
  uint32_t *const numbers[] = {&attributes.sid, &attributes.ppid,
                               &attributes.flags, &attributes.value};
  struct iovec message;
  bool given;
  uint32_t i;
  if (!socket || !sd_arg_message(env, argv[0], "data", &message))
    return NULL;
  given = napi_get_value_uint32(env, argv[1], numbers[0]) == napi_ok;
  for (i = 1; given && i < 4; i++)
    SD_CHECK(env, napi_get_value_uint32(env, argv[1 + i], numbers[i]));
  if (attributes.value > 0)
    attributes.policy = SCTP_PR_SCTP_TTL;
  socket->next = 0;
  return sd_socket_send_result(
      socket, sd_socket_send(socket, &message, &attributes, false));
}

/* send([attributes, data, data, ...]), whose first element is a Uint32Array
 * with struct sd_attributes of each message, returns true if all were handed
 * to the kernel, and false if 'sent' will follow. */
static napi_value sd_js_socket_send(napi_env env, napi_callback_info info) {
  napi_value list;
  struct sd_socket *socket = sd_this_socket(env, info, 1, &list);
  int error;
  if (!socket)
    return NULL;
  if (socket->unsent) {
    sd_throw(env, napi_create_error, "ERR_INVALID_STATE",
             "send() while one is pending");
    return NULL;
  }
  socket->next = 0;
  error = sd_socket_send_list(socket, list);
  if (error == SD_EXCEPTION)
    return NULL;
  if (error == -EAGAIN)
    SD_CHECK(env, napi_create_reference(env, list, 1, &socket->unsent));
  return sd_socket_send_result(socket, error);
}

/* start(onEvent, onMessage): from now on, messages come as onMessage(data,
 * sid, ppid, unordered as 0 or 1), and all else as onEvent(name, ...):
 * 'connect'; 'notification', raw; 'restart', raw, the new handle or
 * undefined; 'progress' of unsent messages; 'sent', error; 'end', error. */
static napi_value sd_js_socket_start(napi_env env, napi_callback_info info) {
  napi_value argv[2], self;
  struct sd_socket *socket = sd_this(env, info, 2, argv, &self);
  struct sd_handle *handle;
  if (!socket || !sd_arg_function(env, argv[1], "onMessage") ||
      !sd_handle_start(env, &socket->handle, self, argv[0]))
    return NULL;
  handle = &socket->handle;
  if (!sd_hide(env, self, "onMessage", argv[1], &handle->on_message))
    sd_throw_status(env);
  else if (socket->reading)
    sd_handle_arm(handle, UV_READABLE);
  return NULL;
}

static napi_value sd_js_socket_set_reading(napi_env env,
                                           napi_callback_info info) {
  napi_value value;
  struct sd_socket *socket = sd_this_socket(env, info, 1, &value);
  struct sd_handle *handle;
  if (!socket)
    return NULL;
  handle = &socket->handle;
  SD_CHECK(env, napi_get_value_bool(env, value, &socket->reading));
  if (socket->phase == SD_REPORTED || !handle->on_message)
    return NULL;
  sd_handle_arm(handle, socket->reading ? handle->armed | UV_READABLE
                                        : handle->armed & ~UV_READABLE);
  sd_socket_schedule_unseen(socket);
  return NULL;
}

/* Shuts the association down after the messages of send() (RFC 6458 section
 * 4.1.7). If it has ended already, a receive reports it. For an association
 * that was an endpoint's, shutdown() does nothing. */
static napi_value sd_js_socket_shutdown(napi_env env, napi_callback_info info) {
  struct sd_socket *socket = sd_this_socket(env, info, 0, NULL);
  int error = 0;
  if (socket && socket->peeled)
    error = sd_sys_end(socket->handle.fd, 0, NULL, SCTP_EOF, NULL);
  else if (socket && !socket->restarted)
    error = sd_sys_shutdown(socket->handle.fd, SHUT_WR);
  if (error < 0 && error != -ENOTCONN && error != -EPIPE)
    sd_throw_system(env, "shutdown", error, NULL, 0);
  return NULL;
}

/* abortWith(reason) aborts the association with these bytes as the text of the
 * cause. Returns 0 or -errno: -EINVAL unless it was an endpoint's. */
static napi_value sd_js_socket_abort(napi_env env, napi_callback_info info) {
  napi_value value;
  struct sd_socket *socket = sd_this_socket(env, info, 1, &value);
  struct iovec reason;
  if (!socket ||
      !sd_arg_bytes(env, value, "reason", &reason.iov_base, &reason.iov_len))
    return NULL;
  return sd_result(env,
                   sd_sys_end(socket->handle.fd, 0, NULL, SCTP_ABORT, &reason));
}

/* close(reset) aborts the association if `reset` is true. */
static napi_value sd_js_socket_close(napi_env env, napi_callback_info info) {
  static const struct linger linger = {.l_onoff = 1};
  napi_value self, value;
  struct sd_socket *socket = sd_this(env, info, 1, &value, &self);
  struct sd_handle *handle;
  bool reset;
  if (!socket || socket->handle.state != SD_OPEN)
    return NULL;
  handle = &socket->handle;
  SD_CHECK(env, napi_get_value_bool(env, value, &reset));
  if (socket->moved)
    ; /* another descriptor keeps the association */
  else if (reset)
    sd_sys_setsockopt(handle->fd, SOL_SOCKET, SO_LINGER, &linger,
                      sizeof linger);
  else {
    /* Linux drops messages that arrive from now on, so that a peer which
     * goes on sending cannot keep this loop running. */
    sd_sys_shutdown(handle->fd, SHUT_RD);
    while (sd_sys_discard(handle->fd, handle->addon->scratch) > 0)
      ;
  }
  sd_socket_cancel_unsent(socket);
  sd_batch_cancel(handle);
  sd_handle_close(handle);
  return NULL;
}

/* bindx(addresses, port, add) adds or removes local addresses of a socket or
 * listener (RFC 6458 section 9.1). Returns 0 or -errno. */
static napi_value sd_js_bindx(napi_env env, napi_callback_info info) {
  napi_value argv[3], self;
  struct sd_handle *handle = sd_this(env, info, 3, argv, &self);
  struct sd_addrs addrs;
  double port;
  bool add;
  if (!handle || !sd_arg_integer(env, argv[1], "port", 0, UINT16_MAX, &port) ||
      !sd_arg_addresses(env, argv[0], "bind", "addresses", (int)port, &addrs))
    return NULL;
  SD_CHECK(env, napi_get_value_bool(env, argv[2], &add));
  if (!sd_check_open(env, handle)) /* asked after the getters of the array */
    return NULL;
  return sd_result(
      env, sd_sys_bindx(handle->fd, &addrs,
                        add ? SCTP_BINDX_ADD_ADDR : SCTP_BINDX_REM_ADDR));
}

static napi_value sd_js_socket_remote_addresses(napi_env env,
                                                napi_callback_info info) {
  struct sd_socket *socket = sd_this_socket(env, info, 0, NULL);
  struct sctp_status status;
  napi_value array;
  char *packed;
  int count;
  if (!socket)
    return NULL;
  sd_socket_status(socket, &status);
  count =
      sd_sys_peer_addresses(socket->handle.fd, status.sstat_assoc_id, &packed);
  if (count == 0)
    return sd_addrs_array(env, (char *)&socket->remote, 1, &socket->remote);
  array = sd_addrs_array(env, packed, count, &socket->remote);
  sd_sys_free_peer(packed);
  return array;
}

/* The source address of packets to the primary path comes first. */
static napi_value sd_js_socket_local_addresses(napi_env env,
                                               napi_callback_info info) {
  struct sd_socket *socket = sd_this_socket(env, info, 0, NULL);
  struct sctp_status status;
  union sd_addr source;
  if (!socket)
    return NULL;
  sd_socket_status(socket, &status);
  sd_addr_source(&socket->remote, &source);
  return sd_local_addresses(env, socket->handle.fd, status.sstat_assoc_id,
                            &source);
}

/* connect(remoteAddresses, port, localAddresses, localPort, options,
 * maxMessageSize, batchMax) makes a socket whose handshake has begun. 'connect'
 * or 'end' follows, after start(). */
static napi_value sd_js_connect(napi_env env, napi_callback_info info) {
  size_t argc = 7;
  napi_value argv[7];
  struct sd_addrs remotes, locals;
  struct sd_settings settings;
  struct sd_addon *addon;
  struct sd_socket *socket;
  union sd_addr remote;
  double port, local_port;
  const char *syscall;
  uint32_t option = 0;
  int fd, family, error;
  SD_CHECK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  SD_CHECK(env, napi_get_instance_data(env, (void **)&addon));
  if (!sd_arg_integer(env, argv[1], "port", 0, UINT16_MAX, &port) ||
      !sd_arg_addresses(env, argv[0], "connect", "remoteAddresses", (int)port,
                        &remotes) ||
      !sd_arg_integer(env, argv[3], "localPort", 0, UINT16_MAX, &local_port) ||
      !sd_arg_addresses(env, argv[2], "bind", "localAddresses", (int)local_port,
                        &locals) ||
      !sd_arg_settings(env, argv + 4, &settings))
    return NULL;
  family = remotes.family == AF_INET6 || locals.family == AF_INET6 ? AF_INET6
                                                                   : AF_INET;
  if (local_port > 0 && locals.count == 0)
    sd_addrs_add_any(&locals, family, (int)local_port);
  fd = sd_stream_socket(family, &settings, &locals, &syscall, &option);
  if (fd < 0) {
    sd_throw_socket(env, syscall, fd, &locals, option);
    return NULL;
  }
  sd_addrs_next(remotes.packed, 0, &remote);
  error = sd_addrs_reach(&locals, &remote) ? sd_sys_connectx(fd, &remotes)
                                           : -EAFNOSUPPORT;
  if (error < 0) {
    sd_sys_close(fd);
    sd_throw_addrs(env, "connect", error, &remotes);
    return NULL;
  }
  socket = sd_socket_new(&sd_socket_kind, addon, fd, settings.max_message,
                         settings.batch_max);
  if (!socket) {
    sd_throw_addrs(env, "connect", -ENOMEM, &remotes);
    return NULL;
  }
  socket->remote = remote;
  socket->reading = true;
  return sd_handle_return(&socket->handle, sd_handle_object(&socket->handle));
}

/* probe() returns 0 if a socket can be made, else the negative errno. Linux
 * loads its module then, if it may. */
static napi_value sd_js_probe(napi_env env, napi_callback_info info) {
  int fd = sd_sys_socket(AF_INET, SOCK_STREAM);
  (void)info;
  if (fd >= 0)
    sd_sys_close(fd);
  return sd_result(env, fd < 0 ? fd : 0);
}

/* getNewOption(level, name, bytes) does the same as getOption() of a handle,
 * for a new socket. */
static napi_value sd_js_get_new_option(napi_env env, napi_callback_info info) {
  size_t argc = 3;
  napi_value argv[3];
  struct sd_option option;
  int fd, error;
  SD_CHECK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  if (!sd_arg_option(env, argv, &option))
    return NULL;
  fd = sd_sys_socket(AF_INET, SOCK_STREAM);
  if (fd < 0)
    return sd_result(env, fd);
  error = sd_set_common_options(fd, AF_INET);
  if (error == 0)
    error = sd_sys_getsockopt(fd, option.level, option.name,
                              (void *)option.value, &option.length);
  sd_sys_close(fd);
  return sd_result(env, error < 0 ? error : (int)option.length);
}

static napi_status sd_define_socket(napi_env env, struct sd_addon *addon) {
  napi_property_descriptor methods[] = {
      SD_METHOD("start", sd_js_socket_start),
      SD_METHOD("write", sd_js_socket_write),
      SD_METHOD("send", sd_js_socket_send),
      SD_METHOD("setReading", sd_js_socket_set_reading),
      SD_METHOD("shutdown", sd_js_socket_shutdown),
      SD_METHOD("abortWith", sd_js_socket_abort),
      SD_METHOD("close", sd_js_socket_close),
      SD_METHOD("getOption", sd_js_get_option),
      SD_METHOD("setOption", sd_js_set_option),
      SD_METHOD("bindx", sd_js_bindx),
      SD_METHOD("localAddresses", sd_js_socket_local_addresses),
      SD_METHOD("remoteAddresses", sd_js_socket_remote_addresses),
      SD_METHOD("ref", sd_js_ref),
      SD_METHOD("unref", sd_js_unref),
  };
  return sd_define_class(env, addon, SD_SOCKET, "SocketHandle", methods,
                         sizeof methods / sizeof *methods);
}

/* --- 6.6 Listener --------------------------------------------------------- */

/* Connections to take from the queue before others get their turn. */
#define SD_ACCEPT 64

/* Accepts a connection. Returns false if there is no other one, or the
 * handle is not usable. */
static enum sd_next sd_listener_accept(struct sd_listener *listener) {
  struct sd_handle *handle = &listener->handle;
  union sd_addr remote = {0};
  struct sd_socket *socket;
  napi_value object;
  int fd = sd_sys_accept(handle->fd, &remote);
  if (fd == -ECONNABORTED || fd == -EPROTO || fd == -EINTR)
    return SD_CONTINUE;
  if (fd < 0 && fd != -EAGAIN) {
    /* Without descriptors or memory, connections wait in the queue. */
    sd_handle_arm(handle, 0);
    sd_timer_start(&handle->retry, SD_BACKOFF_MS);
  }
  if (fd < 0)
    return SD_STOP;
  socket = sd_socket_new(&sd_socket_kind, handle->addon, fd,
                         listener->max_message, listener->batch_max);
  if (!socket)
    return SD_CONTINUE;
  sd_addr_unmap(&remote);
  socket->remote = remote;
  socket->accepted = true;
  socket->phase = SD_UP;
  object = sd_handle_object(&socket->handle);
  if (!object)
    sd_report_exception(handle->addon, napi_generic_failure);
  /* An async_hooks hook may have closed either handle. */
  if (object && sd_handle_usable(handle) && sd_handle_usable(&socket->handle))
    return sd_emit(handle, "connection", 1, &object);
  sd_handle_close(&socket->handle);
  return SD_STOP;
}

static void sd_listener_handle_ready(struct sd_handle *handle, int events) {
  struct sd_scope scope;
  enum sd_next next = SD_CONTINUE;
  int i;
  if (events == 0)
    sd_timer_start(&handle->retry, SD_BACKOFF_MS);
  if (!sd_scope_open(handle, &scope))
    return;
  for (i = 0; i < SD_ACCEPT && next == SD_CONTINUE; i++) {
    napi_handle_scope handles;
    if (napi_open_handle_scope(handle->addon->env, &handles) != napi_ok)
      break;
    next = sd_listener_accept((struct sd_listener *)handle);
    napi_close_handle_scope(handle->addon->env, handles);
  }
  sd_scope_close(handle, &scope);
}

static void sd_listener_handle_retry(struct sd_handle *handle) {
  sd_handle_arm(handle, UV_READABLE);
}

static const struct sd_kind sd_listener_kind = {
    .class = SD_LISTENER,
    .handle_ready = sd_listener_handle_ready,
    .handle_retry = sd_listener_handle_retry};

static napi_value sd_js_listener_close(napi_env env, napi_callback_info info) {
  napi_value self;
  struct sd_handle *handle = sd_this(env, info, 0, NULL, &self);
  if (handle)
    sd_handle_close(handle);
  return NULL;
}

/* start(onEvent) calls onEvent('connection', handle) for each association. */
static napi_value sd_js_listener_start(napi_env env, napi_callback_info info) {
  napi_value self, on_event;
  struct sd_handle *handle = sd_this(env, info, 1, &on_event, &self);
  if (handle && sd_handle_start(env, handle, self, on_event))
    sd_handle_arm(handle, UV_READABLE);
  return NULL;
}

static napi_value sd_js_listener_local_addresses(napi_env env,
                                                 napi_callback_info info) {
  napi_value self;
  struct sd_handle *handle = sd_this(env, info, 0, NULL, &self);
  if (!handle || !sd_check_open(env, handle))
    return NULL;
  return sd_local_addresses(env, handle->fd, 0, &handle->local);
}

static napi_status sd_define_listener(napi_env env, struct sd_addon *addon) {
  napi_property_descriptor methods[] = {
      SD_METHOD("start", sd_js_listener_start),
      SD_METHOD("close", sd_js_listener_close),
      SD_METHOD("address", sd_js_address),
      SD_METHOD("localAddresses", sd_js_listener_local_addresses),
      SD_METHOD("getOption", sd_js_get_option),
      SD_METHOD("setOption", sd_js_set_option),
      SD_METHOD("bindx", sd_js_bindx),
      SD_METHOD("ref", sd_js_ref),
      SD_METHOD("unref", sd_js_unref),
  };
  return sd_define_class(env, addon, SD_LISTENER, "ListenerHandle", methods,
                         sizeof methods / sizeof *methods);
}

/* Lets a socket listen and makes its listener, which takes over `fd`. Throws
 * and returns NULL if that fails; then `fd` is closed, if it is our own. */
static napi_value sd_listener_return(struct sd_addon *addon, int fd, bool own,
                                     int backlog, union sd_addr *local,
                                     const struct sd_settings *settings) {
  napi_env env = addon->env;
  struct sd_listener *listener;
  int error = sd_sys_listen(fd, backlog);
  if (error == 0)
    error = sd_sys_get_port(fd, local);
  if (error < 0) {
    if (own)
      sd_sys_close(fd);
    sd_throw_system(env, "listen", error, NULL, 0);
    return NULL;
  }
  listener = sd_handle_new(sizeof *listener, &sd_listener_kind, addon, fd);
  if (!listener) {
    sd_throw_system(env, "listen", -ENOMEM, NULL, 0);
    return NULL;
  }
  listener->max_message = settings->max_message;
  listener->batch_max = settings->batch_max;
  listener->handle.local = *local;
  return sd_handle_return(&listener->handle,
                          sd_handle_object(&listener->handle));
}

/* listen(localAddresses, port, backlog, options, maxMessageSize, batchMax)
 * makes a listener, which accepts after start(). */
static napi_value sd_js_listen(napi_env env, napi_callback_info info) {
  size_t argc = 6;
  napi_value argv[6];
  struct sd_addrs locals;
  struct sd_settings settings;
  struct sd_addon *addon;
  union sd_addr local;
  double port, backlog;
  const char *syscall;
  uint32_t option = 0;
  int fd;
  SD_CHECK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  SD_CHECK(env, napi_get_instance_data(env, (void **)&addon));
  if (!sd_arg_integer(env, argv[1], "port", 0, UINT16_MAX, &port) ||
      !sd_arg_addresses(env, argv[0], "bind", "localAddresses", (int)port,
                        &locals) ||
      !sd_arg_integer(env, argv[2], "backlog", 0, INT32_MAX, &backlog) ||
      !sd_arg_settings(env, argv + 3, &settings))
    return NULL;
  fd = sd_stream_socket(locals.family, &settings, &locals, &syscall, &option);
  if (fd < 0) {
    sd_throw_socket(env, syscall, fd, &locals, option);
    return NULL;
  }
  sd_addrs_next(locals.packed, 0, &local);
  return sd_listener_return(addon, fd, true, (int)backlog, &local, &settings);
}

/* listenFd(fd, backlog, options, maxMessageSize, batchMax) does the same with a
 * socket that another program has made and bound. */
static napi_value sd_js_listen_fd(napi_env env, napi_callback_info info) {
  size_t argc = 5;
  napi_value argv[5];
  struct sd_settings settings;
  struct sd_addon *addon;
  union sd_addr local;
  double fd, backlog;
  uint32_t option = 0;
  int error;
  SD_CHECK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  SD_CHECK(env, napi_get_instance_data(env, (void **)&addon));
  if (!sd_arg_integer(env, argv[0], "fd", 0, INT32_MAX, &fd) ||
      !sd_arg_integer(env, argv[1], "backlog", 0, INT32_MAX, &backlog) ||
      !sd_arg_settings(env, argv + 2, &settings))
    return NULL;
  error =
      sd_addon_polls(addon, (int)fd) ? -EEXIST : sd_sys_adopt((int)fd, &local);
  if (error < 0) {
    sd_throw_system(env, "listen", error, NULL, 0);
    return NULL;
  }
  error = sd_apply_settings((int)fd, local.sa.sa_family, &settings, &option);
  if (error < 0) {
    sd_throw_setting(env, error, option);
    return NULL;
  }
  return sd_listener_return(addon, (int)fd, false, (int)backlog, &local,
                            &settings);
}

/* --- 6.7 Peel-off --------------------------------------------------------- */

/* Takes over the pieces of an endpoint's unfinished message. Returns false if
 * there is no memory. */
static bool sd_socket_take_partial(struct sd_socket *socket,
                                   struct sd_assembly *assembly,
                                   struct sd_partial *partial) {
  if (!partial->data)
    return true;
  socket->partials = malloc(sizeof *partial);
  if (!socket->partials)
    return false;
  *socket->partials = *partial;
  socket->assembly.total += partial->capacity;
  assembly->total -= partial->capacity;
  memset(partial, 0, sizeof *partial);
  return true;
}

/* Makes the socket of a peer's association, which leaves its endpoint, with
 * what is unread (RFC 6458 section 9.2). Returns NULL, and in `error` why. */
static struct sd_socket *sd_peer_peel_off(struct sd_endpoint *endpoint,
                                          struct sd_peer *peer,
                                          const struct sd_settings *settings,
                                          int *error) {
  struct sd_socket *socket;
  int fd = -ENOTCONN;
  if (endpoint->appending == peer ||
      (endpoint->restarting && endpoint->restarting == peer->id))
    fd = -EBUSY;
  else if (peer->id)
    fd = sd_sys_peeloff(endpoint->handle.fd, peer->id);
  *error = fd < 0 ? fd : -ENOMEM;
  if (fd < 0)
    return NULL;
  socket = sd_socket_new(&sd_socket_kind, endpoint->handle.addon, fd,
                         settings->max_message, settings->batch_max);
  if (socket) {
    socket->remote = peer->own.addr;
    socket->peeled = true;
    socket->skipping = peer->skipping;
    socket->phase = SD_UP;
    *error = sd_set_options(fd, AF_INET, settings->options, settings->count);
    if (!sd_socket_take_partial(socket, &endpoint->assembly, &peer->partial))
      *error = -ENOMEM;
  }
  sd_peer_part(endpoint, peer);
  if (!socket || *error == 0)
    return socket;
  sd_handle_close(&socket->handle);
  return NULL;
}

/* peelOff(host, port, options, maxMessageSize, batchMax) */
static napi_value sd_js_endpoint_peel_off(napi_env env,
                                          napi_callback_info info) {
  napi_value argv[5], self;
  struct sd_endpoint *endpoint = sd_this(env, info, 5, argv, &self);
  struct sd_settings settings;
  struct sd_destination name;
  struct sd_socket *socket;
  struct sd_peer *peer;
  int error;
  if (!endpoint || !sd_arg_settings(env, argv + 2, &settings) ||
      !sd_check_open(env, &endpoint->handle))
    return NULL;
  peer = sd_arg_peer(env, endpoint, argv, "peeloff");
  if (!peer)
    return NULL;
  name = peer->own;
  socket = sd_peer_peel_off(endpoint, peer, &settings, &error);
  if (!socket) {
    sd_throw_system(env, "peeloff", error, name.host, name.port);
    return NULL;
  }
  return sd_handle_return(&socket->handle, sd_handle_object(&socket->handle));
}

/* === 7. Kernel tables ===================================================== */

/* A new option, field or notification is one row here. lib/struct.js reads
 * these tables; nothing else knows how the kernel lays out its structs. */

/* --- 7.1 Fields ----------------------------------------------------------- */

/* A field of a struct that an option or a notification carries. */
struct sd_field {
  const char *of;   /* name of the struct */
  const char *name; /* the RFC's */
  const char *type; /* see SD_TYPE */
  size_t offset;
  size_t size; /* of the struct, without a list at its end */
};

/* The type of a member: a number, an address, a list up to the end of the
 * struct, or another struct by its name. */
#define SD_TYPE(of, member)                                                    \
  _Generic(((struct of *)NULL)->member,                                        \
      uint8_t: "u8",                                                           \
      uint16_t: "u16",                                                         \
      uint32_t: "u32",                                                         \
      int32_t: "i32",                                                          \
      unsigned long long: "u64",                                               \
      uint8_t *: "u8[]",                                                       \
      uint16_t *: "u16[]",                                                     \
      int32_t *: "i32[]",                                                      \
      struct sockaddr_storage: "address",                                      \
      struct sctp_sndrcvinfo: "sctp_sndrcvinfo",                               \
      struct sctp_sndinfo: "sctp_sndinfo",                                     \
      struct sctp_paddrinfo: "sctp_paddrinfo")

#define SD_FIELD_AS(of, member, name, type)                                    \
  { #of, name, type, offsetof(struct of, member), sizeof(struct of) }

#define SD_FIELD(of, member)                                                   \
  SD_FIELD_AS(of, member, #member, SD_TYPE(of, member))

/* RFC 6458 sections 5.3, 6.1 and 8, RFC 6525 section 6. Types are given for
 * what the kernel hands on in the byte order of the network. */
static const struct sd_field sd_fields[] = {
    {"int", "value", "i32", 0, sizeof(int)},
    {"string", "value", "u8[]", 0, 0},
    SD_FIELD(sctp_initmsg, sinit_num_ostreams),
    SD_FIELD(sctp_initmsg, sinit_max_instreams),
    SD_FIELD(sctp_initmsg, sinit_max_attempts),
    SD_FIELD(sctp_initmsg, sinit_max_init_timeo),
    SD_FIELD(sctp_rtoinfo, srto_assoc_id),
    SD_FIELD(sctp_rtoinfo, srto_initial),
    SD_FIELD(sctp_rtoinfo, srto_max),
    SD_FIELD(sctp_rtoinfo, srto_min),
    SD_FIELD(sctp_assocparams, sasoc_assoc_id),
    SD_FIELD(sctp_assocparams, sasoc_asocmaxrxt),
    SD_FIELD(sctp_assocparams, sasoc_number_peer_destinations),
    SD_FIELD(sctp_assocparams, sasoc_peer_rwnd),
    SD_FIELD(sctp_assocparams, sasoc_local_rwnd),
    SD_FIELD(sctp_assocparams, sasoc_cookie_life),
    SD_FIELD(sctp_setpeerprim, sspp_assoc_id),
    SD_FIELD(sctp_setpeerprim, sspp_addr),
    SD_FIELD(sctp_prim, ssp_assoc_id),
    SD_FIELD(sctp_prim, ssp_addr),
    SD_FIELD(sctp_setadaptation, ssb_adaptation_ind),
    SD_FIELD(sctp_paddrparams, spp_assoc_id),
    SD_FIELD(sctp_paddrparams, spp_address),
    SD_FIELD(sctp_paddrparams, spp_hbinterval),
    SD_FIELD(sctp_paddrparams, spp_pathmaxrxt),
    SD_FIELD(sctp_paddrparams, spp_pathmtu),
    SD_FIELD(sctp_paddrparams, spp_sackdelay),
    SD_FIELD(sctp_paddrparams, spp_flags),
    SD_FIELD(sctp_paddrparams, spp_ipv6_flowlabel),
    SD_FIELD(sctp_paddrparams, spp_dscp),
    SD_FIELD(sctp_sndrcvinfo, sinfo_stream),
    SD_FIELD(sctp_sndrcvinfo, sinfo_ssn),
    SD_FIELD(sctp_sndrcvinfo, sinfo_flags),
    SD_FIELD_AS(sctp_sndrcvinfo, sinfo_ppid, "sinfo_ppid", "be32"),
    SD_FIELD(sctp_sndrcvinfo, sinfo_context),
    SD_FIELD(sctp_sndrcvinfo, sinfo_timetolive),
    SD_FIELD(sctp_sndrcvinfo, sinfo_tsn),
    SD_FIELD(sctp_sndrcvinfo, sinfo_cumtsn),
    SD_FIELD(sctp_sndrcvinfo, sinfo_assoc_id),
    SD_FIELD(sctp_sndinfo, snd_sid),
    SD_FIELD(sctp_sndinfo, snd_flags),
    SD_FIELD_AS(sctp_sndinfo, snd_ppid, "snd_ppid", "be32"),
    SD_FIELD(sctp_sndinfo, snd_context),
    SD_FIELD(sctp_sndinfo, snd_assoc_id),
    SD_FIELD(sctp_event_subscribe, sctp_data_io_event),
    SD_FIELD(sctp_event_subscribe, sctp_association_event),
    SD_FIELD(sctp_event_subscribe, sctp_address_event),
    SD_FIELD(sctp_event_subscribe, sctp_send_failure_event),
    SD_FIELD(sctp_event_subscribe, sctp_peer_error_event),
    SD_FIELD(sctp_event_subscribe, sctp_shutdown_event),
    SD_FIELD(sctp_event_subscribe, sctp_partial_delivery_event),
    SD_FIELD(sctp_event_subscribe, sctp_adaptation_layer_event),
    SD_FIELD(sctp_event_subscribe, sctp_authentication_event),
    SD_FIELD(sctp_event_subscribe, sctp_sender_dry_event),
    SD_FIELD(sctp_event_subscribe, sctp_stream_reset_event),
    SD_FIELD(sctp_event_subscribe, sctp_assoc_reset_event),
    SD_FIELD(sctp_event_subscribe, sctp_stream_change_event),
    SD_FIELD(sctp_event_subscribe, sctp_send_failure_event_event),
    SD_FIELD(sctp_event, se_assoc_id),
    SD_FIELD(sctp_event, se_type),
    SD_FIELD(sctp_event, se_on),
    SD_FIELD(sctp_assoc_value, assoc_id),
    SD_FIELD(sctp_assoc_value, assoc_value),
    SD_FIELD(sctp_paddrinfo, spinfo_assoc_id),
    SD_FIELD(sctp_paddrinfo, spinfo_address),
    SD_FIELD(sctp_paddrinfo, spinfo_state),
    SD_FIELD(sctp_paddrinfo, spinfo_cwnd),
    SD_FIELD(sctp_paddrinfo, spinfo_srtt),
    SD_FIELD(sctp_paddrinfo, spinfo_rto),
    SD_FIELD(sctp_paddrinfo, spinfo_mtu),
    SD_FIELD(sctp_status, sstat_assoc_id),
    SD_FIELD(sctp_status, sstat_state),
    SD_FIELD(sctp_status, sstat_rwnd),
    SD_FIELD(sctp_status, sstat_unackdata),
    SD_FIELD(sctp_status, sstat_penddata),
    SD_FIELD(sctp_status, sstat_instrms),
    SD_FIELD(sctp_status, sstat_outstrms),
    SD_FIELD(sctp_status, sstat_fragmentation_point),
    SD_FIELD(sctp_status, sstat_primary),
    SD_FIELD(sctp_sack_info, sack_assoc_id),
    SD_FIELD(sctp_sack_info, sack_delay),
    SD_FIELD(sctp_sack_info, sack_freq),
    SD_FIELD(sctp_authchunk, sauth_chunk),
    SD_FIELD(sctp_hmacalgo, shmac_number_of_idents),
    SD_FIELD(sctp_hmacalgo, shmac_idents),
    SD_FIELD(sctp_authkey, sca_assoc_id),
    SD_FIELD(sctp_authkey, sca_keynumber),
    SD_FIELD(sctp_authkey, sca_keylength),
    SD_FIELD(sctp_authkey, sca_key),
    SD_FIELD(sctp_authkeyid, scact_assoc_id),
    SD_FIELD(sctp_authkeyid, scact_keynumber),
    SD_FIELD(sctp_authchunks, gauth_assoc_id),
    SD_FIELD(sctp_authchunks, gauth_number_of_chunks),
    SD_FIELD(sctp_authchunks, gauth_chunks),
    SD_FIELD(sctp_assoc_ids, gaids_number_of_ids),
    SD_FIELD(sctp_assoc_ids, gaids_assoc_id),
    SD_FIELD(sctp_paddrthlds, spt_assoc_id),
    SD_FIELD(sctp_paddrthlds, spt_address),
    SD_FIELD(sctp_paddrthlds, spt_pathmaxrxt),
    SD_FIELD(sctp_paddrthlds, spt_pathpfthld),
    SD_FIELD(sctp_paddrthlds_v2, spt_assoc_id),
    SD_FIELD(sctp_paddrthlds_v2, spt_address),
    SD_FIELD(sctp_paddrthlds_v2, spt_pathmaxrxt),
    SD_FIELD(sctp_paddrthlds_v2, spt_pathpfthld),
    SD_FIELD(sctp_paddrthlds_v2, spt_pathcpthld),
    SD_FIELD(sctp_assoc_stats, sas_assoc_id),
    SD_FIELD(sctp_assoc_stats, sas_obs_rto_ipaddr),
    SD_FIELD(sctp_assoc_stats, sas_maxrto),
    SD_FIELD(sctp_assoc_stats, sas_isacks),
    SD_FIELD(sctp_assoc_stats, sas_osacks),
    SD_FIELD(sctp_assoc_stats, sas_opackets),
    SD_FIELD(sctp_assoc_stats, sas_ipackets),
    SD_FIELD(sctp_assoc_stats, sas_rtxchunks),
    SD_FIELD(sctp_assoc_stats, sas_outofseqtsns),
    SD_FIELD(sctp_assoc_stats, sas_idupchunks),
    SD_FIELD(sctp_assoc_stats, sas_gapcnt),
    SD_FIELD(sctp_assoc_stats, sas_ouodchunks),
    SD_FIELD(sctp_assoc_stats, sas_iuodchunks),
    SD_FIELD(sctp_assoc_stats, sas_oodchunks),
    SD_FIELD(sctp_assoc_stats, sas_iodchunks),
    SD_FIELD(sctp_assoc_stats, sas_octrlchunks),
    SD_FIELD(sctp_assoc_stats, sas_ictrlchunks),
    SD_FIELD(sctp_default_prinfo, pr_assoc_id),
    SD_FIELD(sctp_default_prinfo, pr_value),
    SD_FIELD(sctp_default_prinfo, pr_policy),
    SD_FIELD(sctp_prstatus, sprstat_assoc_id),
    SD_FIELD(sctp_prstatus, sprstat_sid),
    SD_FIELD(sctp_prstatus, sprstat_policy),
    SD_FIELD(sctp_prstatus, sprstat_abandoned_unsent),
    SD_FIELD(sctp_prstatus, sprstat_abandoned_sent),
    SD_FIELD(sctp_reset_streams, srs_assoc_id),
    SD_FIELD(sctp_reset_streams, srs_flags),
    SD_FIELD(sctp_reset_streams, srs_number_streams),
    SD_FIELD(sctp_reset_streams, srs_stream_list),
    SD_FIELD(sctp_add_streams, sas_assoc_id),
    SD_FIELD(sctp_add_streams, sas_instrms),
    SD_FIELD(sctp_add_streams, sas_outstrms),
    SD_FIELD(sctp_stream_value, assoc_id),
    SD_FIELD(sctp_stream_value, stream_id),
    SD_FIELD(sctp_stream_value, stream_value),
#ifdef SCTP_REMOTE_UDP_ENCAPS_PORT
    SD_FIELD(sctp_udpencaps, sue_assoc_id),
    SD_FIELD(sctp_udpencaps, sue_address),
    SD_FIELD_AS(sctp_udpencaps, sue_port, "sue_port", "be16"),
#endif
#ifdef SCTP_PLPMTUD_PROBE_INTERVAL
    SD_FIELD(sctp_probeinterval, spi_assoc_id),
    SD_FIELD(sctp_probeinterval, spi_address),
    SD_FIELD(sctp_probeinterval, spi_interval),
#endif
    /* Notifications. */
    SD_FIELD(sctp_assoc_change, sac_type),
    SD_FIELD(sctp_assoc_change, sac_flags),
    SD_FIELD(sctp_assoc_change, sac_length),
    SD_FIELD(sctp_assoc_change, sac_state),
    SD_FIELD_AS(sctp_assoc_change, sac_error, "sac_error", "be16"),
    SD_FIELD(sctp_assoc_change, sac_outbound_streams),
    SD_FIELD(sctp_assoc_change, sac_inbound_streams),
    SD_FIELD(sctp_assoc_change, sac_assoc_id),
    SD_FIELD(sctp_assoc_change, sac_info),
    SD_FIELD(sctp_paddr_change, spc_type),
    SD_FIELD(sctp_paddr_change, spc_flags),
    SD_FIELD(sctp_paddr_change, spc_length),
    SD_FIELD(sctp_paddr_change, spc_aaddr),
    SD_FIELD(sctp_paddr_change, spc_state),
    SD_FIELD(sctp_paddr_change, spc_error),
    SD_FIELD(sctp_paddr_change, spc_assoc_id),
    SD_FIELD(sctp_remote_error, sre_type),
    SD_FIELD(sctp_remote_error, sre_flags),
    SD_FIELD(sctp_remote_error, sre_length),
    SD_FIELD_AS(sctp_remote_error, sre_error, "sre_error", "be16"),
    SD_FIELD(sctp_remote_error, sre_assoc_id),
    SD_FIELD(sctp_remote_error, sre_data),
    SD_FIELD(sctp_send_failed, ssf_type),
    SD_FIELD(sctp_send_failed, ssf_flags),
    SD_FIELD(sctp_send_failed, ssf_length),
    SD_FIELD_AS(sctp_send_failed, ssf_error, "ssf_error", "be32"),
    SD_FIELD(sctp_send_failed, ssf_info),
    SD_FIELD(sctp_send_failed, ssf_assoc_id),
    SD_FIELD(sctp_send_failed, ssf_data),
    /* Linux has the RFC's name for one field only. */
    SD_FIELD_AS(sctp_send_failed_event, ssf_type, "ssfe_type",
                SD_TYPE(sctp_send_failed_event, ssf_type)),
    SD_FIELD_AS(sctp_send_failed_event, ssf_flags, "ssfe_flags",
                SD_TYPE(sctp_send_failed_event, ssf_flags)),
    SD_FIELD_AS(sctp_send_failed_event, ssf_length, "ssfe_length",
                SD_TYPE(sctp_send_failed_event, ssf_length)),
    SD_FIELD_AS(sctp_send_failed_event, ssf_error, "ssfe_error", "be32"),
    SD_FIELD(sctp_send_failed_event, ssfe_info),
    SD_FIELD_AS(sctp_send_failed_event, ssf_assoc_id, "ssfe_assoc_id",
                SD_TYPE(sctp_send_failed_event, ssf_assoc_id)),
    SD_FIELD_AS(sctp_send_failed_event, ssf_data, "ssfe_data",
                SD_TYPE(sctp_send_failed_event, ssf_data)),
    SD_FIELD(sctp_shutdown_event, sse_type),
    SD_FIELD(sctp_shutdown_event, sse_flags),
    SD_FIELD(sctp_shutdown_event, sse_length),
    SD_FIELD(sctp_shutdown_event, sse_assoc_id),
    SD_FIELD(sctp_adaptation_event, sai_type),
    SD_FIELD(sctp_adaptation_event, sai_flags),
    SD_FIELD(sctp_adaptation_event, sai_length),
    SD_FIELD(sctp_adaptation_event, sai_adaptation_ind),
    SD_FIELD(sctp_adaptation_event, sai_assoc_id),
    SD_FIELD(sctp_pdapi_event, pdapi_type),
    SD_FIELD(sctp_pdapi_event, pdapi_flags),
    SD_FIELD(sctp_pdapi_event, pdapi_length),
    SD_FIELD(sctp_pdapi_event, pdapi_indication),
    SD_FIELD(sctp_pdapi_event, pdapi_assoc_id),
    SD_FIELD(sctp_pdapi_event, pdapi_stream),
    SD_FIELD(sctp_pdapi_event, pdapi_seq),
    SD_FIELD(sctp_authkey_event, auth_type),
    SD_FIELD(sctp_authkey_event, auth_flags),
    SD_FIELD(sctp_authkey_event, auth_length),
    SD_FIELD(sctp_authkey_event, auth_keynumber),
    SD_FIELD(sctp_authkey_event, auth_altkeynumber),
    SD_FIELD(sctp_authkey_event, auth_indication),
    SD_FIELD(sctp_authkey_event, auth_assoc_id),
    SD_FIELD(sctp_sender_dry_event, sender_dry_type),
    SD_FIELD(sctp_sender_dry_event, sender_dry_flags),
    SD_FIELD(sctp_sender_dry_event, sender_dry_length),
    SD_FIELD(sctp_sender_dry_event, sender_dry_assoc_id),
    SD_FIELD(sctp_stream_reset_event, strreset_type),
    SD_FIELD(sctp_stream_reset_event, strreset_flags),
    SD_FIELD(sctp_stream_reset_event, strreset_length),
    SD_FIELD(sctp_stream_reset_event, strreset_assoc_id),
    SD_FIELD(sctp_stream_reset_event, strreset_stream_list),
    SD_FIELD(sctp_assoc_reset_event, assocreset_type),
    SD_FIELD(sctp_assoc_reset_event, assocreset_flags),
    SD_FIELD(sctp_assoc_reset_event, assocreset_length),
    SD_FIELD(sctp_assoc_reset_event, assocreset_assoc_id),
    SD_FIELD(sctp_assoc_reset_event, assocreset_local_tsn),
    SD_FIELD(sctp_assoc_reset_event, assocreset_remote_tsn),
    SD_FIELD(sctp_stream_change_event, strchange_type),
    SD_FIELD(sctp_stream_change_event, strchange_flags),
    SD_FIELD(sctp_stream_change_event, strchange_length),
    SD_FIELD(sctp_stream_change_event, strchange_assoc_id),
    SD_FIELD(sctp_stream_change_event, strchange_instrms),
    SD_FIELD(sctp_stream_change_event, strchange_outstrms),
};

/* --- 7.2 Options ---------------------------------------------------------- */

struct sd_option_row {
  const char *name;
  int level;
  int number;
  const char *of; /* name of the struct that it carries */
};

#define SD_OPTION(level, name, of)                                             \
  { #name, level, name, of }

static const struct sd_option_row sd_option_rows[] = {
    SD_OPTION(IPPROTO_SCTP, SCTP_RTOINFO, "sctp_rtoinfo"),
    SD_OPTION(IPPROTO_SCTP, SCTP_ASSOCINFO, "sctp_assocparams"),
    SD_OPTION(IPPROTO_SCTP, SCTP_INITMSG, "sctp_initmsg"),
    SD_OPTION(IPPROTO_SCTP, SCTP_NODELAY, "int"),
    SD_OPTION(IPPROTO_SCTP, SCTP_AUTOCLOSE, "int"),
    SD_OPTION(IPPROTO_SCTP, SCTP_SET_PEER_PRIMARY_ADDR, "sctp_setpeerprim"),
    SD_OPTION(IPPROTO_SCTP, SCTP_PRIMARY_ADDR, "sctp_prim"),
    SD_OPTION(IPPROTO_SCTP, SCTP_ADAPTATION_LAYER, "sctp_setadaptation"),
    SD_OPTION(IPPROTO_SCTP, SCTP_DISABLE_FRAGMENTS, "int"),
    SD_OPTION(IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, "sctp_paddrparams"),
    SD_OPTION(IPPROTO_SCTP, SCTP_DEFAULT_SEND_PARAM, "sctp_sndrcvinfo"),
    SD_OPTION(IPPROTO_SCTP, SCTP_EVENTS, "sctp_event_subscribe"),
    SD_OPTION(IPPROTO_SCTP, SCTP_I_WANT_MAPPED_V4_ADDR, "int"),
    SD_OPTION(IPPROTO_SCTP, SCTP_MAXSEG, "sctp_assoc_value"),
    SD_OPTION(IPPROTO_SCTP, SCTP_STATUS, "sctp_status"),
    SD_OPTION(IPPROTO_SCTP, SCTP_GET_PEER_ADDR_INFO, "sctp_paddrinfo"),
    SD_OPTION(IPPROTO_SCTP, SCTP_DELAYED_SACK, "sctp_sack_info"),
    SD_OPTION(IPPROTO_SCTP, SCTP_CONTEXT, "sctp_assoc_value"),
    SD_OPTION(IPPROTO_SCTP, SCTP_FRAGMENT_INTERLEAVE, "int"),
    SD_OPTION(IPPROTO_SCTP, SCTP_PARTIAL_DELIVERY_POINT, "int"),
    SD_OPTION(IPPROTO_SCTP, SCTP_MAX_BURST, "sctp_assoc_value"),
    SD_OPTION(IPPROTO_SCTP, SCTP_AUTH_CHUNK, "sctp_authchunk"),
    SD_OPTION(IPPROTO_SCTP, SCTP_HMAC_IDENT, "sctp_hmacalgo"),
    SD_OPTION(IPPROTO_SCTP, SCTP_AUTH_KEY, "sctp_authkey"),
    SD_OPTION(IPPROTO_SCTP, SCTP_AUTH_ACTIVE_KEY, "sctp_authkeyid"),
    SD_OPTION(IPPROTO_SCTP, SCTP_AUTH_DELETE_KEY, "sctp_authkeyid"),
    SD_OPTION(IPPROTO_SCTP, SCTP_AUTH_DEACTIVATE_KEY, "sctp_authkeyid"),
    SD_OPTION(IPPROTO_SCTP, SCTP_PEER_AUTH_CHUNKS, "sctp_authchunks"),
    SD_OPTION(IPPROTO_SCTP, SCTP_LOCAL_AUTH_CHUNKS, "sctp_authchunks"),
    SD_OPTION(IPPROTO_SCTP, SCTP_GET_ASSOC_NUMBER, "int"),
    SD_OPTION(IPPROTO_SCTP, SCTP_GET_ASSOC_ID_LIST, "sctp_assoc_ids"),
    SD_OPTION(IPPROTO_SCTP, SCTP_AUTO_ASCONF, "int"),
    SD_OPTION(IPPROTO_SCTP, SCTP_PEER_ADDR_THLDS, "sctp_paddrthlds"),
    SD_OPTION(IPPROTO_SCTP, SCTP_PEER_ADDR_THLDS_V2, "sctp_paddrthlds_v2"),
    SD_OPTION(IPPROTO_SCTP, SCTP_RECVRCVINFO, "int"),
    SD_OPTION(IPPROTO_SCTP, SCTP_RECVNXTINFO, "int"),
    SD_OPTION(IPPROTO_SCTP, SCTP_DEFAULT_SNDINFO, "sctp_sndinfo"),
    SD_OPTION(IPPROTO_SCTP, SCTP_REUSE_PORT, "int"),
    SD_OPTION(IPPROTO_SCTP, SCTP_GET_ASSOC_STATS, "sctp_assoc_stats"),
    SD_OPTION(IPPROTO_SCTP, SCTP_PR_SUPPORTED, "sctp_assoc_value"),
    SD_OPTION(IPPROTO_SCTP, SCTP_DEFAULT_PRINFO, "sctp_default_prinfo"),
    SD_OPTION(IPPROTO_SCTP, SCTP_PR_ASSOC_STATUS, "sctp_prstatus"),
    SD_OPTION(IPPROTO_SCTP, SCTP_PR_STREAM_STATUS, "sctp_prstatus"),
    SD_OPTION(IPPROTO_SCTP, SCTP_RECONFIG_SUPPORTED, "sctp_assoc_value"),
    SD_OPTION(IPPROTO_SCTP, SCTP_ENABLE_STREAM_RESET, "sctp_assoc_value"),
    SD_OPTION(IPPROTO_SCTP, SCTP_RESET_STREAMS, "sctp_reset_streams"),
    SD_OPTION(IPPROTO_SCTP, SCTP_RESET_ASSOC, "int"),
    SD_OPTION(IPPROTO_SCTP, SCTP_ADD_STREAMS, "sctp_add_streams"),
    SD_OPTION(IPPROTO_SCTP, SCTP_STREAM_SCHEDULER, "sctp_assoc_value"),
    SD_OPTION(IPPROTO_SCTP, SCTP_STREAM_SCHEDULER_VALUE, "sctp_stream_value"),
    SD_OPTION(IPPROTO_SCTP, SCTP_INTERLEAVING_SUPPORTED, "sctp_assoc_value"),
    SD_OPTION(IPPROTO_SCTP, SCTP_EVENT, "sctp_event"),
    SD_OPTION(IPPROTO_SCTP, SCTP_ASCONF_SUPPORTED, "sctp_assoc_value"),
    SD_OPTION(IPPROTO_SCTP, SCTP_AUTH_SUPPORTED, "sctp_assoc_value"),
    SD_OPTION(IPPROTO_SCTP, SCTP_ECN_SUPPORTED, "sctp_assoc_value"),
    SD_OPTION(IPPROTO_SCTP, SCTP_EXPOSE_POTENTIALLY_FAILED_STATE,
              "sctp_assoc_value"),
#ifdef SCTP_REMOTE_UDP_ENCAPS_PORT
    SD_OPTION(IPPROTO_SCTP, SCTP_REMOTE_UDP_ENCAPS_PORT, "sctp_udpencaps"),
#endif
#ifdef SCTP_PLPMTUD_PROBE_INTERVAL
    SD_OPTION(IPPROTO_SCTP, SCTP_PLPMTUD_PROBE_INTERVAL, "sctp_probeinterval"),
#endif
    SD_OPTION(SOL_SOCKET, SO_SNDBUF, "int"),
    SD_OPTION(SOL_SOCKET, SO_RCVBUF, "int"),
    SD_OPTION(SOL_SOCKET, SO_REUSEPORT, "int"),
    SD_OPTION(SOL_SOCKET, SO_BINDTODEVICE, "string"),
    SD_OPTION(IPPROTO_IPV6, IPV6_V6ONLY, "int"),
};

/* --- 7.3 Notifications ---------------------------------------------------- */

struct sd_notification_row {
  const char *name;
  int number;
  const char *of;
  const char
      *subscribed; /* "always"; "listener": with every burst of messages,
                      or every association without AUTH, so only if there
                      is a listener; "never": the kernel has a newer one */
};

#define SD_NOTIFICATION(name, of, subscribed)                                  \
  { #name, name, of, subscribed }

/* Accepted sockets inherit the subscription, so that they miss none. */
static const struct sd_notification_row sd_notification_rows[] = {
    SD_NOTIFICATION(SCTP_ASSOC_CHANGE, "sctp_assoc_change", "always"),
    SD_NOTIFICATION(SCTP_PEER_ADDR_CHANGE, "sctp_paddr_change", "always"),
    SD_NOTIFICATION(SCTP_REMOTE_ERROR, "sctp_remote_error", "always"),
    SD_NOTIFICATION(SCTP_SEND_FAILED, "sctp_send_failed", "never"),
    SD_NOTIFICATION(SCTP_SEND_FAILED_EVENT, "sctp_send_failed_event", "always"),
    SD_NOTIFICATION(SCTP_SHUTDOWN_EVENT, "sctp_shutdown_event", "always"),
    SD_NOTIFICATION(SCTP_ADAPTATION_INDICATION, "sctp_adaptation_event",
                    "always"),
    SD_NOTIFICATION(SCTP_PARTIAL_DELIVERY_EVENT, "sctp_pdapi_event", "always"),
    SD_NOTIFICATION(SCTP_AUTHENTICATION_EVENT, "sctp_authkey_event",
                    "listener"),
    SD_NOTIFICATION(SCTP_SENDER_DRY_EVENT, "sctp_sender_dry_event", "listener"),
    SD_NOTIFICATION(SCTP_STREAM_RESET_EVENT, "sctp_stream_reset_event",
                    "always"),
    SD_NOTIFICATION(SCTP_ASSOC_RESET_EVENT, "sctp_assoc_reset_event", "always"),
    SD_NOTIFICATION(SCTP_STREAM_CHANGE_EVENT, "sctp_stream_change_event",
                    "always"),
};

/* --- 7.4 Export ----------------------------------------------------------- */

static bool sd_define_field(napi_env env, napi_value row, const void *item) {
  const struct sd_field *field = item;
  return sd_define_string(env, row, "of", field->of) &&
         sd_define_string(env, row, "name", field->name) &&
         sd_define_string(env, row, "type", field->type) &&
         sd_define_number(env, row, "offset", (double)field->offset) &&
         sd_define_number(env, row, "size", (double)field->size);
}

static bool sd_define_option(napi_env env, napi_value row, const void *item) {
  const struct sd_option_row *option = item;
  return sd_define_string(env, row, "name", option->name) &&
         sd_define_number(env, row, "level", option->level) &&
         sd_define_number(env, row, "number", option->number) &&
         sd_define_string(env, row, "of", option->of);
}

static bool sd_define_notification(napi_env env, napi_value row,
                                   const void *item) {
  const struct sd_notification_row *notification = item;
  return sd_define_string(env, row, "name", notification->name) &&
         sd_define_number(env, row, "number", notification->number) &&
         sd_define_string(env, row, "of", notification->of) &&
         sd_define_string(env, row, "subscribed", notification->subscribed);
}

/* Makes an array of objects from a table of `count` rows of `size` bytes. */
static bool sd_define_table(napi_env env, napi_value object, const char *name,
                            const void *table, size_t count, size_t size,
                            bool (*define)(napi_env, napi_value,
                                           const void *)) {
  napi_value array, row;
  uint32_t i;
  bool done = napi_create_array_with_length(env, count, &array) == napi_ok;
  for (i = 0; i < count && done; i++)
    done = napi_create_object(env, &row) == napi_ok &&
           define(env, row, (const char *)table + i * size) &&
           sd_define_element(env, array, i, row);
  return done && sd_define(env, object, name, array);
}

#define SD_TABLE(name, table, define)                                          \
  sd_define_table(env, result, name, table, sizeof table / sizeof *table,      \
                  sizeof *table, define)

/* tables() returns { fields, options, notifications }. */
static napi_value sd_js_tables(napi_env env, napi_callback_info info) {
  napi_value result;
  (void)info;
  SD_CHECK(env, napi_create_object(env, &result));
  if (SD_TABLE("fields", sd_fields, sd_define_field) &&
      SD_TABLE("options", sd_option_rows, sd_define_option) &&
      SD_TABLE("notifications", sd_notification_rows, sd_define_notification))
    return result;
  sd_throw_status(env);
  return NULL;
}

/* toAddress(bytes) returns { address, family, port } of a struct sockaddr. */
static napi_value sd_js_to_address(napi_env env, napi_callback_info info) {
  size_t argc = 1, size;
  napi_value bytes;
  union sd_addr addr = {0};
  void *data;
  SD_CHECK(env, napi_get_cb_info(env, info, &argc, &bytes, NULL, NULL));
  if (!sd_arg_bytes(env, bytes, "bytes", &data, &size))
    return NULL;
  memcpy(&addr, data, size < sizeof addr ? size : sizeof addr);
  if (addr.sa.sa_family != AF_INET6)
    addr.sa.sa_family = AF_INET;
  sd_addr_unmap(&addr);
  return sd_addr_object(env, &addr);
}

/* fromAddress(address, port) returns a struct sockaddr_storage. */
static napi_value sd_js_from_address(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2], result;
  struct sockaddr_storage storage = {0};
  char host[SD_HOST_MAX];
  union sd_addr addr;
  double port;
  SD_CHECK(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  if (!sd_arg_host(env, argv[0], "address", host) ||
      !sd_arg_integer(env, argv[1], "port", 0, UINT16_MAX, &port) ||
      !sd_arg_address(env, "setsockopt", "address", host, (int)port, &addr))
    return NULL;
  memcpy(&storage, &addr, sizeof addr);
  SD_CHECK(env, napi_create_buffer_copy(env, sizeof storage, &storage, NULL,
                                        &result));
  return result;
}

/* === 8. Module ============================================================ */

/* --- 8.1 Init ------------------------------------------------------------- */

static void sd_on_exit(napi_async_cleanup_hook_handle hook, void *data) {
  struct sd_addon *addon = data;
  struct sd_handle *handle;
  (void)hook;
  addon->exiting = true;
  for (handle = addon->handles; handle; handle = handle->next)
    sd_handle_close(handle);
  sd_addon_maybe_done(addon);
}

static void sd_on_addon_free(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  free(data);
}

/* Finds the class AsyncLocalStorage. From version 24 on, Node keeps its
 * value apart from async ids. */
static napi_status sd_find_storage(napi_env env, struct sd_addon *addon) {
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
    status = napi_create_reference(env, class, 1, &addon->storage_class);
  return status;
}

static napi_status sd_keep_function(napi_env env, napi_value functions,
                                    const char *name, napi_ref *reference) {
  napi_value function;
  napi_status status = napi_get_named_property(env, functions, name, &function);
  if (status == napi_ok)
    status = napi_create_reference(env, function, 1, reference);
  return status;
}

static napi_status sd_compile_deliver(napi_env env, struct sd_addon *addon) {
  const size_t words = sizeof(struct sd_rx_batch) / sizeof(uint32_t);
  napi_value source, compiled, memory, argv[3], functions;
  void *data = NULL;
  napi_status status = napi_create_string_utf8(
      env, sd_deliver_source, sizeof sd_deliver_source - 1, &source);
  if (status == napi_ok &&
      (status = napi_run_script(env, source, &compiled)) == napi_ok &&
      (status = napi_create_arraybuffer(env, sizeof(struct sd_rx_batch), &data,
                                        &memory)) == napi_ok &&
      (status = napi_create_typedarray(env, napi_uint32_array, words, memory, 0,
                                       &argv[0])) == napi_ok &&
      (status = napi_create_uint32(env, SD_SLOTS, &argv[1])) == napi_ok &&
      (status = napi_create_uint32(env, SD_LONG, &argv[2])) == napi_ok &&
      (status = napi_call_function(env, compiled, compiled, 3, argv,
                                   &functions)) == napi_ok &&
      (status = sd_keep_function(env, functions, "setSlab",
                                 &addon->set_slab)) == napi_ok &&
      (status = sd_keep_function(env, functions, "makeReceiver",
                                 &addon->make_receiver)) == napi_ok &&
      (status = sd_keep_function(env, functions, "makeSend",
                                 &addon->make_send)) == napi_ok &&
      (status = sd_keep_function(env, functions, "blocks", &addon->blocks)) ==
          napi_ok)
    status =
        sd_keep_function(env, functions, "deliverBatch", &addon->deliver_batch);
  addon->batch = data; /* the script keeps it */
  return status;
}

#define SD_FUNCTION(js_name, function)                                         \
  { .utf8name = js_name, .method = function, .attributes = napi_enumerable }

NAPI_MODULE_INIT() {
  static const napi_property_descriptor functions[] = {
      SD_FUNCTION("open", sd_js_open),
      SD_FUNCTION("connect", sd_js_connect),
      SD_FUNCTION("listen", sd_js_listen),
      SD_FUNCTION("listenFd", sd_js_listen_fd),
      SD_FUNCTION("getNewOption", sd_js_get_new_option),
      SD_FUNCTION("probe", sd_js_probe),
      SD_FUNCTION("tables", sd_js_tables),
      SD_FUNCTION("toAddress", sd_js_to_address),
      SD_FUNCTION("fromAddress", sd_js_from_address),
  };
  struct sd_addon *addon = calloc(1, sizeof *addon);
  if (!addon) {
    napi_throw_error(env, "ENOMEM", "no memory");
    return NULL;
  }
  addon->env = env;
  if (napi_set_instance_data(env, addon, sd_on_addon_free, NULL) != napi_ok) {
    free(addon);
    return NULL;
  }
  SD_CHECK(env, napi_get_uv_event_loop(env, &addon->loop));
  SD_CHECK(env, sd_find_storage(env, addon));
  SD_CHECK(env, sd_compile_deliver(env, addon));
  SD_CHECK(env, sd_slab_new(addon));
  SD_CHECK(env, sd_define_endpoint(env, addon, exports));
  SD_CHECK(env, sd_define_socket(env, addon));
  SD_CHECK(env, sd_define_listener(env, addon));
  SD_CHECK(env,
           napi_add_async_cleanup_hook(env, sd_on_exit, addon, &addon->hook));
  SD_CHECK(env, napi_define_properties(env, exports,
                                       sizeof functions / sizeof *functions,
                                       functions));
  return exports;
}
