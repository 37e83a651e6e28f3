// Tests the packed tarball, installed without scripts and without a compiler, in all available runtimes and
// consumers.
//
//   npm run test:matrix                   what runs on this machine as it is: a few minutes the first time
//   npm run test:matrix -- --all          adds emulators, musl, an old glibc and all consumers: half an hour
//   npm run test:matrix -- --all --write  writes the results to docs/platforms.md
//   npm run test:matrix -- --only REGEXP  runs only those, of all, whose names match
//
// Downloaded programs are kept in build/matrix.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { CONSUMERS } from './consumers.mjs';
import { DEFAULT_RUNTIMES, EXTRA_RUNTIMES } from './runtimes.mjs';

const ROOT = path.join(import.meta.dirname, '../..');
const CACHE = path.join(ROOT, 'build/matrix');
const LIMIT = 15 * 60_000;
const { values } = parseArgs({
  options: { all: { type: 'boolean' }, write: { type: 'boolean' }, only: { type: 'string' } },
});
const everything = values.all || values.only !== undefined;
const chosen = (list) => list.filter(({ name }) => new RegExp(values.only ?? '').test(name));

const work = mkdtempSync(path.join(tmpdir(), 'native-file-lock-matrix-'));

// Only node and npm: no compiler, no Python, no shell.
const bin = path.join(work, 'bin');
const npmCli = process.env.npm_execpath ?? realpathSync(execFileSync('which', ['npm'], { encoding: 'utf8' }).trim());
mkdirSync(bin);
symlinkSync(process.execPath, path.join(bin, 'node'));

// Without the variables that `npm run` adds, which users do not have.
const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
const bare = { ...inherited, PATH: bin, PREBUILDS_ONLY: '1' };

/** Runs a program and returns its output, stdout and stderr; throws with both if it fails. */
function run(cwd, env, command, ...args) {
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    env: { ...bare, ...env },
    encoding: 'utf8',
    timeout: LIMIT,
    killSignal: 'SIGKILL',
  });
  if (error) throw error;
  if (status !== 0) {
    throw new Error(`${path.basename(command)} ${args[0]} exited with ${signal ?? status}:\n${stdout}${stderr}`);
  }
  return stdout + stderr;
}

const npm = (cwd, ...args) => run(cwd, {}, process.execPath, npmCli, ...args);
function newFolder(parent, name) {
  const folder = path.join(parent, name);
  mkdirSync(folder, { recursive: true });
  if (!existsSync(path.join(folder, 'package.json'))) writeFileSync(path.join(folder, 'package.json'), '{}');
  return folder;
}

/** Installs a program, once, for this or another platform; returns its node_modules. */
function fetchProgram(spec) {
  const folder = path.join(CACHE, spec.replaceAll('/', '+'));
  if (!existsSync(path.join(folder, 'done'))) {
    newFolder(CACHE, path.basename(folder));
    npm(folder, 'install', '--force', '--ignore-scripts', '--no-audit', '--no-fund', spec);
    writeFileSync(path.join(folder, 'done'), '');
  }
  return path.join(folder, 'node_modules');
}

execFileSync(process.execPath, [npmCli, 'pack', '--silent', '--pack-destination', work], {
  cwd: ROOT,
  stdio: ['ignore', process.stderr.fd, 'inherit'],
});
const tarball = path.join(
  work,
  readdirSync(work).find((name) => name.endsWith('.tgz')),
);

const tools = {
  tarball,
  nodePath: process.execPath,
  run,
  install: (folder, ...args) =>
    npm(folder, 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', ...args),
  node: (folder, script) => run(folder, {}, process.execPath, script),
  bin: (folder, name, ...args) => run(folder, {}, path.join(folder, 'node_modules/.bin', name), ...args),
  fetch: (spec, file) => path.join(fetchProgram(spec), file),
  npmConfig: (key) =>
    execFileSync(process.execPath, [npmCli, 'config', 'get', key], {
      env: bare,
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim(),
};

const rows = { runtimes: [], consumers: [] };
let failed = 0;

/** Runs one cell of the matrix and returns its result. */
function attempt(name, body) {
  const start = performance.now();
  let result;
  try {
    result = body();
  } catch (error) {
    if (error.message.startsWith('needs ')) {
      result = `not run: ${error.message}`;
    } else {
      failed++;
      result = 'FAILED';
      console.log(error.message);
    }
  }
  console.log(`${name}: ${result} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  return result;
}

function conformance(runtime) {
  const packages = fetchProgram(runtime.fetch);
  const own = path.join(CACHE, `${runtime.name} ${runtime.machine} ${runtime.libc()}`.replaceAll(/[^\w.]+/g, '-'));
  mkdirSync(own, { recursive: true });
  const [command, ...args] = runtime.command(packages, own, runtime.also && fetchProgram(runtime.also));
  const env = { ...bare, NATIVE_FILE_LOCK_RUNTIME: JSON.stringify([command, ...args]) };
  const { stdout, signal, status } = spawnSync(command, [...args, 'conformance.cjs'], {
    cwd: app,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: LIMIT,
    killSignal: 'SIGKILL',
  });
  const passed = stdout.match(/^ok /gm)?.length ?? 0;
  const failures = stdout.match(/^FAILED [^:]+/gm) ?? [];
  if (status !== 0 || passed === 0) {
    const rest = stdout.replaceAll(/^ok .*\n/gm, '');
    throw new Error(`${failures.length} checks failed, ${passed} passed, exited with ${signal ?? status}\n${rest}`);
  }
  return `all ${passed} checks pass`;
}

const app = newFolder(work, 'app');
copyFileSync(path.join(import.meta.dirname, 'conformance.cjs'), path.join(app, 'conformance.cjs'));
tools.install(app, tarball);

try {
  for (const runtime of chosen([...DEFAULT_RUNTIMES, ...(everything ? EXTRA_RUNTIMES : [])])) {
    const name = `${runtime.name}, ${runtime.machine}, ${runtime.libc()}`;
    rows.runtimes.push([runtime.name, runtime.machine, runtime.libc(), attempt(name, () => conformance(runtime))]);
  }
  for (const [index, { name, run: consume }] of chosen(
    CONSUMERS.filter(({ byDefault }) => byDefault || everything),
  ).entries()) {
    const result = attempt(name, () => {
      consume(tools, newFolder(work, `consumer-${index}`));
      return 'works';
    });
    rows.consumers.push([name, result]);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}

const table = (head, body) => [head, head.map(() => '---'), ...body].map((row) => `| ${row.join(' | ')} |`).join('\n');

if (values.write) {
  const file = path.join(ROOT, 'docs/platforms.md');
  const tables = {
    runtimes: [['runtime', 'machine', 'C library', 'result'], rows.runtimes, [...DEFAULT_RUNTIMES, ...EXTRA_RUNTIMES]],
    consumers: [['consumer', 'result'], rows.consumers, CONSUMERS],
  };
  let text = readFileSync(file, 'utf8');
  for (const [name, [head, body, all]] of Object.entries(tables)) {
    if (body.length < all.length) continue; // never replaces the table with a partial one
    const [begin, end] = [`<!-- ${name}, by npm run test:matrix -- --all --write -->`, `<!-- end of ${name} -->`];
    if (!text.includes(begin)) throw new Error(`docs/platforms.md has no ${begin}`);
    text = `${text.slice(0, text.indexOf(begin) + begin.length)}\n\n${table(head, body)}\n\n${text.slice(text.indexOf(end))}`;
  }
  writeFileSync(file, text);
}
console.log(`matrix: ${rows.runtimes.length + rows.consumers.length} run, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
