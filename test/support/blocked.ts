import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';

/** Long enough for whatever is not blocked to get through on this machine, mostly. */
const QUIET_MS = 50;

/**
 * Asserts that a promise stays pending for a while. It cannot fail on a slow machine for being slow:
 * it fails only if the promise does settle.
 */
export async function expectBlocked(promise: Promise<unknown>): Promise<void> {
  const settled = promise.then(
    () => 'settled',
    () => 'settled',
  );
  expect(await Promise.race([settled, delay(QUIET_MS, 'blocked')])).toBe('blocked');
}
