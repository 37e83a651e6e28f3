import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { FileLock, LockTimeoutError } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { expectBlocked } from '../support/blocked.js';
import { RemoteContender } from '../support/contender.js';
import { expectNoGrowth } from '../support/process-state.js';
import { tempDir, tempLock } from '../support/temp-dir.js';

/** Not a performance bound: only tells a wait that ends from one that is stuck. */
const GENEROUS_MS = 2000;

interface Ending {
  error: LockTimeoutError;
  milliseconds: number;
}

type Wait = (lock: FileLock, timeout: number) => Promise<Ending>;

/** Waits for the timeout; throws if the wait ends in any other way. */
const wait: Wait = async (lock, timeout) => {
  const start = performance.now();
  const error = await lock.acquire({ timeout }).then(
    () => expect.fail('it was granted'),
    (reason) => reason,
  );
  const milliseconds = performance.now() - start;
  if (!(error instanceof LockTimeoutError)) throw error;
  return { error, milliseconds };
};

const waitSync: Wait = async (lock, timeout) => {
  const start = performance.now();
  try {
    lock.acquireSync({ timeout });
  } catch (error) {
    const milliseconds = performance.now() - start;
    if (!(error instanceof LockTimeoutError)) throw error;
    return { error, milliseconds };
  }
  return expect.fail('it was granted');
};

const ways = [
  { method: 'acquire', wait },
  { method: 'acquireSync', wait: waitSync },
];

async function heldElsewhere(path = tempLock()) {
  const actor = await Actor.process();
  const other = await RemoteContender.open(actor, path);
  return { path, actor, other, possession: await other.acquire() };
}

describe.each(ways)('$method', ({ wait }) => {
  test.each([0, 1, 20, 600])('a wait of %i ms times out, and never early', async (timeout) => {
    const { path, other, possession } = await heldElsewhere();
    const { error, milliseconds } = await wait(new FileLock(path), timeout);
    expect(milliseconds).toBeGreaterThanOrEqual(timeout);
    expect(milliseconds).toBeLessThan(timeout + GENEROUS_MS);
    expect(error).toMatchObject({ name: 'LockTimeoutError', code: 'ERR_LOCK_TIMEOUT', path, timeout });
    expect(error.message).toContain(`exclusive lock on '${path}'`);
    if (timeout > 0) expect(error.message).toContain(` ${timeout} ms `);
    await possession.release();
    expect(await other.tryAcquire()).not.toBeNull();
  });

  test('the error of a shared wait names the mode', async () => {
    const { path } = await heldElsewhere();
    expect((await wait(new FileLock(path, { mode: 'shared' }), 1)).error.message).toContain(`shared lock on '${path}'`);
  });

  test('the error names the process that holds the lock', async () => {
    const { path, actor } = await heldElsewhere();
    const lock = new FileLock(path);
    // On a busy machine the holder may not be found in time; then try again.
    const error = await vi.waitUntil(async () => {
      const { error } = await wait(lock, 30);
      return error.holder && error;
    });
    expect(error.holder).toMatchObject({ pid: actor.pid, running: true, thisProcess: false });
    expect(error.holder?.command).toMatch(/^node .*actor\.cjs$/);
    expect(error.message).toContain(`${actor.pid} (${error.holder?.command})`);
  });

  test('the wall clock does not matter', async () => {
    const { path } = await heldElsewhere();
    let wall = Date.now();
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => {
      wall = -wall * 2; // years ahead at one call, years behind at the next
      return wall;
    });
    onTestFinished(() => clock.mockRestore());
    const { milliseconds } = await wait(new FileLock(path), 60);
    expect(milliseconds).toBeGreaterThanOrEqual(60);
    expect(milliseconds).toBeLessThan(60 + GENEROUS_MS);
  });
});

test.each([
  ['acquire', wait, 30],
  ['acquire', wait, 0],
  ['acquireSync', waitSync, 0],
] as const)('%s names this process if it holds the lock', async (_method, wait, timeout) => {
  const lock = new FileLock(tempLock());
  const guard = await lock.acquire();
  const { error } = await wait(lock, timeout);
  expect(error.holder).toMatchObject({ pid: process.pid, running: true, thisProcess: true });
  expect(error.message).toContain(`held by this process (locks are not re-entrant)`);
  expect(guard.held).toBe(true);
  guard.release();
});

test('timeout 0 makes one attempt, which acquires a free lock', async () => {
  const lock = new FileLock(tempLock(), { timeout: 0 });
  (await lock.acquire()).release();
  lock.acquireSync().release();
  await lock.withLock((guard) => expect(guard.held).toBe(true));
});

test.each([Number.POSITIVE_INFINITY, Number.MAX_VALUE, 2 ** 53, 2 ** 32 + 1, 2 ** 31, 2 ** 31 + 30])(
  'a wait of %d ms lasts until the release, and no timer overflows',
  async (timeout) => {
    const warnings: string[] = [];
    const onWarning = ({ name }: Error) => warnings.push(name);
    process.on('warning', onWarning);
    onTestFinished(() => {
      process.off('warning', onWarning);
    });
    const { path, possession } = await heldElsewhere();
    const waiting = new FileLock(path, { timeout }).acquire();
    await expectBlocked(waiting);
    await possession.release();
    const guard = await waiting;
    expect(guard.held).toBe(true);
    guard.release();
    expect(warnings).not.toContain('TimeoutOverflowWarning');
  },
);

describe.each([
  ['a negative number', -1, 'VALUE'],
  ['a negative fraction', -0.001, 'VALUE'],
  ['NaN', Number.NaN, 'VALUE'],
  ['-Infinity', Number.NEGATIVE_INFINITY, 'VALUE'],
  ['a string', '10', 'TYPE'],
  ['null', null, 'TYPE'],
  ['a boolean', true, 'TYPE'],
  ['a bigint', 10n, 'TYPE'],
  ['a symbol', Symbol('10'), 'TYPE'],
  ['an object', {}, 'TYPE'],
  ['an object without a prototype', Object.create(null), 'TYPE'],
  ['an array', [10], 'TYPE'],
  ['a function', () => 10, 'TYPE'],
])('%s as timeout', (_name, value, kind) => {
  const timeout = value as number;
  const refusal = expect.objectContaining({ name: 'TypeError', code: `ERR_INVALID_ARG_${kind}` });

  test('is refused, by async methods with a rejection, and no file is created', async () => {
    const file = path.join(tempDir(), 'parent', 'test.lock');
    expect(() => new FileLock(file, { timeout })).toThrow(refusal);
    const lock = new FileLock(file);
    expect(() => lock.acquireSync({ timeout })).toThrow(refusal);
    await expect(lock.acquire({ timeout })).rejects.toEqual(refusal);
    await expect(lock.withLock(() => expect.fail('it ran'), { timeout })).rejects.toEqual(refusal);
    expect(existsSync(path.dirname(file))).toBe(false);
  });
});

describe('with a large number of waits', () => {
  const WAITS = 1000;
  const SEQUENCE = 300;
  const FILES = 200;
  const shortTimeout = (index: number) => index % 6;

  /** Many locks, all held by another process. */
  async function manyHeldElsewhere() {
    const directory = tempDir();
    const paths = Array.from({ length: FILES }, (_, index) => path.join(directory, `${index}.lock`));
    const actor = await Actor.process();
    const others = await Promise.all(paths.map((each) => RemoteContender.open(actor, each)));
    const possessions = await Promise.all(others.map((other) => other.acquire()));
    const locks = paths.map((each) => new FileLock(each));
    const lockAt = (index: number) => locks[index % FILES] as FileLock;
    const releaseAll = () => Promise.all(possessions.map((possession) => possession.release()));
    return {
      lockAt,
      releaseAll,
      async expectAllFree() {
        await releaseAll();
        const free = await Promise.all(others.map((other) => other.tryAcquire()));
        expect(free).not.toContain(null);
      },
    };
  }

  const timesOut = async (lock: FileLock, index: number, how: Wait) => {
    const { milliseconds } = await how(lock, shortTimeout(index));
    expect(milliseconds).toBeGreaterThanOrEqual(shortTimeout(index));
  };

  test('all concurrent waits time out with a bounded number of threads, and leak nothing', async () => {
    const { lockAt, expectAllFree } = await manyHeldElsewhere();
    await wait(lockAt(0), 1);
    const expectFlat = expectNoGrowth({ moreThreads: FILES / 2 });
    await Promise.all(Array.from({ length: WAITS }, (_, index) => timesOut(lockAt(index), index, wait)));
    await expectFlat();
    await expectAllFree();
  });

  test.each([
    ['asynchronous', wait],
    ['synchronous', waitSync],
  ])('all %s waits in a long sequence time out, and leak nothing', async (_name, how) => {
    const { lockAt, expectAllFree } = await manyHeldElsewhere();
    for (let index = 0; index < 10; index++) await how(lockAt(index), 1); // starts the threads that are reused
    const expectFlat = expectNoGrowth();
    for (let index = 0; index < SEQUENCE; index++) await timesOut(lockAt(index), index, how);
    await expectFlat();
    await expectAllFree();
  });

  test('more waits than waiter threads are all granted', async () => {
    const { lockAt, releaseAll } = await manyHeldElsewhere();
    const waits = Array.from({ length: FILES }, (_, index) => lockAt(index).acquire());
    await expectBlocked(Promise.race(waits));
    await releaseAll();
    for (const guard of await Promise.all(waits)) {
      expect(guard.held).toBe(true);
      guard.release();
    }
  });
});

test('the time of the first wait counts from the call, and not from when the rest is loaded', async () => {
  const file = tempLock();
  using guard = new FileLock(file).tryAcquire();
  expect(guard?.held).toBe(true);
  const actor = await Actor.process();
  const first = await actor.run((require, file) => {
    const { FileLock } = require('../..') as typeof import('../../lib/index.js');
    const lock = new FileLock(file);
    const loader = require('node:module') as unknown as { _load(request: string, ...rest: unknown[]): unknown };
    const load = loader._load;
    loader._load = (request, ...rest) => {
      if (request.endsWith('path-locks.js')) {
        const end = performance.now() + 500;
        while (performance.now() < end);
      }
      return load(request, ...rest);
    };
    const timeout = lock.acquire({ timeout: 500 }).catch(() => 'timed out');
    return Promise.race([timeout, new Promise((resolve) => setTimeout(resolve, 250, 'half of it again'))]);
  }, file);
  expect(first).toBe('timed out');
});
