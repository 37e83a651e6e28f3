import { now } from './clock.js'; // not with the queue: later a test may have replaced the clock
import { fromFileSystemError } from './errors.js';
import type { Guard, GuardSource, LockGuard, NewGuard } from './guard/lock-guard.js';
import type { LockReport } from './holder/lock-holder.js';
import type { LockFile, LockFileSettings } from './lock-file.js';
import type { LockMechanism, LockMode } from './lock-mode.js';
import {
  ACQUIRE_OPTIONS,
  type AcquireOptions,
  type AcquireSyncOptions,
  checkBoolean,
  checkFileMode,
  checkFunction,
  checkMechanism,
  checkMilliseconds,
  checkMode,
  checkOnWait,
  checkOptions,
  checkPath,
  checkSignal,
  DEFAULT_TIMEOUT,
  FILE_LOCK_OPTIONS,
  type FileLockOptions,
  noMeaning,
  type TryAcquireOptions,
} from './options.js';
import type { PathLock } from './queue/path-lock.js';

const NO_OPTIONS = {};
const NO_SIGNALS: readonly AbortSignal[] = [];

/** @internal What a manager adds to the locks that it makes. */
export interface ManagedBy {
  readonly newGuard: NewGuard;
  /** Aborts when the manager is closed; pending acquisitions end with its reason. */
  readonly closing: AbortSignal;
}

// Loaded at the first use of a lock: a program that only imports this package, as every start of a
// command-line tool does, must not pay for all of it.
let loadedQueue: typeof import('./queue/path-locks.js') | undefined;

function pathLockOf(path: string, mechanism: LockMechanism): PathLock {
  try {
    loadedQueue ??= require('./queue/path-locks.js') as typeof import('./queue/path-locks.js');
  } catch (error) {
    throw fromFileSystemError(error as NodeJS.ErrnoException, path); // EMFILE: a module could not be opened
  }
  return loadedQueue.pathLockOf(path, mechanism);
}

/** Closes the descriptors that garbage collected locks had kept: they are not locked, and nobody else uses them. */
const collected = new FinalizationRegistry<LockFile>((file) => file.keepNone());

/**
 * A lock file: its path, and how it is locked. It holds nothing itself; every acquisition returns a
 * {@link LockGuard} of its own, and two acquisitions exclude each other even on the same FileLock.
 *
 * The lock is the kernel's, bound to an open file description (flock(2)): it is free again as soon as
 * its holder releases it or ends, however it ends. It is advisory: it binds only those who lock the file.
 */
export class FileLock implements Disposable {
  /** The absolute path of the lock file. */
  readonly path: string;
  readonly #mode: LockMode;
  readonly #timeout: number;
  readonly #mechanism: LockMechanism;
  readonly #settings: LockFileSettings;
  readonly #manager: ManagedBy | undefined;
  // Made at first use, since both need the addon.
  #source: GuardSource | undefined;
  #lock: PathLock | undefined;

  /**
   * Touches no file: the first acquisition opens the lock file, and creates it if it does not exist.
   * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE`
   */
  constructor(path: string | URL, options?: FileLockOptions);
  /** @internal */
  constructor(path: string | URL, options: FileLockOptions, manager: ManagedBy);
  constructor(path: string | URL, options: FileLockOptions = NO_OPTIONS, manager?: ManagedBy) {
    checkOptions(options, FILE_LOCK_OPTIONS);
    this.#manager = manager;
    this.path = checkPath(path, 'path');
    this.#mode = checkMode(options.mode, 'exclusive');
    this.#timeout = checkMilliseconds(options.timeout, 'timeout', DEFAULT_TIMEOUT);
    this.#mechanism = checkMechanism(options.mechanism);
    this.#settings = {
      fileMode: checkFileMode(options.fileMode),
      createParents: checkBoolean(options.createParents, 'createParents', true),
      keepOpen: checkBoolean(options.keepOpen, 'keepOpen', false),
      recordHolder: checkBoolean(options.recordHolder, 'recordHolder', false),
    };
  }

  /**
   * Waits for the lock; the acquisitions of this thread are granted in FIFO order. A pending wait keeps the
   * process alive; a held lock does not.
   *
   * Rejects with {@link LockTimeoutError} after `timeout`, with `signal.reason` on abort, with
   * {@link LockError} when the file cannot be locked at all, and with a `TypeError` for invalid options.
   */
  acquire(options: AcquireOptions = NO_OPTIONS): Promise<LockGuard> {
    try {
      return this.#acquire(options, this.acquire);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Waits for the lock, and blocks this thread with its event loop meanwhile. May be granted the lock before
   * those who wait in {@link acquire}.
   *
   * @throws LockTimeoutError after `timeout`
   * @throws LockError when the file cannot be locked at all; `EDEADLK`, at once, when a guard of this same
   * thread conflicts, since that could not be released before this call returns
   * @throws TypeError for invalid options
   */
  acquireSync(options: AcquireSyncOptions = NO_OPTIONS): LockGuard {
    checkOptions(options, ACQUIRE_OPTIONS);
    if (options.signal !== undefined) throw noMeaning('signal', 'acquireSync');
    if (options.onWait !== undefined) throw noMeaning('onWait', 'acquireSync');
    const mode = checkMode(options.mode, this.#mode);
    const timeout = checkMilliseconds(options.timeout, 'timeout', this.#timeout);
    const since = now(); // before the first use loads the rest, which takes 10 ms
    return this.#pathLock().acquireSync(this.#guardSource(), mode === 'exclusive', timeout, since);
  }

  /**
   * Takes the lock if it is free, and otherwise returns null. Never waits; may be granted the lock before
   * those who do.
   * @throws LockError when the file cannot be locked at all
   * @throws TypeError for invalid options
   */
  tryAcquire(options: TryAcquireOptions = NO_OPTIONS): LockGuard | null {
    checkOptions(options, ACQUIRE_OPTIONS);
    if (options.signal !== undefined) throw noMeaning('signal', 'tryAcquire');
    if (options.timeout !== undefined) throw noMeaning('timeout', 'tryAcquire');
    if (options.onWait !== undefined) throw noMeaning('onWait', 'tryAcquire');
    const mode = checkMode(options.mode, this.#mode);
    return this.#pathLock().tryAcquire(this.#guardSource(), mode === 'exclusive');
  }

  /**
   * Runs `fn` while holding the lock, and releases it in every case. Rejects as {@link acquire}, or with what
   * `fn` throws. Once `signal` has aborted, `fn` is not run: the lock is released as if it had not been
   * granted.
   */
  async withLock<T>(fn: (guard: LockGuard) => T | PromiseLike<T>, options: AcquireOptions = NO_OPTIONS): Promise<T> {
    checkFunction(fn, 'fn');
    const guard = await this.#acquire(options, this.withLock);
    for (const signal of this.#signals(options.signal)) {
      if (!signal.aborted) continue;
      guard.withdraw();
      throw signal.reason;
    }
    try {
      return await fn(guard.deliver());
    } finally {
      guard.release();
    }
  }

  /**
   * Who holds the lock now. Does not take the lock, not even for a moment. Out of date as soon as it is
   * returned: for people and for logs, not for decisions.
   * @throws LockError when the path names something that cannot be locked
   */
  inspect(): LockReport {
    const { inspect } = require('./holder/inspect.js') as typeof import('./holder/inspect.js');
    return inspect(this.path, this.#mechanism, this.#heldHere());
  }

  /** Closes the descriptor that `keepOpen` keeps, and keeps none from now on. A held guard stays held. */
  close(): void {
    this.#settings.keepOpen = false;
    this.#source?.file.keepNone();
    collected.unregister(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal For `console.log` (node:util, "Custom inspection functions on objects"). `held`: by a guard of this thread. */
  [Symbol.for('nodejs.util.inspect.custom')](_: number, options: object, inspect: typeof import('node:util').inspect) {
    return `FileLock ${inspect({ path: this.path, mode: this.#mode, held: this.#heldHere() !== null }, options)}`;
  }

  /** How guards of this thread hold the lock; null when there are none. Does not load the addon. */
  #heldHere(): LockMode | null {
    return loadedQueue === undefined ? null : loadedQueue.heldHere(this.path, this.#mechanism);
  }

  #acquire(options: AcquireOptions, caller: (...args: never[]) => unknown): Promise<Guard> {
    checkOptions(options, ACQUIRE_OPTIONS);
    checkOnWait(options.onWait);
    const mode = checkMode(options.mode, this.#mode);
    const timeout = checkMilliseconds(options.timeout, 'timeout', this.#timeout);
    const signals = this.#signals(checkSignal(options.signal));
    for (const signal of signals) if (signal.aborted) return Promise.reject(signal.reason);
    // Since now, before the first use loads the rest, which takes 10 ms.
    const request = { exclusive: mode === 'exclusive', timeout, since: now(), signals, onWait: options.onWait };
    return this.#pathLock().acquire(this.#guardSource(), request, caller);
  }

  /** The signals that end an acquisition. */
  #signals(signal: AbortSignal | undefined): readonly AbortSignal[] {
    if (this.#manager === undefined) return signal === undefined ? NO_SIGNALS : [signal];
    const { closing } = this.#manager;
    return signal === undefined ? [closing] : [signal, closing];
  }

  #guardSource(): GuardSource {
    if (this.#source === undefined) {
      this.#source = this.#pathLock().newSource(this.#settings, this.#manager?.newGuard);
      if (this.#settings.keepOpen) collected.register(this, this.#source.file, this);
    }
    return this.#source;
  }

  #pathLock(): PathLock {
    if (this.#lock === undefined || this.#lock.retired) this.#lock = pathLockOf(this.path, this.#mechanism);
    return this.#lock;
  }
}
