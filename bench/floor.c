/*
 * The floor of the benchmark: what plain C does with the same socket options
 * and the same traffic, in as few system calls as it takes.
 *
 *   floor ROLE [NAME=VALUE...]
 *
 * A role prints one line of JSON: its port, where another process is to reach
 * it, or what it has measured. The roles are those of node.js beside this file,
 * and "peers", whose sockets are the other side of fan-out and fan-in for every
 * program that is measured.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_SIZE (256 * 1024)
#define EVENTS 64

/* The options of the command line. */
static struct {
  int size;   /* of a message */
  int count;  /* messages, round trips or connections that are measured */
  int warmup; /* the same, before */
  int burst;  /* messages until the other end has its turn */
  int peers;  /* or associations */
  int more;   /* MSG_MORE on all but each how-manieth message, 0: on none */
  int port;   /* where the other process is */
  int one;    /* one-to-one sockets */
  int fan_in;
  const char *what; /* memory is measured of */
} options = {.size = 64, .burst = 64, .peers = 1, .what = "endpoint"};

static char message[MAX_SIZE], slab[MAX_SIZE];

static int check(int result, const char *what) {
  if (result < 0) {
    perror(what);
    exit(1);
  }
  return result;
}

static void *allocate(int count, size_t size) {
  void *memory = calloc((size_t)count, size);
  if (!memory)
    check(-1, "calloc");
  return memory;
}

/* ------------------------------------------------------------- Sockets */

static void set(int fd, int level, int name, const void *value, socklen_t n) {
  check(setsockopt(fd, level, name, value, n), "setsockopt");
}

static void subscribe(int fd, int type) {
  struct sctp_event event = {
      .se_assoc_id = SCTP_ALL_ASSOC, .se_type = (uint16_t)type, .se_on = 1};
  set(fd, IPPROTO_SCTP, SCTP_EVENT, &event, sizeof event);
}

static struct sockaddr_in loopback(int port) {
  return (struct sockaddr_in){.sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int port_of(int fd) {
  struct sockaddr_in address;
  socklen_t length = sizeof address;
  check(getsockname(fd, (struct sockaddr *)&address, &length), "getsockname");
  return ntohs(address.sin_port);
}

/* With the options of the addon: of open() where `one` is false, else those of
 * its one-to-one sockets. */
static int open_socket(bool one) {
  int on = 1, buffer = 4 * 1024 * 1024, interleave = 1;
  struct sctp_rtoinfo rto = {
      .srto_initial = 250, .srto_min = 200, .srto_max = 5000};
  struct sctp_initmsg init = {.sinit_max_init_timeo = 5000};
  struct sctp_sndrcvinfo param = {.sinfo_flags = SCTP_UNORDERED,
                                  .sinfo_timetolive = 30000};
  struct sockaddr_in address = loopback(0);
  int type = (one ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_NONBLOCK;
  int fd = check(socket(AF_INET, type, IPPROTO_SCTP), "socket");
  set(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  set(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
  set(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  set(fd, IPPROTO_SCTP, SCTP_RECVRCVINFO, &on, sizeof on);
  set(fd, IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof on);
  set(fd, IPPROTO_SCTP, SCTP_INITMSG, &init, sizeof init);
  subscribe(fd, SCTP_ASSOC_CHANGE);
  subscribe(fd, SCTP_PARTIAL_DELIVERY_EVENT);
  if (one)
    return fd;
  set(fd, IPPROTO_SCTP, SCTP_RTOINFO, &rto, sizeof rto);
  set(fd, IPPROTO_SCTP, SCTP_DEFAULT_SEND_PARAM, &param, sizeof param);
  set(fd, IPPROTO_SCTP, SCTP_FRAGMENT_INTERLEAVE, &interleave,
      sizeof interleave);
  check(bind(fd, (struct sockaddr *)&address, sizeof address), "bind");
  check(listen(fd, SOMAXCONN), "listen");
  return fd;
}

static int open_listener(void) {
  struct sockaddr_in address = loopback(0);
  int fd = open_socket(true);
  check(bind(fd, (struct sockaddr *)&address, sizeof address), "bind");
  check(listen(fd, SOMAXCONN), "listen");
  return fd;
}

/* On loopback the handshake is over when connect() returns, or soon. */
static int connect_to(int port) {
  struct sockaddr_in address = loopback(port);
  int fd = open_socket(true);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 &&
      errno != EINPROGRESS)
    check(-1, "connect");
  return fd;
}

static void wait_for(int fd, short what) {
  struct pollfd ready = {.fd = fd, .events = what};
  check(poll(&ready, 1, -1), "poll");
}

static int accept_from(int listener) {
  int fd = -1;
  while (fd < 0) {
    fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0 && errno != EAGAIN)
      check(fd, "accept4");
    if (fd < 0)
      wait_for(listener, POLLIN);
  }
  return fd;
}

/* False: the buffer is full. */
static bool transmit(int fd, const struct sockaddr_in *to, int size,
                     bool more) {
  ssize_t n =
      sendto(fd, message, (size_t)size, MSG_NOSIGNAL | (more ? MSG_MORE : 0),
             (const struct sockaddr *)to, to ? sizeof *to : 0);
  if (n < 0 && errno != EAGAIN)
    check(-1, "sendto");
  return n >= 0;
}

/* Takes one message or notification; returns the message's length, 0: it was
 * a notification, or -1: there is none. Tells where it came from. */
static int receive(int fd, struct sockaddr_in *from) {
  char control[CMSG_SPACE(sizeof(struct sctp_rcvinfo))];
  struct iovec iov = {.iov_base = slab, .iov_len = sizeof slab};
  struct msghdr header = {.msg_name = from,
                          .msg_namelen = from ? sizeof *from : 0,
                          .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = control,
                          .msg_controllen = sizeof control};
  ssize_t n = recvmsg(fd, &header, 0);
  if (n < 0 && errno != EAGAIN)
    check(-1, "recvmsg");
  return header.msg_flags & MSG_NOTIFICATION && n >= 0 ? 0 : (int)n;
}

/* Waits for a message. */
static int receive_next(int fd, struct sockaddr_in *from) {
  int n;
  do {
    wait_for(fd, POLLIN);
    n = receive(fd, from);
  } while (n <= 0);
  return n;
}

/* ----------------------------------------------------------- Measuring */

static long long clock_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void report(long long count, long long ns) {
  printf("{\"mean\":%.1f}\n", (double)ns / (double)count);
  fflush(stdout);
}

static void report_port(int fd) {
  printf("{\"port\":%d}\n", port_of(fd));
  fflush(stdout);
}

/* --------------------------------------------------------------- Roles */

/* Both ends of `peers` associations. */
struct ends {
  int *out, *in;
  struct sockaddr_in *to; /* NULL: connected */
  int epoll;
};

static void open_ends(struct ends *ends) {
  int count = options.peers, listener = options.one ? open_listener() : -1;
  ends->out = allocate(count, sizeof *ends->out);
  ends->in = allocate(count, sizeof *ends->in);
  ends->to = options.one ? NULL : allocate(count, sizeof *ends->to);
  ends->epoll = check(epoll_create1(0), "epoll_create1");
  for (int i = 0; i < count; i++) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
    if (options.one) {
      ends->out[i] = connect_to(port_of(listener));
      ends->in[i] = accept_from(listener);
    } else {
      ends->out[i] = i ? ends->out[0] : open_socket(false);
      ends->in[i] = open_socket(false);
      ends->to[i] = loopback(port_of(ends->in[i]));
    }
    check(epoll_ctl(ends->epoll, EPOLL_CTL_ADD, ends->in[i], &event),
          "epoll_ctl");
  }
}

/* Takes the messages that have come. One association needs no epoll: on
 * loopback everything is there at once. */
static int take(struct ends *ends) {
  struct epoll_event events[EVENTS];
  int ready = 1, n, got = 0;
  if (options.peers > 1)
    ready = check(epoll_wait(ends->epoll, events, EVENTS, 0), "epoll_wait");
  for (int i = 0; i < ready; i++) {
    int fd = ends->in[options.peers > 1 ? events[i].data.u32 : 0];
    while ((n = receive(fd, NULL)) >= 0)
      got += n > 0;
  }
  return got;
}

/* One-way, both ends in this process: a burst whenever the one before has
 * arrived, and before that where the buffer was full. */
static void oneway(void) {
  struct ends ends;
  long long start = 0;
  int arrived = 0, outstanding = 0, next = 0;
  bool full = false;
  open_ends(&ends);
  while (arrived < options.warmup + options.count) {
    if (start == 0 && arrived >= options.warmup)
      start = clock_ns(CLOCK_MONOTONIC);
    bool go_on = outstanding == 0 || full;
    for (full = false; go_on && outstanding < options.burst; outstanding++) {
      bool more = options.more && (outstanding + 1) % options.more != 0;
      full = !transmit(ends.out[next], ends.to ? &ends.to[next] : NULL,
                       options.size, more);
      if (full)
        break;
      next = (next + 1) % options.peers;
    }
    int got = take(&ends);
    outstanding -= got;
    arrived += got;
  }
  report(arrived - options.warmup, clock_ns(CLOCK_MONOTONIC) - start);
}

/* Sends every message back to where it came from. */
static void pong(void) {
  int fd = options.one ? open_listener() : open_socket(false);
  struct sockaddr_in from;
  report_port(fd);
  if (options.one)
    fd = accept_from(fd);
  for (;;) {
    int n = receive_next(fd, &from);
    transmit(fd, options.one ? NULL : &from, n, false);
  }
}

static void ping(void) {
  struct sockaddr_in to = loopback(options.port);
  int fd = options.one ? connect_to(options.port) : open_socket(false);
  long long start = 0;
  for (int i = 0; i < options.warmup + options.count; i++) {
    if (i == options.warmup)
      start = clock_ns(CLOCK_MONOTONIC);
    transmit(fd, options.one ? NULL : &to, options.size, false);
    receive_next(fd, NULL);
  }
  report(options.count, clock_ns(CLOCK_MONOTONIC) - start);
}

/* Ends each connection as soon as it is there. */
static void disconnect(void) {
  int listener = open_listener();
  report_port(listener);
  for (;;)
    close(accept_from(listener));
}

static void connects(void) {
  long long start = 0;
  for (int i = 0; i < options.warmup + options.count; i++) {
    if (i == options.warmup)
      start = clock_ns(CLOCK_MONOTONIC);
    int fd = connect_to(options.port);
    while (recv(fd, slab, sizeof slab, 0) != 0)
      wait_for(fd, POLLIN);
    close(fd);
  }
  report(options.count, clock_ns(CLOCK_MONOTONIC) - start);
}

/* The peers of the process at `port`, each of which says hello to it. Fan-out:
 * for each `burst` messages the first sends one back. Fan-in: for each message
 * all together send `burst`. */
static void peers(void) {
  struct sockaddr_in to = loopback(options.port);
  int *fds = allocate(options.peers, sizeof *fds);
  int epoll = check(epoll_create1(0), "epoll_create1"), got = 0, next = 0;
  struct epoll_event events[EVENTS];
  for (int i = 0; i < options.peers; i++) {
    fds[i] = open_socket(false);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fds[i]};
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event), "epoll_ctl");
    transmit(fds[i], &to, 1, false);
  }
  for (;;) {
    int ready = check(epoll_wait(epoll, events, EVENTS, -1), "epoll_wait"), n;
    for (int i = 0; i < ready; i++)
      while ((n = receive(events[i].data.fd, NULL)) >= 0)
        got += n > 0;
    for (; !options.fan_in && got >= options.burst; got -= options.burst)
      transmit(fds[0], &to, 1, false);
    for (; options.fan_in && got > 0; got--)
      for (int i = 0; i < options.burst; i++) {
        transmit(fds[next], &to, options.size, false);
        next = (next + 1) % options.peers;
      }
  }
}

/* The one that has these peers. What it costs is the time of its process. */
static void fan(void) {
  struct sockaddr_in *to = allocate(options.peers, sizeof *to), from;
  int fd = open_socket(false), done = 0, next = 0;
  int loop = check(epoll_create1(0), "epoll_create1");
  struct epoll_event event = {.events = EPOLLIN};
  long long start = 0;
  /* As any event loop has it: the kernel then has somebody to wake up. */
  check(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
  report_port(fd);
  for (int i = 0; i < options.peers; i++) {
    receive_next(fd, &from);
    to[i] = from;
  }
  while (done < options.warmup + options.count) {
    if (start == 0 && done >= options.warmup)
      start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    int sends = options.fan_in ? 1 : options.burst;
    int takes = options.fan_in ? options.burst : 1;
    for (int i = 0; i < sends; i++) {
      while (!transmit(fd, &to[next], options.fan_in ? 1 : options.size, false))
        wait_for(fd, POLLOUT);
      next = (next + 1) % options.peers;
    }
    for (int i = 0; i < takes; i++)
      if (receive(fd, NULL) <= 0)
        receive_next(fd, NULL);
    done += options.burst;
  }
  report(done - options.warmup, clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start);
}

/* Returns the value of `name` in a file of /proc, in bytes. */
static long long proc(const char *path, const char *name) {
  char line[256];
  long long kib = 0;
  FILE *file = fopen(path, "r");
  while (file && fgets(line, sizeof line, file))
    if (strncmp(line, name, strlen(name)) == 0)
      kib = strtoll(line + strlen(name), NULL, 10);
  if (file)
    fclose(file);
  return kib * 1024;
}

struct usage {
  long long rss, slab;
};

static struct usage usage(void) {
  return (struct usage){proc("/proc/self/status", "VmRSS:"),
                        proc("/proc/meminfo", "Slab:")};
}

/* Memory of open endpoints, of associations with both their ends, or of small
 * messages that nobody reads. */
static void memory(void) {
  struct usage before = usage(), after;
  struct ends ends;
  int count = options.count;
  bool messages = strcmp(options.what, "message") == 0;
  if (strcmp(options.what, "endpoint") == 0) {
    for (int i = 0; i < count; i++)
      open_socket(false);
  } else {
    options.peers = messages ? 10 : count;
    open_ends(&ends);
  }
  if (messages) {
    before = usage();
    for (int i = count = 0; i < options.peers; i++)
      while (transmit(ends.out[i], NULL, options.size, false))
        count++;
  }
  after = usage();
  printf("{\"count\":%d,\"rss\":%lld,\"kernel\":%lld}\n", count,
         after.rss - before.rss, after.slab - before.slab);
}

/* ---------------------------------------------------------------- Main */

static const struct {
  const char *name;
  void (*run)(void);
} roles[] = {{"oneway", oneway},     {"pong", pong},
             {"ping", ping},         {"fan", fan},
             {"peers", peers},       {"disconnect", disconnect},
             {"connects", connects}, {"memory", memory}};

static const struct {
  const char *name;
  int *value;
} numbers[] = {{"size", &options.size},     {"count", &options.count},
               {"warmup", &options.warmup}, {"burst", &options.burst},
               {"peers", &options.peers},   {"more", &options.more},
               {"port", &options.port},     {"one", &options.one},
               {"fanIn", &options.fan_in}};

static void read_option(const char *argument) {
  const char *value = strchr(argument, '=');
  size_t length = value ? (size_t)(value++ - argument) : 0;
  if (length == 4 && strncmp(argument, "what", length) == 0) {
    options.what = value;
    return;
  }
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    if (strlen(numbers[i].name) == length &&
        strncmp(numbers[i].name, argument, length) == 0) {
      *numbers[i].value = atoi(value);
      return;
    }
  fprintf(stderr, "floor: what is %s?\n", argument);
  exit(2);
}

int main(int argc, char **argv) {
  struct rlimit files = {.rlim_cur = 65536, .rlim_max = 65536};
  for (int i = 2; i < argc; i++)
    read_option(argv[i]);
  setrlimit(RLIMIT_NOFILE, &files);
  for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
    if (argc > 1 && strcmp(roles[i].name, argv[1]) == 0) {
      roles[i].run();
      return 0;
    }
  fprintf(stderr, "usage: floor ROLE [NAME=VALUE...]\n");
  return 2;
}
