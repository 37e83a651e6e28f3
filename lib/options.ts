import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { invalidArgument } from './errors.js';

export type LockMode = 'exclusive' | 'shared';
export type LockMechanism = 'flock' | 'fcntl';

export interface FileLockOptions {
  /** Default `'exclusive'`. */
  mode?: LockMode | undefined;
  /** Longest wait in milliseconds, default 30,000. 0: exactly one attempt. `Infinity`: no limit. */
  timeout?: number | undefined;
  /**
   * Default `'flock'`: flock(2), as used by flock(1), Python, Go and Rust. `'fcntl'`: an
   * open-file-description lock over the whole file (fcntl_locking(2)). On Linux the two do not see
   * each other.
   */
  mechanism?: LockMechanism | undefined;
  /** Default true: makes the missing parent directories of the lock file. */
  createParents?: boolean | undefined;
  /** Permissions of a lock file that is made, default 0o600; the umask still applies. */
  fileMode?: number | undefined;
  /** Default false. True keeps the descriptor between acquisitions, for hot loops. */
  keepOpen?: boolean | undefined;
  /**
   * Default false. True writes who holds the lock into the lock file, for people and for noticing that
   * a holder ended without releasing: see `previousHolder` of the guard. Exclusive guards only.
   */
  recordHolder?: boolean | undefined;
}

export interface AcquireOptions {
  mode?: LockMode | undefined;
  /** Longest wait in milliseconds; the default is the lock's. */
  timeout?: number | undefined;
  /** Ends the wait; it then rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
}

export interface AcquireSyncOptions {
  mode?: LockMode | undefined;
  /** Longest wait in milliseconds; the default is the lock's. */
  timeout?: number | undefined;
  /** None: nothing can abort a signal while its thread is blocked. */
  signal?: undefined;
}

export interface TryAcquireOptions {
  mode?: LockMode | undefined;
  /** None: a try does not wait. */
  timeout?: undefined;
  signal?: undefined;
}

export const DEFAULT_TIMEOUT = 30_000;
export const DEFAULT_FILE_MODE = 0o600;

function show(value: unknown): string {
  return inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY });
}

export function checkObject(options: unknown, name = 'options'): void {
  if (typeof options !== 'object' || options === null) {
    throw invalidArgument('TYPE', `The "${name}" argument must be an object. Received ${show(options)}`);
  }
}

export function checkOneOf<T extends string>(value: unknown, name: string, allowed: readonly T[], otherwise: T): T {
  if (value === undefined) return otherwise;
  if (allowed.includes(value as T)) return value as T;
  const list = allowed.map((each) => `'${each}'`).join(' or ');
  throw invalidArgument('VALUE', `The "${name}" option must be ${list}. Received ${show(value)}`);
}

export function checkMode(value: unknown, otherwise: LockMode): LockMode {
  if (value === undefined) return otherwise;
  return checkOneOf(value, 'mode', ['exclusive', 'shared'], otherwise);
}

export function checkMechanism(value: unknown): LockMechanism {
  return checkOneOf(value, 'mechanism', ['flock', 'fcntl'], 'flock');
}

export function checkBoolean(value: unknown, name: string, otherwise: boolean): boolean {
  if (value === undefined) return otherwise;
  if (typeof value === 'boolean') return value;
  throw invalidArgument('TYPE', `The "${name}" option must be a boolean. Received ${show(value)}`);
}

/** A time in milliseconds: zero or more, or Infinity. */
export function checkMilliseconds(value: unknown, name: string, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (typeof value !== 'number') {
    throw invalidArgument('TYPE', `The "${name}" option must be a number of milliseconds. Received ${show(value)}`);
  }
  if (value >= 0) return value;
  throw invalidArgument('VALUE', `The "${name}" option must be 0 or more milliseconds, or Infinity. Received ${value}`);
}

export function checkFileMode(value: unknown): number {
  if (value === undefined) return DEFAULT_FILE_MODE;
  if (typeof value !== 'number') {
    throw invalidArgument('TYPE', `The "fileMode" option must be a number. Received ${show(value)}`);
  }
  if (Number.isInteger(value) && value >= 0 && value <= 0o7777) return value;
  throw invalidArgument('VALUE', `The "fileMode" option must be permission bits, 0 to 0o7777. Received ${value}`);
}

export function checkSignal(value: unknown): AbortSignal | undefined {
  if (value === undefined) return undefined;
  // By shape, since a signal may come from another realm.
  const signal = value as Partial<AbortSignal> | null;
  const methods = [signal?.addEventListener, signal?.removeEventListener];
  if (typeof signal?.aborted === 'boolean' && methods.every((method) => typeof method === 'function')) {
    return value as AbortSignal;
  }
  throw invalidArgument('TYPE', `The "signal" option must be an AbortSignal. Received ${show(value)}`);
}

/** For an option that a method cannot honour, and whose silent loss would hide a bug of the caller. */
export function noMeaning(option: string, method: string): TypeError {
  return invalidArgument('VALUE', `The "${option}" option has no meaning for ${method}()`);
}

export function checkFunction(value: unknown, name: string): void {
  if (typeof value !== 'function') {
    throw invalidArgument('TYPE', `The "${name}" argument must be a function. Received ${show(value)}`);
  }
}

/** The absolute path that a string or a file URL names. */
export function checkPath(value: unknown, name: string): string {
  const text = value instanceof URL ? fileURLToPath(value) : value;
  if (typeof text !== 'string') {
    throw invalidArgument('TYPE', `The "${name}" argument must be a string or a file URL. Received ${show(value)}`);
  }
  if (text === '' || text.includes('\0')) {
    throw invalidArgument('VALUE', `The "${name}" argument must be a path without NUL bytes, and not empty`);
  }
  return path.resolve(text);
}
