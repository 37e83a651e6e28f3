import { performance } from 'node:perf_hooks';
import timers from 'node:timers';

// Taken once, when this is loaded: a test of a program that replaces the clock by one that stands
// still must not make real locks wait for ever.

/** Monotonic, in milliseconds. */
export const now = performance.now.bind(performance);
export const { clearTimeout, setImmediate, setTimeout } = timers;
