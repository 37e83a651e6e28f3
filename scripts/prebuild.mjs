// Builds the binaries that are published, prebuilds/<target>/native-file-lock.node, in a temporary
// folder, so that a development build stays as it is.
//
//   npm run prebuild                            every Linux target (elsewhere: this machine's)
//   npm run prebuild -- --target linux-arm64    one target
//   npm run prebuild:verify [-- FOLDER]         builds again and compares, byte for byte, with what is
//                                               in FOLDER, such as node_modules/native-file-lock
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

const ROOT = path.join(import.meta.dirname, '..');
const HOST = `${process.platform}-${process.arch}`;

/**
 * What the published binaries are made with, on Debian 12 x64: the packages that decide their bytes.
 * See docs/reproducible-builds.md.
 */
const PUBLISHED = {
  'linux-x64': {
    limit: 60 * 1024,
    prefix: 'x86_64-linux-gnu-',
    install: 'g++-12',
    packages: {
      'g++-12': '12.2.0-14+deb12u1',
      binutils: '2.40-2',
      'libstdc++-12-dev': '12.2.0-14+deb12u1',
      'libc6-dev': '2.36-9+deb12u14',
    },
  },
  'linux-arm64': {
    // 30 KiB of content. The rest is zeros: some kernels have pages of 64 KiB, and what RELRO protects
    // ends with a page.
    limit: 66 * 1024,
    prefix: 'aarch64-linux-gnu-',
    install: 'g++-12-aarch64-linux-gnu',
    packages: {
      'g++-12-aarch64-linux-gnu': '12.2.0-14cross1',
      'binutils-aarch64-linux-gnu': '2.40-2',
      'libstdc++-12-dev-arm64-cross': '12.2.0-14cross1',
      'libc6-dev-arm64-cross': '2.36-8cross1',
    },
  },
};

const { values, positionals } = parseArgs({
  options: { target: { type: 'string', multiple: true }, verify: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const compareWith = path.resolve(positionals[0] ?? ROOT);
const prebuilt = (folder, target) => path.join(folder, 'prebuilds', target, 'native-file-lock.node');
const sha256 = (file) => createHash('sha256').update(readFileSync(file)).digest('hex');

function targets() {
  if (values.target) return values.target;
  // What is there is compared; of the machines that only the release workflow has, nothing can be.
  if (values.verify) return Object.keys(PUBLISHED).filter((target) => existsSync(prebuilt(compareWith, target)));
  return HOST === 'linux-x64' ? Object.keys(PUBLISHED) : [HOST];
}

const works = (command, ...args) => {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

/** The environment that makes node-gyp use the compiler of a target. */
function toolsFor(target) {
  const { prefix, install } = PUBLISHED[target] ?? {};
  const compiler = `${prefix}g++-12`;
  if (prefix === undefined || !works(compiler, '--version')) {
    if (target === HOST) {
      console.log(`${target}: with the compiler of this machine; the published binary's bytes are another's`);
      return {};
    }
    if (prefix === undefined) throw new Error(`${target} can only be built on such a machine`);
    const command = `apt-get install -y --no-install-recommends ${install}`;
    if (process.getuid?.() !== 0 || !works('apt-get', '--version')) {
      throw new Error(`${target} needs Debian's compiler for it: ${command}`);
    }
    console.log(command);
    execFileSync('sh', ['-c', `apt-get update -qq && DEBIAN_FRONTEND=noninteractive ${command} -qq >/dev/null`], {
      stdio: 'inherit',
    });
  }
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

/** Tells which packages are not the ones that the published binary was made with. */
function comparePackages(target) {
  for (const [name, version] of Object.entries(PUBLISHED[target]?.packages ?? {})) {
    let found = 'none';
    try {
      found = execFileSync('dpkg-query', ['-W', name], { encoding: 'utf8', stdio: 'pipe' }).trim().split('\t')[1];
    } catch {}
    if (found !== version) console.log(`${target}: published with ${name} ${version}, here is ${found}`);
  }
}

/** Builds one target and gives the file to `use`. */
function build(target, use) {
  const [platform, arch] = target.split('-');
  const folder = mkdtempSync(path.join(tmpdir(), 'native-file-lock-prebuild-'));
  try {
    for (const name of ['binding.gyp', 'package.json', 'native']) {
      cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true });
    }
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
    // The headers that came with this Node.js, when they did: then nothing is downloaded.
    const prefix = path.dirname(path.dirname(process.execPath));
    const headers = existsSync(path.join(prefix, 'include/node/node.h')) ? { npm_config_nodedir: prefix } : {};
    const prebuildify = path.join(ROOT, 'node_modules/prebuildify/bin.js');
    const args = ['--napi', '--strip', '--quiet', '--cwd', folder, '--platform', platform, '--arch', arch];
    execFileSync(process.execPath, [prebuildify, ...args], {
      env: { ...process.env, ...toolsFor(target), ...headers },
      stdio: 'inherit',
    });
    use(prebuilt(folder, target));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function describe(target, file) {
  const size = readFileSync(file).length;
  const limit = PUBLISHED[target]?.limit ?? Number.POSITIVE_INFINITY;
  if (size > limit) throw new Error(`${file} is ${size} bytes, more than ${limit}`);
  return `${size} bytes, sha256 ${sha256(file)}`;
}

let failed = false;
const chosen = targets();
if (chosen.length === 0) throw new Error(`No prebuilds of Linux in ${compareWith}`);
for (const target of chosen) {
  build(target, (file) => {
    if (!values.verify) {
      const destination = prebuilt(ROOT, target);
      mkdirSync(path.dirname(destination), { recursive: true });
      for (const old of readdirSync(path.dirname(destination))) rmSync(path.join(path.dirname(destination), old));
      cpSync(file, destination);
      console.log(`${target}: ${describe(target, destination)}`);
      comparePackages(target);
      return;
    }
    const installed = prebuilt(compareWith, target);
    if (readFileSync(file).equals(readFileSync(installed))) {
      console.log(`${target}: identical, ${describe(target, file)}`);
      return;
    }
    failed = true;
    console.log(
      `${target}: DIFFERENT\n  built:     ${describe(target, file)}\n  installed: ${describe(target, installed)}`,
    );
    comparePackages(target);
  });
}
if (failed) process.exitCode = 1;
