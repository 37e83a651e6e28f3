import { readdirSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { FileLock } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { tempLock } from '../support/temp-dir.js';

const collectGarbage = globalThis.gc;
if (collectGarbage === undefined) throw new Error('run with --expose-gc');

/** Warnings about locks that this process emits from now on. */
function recordWarnings(): Error[] {
  const warnings: Error[] = [];
  const record = (warning: Error) => {
    if (warning.name === 'LockWarning') warnings.push(warning);
  };
  process.on('warning', record);
  onTestFinished(() => void process.off('warning', record));
  return warnings;
}

/** Collects garbage until an object that nothing has used since is gone, and its finalizers have run. */
async function collectUntil(isDone: () => boolean): Promise<void> {
  for (let round = 0; round < 200 && !isDone(); round++) {
    await delay(5); // what a WeakRef has given out lives on to the end of that turn
    collectGarbage?.();
  }
}

/** Collects whatever is collectable: a witness that was forgotten together with it has been collected. */
async function collectEverything(): Promise<void> {
  await delay(5); // what is remembered until the event loop turns is forgotten
  let collected = 0;
  const registry = new FinalizationRegistry(() => {
    collected++;
  });
  for (let turn = 1; turn <= 3; turn++) {
    (() => registry.register({}, undefined))();
    await collectUntil(() => collected >= turn);
  }
  expect(collected).toBe(3);
}

/** Takes the lock and forgets the guard. In a function of its own, so that no register keeps it. */
async function forget(
  path: string,
  way: 'acquire' | 'acquireSync' | 'tryAcquire',
  meant = false,
): Promise<WeakRef<object>> {
  const guard = await new FileLock(path)[way]();
  if (guard === null) throw new Error('not free');
  if (meant) guard.untilExit();
  return new WeakRef(guard);
}

async function expectStillHeld(path: string): Promise<void> {
  expect(new FileLock(path).tryAcquire()).toBeNull();
  const other = await Actor.process();
  await other.call('open', { lock: 'a', path });
  expect(await other.call('tryAcquire', { lock: 'a', guard: 'g' })).toBe(false);
}

test.each(['acquire', 'acquireSync', 'tryAcquire'] as const)(
  'a guard of %s that is collected stays held, and one warning names the path',
  async (way) => {
    const warnings = recordWarnings();
    const path = tempLock();
    const guard = await forget(path, way);
    await collectUntil(() => warnings.length > 0);
    expect(guard.deref()).toBeUndefined();
    await collectEverything();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.message).toContain(path);
    expect(warnings[0]?.message).toMatch(/stays locked|stays held/);
    await expectStillHeld(path);
  },
);

test('a guard that is meant to be held until exit is collected without a warning, and stays held', async () => {
  const warnings = recordWarnings();
  const path = tempLock();
  const guard = await forget(path, 'acquire', true);
  await collectUntil(() => guard.deref() === undefined);
  expect(guard.deref()).toBeUndefined();
  await collectEverything();
  expect(warnings).toEqual([]);
  await expectStillHeld(path);
});

test('a guard can be meant until exit long after it was granted', async () => {
  const warnings = recordWarnings();
  const path = tempLock();
  const guard = await (async () => {
    const held = await new FileLock(path).acquire();
    await collectEverything();
    held.untilExit();
    return new WeakRef(held);
  })();
  await collectUntil(() => guard.deref() === undefined);
  expect(guard.deref()).toBeUndefined();
  await collectEverything();
  expect(warnings).toEqual([]);
  await expectStillHeld(path);
});

test('a guard that was released is collected without a warning', async () => {
  const warnings = recordWarnings();
  const lock = new FileLock(tempLock());
  for (const way of ['acquire', 'acquireSync', 'tryAcquire'] as const) {
    const guard = await (async () => {
      const held = await lock[way]();
      await delay(5);
      held?.release();
      return new WeakRef(held as object);
    })();
    await collectUntil(() => guard.deref() === undefined);
    expect(guard.deref()).toBeUndefined();
  }
  await lock.withLock(() => {});
  await collectEverything();
  expect(warnings).toEqual([]);
});

test('every forgotten guard is warned about, and only those', async () => {
  const warnings = recordWarnings();
  const paths = Array.from({ length: 5 }, tempLock);
  // Back to back, without a turn of the event loop between.
  for (const each of paths) new FileLock(each).acquireSync();
  const kept = new FileLock(tempLock()).acquireSync();
  new FileLock(tempLock()).acquireSync().release();
  await collectUntil(() => warnings.length >= paths.length);
  await collectEverything();
  expect(warnings.map(({ message }) => paths.find((each) => message.includes(each))).sort()).toEqual([...paths].sort());
  kept.release();
});

const isOpen = (path: string) =>
  readdirSync('/proc/self/fd').some((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`) === path;
    } catch {
      return false; // the one that read the directory
    }
  });

test('a lock that keeps its descriptor closes it when it is collected', async () => {
  const warnings = recordWarnings();
  const path = tempLock();
  const lock = (() => {
    const keeping = new FileLock(path, { keepOpen: true });
    keeping.acquireSync().release();
    return new WeakRef(keeping);
  })();
  expect(isOpen(path)).toBe(true);
  await collectUntil(() => !isOpen(path));
  expect(lock.deref()).toBeUndefined();
  expect(isOpen(path)).toBe(false);
  expect(warnings).toEqual([]);
});

test('a lock that was collected leaves its guard held, and then keeps no descriptor', async () => {
  const path = tempLock();
  const { lock, guard } = (() => {
    const keeping = new FileLock(path, { keepOpen: true });
    return { lock: new WeakRef(keeping), guard: keeping.acquireSync() };
  })();
  await collectUntil(() => lock.deref() === undefined);
  expect(lock.deref()).toBeUndefined();
  await collectEverything();
  expect(guard.held).toBe(true);
  await expectStillHeld(path);
  guard.release();
  expect(isOpen(path)).toBe(false);
});
