import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { FileLock } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { tempLock } from '../support/temp-dir.js';

async function holderWithChild(path: string): Promise<Actor> {
  const holder = await Actor.process();
  await holder.call('open', { lock: 'a', path });
  await holder.call('acquireSync', { lock: 'a', guard: 'g' });
  const pid = await holder.call<number>('spawn', { command: 'sleep', args: ['1000'] });
  onTestFinished(() => void process.kill(pid, 'SIGKILL'));
  process.kill(pid, 0); // throws unless it is running
  return holder;
}

test('a child that outlives the release does not keep the lock', async () => {
  const path = tempLock();
  const holder = await holderWithChild(path);
  const lock = new FileLock(path);
  expect(lock.tryAcquire()).toBeNull();
  await holder.call('release', { guard: 'g' });
  using guard = lock.tryAcquire();
  expect(guard?.held).toBe(true);
});

test('a child that outlives its killed parent does not keep the lock', async () => {
  const path = tempLock();
  const holder = await holderWithChild(path);
  await holder.end();
  using guard = new FileLock(path).tryAcquire();
  expect(guard?.held).toBe(true);
});

/** Starts one short-lived child after another, so that nearly always one is between fork and exec. */
const SPAWNER = `
  const { spawnSync } = require('node:child_process');
  const { parentPort } = require('node:worker_threads');
  parentPort.postMessage('started');
  for (let child = 0; child < 300; child++) spawnSync('true');
  parentPort.postMessage('done');
`;

test.each([false, true])(
  'a release is visible immediately even while children are being spawned (keepOpen: %s)',
  async (keepOpen) => {
    const path = tempLock();
    const spawner = new Worker(SPAWNER, { eval: true });
    onTestFinished(async () => void (await spawner.terminate()));
    const messages: unknown[] = [];
    spawner.on('message', (message) => messages.push(message));
    const lock = new FileLock(path, { keepOpen });
    const other = new FileLock(path);
    let rounds = 0;
    let refused = 0;
    while (!messages.includes('done')) {
      for (let round = 0; round < 100; round++) {
        lock.acquireSync().release();
        const guard = other.tryAcquire();
        if (guard === null) refused++;
        guard?.release();
        if (messages.includes('started')) rounds++;
      }
      await new Promise(setImmediate);
    }
    lock.close();
    expect(rounds).toBeGreaterThan(0);
    expect(refused).toBe(0);
  },
);
