import { clearTimeout, now, setTimeout } from '../clock.js';

const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * One timer for all the waiters of a queue: a timer for each would cost more than the rest of their
 * waiting. It does not keep the process alive; pending waits do that by themselves.
 */
export class QueueTimer {
  #timer: NodeJS.Timeout | undefined;
  #due = Number.POSITIVE_INFINITY;

  /** `onDue` looks whose time has come, and asks to be called again for the others. */
  constructor(private readonly onDue: () => void) {}

  /** Sees to it that `onDue` is called at that time (of `performance.now()`) or a little later; perhaps before, too. */
  callAt(time: number): void {
    if (time >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = time;
    const delay = Math.max(1, Math.min(Math.ceil(time - now()), LONGEST_TIMER));
    this.#timer = setTimeout(() => {
      this.#due = Number.POSITIVE_INFINITY;
      this.onDue();
    }, delay).unref();
  }
}
