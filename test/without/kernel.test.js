'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { once } = require('node:events');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');
const { connect, createServer, isSupported, open } = require('../..');

const PYTHON = process.env.PYTHON ?? 'python3';
const release = os.release();

function saysWhatToDo(error) {
  const { reason, hint } = isSupported();
  assert.ok(['ESOCKTNOSUPPORT', 'EPROTONOSUPPORT'].includes(error.code));
  assert.equal(error.syscall, 'socket');
  assert.ok(error.errno < 0);
  assert.equal(error.message, `socket ${error.code}: ${reason}; ${hint}`);
  assert.match(error.message, /modprobe sctp/);
  assert.ok(error.stack.startsWith(`Error: ${error.message}\n`));
  return true;
}

for (const host of ['127.0.0.1', '::1']) {
  test(`a kernel without SCTP: open('${host}') says what to do`, () => {
    assert.throws(() => open(host, 0, 100, () => {}), saysWhatToDo);
  });

  test(`a kernel without SCTP: listen() on ${host} says what to do`, async () => {
    const [error] = await once(createServer().listen({ host }), 'error');
    saysWhatToDo(error);
  });

  test(`a kernel without SCTP: connect() to ${host} says what to do`, async () => {
    const socket = connect({ host, port: 5000 });
    socket.write('early');
    const [error] = await once(socket, 'error');
    saysWhatToDo(error);
  });
}

/**
 * Returns isSupported() of a root of its own, in which `prepare`, a script,
 * has put into /etc, /lib/modules and /boot what another system has there.
 */
function supportedIn(prepare, environment = {}) {
  const root = path.resolve(__dirname, '../..');
  const { stdout, stderr } = spawnSync(
    'unshare',
    [
      '--mount',
      'sh',
      '-ec',
      `root=$(mktemp -d)
      mount -t tmpfs tmpfs $root
      for name in /*; do
        case $name in
          # Others are to stand beside the files of these.
          /etc | /lib | /run)
            mkdir -p $root$name/modprobe.d $root/all$name
            mount --bind $name $root/all$name
            for file in $name/*; do
              case $file in
                */modprobe.d | */modules | */os-release) ;;
                *) ln -s /all$file $root$name ;;
              esac
            done ;;
          /boot) mkdir $root/boot ;;
          *)
            if [ -L $name ]; then cp -P $name $root
            elif [ -d $name ]; then
              mkdir $root$name
              mount --bind $name $root$name
            fi ;;
        esac
      done
      mkdir -p $root/lib/modules/${release} $root/boot
      cd $root
      ${prepare}
      exec chroot $root "$0" -p 'JSON.stringify(require(${JSON.stringify(root)}).isSupported())'`,
      process.execPath,
    ],
    {
      encoding: 'utf8',
      env: {
        PATH: process.env.PATH,
        LD_PRELOAD: process.env.LD_PRELOAD ?? '',
        ASAN_OPTIONS: process.env.ASAN_OPTIONS ?? '',
        ...environment,
      },
    },
  );
  assert.equal(stderr, '');
  const { supported, ...why } = JSON.parse(stdout);
  assert.equal(supported, false);
  return why;
}

const modules = `lib/modules/${release}/modules.dep`;
const installed = `echo kernel/net/sctp/sctp.ko: > ${modules}`;
const others = `echo kernel/net/tipc/tipc.ko: > ${modules}`;

for (const [name, prepare, reason, hint, environment] of [
  [
    'a container',
    'touch .dockerenv',
    'the kernel of this container’s host has no SCTP, or has not loaded it',
    'run `modprobe sctp` on the host',
  ],
  [
    'Kubernetes',
    '',
    'the kernel of this container’s host has no SCTP, or has not loaded it',
    'run `modprobe sctp` on the host',
    { KUBERNETES_SERVICE_HOST: '10.0.0.1' },
  ],
  [
    'a kernel that was built without it',
    `echo '# CONFIG_IP_SCTP is not set' > boot/config-${release}`,
    `this kernel (${release}) was built without SCTP`,
    'boot a kernel that has it, such as that of a distribution',
  ],
  [
    'a module that is not loaded',
    `echo CONFIG_IP_SCTP=m > boot/config-${release}; ${installed}`,
    'the kernel module sctp is not loaded',
    'run `modprobe sctp`',
  ],
  [
    'a blacklisted module',
    `echo 'blacklist sctp' > etc/modprobe.d/sctp-blacklist.conf; ${installed}`,
    'the module sctp is blocked by ' +
      "'blacklist sctp' in /etc/modprobe.d/sctp-blacklist.conf",
    'remove that line and run `modprobe sctp`',
  ],
  [
    'a module whose loading does nothing',
    `echo 'install sctp /bin/true' > run/modprobe.d/cis.conf; ${installed}`,
    'the module sctp is blocked by ' +
      "'install sctp /bin/true' in /run/modprobe.d/cis.conf",
    'remove that line and run `modprobe sctp`',
  ],
  [
    'Fedora without kernel-modules-extra',
    `echo ID=fedora > etc/os-release; ${others}`,
    `the module sctp of this kernel (${release}) is not installed`,
    `dnf install kernel-modules-extra-${release}, then run \`modprobe sctp\``,
  ],
  [
    'Ubuntu without linux-modules-extra',
    `echo ID=ubuntu > etc/os-release; ${others}`,
    `the module sctp of this kernel (${release}) is not installed`,
    `apt install linux-modules-extra-${release}, then run \`modprobe sctp\``,
  ],
  [
    'a system that shows nothing',
    '',
    `this kernel (${release}) has no SCTP, or has not loaded it`,
    'run `modprobe sctp`; in a container or sandbox, on its host',
  ],
]) {
  test(`isSupported() tells of ${name}`, () => {
    assert.deepEqual(supportedIn(prepare, environment), { reason, hint });
  });
}

test('isSupported() tells of a seccomp filter', () => {
  // socket(..., IPPROTO_SCTP) fails with EPERM; all else is allowed.
  const { stdout, stderr } = spawnSync(
    PYTHON,
    [
      '-c',
      `
import ctypes, os, struct, sys
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7fff0000, 0x00050000
SOCKET = {'x86_64': 41, 'aarch64': 198}[os.uname().machine]
program = b''.join(struct.pack('HBBI', *step) for step in [
    (LOAD, 0, 0, 0), (JUMP_EQUAL, 0, 3, SOCKET),
    (LOAD, 0, 0, 32), (JUMP_EQUAL, 0, 1, 132),
    (RETURN, 0, 0, ERRNO | 1), (RETURN, 0, 0, ALLOW)])
text = ctypes.create_string_buffer(program)
header = struct.pack('HxxxxxxP', len(program) // 8, ctypes.addressof(text))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, header, 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])`,
      process.execPath,
      '-p',
      `JSON.stringify(require(${JSON.stringify(path.resolve(__dirname, '../..'))}).isSupported())`,
    ],
    { encoding: 'utf8' },
  );
  assert.equal(stderr, '');
  assert.deepEqual(JSON.parse(stdout), {
    supported: false,
    reason: 'this process may not create SCTP sockets (EPERM)',
    hint: 'allow them in its seccomp filter or security policy',
  });
});
