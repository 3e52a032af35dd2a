import * as sctp from 'sctp-napi';
import exchange from './exchange.js';

const support: sctp.Support = sctp.isSupported();
const endpoint: sctp.Endpoint = sctp.open('::1', 0, 100, () => {});
endpoint.close();
exchange(sctp).then((arrived: string) => {
  console.log(support.supported ? arrived : support.reason);
});
