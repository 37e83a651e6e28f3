// The packed tarball is small, and what other people's tools say of it: publint, attw, and TypeScript from 5.4
// to 7 in every module setting, without skipLibCheck, with @types/node and without. The tree can be installed
// from git. And knip: nothing in the repository is unused. The tools are fetched, in these versions, into
// build/tools: only this script needs them.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const ROOT = path.join(import.meta.dirname, '..');
const TOOLS = path.join(ROOT, 'build/tools');
/** In bytes, unpacked: more than half of it are binaries of six targets, and each of them has a limit of its own. */
const LIMIT = 840 * 1024;
const TYPES = '20.19.43';
const MODULES = [
  { module: 'commonjs' },
  { module: 'node16' },
  { module: 'nodenext' },
  { module: 'esnext', moduleResolution: 'bundler' },
];

const USE = `
import { FileLock, JobLockManager, jobDirectoryLock, LockError, LockTimeoutError } from 'native-file-lock';
import type { FileLockOptions, JobLockGuard, LockGuard, LockHolder, LockReport } from 'native-file-lock';

const options: FileLockOptions = { mode: 'shared', timeout: undefined };
export async function use(signal: AbortSignal): Promise<LockReport> {
  const lock = new FileLock(new URL('file:///tmp/lock'), options);
  const guard: LockGuard | null = lock.tryAcquire();
  guard?.untilExit();
  const holder: LockHolder | null | undefined = guard?.previousHolder;
  const length: number = await lock.withLock(async ({ path }) => path.length, { signal });
  // @ts-expect-error a wait that never waits has no signal
  lock.acquireSync({ signal });
  const id: string = await jobDirectoryLock('job', '/tmp', (job: JobLockGuard) => job.jobId);
  new JobLockManager('/tmp').close();
  try {
    (await lock.acquire()).release();
  } catch (error) {
    if (error instanceof LockTimeoutError) console.log(error.timeout satisfies number, length, id, holder);
    if (error instanceof LockError) console.log(error.code satisfies string);
  }
  return lock.inspect();
}
`;

const USE_WITHOUT_NODE_TYPES = `
import { FileLock, type LockGuard } from 'native-file-lock';
export const guard: LockGuard | null = new FileLock('/tmp/lock').tryAcquire();
`;
const NODE_TYPES_ARE_MISSING = /error TS2688: Cannot find type definition file for 'node'/;

const LOCK = `
const { FileLock } = require('native-file-lock');
const lock = new FileLock('lock');
const guard = lock.tryAcquire();
if (lock.tryAcquire() !== null) throw new Error('two holders');
guard.release();
`;

const npmCli = process.env.npm_execpath;
if (npmCli === undefined) throw new Error('Run it as: npm run test:package');

/** Installs a tool once; the folder of its commands. */
function fetchTool(spec) {
  const folder = path.join(TOOLS, spec.replaceAll('/', '+'));
  if (!existsSync(path.join(folder, 'done'))) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'package.json'), '{}');
    execFileSync(
      process.execPath,
      [npmCli, 'install', '--silent', '--ignore-scripts', '--no-audit', '--no-fund', spec],
      {
        cwd: folder,
        stdio: 'inherit',
      },
    );
    writeFileSync(path.join(folder, 'done'), '');
  }
  return path.join(folder, 'node_modules/.bin');
}

let failed = 0;
function report(name, isRight, output) {
  console.log(`${name}: ${isRight ? 'clean' : `FAILED\n${output}`}`);
  if (!isRight) failed++;
}

function run(cwd, command, args, env = process.env) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    env: { ...env, CI: '1' },
  });
  return { status, output: error ? error.message : stdout + stderr };
}

function check(name, cwd, command, ...args) {
  const { status, output } = run(cwd, command, args);
  report(name, status === 0, output);
}

function newFolder(name) {
  const folder = path.join(work, name);
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'package.json'), '{}');
  return folder;
}

const install = (folder, ...specs) =>
  execFileSync(
    process.execPath,
    [npmCli, 'install', '--silent', '--ignore-scripts', '--no-audit', '--no-fund', ...specs],
    { cwd: folder, stdio: 'inherit' },
  );

/** Each version of TypeScript with each kind of module, in a folder with a program. */
function compileEverywhere(folder, compilerOptions, judge) {
  for (const version of ['5.4.5', '5.9.3', '6.0.3', '7.0.2']) {
    const tsc = path.join(fetchTool(`typescript@${version}`), 'tsc');
    for (const options of MODULES) {
      const all = { target: 'es2022', lib: ['es2022'], strict: true, skipLibCheck: false, noEmit: true };
      const config = { compilerOptions: { ...all, ...options, ...compilerOptions }, include: ['use.*'] };
      writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(config));
      judge(
        `TypeScript ${version}, module ${options.moduleResolution ?? options.module}`,
        run(folder, tsc, ['-p', '.']),
      );
    }
  }
}

/** Installs this tree as it would be committed from git, with no more than git itself needs, and takes a lock. */
function checkGit() {
  const repository = path.join(work, 'repository.git');
  const git = (...args) => execFileSync('git', [`--git-dir=${repository}`, `--work-tree=${ROOT}`, ...args]);
  execFileSync('git', ['init', '--quiet', '--bare', repository]);
  git('add', '--all');
  git('-c', 'user.name=check', '-c', 'user.email=check@localhost', 'commit', '--quiet', '--message=check');
  const bin = path.join(work, 'bin');
  mkdirSync(bin);
  for (const name of ['npm', 'git', 'sh', 'basename', 'sed', 'uname']) {
    symlinkSync(execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim(), path.join(bin, name));
  }
  symlinkSync(process.execPath, path.join(bin, 'node'));
  // Of what `npm run` adds to the environment, nothing is a user's.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
  const folder = newFolder('from-git');
  const bare = { ...env, PATH: bin, PREBUILDS_ONLY: '1' };
  const installed = run(folder, process.execPath, [npmCli, 'install', `git+file://${repository}`], bare);
  const locked = run(folder, process.execPath, ['-e', LOCK], bare);
  report(
    'installed from git, without a compiler',
    installed.status === 0 && locked.status === 0,
    installed.output + locked.output,
  );
}

const work = mkdtempSync(path.join(tmpdir(), 'native-file-lock-package-'));
try {
  const packed = execFileSync(process.execPath, [npmCli, 'pack', '--json', '--silent', '--pack-destination', work], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  const [{ unpackedSize, files }] = Object.values(JSON.parse(packed));
  const tarball = path.join(
    work,
    readdirSync(work).find((name) => name.endsWith('.tgz')),
  );
  const fits = unpackedSize <= LIMIT;
  report(`${files.length} files, ${unpackedSize} bytes unpacked`, fits, `more than ${LIMIT}`);
  check('publint 0.3.25', ROOT, path.join(fetchTool('publint@0.3.25'), 'publint'), tarball, '--strict');
  check('attw 0.18.5', ROOT, path.join(fetchTool('@arethetypeswrong/cli@0.18.5'), 'attw'), tarball);
  check('knip 6.44.2', ROOT, path.join(fetchTool('knip@6.44.2'), 'knip'));

  const app = newFolder('app');
  install(app, tarball, `@types/node@${TYPES}`);
  // `prepare`, which npm runs after `prepack`, must not bring the comments back.
  const published = readFileSync(path.join(app, 'node_modules/native-file-lock/dist/file-lock.js'), 'utf8');
  report('no comments in the published JavaScript', !published.includes('/**'), published);
  for (const extension of ['ts', 'cts', 'mts']) writeFileSync(path.join(app, `use.${extension}`), USE);
  compileEverywhere(app, { types: ['node'], exactOptionalPropertyTypes: true }, (name, { status, output }) =>
    report(name, status === 0, output),
  );

  const untyped = newFolder('without-node-types');
  install(untyped, tarball);
  writeFileSync(path.join(untyped, 'use.ts'), USE_WITHOUT_NODE_TYPES);
  compileEverywhere(untyped, {}, (name, { output }) => {
    const errors = output.split('\n').filter((line) => line.includes('error TS'));
    const others = errors.filter((line) => !NODE_TYPES_ARE_MISSING.test(line));
    report(`${name}, without @types/node: only that is missing`, errors.length > 0 && others.length === 0, output);
  });

  checkGit();
} finally {
  rmSync(work, { recursive: true, force: true });
}
process.exitCode = failed === 0 ? 0 : 1;
