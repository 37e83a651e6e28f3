import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../support/temp-dir';

const ROOT = path.join(__dirname, '../..');
const HOST = `${process.platform}-${process.arch}`;
const PACKAGES = ['node-addon-api', 'node-gyp', 'prebuildify'];

/** Stands for a compiler: what it leaves is not loaded. */
const NODE_GYP = `
const { mkdirSync, writeFileSync } = require('node:fs');
mkdirSync('build/Release', { recursive: true });
writeFileSync('build/Release/native_file_lock.node', process.argv.slice(2).join(' '));
`;

/** What decides the bytes of the binaries, and the binaries themselves, in a folder of the test's own. */
function copyOfTheTree(): string {
  const folder = tempDir();
  for (const name of ['package.json', 'binding.gyp', 'native', 'prebuilds', 'scripts']) {
    cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true });
  }
  for (const name of PACKAGES.map((each) => `node_modules/${each}`)) {
    mkdirSync(path.join(folder, name), { recursive: true });
    cpSync(path.join(ROOT, name, 'package.json'), path.join(folder, name, 'package.json'));
  }
  mkdirSync(path.join(folder, 'node_modules/node-gyp/bin'));
  writeFileSync(path.join(folder, 'node_modules/node-gyp/bin/node-gyp.js'), NODE_GYP);
  return folder;
}

/** The same, with a binary for this machine that was made from these very sources. */
function freshCopy(): string {
  const folder = copyOfTheTree();
  const binary = path.join(folder, 'prebuilds', HOST, 'native-file-lock.node');
  mkdirSync(path.dirname(binary), { recursive: true });
  writeFileSync(binary, 'a binary');
  const script = "import('./scripts/prebuilds.mjs').then((it) => { it.writeBinarySums(); it.writeSourceSums(); })";
  execFileSync(process.execPath, ['-e', script], { cwd: folder });
  return folder;
}

/** A program that prints which file node-gyp-build loads. */
const RESOLVE = `require(${JSON.stringify(createRequire(__filename).resolve('node-gyp-build'))}).resolve(process.argv[1])`;

const { PREBUILDS_ONLY, ...environment } = process.env;

function compile(folder: string, env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/compile.mjs'], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...environment, ...env },
  });
  return { status, output: stdout + stderr };
}

/** The files and sums of a list in the format of sha256sum. */
const listed = (file: string) =>
  Array.from(readFileSync(path.join(ROOT, file), 'utf8').matchAll(/^([0-9a-f]{64}) {2}(\S+)$/gm), ([, sum, name]) => ({
    sum,
    name: name ?? '',
  }));

const sumOf = (file: string) =>
  existsSync(path.join(ROOT, file)) &&
  createHash('sha256')
    .update(readFileSync(path.join(ROOT, file)))
    .digest('hex');

test('the sums of the binaries are those of the files', () => {
  const binaries = listed('prebuilds/SHA256SUMS');
  const folders = readdirSync(path.join(ROOT, 'prebuilds')).filter((name) => name.includes('-'));
  expect(folders).toEqual(expect.arrayContaining(['linux-arm64', 'linux-x64']));
  expect(binaries.map(({ name }) => name)).toEqual(folders.map((name) => `${name}/native-file-lock.node`).sort());
  for (const { name, sum } of binaries) expect(sumOf(`prebuilds/${name}`), name).toBe(sum);
});

test('a binary is used where its sources are those of the tree, and else one is compiled', () => {
  const sources = listed('prebuilds/SOURCES.sha256');
  const native = readdirSync(path.join(ROOT, 'native'), { recursive: true, encoding: 'utf8' })
    .map((name) => `native/${name}`)
    .filter((name) => path.extname(name) !== '');
  const packages = PACKAGES.map((name) => `node_modules/${name}/package.json`);
  const all = ['binding.gyp', ...native, ...packages, 'scripts/cross.mjs', 'scripts/toolchain.mjs'].sort();
  const agree =
    sources.every(({ name, sum }) => sumOf(name) === sum) &&
    sources.map(({ name }) => name).join() === all.join() &&
    listed('prebuilds/SHA256SUMS').some(({ name }) => name.startsWith(`${HOST}/`));
  console.log(`prebuilds/ ${agree ? 'was made from these sources' : `has no binary of these sources for ${HOST}`}`);
  expect(compile(copyOfTheTree()).output).toMatch(agree ? /made from these sources$/m : /^Addon: compiled, because /);
});

test('an earlier compilation does not shadow the published binary', () => {
  const folder = freshCopy();
  for (const name of ['Release', 'Debug']) {
    mkdirSync(path.join(folder, 'build', name), { recursive: true });
    writeFileSync(path.join(folder, 'build', name, 'native_file_lock.node'), 'an earlier one');
  }
  expect(compile(folder)).toEqual({ status: 0, output: `Addon: prebuilds/${HOST}, made from these sources\n` });
  expect(execFileSync(process.execPath, ['-p', RESOLVE, folder], { encoding: 'utf8', env: environment }).trim()).toBe(
    path.join(folder, 'prebuilds', HOST, 'native-file-lock.node'),
  );
});

const edit = (file: string) => (folder: string) => appendFileSync(path.join(folder, file), '\n');

test.each([
  ['a native source is edited', 'native/mutex.h', edit('native/mutex.h')],
  [
    'a native source is added',
    'native/more.cc',
    (folder: string) => writeFileSync(path.join(folder, 'native/more.cc'), ''),
  ],
  ['a native source is removed', 'native/libuv.cc', (folder: string) => rmSync(path.join(folder, 'native/libuv.cc'))],
  ['the flags are edited', 'binding.gyp', edit('binding.gyp')],
  ['the pinned compiler is edited', 'scripts/toolchain.mjs', edit('scripts/toolchain.mjs')],
  [
    'node-addon-api is of another version',
    'node_modules/node-addon-api/package.json',
    edit('node_modules/node-addon-api/package.json'),
  ],
])('the addon is compiled when %s', (_, file, change) => {
  const folder = freshCopy();
  change(folder);
  expect(compile(folder)).toEqual({
    status: 0,
    output: `Addon: compiled, because ${file} has changed since prebuilds/ was built\n`,
  });
  expect(readFileSync(path.join(folder, 'build/Release/native_file_lock.node'), 'utf8')).toMatch(/^configure build/);
});

test('the addon is compiled when the binary is not the one of the sums', () => {
  const folder = freshCopy();
  appendFileSync(path.join(folder, 'prebuilds', HOST, 'native-file-lock.node'), '!');
  expect(compile(folder).output).toBe(
    `Addon: compiled, because prebuilds/${HOST}/native-file-lock.node is not the one in prebuilds/SHA256SUMS\n`,
  );
});

test('where only published binaries are loaded, one of other sources is refused', () => {
  const folder = freshCopy();
  edit('native/os.h')(folder);
  expect(compile(folder, { PREBUILDS_ONLY: '1' })).toEqual({
    status: 1,
    output: 'Addon: native/os.h has changed since prebuilds/ was built. Run: npm run prebuild\n',
  });
});

test('nothing is packed while a binary is of other sources', () => {
  const folder = freshCopy();
  const check = () => spawnSync(process.execPath, ['scripts/check-prebuilds.mjs'], { cwd: folder, encoding: 'utf8' });
  expect(check()).toMatchObject({ status: 0, stderr: '' });
  edit('native/os.h')(folder);
  expect(check()).toMatchObject({ status: 1, stderr: expect.stringContaining('native/os.h has changed') });
});

/** Verifies with nothing on the PATH: the pinned compiler cannot be had. */
function verify(folder: string, ...args: string[]) {
  const { status, stdout } = spawnSync(process.execPath, ['scripts/prebuild.mjs', '--verify', ...args], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...environment, PATH: folder },
  });
  return { status, verdicts: Array.from(stdout.matchAll(/^linux-\w+: ([A-Z ]+)[,:]/gm), ([, verdict]) => verdict) };
}

test('without the pinned compiler, binaries of these sources are not verified, which only a release refuses', () => {
  const folder = freshCopy();
  const verdicts = ['NOT VERIFIED', 'NOT VERIFIED'];
  expect(verify(folder)).toEqual({ status: 0, verdicts });
  expect(verify(folder, '--release')).toEqual({ status: 1, verdicts });
  expect(verify(folder, folder)).toEqual({ status: 1, verdicts });
});

test('without the pinned compiler, binaries of other sources are refused', () => {
  const folder = freshCopy();
  edit('native/os.h')(folder);
  expect(verify(folder)).toEqual({ status: 1, verdicts: ['FAILED', 'FAILED'] });
});

test('without the pinned compiler, a binary that is not the one of the sums is refused', () => {
  const folder = freshCopy();
  appendFileSync(path.join(folder, 'prebuilds/linux-arm64/native-file-lock.node'), '!');
  expect(verify(folder)).toEqual({ status: 1, verdicts: ['NOT VERIFIED', 'FAILED'] });
});
