import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';

/** Usually long enough for a promise that is not blocked to settle. */
const QUIET_MS = 50;

/**
 * Asserts that a promise stays pending for a while. A slow machine cannot make it fail: it fails only if
 * the promise settles.
 */
export async function expectBlocked(promise: Promise<unknown>): Promise<void> {
  const settled = promise.then(
    () => 'settled',
    () => 'settled',
  );
  expect(await Promise.race([settled, delay(QUIET_MS, 'blocked')])).toBe('blocked');
}
