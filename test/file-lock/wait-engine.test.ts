import { chmodSync, existsSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { FileLock, JobLockManager, type LockGuard } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { RemoteContender } from '../support/contender.js';
import { kernelWaiters, untilWaiting } from '../support/kernel-waiters.js';
import { tempDir, tempLock } from '../support/temp-dir.js';

const FOREVER = { timeout: Number.POSITIVE_INFINITY };
const MAX_WAITER_THREADS = 256;

/** Counts the calls of a function of the addon, which is one object for all who load it. */
function countCalls(name: 'startWait' | 'cancelWait'): () => number {
  const addon = require('node-gyp-build')(path.join(__dirname, '../..')) as Record<
    string,
    (...args: unknown[]) => unknown
  >;
  const original = addon[name] as (...args: unknown[]) => unknown;
  let calls = 0;
  addon[name] = (...args) => {
    calls++;
    return original(...args);
  };
  onTestFinished(() => {
    addon[name] = original;
  });
  return () => calls;
}

/** A path that another process holds. */
async function heldElsewhere(file = tempLock()): Promise<{ file: string; release: () => Promise<unknown> }> {
  const contender = await RemoteContender.open(await Actor.process(), file);
  const possession = await contender.acquire();
  return { file, release: () => possession.release() };
}

const settled = (waits: readonly Promise<unknown>[]) => Promise.allSettled(waits);
const MANY = 2_000;

test.each(['one signal', 'a signal each', 'close'] as const)(
  'aborting %s of many waits takes one wait out of the kernel, and sends none in',
  async (how) => {
    const directory = tempDir();
    const { file, release } = await heldElsewhere(path.join(directory, 'job', '.lock'));
    const manager = new JobLockManager(directory);
    const lock = new FileLock(file);
    const controllers = Array.from({ length: how === 'a signal each' ? MANY : 1 }, () => new AbortController());
    const waits = Array.from({ length: MANY }, (_, index) =>
      how === 'close'
        ? manager.lockJobDirectory('job', FOREVER)
        : lock.acquire({ ...FOREVER, signal: controllers[index % controllers.length]?.signal }),
    );
    const results = settled(waits);
    await untilWaiting(file);
    const [started, cancelled] = [countCalls('startWait'), countCalls('cancelWait')];
    if (how === 'close') manager.close();
    else for (const controller of controllers) controller.abort(new Error('stop'));
    expect((await results).filter(({ status }) => status === 'rejected')).toHaveLength(MANY);
    expect(cancelled()).toBe(1);
    expect(started()).toBe(0);
    await expect.poll(() => kernelWaiters(file)).toBe(0);
    await release();
    expect(lock.tryAcquire()?.held).toBe(true);
  },
);

test('after an abort of the head the next waiter waits in the kernel, and is granted', async () => {
  const { file, release } = await heldElsewhere();
  const lock = new FileLock(file);
  const controller = new AbortController();
  const first = lock.acquire({ ...FOREVER, signal: controller.signal });
  const second = lock.acquire(FOREVER);
  await untilWaiting(file);
  controller.abort(new Error('stop'));
  await expect(first).rejects.toThrow('stop');
  await untilWaiting(file);
  await release();
  const guard = await second;
  expect(guard.held).toBe(true);
  guard.release();
});

/** Holds `count` paths in an actor; `release` releases one of them. */
async function holdMany(count: number) {
  const directory = tempDir();
  chmodSync(directory, 0o777);
  const paths = Array.from({ length: count }, (_, index) => path.join(directory, `${index}.lock`));
  const actor = await Actor.process();
  await actor.run((require, paths) => {
    const { FileLock } = require('../..') as typeof import('../../lib/index.js');
    Object.assign(globalThis, { held: paths.map((each) => new FileLock(each).acquireSync()) });
  }, paths);
  const releaseIn = (from: number, to: number) =>
    actor.run(
      (_, [from, to]) => {
        for (const guard of (globalThis as unknown as { held: LockGuard[] }).held.slice(from, to)) guard.release();
      },
      [from, to] as const,
    );
  return { paths, releaseIn };
}

const BEYOND = MAX_WAITER_THREADS + 40;

test('a wait beyond the number of threads is granted, while the threads go on waiting', async () => {
  const { paths, releaseIn } = await holdMany(BEYOND);
  const controller = new AbortController();
  const waits = paths.map((each) => new FileLock(each).acquire({ ...FOREVER, signal: controller.signal }));
  const results = settled(waits);
  await untilWaiting(paths[MAX_WAITER_THREADS - 1] ?? '');
  expect(kernelWaiters(paths.at(-1) ?? '')).toBe(0);
  await releaseIn(BEYOND - 1, BEYOND);
  const last = await waits.at(-1);
  expect(last?.held).toBe(true);
  last?.release();
  controller.abort(new Error('stop'));
  expect((await results).filter(({ status }) => status === 'rejected')).toHaveLength(BEYOND - 1);
});

test('a polled wait moves to a thread when one becomes idle', async () => {
  const { paths, releaseIn } = await holdMany(BEYOND);
  const controller = new AbortController();
  const waits = paths.map((each) => new FileLock(each).acquire({ ...FOREVER, signal: controller.signal }));
  const results = settled(waits);
  await untilWaiting(paths[MAX_WAITER_THREADS - 1] ?? '');
  await releaseIn(0, 60);
  for (const wait of waits.slice(0, 60)) (await wait).release();
  await untilWaiting(paths.at(-1) ?? '');
  controller.abort(new Error('stop'));
  expect((await results).filter(({ status }) => status === 'rejected')).toHaveLength(BEYOND - 60);
});

test('a polled wait that was aborted never takes the lock', async () => {
  const { paths, releaseIn } = await holdMany(BEYOND);
  const controller = new AbortController();
  const others = new AbortController();
  const waits = paths.map((each, index) =>
    new FileLock(each).acquire({ ...FOREVER, signal: (index < MAX_WAITER_THREADS ? others : controller).signal }),
  );
  const results = settled(waits);
  await untilWaiting(paths[MAX_WAITER_THREADS - 1] ?? '');
  controller.abort(new Error('stop'));
  await releaseIn(MAX_WAITER_THREADS, BEYOND);
  // Held at once, by whoever asks: no round of polling comes in between.
  for (const each of paths.slice(MAX_WAITER_THREADS)) expect(new FileLock(each).tryAcquire()?.held).toBe(true);
  others.abort(new Error('stop'));
  await results;
});

test('polled waits time out, each not before its deadline', async () => {
  const { paths } = await holdMany(BEYOND);
  const start = performance.now();
  const times = paths.map((_, index) => 100 + (index % 50));
  const ends = paths.map((each, index) =>
    new FileLock(each).acquire({ timeout: times[index] }).then(
      () => 'granted',
      ({ code }) => ({ code, early: performance.now() - start < (times[index] ?? 0) }),
    ),
  );
  expect(new Set((await Promise.all(ends)).map((end) => JSON.stringify(end)))).toEqual(
    new Set([JSON.stringify({ code: 'ERR_LOCK_TIMEOUT', early: false })]),
  );
});

test('two waits that are granted in one turn of the event loop do not block each other in acquireSync', async () => {
  const directory = tempDir();
  const [a, b] = [path.join(directory, 'a'), path.join(directory, 'b')];
  const holder = await Actor.process();
  const guards: { release(): Promise<unknown> }[] = [];
  for (const file of [a, b]) {
    guards.push(await (await RemoteContender.open(holder, file, { recordHolder: true })).acquire());
  }
  const waiter = await Actor.process();
  await waiter.run(
    (require, [a, b]) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      const diagnostics = require('node:diagnostics_channel') as typeof import('node:diagnostics_channel');
      const second = new FileLock(b);
      const result = new Promise((resolve) => {
        diagnostics.subscribe('native-file-lock.abandoned', () => {
          try {
            second.acquireSync({ timeout: 5_000 }).release();
            resolve('granted');
          } catch (error) {
            resolve((error as { code: string }).code);
          }
        });
      });
      const waits = [new FileLock(a, { recordHolder: true }).acquire(), second.acquire()];
      Object.assign(globalThis, { result, waits });
    },
    [a, b] as const,
  );
  await untilWaiting(a);
  await untilWaiting(b);
  const outcome = waiter.run(
    async (require, { a, b, pid }) => {
      const { readFileSync, statSync } = require('node:fs') as typeof import('node:fs');
      const waits = (file: string) => new RegExp(`^\\d+: *-> .*:${statSync(file).ino} `, 'm');
      const inodes = [waits(a), waits(b)];
      process.kill(pid, 'SIGKILL');
      // Until the kernel has granted both; neither can be delivered before this turn ends.
      while (inodes.some((each) => each.test(readFileSync('/proc/locks', 'latin1'))));
      const { result, waits: both } = globalThis as unknown as { result: Promise<string>; waits: Promise<LockGuard>[] };
      for (const wait of both) void wait.then((guard) => guard.release());
      return result;
    },
    { a, b, pid: holder.pid },
  );
  // If the second was delivered first it is truly held by this thread, and not only granted.
  expect(['granted', 'EDEADLK']).toContain(await outcome);
});

test('a second load of the addon shares the waits of the first', async () => {
  const { file, release } = await heldElsewhere();
  const blocked = `${file}.blocked`;
  const actor = await Actor.process();
  await actor.run((require, file) => {
    const { FileLock } = require('../..') as typeof import('../../lib/index.js');
    Object.assign(globalThis, { wait: new FileLock(file).acquire() });
  }, file);
  await untilWaiting(file);
  const result = actor.run(
    async (require, { file, blocked }) => {
      const { readFileSync, statSync, writeFileSync } = require('node:fs') as typeof import('node:fs');
      writeFileSync(blocked, '');
      // Until the kernel has granted the wait, which cannot be delivered before this turn ends.
      const holds = new RegExp(`^\\d+: FLOCK .* ${process.pid} .*:${statSync(file).ino} `, 'm');
      while (!holds.test(readFileSync('/proc/locks', 'latin1')));
      for (const key of Object.keys(require.cache)) delete require.cache[key];
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      try {
        new FileLock(file).acquireSync({ timeout: 5_000 }).release();
      } catch (error) {
        return (error as { code: string }).code;
      }
      return (await (globalThis as unknown as { wait: Promise<LockGuard> }).wait).held;
    },
    { file, blocked },
  );
  await expect.poll(() => existsSync(blocked), { timeout: 10_000 }).toBe(true);
  await release();
  expect(await result).toBe(true);
});
