import { constants } from 'node:os';
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
 * Why a lock could not be had. `code` is the operating system's (`EACCES`, `ENOLCK`, `EMFILE`, …,
 * then with `syscall` and a negative `errno`, as in Node's own errors) or one of `ERR_LOCK_TIMEOUT`,
 * `ERR_LOCK_CLOSED`, `ERR_LOCK_UNSUPPORTED` and `ERR_LOCK_NOT_A_FILE`.
 */
export class LockError extends Error {
  static {
    LockError.prototype.name = 'LockError';
  }

  readonly code: string;
  /** The absolute path of the lock file. */
  readonly path: string;
  readonly syscall?: string;
  readonly errno?: number;

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

/** One phrase for an error message; whatever it says is safe to print on a terminal. */
function describeHolder(holder: LockHolder): string {
  if (holder.thisProcess) return `this process itself (pid ${holder.pid})`;
  const since = holder.acquiredAt === null ? '' : ` since ${holder.acquiredAt.toISOString()}`;
  const state =
    holder.running === null
      ? `on host ${escapeControls(holder.hostname)}, not visible from here`
      : holder.running
        ? 'which is running'
        : 'which has ended';
  return `process ${holder.pid} (${escapeControls(holder.command)})${since}, ${state}`;
}

/** The lock was held by somebody else for the whole of `timeout`. */
export class LockTimeoutError extends LockError {
  static {
    LockTimeoutError.prototype.name = 'LockTimeoutError';
  }

  declare readonly code: 'ERR_LOCK_TIMEOUT';
  /** How long was waited, in milliseconds. */
  readonly timeout: number;
  /** Who held the lock when the time was over, as far as can be told from here. */
  readonly holder: LockHolder | null;

  /** @internal */
  constructor(path: string, exclusive: boolean, timeout: number, holder: LockHolder | null) {
    const mode = exclusive ? 'an exclusive' : 'a shared';
    const wait =
      timeout === 0
        ? `Could not take ${mode} lock on '${path}' at once`
        : `Timed out after ${timeout} ms waiting for ${mode} lock on '${path}'`;
    const who = holder === null ? 'the holder cannot be told from here' : `held by ${describeHolder(holder)}`;
    super(`${wait}: ${who}`, { code: 'ERR_LOCK_TIMEOUT', path });
    this.timeout = timeout;
    this.holder = holder;
  }
}

/** The error for a system call that failed with the (positive) number `errno`. */
export function systemError(syscall: string, errno: number, path: string, message?: string): LockError {
  // libuv knows the errors of its own calls: not ENOLCK, ESTALE nor EDEADLK.
  const known = getSystemErrorMap().get(-errno);
  const code = known?.[0] ?? Object.entries(constants.errno).find(([, number]) => number === errno)?.[0] ?? `E${errno}`;
  const description = known?.[1] ?? 'the system says no more than that';
  const fields = { code, errno: -errno, syscall, path };
  const cause = Object.assign(new Error(`${code}: ${description}, ${syscall} '${path}'`), fields);
  return new LockError(message ?? `Cannot lock '${path}': ${description} (${code}, ${syscall})`, { ...fields, cause });
}

/** The error for a thread that would wait for itself. */
export function deadlock(syscall: string, path: string): LockError {
  const message = `Waiting for '${path}' would never end: this thread holds the lock itself, and cannot release it while it waits`;
  return systemError(syscall, constants.errno.EDEADLK, path, message);
}

/** The error for a FIFO, a socket or a device at the path. */
export function notAFile(path: string): LockError {
  return new LockError(`Cannot lock '${path}': it is not a regular file`, { code: 'ERR_LOCK_NOT_A_FILE', path });
}

/** The error for a failed call of `node:fs` on the way to the lock. */
export function fromFileSystemError(cause: NodeJS.ErrnoException, path: string): LockError {
  return new LockError(`Cannot lock '${path}': ${cause.message}`, {
    code: cause.code ?? 'ERR_LOCK_UNSUPPORTED',
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
