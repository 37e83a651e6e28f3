import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { FileLock } from '../../lib/index.js';
import { tempDir } from '../support/temp-dir.js';

const ROOT = path.join(__dirname, '../..');
const page = readFileSync(path.join(ROOT, 'README.md'), 'utf8');

/** The TypeScript blocks of the page, with the number of the line on which each begins. */
const blocks = [...page.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(({ 0: block, 1: code = '', index }) => ({
  code,
  line: page.slice(0, index + block.indexOf('\n')).split('\n').length + 1,
}));

const COMPILER_OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.Node16,
  lib: ['lib.es2022.d.ts', 'lib.esnext.disposable.d.ts'],
  types: ['node'],
  strict: true,
  skipLibCheck: true,
  noEmit: true,
};

/** What the compiler says of ES modules that are in the root of the package, and nowhere on the disk. */
function typeErrors(modules: ReadonlyMap<string, string>): string[] {
  const host = ts.createCompilerHost(COMPILER_OPTIONS);
  const { fileExists, getSourceFile } = host;
  host.getCurrentDirectory = () => ROOT;
  host.fileExists = (name) => modules.has(name) || fileExists(name);
  host.getSourceFile = (name, options, ...rest) => {
    const text = modules.get(name);
    return text === undefined
      ? getSourceFile(name, options, ...rest)
      : ts.createSourceFile(name, text, {
          impliedNodeFormat: ts.ModuleKind.ESNext,
          languageVersion: ts.ScriptTarget.ES2022,
        });
  };
  const program = ts.createProgram([...modules.keys()], COMPILER_OPTIONS, host);
  return ts
    .getPreEmitDiagnostics(program)
    .map(({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`);
}

/** Runs a block as an ES module in a directory of its own, in which the package is installed. */
function run(code: string, directory: string) {
  const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
  const script = path.join(directory, 'script.mjs');
  mkdirSync(path.join(directory, 'node_modules'), { recursive: true });
  symlinkSync(ROOT, path.join(directory, 'node_modules/native-file-lock'));
  writeFileSync(script, ts.transpileModule(code, { compilerOptions: options }).outputText);
  return spawnSync(process.execPath, [script], { cwd: directory, encoding: 'utf8' });
}

describe('the blocks of the README', () => {
  test('are complete modules that the compiler accepts', () => {
    expect(blocks.length).toBeGreaterThan(3);
    const modules = blocks.map(({ code, line }) => [path.join(ROOT, `README-line-${line}.mts`), code] as const);
    expect(typeErrors(new Map(modules))).toEqual([]);
  });

  test.each(blocks)('run as they are: line $line', ({ code }) => {
    const directory = tempDir();
    const { status, stderr } = run(code.replaceAll('/run/', `${directory}/`), directory);
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });

  test('the second instance of the daemon ends, and names the first one', () => {
    const directory = tempDir();
    const [daemon] = blocks.filter(({ code }) => code.includes('untilExit'));
    const code = daemon?.code.replaceAll('/run/', `${directory}/`) ?? '';
    const lockPath = /'(.*\.lock)'/.exec(code)?.[1] ?? '';
    using _guard = new FileLock(lockPath).acquireSync({ timeout: 0 });
    const { status, stderr } = run(`${code}\nconsole.error('it goes on');`, directory);
    expect(status).toBe(1);
    expect(stderr).toMatch(new RegExp(`LockTimeoutError: .*held by process ${process.pid} `));
    expect(stderr).not.toMatch(/it goes on/);
  });
});

describe('the table of errors in the README', () => {
  const table = page.slice(page.indexOf('### Errors'), page.indexOf('### Diagnostics'));
  const rows = [...table.matchAll(/^\| (`.*?) \|/gm)].map(([, codes = '']) => codes);
  const documented = rows.flatMap((codes) => [...codes.matchAll(/`(\w+)`/g)].map(([, code = '']) => code));

  const sources = readdirSync(path.join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(path.join(ROOT, 'lib', name), 'utf8').replace(/\/\/.*|\/\*[\s\S]*?\*\//g, ''))
    .join('\n');
  const thrown = (pattern: RegExp) => [...new Set([...sources.matchAll(pattern)].map(([, code = '']) => code))];

  test('has every code of our own, and no other', () => {
    const own = thrown(/'(ERR_LOCK_\w+)'/g);
    const invalid = thrown(/\binvalidArgument\('(\w+)'/g).map((kind) => `ERR_INVALID_ARG_${kind}`);
    expect(own).not.toEqual([]);
    expect(invalid).not.toEqual([]);
    expect(documented.filter((code) => code.startsWith('ERR_')).sort()).toEqual([...own, ...invalid].sort());
  });

  test("has every one of the system's codes that the package gives by itself, and none that does not exist", () => {
    const given = thrown(/\bconstants\.errno\.(\w+)/g);
    expect(given).not.toEqual([]);
    expect(documented).toEqual(expect.arrayContaining(given));
    const systems = documented.filter((code) => !code.startsWith('ERR_'));
    expect(systems.filter((code) => !(code in constants.errno))).toEqual([]);
  });
});
