/*
 * To be preloaded: lets calls that the addon makes to the system fail. The
 * environment variable SCTP_FAULT says which, as `NAME:ERRNO:N`: the Nth call of
 * that name since the variable was set fails with that errno. It may be set while
 * the process runs. SCTP_FAULTED is set to the same when that has happened.
 *
 * Calls that Node and its libraries make are left alone, but for those that
 * libsctp makes for the addon.
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static bool from_addon(const void *caller) {
  Dl_info info;
  return dladdr(caller, &info) && info.dli_fname &&
         (strstr(info.dli_fname, "sctp_dgram.node") ||
          strstr(info.dli_fname, "libsctp.so"));
}

/* Whether this call is the one to fail; sets errno, then. */
static bool fails(const char *name, const void *caller) {
  static char present[64];
  static unsigned long calls;
  const char *fault = getenv("SCTP_FAULT");
  const char *colon = fault ? strchr(fault, ':') : NULL;
  char *end;
  int error;
  if (!colon || strlen(name) != (size_t)(colon - fault) ||
      strncmp(name, fault, strlen(name)) != 0 || !from_addon(caller))
    return false;
  if (strcmp(present, fault) != 0) {
    snprintf(present, sizeof present, "%s", fault);
    calls = 0;
  }
  error = (int)strtol(colon + 1, &end, 10);
  if (++calls != strtoul(end + 1, NULL, 10))
    return false;
  setenv("SCTP_FAULTED", present, 1);
  errno = error;
  return true;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define FAULTY(type, name, failed, parameters, arguments)                      \
  type name parameters {                                                       \
    static __typeof__(&name) real;                                             \
    if (!real)                                                                 \
      real = REAL(name);                                                       \
    if (fails(#name, __builtin_return_address(0)))                             \
      return failed;                                                           \
    return real arguments;                                                     \
  }

FAULTY(int, socket, -1, (int family, int type, int protocol),
       (family, type, protocol))
FAULTY(int, bind, -1, (int fd, const struct sockaddr *addr, socklen_t length),
       (fd, addr, length))
FAULTY(int, connect, -1,
       (int fd, const struct sockaddr *addr, socklen_t length),
       (fd, addr, length))
FAULTY(int, listen, -1, (int fd, int backlog), (fd, backlog))
FAULTY(int, accept4, -1,
       (int fd, struct sockaddr *addr, socklen_t *length, int flags),
       (fd, addr, length, flags))
FAULTY(int, getsockname, -1,
       (int fd, struct sockaddr *addr, socklen_t *length), (fd, addr, length))
FAULTY(int, setsockopt, -1,
       (int fd, int level, int name, const void *value, socklen_t length),
       (fd, level, name, value, length))
FAULTY(int, getsockopt, -1,
       (int fd, int level, int name, void *value, socklen_t *length),
       (fd, level, name, value, length))
FAULTY(int, shutdown, -1, (int fd, int how), (fd, how))
FAULTY(ssize_t, recvmsg, -1, (int fd, struct msghdr *message, int flags),
       (fd, message, flags))
FAULTY(ssize_t, sendmsg, -1, (int fd, const struct msghdr *message, int flags),
       (fd, message, flags))
FAULTY(ssize_t, sendto, -1,
       (int fd, const void *data, size_t size, int flags,
        const struct sockaddr *addr, socklen_t length),
       (fd, data, size, flags, addr, length))
FAULTY(void *, realloc, NULL, (void *memory, size_t size), (memory, size))

/* dlsym() itself may need it. */
void *calloc(size_t count, size_t size) {
  extern void *__libc_calloc(size_t, size_t);
  if (fails("calloc", __builtin_return_address(0)))
    return NULL;
  return __libc_calloc(count, size);
}
