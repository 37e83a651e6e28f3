import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { FileLock, type LockGuard } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { expectBlocked } from '../support/blocked.js';
import { untilWaiting } from '../support/kernel-waiters.js';
import { expectNoGrowth } from '../support/process-state.js';
import { type Ending, Script } from '../support/script.js';
import { tempLock } from '../support/temp-dir.js';

const PROMPT_MS = 5_000; // generous: only tells a prompt end from a hang

const ENDS: Record<string, Partial<Ending>> = {
  'process.exit()': { code: 7, signal: null },
  'an uncaught exception': { code: 1, signal: null },
  SIGTERM: { code: null, signal: 'SIGTERM' },
  'the end of the script': { code: 0, signal: null },
};
const WAITS = ['none', 'acquire()', 'acquire() in a worker', 'acquireSync() in a worker'];
const CASES = Object.keys(ENDS).flatMap((end) => WAITS.map((waits) => ({ end, waits })));

/** A process that holds one lock and waits for another one, which this process holds. */
async function startWaitingHolder(waits: string, end: string) {
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
  test('waits for a pending acquire, and for nothing after it', async () => {
    const { script, held, guard } = await startWaitingHolder('acquire()', 'the end of the script');
    script.proceed();
    await expectBlocked(script.ended());
    guard.release();
    const stays = delay(30_000, 'it stays alive', { ref: false });
    expect(await Promise.race([script.ended(), stays])).toMatchObject({ code: 0, signal: null });
    expect(script.output).toContain('a wait was granted');
    expectFree(held);
  });

  // A wait in the main thread keeps the process alive: see above.
  const ending = CASES.filter(({ end, waits }) => end !== 'the end of the script' || waits !== 'acquire()');

  test.each(ending)('is prompt and releases its lock: $end with a pending wait: $waits', async ({ end, waits }) => {
    const { script, held, busy, guard } = await startWaitingHolder(waits, end);
    if (end === 'SIGTERM') script.signal('SIGTERM');
    else script.proceed();
    const ending = await script.ended();
    console.log(`${end}, ${waits}: ended after ${ending.milliseconds.toFixed(0)} ms`);
    expect(ending, script.output).toMatchObject(ENDS[end] ?? {});
    expect(ending.milliseconds).toBeLessThan(PROMPT_MS);
    expect(script.output).not.toContain('a wait was');
    expectFree(held);
    guard.release();
    expectFree(busy);
  });

  test('by SIGTERM is prompt even if acquireSync blocks the main thread', async () => {
    const busy = tempLock();
    using _guard = new FileLock(busy).acquireSync();
    const waiter = await Actor.process();
    await waiter.call('open', { lock: 'a', path: busy });
    waiter.call('acquireSync', { lock: 'a', guard: 'g' }).catch(() => {});
    await untilWaiting(busy);
    const from = performance.now();
    waiter.signal('SIGTERM');
    await waiter.ended;
    expect(performance.now() - from).toBeLessThan(PROMPT_MS);
  });
});

describe('a killed process', () => {
  test.each(['acquire', 'acquireSync'])('releases its lock to a process that waits in %s', async (way) => {
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

  test('never acquires the lock for which it was waiting', async () => {
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
  /** A worker that holds one lock and waits for another one, which this thread holds. */
  async function startWaitingWorker(way: string, busy: string) {
    const held = tempLock();
    const worker = await Actor.worker();
    await worker.call('open', { lock: 'held', path: held });
    await worker.call('acquire', { lock: 'held', guard: 'held' });
    await worker.call('open', { lock: 'busy', path: busy });
    worker.call(way, { lock: 'busy', guard: 'busy' }).catch(() => {}); // the worker is terminated
    await untilWaiting(busy);
    expect(new FileLock(held).tryAcquire()).toBeNull();
    return { worker, held };
  }

  async function expectPromptEnd(worker: Actor): Promise<void> {
    const from = performance.now();
    await worker.end();
    expect(performance.now() - from).toBeLessThan(PROMPT_MS);
  }

  test.each(['acquire', 'acquireSync'])('ends a wait in %s, and releases the locks of the worker', async (way) => {
    const busy = tempLock();
    const guard = new FileLock(busy).acquireSync();
    const { worker, held } = await startWaitingWorker(way, busy);
    await expectPromptEnd(worker);
    expectFree(held);
    guard.release();
    expectFree(busy);
  });

  test('between a grant and its delivery leaves the lock free', async () => {
    const busy = tempLock();
    for (let round = 0; round < 10; round++) {
      const guard: LockGuard = new FileLock(busy).acquireSync();
      const { worker, held } = await startWaitingWorker('acquire', busy);
      guard.release();
      await expectPromptEnd(worker);
      expectFree(held);
      // The thread of the wait may be granted it even now, and gives it back.
      new FileLock(busy).acquireSync({ timeout: 5000 }).release();
    }
  });

  test('does not affect the waits of other threads', async () => {
    const [busy, other] = [tempLock(), tempLock()];
    const holder = await Actor.process();
    await holder.call('open', { lock: 'a', path: other });
    await holder.call('acquire', { lock: 'a', guard: 'g' });
    using _guard = new FileLock(busy).acquireSync();
    const mine = new FileLock(other).acquire();
    const { worker } = await startWaitingWorker('acquire', busy);
    await expectPromptEnd(worker);
    await expectBlocked(mine);
    await holder.call('release', { guard: 'g' });
    using guard = await mine;
    expect(guard.held).toBe(true);
  });

  test('leaks neither descriptors nor threads', async () => {
    const busy = tempLock();
    using _guard = new FileLock(busy).acquireSync();
    async function cycle(way: string): Promise<void> {
      const { worker } = await startWaitingWorker(way, busy);
      await worker.end();
    }
    for (const way of ['acquire', 'acquireSync']) await cycle(way); // creates what is created only once
    const checkGrowth = expectNoGrowth();
    for (let round = 0; round < 25; round++) for (const way of ['acquire', 'acquireSync']) await cycle(way);
    await checkGrowth();
  });
});
