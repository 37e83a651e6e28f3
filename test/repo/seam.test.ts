import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { hasCompiler } from '../support/c-fixture.js';
import { declaredFunctions } from '../support/declared-functions.js';
import { tempDir } from '../support/temp-dir.js';

const ROOT = path.join(__dirname, '../..');
const SHIM = path.join(ROOT, 'test/darwin-shim');

/** An operating system: the folders of native/ that are its, and what can compile them here. */
interface System {
  name: string;
  folders: readonly string[];
  compiler: string;
  options: readonly string[];
}

const systems: readonly System[] = [
  { name: 'linux', folders: ['posix', 'linux'], compiler: 'c++', options: [] },
  {
    name: 'darwin',
    folders: ['posix', 'darwin'],
    compiler: 'c++',
    options: ['-include', path.join(SHIM, 'macos.h'), '-I', path.join(SHIM, 'include')],
  },
];

function filesOf(folder: string, extension: string): string[] {
  const directory = path.join(ROOT, 'native', folder);
  return readdirSync(directory)
    .filter((name) => path.extname(name) === extension)
    .map((name) => path.join(directory, name));
}

/** What the headers of the seam, and those that files of the system share, declare. */
function declaredFor({ folders }: System): Set<string> {
  const headers = ['system', ...folders].flatMap((folder) => filesOf(folder, '.h'));
  return new Set(headers.flatMap((header) => declaredFunctions(readFileSync(header, 'utf8'))));
}

/** Compiles a folder of native/; the objects. */
function compile(folder: string, { compiler, options }: System): string[] {
  const output = path.join(tempDir(), folder);
  mkdirSync(output);
  execFileSync(compiler, ['-std=gnu++17', '-c', ...options, ...filesOf(folder, '.cc')], { cwd: output });
  return readdirSync(output).map((name) => path.join(output, name));
}

/** What other files can refer to by name, in our namespace: `T nfl::Alarm::Set(long)`. Not what is inline (W). */
function definitionsIn(object: string): string[] {
  const symbols = execFileSync('nm', ['--demangle', '--defined-only', '--extern-only', object], { encoding: 'utf8' });
  return [...new Set([...symbols.matchAll(/ [^WVu] (nfl::[^(\n]+)/g)].map(([, name = '']) => name))];
}

const occurrences = (names: readonly string[]) =>
  Object.fromEntries([...names].sort().map((name) => [name, names.filter((each) => each === name).length]));

if (!hasCompiler) console.warn('Skipped: what each system defines. It needs Linux and a compiler.');

describe.skipIf(!hasCompiler).each(systems)('the files of $name', (system) => {
  test('define each function of the seam once, and nothing else that other files could call', () => {
    const defined = system.folders.flatMap((folder) => compile(folder, system).flatMap(definitionsIn));
    expect(occurrences(defined)).toEqual(occurrences([...declaredFor(system)]));
  });
});

test('the seam declares functions, classes and their members', () => {
  const declared = declaredFor({ name: '', folders: ['posix'], compiler: '', options: [] });
  const some = ['nfl::Park', 'nfl::FcntlTry', 'nfl::Alarm::Set', 'nfl::AlarmWindow::~AlarmWindow'];
  expect([...declared]).toEqual(expect.arrayContaining([...some, 'nfl::OpenFile::operator=']));
});
