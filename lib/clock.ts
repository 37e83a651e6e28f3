import timers from 'node:timers';

// Taken once, when this is loaded: a test of a program that replaces the clock by one that stands
// still must not make real locks wait for ever.

const { hrtime } = process;

/** Monotonic, in milliseconds. Not `performance`, which costs a program that has no use for it a millisecond to load. */
export function now(): number {
  const time = hrtime();
  return time[0] * 1e3 + time[1] / 1e6;
}

export const { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } = timers;

const resolved = Promise.resolve();

/** Runs `callback` after the promise reactions that are queued by now. */
export function afterReactions(callback: () => void): void {
  void resolved.then(callback);
}
