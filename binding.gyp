{
  "targets": [
    {
      "target_name": "sctp_dgram",
      "sources": ["sctp_dgram.c"],
      "defines": ["NAPI_VERSION=8"],
      "cflags": ["-std=gnu11", "-Wall", "-Wextra", "-Wshadow"],
      "libraries": ["-lsctp"]
    }
  ]
}
