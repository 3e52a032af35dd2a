'use strict';

/**
 * Sockets as node:net has them: each scenario of test/net runs against node:net
 * and against this package, under the same Node.js, and what both show must be
 * equal but for what is listed here. This list is complete: a difference that is
 * not in it fails, and so does one that is in it and has gone.
 */

const assert = require('node:assert/strict');
const net = require('node:net');
const { getDefaultHighWaterMark } = require('node:stream');
const sctp = require('../..');
const { enterOwnNetwork, run, test } = require('../helpers');
const { record, scenarios, VALUES } = require('./net/run');

for (const subject of [
  ...['surface', 'connect', 'write', 'read', 'end', 'options', 'server'],
  'listeners',
]) {
  require(`./net/${subject}`);
}

enterOwnNetwork(__filename); // without routes
run('ip link set lo up');

/* --------------------------------------------------------- how it is written */

const NODE = Number.parseInt(process.versions.node, 10);

/** Some facts differ so, for a reason: of node:net, and here. */
const each = (names, ofNet, ofSctp) =>
  Object.fromEntries(names.map((name) => [name, [ofNet, ofSctp]]));

const allBut = (...names) =>
  Object.keys(VALUES).filter((name) => !names.includes(name));

const under = (prefix, names) => names.map((name) => `${prefix}: ${name}`);

/** Differences. The reason is for the reader. */
const differs = (_reason, facts) => facts;

const TYPE = 'TypeError ERR_INVALID_ARG_TYPE';
const VALUE = 'TypeError ERR_INVALID_ARG_VALUE';
const RANGE = 'RangeError ERR_OUT_OF_RANGE';
const PORT = 'RangeError ERR_SOCKET_BAD_PORT';

const NO_NUMBERS = ['true', "''", "'x'", "'1'", '1n', 'Symbol()', '{}', '[]'];
const NO_INTEGERS = ['-1', '1.5', 'NaN', 'Infinity'];

const STRICT = 'a value of the wrong type or range throws, and is named';
const LENIENT = 'null is as good as nothing';
const NO_HALF_CLOSE = 'SCTP has no half-close: an end ends both ways';
const ABORTS = 'destroy() before the end aborts the association';
const AT_ONCE =
  'a SHUTDOWN is handed over inside end(), which is finished then';
const STAYS = 'addresses stay known when the socket has ended';
const MESSAGES = 'the readable side is in object mode: one data is one message';
const NO_FAMILIES =
  'autoSelectFamily is missing: every address is tried in order';
const SYSTEM_CALL = 'the error names the system call that failed';
const NO_LOOKUP = 'an address is bound without a lookup, so at once';
const NO_CONSTRUCTORS = 'new Socket() and new Server() are missing';
const PLAIN_IPV4 = 'IPv4 addresses are plain, also on ::';
const DESTROYED = 'of a destroyed socket nothing comes but its end';

const NOWHERE = 'undefined undefined undefined';
const LOCALHOST = '127.0.0.1 PORT IPv4';
const LOCALHOST_ADDRESS =
  "{ address: '127.0.0.1', family: 'IPv4', port: PORT }";
const RESET = "error Error ECONNRESET 'read ECONNRESET' -104 read";
const WRITE_AFTER_END = 'Error ERR_STREAM_WRITE_AFTER_END';

/* -------------------------------------------------------------- what differs */

const knownAddresses = (states, names) =>
  differs(STAYS, {
    ...each(
      states.flatMap((state) =>
        names
          .filter((name) => name !== 'address()')
          .map((n) => `${state}: ${n}`),
      ),
      NOWHERE,
      LOCALHOST,
    ),
    ...each(
      states.map((state) => `${state}: address()`),
      '{  }',
      LOCALHOST_ADDRESS,
    ),
  });

const anyAddress = (address, family) => [
  'listening',
  'listener',
  `{ address: '${address}', family: '${family}', port: PORT }`,
];

const noBoolean = differs(
  STRICT,
  each(allBut('undefined', 'null', 'true'), 'returns', TYPE),
);

const noHalfOpen = differs(
  NO_HALF_CLOSE,
  each(allBut('undefined', 'null', '0', 'NaN', "''"), 'returns', VALUE),
);

const noKeepAliveInitialDelay = differs(
  'the option is unknown here: heartbeat has the interval',
  each(['null', ...NO_NUMBERS, '() => {}'], TYPE, 'returns'),
);

const onlyOfNet = (prefix, names, type = 'function') =>
  each(under(prefix, names), type, undefined);

const onlyHere = (prefix, members) =>
  Object.fromEntries(
    Object.entries(members).map(([name, type]) => [
      `${prefix}: ${name}`,
      [undefined, type],
    ]),
  );

/** Methods of sockets that node:net does not have. */
const METHODS = [
  ...['send', 'status', 'stats', 'abort', 'getOption', 'setOption'],
  ...['setPrimary', 'setPeerPrimary', 'setPath', 'heartbeat'],
  ...['addLocalAddress', 'removeLocalAddress', 'resetStreams', 'addStreams'],
  ...['setStreamPriority', 'setAuthKey', 'activateAuthKey', 'deleteAuthKey'],
];

const membersOfSocket = (end) => [
  differs(NO_CONSTRUCTORS, onlyOfNet(end, ['connect'])),
  differs('it is deprecated', onlyOfNet(end, ['bufferSize'], 'number')),
  differs(
    'the option of IPv4 packets is not offered',
    'setTypeOfService' in net.Socket.prototype
      ? onlyOfNet(end, ['setTypeOfService', 'getTypeOfService'])
      : {},
  ),
  differs(
    'it has what SCTP has more',
    onlyHere(end, {
      timeout: 'undefined',
      ...Object.fromEntries(METHODS.map((name) => [name, 'function'])),
      maxSendSize: 'number',
      localAddresses: 'object',
      remoteAddresses: 'object',
      peerInfoByAddress: 'object',
    }),
  ),
];

const DIFFERENCES = {
  /* ---- surface */

  'the exports of the module': [
    differs(
      NO_CONSTRUCTORS,
      each(['Server', 'Socket', 'Stream'], 'function', undefined),
    ),
    differs(
      'BlockList and what belongs to addresses of any transport is of node:net',
      each(
        ['BlockList', 'SocketAddress', 'isIP', 'isIPv4', 'isIPv6'],
        'function',
        undefined,
      ),
    ),
    differs(
      NO_FAMILIES,
      each(
        [
          'getDefaultAutoSelectFamily',
          'setDefaultAutoSelectFamily',
          'getDefaultAutoSelectFamilyAttemptTimeout',
          'setDefaultAutoSelectFamilyAttemptTimeout',
        ],
        'function',
        undefined,
      ),
    ),
    differs(
      'handles of other sockets are missing',
      'BoundSocket' in net ? { BoundSocket: ['function', undefined] } : {},
    ),
    differs('the other API, and the numbers of the kernel', {
      open: [undefined, 'function'],
      isSupported: [undefined, 'function'],
      constants: [undefined, 'object'],
    }),
  ],
  'the members of a connected socket': [
    ...membersOfSocket('client'),
    ...membersOfSocket('accepted'),
  ],
  'the members of a server': [
    differs('node:net keeps its options there, undocumented', {
      ...each(
        ['allowHalfOpen', 'pauseOnConnect', 'noDelay', 'keepAlive'],
        'boolean',
        undefined,
      ),
      ...each(['keepAliveInitialDelay', 'highWaterMark'], 'number', undefined),
    }),
    differs('it is there before it is set', {
      maxConnections: [undefined, 'undefined'],
    }),
    differs('a server may have several addresses', {
      ...each(
        ['getLocalAddresses', 'addLocalAddress', 'removeLocalAddress'],
        undefined,
        'function',
      ),
    }),
    differs('it has the options of the kernel', {
      ...each(['getOption', 'setOption'], undefined, 'function'),
    }),
  ],
  'assigning to the fields of a socket': [
    differs(
      'they are plain fields, for speed',
      Object.fromEntries(
        ['bytesRead', 'bytesWritten'].map((name) => [
          name,
          [
            `TypeError Cannot set property ${name} of #<Socket> which has only a getter`,
            'returns',
          ],
        ]),
      ),
    ),
  ],
  'the addresses of a client': [
    knownAddresses(["in 'close'", 'closed'], ['local', 'address()']),
  ],
  'the addresses of an accepted socket': [
    knownAddresses(["in 'close'"], ['local', 'address()']),
  ],
  'the addresses of a destroyed socket': [
    knownAddresses(
      ['after destroy()', 'closed'],
      ['local', 'remote', 'address()'],
    ),
  ],
  'the addresses of a refused socket': [
    knownAddresses(["in 'error'", 'closed'], ['local', 'remote', 'address()']),
  ],
  'addresses of an IPv4 client of a server on ::': [
    differs(PLAIN_IPV4, {
      ...each(
        ['accepted: local', 'accepted: remote'],
        '::ffff:127.0.0.1 PORT IPv6',
        LOCALHOST,
      ),
      'accepted: address()': [
        "{ address: '::ffff:127.0.0.1', family: 'IPv6', port: PORT }",
        LOCALHOST_ADDRESS,
      ],
    }),
  ],
  'modes and high-water marks': [
    differs(MESSAGES, {
      ...each(
        [
          'client: readableObjectMode',
          'accepted: readableObjectMode',
          'client, highWaterMark 20: readableObjectMode',
          'accepted, highWaterMark 10: readableObjectMode',
        ],
        false,
        true,
      ),
    }),
    differs(
      'the stream counts messages; the option bounds the bytes that wait',
      {
        ...each(
          ['client: readableHighWaterMark', 'accepted: readableHighWaterMark'],
          getDefaultHighWaterMark(false),
          16,
        ),
        'client, highWaterMark 20: readableHighWaterMark': [20, 16],
        'accepted, highWaterMark 10: readableHighWaterMark': [10, 16],
      },
    ),
  ],

  /* ---- connect() */

  'events beside those that both have': [
    differs(`${NO_FAMILIES}, and SCTP has notifications`, {
      client: [['connectionAttempt'], ['notification', 'peer-info-update']],
      accepted: [[], ['notification', 'peer-info-update']],
      refused: [
        ['connectionAttempt', 'connectionAttemptFailed'],
        ['notification'],
      ],
    }),
  ],
  'values of the option host of connect()': [
    differs(STRICT, {
      ...each(['0', 'NaN'], 'returns', TYPE),
      ...(NODE < 22 && {
        'Symbol()': [
          'TypeError Cannot convert a Symbol value to a string',
          TYPE,
        ],
      }),
    }),
  ],
  'values of the option localAddress of connect()': [
    differs('the error names the option', {
      ...each(
        allBut(
          ...['undefined', 'null', '0', 'NaN', "''", "'x'", "'1'", 'Symbol()'],
        ),
        'TypeError ERR_INVALID_IP_ADDRESS',
        TYPE,
      ),
      ...each(["'x'", "'1'"], 'TypeError ERR_INVALID_IP_ADDRESS', VALUE),
      'Symbol()': ['TypeError Cannot convert a Symbol value to a string', TYPE],
    }),
  ],
  'values of the option localPort of connect()': [
    differs(STRICT, each([...NO_INTEGERS, "''"], 'returns', PORT)),
    differs('a port may be a text, as that of the peer', {
      "'x'": [TYPE, PORT],
      "'1'": [TYPE, 'returns'],
    }),
  ],
  'values of the option noDelay of connect()': [noBoolean],
  'values of the option keepAliveInitialDelay of connect()': [
    noKeepAliveInitialDelay,
  ],
  'values of the option highWaterMark of connect()': [
    differs('the error tells a wrong type from a wrong number', {
      ...each([...NO_NUMBERS, '() => {}'], VALUE, TYPE),
      ...each(NO_INTEGERS, VALUE, RANGE),
    }),
  ],
  'values of the option allowHalfOpen of connect()': [noHalfOpen],
  'a connect() that cannot bind': [
    differs('the error says what is wrong', {
      'an address of the other family': [
        ["error Error EINVAL 'bind EINVAL ::1' -22 bind ::1", 'close true'],
        [
          "error Error EAFNOSUPPORT 'connect EAFNOSUPPORT 127.0.0.1:PORT' -97 connect 127.0.0.1 PORT",
          'close true',
        ],
      ],
    }),
  ],
  'the arguments of a lookup function': [
    differs(NO_FAMILIES, {
      ...each(
        ['family 4: all', 'family 6: all', "family 'IPv4': all"],
        undefined,
        true,
      ),
      'localAddress: all': [undefined, true],
    }),
    differs(
      '0 is what dns.lookup() takes for any family',
      each(
        [
          'no options: family',
          'hints V4MAPPED: family',
          'localAddress: family',
        ],
        undefined,
        0,
      ),
    ),
  ],
  'a lookup function that gives refusing addresses': [
    differs(NO_FAMILIES, {
      client: [
        [
          "lookup null '127.0.0.2' 4 'some.name'",
          "lookup null '127.0.0.3' 4 'some.name'",
          "error AggregateError ECONNREFUSED [Error ECONNREFUSED 'connect ECONNREFUSED 127.0.0.2:PORT' -111 connect 127.0.0.2 PORT; Error ECONNREFUSED 'connect ECONNREFUSED 127.0.0.3:PORT' -111 connect 127.0.0.3 PORT]",
          'close true',
        ],
        [
          "lookup null '127.0.0.2' 4 'some.name'",
          "lookup null '127.0.0.3' 4 'some.name'",
          "error Error ECONNREFUSED 'connect ECONNREFUSED 127.0.0.3:PORT' -111 connect 127.0.0.3 PORT",
          'close true',
        ],
      ],
    }),
  ],
  'a lookup function that gives an address, asked for all': [
    differs('a function that knows one address only will do', {
      client: [
        [
          ...Array(9).fill("lookup null undefined undefined 'some.name'"),
          'error TypeError ERR_INVALID_IP_ADDRESS',
          'close true',
        ],
        ["lookup null '127.0.0.1' 4 'some.name'", 'connect', 'ready'],
      ],
    }),
  ],
  'a lookup function that gives an empty list': [
    differs('node:net fails inside the callback', {
      'its callback': [
        "TypeError Cannot destructure property 'address' of 'addresses[0]' as it is undefined.",
        'returns',
      ],
      client: [
        [],
        [
          "lookup Error ENOTFOUND 'getaddrinfo ENOTFOUND some.name' getaddrinfo some.name undefined undefined 'some.name'",
          "error Error ENOTFOUND 'getaddrinfo ENOTFOUND some.name' getaddrinfo some.name",
          'close true',
        ],
      ],
    }),
  ],
  'destroy() before the lookup is over': [
    differs(DESTROYED, {
      'of one address': [
        ["lookup null '127.0.0.1' 4 'some.name'", 'close false'],
        ['close false'],
      ],
    }),
  ],
  'a signal that is aborted before connect()': [
    differs('node:net connects although it was aborted', {
      'after connect()': [
        [false, 'opening'],
        [true, 'closed'],
      ],
      client: [
        ['error AbortError ABORT_ERR', 'close'],
        ['error AbortError ABORT_ERR', 'close true'],
      ],
    }),
  ],

  /* ---- writing */

  'values of write()': [
    differs(
      'the error says that attributes are for send()',
      each(
        ['encoding', 'encoding of bytes'].flatMap((what) =>
          under(what, [
            ...['true', '1', '-1', '1.5', 'Infinity'],
            ...['1n', 'Symbol()', '{}', '[]'],
          ]),
        ),
        'TypeError ERR_UNKNOWN_ENCODING',
        TYPE,
      ),
    ),
  ],
  'write() after end()': [
    differs(AT_ONCE, {
      done: [
        [`write: ${WRITE_AFTER_END}`, `end: ${WRITE_AFTER_END}`],
        ['end: done', `write: ${WRITE_AFTER_END}`],
      ],
      client: [
        [
          'connect',
          'ready',
          'resume',
          `error ${WRITE_AFTER_END}`,
          'close true',
        ],
        [
          ...['connect', 'ready', 'resume', 'finish'],
          ...[`error ${WRITE_AFTER_END}`, 'close true'],
        ],
      ],
    }),
  ],
  'end(data) after end()': [
    differs(AT_ONCE, {
      done: [
        [`first: ${WRITE_AFTER_END}`, `second: ${WRITE_AFTER_END}`],
        ['first: done', `second: ${WRITE_AFTER_END}`],
      ],
      client: [
        [
          'connect',
          'ready',
          'resume',
          `error ${WRITE_AFTER_END}`,
          'close true',
        ],
        [
          ...['connect', 'ready', 'resume', 'finish'],
          ...[`error ${WRITE_AFTER_END}`, 'close true'],
        ],
      ],
    }),
  ],
  "write() in 'end'": [
    differs(NO_HALF_CLOSE, {
      done: [['write: done'], ["write: Error EPIPE 'write EPIPE' -32 write"]],
      accepted: [
        ['resume', 'end', 'finish', 'close false'],
        [
          ...['resume', 'end'],
          ...["error Error EPIPE 'write EPIPE' -32 write", 'close true'],
        ],
      ],
    }),
  ],

  /* ---- reading */

  'setEncoding() when data waits': [
    differs('texts are made of what arrives from then on', {
      read: ["'78'", "bytes 'x'"],
    }),
  ],
  'for await': [
    differs(AT_ONCE, {
      client: [
        ['connect', 'ready', "data bytes 'x'", 'end', 'close false'],
        ['connect', 'ready', "data bytes 'x'", 'end', 'finish', 'close false'],
      ],
    }),
  ],

  /* ---- ending */

  'destroy()': [
    differs(ABORTS, {
      accepted: [
        ['resume', 'end', 'finish', 'close false'],
        ['resume', RESET, 'close true'],
      ],
    }),
  ],
  "destroy() in 'connect'": [
    differs(DESTROYED, {
      client: [
        ['connect', 'ready', 'close false'],
        ['connect', 'close false'],
      ],
    }),
  ],
  'resetAndDestroy() while connecting': [
    differs(DESTROYED, {
      client: [
        ['connect', 'ready', 'close false'],
        ['connect', 'close false'],
      ],
    }),
  ],

  /* ---- options of a socket */

  'values of setTimeout()': [
    differs(
      LENIENT,
      each(['callback: null', 'callback of 0: null'], TYPE, 'true'),
    ),
  ],
  'the field timeout': [
    differs('it is the time that the timer has', {
      '2 ** 40': ['1099511627776', '2147483647'],
    }),
    differs('a value that throws sets nothing', {
      NaN: ['NaN', '2147483647'],
    }),
  ],
  'values of setNoDelay() and setKeepAlive()': [
    differs(
      STRICT,
      Object.assign(
        {},
        ...['connected', 'connecting', 'destroyed'].map((state) => {
          const interval = `${state}: setKeepAlive, interval`;
          return {
            ...each(
              under(interval, [
                'true',
                "''",
                "'x'",
                "'1'",
                '{}',
                '[]',
                '() => {}',
              ]),
              'true',
              TYPE,
            ),
            ...each(under(interval, NO_INTEGERS), 'true', RANGE),
            [`${interval}: 1n`]: [
              'TypeError Cannot mix BigInt and other types, use explicit conversions',
              TYPE,
            ],
            [`${interval}: Symbol()`]: [
              'TypeError Cannot convert a Symbol value to a number',
              TYPE,
            ],
          };
        }),
      ),
    ),
  ],

  /* ---- servers */

  'values of createServer()': [
    differs(
      STRICT,
      each(
        under('listener', allBut('undefined', 'null', '() => {}')),
        '0',
        TYPE,
      ),
    ),
  ],
  'values of the option allowHalfOpen of createServer()': [noHalfOpen],
  'values of the option highWaterMark of createServer()': [
    differs(STRICT, each(NO_INTEGERS, 'returns', RANGE)),
    differs(LENIENT, { null: [TYPE, 'returns'] }),
  ],
  'values of the option keepAliveInitialDelay of createServer()': [
    noKeepAliveInitialDelay,
  ],
  'values of the option noDelay of createServer()': [noBoolean],
  'values of the option pauseOnConnect of createServer()': [noBoolean],
  'forms of the options of createServer()': [
    differs(
      'inherited options count everywhere, not in listen() and connect() only',
      each(['inherited', 'getters of a class'], false, true),
    ),
  ],
  'forms of listen()': [
    differs(
      "the default is 0.0.0.0, as in lksctp; '::' takes both families",
      each(
        [
          ...['no argument', '0', 'undefined', 'null', "'0'", '0, backlog'],
          ...['0, undefined, backlog', '0, null, backlog', "0, ''"],
          ...['{ port: 0 }', '{ port: undefined }', '{ port: null }'],
          ...['{ port: 0, host: null }', "{ port: 0, host: '' }"],
        ],
        anyAddress('::', 'IPv6'),
        anyAddress('0.0.0.0', 'IPv4'),
      ),
    ),
    differs('the port is optional, as in lksctp', {
      '{}': [[VALUE], anyAddress('0.0.0.0', 'IPv4')],
      '{ host }': [[VALUE], anyAddress('127.0.0.1', 'IPv4')],
    }),
  ],
  'wrong arguments of listen()': [
    differs(STRICT, each(['true', '1n', 'Symbol()'], VALUE, TYPE)),
    differs(
      'the port is optional, as in lksctp',
      each(['{}', '[]'], VALUE, 'returns'),
    ),
  ],
  'values of the option port of listen()': [
    differs(
      STRICT,
      each(['true', '1n', 'Symbol()', '{}', '[]', '() => {}'], VALUE, TYPE),
    ),
  ],
  'values of the option host of listen()': [
    differs(STRICT, each(['0', 'NaN'], 'returns', TYPE)),
  ],
  'values of the option backlog of listen()': [
    differs(STRICT, {
      ...each([...NO_NUMBERS, '() => {}'], 'returns', TYPE),
      ...each(NO_INTEGERS, 'returns', RANGE),
    }),
  ],
  'values of the option signal of listen()': [
    differs(LENIENT, { null: [TYPE, 'returns'] }),
  ],
  'values of the option ipv6Only of listen()': [noBoolean],
  'the states of a server': [
    differs(NO_LOOKUP, {
      'an address: after listen()': [
        [false, 'null'],
        [true, LOCALHOST_ADDRESS],
      ],
      'any address: after listen()': [
        [false, 'null'],
        [true, "{ address: '0.0.0.0', family: 'IPv4', port: PORT }"],
      ],
    }),
  ],
  'a port in use': [
    differs(SYSTEM_CALL, {
      server: [
        [
          "error Error EADDRINUSE 'listen EADDRINUSE: address already in use 127.0.0.1:PORT' -98 listen 127.0.0.1 PORT",
          'listening',
        ],
        [
          "error Error EADDRINUSE 'bind EADDRINUSE 127.0.0.1:PORT' -98 bind 127.0.0.1 PORT",
          'listening',
        ],
      ],
    }),
  ],
  'an address of another host to listen on': [
    differs(SYSTEM_CALL, {
      server: [
        [
          "error Error EADDRNOTAVAIL 'listen EADDRNOTAVAIL: address not available 192.0.2.1' -99 listen 192.0.2.1",
        ],
        [
          "error Error EADDRNOTAVAIL 'bind EADDRNOTAVAIL 192.0.2.1' -99 bind 192.0.2.1",
        ],
      ],
    }),
  ],
  'values of close()': [
    differs(
      STRICT,
      each(allBut('undefined', 'null', '() => {}'), 'true', TYPE),
    ),
  ],
  'close() right after listen()': [
    differs(
      'a server that was told to listen is running',
      each(
        ['127.0.0.1: done', 'localhost: done'],
        ['callback: Error ERR_SERVER_NOT_RUNNING'],
        ['callback: done'],
      ),
    ),
  ],
  'close() with a connection': [
    differs("a server closes after the 'close' of its last socket", {
      order: [
        ['callback', 'socket'],
        ['socket', 'callback'],
      ],
    }),
  ],
  'values of maxConnections': [
    differs(STRICT, each([...NO_NUMBERS, '() => {}'], 'returns', TYPE)),
  ],
  'two clients and maxConnections 0': [
    differs(
      'Node.js 20 takes 0 for no limit',
      NODE < 22 && {
        count: [
          [true, null, 2],
          [true, null, 0],
        ],
        server: [
          ['listening', 'connection a socket', 'connection a socket'],
          [
            'listening',
            ...Array(2).fill(
              "drop { localAddress: '127.0.0.1', localPort: PORT, localFamily: 'IPv4', remoteAddress: '127.0.0.1', remotePort: PORT, remoteFamily: 'IPv4' }",
            ),
          ],
        ],
      },
    ),
  ],
  'a client that is dropped': [
    differs(ABORTS, {
      client: [
        ['resume', 'connect', 'ready', 'end', 'finish', 'close false'],
        ['resume', 'connect', 'ready', RESET, 'close true'],
      ],
    }),
  ],

  /* ---- listeners */

  "a captured rejection of a 'end' listener": [
    differs(AT_ONCE, { errored: ['Error mine', 'null'] }),
  ],
  'the async contexts of listeners': [
    differs(
      'before Node.js 24 accepted sockets of node:net have no context',
      NODE < 24 && {
        "'data' of the accepted socket": ['undefined', 'listen()'],
      },
    ),
  ],
};

/* ------------------------------------------------------------ the comparison */

/** The facts that differ, each with what it is of node:net and here. */
function compare(ofNet, ofSctp) {
  const differences = {};
  for (const name of new Set([...Object.keys(ofNet), ...Object.keys(ofSctp)])) {
    try {
      assert.deepEqual(ofSctp[name], ofNet[name]);
    } catch {
      differences[name] = [ofNet[name], ofSctp[name]];
    }
  }
  return differences;
}

for (const name of scenarios.keys()) {
  const listed = Object.assign({}, ...(DIFFERENCES[name] ?? []));
  const title = Object.keys(listed).length
    ? `${name}: as in node:net but for what is listed`
    : `${name}: as in node:net`;
  test(title, async () => {
    const ofNet = await record(name, net);
    const ofSctp = await record(name, sctp);
    assert.deepEqual(compare(ofNet, ofSctp), listed);
  });
}

test('differences are listed of scenarios that there are', () => {
  const unknown = Object.keys(DIFFERENCES).filter(
    (name) => !scenarios.has(name),
  );
  assert.deepEqual(unknown, []);
});
