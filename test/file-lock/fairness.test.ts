import { expect, test } from 'vitest';
import { FileLock, type FileLockOptions } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { tempLock } from '../support/temp-dir.js';

const GRANTS = 30;
const LIMIT_MS = 20_000; // without fairness a single grant was seen to take seconds

/** Resolves once the lock is found held: then the loop of the other process is running. */
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
  /** How many tasks hand the lock to each other. */
  tasks: number;
  holdMicroseconds: number;
}

/** Loops forever, without ever returning to the event loop. */
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

test.each(LOOPS)('a process is not starved by a hot loop of another one: %o', async ({ options, ...way }) => {
  const path = tempLock();
  const hot = await Actor.process();
  hot.run(takeAndRelease, { path, options, ...way }).catch(() => {}); // killed at the end of the test
  const lock = new FileLock(path, { ...options, timeout: LIMIT_MS });
  let waited = 0;
  for (let grant = 0; grant < GRANTS; grant++) {
    await untilHeld(lock); // otherwise the loop might still be asleep, and all grants uncontended
    const from = performance.now();
    const guard = grant % 2 === 0 ? await lock.acquire() : lock.acquireSync();
    waited += performance.now() - from;
    guard.release();
  }
  console.log(`${GRANTS} grants took ${waited.toFixed(0)} ms`);
  expect(waited).toBeLessThan(LIMIT_MS);
  await untilHeld(lock); // the loop ran to the end
  lock.close();
});
