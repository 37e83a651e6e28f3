import { readFileSync } from 'node:fs';
import path from 'node:path';
import { LockError } from './errors.js';

/**
 * The addon. Throws `ERR_LOCK_UNSUPPORTED`, with the reason and what to do about it, where it cannot be loaded.
 *
 * Before it loads anything, node-gyp-build reads /etc/alpine-release, to tell the C library, and environment
 * variables. Node's permission model and Deno deny that even where the addon itself may be loaded. Then the
 * published binary is loaded directly, since it serves both C libraries; and not by `require`, whose argument
 * a bundler would try to resolve.
 */
export function loadAddon(lockPath: string): unknown {
  try {
    // Bundlers and file tracers find the binary by this very expression.
    return require('node-gyp-build')(path.join(__dirname, '..'));
  } catch (error) {
    return loadPrebuilt(lockPath, error);
  }
}

const TARGET = `${process.platform}-${process.arch}`;
const PREBUILT = `prebuilds/${TARGET}/native-file-lock.node`;

function loadPrebuilt(lockPath: string, error: unknown): unknown {
  const root = packageRoot();
  const addon = { exports: {} };
  let cause = error;
  if (root !== '') {
    try {
      process.dlopen(addon, path.join(root, PREBUILT));
      return addon.exports;
    } catch (secondError) {
      if (!isMissing(secondError)) cause = secondError;
    }
  }
  throw new LockError(explain(cause, root), { code: 'ERR_LOCK_UNSUPPORTED', path: lockPath, cause });
}

/** The errors of a runtime, of a loader and of node-gyp-build. */
interface LoadError {
  name?: string;
  code?: string;
  message?: string;
  resource?: string;
}

/** Empty where there is no `__dirname`: in a bundle that was made an ES module. */
function packageRoot(): string {
  return typeof __dirname === 'string' ? path.join(__dirname, '..') : '';
}

function isMissing(error: unknown): boolean {
  const { code, message = '' } = error as LoadError;
  return code === 'MODULE_NOT_FOUND' || /^No native build was found|no such file/i.test(message);
}

/** Why the addon could not be loaded, and what to do. Never throws, whatever the runtime denies. */
function explain(error: unknown, root: string): string {
  const { name, code, message = String(error), resource } = error as LoadError;
  const because = `Cannot load the native addon of native-file-lock for ${TARGET}`;
  if (code === 'ERR_DLOPEN_DISABLED') {
    return (
      `${because}: Node.js was told to load no addons. Start it without --no-addons or, with its permission model, ` +
      `with --allow-addons and --allow-fs-read for ${root} and for the lock files.`
    );
  }
  if (code === 'ERR_ACCESS_DENIED') {
    return `${because}: the permission model of Node.js denies it to read ${resource}. Add --allow-fs-read=${resource || root}.`;
  }
  if (name === 'NotCapable') {
    return `${because}: Deno denies it (${message}). Add --allow-ffi, and --allow-read and --allow-write for the lock files.`;
  }
  if (isMissing(error) || name === 'ReferenceError')
    return isBundled(root) ? explainBundle(because, root) : explainMissing(because, root);
  if (/permission denied|not permitted|failed to map segment|EACCES|EPERM/i.test(message)) {
    return (
      `${because}: permission denied (${message}). The file must be readable, and its file system must not be mounted ` +
      'noexec: install the package elsewhere, or change that.'
    );
  }
  return (
    `${because}: ${message}. The file is damaged, or made for another machine or C library: install the package again ` +
    'on this machine, and remove build/Release if it was built elsewhere.'
  );
}

/** Whether this file is not where it was installed: then it is part of a bundle. */
function isBundled(root: string): boolean {
  try {
    return (JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as LoadError).name !== 'native-file-lock';
  } catch (error) {
    const { code } = error as LoadError;
    return root === '' || code === 'ENOENT' || code === 'ENOTDIR';
  }
}

function explainBundle(because: string, root: string): string {
  return (
    `${because}: its JavaScript was bundled, and its binary is not beside the bundle. Mark the package native-file-lock ` +
    `as external, or copy its folder prebuilds into ${root === '' ? 'the folder above that of a CommonJS bundle' : root}.`
  );
}

function explainMissing(because: string, root: string): string {
  const folder = orElse(() => process.env.NATIVE_FILE_LOCK_PREBUILD, undefined) ?? root;
  const version = orElse(() => (require('../package.json') as { version: string }).version, '…');
  return (
    `${because}${orElse(libc, '')}: there is none. Looked for build/Release/*.node and ${PREBUILT} in ${folder}. Build ` +
    `one: clone the repository at tag v${version}, run \`npm ci && npm run prebuild\` there, and set ` +
    'NATIVE_FILE_LOCK_PREBUILD to its folder.'
  );
}

function libc(): string {
  if (process.platform !== 'linux') return '';
  const report = process.report?.getReport?.() as { header?: { glibcVersionRuntime?: string } } | undefined;
  const glibc = report?.header?.glibcVersionRuntime;
  return glibc === undefined ? ' without glibc' : ` with glibc ${glibc}`;
}

function orElse<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
