import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../support/temp-dir';

const ROOT = path.join(__dirname, '../..');

interface Packed {
  files: { path: string }[];
}

function pack(): Packed {
  const output = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const report: unknown = JSON.parse(output);
  // npm 11 gives an array; later ones an object by package name.
  const [packed] = Object.values(report as Record<string, Packed>);
  if (!packed) throw new Error(`npm packed nothing: ${output}`);
  return packed;
}

const packed = pack();
const paths = packed.files.map((file) => file.path).sort();
const manifest = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));

/** The modules whose types a user meets: from the index on, wherever a declaration imports another. */
function reachableDeclarations(name = 'index', found = new Set<string>()): Set<string> {
  if (found.has(name)) return found;
  found.add(name);
  const text = readFileSync(path.join(ROOT, `dist/${name}.d.ts`), 'utf8');
  for (const [, next = ''] of text.matchAll(/(?:from |import\()'(\.{1,2}\/[\w/-]+)\.js'/g)) {
    reachableDeclarations(path.join(path.dirname(name), next), found);
  }
  return found;
}

test('the package holds the built sources, the types that users meet, maps, the binaries, and three texts', () => {
  const modules = readdirSync(path.join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => name.slice(0, -3));
  const declared = [...reachableDeclarations()].map((name) => `dist/${name}.d.ts`);
  const built = [...modules.flatMap((name) => [`dist/${name}.js`, `dist/${name}.js.map`]), ...declared];
  const binaries = readdirSync(path.join(ROOT, 'prebuilds')).filter((name) => name.includes('-'));
  const expected = [
    ...['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md'],
    ...built,
    ...binaries.map((target) => `prebuilds/${target}/native-file-lock.node`),
  ];
  // A file of dist that a module left behind which is no more: prepack starts from nothing.
  const stale = (name: string) =>
    !modules.some((module) => name.startsWith(`dist/${module}.`)) && name.startsWith('dist/');
  expect(paths.filter((name) => !stale(name))).toEqual(expected.sort());
});

test('source maps bring their sources', () => {
  for (const name of paths.filter((each) => each.endsWith('.js.map'))) {
    const { sourcesContent } = JSON.parse(readFileSync(path.join(ROOT, name), 'utf8'));
    expect(sourcesContent, name).toHaveLength(1);
  }
});

test('installing runs nothing, on no platform refuses, and brings one package', () => {
  for (const script of ['preinstall', 'install', 'postinstall']) {
    expect(manifest.scripts).not.toHaveProperty(script);
  }
  expect(manifest).not.toHaveProperty('os');
  expect(manifest).not.toHaveProperty('cpu');
  expect(manifest.gypfile).toBe(false);
  expect(Object.keys(manifest.dependencies)).toEqual(['node-gyp-build']);
});

test('an installation from git needs TypeScript only', () => {
  const folder = tempDir();
  for (const name of ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'lib']) {
    cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true });
  }
  // Of @types/node, undici-types is a part.
  for (const name of ['typescript', '@types/node', 'undici-types', 'node-gyp-build', '.bin/tsc']) {
    mkdirSync(path.dirname(path.join(folder, 'node_modules', name)), { recursive: true });
    symlinkSync(path.join(ROOT, 'node_modules', name), path.join(folder, 'node_modules', name));
  }
  const bin = path.join(folder, 'bin');
  mkdirSync(bin);
  for (const name of ['node', 'npm', 'sh']) {
    symlinkSync(execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim(), path.join(bin, name));
  }
  execFileSync('npm', ['run', 'prepare'], { cwd: folder, env: { PATH: bin }, stdio: 'pipe' });
  const program = "console.log(Object.keys(require('./dist')).join())";
  expect(execFileSync(process.execPath, ['-e', program], { cwd: folder, encoding: 'utf8' })).toContain('FileLock');
  expect(existsSync(path.join(folder, 'dist/index.d.ts'))).toBe(true);
});

test('no address and no folder of a machine is in the lock file', () => {
  const lock = readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8');
  expect(lock).not.toMatch(/"resolved"|https?:\/\/[^"]*registry/);
});
