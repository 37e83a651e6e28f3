import { expect, test } from 'vitest';
import { Actor } from '../support/actor.js';
import { tempDir } from '../support/temp-dir.js';

const ROUNDS = 60;

test('a worker can be terminated inside any call of the addon, and the process goes on', async () => {
  const actor = await Actor.process();
  const result = await actor.run(
    async (require, { directory, rounds }) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads');
      const { once } = require('node:events') as typeof import('node:events');
      const entry = JSON.stringify(require.resolve('../..'));
      const source = `
        const { parentPort, workerData } = require('node:worker_threads');
        const { FileLock, JobLockManager } = require(${entry});
        const locks = [0, 1, 2].map((n) => new FileLock(workerData + '/' + n, { recordHolder: n === 1, keepOpen: n === 2 }));
        const manager = new JobLockManager(workerData);
        parentPort.postMessage('ready');
        (async () => {
          for (let n = 0; ; n++) {
            const lock = locks[n % 3];
            const guard = lock.tryAcquire();
            if (guard !== null) {
              void guard.fd;
              guard.verify();
              guard.release();
            }
            try { lock.acquireSync({ timeout: 1 }).release(); } catch {}
            lock.acquire({ timeout: 2 }).then((each) => each.release(), () => {});
            lock.acquire({ timeout: 2 }).then((each) => each.release(), () => {});
            if (n % 16 === 0) await manager.cleanupStaleLocks({ maxAge: 0 });
            if (n % 4 === 0) await new Promise(setImmediate);
          }
        })();
      `;
      let ended = 0;
      for (let round = 0; round < rounds; round += 2) {
        const workers = [0, 1].map(() => new Worker(source, { eval: true, workerData: directory }));
        await Promise.all(workers.map((worker) => once(worker, 'message')));
        // At any moment of its loop: a few turns of this one later.
        for (let turn = 0; turn < (round * 7) % 23; turn++) await new Promise(setImmediate);
        await Promise.all(workers.map((worker) => worker.terminate()));
        ended += workers.length;
      }
      return ended;
    },
    { directory: tempDir(), rounds: ROUNDS },
  );
  expect(result).toBe(ROUNDS);
  expect(await actor.run(() => 'alive')).toBe('alive');
});
