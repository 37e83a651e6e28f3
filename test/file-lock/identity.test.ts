import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FileLock } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { expectBlocked } from '../support/blocked.js';
import { RemoteContender } from '../support/contender.js';
import { findOverlap, type Interval } from '../support/intervals.js';
import { untilWaiting } from '../support/kernel-waiters.js';
import { tempDir, tempLock } from '../support/temp-dir.js';

const CHANGES = {
  removed: (file: string) => rmSync(file),
  replaced: (file: string) => {
    writeFileSync(`${file}.new`, '');
    renameSync(`${file}.new`, file);
  },
};
type Change = keyof typeof CHANGES;

const MECHANISMS = ['flock', 'fcntl'] as const;

/** Every change of a lock file, with every way of waiting for it. */
const WAITS = (Object.keys(CHANGES) as Change[]).flatMap((change) =>
  MECHANISMS.flatMap((mechanism) => (['acquire', 'acquireSync'] as const).map((way) => ({ change, mechanism, way }))),
);

/** An actor that is blocked in the kernel on a held lock. */
async function waiterFor(
  file: string,
  way: string,
  options = {},
): Promise<{ actor: Actor; granted: Promise<unknown> }> {
  const actor = await Actor.process();
  await actor.call('open', { lock: 'a', path: file, options });
  const granted = actor.call(way, { lock: 'a', guard: 'g', options: { timeout: 60_000 } });
  granted.catch(() => {}); // awaited later
  await untilWaiting(file);
  return { actor, granted };
}

describe('a lock file without a holder', () => {
  test.each(
    (['removed', 'replaced'] as const).flatMap((change) => [false, true].map((keepOpen) => ({ change, keepOpen }))),
  )('is created and locked again after it was $change (keepOpen: $keepOpen)', async ({ change, keepOpen }) => {
    const file = tempLock();
    const lock = new FileLock(file, { keepOpen });
    lock.acquireSync().release();
    for (const acquire of [() => lock.tryAcquire(), () => lock.acquireSync(), () => lock.acquire()]) {
      CHANGES[change](file);
      const guard = await acquire();
      expect(existsSync(file)).toBe(true);
      expect(new FileLock(file).tryAcquire()).toBeNull();
      guard?.release();
    }
    lock.close();
  });
});

describe('a waiter', () => {
  test.each(WAITS)('is granted the new file if the holder $change the old one: $way, $mechanism', async (each) => {
    const file = tempLock();
    const lock = new FileLock(file, { mechanism: each.mechanism });
    const guard = lock.acquireSync();
    // Kept open, so that the new file cannot get the same inode number.
    const old = openSync(file, 'r');
    onTestFinished(() => closeSync(old));
    const { actor, granted } = await waiterFor(file, each.way, { mechanism: each.mechanism });
    CHANGES[each.change](file);
    guard.release();
    await granted;
    expect(statSync(file).ino).not.toBe(fstatSync(old).ino);
    expect(lock.tryAcquire()).toBeNull();
    await actor.call('release', { guard: 'g' });
    const next = lock.tryAcquire();
    expect(next?.held).toBe(true);
    next?.release();
  });

  test.each(WAITS)('goes on waiting if the new file is held as well: $change, $way, $mechanism', async (each) => {
    const file = tempLock();
    const lock = new FileLock(file, { mechanism: each.mechanism });
    const guard = lock.acquireSync();
    const { actor, granted } = await waiterFor(file, each.way, { mechanism: each.mechanism });
    CHANGES[each.change](file);
    const third = lock.tryAcquire(); // locks the new file first
    expect(third?.held).toBe(true);
    guard.release();
    await untilWaiting(file); // the waiter has moved to the new file
    expect(lock.tryAcquire()).toBeNull();
    const releasedAt = process.hrtime.bigint();
    third?.release();
    expect(await granted).toBeGreaterThan(releasedAt);
    expect(lock.tryAcquire()).toBeNull();
    await actor.call('release', { guard: 'g' });
  });

  test.each(['acquire', 'acquireSync'])('never recreates a deleted directory (%s)', async (way) => {
    const directory = path.join(tempDir(), 'job');
    const file = path.join(directory, 'l');
    const guard = new FileLock(file).acquireSync();
    const { granted } = await waiterFor(file, way);
    rmSync(directory, { recursive: true });
    guard.release();
    await expect(granted).rejects.toMatchObject({ name: 'LockError', code: 'ENOENT', syscall: 'open', path: file });
    expect(existsSync(directory)).toBe(false);
  });

  test('behind a guard of its own process never recreates a deleted directory', async () => {
    const directory = path.join(tempDir(), 'job');
    const lock = new FileLock(path.join(directory, 'l'));
    const guard = await lock.acquire();
    const waits = [lock.acquire(), lock.acquire({ mode: 'shared' }), lock.acquire()];
    rmSync(directory, { recursive: true });
    guard.release();
    for (const outcome of await Promise.allSettled(waits)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ENOENT' } });
    }
    expect(existsSync(directory)).toBe(false);
  });

  test.each(
    (Object.keys(CHANGES) as Change[]).flatMap((change) => MECHANISMS.map((mechanism) => ({ change, mechanism }))),
  )(
    'behind a guard of its own process is granted the new file, not the one that was $change: $mechanism',
    async ({ change, mechanism }) => {
      const file = tempLock();
      const lock = new FileLock(file, { mechanism });
      const elsewhere = await RemoteContender.open(await Actor.process(), file, { mechanism });
      const guard = await lock.acquire();
      const next = lock.acquire();
      CHANGES[change](file);
      guard.release();
      const second = await next;
      expect(second.held).toBe(true);
      expect(await elsewhere.tryAcquire()).toBeNull();
      second.release();
      const possession = await elsewhere.tryAcquire();
      expect(possession).not.toBeNull();
      await possession?.release();
    },
  );

  test('is not granted the new file while another guard of its thread still holds the old one', async () => {
    const file = tempLock();
    const lock = new FileLock(file);
    const first = await lock.acquire();
    rmSync(file);
    const second = lock.tryAcquire();
    expect(second?.held).toBe(true);
    const next = lock.acquire();
    second?.release();
    await expectBlocked(next);
    first.release();
    const guard = await next;
    expect(guard.held).toBe(true);
    guard.release();
  });

  test.each([
    { what: 'a directory', code: 'EISDIR', make: (file: string) => void mkdirSync(file) },
    { what: 'a symlink', code: 'ELOOP', make: (file: string) => symlinkSync('elsewhere', file) },
  ])('fails if the lock file is replaced by $what', async ({ code, make }) => {
    const file = tempLock();
    const guard = new FileLock(file).acquireSync();
    const { granted } = await waiterFor(file, 'acquire');
    rmSync(file);
    make(file);
    guard.release();
    await expect(granted).rejects.toMatchObject({ name: 'LockError', code, path: file });
    expect(existsSync(path.join(path.dirname(file), 'elsewhere'))).toBe(false);
  });
});

test.each(MECHANISMS)(
  'holders that remove or replace their lock file still exclude each other (%s)',
  async (mechanism) => {
    const file = tempLock();
    const rounds = 150;
    const actors = await Promise.all(Array.from({ length: 4 }, () => Actor.process()));
    const intervals = await Promise.all(
      actors.map((actor, index) =>
        actor.run(
          async (require, { file, mechanism, index, rounds }) => {
            const { FileLock } = require('../..') as typeof import('../../lib/index.js');
            const fs = require('node:fs') as typeof import('node:fs');
            const lock = new FileLock(file, { mechanism, keepOpen: index === 3, timeout: 60_000 });
            const intervals: Interval[] = [];
            for (let round = 0; round < rounds; round++) {
              const guard = index % 2 === 0 ? await lock.acquire() : lock.acquireSync();
              const from = process.hrtime.bigint();
              while (process.hrtime.bigint() < from + 100_000n);
              // Removing the file gives up the lock: the next acquisition creates a new file.
              intervals.push([from, process.hrtime.bigint()]);
              if (round % 3 === 0) {
                fs.unlinkSync(file);
              } else if (round % 3 === 1) {
                const other = `${file}.${index}`;
                fs.closeSync(fs.openSync(other, 'w'));
                fs.renameSync(other, file);
              }
              guard.release();
            }
            return intervals;
          },
          { file, mechanism, index, rounds },
        ),
      ),
    );
    expect(intervals.map((each) => each.length)).toEqual(actors.map(() => rounds));
    expect(findOverlap(intervals.flat())).toBeUndefined();
  },
);
