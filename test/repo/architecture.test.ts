import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';

const ROOT = path.join(__dirname, '../..');
const MAX_LINES = 300;

/** The source files of a folder: their text by path from the root. */
function sources(folder: string): Map<string, string> {
  const names = readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => path.extname(name) !== '')
    .map((name) => path.join(folder, name));
  return new Map(names.map((name) => [name, readFileSync(path.join(ROOT, name), 'utf8')]));
}

const lib = sources('lib');
const native = sources('native');
const withoutComments = (text: string) => text.replace(/\/\/.*|\/\*[\s\S]*?\*\//g, '');

function filesThat(files: ReadonlyMap<string, string>, contain: RegExp): string[] {
  return [...files].filter(([, text]) => contain.test(withoutComments(text))).map(([name]) => name);
}

/** The kinds of all nodes of a TypeScript file. */
function kindsIn(name: string, text: string): Set<ts.SyntaxKind> {
  const kinds = new Set<ts.SyntaxKind>();
  const visit = (node: ts.Node): void => {
    kinds.add(node.kind);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(name, text, ts.ScriptTarget.ESNext));
  return kinds;
}

function filesWith(...kinds: ts.SyntaxKind[]): string[] {
  return [...lib].filter(([name, text]) => kinds.some((kind) => kindsIn(name, text).has(kind))).map(([name]) => name);
}

/** The imports of each file of lib/ from lib/, types included. */
const imports = new Map(
  [...lib].map(([name, text]) => [
    name,
    ts
      .preProcessFile(text)
      .importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
      .map(({ fileName }) => path.join(path.dirname(name), fileName.replace(/\.js$/, '.ts'))),
  ]),
);

/** A chain of imports from a file back to itself. */
function findCycle(): string[] | undefined {
  const done = new Set<string>();
  function search(name: string, way: readonly string[]): string[] | undefined {
    const here = [...way, name];
    if (way.includes(name)) return here.slice(way.indexOf(name));
    if (done.has(name)) return undefined;
    for (const next of imports.get(name) ?? []) {
      const cycle = search(next, here);
      if (cycle) return cycle;
    }
    done.add(name);
    return undefined;
  }
  for (const name of imports.keys()) {
    const cycle = search(name, []);
    if (cycle) return cycle;
  }
  return undefined;
}

test('the map in ARCHITECTURE.md names every source file, and no other', () => {
  const page = readFileSync(path.join(ROOT, 'ARCHITECTURE.md'), 'utf8');
  const lines = page.matchAll(/^((?:lib|native)\/\S+\.)(?:\{([\w,]+)\}|(\w+)) /gm);
  const named = [...lines].flatMap(([, stem = '', several, one = '']) =>
    (several?.split(',') ?? [one]).map((extension) => stem + extension),
  );
  expect(named.sort()).toEqual([...lib.keys(), ...native.keys()].sort());
});

test('relative imports in lib/ resolve to files of lib/', () => {
  const all = [...imports.values()].flat();
  expect(all.length).toBeGreaterThan(0);
  expect(all.filter((name) => !lib.has(name))).toEqual([]);
});

test('the imports of lib/ have no cycles, not even of types', () => {
  expect(findCycle()).toBeUndefined();
});

test('one folder includes Node-API, and does so through node-addon-api', () => {
  const users = filesThat(native, /#include\s*[<"](napi|node_api|js_native_api)/);
  expect(users).not.toEqual([]);
  expect(users.filter((name) => !name.startsWith('native/boundary/'))).toEqual([]);
  expect(filesThat(native, /#include\s*[<"](node_api|js_native_api)/)).toEqual([]);
  const below = new Map([...native].filter(([name]) => !name.startsWith('native/boundary/')));
  expect(filesThat(below, /#include "boundary\//)).toEqual([]);
});

test('one file includes libuv', () => {
  expect(filesThat(native, /#include\s*[<"]uv\.h/)).toEqual(['native/libuv.cc']);
});

test('one file loads the addon', () => {
  expect(filesThat(lib, /node-gyp-build|dlopen\(|\.node\b/)).toEqual(['lib/addon-loader.ts']);
});

const SYSTEMS = /^native\/(posix|linux|darwin|windows)\//;

test('nothing above the seam knows a system', () => {
  const tested = 'native/race_point.h'; // in a test build for Linux
  const above = new Map([...native].filter(([name]) => !SYSTEMS.test(name) && name !== tested));
  // Include guards aside.
  expect(
    filesThat(above, /#\s*(if|elif|ifdef)\b|#\s*ifndef (?!NATIVE_FILE_LOCK_)|\b(syscall|pthread_\w+)\s*\(/),
  ).toEqual([]);
  const headers = [...above].flatMap(([name, text]) =>
    [...text.matchAll(/#include\s*<([\w./]+)>/g)].map(([, header]) => ({ name, header })),
  );
  const portable = ['atomic', 'napi.h', 'new', 'stddef.h', 'stdint.h', 'stdlib.h', 'string.h', 'uv.h', 'vector'];
  expect(headers.filter(({ header = '' }) => !portable.includes(header))).toEqual([]);
  expect(filesThat(above, /#include "(\.\.\/)*(posix|linux|darwin|windows)\//)).toEqual([]);
});

test('what POSIX systems share has nothing of one of them', () => {
  const shared = new Map([...native].filter(([name]) => name.startsWith('native/posix/')));
  expect(
    filesThat(shared, /#include\s*<(linux|mach|libkern|dispatch)\/|\b__linux__\b|\b__APPLE__\b|\bsyscall\s*\(/),
  ).toEqual([]);
  expect(filesThat(shared, /#include "(\.\.\/)*(linux|darwin|windows)\//)).toEqual([]);
});

test('lib/ does not use the type any', () => {
  expect(filesWith(ts.SyntaxKind.AnyKeyword)).toEqual([]);
});

test('lib/ has no default exports', () => {
  expect(filesWith(ts.SyntaxKind.ExportAssignment, ts.SyntaxKind.DefaultKeyword)).toEqual([]);
  expect(filesThat(lib, /\bas default\b/)).toEqual([]);
});

test('no file is too long', () => {
  const lengths = [...lib, ...native].map(([name, text]) => ({ name, lines: text.split('\n').length - 1 }));
  expect(lengths.filter(({ lines }) => lines > MAX_LINES)).toEqual([]);
});
