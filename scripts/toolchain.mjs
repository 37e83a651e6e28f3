// Compiles the addon for a target as it is published. This file, binding.gyp, native/, and the versions of
// node-addon-api, node-gyp and prebuildify decide the bytes: see scripts/prebuilds.mjs.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { crossBuild } from './cross.mjs';
import { HOST, ROOT } from './prebuilds.mjs';

/** The compiler of macOS and Windows. */
const CLANG = {
  compiler: 'clang++-14',
  packages: {
    'clang-14': '1:14.0.6-12',
    'libclang-common-14-dev': '1:14.0.6-12',
    'lld-14': '1:14.0.6-12',
    'llvm-14': '1:14.0.6-12',
  },
};

/** The compiler of each published target, as packages of Debian 12 on x64. */
const TOOLCHAINS = {
  'darwin-x64': CLANG,
  'darwin-arm64': CLANG,
  'win32-x64': CLANG,
  'win32-arm64': CLANG,
  'linux-x64': {
    compiler: 'x86_64-linux-gnu-g++-12',
    prefix: 'x86_64-linux-gnu-',
    packages: {
      'g++-12': '12.2.0-14+deb12u1',
      binutils: '2.40-2',
      'libstdc++-12-dev': '12.2.0-14+deb12u1',
      'libc6-dev': '2.36-9+deb12u14',
    },
  },
  'linux-arm64': {
    compiler: 'aarch64-linux-gnu-g++-12',
    prefix: 'aarch64-linux-gnu-',
    packages: {
      'g++-12-aarch64-linux-gnu': '12.2.0-14cross1',
      'binutils-aarch64-linux-gnu': '2.40-2',
      'libstdc++-12-dev-arm64-cross': '12.2.0-14cross1',
      'libc6-dev-arm64-cross': '2.36-8cross1',
    },
  },
};

const run = (command, args, env = {}) =>
  execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe', env: { ...process.env, ...env } });

function versionOf(name) {
  try {
    return run('dpkg-query', ['-W', name]).trim().split('\t')[1] ?? 'none';
  } catch {
    return 'none';
  }
}

/** The packages of a target that are missing or of another version here, as `name version (here: version)`. */
export function deviations(target) {
  const packages = Object.entries(TOOLCHAINS[target]?.packages ?? {});
  return packages
    .map(([name, version]) => ({ name, version, found: versionOf(name) }))
    .filter(({ version, found }) => found !== version)
    .map(({ name, version, found }) => `${name} ${version} (here: ${found})`);
}

/** Installs the pinned packages of a target where apt-get can. Never downgrades what the machine has. */
export function install(target) {
  const packages = Object.entries(TOOLCHAINS[target].packages).map(([name, version]) => `${name}=${version}`);
  const args = ['install', '-y', '--no-install-recommends', ...packages];
  console.log(`${target}: apt-get ${args.join(' ')}`);
  try {
    run('apt-get', ['update', '-qq']);
    run('apt-get', args, { DEBIAN_FRONTEND: 'noninteractive' });
  } catch (error) {
    console.log(`${target}: not installed: ${(error.stderr || error.message).trim().split('\n').at(-1)}`);
  }
}

/** Whether this machine has a compiler for the target, pinned or not. */
export function hasCompiler(target) {
  try {
    run(TOOLCHAINS[target].compiler, ['--version']);
    return true;
  } catch {
    return false;
  }
}

/** The environment that makes node-gyp use the compiler of a target. */
function environment(target) {
  const { compiler, prefix } = TOOLCHAINS[target];
  return {
    CC: `${prefix}gcc-12`,
    CXX: compiler,
    AR: `${prefix}ar`,
    PREBUILD_STRIP_BIN: `${prefix}strip`,
    // Whatever else the caller's shell adds would be in the bytes.
    CFLAGS: '',
    CXXFLAGS: '',
    CPPFLAGS: '',
    LDFLAGS: '',
  };
}

/** Makes node-gyp use the headers that came with this Node.js, where they did: then nothing is downloaded. */
export function localHeaders() {
  const prefix = path.dirname(path.dirname(process.execPath));
  return existsSync(path.join(prefix, 'include/node/node.h')) ? { npm_config_nodedir: prefix } : {};
}

/** Builds a copy of the tree by node-gyp; the file. */
function gypBuild(target, folder) {
  const [platform, arch] = target.split('-');
  const isPublished = target in TOOLCHAINS;
  const prebuildify = path.join(ROOT, 'node_modules/prebuildify/bin.js');
  const args = ['--napi', '--strip', '--cwd', folder, '--platform', platform, '--arch', arch];
  run(process.execPath, [prebuildify, ...args], { ...(isPublished ? environment(target) : {}), ...localHeaders() });
  const file = path.join(folder, 'prebuilds', target, 'native-file-lock.node');
  // The compiler's name and Debian's revision of it, which say nothing about the code.
  if (isPublished) run(`${TOOLCHAINS[target].prefix}strip`, ['--remove-section=.comment', file]);
  return file;
}

/** Builds one target in a temporary folder, so that a development build stays as it is, and gives the file to `use`. */
export function build(target, use) {
  if (!(target in TOOLCHAINS) && target !== HOST) throw new Error(`${target} can only be built on ${target}`);
  const folder = mkdtempSync(path.join(tmpdir(), 'native-file-lock-prebuild-'));
  try {
    if (TOOLCHAINS[target] === CLANG) {
      const file = path.join(folder, 'native-file-lock.node');
      crossBuild(target, ROOT, file);
      use(file);
      return;
    }
    for (const name of ['binding.gyp', 'package.json', 'native']) {
      cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true });
    }
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
    use(gypBuild(target, folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
