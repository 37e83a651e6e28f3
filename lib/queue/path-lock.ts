import { now } from '../clock.js';
import { publishAbandoned, publishRelease } from '../diagnostics.js';
import { deadlock, LockTimeoutError } from '../errors.js';
import { findHolderSync, holderHere } from '../holder/inspect.js';
import { isExiting } from '../holder/process-info.js';
import type { LockFile } from '../lock-file.js';
import { type Guard, type GuardOwner, type GuardSource, prepareToWatch, watchLater } from '../lock-guard.js';
import { BUSY, cannotWait, failure, GRANTED, loadNative, type Native, REPLACED, TIMED_OUT } from '../native.js';
import type { LockMechanism } from '../options.js';
import { Burst } from './burst.js';
import { HolderQuestion, LEAD } from './holder-question.js';
import { countPending, endWait, ownersWaitingFor, startWait, type WaitOwner, waitsOnThread } from './kernel-waits.js';
import { QueueTimer } from './queue-timer.js';
import { Waiter, WaitQueue } from './waiter.js';

/** A thread tells of its timeout by itself; it is asked only when it is later than this (ms). */
const THREAD_GRACE = 5;
/** `acquireSync` wakes this often (ms), for the runtime to notice that its worker is terminated. */
const SYNC_SLICE = 50;
/** For what is to follow after those who were told of a grant. */
const TOLD = Promise.resolve();

/**
 * What this environment (main thread or worker thread) holds and awaits of one path with one
 * mechanism. Everything here runs on the environment's own thread, so nothing interleaves inside a
 * method. What a method may find:
 *
 * - `#waiters`, first come first served. Only its head is ever tried, or waited for in the kernel,
 *   and not even that while a local guard bars it: then that guard's release is what it waits for.
 * - `#inKernel`: the head, while a thread (or, without one, the poll) waits for it. Its open file is
 *   the thread's meanwhile.
 *
 * A waiter leaves `#waiters` exactly once, by `#leaveQueue`, which also ends its abort listener; so of grant,
 * abort and timeout only the first that reaches this thread counts.
 *
 * - Abort or expiry of the one in the kernel: `endWait` answers at once. Either the thread had
 *   nothing, and will take nothing; or it had been granted and the news is still on its way, which
 *   is thereby withdrawn. Then an abort releases the lock, and an expiry accepts it.
 * - Release: hands its locked file on to the head at once, or wakes it by `#pump`, as every change does.
 * - A try or an acquireSync that passes the queue: takes the head out of the kernel, and the next
 *   `#pump` sends it back.
 * - Teardown: the addon ends the waits and frees the locks, and no promise is settled any more.
 */
export class PathLock implements GuardOwner, WaitOwner {
  /** No longer in the registry: whoever still knows this one must ask for it anew. */
  retired = false;
  #exclusiveGuards = 0;
  #sharedGuards = 0;
  readonly #waiters = new WaitQueue();
  #inKernel: Waiter | null = null;
  readonly #timer = new QueueTimer(() => this.#onTimer());
  #question: HolderQuestion | undefined;
  readonly #burst: Burst;
  readonly #native: Native;

  constructor(
    readonly path: string,
    readonly mechanism: LockMechanism,
  ) {
    this.#native = loadNative(path);
    this.#burst = new Burst(this.#native);
  }

  get idle(): boolean {
    return this.#exclusiveGuards + this.#sharedGuards === 0 && this.#waiters.first === null;
  }

  tryAcquire(source: GuardSource, exclusive: boolean): Guard | null {
    return this.#grantOrPutAway(this.#firstAttempt(source.file, exclusive), source, exclusive);
  }

  acquire(source: GuardSource, exclusive: boolean, timeout: number, signal: AbortSignal | undefined): Promise<Guard> {
    let handle = -1;
    if (this.#waiters.first === null || timeout === 0) {
      try {
        handle = this.#firstAttempt(source.file, exclusive);
      } catch (error) {
        return Promise.reject(error);
      }
      if (handle >= 0) return Promise.resolve(this.#grantHere(handle, source, exclusive));
      handle = ~handle;
    }
    return new Promise((resolve, reject) => {
      this.#enqueue(new Waiter(source, exclusive, timeout, signal, resolve, reject), handle);
    });
  }

  acquireSync(source: GuardSource, exclusive: boolean, timeout: number): Guard {
    const deadline = now() + timeout;
    let handle = this.#firstAttempt(source.file, exclusive);
    if (handle >= 0) return this.#grantHere(handle, source, exclusive);
    prepareToWatch();
    const aside = new Set<WaitOwner>();
    try {
      if (timeout > 0) handle = this.#waitHere(~handle, source.file, exclusive, deadline, aside);
      const guard = this.#grantOrPutAway(handle, source, exclusive);
      if (guard !== null) return guard;
    } finally {
      for (const owner of aside) owner.resume();
    }
    const holder = this.#bars(exclusive) ? holderHere(this.path) : findHolderSync(this.path, this.mechanism);
    throw new LockTimeoutError(this.path, exclusive, timeout, holder);
  }

  /** For the guard, once. `undelivered`: nobody has heard of it, and of what it was told. */
  release(guard: Guard, undelivered: boolean): void {
    if (guard.exclusive) this.#exclusiveGuards--;
    else this.#sharedGuards--;
    if (guard.grant !== null) guard.file.recordRelease(guard.handle, guard.grant, undelivered);
    const next = this.#waiters.first;
    if (next !== null && !isExiting()) {
      this.#releaseTo(next, guard);
    } else {
      guard.file.free(guard.handle); // where the process exits, nobody who is let in would ever come to know
      this.#burst.noteRelease();
      publishRelease(this.path, guard.exclusive);
    }
  }

  /**
   * From one exclusive guard to the next without the kernel: whoever sleeps there would run only after the
   * next lock. Not after a burst, which ends with a free lock. The holder may have replaced the file.
   */
  #releaseTo(next: Waiter, { file, handle, exclusive }: Guard): void {
    const outcome = exclusive && next.exclusive && !this.#bars(true) ? this.#native.confirm(handle) : BUSY;
    if (outcome === GRANTED) this.#burst.noteRelease();
    if (outcome === GRANTED && !this.#burst.isOver) {
      if (next.handle >= 0) next.source.file.putAway(next.handle);
      this.#deliver(next, handle);
      publishRelease(this.path, exclusive); // last: who listens may do anything, and abort the next one too
      return;
    }
    if (outcome !== REPLACED) {
      if (next.handle >= 0) file.free(handle);
      else next.handle = file.unlock(handle); // open already: the next one can have it so
    }
    this.#burst.noteRelease();
    publishRelease(this.path, exclusive);
    this.#pump();
  }

  // --- Attempts -----------------------------------------------------------------------------------

  /** Whether a guard of this environment keeps others from locking in that mode. */
  #bars(exclusive: boolean): boolean {
    return this.#exclusiveGuards > 0 || (exclusive && this.#sharedGuards > 0);
  }

  #firstAttempt(file: LockFile, exclusive: boolean): number {
    return this.#attempt(file, exclusive, -1, file.settings.createParents);
  }

  #attempt(file: LockFile, exclusive: boolean, handle: number, createParents: boolean): number {
    if (this.#burst.isOver && this.#exclusiveGuards + this.#sharedGuards === 0) this.#burst.leaveGap();
    return file.attempt(exclusive, handle, createParents);
  }

  #grant(handle: number, source: GuardSource, exclusive: boolean): Guard {
    if (exclusive) this.#exclusiveGuards++;
    else this.#sharedGuards++;
    // A try that passed the queue may bar the head now.
    if (this.#inKernel !== null && this.#bars(this.#inKernel.exclusive)) this.#takeOutOfKernel();
    const { file } = source;
    const grant = exclusive && file.settings.recordHolder ? file.recordGrant(handle) : null;
    if (grant !== null && grant.previousHolder !== null) publishAbandoned(this.path, grant.previousHolder);
    return source.newGuard(this, handle, exclusive, file, grant);
  }

  #grantHere(handle: number, source: GuardSource, exclusive: boolean): Guard {
    const guard = this.#grant(handle, source, exclusive);
    watchLater(guard);
    return guard;
  }

  /** To one that has waited: the caller of `acquire` first, and in the microtask after it what can wait. */
  #deliver(waiter: Waiter, handle: number): void {
    this.#leaveQueue(waiter);
    const guard = this.#grant(handle, waiter.source, waiter.exclusive);
    waiter.resolve(guard);
    void TOLD.then(() => {
      countPending(-1, this.path);
      watchLater(guard);
    });
  }

  #grantOrPutAway(handle: number, source: GuardSource, exclusive: boolean): Guard | null {
    if (handle >= 0) return this.#grantHere(handle, source, exclusive);
    source.file.putAway(~handle);
    return null;
  }

  // --- Waiting on this thread ---------------------------------------------------------------------

  /**
   * As {@link LockFile.attempt} with an open file, blocking this thread until `deadline`. Whoever of this
   * thread waits for the same file steps `aside`: no grant may get stuck behind the event loop, which is
   * blocked meanwhile.
   */
  #waitHere(handle: number, file: LockFile, exclusive: boolean, deadline: number, aside: Set<WaitOwner>): number {
    let open = handle;
    for (;;) {
      if (this.#native.ownLockBars(open, exclusive)) {
        file.close(open);
        throw deadlock(this.mechanism, this.path);
      }
      for (const owner of ownersWaitingFor(open, this.path)) {
        owner.stepAside();
        aside.add(owner);
      }
      const left = deadline - now();
      if (left <= 0) return ~open;
      const outcome = this.#native.waitHere(open, exclusive, Math.min(SYNC_SLICE, left));
      if (outcome === BUSY) continue;
      this.#burst.end();
      if (outcome === GRANTED) return open;
      if (outcome !== REPLACED) throw failure(outcome, this.path);
      const next = file.attempt(exclusive, -1, false);
      if (next >= 0) return next;
      open = ~next;
    }
  }

  // --- The queue ----------------------------------------------------------------------------------

  /** `handle`: the file with which the waiter has already tried in vain, or -1. */
  #enqueue(waiter: Waiter, handle: number): void {
    if (waiter.timeout === 0) {
      waiter.source.file.putAway(handle);
      this.#timeOut(waiter);
      return;
    }
    try {
      waiter.listen(() => this.#onAbort(waiter));
    } catch (error) {
      if (handle >= 0) waiter.source.file.putAway(handle);
      waiter.reject(error); // no real signal
      return;
    }
    waiter.handle = handle;
    this.#waiters.add(waiter);
    countPending(1, this.path);
    this.#timer.callAt(this.#nextLook(waiter, waiter.since));
    // With a file in hand it is the head, and has just tried: no need to try again.
    if (handle >= 0 && !this.#bars(waiter.exclusive)) this.#waitInKernel(waiter, handle);
  }

  /** Lets in whoever may come in, and sends the next one to wait in the kernel. */
  #pump(): void {
    for (;;) {
      const head = this.#waiters.first;
      if (head === null || this.#inKernel !== null || this.#bars(head.exclusive)) return;
      const handle = head.handle;
      head.handle = -1;
      try {
        const outcome = this.#attempt(head.source.file, head.exclusive, handle, false);
        if (outcome < 0) {
          if (now() < head.deadline) {
            this.#waitInKernel(head, ~outcome);
            return;
          }
          this.#timeOut(head);
          const next = this.#waiters.first;
          if (next !== null && next.handle < 0 && next.exclusive === head.exclusive) next.handle = ~outcome;
          else head.source.file.putAway(~outcome);
          continue;
        }
        this.#deliver(head, outcome);
      } catch (error) {
        this.#settle(head);
        head.reject(error);
      }
    }
  }

  #waitInKernel(head: Waiter, handle: number): void {
    this.#inKernel = head;
    head.handle = handle;
    startWait(this, handle, head.exclusive, head.deadline, !head.polled);
  }

  /** The head is in the kernel no more. True: it had been granted meanwhile. */
  #endKernelWait(): boolean {
    const head = this.#inKernel;
    if (head === null) return false;
    this.#inKernel = null;
    const outcome = endWait(this, head.handle);
    if (outcome !== null && outcome !== GRANTED) head.handle = -1;
    return outcome === GRANTED;
  }

  /** The head waits no more, and holds nothing. Whoever calls this sees to it that `#pump` follows. */
  #takeOutOfKernel(): void {
    const head = this.#inKernel;
    if (this.#endKernelWait() && head !== null) this.#closeFile(head);
  }

  #closeFile(waiter: Waiter): void {
    if (waiter.handle >= 0) waiter.source.file.close(waiter.handle);
    waiter.handle = -1;
  }

  /** For the waits: the head's has ended by itself. */
  onWaitEnded(outcome: number): void {
    const head = this.#inKernel;
    if (head === null) return;
    this.#inKernel = null;
    this.#burst.end();
    if (outcome === GRANTED) {
      this.#deliver(head, head.handle);
    } else {
      head.handle = -1;
      if (outcome === TIMED_OUT) {
        this.#timeOut(head);
      } else if (cannotWait(outcome)) {
        head.polled = true;
      } else if (outcome !== REPLACED) {
        this.#settle(head);
        head.reject(failure(outcome, this.path));
      }
    }
    this.#pump();
  }

  stepAside(): void {
    this.#takeOutOfKernel();
  }

  resume(): void {
    this.#pump();
  }

  #onAbort(waiter: Waiter): void {
    if (waiter === this.#inKernel) this.#takeOutOfKernel();
    this.#closeFile(waiter);
    this.#settle(waiter);
    waiter.reject(waiter.signal?.reason);
    this.#pump();
  }

  /** Some deadline is near, or has come. */
  #onTimer(): void {
    let anyIsOver = false;
    for (const waiter of this.#waiters.all()) {
      if (!waiter.queued) continue; // aborted by a subscriber who heard of another one's grant
      // One look at the clock: between two of them a time may come that only the second one sees.
      const time = now();
      const next = this.#nextLook(waiter, time);
      if (next > time) {
        this.#timer.callAt(next);
        if (next >= waiter.deadline) void this.#askForHolder().ask(this.#bars(waiter.exclusive));
      } else {
        anyIsOver = true;
        this.#onTimeOver(waiter);
      }
    }
    if (anyIsOver) this.#pump(); // once for all whose time is over, and who would only be tried in vain
  }

  /** When to look at a waiter: shortly before its deadline, at it, or, if a thread should tell by itself, after it. */
  #nextLook(waiter: Waiter, time: number): number {
    if (time < waiter.deadline - LEAD) return waiter.deadline - LEAD;
    if (time < waiter.deadline) return waiter.deadline;
    return waiter === this.#inKernel && waitsOnThread(this) ? waiter.deadline + THREAD_GRACE : waiter.deadline;
  }

  #askForHolder(): HolderQuestion {
    this.#question ??= new HolderQuestion(this.path, this.mechanism);
    return this.#question;
  }

  #onTimeOver(waiter: Waiter): void {
    if (waiter === this.#inKernel && this.#endKernelWait()) {
      this.#deliver(waiter, waiter.handle);
    } else {
      this.#closeFile(waiter);
      this.#timeOut(waiter);
    }
  }

  #timeOut(waiter: Waiter): void {
    // Pending until it is rejected: the process must not end before.
    countPending(1, this.path);
    this.#settle(waiter);
    void this.#askForHolder()
      .askInHaste(this.#bars(waiter.exclusive))
      .then((holder) => {
        countPending(-1, this.path);
        waiter.reject(new LockTimeoutError(this.path, waiter.exclusive, waiter.timeout, holder));
      });
  }

  #settle(waiter: Waiter): void {
    if (this.#leaveQueue(waiter)) countPending(-1, this.path);
  }

  #leaveQueue(waiter: Waiter): boolean {
    waiter.stopListening();
    return this.#waiters.delete(waiter);
  }
}
