import {
  connect,
  constants,
  createConnection,
  createServer,
  isSupported,
  open,
} from 'sctp-napi';
import exchange from './exchange.js';

if (!isSupported().supported || !constants || createConnection !== connect) {
  throw new Error('the named exports are not those of the package');
}
console.log(await exchange({ connect, createServer, open }));
