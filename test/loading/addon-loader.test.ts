import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { isSupported } from '../../lib/index.js';
import { type InstalledPackage, installPackage, TARGET } from '../support/installed-package.js';

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('Skipped: binaries of other users and on a noexec mount. Only root can make them.');

const PERMISSION = ['--permission', '--experimental-permission'].find((flag) =>
  process.allowedNodeEnvironmentFlags.has(flag),
);
if (PERMISSION === undefined) console.warn('Skipped: the permission model. This Node.js has none.');

interface Outcome {
  supported: boolean;
  locked: boolean;
  error?: { name: string; code: string; path: string; message: string };
  cause?: { code?: string; message: string };
}

/** Asks whether the package works, and takes a lock; `before` is run first. */
function use(module: string, before = ''): string {
  return `
    ${before};
    const { FileLock, isSupported } = require(${JSON.stringify(module)});
    const path = require('path').join(__dirname, 'locks', 'lock');
    const outcome = { supported: isSupported(), locked: false };
    try {
      const guard = new FileLock(path, { recordHolder: true }).tryAcquire();
      outcome.locked = guard.held && guard.fencingToken !== null;
    } catch ({ name, code, path, message, cause }) {
      outcome.error = { name, code, path, message };
      outcome.cause = { code: cause.code, message: cause.message };
    }
    console.log(JSON.stringify(outcome));`;
}

interface Run {
  /** What is required. */
  module?: string;
  before?: string;
  flags?: string[];
  /** A command that runs the program, with its arguments. */
  through?: string[];
}

function run(folder: string, { module = 'native-file-lock', before, flags = [], through = [] }: Run = {}): Outcome {
  const script = path.join(folder, 'script.cjs');
  mkdirSync(path.join(folder, 'locks'), { recursive: true });
  writeFileSync(script, use(module, before));
  const [command = '', ...args] = [...through, process.execPath, ...flags, script];
  const { stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  expect(stdout, stderr).not.toBe('');
  return JSON.parse(stdout);
}

/** The package is not supported: the error says what the reason is and what to do. */
function expectUnsupported({ folder }: { folder: string }, outcome: Outcome, reason: RegExp, remedy: RegExp): void {
  expect(outcome).toMatchObject({
    supported: false,
    locked: false,
    error: { name: 'LockError', code: 'ERR_LOCK_UNSUPPORTED', path: path.join(folder, 'locks', 'lock') },
    cause: { message: expect.any(String) },
  });
  expect(outcome.error?.message).toMatch(reason);
  expect(outcome.error?.message).toMatch(remedy);
}

test('this platform is supported', () => {
  expect(isSupported()).toBe(true);
  expect(run(installPackage().folder)).toEqual({ supported: true, locked: true });
});

test('where no binary is for the platform, the error says how to build one', () => {
  const installed = installPackage('none');
  const reason = new RegExp(`native addon of native-file-lock for ${TARGET}.*: there is none`);
  expectUnsupported(
    installed,
    run(installed.folder),
    reason,
    /Build one: .*npm run prebuild.*NATIVE_FILE_LOCK_PREBUILD/,
  );
});

test('a file that is no binary is an error of the loader, in its own words', () => {
  const installed = installPackage(Buffer.alloc(4096, 'no ELF file'));
  const outcome = run(installed.folder);
  expectUnsupported(installed, outcome, /invalid ELF header/, /install the package again/);
  expect(outcome.cause?.code).toBe('ERR_DLOPEN_FAILED');
});

test('where addons are disabled, the error says how to enable them', () => {
  const installed = installPackage();
  const outcome = run(installed.folder, { flags: ['--no-addons'] });
  expectUnsupported(installed, outcome, /told to load no addons/, /without --no-addons/);
  expect(outcome.cause?.code).toBe('ERR_DLOPEN_DISABLED');
});

describe('a bundle without the binary', () => {
  /** Its JavaScript as it is, but no longer where it was installed. */
  function bundle(): InstalledPackage {
    const installed = installPackage();
    cpSync(path.join(installed.root, 'dist'), path.join(installed.folder, 'app/dist'), { recursive: true });
    rmSync(installed.root, { recursive: true });
    return installed;
  }

  test.each([undefined, { name: 'app' }])('says to mark the package as external (package.json: %j)', (manifest) => {
    const installed = bundle();
    if (manifest) writeFileSync(path.join(installed.folder, 'app/package.json'), JSON.stringify(manifest));
    const outcome = run(installed.folder, { module: './app/dist/index.js' });
    expectUnsupported(installed, outcome, /JavaScript was bundled/, /Mark the package native-file-lock as external/);
    expect(outcome.error?.message).toContain(path.join(installed.folder, 'app'));
  });

  test('works with the folder prebuilds beside it', () => {
    const { folder, binary } = installPackage();
    cpSync(path.join(binary, '../../../dist'), path.join(folder, 'app/dist'), { recursive: true });
    cpSync(path.join(binary, '../..'), path.join(folder, 'app/prebuilds'), { recursive: true });
    rmSync(path.join(folder, 'node_modules'), { recursive: true });
    expect(run(folder, { module: './app/dist/index.js' })).toEqual({ supported: true, locked: true });
  });
});

describe.skipIf(PERMISSION === undefined)("Node's permission model", () => {
  function permissions(folder: string, ...others: string[]): string[] {
    const reading = [`--allow-fs-read=${folder}/node_modules/*`, `--allow-fs-read=${folder}/script.cjs`];
    return [PERMISSION ?? '', ...reading, `--allow-fs-read=${folder}/locks/*`, ...others];
  }

  test('lets the addon be loaded that it allows to be read', () => {
    const { folder } = installPackage();
    expect(run(folder, { flags: permissions(folder, '--allow-addons') })).toEqual({ supported: true, locked: true });
  });

  test('without addons gives an error that says how to allow them', () => {
    const installed = installPackage();
    const outcome = run(installed.folder, { flags: permissions(installed.folder) });
    expectUnsupported(installed, outcome, /told to load no addons/, /--allow-addons/);
    expect(outcome.cause?.code).toBe('ERR_DLOPEN_DISABLED');
  });

  test('without the binary gives an error that says what may not be read', () => {
    const installed = installPackage('none');
    const outcome = run(installed.folder, { flags: permissions(installed.folder, '--allow-addons') });
    expectUnsupported(installed, outcome, /denies it to read \//, /--allow-fs-read=\//);
    expect(outcome.cause?.code).toBe('ERR_ACCESS_DENIED');
  });
});

describe.skipIf(!isRoot)('permission denied', () => {
  test('of a binary that may not be read says so', () => {
    const installed = installPackage();
    chmodSync(installed.folder, 0o755);
    chmodSync(installed.binary, 0o600);
    const through = ['setpriv', '--reuid=54323', '--regid=54323', '--clear-groups'];
    expectUnsupported(
      installed,
      run(installed.folder, { through }),
      /permission denied \(.*native-file-lock.node/,
      /readable/,
    );
  });

  test('by a noexec mount says so', () => {
    const installed = installPackage();
    const { root } = installed;
    const mount = `cp -r ${root} ${root}.copy && mount -t tmpfs -o noexec none ${root} && cp -r ${root}.copy/. ${root} && exec "$@"`;
    const outcome = run(installed.folder, { through: ['unshare', '--mount', 'sh', '-c', mount, 'sh'] });
    expectUnsupported(installed, outcome, /permission denied \(.*native-file-lock.node/, /noexec/);
  });
});

describe('a runtime that denies whatever is asked, as Deno does', () => {
  const DENY = `
    const deny = () => { throw Object.assign(new Error('Requires env access'), { name: 'NotCapable' }); };
    Object.defineProperty(process, 'report', { get: deny });
    // Node itself reads variables of its own while it loads a module.
    const ours = /^(PREBUILDS_ONLY|NATIVE_FILE_LOCK_PREBUILD)$/;
    process.env = new Proxy(process.env, { get: (env, name) => (ours.test(name) ? deny() : env[name]) });
    require('os').hostname = deny;`;

  test('gets the addon all the same, and its locks are recorded', () => {
    const { folder } = installPackage();
    expect(run(folder, { before: DENY })).toEqual({ supported: true, locked: true });
  });

  test('gets an error and not another one', () => {
    const installed = installPackage('none');
    expectUnsupported(installed, run(installed.folder, { before: DENY }), /Deno denies it/, /--allow-ffi/);
    // As if node-gyp-build had been allowed to read the first of them.
    const later = DENY.replace('PREBUILDS_ONLY|', '');
    const outcome = run(installed.folder, { before: later });
    expectUnsupported(installed, outcome, /there is none/, /Build one/);
  });
});
