import './clock.js'; // now, not with the engine: later a test may have replaced the clock
import type { AcquireTrace } from './diagnostics.js';
import type { LockReport } from './holder/inspect.js';
import type { LockFile, LockFileSettings } from './lock-file.js';
import type { GuardSource, LockGuard, NewGuard } from './lock-guard.js';
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
  type LockMechanism,
  type LockMode,
  noMeaning,
  type TryAcquireOptions,
} from './options.js';
import type { PathLock } from './queue/path-lock.js';

const NO_OPTIONS = {};

let loaded: typeof import('./engine.js') | undefined;

/** @internal What lies below this file, loaded at first use. */
export function engine(): typeof import('./engine.js') {
  loaded ??= require('./engine.js') as typeof import('./engine.js');
  return loaded;
}

/** Closes the descriptors that collected locks had kept: they are not locked, nobody misses them. */
const collected = new FinalizationRegistry<LockFile>((file) => file.keepNone());

/**
 * A lock file: its path and how it is to be locked. It holds nothing itself; every acquisition gives a
 * {@link LockGuard} of its own, and two acquisitions exclude each other even on the same FileLock.
 *
 * The lock is the kernel's, bound to an open file description (flock(2)): it is free again as soon as
 * its holder releases it or ends, however it ends. It is advisory: it binds those who ask for it.
 */
export class FileLock implements Disposable {
  /** The absolute path of the lock file. */
  readonly path: string;
  readonly #mode: LockMode;
  readonly #timeout: number;
  readonly #mechanism: LockMechanism;
  readonly #settings: LockFileSettings;
  readonly #newGuard: NewGuard | undefined;
  // Made at first use, since both need the addon.
  #source: GuardSource | undefined;
  #lock: PathLock | undefined;

  /**
   * Touches nothing: the file is opened, and made if need be, by the first acquisition.
   * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE`
   */
  constructor(path: string | URL, options?: FileLockOptions);
  /** @internal For a manager, which makes guards of its own. */
  constructor(path: string | URL, options: FileLockOptions, newGuard: NewGuard);
  constructor(path: string | URL, options: FileLockOptions = NO_OPTIONS, newGuard?: NewGuard) {
    checkOptions(options, FILE_LOCK_OPTIONS);
    this.#newGuard = newGuard;
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
   * Waits for the lock, first come first served among the callers of this thread. Pending waits keep
   * the process alive; a held lock does not.
   *
   * Rejects with {@link LockTimeoutError} after `timeout`, with `signal.reason` on abort, with
   * {@link LockError} when the file cannot be locked at all, and with a `TypeError` for bad options.
   */
  acquire(options: AcquireOptions = NO_OPTIONS): Promise<LockGuard> {
    try {
      checkOptions(options, ACQUIRE_OPTIONS);
      const mode = checkMode(options.mode, this.#mode);
      const timeout = checkMilliseconds(options.timeout, 'timeout', this.#timeout);
      const signal = checkSignal(options.signal);
      checkOnWait(options.onWait);
      if (signal?.aborted) return Promise.reject(signal.reason);
      if (!engine().acquisitionsAreTraced()) return this.#acquire(mode, timeout, signal);
      return engine().traceAcquire(this.#trace(mode, timeout), signal, () => this.#acquire(mode, timeout, signal));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Waits for the lock and blocks this thread meanwhile, event loop and all. May pass those who wait
   * in {@link acquire}.
   *
   * Throws as {@link acquire} rejects; and `EDEADLK`, at once, when a guard of this same thread stands
   * in the way, since it could not be released before this call returns.
   */
  acquireSync(options: AcquireSyncOptions = NO_OPTIONS): LockGuard {
    checkOptions(options, ACQUIRE_OPTIONS);
    if (options.signal !== undefined) throw noMeaning('signal', 'acquireSync');
    if (options.onWait !== undefined) throw noMeaning('onWait', 'acquireSync');
    const mode = checkMode(options.mode, this.#mode);
    const timeout = checkMilliseconds(options.timeout, 'timeout', this.#timeout);
    if (!engine().acquisitionsAreTraced()) return this.#acquireSync(mode, timeout);
    return engine().traceAcquireSync(this.#trace(mode, timeout), () => this.#acquireSync(mode, timeout));
  }

  /**
   * Takes the lock if it is free, else gives null. Never waits; may pass those who wait.
   * @throws LockError when the file cannot be locked at all
   */
  tryAcquire(options: TryAcquireOptions = NO_OPTIONS): LockGuard | null {
    checkOptions(options, ACQUIRE_OPTIONS);
    if (options.signal !== undefined) throw noMeaning('signal', 'tryAcquire');
    if (options.timeout !== undefined) throw noMeaning('timeout', 'tryAcquire');
    if (options.onWait !== undefined) throw noMeaning('onWait', 'tryAcquire');
    const mode = checkMode(options.mode, this.#mode);
    return this.#pathLock().tryAcquire(this.#guardSource(), mode === 'exclusive');
  }

  /** Runs `fn` while holding the lock, and releases it in every case. Rejects as {@link acquire}, or with what `fn` throws. */
  async withLock<T>(fn: (guard: LockGuard) => T | PromiseLike<T>, options?: AcquireOptions): Promise<T> {
    checkFunction(fn, 'fn');
    const guard = await this.acquire(options);
    try {
      return await fn(guard);
    } finally {
      guard.release();
    }
  }

  /**
   * Who holds the lock now, without taking it or getting in anybody's way. Old as soon as it is
   * returned: for people and for logs, not for decisions.
   */
  inspect(): LockReport {
    return engine().inspect(this.path, this.#mechanism, null);
  }

  /** Closes the descriptor that `keepOpen` kept, and keeps none from now on. A held guard stays held. */
  close(): void {
    this.#settings.keepOpen = false;
    this.#source?.file.keepNone();
    collected.unregister(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #acquire(mode: LockMode, timeout: number, signal: AbortSignal | undefined): Promise<LockGuard> {
    return this.#pathLock().acquire(this.#guardSource(), mode === 'exclusive', timeout, signal);
  }

  #acquireSync(mode: LockMode, timeout: number): LockGuard {
    return this.#pathLock().acquireSync(this.#guardSource(), mode === 'exclusive', timeout);
  }

  #trace(mode: LockMode, timeout: number): AcquireTrace {
    return { path: this.path, mode, mechanism: this.#mechanism, timeout };
  }

  #guardSource(): GuardSource {
    if (this.#source === undefined) {
      const file = new (engine().LockFile)(this.path, this.#mechanism, this.#settings);
      if (this.#settings.keepOpen) collected.register(this, file, this);
      this.#source = { file, newGuard: this.#newGuard ?? engine().newGuard };
    }
    return this.#source;
  }

  #pathLock(): PathLock {
    if (this.#lock === undefined || this.#lock.retired) this.#lock = engine().pathLockOf(this.path, this.#mechanism);
    return this.#lock;
  }
}
