import type { LockHolder } from './lock-holder.js';

/**
 * Who holds the lock is asked this long (ms) before the deadline, since the answer can take 10 ms and the
 * timeout shall be punctual; …
 */
const LEAD = 25;
/** … and once it is late, no longer than this (ms). */
const PATIENCE = 12;
const LONGEST_TIMER = 2 ** 31 - 1;

/** When a wait is over, on the monotonic clock, and who will be named then. */
export class Deadline {
  readonly #at: number;
  #timer: NodeJS.Timeout | undefined;
  #holder: Promise<LockHolder | null> | undefined;

  /** `findHolder` must never reject. */
  constructor(
    readonly timeout: number,
    private readonly findHolder: () => Promise<LockHolder | null>,
  ) {
    this.#at = performance.now() + timeout;
  }

  /** Milliseconds; none are left when it is over. */
  get left(): number {
    return this.#at - performance.now();
  }

  /** Calls back when the time is over, not before. */
  start(onOver: () => void): void {
    if (this.#at === Number.POSITIVE_INFINITY) return;
    const left = this.left;
    const next = left > LEAD ? left - LEAD : left;
    this.#timer = setTimeout(() => this.#onTimer(onOver), Math.min(Math.ceil(next), LONGEST_TIMER));
  }

  #onTimer(onOver: () => void): void {
    const left = this.left;
    if (left <= 0) {
      onOver();
      return;
    }
    // Time to ask; or early by a fraction of a millisecond; or the longest timer was too short.
    if (left <= LEAD) this.#holder ??= this.findHolder();
    this.start(onOver);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Who holds the lock; null also where that takes too long. */
  async holder(): Promise<LockHolder | null> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, PATIENCE, null);
    });
    const holder = await Promise.race([this.#holder ?? this.findHolder(), tooLate]);
    clearTimeout(timer);
    return holder;
  }
}
