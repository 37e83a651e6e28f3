import { readFileSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** The number of waiters blocked in the kernel on a file: lines with an arrow in /proc/locks (proc(5)). */
export function kernelWaiters(path: string): number {
  const { ino } = statSync(path);
  const line = new RegExp(`^\\d+: *-> .*:${ino} `, 'gm');
  return [...readFileSync('/proc/locks', 'latin1').matchAll(line)].length;
}

/** Resolves once that many waiters are blocked in the kernel. */
export async function untilWaiting(path: string, count = 1): Promise<void> {
  while (kernelWaiters(path) < count) await delay(5);
}
