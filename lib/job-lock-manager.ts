import path from 'node:path';
import { LockError, LockTimeoutError } from './errors.js';
import { FileLock } from './file-lock.js';
import type { LockReport } from './inspect.js';
import { checkJobId, INDEX_LOCK, jobLockPath } from './job-path.js';
import type { LockGuard } from './lock-guard.js';
import type { LockHolder } from './lock-holder.js';
import {
  type AcquireOptions,
  type AcquireSyncOptions,
  checkBoolean,
  checkFileMode,
  checkFunction,
  checkMechanism,
  checkMilliseconds,
  checkObject,
  checkPath,
  checkSignal,
  DEFAULT_TIMEOUT,
  type FileLockOptions,
  type LockMechanism,
  type LockMode,
  type TryAcquireOptions,
} from './options.js';
import { removeStaleLocks, type StaleLock } from './stale-locks.js';

export interface JobLockManagerOptions {
  /** Longest wait in milliseconds, default 30,000. 0: exactly one attempt. `Infinity`: no limit. */
  timeout?: number | undefined;
  /** Default `'flock'`, with which alone the lock files of the original Python module are shared. */
  mechanism?: LockMechanism | undefined;
  /** Permissions of a lock file that is made, default 0o600; the umask still applies. */
  fileMode?: number | undefined;
  /** Default true: writes who holds a lock into its file, see `previousHolder` of the guard. */
  recordHolder?: boolean | undefined;
}

export interface CleanupOptions {
  /** Only lock files that were last modified longer ago than this (milliseconds); default 3,600,000, one hour. */
  maxAge?: number | undefined;
  /** Default false. True removes nothing, and tells what would be removed. */
  dryRun?: boolean | undefined;
  /** Ends the clean-up, which then rejects with `signal.reason`; what is removed stays removed. */
  signal?: AbortSignal | undefined;
}

/** Possession of a job's lock. */
export interface JobLockGuard extends LockGuard {
  readonly jobId: string;
}

const DEFAULT_MAX_AGE = 3_600_000;
const NO_OPTIONS = {};

/** A guard that its manager knows of until it is released. */
class ManagedGuard implements LockGuard {
  readonly #guard: LockGuard;
  readonly #forget: (guard: ManagedGuard) => void;

  constructor(guard: LockGuard, forget: (guard: ManagedGuard) => void) {
    this.#guard = guard;
    this.#forget = forget;
  }

  get path(): string {
    return this.#guard.path;
  }

  get mode(): LockMode {
    return this.#guard.mode;
  }

  get held(): boolean {
    return this.#guard.held;
  }

  get previousHolder(): LockHolder | null {
    return this.#guard.previousHolder;
  }

  get fencingToken(): bigint | null {
    return this.#guard.fencingToken;
  }

  release(): void {
    this.#guard.release();
    this.#forget(this);
  }

  untilExit(): void {
    this.#guard.untilExit();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
  }
}

class ManagedJobGuard extends ManagedGuard implements JobLockGuard {
  constructor(
    readonly jobId: string,
    guard: LockGuard,
    forget: (guard: ManagedGuard) => void,
  ) {
    super(guard, forget);
  }
}

/**
 * The locks of the jobs in one directory: `<jobsDirectory>/<jobId>/.lock`, and that of the jobs index,
 * `<jobsDirectory>/.jobs_index.lock`. A job id is one segment of a path: not empty, no slash, backslash
 * or NUL, not begun with a dot, at most 255 bytes; anything else is a `TypeError`, and nothing is made.
 *
 * A manager holds its guards until they are released, by themselves or through it; they outlive it only
 * if it is forgotten without {@link close}.
 */
export class JobLockManager implements Disposable {
  /** The absolute path of the jobs directory. It is made when the first lock is taken. */
  readonly jobsDirectory: string;
  readonly #options: FileLockOptions;
  readonly #guardsOfJobs = new Map<string, Set<ManagedGuard>>();
  readonly #indexGuards = new Set<ManagedGuard>();
  readonly #pending = new Set<AbortController>();
  #closed = false;

  /** @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` */
  constructor(jobsDirectory: string | URL, options: JobLockManagerOptions = NO_OPTIONS) {
    checkObject(options);
    this.jobsDirectory = checkPath(jobsDirectory, 'jobsDirectory');
    this.#options = {
      timeout: checkMilliseconds(options.timeout, 'timeout', DEFAULT_TIMEOUT),
      mechanism: checkMechanism(options.mechanism),
      fileMode: checkFileMode(options.fileMode),
      recordHolder: checkBoolean(options.recordHolder, 'recordHolder', true),
    };
  }

  /** Waits for the lock of a job, and makes its directory. Rejects as `FileLock.acquire`; with `ERR_LOCK_CLOSED` when the manager is closed. */
  async lockJobDirectory(jobId: string, options: AcquireOptions = NO_OPTIONS): Promise<JobLockGuard> {
    const lock = this.#jobLock(jobId);
    return this.#manageJob(jobId, await this.#acquire(lock, options));
  }

  /** The same, blocking this thread. Throws as `FileLock.acquireSync`. */
  lockJobDirectorySync(jobId: string, options: AcquireSyncOptions = NO_OPTIONS): JobLockGuard {
    return this.#manageJob(jobId, this.#jobLock(jobId).acquireSync(options));
  }

  /** Takes the lock of a job if it is free, else gives null. Never waits. */
  tryLockJobDirectory(jobId: string, options: TryAcquireOptions = NO_OPTIONS): JobLockGuard | null {
    const guard = this.#jobLock(jobId).tryAcquire(options);
    return guard === null ? null : this.#manageJob(jobId, guard);
  }

  /** Releases what this manager holds of a job; false when that is nothing. */
  unlockJobDirectory(jobId: string): boolean {
    const guards = this.#guardsOfJobs.get(checkJobId(jobId));
    for (const guard of guards ?? []) guard.release();
    return guards !== undefined;
  }

  /** Whether this manager holds the lock of a job. See {@link inspectJob} for the other processes. */
  isJobLocked(jobId: string): boolean {
    return this.#guardsOfJobs.has(checkJobId(jobId));
  }

  /** Runs `fn` while holding the lock of a job, and releases it in every case. */
  async jobLock<T>(
    jobId: string,
    fn: (guard: JobLockGuard) => T | PromiseLike<T>,
    options?: AcquireOptions,
  ): Promise<T> {
    checkFunction(fn, 'fn');
    return runAndRelease(await this.lockJobDirectory(jobId, options), fn);
  }

  /** Waits for the lock of the jobs index. */
  async lockJobsIndex(options: AcquireOptions = NO_OPTIONS): Promise<LockGuard> {
    const lock = this.#lock(path.join(this.jobsDirectory, INDEX_LOCK));
    const guard = await this.#acquire(lock, options);
    const managed = new ManagedGuard(guard, (released) => this.#indexGuards.delete(released));
    this.#indexGuards.add(managed);
    return managed;
  }

  /** Runs `fn` while holding the lock of the jobs index, and releases it in every case. */
  async jobsIndexLock<T>(fn: (guard: LockGuard) => T | PromiseLike<T>, options?: AcquireOptions): Promise<T> {
    checkFunction(fn, 'fn');
    return runAndRelease(await this.lockJobsIndex(options), fn);
  }

  /** Who holds the lock of a job, whichever process that is. See `FileLock.inspect`. */
  inspectJob(jobId: string): LockReport {
    return new FileLock(jobLockPath(this.jobsDirectory, checkJobId(jobId)), this.#options).inspect();
  }

  /**
   * Removes the lock files that nobody holds and that were not modified for `maxAge`, and tells of those
   * that were abandoned. Never takes a lock from its holder, whatever its age. Job directories stay.
   *
   * Not to be used beside programs that lock these files without comparing inodes after the grant
   * (flock(1), Python, Go): one that already waits may get in on the removed file.
   */
  async cleanupStaleLocks(options: CleanupOptions = NO_OPTIONS): Promise<StaleLock[]> {
    checkObject(options);
    const maxAge = checkMilliseconds(options.maxAge, 'maxAge', DEFAULT_MAX_AGE);
    const dryRun = checkBoolean(options.dryRun, 'dryRun', false);
    const signal = checkSignal(options.signal);
    this.#checkOpen();
    return removeStaleLocks(this.jobsDirectory, maxAge, dryRun, signal);
  }

  /** The jobs whose locks this manager holds, and how many locks that are (shared ones count each). */
  getLockStatus(): { activeLocks: string[]; lockCount: number } {
    let lockCount = 0;
    for (const guards of this.#guardsOfJobs.values()) lockCount += guards.size;
    return { activeLocks: [...this.#guardsOfJobs.keys()], lockCount };
  }

  /** Releases what this manager holds, and rejects its pending waits and all later calls with `ERR_LOCK_CLOSED`. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const controller of this.#pending) controller.abort(this.#closedError());
    for (const guards of [...this.#guardsOfJobs.values(), this.#indexGuards]) {
      for (const guard of guards) guard.release();
    }
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
    if (this.#closed) throw this.#closedError();
  }

  #lock(lockPath: string): FileLock {
    this.#checkOpen();
    return new FileLock(lockPath, this.#options);
  }

  #jobLock(jobId: string): FileLock {
    return this.#lock(jobLockPath(this.jobsDirectory, checkJobId(jobId)));
  }

  /** Waits as the lock does, and also ends when the manager is closed. */
  async #acquire(lock: FileLock, options: AcquireOptions): Promise<LockGuard> {
    checkObject(options);
    const signal = checkSignal(options.signal);
    if (signal?.aborted) throw signal.reason;
    const controller = new AbortController();
    const forward = () => controller.abort(signal?.reason);
    signal?.addEventListener('abort', forward);
    this.#pending.add(controller);
    try {
      const guard = await lock.acquire({ ...options, signal: controller.signal });
      // Closed, or aborted, between the grant and now: nobody would ever release it.
      if (!controller.signal.aborted) return guard;
      guard.release();
      throw controller.signal.reason;
    } finally {
      this.#pending.delete(controller);
      signal?.removeEventListener('abort', forward);
    }
  }

  #manageJob(jobId: string, guard: LockGuard): JobLockGuard {
    const guards = this.#guardsOfJobs.get(jobId) ?? new Set();
    const managed = new ManagedJobGuard(jobId, guard, (released) => {
      guards.delete(released);
      if (guards.size === 0 && this.#guardsOfJobs.get(jobId) === guards) this.#guardsOfJobs.delete(jobId);
    });
    guards.add(managed);
    this.#guardsOfJobs.set(jobId, guards);
    return managed;
  }
}

async function runAndRelease<G extends LockGuard, T>(guard: G, fn: (guard: G) => T | PromiseLike<T>): Promise<T> {
  try {
    return await fn(guard);
  } finally {
    guard.release();
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

/** Takes the lock of a job, or gives null when it is busy: at once, or for as long as a given `timeout`. */
export async function tryLockJobDirectory(
  jobId: string,
  jobsDirectory: string | URL,
  options: AcquireOptions = NO_OPTIONS,
): Promise<JobLockGuard | null> {
  checkObject(options);
  try {
    return await new JobLockManager(jobsDirectory).lockJobDirectory(jobId, {
      ...options,
      timeout: options.timeout ?? 0,
    });
  } catch (error) {
    if (error instanceof LockTimeoutError) return null;
    throw error;
  }
}
