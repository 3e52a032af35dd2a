// Two processes, two endpoints: one sends a file message by message, the other
// puts it together and answers each message.
//
//   node examples/demo.js [FILE] [--size BYTES]
'use strict';

const { createHash } = require('node:crypto');
const { fork } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { open } = require('sctp-napi');

const HEADER = 4; // every message begins with its sequence number
const WINDOW = 64; // messages that may wait for their answer

const sha256 = (data) => createHash('sha256').update(data).digest('hex');

/** The process that receives the file and answers. */
function receive() {
  const parts = [];
  const handle = open('127.0.0.1', 0, 65536, (result) => {
    if (typeof result === 'string') throw new Error(result);
    const [data, host, port] = result;
    parts[data.readUInt32BE()] = data.subarray(HEADER);
    handle.send(data.subarray(0, HEADER), host, port);
  });
  process.on('message', () => {
    const file = Buffer.concat(parts);
    process.send({ bytes: file.length, sha256: sha256(file) });
    handle.close();
    process.disconnect();
  });
  process.send(handle.address());
}

/** Sends all of `file`; resolves to the round-trip times in milliseconds. */
function transfer(file, size, { address, port }) {
  const count = Math.ceil(file.length / size);
  const started = [];
  const times = [];
  return new Promise((resolve) => {
    const handle = open('127.0.0.1', 0, 65536, (result) => {
      if (typeof result === 'string') throw new Error(result);
      times.push(performance.now() - started[result[0].readUInt32BE()]);
      if (times.length % Math.ceil(count / 10) === 0) {
        console.log(`  ${times.length} of ${count} messages answered`);
      }
      if (times.length < count) return sendMore();
      handle.close();
      resolve(times);
    });
    const sendMore = () => {
      while (started.length < Math.min(count, times.length + WINDOW)) {
        const offset = started.length * size;
        const header = Buffer.alloc(HEADER);
        header.writeUInt32BE(started.length);
        try {
          const part = file.subarray(offset, offset + size);
          handle.send(Buffer.concat([header, part]), address, port);
        } catch (error) {
          if (/^(EAGAIN|ERR_SCTP_PEER_BUSY)$/.test(error.code)) return; // on in onDrain
          throw error;
        }
        started.push(performance.now());
      }
    };
    handle.onDrain = sendMore;
    sendMore();
  });
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { size: { type: 'string', default: '64' } },
  });
  const name = positionals[0] ?? path.join(__dirname, '..', 'README.md');
  const size = Number(values.size);
  if (!(size >= 1 && size <= 65536 - HEADER)) {
    throw new RangeError(`--size must be 1 to ${65536 - HEADER}`);
  }
  const file = fs.readFileSync(name);
  if (file.length === 0) throw new Error(`${name} is empty`);

  const receiver = fork(__filename, ['--receive']);
  const [target] = await once(receiver, 'message');
  console.log(
    `Sending ${name}, ${file.length} bytes, in messages of ${size} bytes ` +
      `to ${target.address}:${target.port} over kernel SCTP`,
  );
  const start = performance.now();
  const times = await transfer(file, size, target);
  const seconds = (performance.now() - start) / 1000;

  receiver.send('done');
  const [received] = await once(receiver, 'message');
  times.sort((a, b) => a - b);
  const percentile = (p) =>
    times[Math.ceil((p / 100) * times.length) - 1].toFixed(2);
  console.log(
    `${times.length} messages and answers in ${seconds.toFixed(2)} s: ` +
      `${Math.round(times.length / seconds)} messages per second`,
  );
  console.log(
    `Round trip, with up to ${WINDOW} messages on the way: ` +
      `p50 ${percentile(50)} ms, p90 ${percentile(90)} ms, ` +
      `p99 ${percentile(99)} ms`,
  );
  const intact = received.sha256 === sha256(file);
  console.log(
    `Received ${received.bytes} of ${file.length} bytes: ` +
      (intact ? 'every byte arrived' : 'THE FILE IS DAMAGED'),
  );
  process.exitCode = intact ? 0 : 1;
}

if (process.argv[2] === '--receive') receive();
else {
  main().catch((error) => {
    console.error(error.message);
    process.exit(1);
  });
}
