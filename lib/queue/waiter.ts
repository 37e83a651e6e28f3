import type { Guard, GuardSource } from '../guard/lock-guard.js';
import type { LockReport } from '../holder/lock-holder.js';
import type { Grant } from '../holder/recorder.js';
import { type OnAbort, offAbort, onAbort } from './abort-listeners.js';
import { deadlines, type Timed } from './deadlines.js';
import { LOOKUP_LEAD_MS } from './holder-lookup.js';

/** `onWait` is called when a wait has lasted this long. */
const REPORT_AFTER_MS = 100;

/** The arguments of one `acquire`. */
export interface LockRequest {
  readonly exclusive: boolean;
  /** In milliseconds. */
  readonly timeout: number;
  /** On the monotonic clock. */
  readonly since: number;
  /** The wait ends when one of these aborts. */
  readonly signals: readonly AbortSignal[];
  readonly onWait: ((report: LockReport) => void) | undefined;
}

/** What the queue of a waiter does when a time of the waiter has come. */
export interface WaiterEvents {
  onAbort(waiter: Waiter, reason: unknown): void;
  onReportDue(waiter: Waiter): void;
  onLookupDue(waiter: Waiter): void;
  /** Returns Infinity when the wait has ended, or the time until which its thread may still report its end. */
  onDeadline(waiter: Waiter, time: number): number;
}

/** One `acquire` that was not granted at once. */
export class Waiter implements Timed {
  /** On the monotonic clock. */
  readonly expiry: number;
  /** Its open file, or -1: it has none. While it waits in the kernel, the file is the wait's. */
  handle = -1;
  /** What a thread has recorded, or is recording, of its grant. */
  grant: Grant | null = null;
  /** Its first attempt, which may make the parents of the file, is still to come. */
  isFirst = true;
  /** Where it was called from, for the stack of a timeout; captured only for a wait behind another process. */
  callSite: { stack?: string } | undefined;
  dueAt = 0;
  isTimed = false;
  #reportAt: number;
  #lookupAt: number;
  /** Its neighbours in the queue, which alone changes them. */
  previous: Waiter | null = null;
  next: Waiter | null = null;
  queued = false;
  #onAbort: OnAbort | undefined;

  constructor(
    readonly request: LockRequest,
    readonly source: GuardSource,
    /** Made before the wait, so that the grant, when all caches are cold, has less to do. */
    readonly guard: Guard,
    readonly resolve: (guard: Guard) => void,
    readonly reject: (reason: unknown) => void,
    private readonly events: WaiterEvents,
  ) {
    this.expiry = request.since + request.timeout;
    this.#reportAt = request.onWait === undefined ? Number.POSITIVE_INFINITY : request.since + REPORT_AFTER_MS;
    // A shorter wait looks the holder up when it has timed out.
    this.#lookupAt = request.timeout > LOOKUP_LEAD_MS ? this.expiry - LOOKUP_LEAD_MS : Number.POSITIVE_INFINITY;
  }

  get exclusive(): boolean {
    return this.request.exclusive;
  }

  startListening(): void {
    const { signals } = this.request;
    if (signals.length > 0) this.#onAbort = (reason) => this.events.onAbort(this, reason);
    for (const signal of signals) onAbort(signal, this.#onAbort as OnAbort);
    deadlines.add(this, this.#nextDue());
  }

  stopListening(): void {
    deadlines.remove(this);
    if (this.#onAbort === undefined) return;
    for (const signal of this.request.signals) offAbort(signal, this.#onAbort);
  }

  #nextDue(): number {
    // 0: one attempt, however long a server takes for it.
    const expiry = this.request.timeout === 0 ? Number.POSITIVE_INFINITY : this.expiry;
    return Math.min(this.#reportAt, this.#lookupAt, expiry);
  }

  onDue(time: number): number {
    if (!this.queued) return Number.POSITIVE_INFINITY; // ended by a callback of another waiter in this tick
    if (time >= this.#reportAt) {
      this.#reportAt = Number.POSITIVE_INFINITY;
      this.events.onReportDue(this);
    }
    if (time >= this.#lookupAt) {
      this.#lookupAt = Number.POSITIVE_INFINITY;
      this.events.onLookupDue(this);
    }
    return time < this.expiry ? this.#nextDue() : this.events.onDeadline(this, time);
  }
}

/**
 * The waiters of a path in FIFO order. A linked list, and not a Set: entries that were deleted at the front of
 * a Set stay as gaps for a while, and every look at the first entry steps over them.
 */
export class WaiterQueue {
  first: Waiter | null = null;
  #last: Waiter | null = null;

  add(waiter: Waiter): void {
    waiter.queued = true;
    waiter.previous = this.#last;
    if (this.#last === null) this.first = waiter;
    else this.#last.next = waiter;
    this.#last = waiter;
  }

  delete(waiter: Waiter): void {
    const { previous, next } = waiter;
    if (previous === null) this.first = next;
    else previous.next = next;
    if (next === null) this.#last = previous;
    else next.previous = previous;
    waiter.queued = false;
    waiter.previous = null;
    waiter.next = null;
  }
}
