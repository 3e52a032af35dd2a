'use strict';

// The programs of floor.c, with one of the drivers:
//
//   node bench/node.js DRIVER ROLE [NAME=VALUE...]
//
// A driver gives
//
//   listen(onMessage, onReady)   calls onReady(port) once, and
//                                onMessage(data, answer) for what arrives
//   connect(port, onMessage, onReady, onDrain)
//                                calls onReady({ send, sendMany }), of which
//                                send(data) tells whether the message was
//                                taken and sendMany(list) how many were;
//                                onDrain() when one that was not can be again

const fs = require('node:fs');

const SLICES = 50;

const options = { size: 64, burst: 64, peers: 1, warmup: 0 };

const print = (object) => console.log(JSON.stringify(object));

function finish(result) {
  print(result);
  process.exit();
}

const wallTime = () => Number(process.hrtime.bigint());

function processTime() {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];

/**
 * Counts to where measuring starts, and in slices to its end. The mean has all
 * in it, garbage collections too, which the median of the slices leaves out.
 */
function measure(now) {
  const { warmup, count } = options;
  const slices = [];
  let done = 0;
  let limit = warmup;
  let from = 0; // of the present slice
  let start = 0;
  let first; // of the first one
  return (more) => {
    done += more;
    if (done < limit) return;
    const time = now();
    if (first) slices.push((time - start) / (done - from));
    first ??= { time, done };
    from = done;
    start = time;
    limit = done + count / SLICES;
    if (slices.length < SLICES) return;
    const mean = (time - first.time) / (done - first.done);
    finish({ mean, median: median(slices) });
  };
}

/**
 * One-way, both ends in this process: a burst whenever the one before has
 * arrived, and before that where the buffer was full.
 */
function oneway({ listen, connect }) {
  const { size, burst, peers, batch } = options;
  const message = Buffer.alloc(size);
  const messages = Array(burst).fill(message);
  const done = measure(wallTime);
  const senders = [];
  let outstanding = 0; // bytes: TCP has no messages
  let arrived = 0; // bytes that are not counted yet
  let next = 0;

  function sendOne() {
    if (!senders[next].send(message)) return 0;
    next = next + 1 === peers ? 0 : next + 1;
    return 1;
  }

  function sendMany(room) {
    const list = room === burst ? messages : messages.slice(0, room);
    return senders[0].sendMany(list);
  }

  function fill() {
    let sent = 1;
    while (sent && outstanding < burst * size) {
      sent = batch ? sendMany(burst - outstanding / size) : sendOne();
      outstanding += sent * size;
    }
  }

  function onMessage(data) {
    outstanding -= data.length;
    arrived += data.length;
    if (arrived >= burst * size) {
      arrived -= burst * size;
      done(burst);
    }
    if (outstanding === 0) fill();
  }

  function onReady(sender) {
    if (senders.push(sender) === peers) fill();
  }

  listen(onMessage, (port) => {
    for (let i = 0; i < peers; i++) connect(port, () => {}, onReady, fill);
  });
}

/** Sends every message back to where it came from. */
function pong({ listen }) {
  listen(
    (data, answer) => answer(data),
    (port) => print({ port }),
  );
}

function ping({ connect }) {
  const { size, port } = options;
  const message = Buffer.alloc(size);
  const done = measure(wallTime);
  let missing = size; // TCP has no messages
  let sender;

  function onMessage(data) {
    missing -= data.length;
    if (missing > 0) return;
    missing = size;
    done(1);
    sender.send(message);
  }

  const onReady = (ready) => {
    sender = ready;
    sender.send(message);
  };
  connect(port, onMessage, onReady, () => {});
}

/**
 * One endpoint that has many peers, which floor.c plays. Fan-out: for each
 * burst they send one message back. Fan-in: for each message they send a burst.
 */
function fan({ hub, trySend }) {
  const { size, burst, peers, fanIn } = options;
  const message = Buffer.alloc(fanIn ? 1 : size);
  const [sends, takes] = fanIn ? [1, burst] : [burst, 1];
  const done = measure(processTime);
  const targets = [];
  let unsent = 0; // of the present round
  let missing = 0;
  let next = 0;

  function send() {
    while (unsent > 0) {
      const { host, port } = targets[next];
      if (!trySend(handle, message, host, port)) return; // until onDrain()
      next = next + 1 === peers ? 0 : next + 1;
      unsent--;
    }
  }

  const handle = hub((host, port) => {
    if (targets.length < peers) targets.push({ host, port });
    else missing--;
    if (targets.length < peers || missing > 0) return;
    done(burst);
    unsent += sends;
    missing = takes;
    send();
  });
  handle.onDrain = send;
  print({ port: handle.address().port });
}

/** Prints where it would receive, and never does. */
function stopped({ listen }) {
  listen(
    () => {},
    (port) => {
      print({ port });
      process.kill(process.pid, 'SIGSTOP');
    },
  );
}

/**
 * The price of the call alone: of messages that a peer receives, or that are
 * refused since the peer, which has stopped, may hold no more.
 */
function calls({ listen, connect }) {
  const { size, burst, batch, port: stoppedPort } = options;
  const message = Buffer.alloc(size);
  const messages = [message];
  const done = measure(() => spent);
  let spent = 0;
  let arrived = 0;
  let next;

  const call = ({ send, sendMany }) =>
    batch ? sendMany(messages) > 0 : send(message);

  function round(sender) {
    const start = wallTime();
    for (let i = 0; i < burst; i++) {
      if (call(sender) === Boolean(stoppedPort)) {
        // The kernel of the peer has made room: there is another round.
        if (stoppedPort) return;
        throw new Error('not what is to be measured');
      }
    }
    spent += wallTime() - start;
    done(burst);
  }

  function onReady(sender) {
    if (stoppedPort) while (call(sender));
    next = () => {
      arrived = 0;
      round(sender);
      if (stoppedPort) setImmediate(next);
    };
    next();
  }

  const onMessage = () => {
    if (++arrived === burst) setImmediate(next);
  };
  const reach = (port) =>
    connect(
      port,
      () => {},
      onReady,
      () => {},
    );
  if (stoppedPort) reach(stoppedPort);
  else listen(onMessage, reach);
}

/** Ends each connection as soon as it is there. */
function disconnect({ serve }) {
  serve(
    (socket) => socket.resume().end(),
    (port) => print({ port }),
  );
}

function connects({ createSocket }) {
  const { port } = options;
  const done = measure(wallTime);
  const next = () =>
    createSocket(port)
      .resume()
      .on('close', () => {
        done(1);
        next();
      });
  next();
}

/** Returns the value of `name` in a file of /proc, in bytes. */
function proc(file, name) {
  const line = new RegExp(`^${name}:\\s*(\\d+) kB`, 'm');
  return 1024 * line.exec(fs.readFileSync(file, 'latin1'))[1];
}

function usage() {
  gc();
  return {
    rss: proc('/proc/self/status', 'VmRSS'),
    kernel: proc('/proc/meminfo', 'Slab'),
  };
}

function finishMemory(count, before) {
  const after = usage();
  finish({
    count,
    rss: after.rss - before.rss,
    kernel: after.kernel - before.kernel,
  });
}

/** Calls onDone() when `count` associations are there. */
function associate({ serve, createSocket }, count, onDone) {
  const sockets = [];
  const accepted = [];
  function ready(list, socket) {
    list.push(socket);
    if (sockets.length + accepted.length === 2 * count) onDone(sockets);
    else if (list === sockets) open();
  }
  let open;
  serve(
    (socket) => ready(accepted, socket.pause()),
    (port) => {
      open = () => {
        const socket = createSocket(port).on('connect', () => {
          ready(sockets, socket);
        });
      };
      open();
    },
  );
  return sockets;
}

/**
 * Memory of open endpoints, of associations with both their ends, or of small
 * messages that nobody reads.
 */
function memory(driver) {
  const { size, count, what } = options;
  if (what === 'endpoint') {
    driver.create();
    const before = usage();
    const endpoints = Array.from({ length: count }, driver.create);
    finishMemory(endpoints.length, before);
  } else if (what === 'association') {
    const before = usage();
    associate(driver, count, () => finishMemory(count, before));
  } else {
    associate(driver, 1, ([socket]) => {
      const before = usage();
      for (let i = 0; i < count; i++) socket.write(Buffer.alloc(size));
      finishMemory(count, before);
    });
  }
}

const roles = {
  oneway,
  ping,
  pong,
  stopped,
  calls,
  fan,
  disconnect,
  connects,
  memory,
};

const [driver, role, ...args] = process.argv.slice(2);
for (const arg of args) {
  const [name, value] = arg.split('=');
  options[name] = name === 'what' ? value : Number(value);
}
roles[role](require(`./drivers/${driver}`));
