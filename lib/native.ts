import path from 'node:path';
import { loadAddon } from './addon-loader.js';
import { type LockError, notAFile, systemError } from './errors.js';

/** As in native/system/open_file.h. */
export const HOLDINGS = ['none', 'shared', 'exclusive', 'unknown'] as const;

/** A negative number is a failure; see {@link failure}. */
type Result = number;

/** How an attempt or a wait ended, as in native/lock_file.h. Negative numbers are failures. */
export const BUSY = 0;
export const GRANTED = 1;
export const REPLACED = 2;
export const TIMED_OUT = 3;
/** Granted, but the record could not be written. */
export const UNRECORDED = 6;

/**
 * The addon, described in native/boundary/environment.h. An open file is known by its handle, a small
 * integer; every outcome but {@link BUSY}, {@link GRANTED} and {@link UNRECORDED} closes the file.
 */
export interface Native {
  open(path: string, permissions: number, mechanism: number, mustWrite: boolean, createParents: boolean): Result;
  /** Whether the file is on a server. */
  isOnNetwork(handle: number): boolean;
  isWritable(handle: number): boolean;
  tryLock(handle: number, exclusive: boolean): Result;
  /** Whether the path of a locked file still names it: {@link GRANTED} or {@link REPLACED}. */
  confirm(handle: number): Result;
  /** The same, and whether the descriptor is still this file's; a failure if the check fails. Closes nothing. */
  verify(handle: number): Result;
  /** The descriptor of a locked file; -1 where the system has none. */
  descriptor(handle: number): number;
  /** How a file is locked, for what there is no table of the kernel: one of {@link HOLDINGS} by its index, or a failure. */
  lookAtLock(path: string): Result;
  waitHere(handle: number, exclusive: boolean, milliseconds: number): Result;
  conflictsWithOwn(handle: number, exclusive: boolean): boolean;
  isSameLock(wait: number, handle: number): boolean;
  /** False: no thread can be started, and {@link pollWaits} must be called every 10 ms. */
  startWait(handle: number, exclusive: boolean, milliseconds: number): boolean;
  /** A handle without a file, for one of the next five: what can block, done by a thread. */
  reserve(): number;
  startOpening(
    handle: number,
    exclusive: boolean,
    milliseconds: number,
    readsRecord: boolean,
    path: string,
    permissions: number,
    mechanism: number,
    mustWrite: boolean,
    createParents: boolean,
  ): boolean;
  startRecord(handle: number, bytes: Buffer, undo: Buffer): boolean;
  startVerify(handle: number, locked: number): boolean;
  startInspect(handle: number, path: string): boolean;
  startReadAll(handle: number, path: string): boolean;
  cancelWait(handle: number): Result;
  /** Tries each polled wait once. True: call it again. */
  pollWaits(): boolean;
  unlock(handle: number): Result;
  close(handle: number): Result;
  /** Returns the number of bytes that were read. */
  read(handle: number, buffer: Buffer, position: number): Result;
  /** Writes at the start of the file. Returns the number of bytes that were written. */
  write(handle: number, buffer: Buffer, length: number): Result;
  /** A handle of its own kind, for {@link removeStale}. */
  openDirectory(path: string): Result;
  closeDirectory(directory: number): void;
  /** Returns how many of the removed file's first bytes are in the buffer; -1 if it was not removed. See native/stale_lock.h. */
  removeStale(
    directory: number,
    subdirectory: string,
    name: string,
    maxAge: number,
    dryRun: boolean,
    buffer: Buffer,
  ): Result;
  /** When a process was started (0: this one), in a unit of the system's own; -1n: it has ended, -2n: that cannot be told. */
  lookAtProcess(pid: number): bigint;
  /** Its arguments, each with a NUL behind it, or the path of its executable; empty where that cannot be told. */
  commandOfProcess(pid: number): string;
  /** What distinguishes this boot of this machine from every other. */
  bootIdentity(): string;
  /** Microseconds since 1970, whole. */
  wallClock(): number;
  /** Sleeps for about 0.1 ms, unless `milliseconds` have passed since `since`, a time of {@link lastRelease}. */
  yieldLock(since: number, milliseconds: number): void;
  /** One number, the time of the last `unlock`, `close` or `confirm`: monotonic, milliseconds. */
  readonly lastRelease: Float64Array;
  /** The callback returns true: where the thread is ending it is not run, and a record is taken back. */
  onWaitEnded(callback: (handle: number, outcome: Result, content: Buffer | undefined) => true): void;
  keepAlive(alive: boolean): void;
  /** Kept here by lib/kernel-waits.ts. */
  waits?: unknown;
}

// As in native/os.h and native/boundary/environment.cc.
const SYSCALLS = ['', 'open', 'fstat', 'fcntl', 'flock', 'stat', 'read', 'write', 'unlink', 'mkdir'];
const ERRNO_LIMIT = 4096;
const NOT_A_FILE = -1;

/** A path as the addon takes it: on Windows the form without a limit of 260 characters; elsewhere the path itself. */
export const toNativePath = path.toNamespacedPath;

let loaded: Native | undefined;

/** The addon, loaded at first use. Throws `ERR_LOCK_UNSUPPORTED` where there is none. */
export function loadNative(lockPath: string): Native {
  if (loaded !== undefined) return loaded;
  loaded = loadAddon(lockPath) as Native;
  return loaded;
}

/** Whether the file holds the lock. */
export function holdsLock(outcome: Result): boolean {
  return outcome === GRANTED || outcome === UNRECORDED;
}

/** The error that a negative result stands for. */
export function failure(result: Result, lockPath: string): LockError {
  if (result === NOT_A_FILE) return notAFile(lockPath);
  const syscall = SYSCALLS[Math.floor(-result / ERRNO_LIMIT)] ?? '';
  return systemError(syscall, -result % ERRNO_LIMIT, lockPath);
}
