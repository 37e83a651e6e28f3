import {
  type AcquireTrace,
  acquisitionsAreTraced,
  publishAbandoned,
  publishRelease,
  traceAcquire,
  traceAcquireSync,
} from '../diagnostics.js';
import { LockTimeoutError } from '../errors.js';
import { prepareToTrack, track } from '../guard/leak-detector.js';
import { type Guard, type GuardOwner, type GuardSource, type NewGuard, newGuard } from '../guard/lock-guard.js';
import { findHolderSync, holderHere } from '../holder/inspect.js';
import { isExiting } from '../holder/process-info.js';
import type { Grant } from '../holder/recorder.js';
import type { WaitOwner } from '../kernel-waits.js';
import { type Attempt, LockFile, type LockFileSettings } from '../lock-file.js';
import type { LockMechanism, LockMode } from '../lock-mode.js';
import { isOnNetwork } from '../mounts.js';
import { BUSY, GRANTED, loadNative, type Native, REPLACED } from '../native.js';
import { waitOnThisThread } from './blocking-wait.js';
import { LocalGrantBudget } from './local-grant-budget.js';
import { type Grantor, PendingAcquisitions } from './pending-acquisitions.js';
import { type LockRequest, Waiter } from './waiter.js';

/**
 * The lock of one path with one mechanism, as this environment (main thread or worker thread) holds it
 * and waits for it. Everything here runs on the environment's own thread, so nothing interleaves inside a
 * method, except where user code is called: subscribers of diagnostics channels can call any method again,
 * so they are called last, when the guard has been delivered and all state is consistent.
 *
 * - `#exclusiveGuards`, `#sharedGuards`: how many guards of this thread hold the lock.
 * - `#pending`: the acquisitions that were not granted at once. Nobody waits in the kernel while a guard of
 *   this thread conflicts with the head of that queue; then the head waits for that guard's release.
 *
 * A release hands the locked file to the head at once, or pumps the queue. A try or an acquireSync that
 * passes the queue, and then conflicts with the head, suspends the head's wait in the kernel.
 */
export class PathLock implements GuardOwner, Grantor {
  /** No longer in the registry: a FileLock that still has this one must look it up again. */
  retired = false;
  #exclusiveGuards = 0;
  #sharedGuards = 0;
  /** On a server, where nothing that `acquire` does may block this thread. */
  isOnNetwork: boolean;
  /** Told by an open file, and not only by its path. */
  #isOnNetworkForSure = false;
  readonly #pending: PendingAcquisitions;
  /** Attempts on threads that pass the queue. */
  #attempts = 0;
  readonly #budget: LocalGrantBudget;
  readonly #native: Native;

  constructor(
    readonly path: string,
    readonly mechanism: LockMechanism,
  ) {
    this.#native = loadNative(path);
    this.isOnNetwork = isOnNetwork(path);
    this.#budget = new LocalGrantBudget(this.#native);
    this.#pending = new PendingAcquisitions(this.#native, this);
  }

  get idle(): boolean {
    return this.heldHere === null && this.#pending.first === null && this.#attempts === 0;
  }

  get heldHere(): LockMode | null {
    if (this.#exclusiveGuards > 0) return 'exclusive';
    return this.#sharedGuards > 0 ? 'shared' : null;
  }

  conflictsLocally(exclusive: boolean): boolean {
    return this.#exclusiveGuards > 0 || (exclusive && this.#sharedGuards > 0);
  }

  /** For one FileLock: how it opens the file, and how its guards are made. */
  newSource(settings: LockFileSettings, makeGuard: NewGuard = newGuard): GuardSource {
    return { file: new LockFile(this.path, this.mechanism, settings), newGuard: makeGuard };
  }

  tryAcquire(source: GuardSource, exclusive: boolean): Guard | null {
    const attempt = this.#firstAttempt(source.file, exclusive);
    if (attempt.granted) return this.#grantHere(attempt.handle, source.newGuard(this, source.file, exclusive));
    source.file.keepOrClose(attempt.handle);
    return null;
  }

  /** `caller`: the public function. The stack of a timeout begins with its caller. */
  acquire(source: GuardSource, request: LockRequest, caller: (...args: never[]) => unknown): Promise<Guard> {
    if (!acquisitionsAreTraced()) return this.#acquire(source, request, caller);
    return traceAcquire(this.#trace(request), request.signals, () => this.#acquire(source, request, caller));
  }

  #acquire(source: GuardSource, request: LockRequest, caller: (...args: never[]) => unknown): Promise<Guard> {
    const { exclusive, timeout } = request;
    let handle = -1;
    if (this.isOnNetwork) {
      if (timeout === 0) return this.#attemptOnThread(source, request, caller);
    } else if (this.#pending.first === null || timeout === 0) {
      try {
        const attempt = this.#firstAttempt(source.file, exclusive);
        handle = attempt.handle;
        if (attempt.granted) {
          return Promise.resolve(this.#grantHere(handle, source.newGuard(this, source.file, exclusive)));
        }
      } catch (error) {
        return Promise.reject(error);
      }
    }
    return this.#wait(this.#pending, source, request, handle, caller);
  }

  /** One attempt, which passes the queue by being in one of its own. */
  async #attemptOnThread(
    source: GuardSource,
    request: LockRequest,
    caller: (...args: never[]) => unknown,
  ): Promise<Guard> {
    this.#attempts++;
    try {
      return await this.#wait(new PendingAcquisitions(this.#native, this), source, request, -1, caller);
    } finally {
      this.#attempts--;
    }
  }

  #wait(
    queue: PendingAcquisitions,
    source: GuardSource,
    request: LockRequest,
    handle: number,
    caller: (...args: never[]) => unknown,
  ): Promise<Guard> {
    const { exclusive } = request;
    return new Promise((resolve, reject) => {
      const guard = source.newGuard(this, source.file, exclusive);
      const waiter = new Waiter(request, source, guard, resolve, reject, queue);
      // Takes 1.4 to 3 us: little in a wait for another process, much in one for a task of this thread.
      if (!this.conflictsLocally(exclusive)) {
        waiter.callSite = {};
        Error.captureStackTrace?.(waiter.callSite, caller);
      }
      queue.add(waiter, handle);
    });
  }

  acquireSync(source: GuardSource, exclusive: boolean, timeout: number, since: number): Guard {
    if (!acquisitionsAreTraced()) return this.#acquireSync(source, exclusive, timeout, since);
    return traceAcquireSync(this.#trace({ exclusive, timeout }), () =>
      this.#acquireSync(source, exclusive, timeout, since),
    );
  }

  #trace({ exclusive, timeout }: Pick<LockRequest, 'exclusive' | 'timeout'>): AcquireTrace {
    return { path: this.path, mode: exclusive ? 'exclusive' : 'shared', mechanism: this.mechanism, timeout };
  }

  #acquireSync(source: GuardSource, exclusive: boolean, timeout: number, since: number): Guard {
    const deadline = since + timeout;
    const { file } = source;
    let attempt = this.#firstAttempt(file, exclusive);
    // Before the wait, so that there is less to do after it, when all caches are cold.
    const guard = source.newGuard(this, file, exclusive);
    if (attempt.granted) return this.#grantHere(attempt.handle, guard);
    prepareToTrack();
    const suspended = new Set<WaitOwner>();
    try {
      if (timeout > 0) {
        attempt = waitOnThisThread(this.#native, file, exclusive, attempt.handle, deadline, suspended);
        if (attempt.granted) {
          this.#budget.renew();
          return this.#grantHere(attempt.handle, guard);
        }
      }
      file.keepOrClose(attempt.handle);
    } finally {
      for (const owner of suspended) owner.resumeWait();
    }
    const holder = this.conflictsLocally(exclusive) ? holderHere(this.path) : findHolderSync(this.path, this.mechanism);
    throw new LockTimeoutError(this.path, exclusive, timeout, holder);
  }

  release(guard: Guard, undelivered: boolean): void {
    const { exclusive, file, grant, handle, exposed } = guard;
    if (exclusive) this.#exclusiveGuards--;
    else this.#sharedGuards--;
    if (grant !== null) file.recorder.recordRelease(handle, grant, undelivered);
    const next = this.#pending.first;
    if (next !== null && !isExiting()) {
      this.#releaseTo(next, guard);
    } else {
      file.free(handle, exposed); // while the process exits, a waiter could not use a grant
      this.#budget.noteRelease();
      publishRelease(this.path, exclusive);
    }
  }

  /**
   * Hands the locked file from one exclusive guard to the next, without an unlock: a process that waits in the
   * kernel would be woken by it, and run only after the next lock. Not when the budget is spent, since then
   * the lock must be left free, nor when the path no longer names the file, which its holder may have replaced.
   */
  #releaseTo(next: Waiter, { file, handle, exclusive, exposed }: Guard): void {
    const canHandOff = exclusive && next.exclusive && !exposed && !this.conflictsLocally(true);
    const outcome = canHandOff ? this.#native.confirm(handle) : BUSY;
    if (outcome === GRANTED) this.#budget.noteRelease();
    if (outcome === GRANTED && !this.#budget.isSpent) {
      if (next.handle >= 0) next.source.file.keepOrClose(next.handle);
      this.#pending.deliver(next, handle);
      publishRelease(this.path, exclusive);
      return;
    }
    if (outcome !== REPLACED) {
      if (next.handle >= 0 || exposed) file.free(handle, exposed);
      else next.handle = file.unlock(handle); // open already: the next one can use it
    }
    this.#budget.noteRelease();
    publishRelease(this.path, exclusive);
    this.#pending.pump();
  }

  #firstAttempt(file: LockFile, exclusive: boolean): Attempt {
    return this.attempt(file, exclusive, -1, file.settings.createParents);
  }

  attempt(file: LockFile, exclusive: boolean, handle: number, createParents: boolean): Attempt {
    if (this.#budget.isSpent && this.#exclusiveGuards + this.#sharedGuards === 0) this.#budget.yieldToOtherProcesses();
    const attempt = file.attempt(exclusive, handle, createParents);
    if (!this.#isOnNetworkForSure) {
      this.#isOnNetworkForSure = true;
      this.isOnNetwork = this.#native.isOnNetwork(attempt.handle);
    }
    return attempt;
  }

  grant(handle: number, guard: Guard, recorded: Grant | null): void {
    const { exclusive, file } = guard;
    if (exclusive) this.#exclusiveGuards++;
    else this.#sharedGuards++;
    this.#pending.suspendIfConflicting();
    guard.begin(
      handle,
      recorded ?? (exclusive && file.settings.recordHolder ? file.recorder.recordGrant(handle) : null),
    );
  }

  onKernelWaitEnded(): void {
    this.#budget.renew();
  }

  #grantHere(handle: number, guard: Guard): Guard {
    this.grant(handle, guard, null);
    track(guard);
    if (guard.previousHolder !== null) publishAbandoned(this.path, guard.previousHolder);
    return guard;
  }
}
