// Prints what arrives: node examples/receive.js [HOST] [PORT]
'use strict';

const { open } = require('sctp-napi');

const [host = '0.0.0.0', port = '5000'] = process.argv.slice(2);
const handle = open(host, Number(port), 65536, (result) => {
  if (typeof result === 'string') return console.error(result);
  const [data, from, fromPort] = result;
  console.log(`${from} ${fromPort}: ${data}`);
});
console.log('receiving on port', handle.address().port);
