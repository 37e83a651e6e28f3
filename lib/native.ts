import { loadAddon } from './addon-loader.js';
import { type LockError, notAFile, systemError } from './errors.js';

/** A negative number is a failure; see {@link failure}. */
type Result = number;

/** How an attempt or a wait ended, as in native/lock_file.h. Negative numbers are failures. */
export const BUSY = 0;
export const GRANTED = 1;
export const REPLACED = 2;
export const TIMED_OUT = 3;

/**
 * The addon, described in native/addon.cc. A file is known by its handle, a small integer, which is
 * gone after every outcome but {@link BUSY} and {@link GRANTED}.
 */
export interface Native {
  open(path: string, permissions: number, mechanism: number, mustWrite: boolean): Result;
  isWritable(handle: number): boolean;
  tryLock(handle: number, exclusive: boolean): Result;
  /**
   * The same for many at once, each given as twice its handle, plus 1 if exclusive. All handles stay, whatever
   * the outcome. How many of the results are not {@link BUSY}.
   */
  tryEach(attempts: Int32Array, results: Int32Array): number;
  /** Whether the path of a locked file still names it: {@link GRANTED} or {@link REPLACED}. */
  confirm(handle: number): Result;
  waitHere(handle: number, exclusive: boolean, milliseconds: number): Result;
  ownLockBars(handle: number, exclusive: boolean): boolean;
  contend(wait: number, handle: number): boolean;
  startWait(handle: number, exclusive: boolean, milliseconds: number): boolean;
  cancelWait(handle: number): Result;
  unlock(handle: number): Result;
  close(handle: number): Result;
  /** How many of the file's first bytes are in the buffer now. */
  read(handle: number, buffer: Buffer): Result;
  /** How many bytes of the buffer were written at the file's start. */
  write(handle: number, buffer: Buffer, length: number): Result;
  /** How many of the removed file's first bytes are in the buffer; -1 if it was left alone. See native/stale_lock.h. */
  removeStale(
    directory: number,
    subdirectory: string,
    name: string,
    maxAge: number,
    dryRun: boolean,
    buffer: Buffer,
  ): Result;
  /** Microseconds since 1970, whole. */
  wallClock(): number;
  /** Sleeps as short as can be, which is about 0.1 ms, unless so long has passed since a time of {@link lastRelease}. */
  leaveFree(since: number, milliseconds: number): void;
  /** One number, the time of the last `unlock`, `close` or `confirm`: monotonic, milliseconds. */
  readonly lastRelease: Float64Array;
  onWaitEnded(callback: (handle: number, outcome: Result) => void): void;
  keepAlive(alive: boolean): void;
  /** Kept here by lib/kernel-waits.ts. */
  waits?: unknown;
}

// As in native/os.h and native/addon.cc.
const SYSCALLS = ['', 'open', 'fstat', 'fcntl', 'flock', 'timer_create', 'read', 'write', 'unlink'];
const ERRNO_LIMIT = 4096;
const NOT_A_FILE = -1;

let loaded: Native | undefined;

/** The addon, loaded at first use. Throws `ERR_LOCK_UNSUPPORTED` where there is none. */
export function loadNative(lockPath: string): Native {
  if (loaded !== undefined) return loaded;
  loaded = loadAddon(lockPath) as Native;
  return loaded;
}

/** Whether a wait failed only because no thread could wait: then it has to be polled. */
export function cannotWait(result: Result): boolean {
  return SYSCALLS[Math.floor(-result / ERRNO_LIMIT)] === 'timer_create';
}

/** The error that a negative result stands for. */
export function failure(result: Result, lockPath: string): LockError {
  if (result === NOT_A_FILE) return notAFile(lockPath);
  const syscall = SYSCALLS[Math.floor(-result / ERRNO_LIMIT)] ?? '';
  return systemError(syscall, -result % ERRNO_LIMIT, lockPath);
}
