/*
 * Fuzzes all that the C reads from the kernel: addresses, lists of them,
 * notifications, and whole runs of messages and notifications that arrive at
 * an endpoint or a socket.
 *
 * This is compiled together with the addon. Stand-ins take the place of the
 * few functions of Node-API and libuv that run here and of the two system calls
 * that bring input. Values of JavaScript are dummies, but all memory is real
 * and ends where the kernel's data ends, so that the sanitizers see who reads
 * beyond it.
 */

#include "../../sctp_dgram.c"

#include <assert.h>
#include <sanitizer/asan_interface.h>

/* ----------------------------------------------------------------- Input */

static const uint8_t *input;
static size_t input_left;

static uint8_t take(void) {
  if (input_left == 0)
    return 0;
  input_left--;
  return *input++;
}

/* Fills as much as there is; returns how much that was. */
static size_t take_bytes(void *to, size_t size) {
  size_t n = size < input_left ? size : input_left;
  if (n > 0)
    memcpy(to, input, n);
  input += n;
  input_left -= n;
  return n;
}

/* The next `size` bytes, or what is left, in memory that ends with them. */
static char *take_copy(size_t *size) {
  char *copy;
  if (*size > input_left)
    *size = input_left;
  copy = malloc(*size);
  take_bytes(copy, *size);
  return copy;
}

static void take_address(union sd_addr *addr) {
  memset(addr, 0, sizeof *addr);
  take_bytes(addr, sizeof *addr);
  addr->sa.sa_family = take() & 1 ? AF_INET6 : AF_INET;
}

/* ------------------------------------------------------ Node-API, libuv */

#define VALUE ((napi_value)(void *)&addon)

struct buffer {
  char *data;
  size_t size;
};

static struct sd_addon addon;
static struct buffer buffers[1024]; /* a napi_value of one points to it */
static size_t buffers_count;
static napi_value blocks[SD_SLOTS + 1]; /* the array owner.blocks */
static unsigned until_failure; /* calls until one fails; 0: none does */
static bool failed;
static const char *argument; /* the Buffer that a method is called with */
static size_t argument_size;
static struct sd_handle *wrapped[256];
static size_t wrapped_count;
static struct {
  uv_handle_t *handle;
  uv_close_cb done;
} closing[4 * sizeof wrapped / sizeof *wrapped];
static size_t closing_count;

static napi_status status(void) {
  if (until_failure == 0 || --until_failure > 0)
    return napi_ok;
  failed = true;
  return napi_generic_failure;
}

static napi_status give(napi_value *result) {
  *result = VALUE;
  return status();
}

/* Reads memory as a copy of it would. */
static void touch(const void *data, size_t size) {
  free(memcpy(malloc(size + 1), data, size));
}

/* A function that has nothing else to do. */
#define GIVES(name, ...)                                                       \
  napi_status name(napi_env env, ##__VA_ARGS__, napi_value *result) {          \
    return give(result);                                                       \
  }

GIVES(napi_create_object)
GIVES(napi_create_array)
GIVES(napi_create_array_with_length, size_t length)
GIVES(napi_create_double, double value)
GIVES(napi_create_uint32, uint32_t value)
GIVES(napi_create_int32, int32_t value)
GIVES(napi_create_int64, int64_t value)
GIVES(napi_create_symbol, napi_value description)
GIVES(napi_create_error, napi_value code, napi_value message)
GIVES(napi_create_type_error, napi_value code, napi_value message)
GIVES(napi_create_range_error, napi_value code, napi_value message)
GIVES(napi_get_undefined)
GIVES(napi_get_null)
GIVES(napi_get_boolean, bool value)
GIVES(napi_get_and_clear_last_exception)
GIVES(napi_get_named_property, napi_value object, const char *name)
GIVES(napi_get_element, napi_value object, uint32_t index)

napi_status napi_create_string_utf8(napi_env env, const char *text,
                                    size_t length, napi_value *result) {
  touch(text, length == NAPI_AUTO_LENGTH ? strlen(text) : length);
  return give(result);
}

napi_status napi_create_string_latin1(napi_env env, const char *text,
                                      size_t length, napi_value *result) {
  return napi_create_string_utf8(env, text, length, result);
}

napi_status napi_create_buffer(napi_env env, size_t size, void **data,
                               napi_value *result) {
  struct buffer *buffer = &buffers[buffers_count];
  if (status() != napi_ok || buffers_count == sizeof buffers / sizeof *buffers)
    return napi_generic_failure;
  buffers_count++;
  *buffer = (struct buffer){.data = malloc(size), .size = size};
  *data = buffer->data;
  *result = (napi_value)buffer;
  return napi_ok;
}

napi_status napi_create_buffer_copy(napi_env env, size_t size, const void *data,
                                    void **copy, napi_value *result) {
  void *created;
  napi_status result_status = napi_create_buffer(env, size, &created, result);
  if (result_status == napi_ok && size > 0)
    memcpy(created, data, size);
  return result_status;
}

napi_status napi_set_named_property(napi_env env, napi_value object,
                                    const char *name, napi_value value) {
  assert(value);
  return status();
}

napi_status napi_set_element(napi_env env, napi_value object, uint32_t index,
                             napi_value value) {
  assert(value);
  if (status() != napi_ok)
    return napi_generic_failure;
  if (object == (napi_value)addon.blocks) {
    assert(index <= SD_SLOTS);
    blocks[index] = value;
  }
  return napi_ok;
}

napi_status napi_define_properties(napi_env env, napi_value object,
                                   size_t count,
                                   const napi_property_descriptor *properties) {
  return status();
}

napi_status napi_typeof(napi_env env, napi_value value, napi_valuetype *type) {
  *type = napi_function;
  return status();
}

napi_status napi_is_buffer(napi_env env, napi_value value, bool *result) {
  *result = true;
  return status();
}

napi_status napi_get_buffer_info(napi_env env, napi_value value, void **data,
                                 size_t *size) {
  struct buffer *buffer = (struct buffer *)value;
  bool created = buffer >= buffers && buffer < buffers + buffers_count;
  *data = created ? buffer->data : (void *)argument;
  *size = created ? buffer->size : argument_size;
  return status();
}

napi_status napi_create_reference(napi_env env, napi_value value,
                                  uint32_t count, napi_ref *result) {
  *result = (napi_ref)value;
  return status();
}

napi_status napi_delete_reference(napi_env env, napi_ref reference) {
  assert(reference);
  return napi_ok;
}

napi_status napi_get_reference_value(napi_env env, napi_ref reference,
                                     napi_value *result) {
  assert(reference);
  *result = (napi_value)reference;
  return status();
}

napi_status napi_get_cb_info(napi_env env, napi_callback_info info,
                             size_t *argc, napi_value *argv, napi_value *self,
                             void **data) {
  if (argv)
    argv[0] = VALUE;
  if (self)
    *self = VALUE;
  return napi_ok;
}

napi_status napi_get_instance_data(napi_env env, void **data) {
  *data = &addon;
  return napi_ok;
}

napi_status napi_new_instance(napi_env env, napi_value class, size_t argc,
                              const napi_value *argv, napi_value *result) {
  *result = sd_js_construct(env, NULL);
  return *result ? napi_ok : napi_generic_failure;
}

napi_status napi_wrap(napi_env env, napi_value object, void *handle,
                      napi_finalize finalize, void *hint, napi_ref *result) {
  wrapped[wrapped_count++] = handle;
  return napi_ok;
}

napi_status napi_async_init(napi_env env, napi_value resource, napi_value name,
                            napi_async_context *result) {
  *result = (napi_async_context)VALUE;
  return status();
}

napi_status napi_async_destroy(napi_env env, napi_async_context context) {
  return napi_ok;
}

napi_status napi_open_handle_scope(napi_env env, napi_handle_scope *result) {
  *result = (napi_handle_scope)VALUE;
  return status();
}

napi_status napi_close_handle_scope(napi_env env, napi_handle_scope scope) {
  return napi_ok;
}

napi_status napi_open_callback_scope(napi_env env, napi_value resource,
                                     napi_async_context context,
                                     napi_callback_scope *result) {
  *result = (napi_callback_scope)VALUE;
  return status();
}

napi_status napi_close_callback_scope(napi_env env, napi_callback_scope scope) {
  return status();
}

napi_status napi_is_exception_pending(napi_env env, bool *result) {
  *result = false;
  return napi_ok;
}

napi_status napi_throw(napi_env env, napi_value error) { return napi_ok; }

napi_status napi_throw_error(napi_env env, const char *code, const char *text) {
  return napi_ok;
}

napi_status napi_throw_type_error(napi_env env, const char *code,
                                  const char *text) {
  return napi_ok;
}

napi_status napi_fatal_exception(napi_env env, napi_value error) {
  return napi_ok;
}

/* Reads the next message of the batch where it says that this is. */
static void deliver_next(void) {
  const struct sd_item *item = &addon.batch->items[addon.batch->next++];
  struct buffer *slab = (struct buffer *)addon.slab_bytes;
  struct buffer *memory = item->slot ? (void *)blocks[item->slot] : slab;
  if (memory == slab && slab->size == 0)
    return; /* somebody took it away */
  assert(memory && item->start + (size_t)item->size <= memory->size);
  touch(memory->data + item->start, item->size);
}

/* JavaScript takes a message from the batch, or all; it may close the handle
 * that calls it, and take the slab away. */
napi_status napi_call_function(napi_env env, napi_value self,
                               napi_value function, size_t argc,
                               const napi_value *argv, napi_value *result) {
  struct sd_rx_batch *batch = addon.batch;
  uint8_t what = take();
  uint32_t all = what & 1 ? 1 : SD_RECEIVE_BUDGET;
  for (; all > 0 && batch->next < batch->count; all--)
    deliver_next();
  if (what % 16 == 14 && addon.slab_bytes)
    ((struct buffer *)addon.slab_bytes)->size = 0;
  if (what % 16 == 15 && addon.receiving) {
    if (addon.receiving->kind->class == SD_ENDPOINT)
      sd_endpoint_close((struct sd_endpoint *)addon.receiving);
    else
      sd_handle_close(addon.receiving);
  }
  if (result)
    *result = VALUE;
  return status();
}

int uv_poll_init(uv_loop_t *loop, uv_poll_t *poll, int fd) { return 0; }
int uv_poll_start(uv_poll_t *poll, int events, uv_poll_cb done) { return 0; }
int uv_poll_stop(uv_poll_t *poll) { return 0; }
int uv_timer_init(uv_loop_t *loop, uv_timer_t *timer) { return 0; }
int uv_timer_start(uv_timer_t *timer, uv_timer_cb done, uint64_t ms,
                   uint64_t again) {
  return 0;
}
void uv_ref(uv_handle_t *handle) {}
void uv_unref(uv_handle_t *handle) {}
void uv_update_time(uv_loop_t *loop) {}
uint64_t uv_now(const uv_loop_t *loop) { return 0; }
uint64_t uv_hrtime(void) { return 0; }
int uv_is_active(const uv_handle_t *handle) { return 0; }

char *uv_err_name_r(int error, char *name, size_t size) {
  snprintf(name, size, "%d", error);
  return name;
}

void uv_close(uv_handle_t *handle, uv_close_cb done) {
  closing[closing_count].handle = handle;
  closing[closing_count++].done = done;
}

/* --------------------------------------------------------------- Kernel */

/* Fills the memory of a message with `size` bytes, or as many as fit: input,
 * and zeros when that ends. Returns how many. What lies behind them in the last
 * part must not be read. */
static size_t fill(const struct msghdr *message, size_t size) {
  const struct iovec *last = &message->msg_iov[message->msg_iovlen - 1];
  size_t filled = 0, i;
  ASAN_UNPOISON_MEMORY_REGION(last->iov_base, last->iov_len);
  for (i = 0; i < message->msg_iovlen; i++) {
    const struct iovec *part = &message->msg_iov[i];
    size_t left = size - filled;
    size_t n = left < part->iov_len ? left : part->iov_len;
    size_t taken = take_bytes(part->iov_base, n);
    memset((char *)part->iov_base + taken, 0, n - taken);
    filled += n;
  }
  if (filled < last->iov_len)
    ASAN_POISON_MEMORY_REGION((char *)last->iov_base + filled,
                              last->iov_len - filled);
  return filled;
}

/* A message or notification, as long as there is input; an error now and then.
 * The type of a notification is one that exists, mostly. */
ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
  struct sctp_rcvinfo info = {0};
  struct cmsghdr *cmsg = CMSG_FIRSTHDR(message);
  char *data = message->msg_iov->iov_base;
  size_t size;
  uint8_t kind = take(), of;
  uint16_t type;
  if (input_left == 0 || kind == 255) {
    errno = input_left == 0 ? EAGAIN : take() & 1 ? ECONNRESET : ENOBUFS;
    return -1;
  }
  size = kind & 4 ? take() : take() * (size_t)64;
  size = fill(message, size);
  message->msg_flags = kind & 1 ? MSG_EOR : 0;
  take_address(message->msg_name);
  of = take();
  info.rcv_assoc_id = 1 + (of & 3); /* 0 is none */
  info.rcv_sid = of >> 2 & 1;
  info.rcv_ssn = of >> 3 & 3;
  info.rcv_flags = of & 32 ? SCTP_UNORDERED : 0;
  memcpy(CMSG_DATA(cmsg), &info, sizeof info);
  cmsg->cmsg_level = IPPROTO_SCTP;
  cmsg->cmsg_type = SCTP_RCVINFO;
  cmsg->cmsg_len = CMSG_LEN(sizeof info);
  if (kind & 2) {
    message->msg_flags |= MSG_NOTIFICATION;
    type =
        (uint16_t)sd_notification_rows[take() % (sizeof sd_notification_rows /
                                                 sizeof *sd_notification_rows)]
            .number;
    if (kind & 8 && size >= sizeof type)
      memcpy(data, &type, sizeof type);
  }
  return (ssize_t)size;
}

/* Answers SCTP_STATUS and other options. */
int getsockopt(int fd, int level, int name, void *value, socklen_t *length) {
  if (take() % 4 == 0) {
    errno = EINVAL;
    return -1;
  }
  memset(value, 0, *length);
  take_bytes(value, *length);
  if (name == SCTP_STATUS) {
    union sd_addr addr;
    take_address(&addr);
    memcpy(&((struct sctp_status *)value)->sstat_primary.spinfo_address, &addr,
           sizeof addr);
  }
  return 0;
}

/* -------------------------------------------------------------- Targets */

/* A text is refused, or is an address that, written out, is the same again.
 * Made of pieces, since a fuzzer does not see into inet_pton(). */
static void fuzz_address(void) {
  static const char *const pieces[] = {
      "::",  ":",  ".",       "%",    "0",    "1",   "255",
      "127", "lo", "::ffff:", "fe80", "ffff", "ff02"};
  char text[128] = "", host[SD_HOST_MAX], again_host[SD_HOST_MAX];
  union sd_addr addr, again;
  size_t length;
  while (input_left > 0 && (length = strlen(text)) < sizeof text - 8) {
    uint8_t next = take();
    if (next < sizeof pieces / sizeof *pieces)
      strcpy(text + length, pieces[next]);
    else
      text[length] = (char)next;
  }
  if (sd_addr_parse(text, 5000, &addr) == 0) {
    sd_addr_unsendable(&addr);
    assert(sd_addr_reaches(&addr, &addr));
    sd_addr_format(&addr, host);
    assert(sd_addr_parse(host, 5000, &again) == 0);
    assert(sd_addr_same(&addr, &again) && sd_addr_port(&again) == 5000);
    sd_addr_format(&again, again_host);
    assert(strcmp(host, again_host) == 0);
  }
}

/* Each address of a list is found, and nothing behind it is read. */
static void fuzz_addresses(void) {
  struct sd_addrs addrs = {.count = 0};
  union sd_addr addr = {.sa.sa_family = AF_INET};
  char *packed;
  size_t offset = 0;
  int i;
  while (input_left > 0) {
    take_address(&addr);
    if (!sd_addrs_add(&addrs, &addr))
      assert(addrs.count == SD_ADDRS);
  }
  packed = malloc(addrs.length);
  memcpy(packed, addrs.packed, addrs.length);
  for (i = 0; i < addrs.count; i++)
    offset = sd_addrs_next(packed, offset, &addr);
  assert(offset == addrs.length);
  sd_addrs_array(NULL, packed, addrs.count, &addr);
  free(packed);
}

/* An address of any length is read, and nothing behind it. */
static void fuzz_socket_address(void) {
  char *data;
  argument_size = input_left;
  argument = data = take_copy(&argument_size);
  assert(sd_js_to_address(NULL, NULL) || failed);
  free(data);
}

/* Lets a handle take all of the input, closes it, and sees that nothing of it
 * is left: what it has forgotten to free, the leak detector finds. */
static void fuzz_handle(struct sd_handle *handle) {
  size_t i;
  sd_slab_new(&addon);
  until_failure = take();
  for (i = 0; i < 64 && input_left > 0 && handle->state < SD_CLOSING; i++)
    handle->kind->handle_ready(handle, UV_READABLE);
  until_failure = 0;
  for (i = 0; i < wrapped_count; i++)
    sd_handle_close(wrapped[i]);
  for (i = 0; i < closing_count; i++)
    closing[i].done(closing[i].handle);
  for (i = 0; i < wrapped_count; i++)
    sd_on_collected(NULL, wrapped[i], NULL);
  assert(!addon.handles);
  ASAN_UNPOISON_MEMORY_REGION(addon.scratch, sizeof addon.scratch);
}

static void fuzz_endpoint(void) {
  struct sd_endpoint *endpoint = sd_endpoint_new(&addon, -1);
  endpoint->assembly.max = 65536;
  sd_endpoint_object(endpoint, VALUE);
  fuzz_handle(&endpoint->handle);
}

static void fuzz_socket(void) {
  struct sd_socket *socket =
      sd_socket_new(&sd_socket_kind, &addon, -1, 65536, 65536);
  sd_handle_object(&socket->handle);
  socket->handle.on_event = socket->handle.on_message = (napi_ref)VALUE;
  socket->reading = true;
  socket->remote.sa.sa_family = AF_INET;
  fuzz_handle(&socket->handle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct sd_rx_batch batch;
  size_t i;
  addon = (struct sd_addon){.batch = &batch,
                            .set_slab = (napi_ref)VALUE,
                            .deliver_batch = (napi_ref)VALUE,
                            .make_receiver = (napi_ref)VALUE,
                            .blocks = (napi_ref)blocks};
  for (i = 0; i < SD_CLASSES; i++)
    addon.classes[i] = (napi_ref)VALUE;
  batch.next = batch.count = 0;
  wrapped_count = closing_count = buffers_count = until_failure = 0;
  failed = false;
  input = data;
  input_left = size;
  switch (take() % 5) {
  case 0:
    fuzz_address();
    break;
  case 1:
    fuzz_addresses();
    break;
  case 2:
    until_failure = take();
    fuzz_socket_address();
    break;
  case 3:
    fuzz_endpoint();
    break;
  case 4:
    fuzz_socket();
    break;
  }
  for (i = 0; i < buffers_count; i++)
    free(buffers[i].data);
  return 0;
}
