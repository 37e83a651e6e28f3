import { findHolder } from './inspect.js';
import type { Guard, GuardSource } from './lock-guard.js';
import type { LockHolder } from './lock-holder.js';
import type { LockMechanism } from './options.js';

/**
 * Who holds the lock is asked this long (ms) before a wait times out, since the answer can take 10 ms
 * and more, and the timeout shall be punctual; …
 */
const LEAD = 40;
/** … and once it is late, no longer than this (ms). */
const PATIENCE = 10;
/** A thread tells of its timeout by itself; it is asked only when it is later than this (ms). */
const THREAD_GRACE = 5;

/** One `acquire` that was not granted at once. Times are of `performance.now()`. */
export class Waiter {
  readonly deadline: number;
  /** Its open file, if it has one; while a thread waits for it, the name of that wait. */
  handle = -1;
  /** No thread can wait for this one. */
  polled = false;
  onAbort: (() => void) | undefined;
  #holder: Promise<LockHolder | null> | undefined;

  constructor(
    private readonly lock: { readonly path: string; readonly mechanism: LockMechanism },
    readonly source: GuardSource,
    readonly exclusive: boolean,
    readonly timeout: number,
    readonly signal: AbortSignal | undefined,
    readonly resolve: (guard: Guard) => void,
    readonly reject: (reason: unknown) => void,
  ) {
    this.deadline = performance.now() + timeout;
  }

  /** When to {@link look} first. */
  get firstLook(): number {
    return this.timeout > LEAD ? this.deadline - LEAD : this.deadline;
  }

  /** Whether the time is over: null, or when to look again. */
  look(onThread: boolean): number | null {
    const now = performance.now();
    const over = onThread ? this.deadline + THREAD_GRACE : this.deadline;
    if (now >= over) return null;
    if (now < this.firstLook) return this.firstLook;
    this.#holder ??= findHolder(this.lock.path, this.lock.mechanism);
    return now < this.deadline ? this.deadline : over;
  }

  /** Who holds the lock: `here`, if this thread is known to; null also where the answer takes too long. */
  async findHolder(here: LockHolder | null): Promise<LockHolder | null> {
    if (here !== null) return here;
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, PATIENCE, null);
    });
    const holder = await Promise.race([this.#holder ?? findHolder(this.lock.path, this.lock.mechanism), tooLate]);
    clearTimeout(timer);
    return holder;
  }
}
