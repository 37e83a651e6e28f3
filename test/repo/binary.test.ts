import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

const BINARY = path.join(__dirname, '../../build/Release/native_file_lock.node');

/**
 * What the addon asks of the process that loads it, and nothing else: so one file serves every glibc
 * and musl. A name that is added here must be exported by musl and have one version in glibc.
 */
const LIBC = new Set([
  // Memory and text. No memcpy: glibc has two of them.
  ...['malloc', 'free', 'strdup', 'strlen', 'abort'],
  // Files.
  ...['open', 'openat', 'close', 'pread', 'pwrite', 'unlinkat', 'flock'],
  // Threads and signals: where libuv is none, and for the alarm that ends a wait.
  ...['pthread_create', 'sigaction'],
  // Whatever has several versions, or no export in an older C library.
  'syscall',
  // Called by the compiler: errno and the stack protector.
  ...['__errno_location', '__stack_chk_fail'],
]);
/** Weak: not every runtime has them, and it must load the addon all the same. */
const WEAK = ['uv_thread_create', 'uv_thread_create_ex'];
const NODE_API = /^napi_\w+$/;

const isLinux = process.platform === 'linux';
if (!isLinux) console.warn('Skipped: the binary of the addon. These are properties of ELF files.');

const run = (command: string, ...args: string[]) => execFileSync(command, args, { encoding: 'utf8' });

interface Symbol {
  name: string;
  weak: boolean;
}

function undefinedSymbols(): Symbol[] {
  const lines = run('nm', '-D', '--undefined-only', BINARY).matchAll(/^ *([Uw]) (\S+)$/gm);
  return Array.from(lines, ([, kind, name = '']) => ({ name, weak: kind === 'w' }));
}

describe.skipIf(!isLinux)('the addon', () => {
  test('asks for Node-API, for weak libuv, and for a few names of the C library', () => {
    const symbols = undefinedSymbols();
    const known = ({ name, weak }: Symbol) => (weak ? WEAK.includes(name) : NODE_API.test(name) || LIBC.has(name));
    expect(symbols.length).toBeGreaterThan(20);
    expect(symbols.filter((each) => !known(each))).toEqual([]);
  });

  test('asks for no version of any symbol', () => {
    expect(run('nm', '-D', '--undefined-only', BINARY)).not.toContain('@');
    expect(run('readelf', '-VW', BINARY)).toContain('No version information');
  });

  test('needs no shared library', () => {
    expect(run('readelf', '-dW', BINARY)).not.toContain('(NEEDED)');
  });

  test('exports the entry points of Node-API only', () => {
    const names = run('nm', '-D', '--defined-only', BINARY)
      .trim()
      .split('\n')
      .map((line) => line.split(' ').at(-1));
    expect(names).not.toEqual([]);
    expect(
      names.filter((name) => !/^(napi_register_module|node_api_module_get_api_version)_v\d+$/.test(name ?? '')),
    ).toEqual([]);
  });

  test('is bound at once, and never unloaded', () => {
    const flags = /\(FLAGS_1\).*/.exec(run('readelf', '-dW', BINARY))?.[0];
    expect(flags).toMatch(/\bNOW\b/);
    expect(flags).toMatch(/\bNODELETE\b/);
  });

  test('has no writable relocations and no executable stack', () => {
    const headers = run('readelf', '-lW', BINARY);
    expect(headers).toMatch(/^ *GNU_RELRO /m);
    expect(/^ *GNU_STACK .*/m.exec(headers)?.[0]).toMatch(/ RW +0x/);
    expect(headers).not.toMatch(/ RWE /);
  });

  const libc = isLinux ? /libc\.so\.6 => (\S+)/.exec(run('ldd', process.execPath))?.[1] : undefined;
  const hasLibc = libc !== undefined && existsSync(libc);
  if (isLinux && !hasLibc)
    console.warn('Skipped: versions of the symbols. This Node.js does not use a glibc of its system.');

  test.skipIf(!hasLibc)('asks for no name that means two things in the C library', () => {
    const table = run('readelf', '--dyn-syms', '-W', libc ?? '');
    for (const { name } of undefinedSymbols().filter((each) => LIBC.has(each.name))) {
      const line = new RegExp(`^ *\\d+: ([0-9a-f]+) .* ${name}@@?\\S+`, 'gm');
      const addresses = Array.from(table.matchAll(line), ([, address]) => address);
      // Several versions may be one function, as pthread_create's are.
      expect(new Set(addresses).size, `${name} in ${libc}`).toBe(1);
    }
  });
});
