import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'vitest';

/** The number of open descriptors of this process, including the one used to count them. */
export function openDescriptors(): number {
  return readdirSync('/dev/fd').length;
}

/** The number of threads of this process (proc(5), /proc/self/status); 0 where it is not available. */
export function threads(): number {
  if (process.platform !== 'linux') return 0;
  return Number(/^Threads:\s+(\d+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]);
}

/**
 * Counts descriptors and threads. The returned function asserts that they have not grown, once things
 * have settled. A few more threads are allowed: one whose wait has ended may not have parked yet when the
 * next wait needs a thread.
 */
export function expectNoGrowth({ moreThreads = 4 } = {}): () => Promise<void> {
  const descriptors = openDescriptors();
  const mostThreads = threads() + moreThreads;
  return async () => {
    await expect.poll(openDescriptors, { timeout: 5000 }).toBeLessThanOrEqual(descriptors);
    await expect.poll(threads, { timeout: 5000 }).toBeLessThanOrEqual(mostThreads);
  };
}
