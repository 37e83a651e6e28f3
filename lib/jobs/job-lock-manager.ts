import path from 'node:path';
import { LockError, LockTimeoutError } from '../errors.js';
import { engine, FileLock } from '../file-lock.js';
import type { LockReport } from '../holder/inspect.js';
import type { JobLockGuard, LockGuard, NewGuard } from '../lock-guard.js';
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
  type LockMechanism,
  optionNames,
  type TryAcquireOptions,
} from '../options.js';
import { checkJobId, INDEX_LOCK, jobLockPath } from './job-path.js';
import type { ManagedGuard, ManagedJobGuard } from './managed-guards.js';
import type { StaleLock } from './stale-locks.js';

export interface JobLockManagerOptions {
  /** Longest wait in milliseconds, default 30,000. 0: exactly one attempt. `Infinity`: no limit. */
  timeout?: number | undefined;
  /** Default `'flock'`, with which alone the lock files of the original Python module are shared. */
  mechanism?: LockMechanism | undefined;
  /** Permissions of a lock file that is made, 0 to 0o777, default 0o600; the umask still applies. */
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

const MANAGER_OPTIONS = optionNames<Required<JobLockManagerOptions>>({
  timeout: true,
  mechanism: true,
  fileMode: true,
  recordHolder: true,
});
const CLEANUP_OPTIONS = optionNames<Required<CleanupOptions>>({ maxAge: true, dryRun: true, signal: true });
const DEFAULT_MAX_AGE = 3_600_000;
const NO_OPTIONS = {};

/** What a manager holds, by job; more than one guard of a job if they are shared. */
class JobGuards {
  readonly #byJob = new Map<string, Set<ManagedJobGuard>>();
  count = 0;

  add(guard: ManagedJobGuard): void {
    const guards = this.#byJob.get(guard.jobId) ?? new Set();
    this.#byJob.set(guard.jobId, guards.add(guard));
    this.count++;
  }

  delete(guard: ManagedJobGuard): void {
    const guards = this.#byJob.get(guard.jobId);
    if (!guards?.delete(guard)) return;
    if (guards.size === 0) this.#byJob.delete(guard.jobId);
    this.count--;
  }

  of(jobId: string): readonly ManagedJobGuard[] {
    return [...(this.#byJob.get(jobId) ?? [])];
  }

  jobs(): string[] {
    return [...this.#byJob.keys()];
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
  readonly #jobGuards = new JobGuards();
  readonly #indexGuards = new Set<ManagedGuard>();
  readonly #pending = new Set<AbortController>();
  #closed = false;

  /** @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` */
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

  /** Waits for the lock of a job, and makes its directory. Rejects as `FileLock.acquire`; with `ERR_LOCK_CLOSED` when the manager is closed. */
  lockJobDirectory(jobId: string, options: AcquireOptions = NO_OPTIONS): Promise<JobLockGuard> {
    return this.#acquireJob(jobId, options).then((guard) => this.#handOver(guard));
  }

  /** The same, blocking this thread. Throws as `FileLock.acquireSync`. */
  lockJobDirectorySync(jobId: string, options: AcquireSyncOptions = NO_OPTIONS): JobLockGuard {
    return this.#jobLock(jobId, true).acquireSync(options) as ManagedJobGuard;
  }

  /** Takes the lock of a job if it is free, else gives null. Never waits. */
  tryLockJobDirectory(jobId: string, options: TryAcquireOptions = NO_OPTIONS): JobLockGuard | null {
    return this.#jobLock(jobId, true).tryAcquire(options) as ManagedJobGuard | null;
  }

  /** Releases what this manager holds of a job; false when that is nothing. */
  unlockJobDirectory(jobId: string): boolean {
    const guards = this.#jobGuards.of(checkJobId(jobId));
    for (const guard of guards) guard.release();
    return guards.length > 0;
  }

  /** Whether this manager holds the lock of a job. See {@link inspectJob} for the other processes. */
  isJobLocked(jobId: string): boolean {
    return this.#jobGuards.of(checkJobId(jobId)).length > 0;
  }

  /** Runs `fn` while holding the lock of a job, and releases it in every case. */
  async jobLock<T>(
    jobId: string,
    fn: (guard: JobLockGuard) => T | PromiseLike<T>,
    options: AcquireOptions = NO_OPTIONS,
  ): Promise<T> {
    checkFunction(fn, 'fn');
    return this.#run(await this.#acquireJob(jobId, options), fn);
  }

  /** Waits for the lock of the jobs index. */
  lockJobsIndex(options: AcquireOptions = NO_OPTIONS): Promise<LockGuard> {
    return this.#acquireIndex(options).then((guard) => this.#handOver(guard));
  }

  /** Runs `fn` while holding the lock of the jobs index, and releases it in every case. */
  async jobsIndexLock<T>(
    fn: (guard: LockGuard) => T | PromiseLike<T>,
    options: AcquireOptions = NO_OPTIONS,
  ): Promise<T> {
    checkFunction(fn, 'fn');
    return this.#run(await this.#acquireIndex(options), fn);
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
    checkOptions(options, CLEANUP_OPTIONS);
    const maxAge = checkMilliseconds(options.maxAge, 'maxAge', DEFAULT_MAX_AGE);
    const dryRun = checkBoolean(options.dryRun, 'dryRun', false);
    const signal = checkSignal(options.signal);
    this.#checkOpen();
    return engine().removeStaleLocks(this.jobsDirectory, maxAge, dryRun, signal);
  }

  /** The jobs whose locks this manager holds, and how many locks that are (shared ones count each). */
  getLockStatus(): { activeLocks: string[]; lockCount: number } {
    return { activeLocks: this.#jobGuards.jobs(), lockCount: this.#jobGuards.count };
  }

  /** Releases what this manager holds, and rejects its pending waits, and later locking and clean-up, with `ERR_LOCK_CLOSED`. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const controller of this.#pending) controller.abort(this.#closedError());
    for (const jobId of this.#jobGuards.jobs()) this.unlockJobDirectory(jobId);
    for (const guard of this.#indexGuards) guard.release();
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

  #lock(lockPath: string, newGuard: NewGuard): FileLock {
    this.#checkOpen();
    return new FileLock(lockPath, this.#options, newGuard);
  }

  /** `delivered`: whether its callers have the guard as soon as it is granted. */
  #jobLock(jobId: string, delivered: boolean): FileLock {
    const lockPath = jobLockPath(this.jobsDirectory, checkJobId(jobId));
    const guards = this.#jobGuards;
    const { ManagedJobGuard } = engine();
    return this.#lock(lockPath, (...args) => {
      const guard = new ManagedJobGuard(jobId, guards, ...args);
      guard.delivered = delivered;
      guards.add(guard);
      return guard;
    });
  }

  async #acquireJob(jobId: string, options: AcquireOptions): Promise<ManagedJobGuard> {
    return this.#acquire(this.#jobLock(jobId, false), options) as Promise<ManagedJobGuard>;
  }

  async #acquireIndex(options: AcquireOptions): Promise<ManagedGuard> {
    const guards = this.#indexGuards;
    const { ManagedGuard } = engine();
    const lock = this.#lock(path.join(this.jobsDirectory, INDEX_LOCK), (...args) => {
      const guard = new ManagedGuard(guards, ...args);
      guard.delivered = false;
      guards.add(guard);
      return guard;
    });
    return this.#acquire(lock, options);
  }

  /**
   * Waits as the lock does, and also ends when the manager is closed. A grant that comes before an abort is
   * a grant, as with every lock. One that `close` releases before its caller has it is withdrawn: it is as
   * if it had not been, and whoever had abandoned the lock is told to the next one.
   */
  async #acquire(lock: FileLock, options: AcquireOptions): Promise<ManagedGuard> {
    checkOptions(options, ACQUIRE_OPTIONS);
    const { mode, timeout, onWait } = options;
    const signal = checkSignal(options.signal);
    const controller = new AbortController();
    const forward = () => controller.abort(signal?.reason);
    if (signal?.aborted) forward();
    const ignoreAbort = signal === undefined ? undefined : engine().onAbort(signal, forward);
    this.#pending.add(controller);
    try {
      return (await lock.acquire({ mode, timeout, onWait, signal: controller.signal })) as ManagedGuard;
    } finally {
      this.#pending.delete(controller);
      ignoreAbort?.();
    }
  }

  #handOver<G extends ManagedGuard>(guard: G): G {
    if (!guard.held) throw this.#closedError();
    guard.delivered = true;
    return guard;
  }

  async #run<G extends ManagedGuard, T>(guard: G, fn: (guard: G) => T | PromiseLike<T>): Promise<T> {
    this.#handOver(guard);
    try {
      return await fn(guard);
    } finally {
      guard.release();
    }
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
  checkOptions(options, ACQUIRE_OPTIONS);
  const { mode, timeout = 0, signal, onWait } = options;
  try {
    return await new JobLockManager(jobsDirectory).lockJobDirectory(jobId, { mode, timeout, signal, onWait });
  } catch (error) {
    if (error instanceof LockTimeoutError) return null;
    throw error;
  }
}
