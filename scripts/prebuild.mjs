// Builds the binaries that are published, prebuilds/<target>/native-file-lock.node.
//
//   npm run prebuild                            all of them (elsewhere than on Linux: this machine's), and all sums
//   npm run prebuild -- --target darwin-arm64   one target, with the compiler of such a machine
//   npm run prebuild:verify                     builds again and compares, byte for byte
//   npm run prebuild:verify -- --release        the same, and "not verified" is a failure
//   npm run prebuild:verify -- FOLDER           compares with another folder, such as
//                                               node_modules/native-file-lock
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import {
  changedSource,
  fileOf,
  HOST,
  ROOT,
  sha256,
  TARGETS,
  writeBinarySums,
  writeSourceSums,
  wrongBinary,
} from './prebuilds.mjs';
import { build, deviations, hasCompiler, install } from './toolchain.mjs';

/**
 * The largest size that is published, in bytes. Half of an arm64 binary is zeros: some kernels have pages of 64 KiB,
 * and what RELRO protects must end with a page.
 */
const LIMITS = {
  'linux-x64': 64 * 1024,
  'linux-arm64': 66 * 1024,
  // A third of them are names of symbols, which ld64.lld cannot leave out.
  'darwin-x64': 96 * 1024,
  'darwin-arm64': 128 * 1024,
  'win32-x64': 64 * 1024,
  'win32-arm64': 64 * 1024,
};

const { values, positionals } = parseArgs({
  options: {
    target: { type: 'string', multiple: true },
    verify: { type: 'boolean', default: false },
    release: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const [other] = positionals;
const prebuilt = (target) => path.join(path.resolve(other ?? ROOT), 'prebuilds', fileOf(target));

function describe(target, file) {
  const size = readFileSync(file).length;
  if (size > LIMITS[target]) throw new Error(`${file} is ${size} bytes, more than ${LIMITS[target]}`);
  return `${size} bytes, sha256 ${sha256(file)}`;
}

/** How this machine differs from the pinned compiler, after trying to install that. */
function prepare(target) {
  if (deviations(target).length > 0) install(target);
  return deviations(target);
}

function renew(target) {
  const others = prepare(target);
  if (others.length > 0) throw new Error(`${target} must be built with ${others.join(', ')}`);
  build(target, (file) => {
    const destination = path.join(ROOT, 'prebuilds', fileOf(target));
    mkdirSync(path.dirname(destination), { recursive: true });
    for (const old of readdirSync(path.dirname(destination))) rmSync(path.join(path.dirname(destination), old));
    cpSync(file, destination);
    console.log(`${target}: ${describe(target, destination)}`);
  });
}

/** Why a committed binary cannot be right, known before anything is built. */
function complaint(target) {
  if (other !== undefined) return existsSync(prebuilt(target)) ? undefined : `there is no ${prebuilt(target)}`;
  const changed = changedSource();
  return wrongBinary(target) ?? (changed && `${changed} has changed since prebuilds/ was built. Run: npm run prebuild`);
}

/** Builds a target again; whether its binary passes. */
function verify(target) {
  const wrong = complaint(target);
  if (wrong !== undefined) {
    console.log(`${target}: FAILED: ${wrong}`);
    return false;
  }
  const others = prepare(target);
  let built = 'nothing';
  let isSame = false;
  if (hasCompiler(target)) {
    build(target, (file) => {
      built = describe(target, file);
      isSame = readFileSync(file).equals(readFileSync(prebuilt(target)));
    });
  }
  // Identical bytes prove it, even if another revision of the compiler made them.
  if (isSame) {
    console.log(`${target}: identical, ${built}`);
    return true;
  }
  const both = `  built: ${built}\n  there: ${describe(target, prebuilt(target))}`;
  if (others.length === 0) {
    console.log(`${target}: DIFFERENT\n${both}`);
    return false;
  }
  // The sums of the sources speak for the binaries of this tree, and not for those of another folder.
  console.log(`${target}: NOT VERIFIED: the compiler needs ${others.join(', ')}\n${both}`);
  return !values.release && other === undefined;
}

const targets = values.target ?? (values.verify || process.platform === 'linux' ? TARGETS : [HOST]);
if (values.verify) {
  if (targets.map(verify).includes(false)) process.exitCode = 1;
} else {
  for (const target of targets) renew(target);
  writeBinarySums();
  if (TARGETS.every((target) => targets.includes(target))) writeSourceSums();
}
