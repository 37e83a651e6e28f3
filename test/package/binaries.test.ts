import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = path.join(__dirname, '../..');
const PREBUILDS = path.join(ROOT, 'prebuilds/');

/**
 * What the addon asks of the process that loads it, and nothing else: so one file serves every glibc
 * and musl. A name that is added here must be exported by musl and have one meaning in glibc.
 */
const LIBC = new Set([
  // Memory and text. No memcpy: glibc has two of them.
  ...['malloc', 'free', 'memmove', 'memset', 'strchr', 'strcmp', 'strlen', 'strrchr', 'abort'],
  // Files.
  ...['open', 'openat', 'clock_gettime', 'close', 'pread', 'pwrite', 'unlinkat', 'flock', 'mkdir', 'fdatasync'],
  ...['fdopendir', 'readdir', 'closedir'],
  // Threads and signals: where libuv is none, and for the alarm that ends a wait.
  ...['pthread_create', 'sigaction'],
  // Whatever has several versions, or no export in an older C library.
  'syscall',
  // Called by the compiler: errno and the stack protector.
  ...['__errno_location', '__stack_chk_fail', '__stack_chk_guard'],
]);
/** Weak: not every runtime has them, and it must load the addon all the same. */
const WEAK = ['async_init', 'async_send', 'close', 'ref', 'thread_create', 'thread_create_ex', 'unref'].map(
  (name) => `uv_${name}`,
);
const NODE_API = /^napi_\w+$/;
const ENTRY_POINT = /^(napi_register_module|node_api_module_get_api_version)_v\d+$/;
/** The oldest glibc that is promised. */
const OLDEST_GLIBC = { major: 2, minor: 17 };

const run = (command: string, ...args: string[]) => execFileSync(command, args, { encoding: 'utf8' });

/** What is published, if that is what is loaded here; else what was compiled. The same flags made both. */
function binaries(): { name: string; file: string }[] {
  const loader: { resolve(folder: string): string } = createRequire(__filename)('node-gyp-build');
  const loaded = loader.resolve(ROOT);
  if (!loaded.startsWith(PREBUILDS)) return [{ name: path.relative(ROOT, loaded), file: loaded }];
  const targets = readdirSync(PREBUILDS).filter((name) => name.startsWith('linux-'));
  return targets.map((name) => ({ name, file: path.join(PREBUILDS, name, 'native-file-lock.node') }));
}

const isInstalled = (command: string) => spawnSync(command, ['--version']).status === 0;

function reasonToSkip(): string | undefined {
  if (process.platform !== 'linux') return 'these are properties of ELF files';
  return ['nm', 'readelf'].every(isInstalled)
    ? undefined
    : 'nm and readelf are not here (Debian: apt-get install binutils)';
}

const reason = reasonToSkip();
const tested = reason === undefined ? binaries() : [];
console.log(reason === undefined ? `Tested: ${tested.map(({ name }) => name).join(', ')}` : `Skipped: ${reason}.`);

interface Symbol {
  name: string;
  weak: boolean;
}

function undefinedSymbols(file: string): Symbol[] {
  const lines = run('nm', '-D', '--undefined-only', file).matchAll(/^ *([Uw]) (\S+)$/gm);
  return Array.from(lines, ([, kind, name = '']) => ({ name, weak: kind === 'w' }));
}

/** The C library that this machine has for the machine of a binary, and its loader, which exports names too. */
function glibcOf(file: string): string[] {
  const isArm = /Machine: +AArch64/.test(run('readelf', '-hW', file));
  const folders = isArm
    ? ['/lib/aarch64-linux-gnu', '/usr/aarch64-linux-gnu/lib']
    : ['/lib/x86_64-linux-gnu', '/lib64', '/usr/x86_64-linux-gnu/lib'];
  const loader = isArm ? 'ld-linux-aarch64.so.1' : 'ld-linux-x86-64.so.2';
  const folder = folders.find((each) => existsSync(path.join(each, 'libc.so.6'))) ?? '';
  return ['libc.so.6', loader].map((name) => path.join(folder, name)).filter((each) => existsSync(each));
}

/** `1f3a0 GLIBC_2.2.5` for each version of each name. */
function exportsOf(libraries: string[]): Map<string, { address: string; version: string }[]> {
  const found = new Map<string, { address: string; version: string }[]>();
  for (const library of libraries) {
    const table = run('readelf', '--dyn-syms', '-W', library);
    const line = /^ *\d+: ([0-9a-f]+) +\d+ \w+ +(?:GLOBAL|WEAK) +DEFAULT +(?!UND)\w+ ([^@\s]+)(?:@@?(\S+))?/gm;
    for (const [, address = '', name = '', version = ''] of table.matchAll(line)) {
      found.set(name, [...(found.get(name) ?? []), { address: `${library} ${address}`, version }]);
    }
  }
  return found;
}

const isPromised = (version: string) => {
  const [major, minor] = version.replace('GLIBC_', '').split('.').map(Number);
  return major === OLDEST_GLIBC.major && minor !== undefined && minor <= OLDEST_GLIBC.minor;
};

const MUSL = ['/lib/ld-musl-x86_64.so.1', '/lib/ld-musl-aarch64.so.1'].filter((each) => existsSync(each));
if (reason === undefined && MUSL.length === 0)
  console.warn('Skipped: names in musl. It is not here (Debian: apt-get install musl).');

describe.each(tested)('the binary of $name', ({ file }) => {
  const ofLibc = () => undefinedSymbols(file).filter(({ name }) => LIBC.has(name));

  test('asks for Node-API, for weak libuv, and for a few names of the C library', () => {
    const symbols = undefinedSymbols(file);
    const known = ({ name, weak }: Symbol) => (weak ? WEAK.includes(name) : NODE_API.test(name) || LIBC.has(name));
    expect(symbols.length).toBeGreaterThan(20);
    expect(symbols.filter((each) => !known(each))).toEqual([]);
  });

  test('asks for no version of any symbol', () => {
    expect(run('nm', '-D', '--undefined-only', file)).not.toContain('@');
    expect(run('readelf', '-VW', file)).toContain('No version information');
  });

  test('needs no shared library', () => {
    expect(run('readelf', '-dW', file)).not.toContain('(NEEDED)');
  });

  test('exports the entry points of Node-API only', () => {
    const names = run('nm', '-D', '--defined-only', file)
      .trim()
      .split('\n')
      .map((line) => line.split(' ').at(-1) ?? '');
    expect(names).not.toEqual([]);
    expect(names.filter((name) => !ENTRY_POINT.test(name))).toEqual([]);
  });

  test('is bound at once, and never unloaded', () => {
    const flags = /\(FLAGS_1\).*/.exec(run('readelf', '-dW', file))?.[0];
    expect(flags).toMatch(/\bNOW\b/);
    expect(flags).toMatch(/\bNODELETE\b/);
  });

  test('has no writable relocations and no executable stack', () => {
    const headers = run('readelf', '-lW', file);
    expect(headers).toMatch(/^ *GNU_RELRO /m);
    expect(/^ *GNU_STACK .*/m.exec(headers)?.[0]).toMatch(/ RW +0x/);
    expect(headers).not.toMatch(/ RWE /);
    expect(run('readelf', '-dW', file)).not.toContain('TEXTREL');
  });

  const isPublished = file.startsWith(PREBUILDS);
  if (!isPublished) console.warn('Skipped: the compiler is not named. It is, in what was compiled here.');

  test.runIf(isPublished)('does not name the compiler that made it', () => {
    expect(run('readelf', '-SW', file)).not.toContain('.comment');
  });

  test('guards its stack', () => {
    expect(undefinedSymbols(file).map(({ name }) => name)).toContain('__stack_chk_fail');
  });

  const glibc = glibcOf(file);
  if (glibc.length === 0) console.warn(`Skipped: versions of the symbols of ${file}. This machine has no such glibc.`);

  test.skipIf(glibc.length === 0)('asks for no name that glibc 2.17 lacks or that means two things in glibc', () => {
    const exported = exportsOf(glibc);
    for (const { name } of ofLibc()) {
      const versions = exported.get(name) ?? [];
      // Several versions may be one function, as pthread_create's are.
      expect(new Set(versions.map(({ address }) => address)).size, `${name}: ${JSON.stringify(versions)}`).toBe(1);
      expect(
        versions.some(({ version }) => isPromised(version)),
        `${name}: ${JSON.stringify(versions)}`,
      ).toBe(true);
    }
  });

  test.skipIf(MUSL.length === 0)('asks for no name that musl lacks', () => {
    const exported = exportsOf(MUSL);
    expect(
      ofLibc()
        .map(({ name }) => name)
        .filter((name) => !exported.has(name)),
    ).toEqual([]);
  });
});

test.skipIf(reason === undefined)('no binary is tested here', () => {});
