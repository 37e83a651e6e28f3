import { readFileSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** How many wait in the kernel for the lock of a file: the lines with an arrow in /proc/locks (proc(5)). */
export function kernelWaiters(path: string): number {
  const { ino } = statSync(path);
  const line = new RegExp(`^\\d+: *-> .*:${ino} `, 'gm');
  return [...readFileSync('/proc/locks', 'latin1').matchAll(line)].length;
}

/** Resolves when that many wait in the kernel: then a contender is known to have come to its wait. */
export async function untilWaiting(path: string, count = 1): Promise<void> {
  while (kernelWaiters(path) < count) await delay(5);
}
