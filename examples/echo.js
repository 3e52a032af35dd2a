// Sends every message back: node examples/echo.js [HOST] [PORT]
'use strict';

const { open } = require('sctp-napi');

const [host = '0.0.0.0', port = '7'] = process.argv.slice(2);
const handle = open(host, Number(port), 1024 * 1024, (result) => {
  if (typeof result === 'string') return console.error(result);
  try {
    handle.send(...result);
  } catch (error) {
    console.error(error.message);
  }
});
console.log('echoing on port', handle.address().port);
process.once('SIGINT', () => handle.close());
