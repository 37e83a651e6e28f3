import { chmodSync, existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { FileLock, type LockGuard } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { kernelWaiters, untilWaiting } from '../support/kernel-waiters.js';
import { tempDir, tempLock } from '../support/temp-dir.js';

/** 256 that block in the kernel, and one that polls. */
const MAX_WAITER_THREADS = 257;

function tempLocks(count: number): string[] {
  const directory = tempDir();
  chmodSync(directory, 0o777); // for actors that run as another user
  return Array.from({ length: count }, (_, index) => path.join(directory, `${index}.lock`));
}

/** Holds all of them in this process; the returned function releases them. */
function holdAll(paths: readonly string[]): () => void {
  const guards: LockGuard[] = paths.map((each) => new FileLock(each, { fileMode: 0o666 }).acquireSync());
  const releaseAll = () => {
    for (const guard of guards) guard.release();
  };
  onTestFinished(releaseAll);
  return releaseAll;
}

/** Starts a wait for each path in an actor. `grantedWaits` then resolves with how many were granted. */
async function startWaits(actor: Actor, paths: readonly string[]): Promise<void> {
  await actor.run((require, paths) => {
    const { FileLock } = require('../..') as typeof import('../../lib/index.js');
    const waits = paths.map((each) => new FileLock(each).acquire({ timeout: Number.POSITIVE_INFINITY }));
    Object.assign(globalThis, { waits });
  }, paths);
}

const grantedWaits = (actor: Actor) =>
  actor.run(async () => {
    const guards = await Promise.all((globalThis as unknown as { waits: Promise<LockGuard>[] }).waits);
    return guards.filter((guard) => guard.held).length;
  });

const threadsOf = (actor: Actor) => readdirSync(`/proc/${actor.pid}/task`).length;

test("waits do not occupy libuv's thread pool, even if it has a single thread", async () => {
  const paths = tempLocks(64);
  const releaseAll = holdAll(paths);
  const actor = await Actor.process({ env: { UV_THREADPOOL_SIZE: '1' } });
  await startWaits(actor, paths);
  await untilWaiting(paths.at(-1) ?? '');
  const done = await actor.run(async (require) => {
    const { promisify } = require('node:util') as typeof import('node:util');
    const fs = require('node:fs') as typeof import('node:fs');
    const dns = require('node:dns') as typeof import('node:dns');
    const crypto = require('node:crypto') as typeof import('node:crypto');
    const { address } = await promisify(dns.lookup)('localhost');
    return {
      isDirectory: (await fs.promises.stat('/')).isDirectory(),
      address,
      key: (await promisify(crypto.pbkdf2)('secret', 'salt', 10, 16, 'sha256')).length,
    };
  });
  expect(done).toEqual({ isDirectory: true, address: expect.stringMatching(/^(127\.|::1)/), key: 16 });
  releaseAll();
  expect(await grantedWaits(actor)).toBe(64);
});

test('the number of waiter threads is bounded, and waits beyond the bound are granted too', async () => {
  const paths = tempLocks(300);
  const releaseAll = holdAll(paths);
  const actor = await Actor.process();
  // Start libuv's pool first, so that its threads are not mistaken for waiter threads.
  await actor.run(async (require) => (await require('node:fs').promises.stat('/')).isDirectory());
  const before = threadsOf(actor);
  await startWaits(actor, paths);
  await untilWaiting(paths[0] ?? '');
  expect(threadsOf(actor)).toBeGreaterThan(before);
  expect(threadsOf(actor)).toBeLessThanOrEqual(before + MAX_WAITER_THREADS);
  releaseAll();
  expect(await grantedWaits(actor)).toBe(300);
  expect(threadsOf(actor)).toBeLessThanOrEqual(before + MAX_WAITER_THREADS);
});

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('Skipped: waits without threads. Only root can switch to a user that may not start any.');

test.skipIf(!isRoot)('a wait is granted even if no thread can be started', async () => {
  const paths = tempLocks(3);
  const releaseAll = holdAll(paths);
  const OTHER_USER = 54322; // has no other processes
  const asOtherUser = ['setpriv', `--reuid=${OTHER_USER}`, `--regid=${OTHER_USER}`, '--clear-groups'];
  /** An actor whose libuv pool has started: libuv aborts if it cannot start it. */
  async function startWithPool(through: string[]): Promise<Actor> {
    const actor = await Actor.process({ through });
    await actor.run(async (require) => (await require('node:fs').promises.stat('/')).isDirectory());
    return actor;
  }
  const unlimited = await startWithPool(asOtherUser);
  const enough = threadsOf(unlimited);
  await unlimited.end();
  const actor = await startWithPool(['prlimit', `--nproc=${enough}`, ...asOtherUser]);
  const before = threadsOf(actor);
  expect(before).toBe(enough);
  await startWaits(actor, paths);
  const timedOut = await actor.run(async (require, lockPath) => {
    const { FileLock } = require('../..') as typeof import('../../lib/index.js');
    return new FileLock(lockPath).acquire({ timeout: 50 }).catch(({ code }) => code as string);
  }, paths[0] ?? '');
  expect(timedOut).toBe('ERR_LOCK_TIMEOUT');
  expect(threadsOf(actor)).toBe(before);
  releaseAll();
  expect(await grantedWaits(actor)).toBe(3);
});

test('a pending wait does not block the event loop', async () => {
  const path = tempLock();
  const holder = await Actor.process();
  await holder.call('open', { lock: 'a', path });
  await holder.call('acquire', { lock: 'a', guard: 'g' });
  const wait = new FileLock(path).acquire();
  await untilWaiting(path);
  for (let turn = 0; turn < 1000; turn++) await new Promise(setImmediate);
  expect(kernelWaiters(path)).toBe(1); // the wait was pending all the time
  await holder.call('release', { guard: 'g' });
  (await wait).release();
});

test('loading the package and constructing a FileLock has no side effects', async () => {
  const actor = await Actor.process();
  const lockPath = tempLock();
  const { before, after } = await actor.run(async (require, lockPath) => {
    const fs = require('node:fs') as typeof import('node:fs');
    const snapshot = () => ({
      listeners: process.eventNames().map((name) => `${String(name)}: ${process.listenerCount(name)}`),
      resources: process.getActiveResourcesInfo(),
      threads: fs.readdirSync('/proc/self/task').length,
      addon: fs.readFileSync('/proc/self/maps', 'utf8').search(/native[_-]file[_-]lock\.node/) !== -1,
    });
    // The actor has already loaded the package; drop it from the cache to load it again.
    for (const key of Object.keys(require.cache)) if (!key.endsWith('actor.cjs')) delete require.cache[key];
    const before = snapshot();
    const { FileLock } = require('../..') as typeof import('../../lib/index.js');
    new FileLock(lockPath, { keepOpen: true });
    return { before, after: snapshot() };
  }, lockPath);
  expect(after).toEqual(before);
  expect(after.addon).toBe(false);
  expect(existsSync(lockPath)).toBe(false);
});

test('acquiring a free lock starts no thread and adds no listener', async () => {
  const actor = await Actor.process();
  const { before, after, addon } = await actor.run(async (require, lockPath) => {
    const fs = require('node:fs') as typeof import('node:fs');
    const { FileLock } = require('../..') as typeof import('../../lib/index.js');
    const snapshot = () => ({
      listeners: process.eventNames().map((name) => `${String(name)}: ${process.listenerCount(name)}`),
      threads: fs.readdirSync('/proc/self/task').length,
    });
    const before = snapshot();
    const lock = new FileLock(lockPath);
    for (let round = 0; round < 100; round++) (await lock.acquire()).release();
    lock.acquireSync().release();
    const addon = fs.readFileSync('/proc/self/maps', 'utf8').search(/native[_-]file[_-]lock\.node/) !== -1;
    return { before, after: snapshot(), addon };
  }, tempLock());
  expect(after).toEqual(before);
  expect(addon).toBe(true); // otherwise the check in the test above proves nothing
});
