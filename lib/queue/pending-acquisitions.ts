import { afterReactions, now } from '../clock.js';
import { publishAbandoned } from '../diagnostics.js';
import { LockTimeoutError } from '../errors.js';
import { track } from '../guard/leak-detector.js';
import type { Guard } from '../guard/lock-guard.js';
import type { Grant } from '../holder/recorder.js';
import { type KernelWaits, kernelWaitsOf, type WaitOwner } from '../kernel-waits.js';
import type { Attempt, LockFile } from '../lock-file.js';
import type { LockMode } from '../lock-mode.js';
import { failure, holdsLock, type Native, REPLACED, TIMED_OUT } from '../native.js';
import { HeadWait } from './head-wait.js';
import { HolderLookup, type LookedUp } from './holder-lookup.js';
import { type Waiter, type WaiterEvents, WaiterQueue } from './waiter.js';

/** A thread ends its wait at the deadline by itself; the wait is cancelled only when that is later than this (ms). */
const THREAD_GRACE = 5;

/** The lock that is waited for, as this thread holds it. */
export interface Grantor extends LookedUp {
  /** How guards of this thread hold the lock; null when there are none. */
  readonly heldHere: LockMode | null;
  /** Whether a guard held by this thread conflicts with that mode. */
  conflictsLocally(exclusive: boolean): boolean;
  /** See {@link LockFile.attempt}. */
  attempt(file: LockFile, exclusive: boolean, handle: number, createParents: boolean): Attempt;
  /** The guard has the lock from now on. `recorded`: what a thread has recorded of it. */
  grant(handle: number, guard: Guard, recorded: Grant | null): void;
  /** A wait in the kernel has ended: another process has held the lock, or could have. */
  onKernelWaitEnded(): void;
}

/**
 * The acquisitions of one path that were not granted at once, in FIFO order.
 *
 * - `#waiters`: only the head is ever tried, or waits in the kernel, and not even that while a guard of this
 *   thread conflicts with it.
 * - `#inKernel`: the head, while it waits in the kernel.
 *
 * A waiter leaves the queue exactly once, by `deliver` or by `#dismiss`: on grant, timeout, abort or failure,
 * whichever reaches this thread first. What comes for it later finds that it is not queued.
 *
 * - Abort or deadline of the one in the kernel: cancelling its wait answers at once. Either it held nothing,
 *   and never will; or it had been granted and the notification is on its way. Then an abort releases the
 *   lock, and a deadline accepts it.
 * - Abort, timeout and failure pump once, after all that happen in the same turn: each pump can start a wait
 *   of the next head in the kernel, and 10,000 aborts would cancel as many, one after the other.
 * - Teardown: the addon ends the waits and frees the locks, and no promise is settled any more.
 *
 * User code runs in listeners of the same abort signals, in subscribers of diagnostics channels, and in
 * `onWait`, and can call anything again. When it is called, every waiter is either in the queue or has
 * left it with nothing in hand.
 */
export class PendingAcquisitions implements WaitOwner, WaiterEvents {
  readonly #waiters = new WaiterQueue();
  /** Made with the first wait. */
  #wait: HeadWait | undefined;
  #pumpIsScheduled = false;
  readonly #lookup: HolderLookup;
  #kernelWaits: KernelWaits | undefined;

  constructor(
    private readonly native: Native,
    private readonly lock: Grantor,
  ) {
    this.#lookup = new HolderLookup(lock);
  }

  get first(): Waiter | null {
    return this.#waiters.first;
  }

  get #waits(): KernelWaits {
    this.#kernelWaits ??= kernelWaitsOf(this.native);
    return this.#kernelWaits;
  }

  get #headWait(): HeadWait {
    this.#wait ??= new HeadWait(this.#waits, this);
    return this.#wait;
  }

  /** The head, while it waits in the kernel. */
  get #inKernel(): Waiter | null {
    return this.#wait === undefined ? null : this.#wait.head;
  }

  /** `handle`: the open file of the first attempt, which found the lock held; or -1 when there was none. */
  add(waiter: Waiter, handle: number): void {
    const { timeout } = waiter.request;
    if (timeout === 0 && (!this.lock.isOnNetwork || this.lock.conflictsLocally(waiter.exclusive))) {
      if (handle >= 0) waiter.source.file.keepOrClose(handle);
      this.#waits.ref();
      this.#rejectWithTimeout(waiter);
      return;
    }
    try {
      // Anything may have run since the signals were looked at: a subscriber of the acquisition's start.
      for (const signal of waiter.request.signals) if (signal.aborted) throw signal.reason;
      waiter.startListening();
    } catch (error) {
      waiter.stopListening();
      if (handle >= 0) waiter.source.file.keepOrClose(handle);
      waiter.reject(error);
      return;
    }
    waiter.handle = handle;
    this.#waiters.add(waiter);
    this.#waits.ref();
    // With an open file it is the head, and has just tried: no need to try again.
    if (handle >= 0 && !this.lock.conflictsLocally(waiter.exclusive))
      this.#headWait.start(waiter, handle, this.lock.isOnNetwork);
    else if (this.lock.isOnNetwork) this.pump();
  }

  /** Grants the lock of that file. Resolves the promise first; what can wait runs in a microtask after it. */
  deliver(waiter: Waiter, handle: number): void {
    this.#waiters.delete(waiter);
    const { guard } = waiter;
    this.lock.grant(handle, guard, waiter.grant);
    waiter.resolve(guard);
    afterReactions(() => {
      waiter.stopListening();
      this.#waits.unref();
      track(guard);
    });
    if (guard.previousHolder !== null) publishAbandoned(this.lock.path, guard.previousHolder);
  }

  /** Grants the lock to all waiters that can have it, and starts a wait in the kernel for the next one. */
  pump(): void {
    for (;;) {
      const head = this.#waiters.first;
      if (head === null || this.#inKernel !== null || this.lock.conflictsLocally(head.exclusive)) return;
      const { handle } = head;
      if (this.lock.isOnNetwork) {
        this.#headWait.start(head, handle, true);
        return;
      }
      head.handle = -1;
      try {
        const attempt = this.lock.attempt(head.source.file, head.exclusive, handle, false);
        if (attempt.granted) {
          this.deliver(head, attempt.handle);
        } else if (now() < head.expiry) {
          this.#headWait.start(head, attempt.handle, false);
        } else {
          const next = head.next;
          if (next !== null && next.handle < 0 && next.exclusive === head.exclusive) next.handle = attempt.handle;
          else head.source.file.keepOrClose(attempt.handle);
          this.#dismiss(head);
          this.#rejectWithTimeout(head);
        }
      } catch (error) {
        this.#dismiss(head);
        this.#reject(head, error);
      }
    }
  }

  #schedulePump(): void {
    if (this.#pumpIsScheduled || this.#waiters.first === null) return;
    this.#pumpIsScheduled = true;
    afterReactions(() => {
      this.#pumpIsScheduled = false;
      this.pump();
    });
  }

  /** Removes a waiter without a grant. Its promise must still be rejected, and keeps the process alive until then. */
  #dismiss(waiter: Waiter): void {
    if (waiter === this.#inKernel) this.suspendWait();
    if (waiter.handle >= 0) waiter.source.file.close(waiter.handle);
    waiter.handle = -1;
    this.#waiters.delete(waiter);
    waiter.stopListening();
    this.#schedulePump();
  }

  #reject(waiter: Waiter, reason: unknown): void {
    this.#waits.unref();
    waiter.reject(reason);
  }

  // --- Waiting in the kernel ----------------------------------------------------------------------

  /** Ends the wait of the head in the kernel; it holds nothing. The caller must see to it that a pump follows. */
  suspendWait(): void {
    this.#wait?.suspend();
  }

  /** The same, if a guard of this thread conflicts with the head by now. That guard's release is followed by a pump. */
  suspendIfConflicting(): void {
    if (this.#inKernel !== null && this.lock.conflictsLocally(this.#inKernel.exclusive)) this.suspendWait();
  }

  resumeWait(): void {
    this.pump();
  }

  onWaitEnded(outcome: number, content: Buffer | undefined): void {
    const head = this.#inKernel;
    if (head === null || !this.#headWait.end(head, outcome, content)) return;
    this.lock.onKernelWaitEnded();
    if (holdsLock(outcome)) {
      this.deliver(head, head.handle);
      this.pump(); // shared ones come in together
      return;
    }
    if (outcome === REPLACED) {
      this.pump();
    } else {
      this.#dismiss(head);
      if (outcome === TIMED_OUT) this.#rejectWithTimeout(head);
      else this.#reject(head, failure(outcome, this.lock.path));
    }
  }

  onAbort(waiter: Waiter, reason: unknown): void {
    if (!waiter.queued) return; // granted, and about to stop listening
    this.#dismiss(waiter);
    this.#reject(waiter, reason);
  }

  // --- Deadlines ----------------------------------------------------------------------------------

  onReportDue(waiter: Waiter): void {
    const { onWait } = waiter.request;
    const report = this.#lookup.report(this.lock.heldHere);
    // In a microtask of its own: what `onWait` throws is an uncaught exception, and no rejection. Where the
    // path names something that cannot be locked by now, the wait itself will say so.
    const call = (value: Awaited<typeof report>) =>
      queueMicrotask(() => {
        if (waiter.queued) onWait?.(value);
      });
    report.then(call, () => {});
  }

  onLookupDue(waiter: Waiter): void {
    void this.#lookup.start(this.lock.conflictsLocally(waiter.exclusive));
  }

  onDeadline(waiter: Waiter, time: number): number {
    if (waiter === this.#inKernel) {
      if (time < waiter.expiry + THREAD_GRACE) return waiter.expiry + THREAD_GRACE;
      if (this.#headWait.cancel(waiter)) {
        this.deliver(waiter, waiter.handle);
        this.#schedulePump();
        return Number.POSITIVE_INFINITY;
      }
    }
    this.#dismiss(waiter);
    this.#rejectWithTimeout(waiter);
    return Number.POSITIVE_INFINITY;
  }

  #rejectWithTimeout(waiter: Waiter): void {
    const { exclusive, timeout } = waiter.request;
    void this.#lookup.finish(this.lock.conflictsLocally(exclusive)).then((holder) => {
      this.#reject(waiter, new LockTimeoutError(this.lock.path, exclusive, timeout, holder, waiter.callSite));
    });
  }
}
