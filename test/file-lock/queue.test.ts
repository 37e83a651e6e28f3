import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FileLock, type LockGuard, type LockMode, LockTimeoutError } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { expectBlocked } from '../support/blocked.js';
import { RemoteContender } from '../support/contender.js';
import { untilWaiting } from '../support/kernel-waiters.js';
import { tempLock } from '../support/temp-dir.js';

test('waiters for one path are granted in FIFO order, whichever FileLock they use', async () => {
  const path = tempLock();
  const locks = [new FileLock(path), new FileLock(path, { keepOpen: true }), new FileLock(path)];
  const order: number[] = [];
  const guard = await locks[0]?.acquire();
  const waits = Array.from({ length: 30 }, async (_, index) => {
    const mine = await (locks[index % locks.length] as FileLock).acquire();
    order.push(index);
    await nextTurn();
    mine.release();
  });
  guard?.release();
  await Promise.all(waits);
  expect(order).toEqual(Array.from({ length: 30 }, (_, index) => index));
});

test('waiters behind another process are granted in FIFO order', async () => {
  const path = tempLock();
  const possession = await (await RemoteContender.open(await Actor.process(), path)).acquire();
  const lock = new FileLock(path);
  const order: number[] = [];
  const waits = Array.from({ length: 10 }, async (_, index) => {
    const guard = await lock.acquire({ mode: index % 3 ? 'exclusive' : 'shared' });
    order.push(index);
    guard.release();
  });
  await possession.release();
  await Promise.all(waits);
  expect(order).toEqual(Array.from({ length: 10 }, (_, index) => index));
});

test('shared waiters are granted together', async () => {
  const lock = new FileLock(tempLock());
  const guard = await lock.acquire();
  const waits = [lock.acquire({ mode: 'shared' }), lock.acquire({ mode: 'shared' }), lock.acquire({ mode: 'shared' })];
  guard.release();
  const together = await Promise.all(waits);
  expect(together.map((each) => each.held)).toEqual([true, true, true]);
  for (const each of together) each.release();
});

test('a shared waiter does not overtake an exclusive one', async () => {
  const lock = new FileLock(tempLock(), { mode: 'shared' });
  const first = await lock.acquire();
  const exclusive = lock.acquire({ mode: 'exclusive' });
  const late = lock.acquire();
  await expectBlocked(late);
  first.release();
  const guard = await exclusive;
  await expectBlocked(late);
  guard.release();
  (await late).release();
});

test('tryAcquire, acquireSync and timeout 0 bypass the queue and leave its order alone', async () => {
  const lock = new FileLock(tempLock(), { mode: 'shared' });
  const first = await lock.acquire();
  const exclusive = lock.acquire({ mode: 'exclusive' });
  const bypassing = [lock.tryAcquire(), lock.acquireSync(), await lock.acquire({ timeout: 0 })];
  expect(bypassing.map((each) => each?.held)).toEqual([true, true, true]);
  first.release();
  await expectBlocked(exclusive);
  for (const each of bypassing) each?.release();
  (await exclusive).release();
});

test('a timeout in the middle of the queue keeps the order of the other waiters', async () => {
  const lock = new FileLock(tempLock());
  const guard = await lock.acquire();
  const order: number[] = [];
  const enter = async (index: number, timeout: number) => {
    const mine = await lock.acquire({ timeout });
    order.push(index);
    mine.release();
  };
  const waits = [enter(0, 30_000), enter(1, 5), enter(2, 30_000)];
  await expect(waits[1]).rejects.toBeInstanceOf(LockTimeoutError);
  guard.release();
  await Promise.all([waits[0], waits[2]]);
  expect(order).toEqual([0, 2]);
});

test('after the exclusive waiter at the head times out, the shared waiters behind it are granted', async () => {
  const lock = new FileLock(tempLock(), { mode: 'shared' });
  const first = await lock.acquire();
  const exclusive = lock.acquire({ mode: 'exclusive', timeout: 10 });
  const behind = lock.acquire();
  await expect(exclusive).rejects.toBeInstanceOf(LockTimeoutError);
  const second = await behind;
  expect([first.held, second.held]).toEqual([true, true]);
  first.release();
  second.release();
});

test('after the waiter in the kernel times out, the next waiter takes its place', async () => {
  const path = tempLock();
  const possession = await (await RemoteContender.open(await Actor.process(), path)).acquire();
  const lock = new FileLock(path);
  const head = lock.acquire({ timeout: 10 });
  const next = lock.acquire();
  await expect(head).rejects.toBeInstanceOf(LockTimeoutError);
  await untilWaiting(path);
  await possession.release();
  (await next).release();
});

test('locks on different paths are independent', async () => {
  const [one, two] = [new FileLock(tempLock()), new FileLock(tempLock())];
  const guard = await one.acquire();
  const waiting = one.acquire();
  (await two.acquire()).release();
  guard.release();
  (await waiting).release();
});

// --- Any sequence of steps, compared with a model -------------------------------------------------

interface Entry {
  id: number;
  mode: LockMode;
}

/** The guarantees of the queue, without any files. */
class Model {
  holders: Entry[] = [];
  waiters: Entry[] = [];

  #admits(mode: LockMode): boolean {
    return mode === 'shared' ? this.holders.every((each) => each.mode === 'shared') : this.holders.length === 0;
  }

  #grantWaiters(): void {
    for (let head = this.waiters[0]; head && this.#admits(head.mode); head = this.waiters[0]) {
      this.waiters.shift();
      this.holders.push(head);
    }
  }

  acquire(entry: Entry): void {
    this.waiters.push(entry);
    this.#grantWaiters();
  }

  tryAcquire(entry: Entry): boolean {
    if (!this.#admits(entry.mode)) return false;
    this.holders.push(entry);
    return true;
  }

  /** Released or aborted. */
  remove(id: number): void {
    this.holders = this.holders.filter((each) => each.id !== id);
    this.waiters = this.waiters.filter((each) => each.id !== id);
    this.#grantWaiters();
  }

  get holding(): number[] {
    return this.holders.map((each) => each.id).sort((a, b) => a - b);
  }
}

/** The implementation, in terms of the model. */
class Real {
  readonly guards = new Map<number, LockGuard>();
  readonly ended = new Map<number, unknown>();
  readonly #aborts = new Map<number, AbortController>();
  readonly #locks: readonly FileLock[];

  constructor(path: string) {
    this.#locks = [new FileLock(path), new FileLock(path, { keepOpen: true })];
  }

  #lock(id: number): FileLock {
    return this.#locks[id % this.#locks.length] as FileLock;
  }

  acquire({ id, mode }: Entry, timeout?: number): void {
    const controller = new AbortController();
    this.#aborts.set(id, controller);
    this.#lock(id)
      .acquire({ mode, timeout, signal: controller.signal })
      .then(
        (guard) => this.guards.set(id, guard),
        (error) => this.ended.set(id, error),
      );
  }

  tryAcquire({ id, mode }: Entry): boolean {
    const guard = this.#lock(id).tryAcquire({ mode });
    if (guard) this.guards.set(id, guard);
    return guard !== null;
  }

  release(id: number): void {
    const guard = this.guards.get(id);
    guard?.release();
    guard?.release();
  }

  abort(id: number): void {
    this.#aborts.get(id)?.abort(id);
  }

  get holding(): number[] {
    return [...this.guards].flatMap(([id, guard]) => (guard.held ? [id] : [])).sort((a, b) => a - b);
  }
}

const modeArbitrary = fc.constantFrom<LockMode>('exclusive', 'shared');
/** `pick` chooses among the entries to which the step applies. */
const stepArbitrary = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('acquire' as const), mode: modeArbitrary }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('release' as const), pick: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('abort' as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('tryAcquire' as const), mode: modeArbitrary }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('acquireNow' as const), mode: modeArbitrary }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
);
type Step = typeof stepArbitrary extends fc.Arbitrary<infer T> ? T : never;

const pickFrom = (entries: readonly Entry[], pick: number): Entry | undefined => entries[pick % entries.length];

function apply(step: Step, id: number, model: Model, real: Real): void {
  switch (step.kind) {
    case 'acquire':
      model.acquire({ id, mode: step.mode });
      real.acquire({ id, mode: step.mode });
      break;
    case 'release': {
      // Only a grant that has been delivered can be released.
      const holder = pickFrom(
        model.holders.filter((each) => real.guards.has(each.id)),
        step.pick,
      );
      if (holder === undefined) break;
      model.remove(holder.id);
      real.release(holder.id);
      break;
    }
    case 'abort': {
      const waiter = pickFrom(model.waiters, step.pick);
      if (waiter === undefined) break;
      model.remove(waiter.id);
      real.abort(waiter.id);
      break;
    }
    case 'tryAcquire':
      expect(real.tryAcquire({ id, mode: step.mode })).toBe(model.tryAcquire({ id, mode: step.mode }));
      break;
    case 'acquireNow':
      model.tryAcquire({ id, mode: step.mode });
      real.acquire({ id, mode: step.mode }, 0);
      break;
  }
}

test('any sequence of steps grants and ends waits exactly as the model does', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(stepArbitrary, { maxLength: 30 }), async (steps) => {
      const [model, real] = [new Model(), new Real(tempLock())];
      const agree = async () => {
        await nextTurn();
        await expect.poll(() => real.holding, { interval: 1 }).toEqual(model.holding);
      };
      for (const [id, step] of steps.entries()) {
        apply(step, id, model, real);
        // Steps between two turns run in the same turn of the event loop.
        if (step.kind === 'turn') await agree();
      }
      await agree();
      for (let holder = model.holders[0]; holder; holder = model.holders[0]) {
        model.remove(holder.id);
        real.release(holder.id);
        await agree();
      }
      // Every acquisition has settled, as the model says: those not granted were aborted or had timeout 0.
      for (const [id, step] of steps.entries()) {
        if (step.kind !== 'acquire' && step.kind !== 'acquireNow') continue;
        await expect.poll(() => real.guards.has(id) || real.ended.has(id), { interval: 1 }).toBe(true);
        const error = real.ended.get(id);
        if (error !== undefined && step.kind === 'acquire') expect(error).toBe(id);
        if (error !== undefined && step.kind === 'acquireNow') expect(error).toBeInstanceOf(LockTimeoutError);
      }
      expect(real.tryAcquire({ id: steps.length, mode: 'exclusive' })).toBe(true);
      real.release(steps.length);
    }),
    { numRuns: 100 },
  );
});
