// The packed tarball is small, and what other people's tools say of it: publint, attw, and TypeScript from 5.4 to 7 in every
// module setting, without skipLibCheck. And knip: nothing in the repository is unused. The tools are
// fetched, in these versions, into build/tools: only this script needs them.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const ROOT = path.join(import.meta.dirname, '..');
const TOOLS = path.join(ROOT, 'build/tools');
const LIMIT = 400 * 1024;
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
function check(name, cwd, command, ...args) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, CI: '1' },
  });
  console.log(`${name}: ${status === 0 ? 'clean' : `FAILED\n${stdout}${stderr}`}`);
  if (status !== 0) failed++;
}

const work = mkdtempSync(path.join(tmpdir(), 'native-file-lock-package-'));
try {
  const report = execFileSync(process.execPath, [npmCli, 'pack', '--json', '--silent', '--pack-destination', work], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  const [{ unpackedSize, files }] = Object.values(JSON.parse(report));
  const tarball = path.join(
    work,
    readdirSync(work).find((name) => name.endsWith('.tgz')),
  );
  const fits = unpackedSize <= LIMIT;
  console.log(
    `${files.length} files, ${unpackedSize} bytes unpacked: ${fits ? 'small' : `FAILED: more than ${LIMIT}`}`,
  );
  if (!fits) failed++;
  check('publint 0.3.25', ROOT, path.join(fetchTool('publint@0.3.25'), 'publint'), tarball, '--strict');
  check('attw 0.18.5', ROOT, path.join(fetchTool('@arethetypeswrong/cli@0.18.5'), 'attw'), tarball);
  check('knip 6.44.2', ROOT, path.join(fetchTool('knip@6.44.2'), 'knip'));

  const app = path.join(work, 'app');
  mkdirSync(app);
  writeFileSync(path.join(app, 'package.json'), '{}');
  execFileSync(
    process.execPath,
    [npmCli, 'install', '--silent', '--ignore-scripts', '--no-audit', '--no-fund', tarball, `@types/node@${TYPES}`],
    { cwd: app, stdio: 'inherit' },
  );
  for (const extension of ['ts', 'cts', 'mts']) writeFileSync(path.join(app, `use.${extension}`), USE);
  for (const version of ['5.4.5', '5.9.3', '6.0.3', '7.0.2']) {
    const tsc = path.join(fetchTool(`typescript@${version}`), 'tsc');
    for (const options of MODULES) {
      const compilerOptions = {
        ...options,
        target: 'es2022',
        lib: ['es2022'],
        types: ['node'],
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
        noEmit: true,
      };
      writeFileSync(path.join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['use.*'] }));
      check(`TypeScript ${version}, module ${options.moduleResolution ?? options.module}`, app, tsc, '-p', '.');
    }
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
process.exitCode = failed === 0 ? 0 : 1;
