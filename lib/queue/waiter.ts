import { now } from '../clock.js';
import type { Guard, GuardSource } from '../lock-guard.js';
import { onAbort } from './abort.js';

/** One `acquire` that was not granted at once. */
export class Waiter {
  /** Both of the monotonic clock. */
  readonly since: number;
  readonly deadline: number;
  /** Its open file, if it has one; while a thread waits for it, the name of that wait. */
  handle = -1;
  /** No thread can wait for this one. */
  polled = false;
  /** Its neighbours in the queue, which alone changes them. */
  previous: Waiter | null = null;
  next: Waiter | null = null;
  queued = false;
  #ignoreAbort: (() => void) | undefined;

  constructor(
    readonly source: GuardSource,
    readonly exclusive: boolean,
    readonly timeout: number,
    readonly signal: AbortSignal | undefined,
    readonly resolve: (guard: Guard) => void,
    readonly reject: (reason: unknown) => void,
  ) {
    this.since = now();
    this.deadline = this.since + timeout;
  }

  listen(callback: () => void): void {
    if (this.signal !== undefined) this.#ignoreAbort = onAbort(this.signal, callback);
  }

  stopListening(): void {
    this.#ignoreAbort?.();
  }
}

/**
 * Those who wait, first come first served. A list, and no Set: what is taken out at the front of a Set
 * stays there as a gap for a while, over which every look at the front has to step.
 */
export class WaitQueue {
  first: Waiter | null = null;
  #last: Waiter | null = null;

  add(waiter: Waiter): void {
    waiter.queued = true;
    waiter.previous = this.#last;
    if (this.#last === null) this.first = waiter;
    else this.#last.next = waiter;
    this.#last = waiter;
  }

  /** False: it was not in the queue. */
  delete(waiter: Waiter): boolean {
    if (!waiter.queued) return false;
    const { previous, next } = waiter;
    if (previous === null) this.first = next;
    else previous.next = next;
    if (next === null) this.#last = previous;
    else next.previous = previous;
    waiter.queued = false;
    waiter.previous = null;
    waiter.next = null;
    return true;
  }

  /** All who wait now. */
  all(): Waiter[] {
    const waiters: Waiter[] = [];
    for (let each = this.first; each !== null; each = each.next) waiters.push(each);
    return waiters;
  }
}
