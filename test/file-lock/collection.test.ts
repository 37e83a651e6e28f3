import { readdirSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { FileLock } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { tempLock } from '../support/temp-dir.js';

const collectGarbage = globalThis.gc;
if (collectGarbage === undefined) throw new Error('run with --expose-gc');

/** Records the lock warnings that this process emits from now on. */
function recordWarnings(): Error[] {
  const warnings: Error[] = [];
  const record = (warning: Error) => {
    if (warning.name === 'LockWarning') warnings.push(warning);
  };
  process.on('warning', record);
  onTestFinished(() => void process.off('warning', record));
  return warnings;
}

/** Collects garbage until the condition holds, or for 200 rounds. */
async function collectUntil(isDone: () => boolean): Promise<void> {
  for (let round = 0; round < 200 && !isDone(); round++) {
    await delay(5); // an object returned by WeakRef.deref() stays alive until the end of that turn
    collectGarbage?.();
  }
}

/** Collects everything collectable: three witnesses, dropped one after the other, have been collected. */
async function collectEverything(): Promise<void> {
  await delay(5); // anything that is kept alive until the next turn is released
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

/** Acquires the lock and drops the guard. A function of its own, so that no register keeps the guard alive. */
async function dropGuard(
  path: string,
  way: 'acquire' | 'acquireSync' | 'tryAcquire',
  untilExit = false,
): Promise<WeakRef<object>> {
  const guard = await new FileLock(path)[way]();
  if (guard === null) throw new Error('not free');
  if (untilExit) guard.untilExit();
  return new WeakRef(guard);
}

async function expectStillHeld(path: string): Promise<void> {
  expect(new FileLock(path).tryAcquire()).toBeNull();
  const other = await Actor.process();
  await other.call('open', { lock: 'a', path });
  expect(await other.call('tryAcquire', { lock: 'a', guard: 'g' })).toBe(false);
}

test.each(['acquire', 'acquireSync', 'tryAcquire'] as const)(
  'when a guard from %s is collected, the lock stays held and one warning names its path',
  async (way) => {
    const warnings = recordWarnings();
    const path = tempLock();
    const guard = await dropGuard(path, way);
    await collectUntil(() => warnings.length > 0);
    expect(guard.deref()).toBeUndefined();
    await collectEverything();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.message).toContain(path);
    expect(warnings[0]?.message).toMatch(/stays locked|stays held/);
    await expectStillHeld(path);
  },
);

test('a guard with untilExit() is collected without a warning, and the lock stays held', async () => {
  const warnings = recordWarnings();
  const path = tempLock();
  const guard = await dropGuard(path, 'acquire', true);
  await collectUntil(() => guard.deref() === undefined);
  expect(guard.deref()).toBeUndefined();
  await collectEverything();
  expect(warnings).toEqual([]);
  await expectStillHeld(path);
});

test('untilExit() may be called long after the grant', async () => {
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

test('a released guard is collected without a warning', async () => {
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

test('every dropped guard gets a warning, and no other guard does', async () => {
  const warnings = recordWarnings();
  const paths = Array.from({ length: 5 }, tempLock);
  // Back to back, in one turn of the event loop.
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
      return false; // the descriptor that read the directory
    }
  });

test('a collected FileLock closes the descriptor that keepOpen kept', async () => {
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

test('a collected FileLock leaves its guard held, and its release keeps no descriptor open', async () => {
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
