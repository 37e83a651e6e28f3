import { chmodSync, existsSync, mkdirSync, readlinkSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { FileLock, type LockReport } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { untilWaiting } from '../support/kernel-waiters.js';
import { tempDir, tempLock } from '../support/temp-dir.js';

const isRoot = process.getuid?.() === 0;
const FIRST_PID_NAMESPACE = 'pid:[4026531836]'; // the same on every machine
const seesEveryProcess = readlinkSync('/proc/self/ns/pid') === FIRST_PID_NAMESPACE;
if (!seesEveryProcess)
  console.warn('Skipped: free locks. From this pid namespace it cannot be told whether a lock is free.');
if (!isRoot) console.warn('Skipped: locks seen from another pid namespace. Only root can create one.');

const MECHANISMS = ['flock', 'fcntl'] as const;
const NOBODY = { mode: null, holder: null, holders: [], waiting: 0, abandoned: false };

async function contender(file: string, options = {}, through: readonly string[] = []): Promise<Actor> {
  const actor = await Actor.process({ through });
  await actor.call('open', { lock: 'a', path: file, options });
  return actor;
}

async function holder(file: string, options = {}): Promise<Actor> {
  const actor = await contender(file, options);
  await actor.call('acquire', { lock: 'a', guard: 'g' });
  return actor;
}

test('a lock file that does not exist is missing, and inspect() does not create it', () => {
  const file = path.join(tempDir(), 'missing', 'l');
  expect(new FileLock(file).inspect()).toEqual({ path: file, state: 'missing', ...NOBODY });
  expect(existsSync(path.dirname(file))).toBe(false);
});

test.skipIf(!seesEveryProcess).each(MECHANISMS)('a lock without a holder is free (%s)', (mechanism) => {
  const file = tempLock();
  const lock = new FileLock(file, { mechanism });
  lock.acquireSync().release();
  expect(lock.inspect()).toEqual({ path: file, state: 'free', ...NOBODY });
});

test.skipIf(!seesEveryProcess)('a lock is free once it has been released or its holder killed', async () => {
  const file = tempLock();
  const lock = new FileLock(file);
  const actor = await holder(file);
  expect(lock.inspect().state).toBe('held');
  await actor.call('release', { guard: 'g' });
  expect(lock.inspect().state).toBe('free');
  await actor.call('acquire', { lock: 'a', guard: 'g' });
  expect(lock.inspect().state).toBe('held');
  await actor.end();
  expect(lock.inspect().state).toBe('free');
});

test.each(['exclusive', 'shared'] as const)('another process that holds the lock is named (%s)', async (mode) => {
  const file = tempLock();
  const actor = await holder(file, { mode });
  expect(new FileLock(file).inspect()).toMatchObject({
    path: file,
    state: 'held',
    holder: {
      pid: actor.pid,
      hostname: hostname(),
      command: expect.stringMatching(/^node .*actor\.cjs$/),
      running: true,
      thisProcess: false,
    },
    abandoned: false,
  });
});

test('this process is named if it holds the lock', () => {
  const lock = new FileLock(tempLock());
  using _guard = lock.acquireSync();
  expect(lock.inspect()).toMatchObject({
    state: 'held',
    holder: { pid: process.pid, hostname: hostname(), running: true, thisProcess: true },
  });
});

test('a worker thread sees that its own process holds the lock', async () => {
  const file = tempLock();
  using _guard = new FileLock(file).acquireSync();
  const worker = await Actor.worker();
  await worker.call('open', { lock: 'a', path: file });
  expect(await worker.call('inspect', { lock: 'a' })).toMatchObject({ state: 'held', holder: { pid: process.pid } });
});

test('an fcntl lock is reported as held for fcntl only', async () => {
  const file = tempLock();
  await holder(file, { mechanism: 'fcntl' });
  expect(new FileLock(file, { mechanism: 'fcntl' }).inspect().state).toBe('held');
  expect(new FileLock(file).inspect().state).not.toBe('held');
});

test('a flock lock is not reported as held for fcntl', async () => {
  const file = tempLock();
  await holder(file);
  expect(new FileLock(file, { mechanism: 'fcntl' }).inspect().state).not.toBe('held');
});

test('a stopped process still holds its lock', async () => {
  const file = tempLock();
  const actor = await holder(file);
  actor.signal('SIGSTOP');
  expect(new FileLock(file).inspect()).toMatchObject({ state: 'held', holder: { pid: actor.pid, running: true } });
});

test('waiters are not reported as holders', async () => {
  const file = tempLock();
  const lock = new FileLock(file);
  const actor = await holder(file);
  for (let waiters = 1; waiters <= 3; waiters++) {
    const waiter = await contender(file);
    waiter.call(waiters % 2 === 0 ? 'acquireSync' : 'acquire', { lock: 'a', guard: 'g' }).catch(() => {});
    await untilWaiting(file, waiters);
    expect(lock.inspect().holder?.pid).toBe(actor.pid);
  }
});

test('a file that replaced a locked one is not held', async () => {
  const file = tempLock();
  await holder(file);
  writeFileSync(`${file}.new`, '');
  renameSync(`${file}.new`, file);
  expect(new FileLock(file).inspect().state).not.toBe('held');
});

test.each(MECHANISMS)('inspect() never makes a tryAcquire in another process fail (%s)', async (mechanism) => {
  const file = tempLock();
  const [inspector, contending] = await Promise.all([contender(file, { mechanism }), contender(file, { mechanism })]);
  // Inspects in a loop until it is told to stop; resolves with the number of inspections.
  const inspecting = inspector.run(
    async (require, { file, mechanism }) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      const lock = new FileLock(file, { mechanism });
      let count = 0;
      Object.assign(globalThis, { stop: false });
      while (!(globalThis as unknown as { stop: boolean }).stop) {
        lock.inspect();
        count++;
        await new Promise(setImmediate);
      }
      return count;
    },
    { file, mechanism },
  );
  const refused = await contending.run(
    (require, { file, mechanism }) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      const lock = new FileLock(file, { mechanism });
      let refused = 0;
      const until = performance.now() + 1000;
      for (let round = 0; round < 2000 || performance.now() < until; round++) {
        const guard = lock.tryAcquire();
        if (guard === null) refused++;
        guard?.release();
      }
      return refused;
    },
    { file, mechanism },
  );
  await inspector.run(() => void Object.assign(globalThis, { stop: true }));
  expect(await inspecting).toBeGreaterThan(0);
  expect(refused).toBe(0);
});

describe.skipIf(!isRoot)('seen from another pid namespace', () => {
  const IN_NEW_NAMESPACE = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];

  test.each(MECHANISMS)('a lock is never reported free, held outside or not (%s)', async (mechanism) => {
    const file = tempLock();
    const actor = await holder(file, { mechanism });
    const observer = await contender(file, { mechanism }, IN_NEW_NAMESPACE);
    expect(await observer.call('tryAcquire', { lock: 'a', guard: 'g' })).toBe(false);
    const inspect = () => observer.call<LockReport>('inspect', { lock: 'a' });
    expect((await inspect()).state).not.toBe('free');
    if (mechanism === 'flock') expect(await inspect()).toMatchObject({ state: 'unknown', abandoned: null });
    await actor.call('release', { guard: 'g' });
    expect(await inspect()).toMatchObject({ state: 'unknown', holder: null, abandoned: null });
  });

  test('a lock that is held inside the namespace is held', async () => {
    const file = tempLock();
    const observer = await contender(file, {}, IN_NEW_NAMESPACE);
    await observer.call('acquire', { lock: 'a', guard: 'g' });
    expect(await observer.call('inspect', { lock: 'a' })).toMatchObject({
      state: 'held',
      holder: { thisProcess: true },
    });
  });

  test.skipIf(!seesEveryProcess)('a lock that is held inside the namespace is held for the outside too', async () => {
    const file = tempLock();
    const inside = await contender(file, {}, IN_NEW_NAMESPACE);
    await inside.call('acquire', { lock: 'a', guard: 'g' });
    expect(new FileLock(file).inspect()).toMatchObject({
      state: 'held',
      holder: { thisProcess: false, running: true },
    });
  });
});

test('a path that cannot be locked cannot be inspected', async () => {
  const directory = tempDir();
  const at = (name: string) => path.join(directory, name);
  mkdirSync(at('directory'));
  symlinkSync('nowhere', at('link'));
  const bad = {
    [at('directory')]: 'EISDIR',
    [at('link')]: 'ELOOP',
    [at('x'.repeat(256))]: 'ENAMETOOLONG',
    '/dev/null': 'ERR_LOCK_NOT_A_FILE',
  };
  for (const [each, code] of Object.entries(bad)) {
    const lock = new FileLock(each);
    const error = expect.objectContaining({ name: 'LockError', code, path: each });
    expect(() => lock.inspect()).toThrow(error);
    expect(() => lock.tryAcquire()).toThrow(error);
  }
});

test.skipIf(!isRoot)('a lock file in a directory without search permission cannot be inspected', async () => {
  const file = tempLock();
  writeFileSync(file, '');
  chmodSync(path.dirname(file), 0o700);
  const asOtherUser = ['setpriv', '--reuid=54323', '--regid=54323', '--clear-groups'];
  const actor = await contender(file, {}, asOtherUser);
  await expect(actor.call('inspect', { lock: 'a' })).rejects.toMatchObject({ code: 'EACCES', path: file });
});
