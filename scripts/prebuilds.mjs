// What prebuilds/ holds, and what it was made from. Both lists can be checked without this script:
//
//   sha256sum -c prebuilds/SOURCES.sha256            after npm install
//   (cd prebuilds && sha256sum -c SHA256SUMS)
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export const ROOT = path.join(import.meta.dirname, '..');
export const HOST = `${process.platform}-${process.arch}`;
/** The targets whose binaries are in the tree. */
export const TARGETS = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64', 'win32-x64', 'win32-arm64'];

const FOLDER = path.join(ROOT, 'prebuilds');
const BINARIES = path.join(FOLDER, 'SHA256SUMS');
const SOURCES = path.join(FOLDER, 'SOURCES.sha256');

export const fileOf = (target) => `${target}/native-file-lock.node`;
export const sha256 = (file) => createHash('sha256').update(readFileSync(file)).digest('hex');
const sums = (folder, files) => files.map((file) => `${sha256(path.join(folder, file))}  ${file}\n`).join('');

/** Everything that decides the bytes of a binary. A package is known by its version. */
function sources() {
  return [
    'binding.gyp',
    ...readdirSync(path.join(ROOT, 'native'), { recursive: true })
      .map((name) => path.posix.join('native', name))
      .filter((file) => statSync(path.join(ROOT, file)).isFile())
      .sort(),
    ...['node-addon-api', 'node-gyp', 'prebuildify'].map((name) => `node_modules/${name}/package.json`),
    'scripts/cross.mjs',
    'scripts/toolchain.mjs',
  ];
}

export function writeSourceSums() {
  writeFileSync(SOURCES, sums(ROOT, sources()));
}

export function writeBinarySums() {
  const files = readdirSync(FOLDER)
    .map(fileOf)
    .filter((file) => existsSync(path.join(FOLDER, file)));
  writeFileSync(BINARIES, sums(FOLDER, files.sort()));
}

const lines = (file) => (existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []);

/** The first source that has changed since the binaries were built; undefined if none has. */
export function changedSource() {
  const recorded = new Set(lines(SOURCES).filter(Boolean));
  for (const file of sources()) {
    if (!existsSync(path.join(ROOT, file)) || !recorded.delete(sums(ROOT, [file]).trimEnd())) return file;
  }
  const [gone] = recorded;
  return gone?.split('  ')[1];
}

/** Why the binary of a target is not the one in prebuilds/SHA256SUMS; undefined if it is. */
export function wrongBinary(target) {
  const file = fileOf(target);
  if (!existsSync(path.join(FOLDER, file))) return `there is no prebuilds/${file}`;
  const isListed = lines(BINARIES).includes(sums(FOLDER, [file]).trimEnd());
  return isListed ? undefined : `prebuilds/${file} is not the one in prebuilds/SHA256SUMS`;
}
