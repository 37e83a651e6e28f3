import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'vitest';

/** How many descriptors this process has open, that of the look itself included. */
export function openDescriptors(): number {
  return readdirSync('/dev/fd').length;
}

/** How many threads this process has (proc(5), /proc/self/status); 0 where nobody tells. */
export function threads(): number {
  if (process.platform !== 'linux') return 0;
  return Number(/^Threads:\s+(\d+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]);
}

/**
 * Remembers what this process has; the result asserts that it has no more, as soon as all is quiet.
 * A few threads may come: one that ends its wait may not have parked yet when the next wait needs one.
 */
export function expectNoGrowth({ moreThreads = 4 } = {}): () => Promise<void> {
  const descriptors = openDescriptors();
  const mostThreads = threads() + moreThreads;
  return async () => {
    await expect.poll(openDescriptors, { timeout: 5000 }).toBeLessThanOrEqual(descriptors);
    await expect.poll(threads, { timeout: 5000 }).toBeLessThanOrEqual(mostThreads);
  };
}
