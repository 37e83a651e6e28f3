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
  holdMicroseconds: number;
}

/** For ever, and without ever coming back to the event loop. */
async function takeAndRelease(require: NodeJS.Require, { path, options, sync, holdMicroseconds }: Loop): Promise<void> {
  const { FileLock } = require('../..') as typeof import('../../lib/index.js');
  const lock = new FileLock(path, options);
  for (;;) {
    const guard = sync ? lock.acquireSync() : await lock.acquire();
    const until = performance.now() + holdMicroseconds / 1000;
    while (performance.now() < until);
    guard.release();
  }
}

const LOOPS = ([false, true] as const).flatMap((sync) =>
  ([{}, { keepOpen: true }, { mechanism: 'fcntl' }] as FileLockOptions[]).flatMap((options) =>
    [0, 200].map((holdMicroseconds) => ({ sync, options, holdMicroseconds })),
  ),
);

test.each(LOOPS)(
  'a process gets in beside a hot loop of another one: %o',
  async ({ sync, options, holdMicroseconds }) => {
    const path = tempLock();
    const hot = await Actor.process();
    hot.run(takeAndRelease, { path, options, sync, holdMicroseconds }).catch(() => {}); // it ends with the test
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
  },
);
