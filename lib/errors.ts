import { lstatSync } from 'node:fs';
import { getSystemErrorMap } from 'node:util';
import type { LockHolder } from './holder/lock-holder.js';

interface LockErrorFields {
  code: string;
  path: string;
  syscall?: string;
  errno?: number;
  cause?: unknown;
}

/**
 * A lock that could not be acquired, or that was lost. `code` is the operating system's (`EACCES`, `ENOLCK`,
 * `EMFILE`, …), with `syscall` and a negative `errno` as in Node's own errors, or one of:
 *
 * - `ERR_LOCK_TIMEOUT`: a {@link LockTimeoutError}.
 * - `ERR_LOCK_CLOSED`: the manager that was asked is closed.
 * - `ERR_LOCK_LOST`: the guard was released, or its path no longer names the locked file.
 * - `ERR_LOCK_NOT_A_FILE`: the path names a FIFO, a socket or a device.
 * - `ERR_LOCK_UNSUPPORTED`: the native addon could not be loaded; `cause` and the message say why.
 */
export class LockError extends Error {
  static {
    LockError.prototype.name = 'LockError';
  }

  /** What went wrong, see {@link LockError}. */
  readonly code: string;
  /** The absolute path of the lock file. */
  readonly path: string;
  /** The system call that failed, if one did. */
  declare readonly syscall?: string;
  /** The negative error number of that system call. */
  declare readonly errno?: number;

  /** @internal */
  constructor(message: string, fields: LockErrorFields) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.code = fields.code;
    this.path = fields.path;
    if (fields.syscall !== undefined) this.syscall = fields.syscall;
    if (fields.errno !== undefined) this.errno = fields.errno;
  }
}

function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}

/** The holder in an error message, safe to print on a terminal. */
function describeHolder(holder: LockHolder): string {
  if (holder.thisProcess) return 'this process (locks are not re-entrant)';
  const since = holder.acquiredAt === null ? '' : ` since ${holder.acquiredAt.toISOString()}`;
  const state =
    holder.running === null
      ? `${holder.hostname === '' ? '' : `on host ${escapeControls(holder.hostname)}, `}not visible from here`
      : holder.running
        ? 'which is running'
        : 'which has ended';
  return `process ${holder.pid} (${escapeControls(holder.command)})${since}, ${state}`;
}

/** An object with a stack of `Error.captureStackTrace`, which is formatted when it is first read. */
interface CallSite {
  stack?: string;
}

/** `timeout` passed, and the lock was still held. */
export class LockTimeoutError extends LockError {
  static {
    LockTimeoutError.prototype.name = 'LockTimeoutError';
  }

  /** `'ERR_LOCK_TIMEOUT'`. */
  declare readonly code: 'ERR_LOCK_TIMEOUT';
  /** The timeout of the wait, in milliseconds. */
  readonly timeout: number;
  /** Who held the lock when the wait ended; null when that is unknown. */
  readonly holder: LockHolder | null;

  /** @internal `callSite`: where the wait began. This error is made later, when nothing of the caller is on the stack. */
  constructor(path: string, exclusive: boolean, timeout: number, holder: LockHolder | null, callSite?: CallSite) {
    const mode = exclusive ? 'an exclusive' : 'a shared';
    const wait =
      timeout === 0
        ? `Could not take ${mode} lock on '${path}' at once`
        : `Timed out after ${timeout} ms waiting for ${mode} lock on '${path}'`;
    const who = holder === null ? 'the holder is unknown' : `held by ${describeHolder(holder)}`;
    super(`${wait}: ${who}`, { code: 'ERR_LOCK_TIMEOUT', path });
    this.timeout = timeout;
    this.holder = holder;
    if (callSite !== undefined && Object.hasOwn(callSite, 'stack')) showCallSite(this, callSite);
  }
}

/**
 * Replaces the stack of an error by its name and message and the frames of `callSite`. They are formatted when
 * they are read: 10,000 stacks at once would take more than 100 ms. The property is deleted first, since V8 in
 * Node 20 takes three times as long to redefine it.
 */
function showCallSite(error: Error, callSite: CallSite): void {
  delete error.stack;
  Object.defineProperty(error, 'stack', {
    configurable: true,
    get: () => `${error.name}: ${error.message}${framesOf(callSite)}`,
    set: (value) => Object.defineProperty(error, 'stack', { value, configurable: true, writable: true }),
  });
}

/** The lines after the first; none where the program has set `Error.prepareStackTrace` and makes something else. */
function framesOf({ stack }: CallSite): string {
  return typeof stack === 'string' && stack.includes('\n') ? stack.slice(stack.indexOf('\n')) : '';
}

/** The errors of locking that libuv has no text for. The texts are those of POSIX. */
const DESCRIPTIONS: Record<string, string> = {
  EDEADLK: 'resource deadlock would occur',
  EDQUOT: 'disk quota exceeded',
  ENOLCK: 'no locks available',
  ESTALE: 'stale file handle',
};

/** Neither libuv nor the C library has a number for it there; as in native/windows/errors.cc. */
const ESTALE_OF_WINDOWS = 116;

/** By name, positive. Loaded with the first error: at import it would cost every program 0.3 ms. */
function errorNumbers(): Record<string, number> {
  return (require('node:os') as typeof import('node:os')).constants.errno as unknown as Record<string, number>;
}

/** The name and the text of an error number. */
function describeErrno(errno: number): { code: string; description: string } {
  const known = getSystemErrorMap().get(-errno);
  const named = Object.entries(errorNumbers()).find(([, number]) => number === errno)?.[0];
  const code = known?.[0] ?? named ?? (errno === ESTALE_OF_WINDOWS ? 'ESTALE' : `E${errno}`);
  return { code, description: known?.[1] ?? DESCRIPTIONS[code] ?? 'unknown error' };
}

/** Where an error comes from, in parentheses. */
function origin(code: string, syscall: string | undefined): string {
  return syscall ? `(${code}, ${syscall})` : `(${code})`;
}

/** For the message of an EACCES: what to do where the lock file is another user's; else empty. */
function ownerHint(code: string, syscall: string, path: string): string {
  if (code !== 'EACCES' || syscall !== 'open') return '';
  try {
    const { uid, mode } = lstatSync(path);
    if (uid === process.geteuid?.()) return '';
    const permissions = (mode & 0o777).toString(8).padStart(3, '0');
    return (
      `. The file belongs to user ${uid} and has mode 0${permissions}: to share a lock between users, create its file ` +
      'with the fileMode option (0o666, for example) and a umask that allows it'
    );
  } catch {
    return ''; // its directory may not be searched, or the permissions of the runtime hide who we are
  }
}

/** The error for a system call that failed with the (positive) number `errno`. */
export function systemError(syscall: string, errno: number, path: string, message?: string): LockError {
  const { code, description } = describeErrno(errno);
  const fields = { code, errno: -errno, syscall, path };
  const cause = Object.assign(new Error(`${code}: ${description}, ${syscall} '${path}'`), fields);
  const text =
    message ?? `Cannot lock '${path}': ${description} (${code}, ${syscall})${ownerHint(code, syscall, path)}`;
  return new LockError(text, { ...fields, cause });
}

/** The message of the warning for a file whose unlocking has failed with `error`, and that was closed instead. */
export function unlockWarning({ code, errno = 0, syscall, path }: LockError): string {
  const { description } = describeErrno(-errno);
  return `Could not unlock '${path}': ${description} ${origin(code, syscall)}. The file was closed instead, which frees the lock too`;
}

/** The error for a path that names another file at every look. */
export function replacedTooOften(path: string): LockError {
  return systemError('stat', errorNumbers().ESTALE ?? ESTALE_OF_WINDOWS, path);
}

/** The error for a thread that would wait for itself. */
export function deadlock(syscall: string, path: string): LockError {
  const message =
    `Waiting for the lock on '${path}' would never end: this thread holds it, and cannot release it while it waits ` +
    '(locks are not re-entrant)';
  return systemError(syscall, errorNumbers().EDEADLK as number, path, message);
}

/** The error for a guard whose path no longer names the file that it has locked. */
export function lockLost(path: string, cause?: unknown): LockError {
  const message =
    `Lost the lock on '${path}': the path no longer names the locked file, so another process may hold the lock too. ` +
    'Stop the work that it protects, release this guard and acquire the lock again; a lock file that is held must not ' +
    'be removed or replaced';
  return new LockError(message, { code: 'ERR_LOCK_LOST', path, cause });
}

/** The error of `verify()` after the release. */
export function lockReleased(path: string): LockError {
  return new LockError(`The lock on '${path}' is no longer held: this guard was released`, {
    code: 'ERR_LOCK_LOST',
    path,
  });
}

/** The error for a FIFO, a socket or a device at the path. */
export function notAFile(path: string): LockError {
  return new LockError(`Cannot lock '${path}': it is not a regular file`, { code: 'ERR_LOCK_NOT_A_FILE', path });
}

/** The error for a failed call of `node:fs` on the way to the lock. @internal */
export function fromFileSystemError(cause: NodeJS.ErrnoException, path: string): LockError {
  return new LockError(`Cannot lock '${path}': ${cause.message}`, {
    // Node has no name for some: "Unknown system error -116".
    code: cause.errno === undefined ? (cause.code ?? 'ERR_LOCK_UNSUPPORTED') : describeErrno(-cause.errno).code,
    path,
    cause,
    ...(cause.syscall === undefined ? {} : { syscall: cause.syscall }),
    ...(cause.errno === undefined ? {} : { errno: cause.errno }),
  });
}

/** A `TypeError` as Node's own functions throw it. */
export function invalidArgument(kind: 'TYPE' | 'VALUE', message: string): TypeError {
  const code = `ERR_INVALID_ARG_${kind}`;
  const error = Object.assign(new TypeError(message), { code });
  error.stack = error.stack?.replace('TypeError', `TypeError [${code}]`) ?? '';
  return error;
}
