'use strict';

/** Reasons why this kernel, or this process, cannot have SCTP sockets. */

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { gunzipSync } = require('node:zlib');

function read(file) {
  try {
    return fs.readFileSync(file);
  } catch {
    return null; // it does not exist, or is not for us
  }
}

const text = (file) => String(read(file) ?? '');

/** Returns the `KEY=value` lines of /etc/os-release that name the system. */
const system = () => text('/etc/os-release').match(/^ID(_LIKE)?=.*$/gm) ?? [];

/** Returns CONFIG_IP_SCTP of this kernel: 'y', 'm', 'n', or undefined. */
function configured(release) {
  const packed = read('/proc/config.gz');
  const config = packed
    ? String(gunzipSync(packed))
    : text(`/boot/config-${release}`) || text(`/lib/modules/${release}/config`);
  if (!config) return undefined;
  return /^CONFIG_IP_SCTP=([ym])/m.exec(config)?.[1] ?? 'n';
}

/** Returns the file and line that keep the module from being loaded. */
function blacklisted() {
  for (const directory of ['/etc', '/run', '/usr/lib', '/lib']) {
    const folder = path.join(directory, 'modprobe.d');
    let names = [];
    try {
      names = fs.readdirSync(folder).filter((name) => name.endsWith('.conf'));
    } catch {
      continue; // no such folder
    }
    for (const name of names.sort()) {
      const file = path.join(folder, name);
      const line =
        /^[ \t]*(blacklist[ \t]+sctp|install[ \t]+sctp[ \t]+\S*(true|false))\b/m.exec(
          text(file),
        )?.[1];
      if (line) return { file, line };
    }
  }
  return null;
}

const inContainer = () =>
  ['/.dockerenv', '/run/.containerenv', '/run/systemd/container'].some((file) =>
    fs.existsSync(file),
  ) || Boolean(process.env.KUBERNETES_SERVICE_HOST || process.env.container);

/** Returns the package with the module, if the kernel's own package lacks it. */
function modulePackage(release) {
  const ids = system().join(' ');
  if (/fedora|rhel|centos/.test(ids)) {
    return `dnf install kernel-modules-extra-${release}`;
  }
  if (/ubuntu/.test(ids)) return `apt install linux-modules-extra-${release}`;
  if (/cloud/.test(release)) {
    return 'apt install linux-image-amd64 (linux-image-arm64), and boot it';
  }
  return 'install the full set of modules of this kernel';
}

const FORBIDDEN = ['EPERM', 'EACCES'];

/** Codes of errors of socket() if SCTP is missing or forbidden. */
const LACKING = ['EPROTONOSUPPORT', 'ESOCKTNOSUPPORT', ...FORBIDDEN];

/** Returns the reason of this failure of socket(), and a hint. */
function whyNot(code) {
  const release = os.release();
  if (!LACKING.includes(code)) {
    return {
      reason: `no socket can be made (${code})`,
      hint: 'see `man 2 socket`',
    };
  }
  if (FORBIDDEN.includes(code)) {
    return {
      reason: `this process may not create SCTP sockets (${code})`,
      hint: 'allow them in its seccomp filter or security policy',
    };
  }
  if (inContainer()) {
    return {
      reason:
        'the kernel of this container’s host has no SCTP, or has not loaded it',
      hint: 'run `modprobe sctp` on the host',
    };
  }
  const config = configured(release);
  if (config === 'n') {
    return {
      reason: `this kernel (${release}) was built without SCTP`,
      hint: 'boot a kernel that has it, such as that of a distribution',
    };
  }
  const list = text(`/lib/modules/${release}/modules.dep`);
  if (list && !/\/sctp\.ko/.test(list)) {
    return {
      reason: `the module sctp of this kernel (${release}) is not installed`,
      hint: `${modulePackage(release)}, then run \`modprobe sctp\``,
    };
  }
  const found = blacklisted();
  if (found) {
    return {
      reason: `the module sctp is blocked by '${found.line}' in ${found.file}`,
      hint: 'remove that line and run `modprobe sctp`',
    };
  }
  if (list) {
    return {
      reason: 'the kernel module sctp is not loaded',
      hint: 'run `modprobe sctp`',
    };
  }
  return {
    reason: `this kernel (${release}) has no SCTP, or has not loaded it`,
    hint: 'run `modprobe sctp`; in a container or sandbox, on its host',
  };
}

module.exports = { LACKING, whyNot };
