import * as sctp from 'sctp-napi';
import { expect, test } from 'vitest';
import exchange from './exchange.js';

test('file one', async () => {
  expect(await exchange(sctp)).toBe('datagram, stream');
});
