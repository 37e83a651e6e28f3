import path from 'node:path';
import { LockError, LockTimeoutError } from '../errors.js';
import { FileLock, type ManagedBy } from '../file-lock.js';
import type { JobLockGuard, LockGuard, NewGuard } from '../guard/lock-guard.js';
import type { LockReport } from '../holder/lock-holder.js';
import type { LockMechanism } from '../lock-mode.js';
import {
  ACQUIRE_OPTIONS,
  type AcquireOptions,
  type AcquireSyncOptions,
  checkBoolean,
  checkFileMode,
  checkFunction,
  checkMechanism,
  checkMilliseconds,
  checkOptions,
  checkPath,
  checkSignal,
  DEFAULT_TIMEOUT,
  type FileLockOptions,
  optionNames,
  type TryAcquireOptions,
} from '../options.js';
import { checkJobId, INDEX_LOCK, jobLockPath } from './job-path.js';
import type { ManagedGuard, ManagedGuards, ManagedJobGuard } from './managed-guards.js';
import type { StaleLock } from './stale-locks.js';

/** How a {@link JobLockManager} locks the files of its jobs. */
export interface JobLockManagerOptions {
  /** Longest wait in milliseconds, default 30,000. 0: exactly one attempt. `Infinity`: no limit. */
  timeout?: number | undefined;
  /** Default `'flock'`, as in the Python module `logist`; with `'fcntl'` the two do not exclude each other. */
  mechanism?: LockMechanism | undefined;
  /** Permissions of a lock file that is created, 0 to 0o777, default 0o600; the umask still applies. */
  fileMode?: number | undefined;
  /** Default true: writes who holds a lock into its file, see `previousHolder` of the guard. */
  recordHolder?: boolean | undefined;
}

/** What {@link JobLockManager.cleanupStaleLocks} removes. */
export interface CleanupOptions {
  /** Only lock files that were last modified longer ago than this (milliseconds); default 3,600,000, one hour. */
  maxAge?: number | undefined;
  /** Default false. True removes nothing, and reports what would be removed. */
  dryRun?: boolean | undefined;
  /** Ends the clean-up, which then rejects with `signal.reason`; what it has removed by then stays removed. */
  signal?: AbortSignal | undefined;
}

const MANAGER_OPTIONS = optionNames<Required<JobLockManagerOptions>>({
  timeout: true,
  mechanism: true,
  fileMode: true,
  recordHolder: true,
});
const CLEANUP_OPTIONS = optionNames<Required<CleanupOptions>>({ maxAge: true, dryRun: true, signal: true });
const DEFAULT_MAX_AGE = 3_600_000;
const NO_OPTIONS = {};

function loadGuards(): typeof import('./managed-guards.js') {
  return require('./managed-guards.js') as typeof import('./managed-guards.js');
}

/** Delivers the guard as the very last step; rejects if the manager was closed since the grant. */
function delivered<G extends ManagedGuard>(acquire: () => Promise<LockGuard>): Promise<G> {
  const start = async () => acquire(); // what is thrown becomes a rejection
  return start().then((guard) => (guard as G).deliver());
}

/**
 * The locks of the jobs in one directory: `<jobsDirectory>/<jobId>/.lock`, and that of the jobs index,
 * `<jobsDirectory>/.jobs_index.lock`. A job id is one segment of a path: not empty, no slash, backslash
 * or NUL, not begun with a dot, at most 255 bytes; anything else is a `TypeError`, and nothing is created.
 *
 * A manager keeps track of its guards until they are released, directly or by the manager. They outlive it
 * only if it is garbage collected without {@link close}.
 */
export class JobLockManager implements Disposable {
  /** The absolute path of the jobs directory. It is created with the first lock. */
  readonly jobsDirectory: string;
  readonly #options: FileLockOptions;
  readonly #closing = new AbortController();
  /** Made with the first lock, since the guards are loaded then. */
  #guards: ManagedGuards | undefined;

  /**
   * Touches no file: the directory is created with the first lock.
   * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE`
   */
  constructor(jobsDirectory: string | URL, options: JobLockManagerOptions = NO_OPTIONS) {
    checkOptions(options, MANAGER_OPTIONS);
    this.jobsDirectory = checkPath(jobsDirectory, 'jobsDirectory');
    this.#options = {
      timeout: checkMilliseconds(options.timeout, 'timeout', DEFAULT_TIMEOUT),
      mechanism: checkMechanism(options.mechanism),
      fileMode: checkFileMode(options.fileMode),
      recordHolder: checkBoolean(options.recordHolder, 'recordHolder', true),
    };
  }

  /**
   * Waits for the lock of a job, and creates its directory. Rejects as `FileLock.acquire` does, and with
   * `ERR_LOCK_CLOSED` when the manager is closed.
   */
  lockJobDirectory(jobId: string, options: AcquireOptions = NO_OPTIONS): Promise<JobLockGuard> {
    return delivered<ManagedJobGuard>(() => this.#jobLock(jobId).acquire(options));
  }

  /** The same, blocking this thread. Throws as `FileLock.acquireSync` does. */
  lockJobDirectorySync(jobId: string, options: AcquireSyncOptions = NO_OPTIONS): JobLockGuard {
    return (this.#jobLock(jobId).acquireSync(options) as ManagedJobGuard).deliver();
  }

  /** Takes the lock of a job if it is free, and otherwise returns null. Never waits. */
  tryLockJobDirectory(jobId: string, options: TryAcquireOptions = NO_OPTIONS): JobLockGuard | null {
    const guard = this.#jobLock(jobId).tryAcquire(options) as ManagedJobGuard | null;
    return guard === null ? null : guard.deliver();
  }

  /**
   * Releases what this manager holds of a job; false when that is nothing. A lock whose caller does not have it
   * yet is not affected.
   */
  unlockJobDirectory(jobId: string): boolean {
    checkJobId(jobId);
    const guards = this.#guards?.of(jobId) ?? [];
    for (const guard of guards) guard.release();
    return guards.length > 0;
  }

  /** Whether this manager holds the lock of a job. See {@link inspectJob} for other processes. */
  isJobLocked(jobId: string): boolean {
    checkJobId(jobId);
    return this.#guards !== undefined && this.#guards.of(jobId).length > 0;
  }

  /** Runs `fn` while holding the lock of a job: see `FileLock.withLock`. */
  async jobLock<T>(
    jobId: string,
    fn: (guard: JobLockGuard) => T | PromiseLike<T>,
    options: AcquireOptions = NO_OPTIONS,
  ): Promise<T> {
    checkFunction(fn, 'fn');
    return this.#jobLock(jobId).withLock((guard) => fn(guard as ManagedJobGuard), options);
  }

  /** Waits for the lock of the jobs index. Rejects as {@link lockJobDirectory} does. */
  lockJobsIndex(options: AcquireOptions = NO_OPTIONS): Promise<LockGuard> {
    return delivered<ManagedGuard>(() => this.#indexLock().acquire(options));
  }

  /** Runs `fn` while holding the lock of the jobs index: see `FileLock.withLock`. */
  async jobsIndexLock<T>(
    fn: (guard: LockGuard) => T | PromiseLike<T>,
    options: AcquireOptions = NO_OPTIONS,
  ): Promise<T> {
    return this.#indexLock().withLock(fn, options);
  }

  /** Who holds the lock of a job, whichever process that is. See `FileLock.inspect`. */
  inspectJob(jobId: string): LockReport {
    return new FileLock(jobLockPath(this.jobsDirectory, checkJobId(jobId)), this.#options).inspect();
  }

  /**
   * Removes the lock files that nobody holds and that were not modified for `maxAge`, and reports which of
   * them were abandoned. Never removes a file that is locked, whatever its age. Job directories stay.
   *
   * Not to be used beside programs that lock these files without comparing inodes after the grant
   * (flock(1), Python, Go): one that already waits may get in on the removed file.
   */
  async cleanupStaleLocks(options: CleanupOptions = NO_OPTIONS): Promise<StaleLock[]> {
    checkOptions(options, CLEANUP_OPTIONS);
    const maxAge = checkMilliseconds(options.maxAge, 'maxAge', DEFAULT_MAX_AGE);
    const dryRun = checkBoolean(options.dryRun, 'dryRun', false);
    const signal = checkSignal(options.signal);
    this.#checkOpen();
    const { removeStaleLocks } = require('./stale-locks.js') as typeof import('./stale-locks.js');
    return removeStaleLocks(this.jobsDirectory, maxAge, dryRun, signal);
  }

  /** The jobs whose locks this manager holds, and how many locks that are (shared ones count each). */
  getLockStatus(): { activeLocks: string[]; lockCount: number } {
    return { activeLocks: this.#guards?.jobs ?? [], lockCount: this.#guards?.jobGuardCount ?? 0 };
  }

  /** Releases what this manager holds. Its pending waits, and later locking and clean-up, fail with `ERR_LOCK_CLOSED`. */
  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(this.#closedError());
    this.#guards?.releaseAll();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #closedError(): LockError {
    return new LockError(`The lock manager of '${this.jobsDirectory}' is closed`, {
      code: 'ERR_LOCK_CLOSED',
      path: this.jobsDirectory,
    });
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw this.#closedError();
  }

  #jobLock(jobId: string): FileLock {
    const lockPath = jobLockPath(this.jobsDirectory, checkJobId(jobId));
    const { ManagedJobGuard } = loadGuards();
    return this.#lock(lockPath, (...args) => new ManagedJobGuard(jobId, this.#managed(), ...args));
  }

  #indexLock(): FileLock {
    const { ManagedGuard } = loadGuards();
    return this.#lock(
      path.join(this.jobsDirectory, INDEX_LOCK),
      (...args) => new ManagedGuard(this.#managed(), ...args),
    );
  }

  #lock(lockPath: string, newGuard: NewGuard): FileLock {
    this.#checkOpen();
    const manager: ManagedBy = { newGuard, closing: this.#closing.signal };
    return new FileLock(lockPath, this.#options, manager);
  }

  #managed(): ManagedGuards {
    this.#guards ??= new (loadGuards().ManagedGuards)(() => this.#closedError());
    return this.#guards;
  }
}

/** Runs `fn` while holding the lock of a job: `JobLockManager.jobLock` for a single use. */
export async function jobDirectoryLock<T>(
  jobId: string,
  jobsDirectory: string | URL,
  fn: (guard: JobLockGuard) => T | PromiseLike<T>,
  options?: AcquireOptions,
): Promise<T> {
  return new JobLockManager(jobsDirectory).jobLock(jobId, fn, options);
}

/**
 * Takes the lock of a job, or resolves to null if it is still held after `timeout` milliseconds; default 0: exactly
 * one attempt.
 */
export async function tryLockJobDirectory(
  jobId: string,
  jobsDirectory: string | URL,
  options: AcquireOptions = NO_OPTIONS,
): Promise<JobLockGuard | null> {
  checkOptions(options, ACQUIRE_OPTIONS);
  const { mode, timeout = 0, signal, onWait } = options;
  try {
    return await new JobLockManager(jobsDirectory).lockJobDirectory(jobId, { mode, timeout, signal, onWait });
  } catch (error) {
    if (error instanceof LockTimeoutError) return null;
    throw error;
  }
}
