import { expect, test } from 'vitest';
import { FileLock, type FileLockOptions } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { tempLock } from '../support/temp-dir.js';

const ENTRIES = 30;
const LIMIT_MS = 20_000; // without fairness, one entry alone was seen to take seconds

/** Resolves when the lock is found held: then the loop of the other process runs. */
async function untilHeld(lock: FileLock): Promise<void> {
  for (;;) {
    const guard = lock.tryAcquire();
    if (guard === null) return;
    guard.release();
    await new Promise(setImmediate);
  }
}

interface Loop {
  path: string;
  options: FileLockOptions;
  sync: boolean;
  /** How many of them share the lock by turns. */
  tasks: number;
  holdMicroseconds: number;
}

/** For ever, and without ever coming back to the event loop. */
async function takeAndRelease(require: NodeJS.Require, { path, options, sync, tasks, holdMicroseconds }: Loop) {
  const { FileLock } = require('../..') as typeof import('../../lib/index.js');
  const lock = new FileLock(path, options);
  const loop = async () => {
    for (;;) {
      const guard = sync ? lock.acquireSync() : await lock.acquire();
      const until = performance.now() + holdMicroseconds / 1000;
      while (performance.now() < until);
      guard.release();
    }
  };
  await Promise.all(Array.from({ length: tasks }, loop));
}

const WAYS = [
  { sync: false, tasks: 1 },
  { sync: false, tasks: 3 },
  { sync: true, tasks: 1 },
];
const LOOPS = WAYS.flatMap((way) =>
  ([{}, { keepOpen: true }, { mechanism: 'fcntl' }] as FileLockOptions[]).flatMap((options) =>
    [0, 200].map((holdMicroseconds) => ({ ...way, options, holdMicroseconds })),
  ),
);

test.each(LOOPS)('a process gets in beside a hot loop of another one: %o', async ({ options, ...way }) => {
  const path = tempLock();
  const hot = await Actor.process();
  hot.run(takeAndRelease, { path, options, ...way }).catch(() => {}); // it ends with the test
  const lock = new FileLock(path, { ...options, timeout: LIMIT_MS });
  let waited = 0;
  for (let entry = 0; entry < ENTRIES; entry++) {
    await untilHeld(lock); // else all entries would be one, the loop being asleep
    const from = performance.now();
    const guard = entry % 2 === 0 ? await lock.acquire() : lock.acquireSync();
    waited += performance.now() - from;
    guard.release();
  }
  console.log(`${ENTRIES} entries took ${waited.toFixed(0)} ms`);
  expect(waited).toBeLessThan(LIMIT_MS);
  await untilHeld(lock); // it was hot to the end
  lock.close();
});
