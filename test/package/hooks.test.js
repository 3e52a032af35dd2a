'use strict';

// Hooks, setters and constructors are JavaScript, too: they run in the middle
// of calls into the addon, and may do there whatever JavaScript may.

const assert = require('node:assert/strict');
const { runScript, test } = require('../helpers');

/** The output of a script that must end by itself. */
async function output(source, nodeArgs) {
  const { code, signal, stdout, stderr } = await runScript(source, {
    nodeArgs,
  });
  assert.deepEqual([code, signal, stderr], [0, null, '']);
  return stdout;
}

/** `act(id)` runs in a `before` hook of the handles whose ids are in `own`. */
const BEFORE = `
  const own = [];
  let act = null;
  require('node:async_hooks').createHook({
    init(id, type) { if (type === 'SCTP') own.push(id); },
    before(id) { if (act && own.includes(id)) act(id); },
  }).enable();`;

test('a before hook may close an endpoint', async () => {
  const stdout = await output(`${BEFORE}
    const handle = open('127.0.0.1', 0, 1000, () => console.log('received'));
    const sender = open('127.0.0.1', 0, 1000, () => {});
    const [first] = own;
    act = (id) => {
      if (id !== first) return;
      act = null;
      handle.close();
      sender.close();
      console.log('closed');
    };
    sender.send(Buffer.from('x'), '127.0.0.1', handle.address().port);`);
  assert.equal(stdout, 'closed\n');
});

test('a before hook may destroy a socket', async () => {
  const stdout = await output(`${BEFORE}
    const server = createServer((peer) => {
      peer.on('data', () => console.log('data'));
      act = () => {
        act = null;
        peer.destroy();
        console.log('destroyed');
      };
      client.write('x');
      server.close();
    });
    let client;
    server.listen(0, '127.0.0.1', () => {
      client = connect(server.address().port, '127.0.0.1');
      client.on('error', ({ code }) => console.log(code));
    });`);
  assert.equal(stdout, 'destroyed\nECONNRESET\n');
});

test('a before hook may close a server', async () => {
  const stdout = await output(`${BEFORE}
    const server = createServer(() => console.log('connection'));
    server.listen(0, '127.0.0.1', () => {
      const [listener] = own;
      act = (id) => {
        if (id !== listener) return;
        act = null;
        server.close(() => console.log('closed'));
      };
      const client = connect(server.address().port, '127.0.0.1');
      client.on('error', () => {});
    });`);
  assert.equal(stdout, 'closed\n');
});

/**
 * `act(resource)` runs in an `init` hook. Versions of Node that keep the handle
 * out of its async context show another resource, which has nothing to close.
 */
const INIT = `
  let act = null;
  require('node:async_hooks').createHook({
    init(id, type, trigger, resource) {
      if (type === 'SCTP' && act) act(resource);
    },
  }).enable();
  const shown = process.versions.node.split('.')[0] < 24;`;

test('an init hook may close what is being made', async () => {
  const stdout = await output(`${INIT}
    act = (resource) => resource.close?.(true);
    try {
      open('127.0.0.1', 0, 1000, () => {}).close();
      console.log(shown ? 'opened' : 'ERR_SOCKET_CLOSED');
    } catch (error) {
      console.log(error.code);
    }
    const closed = ({ code }) => console.log(code);
    const server = createServer().on('error', closed);
    server.listen(0, '127.0.0.1', () => {
      if (shown) return console.log('listening');
      closed({ code: 'ERR_SOCKET_CLOSED' });
      server.close();
    });
    const client = connect(9, '127.0.0.1');
    client.on('error', ({ code }) =>
      closed({ code: shown ? code : 'ERR_SOCKET_CLOSED' }));`);
  assert.equal(stdout, 'ERR_SOCKET_CLOSED\n'.repeat(3));
});

test('an init hook may close an accepted socket or its server', async () => {
  const stdout = await output(`${INIT}
    const server = createServer((peer) => {
      peer.on('error', () => {}); // of the client's destroy(), if that is first
      console.log(shown ? 'x' : 'closed');
    });
    server.listen(0, '127.0.0.1', () => {
      const client = connect(server.address().port, '127.0.0.1', () => {
        setImmediate(() => client.destroy());
      });
      client.on('error', () => {});
      client.on('close', () => server.close());
      client.once('lookup', () => {});
      process.nextTick(() => setImmediate(() => {}));
      let made = 0;
      act = (resource) => {
        // The first is the client's, the second what is accepted.
        if (++made !== 2 || !shown) return;
        act = null;
        resource.close(true);
        console.log('closed');
      };
    });`);
  assert.equal(stdout, 'closed\n');
});

test('a constructor that is called in an init hook takes no other handle', async () => {
  const stdout = await output(
    `${INIT}
    const { constructor: Endpoint } = open('127.0.0.1', 0, 1000, () => {})
      .unref();
    act = () => {
      act = null;
      try {
        new Endpoint();
        console.log('constructed');
      } catch ({ code }) {
        console.log(code);
      }
    };
    open('127.0.0.1', 0, 1000, () => {}).close();
    setImmediate(() => {
      for (let i = 0; i < 5; i++) gc();
      console.log('end');
    });`,
    ['--expose-gc'],
  );
  assert.equal(stdout, 'ERR_ILLEGAL_CONSTRUCTOR\nend\n');
});

test('a setter on Object.prototype sees nothing of the errors and objects of the addon', async () => {
  const stdout = await output(`
    const names = ['code', 'errno', 'syscall', 'address', 'port', 'family', '0'];
    const handle = open('::', 0, 1000, () => {});
    const caught = (call) => {
      try { call(); } catch (error) { return error; }
    };
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const set = [];
      for (const name of names) {
        Object.defineProperty(Object.prototype, name, {
          configurable: true,
          set() { set.push(name); },
        });
      }
      const host = '::ffff:10.77.1.2'; // which no route leads to
      const failed = caught(() => handle.send(Buffer.from('x'), host, 5000));
      const wrong = caught(() => handle.send(1));
      const addresses = [handle.address(), ...server.getLocalAddresses()];
      for (const name of names) delete Object.prototype[name];
      console.log(set.length, failed.code, failed.address, failed.port);
      console.log(wrong.code, addresses.length, addresses[0].family);
      handle.close();
      server.close();
    });`);
  assert.equal(
    stdout,
    '0 ENETUNREACH ::ffff:10.77.1.2 5000\nERR_INVALID_ARG_TYPE 2 IPv6\n',
  );
});

test('lib/ may be evaluated twice over one binary', async () => {
  const stdout = await output(`
    const lib = Object.keys(require.cache).filter((key) => !/node$/.test(key));
    const server = createServer((peer) => {
      peer.on('data', (data) => peer.end(data));
    });
    server.listen(0, '127.0.0.1', () => {
      for (const key of lib) delete require.cache[key];
      const again = require(lib.find((key) => /index.js$/.test(key)));
      console.log(again.connect !== connect);
      const { port } = server.address();
      let open = 2;
      for (const api of [{ connect }, again]) {
        const client = api.connect(port, '127.0.0.1', () => client.write('x'));
        client.on('data', (data) => console.log(String(data)));
        client.on('close', () => --open || server.close());
      }
    });`);
  assert.equal(stdout, 'true\nx\nx\n');
});
