import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { LockMode } from '../../lib/index.js';
import { expectBlocked } from './blocked.js';
import type { Contender } from './contender.js';
import { findOverlap, type Interval } from './intervals.js';
import { tempLock } from './temp-dir.js';

type Pair = readonly [Contender, Contender];

/** Every pair of modes that conflicts: only shared locks are compatible. */
const CONFLICTS: readonly (readonly [held: LockMode, wanted: LockMode])[] = [
  ['exclusive', 'exclusive'],
  ['exclusive', 'shared'],
  ['shared', 'exclusive'],
];

const bothWays = ([a, b]: Pair): readonly Pair[] => [
  [a, b],
  [b, a],
];

/** The laws that hold for any two contenders of one path. */
export function lockLaws(name: string, makeContenders: (path: string) => Promise<Pair>, rounds = 100): void {
  describe(name, () => {
    const contenders = () => makeContenders(tempLock());

    test('tryAcquire fails while a conflicting lock is held, and leaves nothing locked', async () => {
      for (const [holder, other] of bothWays(await contenders())) {
        for (const [held, wanted] of CONFLICTS) {
          const possession = await holder.acquire({ mode: held });
          expect(await other.tryAcquire(wanted), `${wanted} against ${held}`).toBeNull();
          await possession.release();
          const proof = await holder.tryAcquire('exclusive');
          expect(proof, `after ${wanted} against ${held}`).not.toBeNull();
          await proof?.release();
        }
      }
    });

    test('a conflicting waiter blocks until the lock is released, and is then granted', async () => {
      for (const [holder, other] of bothWays(await contenders())) {
        for (const [held, wanted] of CONFLICTS) {
          const possession = await holder.acquire({ mode: held });
          const waiting = other.acquire({ mode: wanted });
          await expectBlocked(waiting);
          const released = await possession.release();
          const got = await waiting;
          expect(got.since, `${wanted} against ${held}`).toBeGreaterThanOrEqual(released);
          await got.release();
        }
      }
    });

    test('shared locks coexist, and an exclusive lock is granted only after the last of them', async () => {
      for (const [one, other] of bothWays(await contenders())) {
        const first = await one.acquire({ mode: 'shared' });
        const second = await other.acquire({ mode: 'shared' });
        const last = await other.tryAcquire('shared');
        expect(last).not.toBeNull();
        await first.release();
        await second.release();
        expect(await one.tryAcquire('exclusive')).toBeNull();
        await last?.release();
        const exclusive = await one.tryAcquire('exclusive');
        expect(exclusive).not.toBeNull();
        await exclusive?.release();
      }
    });

    test('release is idempotent and never releases a lock held by another contender', async () => {
      for (const [one, other] of bothWays(await contenders())) {
        const mine = await one.acquire();
        await mine.release();
        await mine.release();
        const theirs = await other.acquire();
        await mine.release();
        expect(await one.tryAcquire()).toBeNull();
        await theirs.release();
      }
    });

    test('two contenders in a loop never hold conflicting locks at the same time', async () => {
      const [one, other] = await contenders();
      for (const [oneMode, otherMode] of CONFLICTS) {
        let ended = false;
        const theirs = other.cycle(rounds, otherMode).finally(() => {
          ended = true;
        });
        // Runs as long as the other contender, which may be slower.
        const mine: Interval[] = [];
        do {
          mine.push(...(await one.cycle(rounds, oneMode)));
          await nextTurn();
        } while (!ended);
        const intervals = [...mine, ...(await theirs)];
        expect(intervals.length).toBe(mine.length + rounds);
        expect(findOverlap(intervals), `${oneMode} and ${otherMode}`).toBeUndefined();
      }
    });
  });
}
