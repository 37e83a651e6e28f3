import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { invalidArgument } from './errors.js';
import type { LockReport } from './holder/lock-holder.js';
import type { LockMechanism, LockMode } from './lock-mode.js';

/** How a {@link FileLock} locks its file. */
export interface FileLockOptions {
  /** Default `'exclusive'`. */
  mode?: LockMode | undefined;
  /** Longest wait in milliseconds, default 30,000. 0: exactly one attempt. `Infinity`: no limit. */
  timeout?: number | undefined;
  /** Default `'flock'`. */
  mechanism?: LockMechanism | undefined;
  /** Default true: missing parent directories of the lock file are created. */
  createParents?: boolean | undefined;
  /** Permissions of a lock file that is created, 0 to 0o777, default 0o600; the umask still applies. */
  fileMode?: number | undefined;
  /** Default false. True keeps the descriptor between acquisitions, for hot loops. */
  keepOpen?: boolean | undefined;
  /**
   * Default false. True writes who holds the lock into the lock file, for people and for noticing that
   * a holder ended without releasing: see `previousHolder` of the guard. Exclusive guards only.
   */
  recordHolder?: boolean | undefined;
}

/** The options of one acquisition. */
export interface AcquireOptions {
  /** The default is the lock's. */
  mode?: LockMode | undefined;
  /** Longest wait in milliseconds; the default is the lock's. */
  timeout?: number | undefined;
  /** Ends the wait, which then rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
  /**
   * Called once, when the wait has lasted 100 ms, with what `inspect()` says by then; never after the wait has
   * ended. What it throws is an uncaught exception.
   */
  onWait?: ((report: LockReport) => void) | undefined;
}

/** The options of one acquisition that blocks its thread. */
export interface AcquireSyncOptions {
  /** The default is the lock's. */
  mode?: LockMode | undefined;
  /** Longest wait in milliseconds; the default is the lock's. */
  timeout?: number | undefined;
  /** Not supported: nothing can abort a signal while its thread is blocked. */
  signal?: undefined;
  /** Not supported: nothing can be called while the thread is blocked. */
  onWait?: undefined;
}

/** The options of one attempt. */
export interface TryAcquireOptions {
  /** The default is the lock's. */
  mode?: LockMode | undefined;
  /** Not supported: an attempt does not wait. */
  timeout?: undefined;
  /** Not supported: an attempt does not wait. */
  signal?: undefined;
  /** Not supported: an attempt does not wait. */
  onWait?: undefined;
}

/** The names of the options of one kind, for {@link checkOptions}. The compiler sees that none is forgotten. */
export function optionNames<T>(names: Record<keyof T, true>): ReadonlySet<string> {
  return new Set(Object.keys(names));
}

export const FILE_LOCK_OPTIONS = optionNames<Required<FileLockOptions>>({
  mode: true,
  timeout: true,
  mechanism: true,
  createParents: true,
  fileMode: true,
  keepOpen: true,
  recordHolder: true,
});
/** Of every acquisition; those that one kind of it does not support are refused with {@link noMeaning}. */
export const ACQUIRE_OPTIONS = optionNames<Required<AcquireOptions>>({
  mode: true,
  timeout: true,
  signal: true,
  onWait: true,
});

export const DEFAULT_TIMEOUT = 30_000;
export const DEFAULT_FILE_MODE = 0o600;
/** Up to this edit distance from a known option, an unknown one is taken for a misspelling of it. */
const FARTHEST_SLIP = 2;

function show(value: unknown): string {
  return inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY });
}

/** The fewest insertions, deletions and replacements of characters that make one word of another (Levenshtein). */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [row, character] of [...from].entries()) {
    const current = [row + 1];
    for (let column = 1; column <= to.length; column++) {
      const replaced = (previous[column - 1] ?? 0) + (character === to[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}

function unknownOption(option: string, known: ReadonlySet<string>): TypeError {
  const distances = [...known].map((name) => ({ name, distance: editDistance(option, name) }));
  const [nearest] = distances.sort((a, b) => a.distance - b.distance);
  const hint =
    nearest !== undefined && nearest.distance <= FARTHEST_SLIP
      ? `Did you mean "${nearest.name}"?`
      : `The known options are ${[...known].join(', ')}.`;
  return invalidArgument('VALUE', `The ${JSON.stringify(option)} option is unknown. ${hint}`);
}

/** Throws a TypeError unless the options are an object whose own properties are all known, or undefined. */
export function checkOptions(options: unknown, known: ReadonlySet<string>): void {
  if (typeof options !== 'object' || options === null) {
    throw invalidArgument('TYPE', `The "options" argument must be an object. Received ${show(options)}`);
  }
  // Inherited ones too: `for in` is several times as fast as Object.keys(), and unknown ones are rare.
  for (const option in options) {
    if (known.has(option) || !Object.hasOwn(options, option)) continue;
    if ((options as Record<string, unknown>)[option] !== undefined) throw unknownOption(option, known);
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
  const mechanism = checkOneOf(value, 'mechanism', ['flock', 'fcntl'], 'flock');
  // Windows has one kind of lock, and so one queue.
  return process.platform === 'win32' ? 'flock' : mechanism;
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
  if (Number.isInteger(value) && value >= 0 && value <= 0o777) return value;
  const hint = /^[0-7]{3}$/.test(`${value}`) ? `: did you mean 0o${value}?` : '';
  throw invalidArgument('VALUE', `The "fileMode" option must be permission bits, 0 to 0o777. Received ${value}${hint}`);
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

/** For an option that a method cannot honour, and that it must not ignore: that would hide a bug of the caller. */
export function noMeaning(option: string, method: string): TypeError {
  return invalidArgument('VALUE', `The "${option}" option has no meaning for ${method}()`);
}

export function checkFunction(value: unknown, name: string): void {
  if (typeof value !== 'function') {
    throw invalidArgument('TYPE', `The "${name}" argument must be a function. Received ${show(value)}`);
  }
}

export function checkOnWait(value: unknown): AcquireOptions['onWait'] {
  if (value === undefined || typeof value === 'function') return value as AcquireOptions['onWait'];
  throw invalidArgument('TYPE', `The "onWait" option must be a function. Received ${show(value)}`);
}

/** The absolute path that a string or a file URL names. */
/** Whether a path of Windows names a stream of a file, whose lock would not meet that of the file. */
export function namesStream(absolute: string): boolean {
  return absolute.slice(path.win32.parse(absolute).root.length).includes(':');
}

export function checkPath(value: unknown, name: string): string {
  const text = value instanceof URL ? fileURLToPath(value) : value;
  if (typeof text !== 'string') {
    throw invalidArgument('TYPE', `The "${name}" argument must be a string or a file URL. Received ${show(value)}`);
  }
  if (text === '' || text.includes('\0')) {
    throw invalidArgument('VALUE', `The "${name}" argument must be a path without NUL bytes, and not empty`);
  }
  const resolved = path.resolve(text);
  if (process.platform === 'win32' && namesStream(resolved)) {
    throw invalidArgument('VALUE', `The "${name}" argument must be the path of a file, and not of one of its streams`);
  }
  return resolved;
}
