import { onAbort } from './abort.js';
import { now } from './clock.js';
import type { Guard, GuardSource } from './lock-guard.js';

/** One `acquire` that was not granted at once. */
export class Waiter {
  /** Of the monotonic clock. */
  readonly deadline: number;
  /** Its open file, if it has one; while a thread waits for it, the name of that wait. */
  handle = -1;
  /** No thread can wait for this one. */
  polled = false;
  #ignoreAbort: (() => void) | undefined;

  constructor(
    readonly source: GuardSource,
    readonly exclusive: boolean,
    readonly timeout: number,
    readonly signal: AbortSignal | undefined,
    readonly resolve: (guard: Guard) => void,
    readonly reject: (reason: unknown) => void,
  ) {
    this.deadline = now() + timeout;
  }

  listen(callback: () => void): void {
    if (this.signal !== undefined) this.#ignoreAbort = onAbort(this.signal, callback);
  }

  stopListening(): void {
    this.#ignoreAbort?.();
  }
}
