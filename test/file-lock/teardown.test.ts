import { describe, expect, test } from 'vitest';
import { FileLock, type LockGuard } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { expectBlocked } from '../support/blocked.js';
import { untilWaiting } from '../support/kernel-waiters.js';
import { expectNoGrowth } from '../support/process-state.js';
import { type Ending, Script } from '../support/script.js';
import { tempLock } from '../support/temp-dir.js';

const AT_ONCE_MS = 5_000; // generous: it tells what ends by itself from what hangs

const ENDS: Record<string, Partial<Ending>> = {
  'process.exit()': { code: 7, signal: null },
  'an uncaught exception': { code: 1, signal: null },
  SIGTERM: { code: null, signal: 'SIGTERM' },
  'the end of the script': { code: 0, signal: null },
};
const WAITS = ['none', 'acquire()', 'acquire() in a worker', 'acquireSync() in a worker'];
const CASES = Object.keys(ENDS).flatMap((end) => WAITS.map((waits) => ({ end, waits })));

/** A process that holds a lock and waits for another one that is held here. */
async function holderThatWaits(waits: string, end: string) {
  const [held, busy] = [tempLock(), tempLock()];
  const guard = new FileLock(busy).acquireSync();
  const script = await Script.start('teardown.cjs', { held, busy, waits, end });
  if (waits !== 'none') await untilWaiting(busy);
  expect(new FileLock(held).tryAcquire()).toBeNull();
  return { script, held, busy, guard };
}

function expectFree(path: string): void {
  const guard = new FileLock(path).tryAcquire();
  expect(guard?.held).toBe(true);
  guard?.release();
}

describe('the end of a process', () => {
  // A wait of the main thread keeps it alive: see below.
  const ending = CASES.filter(({ end, waits }) => end !== 'the end of the script' || waits !== 'acquire()');

  test.each(ending)('comes at once and frees its lock: $end while waiting: $waits', async ({ end, waits }) => {
    const { script, held, busy, guard } = await holderThatWaits(waits, end);
    if (end === 'SIGTERM') script.signal('SIGTERM');
    else script.goOn();
    const ending = await script.ended();
    console.log(`${end}, ${waits}: ended after ${ending.milliseconds.toFixed(0)} ms`);
    expect(ending, script.output).toMatchObject(ENDS[end] ?? {});
    expect(ending.milliseconds).toBeLessThan(AT_ONCE_MS);
    expect(script.output).not.toContain('a wait was');
    expectFree(held);
    guard.release();
    expectFree(busy);
  });

  test('by SIGTERM comes at once though acquireSync blocks its main thread', async () => {
    const busy = tempLock();
    using _guard = new FileLock(busy).acquireSync();
    const waiter = await Actor.process();
    await waiter.call('open', { lock: 'a', path: busy });
    waiter.call('acquireSync', { lock: 'a', guard: 'g' }).catch(() => {});
    await untilWaiting(busy);
    const from = performance.now();
    waiter.signal('SIGTERM');
    await waiter.ended;
    expect(performance.now() - from).toBeLessThan(AT_ONCE_MS);
  });

  test('does not come while a wait is pending, but when it is granted', async () => {
    const { script, held, guard } = await holderThatWaits('acquire()', 'the end of the script');
    script.goOn();
    await expectBlocked(script.ended());
    guard.release();
    expect(await script.ended()).toMatchObject({ code: 0, signal: null });
    expect(script.output).toContain('a wait was granted');
    expectFree(held);
  });
});

describe('a killed process', () => {
  test.each(['acquire', 'acquireSync'])('frees its lock for one that waits in %s', async (way) => {
    const path = tempLock();
    const [holder, waiter] = await Promise.all([Actor.process(), Actor.process()]);
    for (const actor of [holder, waiter]) await actor.call('open', { lock: 'a', path });
    await holder.call('acquire', { lock: 'a', guard: 'g' });
    const granted = waiter.call(way, { lock: 'a', guard: 'g' });
    await untilWaiting(path);
    holder.signal('SIGKILL');
    await granted;
    expect(new FileLock(path).tryAcquire()).toBeNull();
  });

  test('that waited takes nothing', async () => {
    const path = tempLock();
    const guard = new FileLock(path).acquireSync();
    const waiter = await Actor.process();
    await waiter.call('open', { lock: 'a', path });
    waiter.call('acquire', { lock: 'a', guard: 'g' }).catch(() => {});
    await untilWaiting(path);
    await waiter.end();
    guard.release();
    expectFree(path);
  });
});

test('a stopped holder keeps the lock', async () => {
  const path = tempLock();
  const holder = await Actor.process();
  await holder.call('open', { lock: 'a', path });
  await holder.call('acquire', { lock: 'a', guard: 'g' });
  holder.signal('SIGSTOP');
  const lock = new FileLock(path);
  await expect(lock.acquire({ timeout: 200 })).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT' });
  expect(lock.tryAcquire()).toBeNull();
  const wait = lock.acquire();
  await expectBlocked(wait);
  holder.signal('SIGCONT');
  await holder.call('release', { guard: 'g' });
  using guard = await wait;
  expect(guard.held).toBe(true);
});

describe('worker.terminate()', () => {
  /** A worker that holds one lock, and waits for another one that is held here. */
  async function workerThatWaits(way: string, busy: string) {
    const held = tempLock();
    const worker = await Actor.worker();
    await worker.call('open', { lock: 'held', path: held });
    await worker.call('acquire', { lock: 'held', guard: 'held' });
    await worker.call('open', { lock: 'busy', path: busy });
    worker.call(way, { lock: 'busy', guard: 'busy' }).catch(() => {}); // it ends with the worker
    await untilWaiting(busy);
    expect(new FileLock(held).tryAcquire()).toBeNull();
    return { worker, held };
  }

  async function expectEndAtOnce(worker: Actor): Promise<void> {
    const from = performance.now();
    await worker.end();
    expect(performance.now() - from).toBeLessThan(AT_ONCE_MS);
  }

  test.each(['acquire', 'acquireSync'])('ends a wait in %s, and frees what the worker held', async (way) => {
    const busy = tempLock();
    const guard = new FileLock(busy).acquireSync();
    const { worker, held } = await workerThatWaits(way, busy);
    await expectEndAtOnce(worker);
    expectFree(held);
    guard.release();
    expectFree(busy);
  });

  test('while a grant is on its way leaves the lock free', async () => {
    const busy = tempLock();
    for (let round = 0; round < 10; round++) {
      const guard: LockGuard = new FileLock(busy).acquireSync();
      const { worker, held } = await workerThatWaits('acquire', busy);
      guard.release();
      await expectEndAtOnce(worker);
      expectFree(held);
      expectFree(busy);
    }
  });

  test('leaves the waits of other threads alone', async () => {
    const [busy, other] = [tempLock(), tempLock()];
    const holder = await Actor.process();
    await holder.call('open', { lock: 'a', path: other });
    await holder.call('acquire', { lock: 'a', guard: 'g' });
    using _guard = new FileLock(busy).acquireSync();
    const mine = new FileLock(other).acquire();
    const { worker } = await workerThatWaits('acquire', busy);
    await expectEndAtOnce(worker);
    await expectBlocked(mine);
    await holder.call('release', { guard: 'g' });
    using guard = await mine;
    expect(guard.held).toBe(true);
  });

  test('again and again leaves no descriptors and no threads behind', async () => {
    const busy = tempLock();
    using _guard = new FileLock(busy).acquireSync();
    async function cycle(way: string): Promise<void> {
      const { worker } = await workerThatWaits(way, busy);
      await worker.end();
    }
    for (const way of ['acquire', 'acquireSync']) await cycle(way); // what is made once is made now
    const checkGrowth = expectNoGrowth();
    for (let round = 0; round < 25; round++) for (const way of ['acquire', 'acquireSync']) await cycle(way);
    await checkGrowth();
  });
});
