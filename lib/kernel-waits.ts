import { setTimeout } from './clock.js';
import type { Native } from './native.js';

/** Where no thread can be started, waits are polled this often (ms). */
const POLL_INTERVAL = 10;

/** Has at most one wait at a time. */
export interface WaitOwner {
  /** The wait has ended by itself. `content`: what its thread has read of the file. */
  onWaitEnded(outcome: number, content: Buffer | undefined): void;
  /** Stops waiting, and holds nothing, until {@link resumeWait}. */
  suspendWait(): void;
  resumeWait(): void;
}

/**
 * The waits of this thread that the addon runs (native/lock_waiter.h), by the handles of their open files,
 * and how many acquisitions keep the event loop alive.
 */
export class KernelWaits {
  readonly #owners = new Map<number, WaitOwner>();
  #pending = 0;
  #pollIsComing = false;

  constructor(private readonly native: Native) {
    native.onWaitEnded((handle, outcome, content) => {
      const owner = this.#owners.get(handle);
      this.#owners.delete(handle);
      owner?.onWaitEnded(outcome, content);
      return true;
    });
  }

  /** `start` starts a wait of that handle, whose file is the wait's until it has ended; see {@link Native.startWait}. */
  start(owner: WaitOwner, handle: number, start: (native: Native) => boolean): void {
    this.#owners.set(handle, owner);
    if (!start(this.native)) this.#pollLater();
  }

  /** The same for something that is asked of a thread, and cannot be cancelled. */
  ask(start: (native: Native, handle: number) => boolean): Promise<{ outcome: number; content: Buffer | undefined }> {
    return new Promise((resolve) => {
      const handle = this.native.reserve();
      const owner: WaitOwner = {
        onWaitEnded: (outcome, content) => resolve({ outcome, content }),
        suspendWait() {},
        resumeWait() {},
      };
      this.start(owner, handle, (native) => start(native, handle));
    });
  }

  /** Ends a wait; its owner is not called any more. Returns the outcome that it had before, or that it was cancelled. */
  cancel(handle: number): number {
    this.#owners.delete(handle);
    return this.native.cancelWait(handle);
  }

  /** The owners that wait for the file that is open by `handle`, by whichever path they know it. */
  ownersWaitingFor(handle: number): WaitOwner[] {
    return [...this.#owners].filter(([wait]) => this.native.isSameLock(wait, handle)).map(([, owner]) => owner);
  }

  /** Keeps the event loop alive, as `ref()` of Node's own handles does, until as many calls of {@link unref}. */
  ref(): void {
    this.#pending++;
    if (this.#pending === 1) this.native.keepAlive(true);
  }

  unref(): void {
    this.#pending--;
    if (this.#pending === 0) this.native.keepAlive(false);
  }

  #pollLater(): void {
    if (this.#pollIsComing) return;
    this.#pollIsComing = true;
    setTimeout(() => {
      this.#pollIsComing = false;
      if (this.native.pollWaits()) this.#pollLater();
    }, POLL_INTERVAL);
  }
}

/**
 * Stored on the addon: this module can be loaded more than once (by tests that reset modules), the addon with
 * its waits only once.
 */
export function kernelWaitsOf(native: Native): KernelWaits {
  native.waits ??= new KernelWaits(native);
  return native.waits as KernelWaits;
}
