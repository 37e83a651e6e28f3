import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { hasCompiler } from '../support/c-fixture.js';
import { table } from './table.js';

const nodeGypBuild = require('node-gyp-build') as { path(folder: string): string };
const ROOT = path.join(__dirname, '../..');
const tested = new Set(table.map(({ call }) => call));

/** What the C library calls itself, and names otherwise. */
const SYSTEM_CALLS: Record<string, string> = { pthread_create: 'clone', sigaction: 'rt_sigaction' };
/** Those that make no system call, or, as clock_gettime(2) and gettid(2), one that cannot fail. */
const CANNOT_FAIL =
  /^(__errno_location|__stack_chk_fail|abort|clock_gettime|free|malloc|mem\w+|str\w+|gettid|syscall|_\w+|napi_\w+|uv_\w+)$/;

/** The system calls behind the functions of `node:fs` and others that lib/ uses. */
const CALLS_OF_NODE: Record<string, string[]> = {
  closeSync: ['close'],
  hostname: ['gethostname'],
  kill: ['kill'],
  lstatSync: ['statx'],
  opendirSync: ['opendir', 'readdir'],
  openSync: ['open'],
  read: ['read'],
  readFileSync: ['open', 'read'],
  readlinkSync: ['readlink'],
  readSync: ['read', 'pread'],
  watch: ['inotify_init1', 'inotify_add_watch'],
};

function sources(folder: string, extension: string): string {
  return readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(extension) && !name.includes('darwin'))
    .map((name) => readFileSync(path.join(ROOT, folder, name), 'utf8'))
    .join('\n');
}

function matches(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([, name = '']) => name);
}

function isUntested(call: string): boolean {
  return !CANNOT_FAIL.test(call) && !tested.has(SYSTEM_CALLS[call] ?? call);
}

describe('the table has every system call', () => {
  test.skipIf(!hasCompiler)('that the addon makes by the C library', () => {
    const imports = execFileSync('nm', ['-D', '--undefined-only', nodeGypBuild.path(ROOT)], { encoding: 'utf8' });
    const names = matches(imports, /\b[Uw] (\w+)/g);
    expect(names).toContain('flock');
    expect(names.filter(isUntested)).toEqual([]);
  });

  test('that the addon makes by its number', () => {
    const text = sources('native', '.cc');
    const numbers = matches(text, /\bSYS_(\w+)/g).filter((name) => name !== 'fcntl');
    const commands = matches(text, /\b(F_(?:OFD_\w+|DUPFD\w*))/g).map((name) => `fcntl ${name}`);
    expect(numbers).toContain('statx');
    expect(commands).toContain('fcntl F_OFD_SETLK');
    expect([...numbers, ...commands].filter(isUntested)).toEqual([]);
  });

  test('that lib/ has Node.js make', () => {
    const text = sources('lib', '.ts');
    const imports = matches(text, /import \{([^}]*)\} from 'node:(?:fs|os)'/g);
    const names = imports.flatMap((list) => list.split(',')).map((name) => name.trim().replace(/^type /, ''));
    const functions = [...names, ...matches(text, /\bprocess\.(kill)\(/g)].filter((name) => /^[a-z]/.test(name));
    const calls = functions
      .filter((name) => !/^constants/.test(name))
      .flatMap((name) => CALLS_OF_NODE[name] ?? [`of ${name}, which is not known here`]);
    expect(calls).toContain('readlink');
    expect(calls.filter(isUntested)).toEqual([]);
  });
});
