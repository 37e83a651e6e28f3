import type { FileLock, JobLockManager } from '../../lib/index.js';
import type { Scenario } from './table.js';

type Package = typeof import('../../lib/index.js');

/** Runs in the actor while the calls fail. Returns what each way came to, in the words of the table. */
export async function runScenario(require: NodeJS.Require, [scenario, file]: [Scenario, string]): Promise<string[]> {
  const { FileLock, JobLockManager } = require('../..') as Package;
  const describe = (error: unknown) => {
    const { code, syscall } = error as { code: string; syscall?: string };
    return code === 'ERR_LOCK_TIMEOUT' ? 'held' : [code, syscall].filter(Boolean).join(' ');
  };
  const attempt = (body: () => string) => {
    try {
      return body();
    } catch (error) {
      return describe(error);
    }
  };
  // Long where a thread makes the attempt; the others make theirs at once.
  const timeout = scenario === 'server' ? 20_000 : 20;
  const take = async (lock: FileLock) => {
    const tried = attempt(() => {
      const guard = lock.tryAcquire();
      guard?.release();
      return guard === null ? 'held' : 'granted';
    });
    const awaited = await lock.acquire({ timeout }).then((guard) => {
      guard.release();
      return 'granted';
    }, describe);
    const blocked = attempt(() => {
      lock.acquireSync({ timeout }).release();
      return 'granted';
    });
    return [tried, awaited, blocked];
  };
  const wait = async (lock: FileLock) => {
    const timeout = await lock.acquire({ timeout: 30 }).then(() => 'granted', describe);
    const controller = new AbortController();
    const aborted = lock.acquire({ signal: controller.signal }).then(
      () => 'granted',
      (error) => (error === 'aborted' ? 'held' : describe(error)),
    );
    await new Promise((resolve) => setTimeout(resolve, 10));
    controller.abort('aborted');
    return [
      timeout,
      await aborted,
      attempt(() => {
        lock.acquireSync({ timeout: 30 }).release();
        return 'granted';
      }),
    ];
  };
  const record = (lock: FileLock) => {
    const guard = lock.tryAcquire();
    const recorded = guard?.fencingToken !== null;
    return [guard === null ? 'held' : recorded ? 'recorded' : 'not recorded', guard] as const;
  };
  switch (scenario) {
    case 'fcntl':
      return take(new FileLock(file, { mechanism: 'fcntl' }));
    case 'wait':
      return wait(new FileLock(file));
    case 'record': {
      const [outcome, guard] = record(new FileLock(file, { recordHolder: true }));
      guard?.release();
      return [outcome];
    }
    case 'release': {
      // Held before the calls fail.
      const { guard } = globalThis as unknown as { guard: { held: boolean; release(): void } };
      const warned = new Promise<string>((resolve) => {
        process.once('warning', () => resolve('released, with a warning'));
        setTimeout(resolve, 20, 'released');
      });
      guard.release();
      return [await warned];
    }
    case 'clean': {
      const manager: JobLockManager = new JobLockManager(file);
      return [(await manager.cleanupStaleLocks({ maxAge: 0 })).length === 0 ? 'left' : 'removed'];
    }
    case 'verify': {
      const { guard } = globalThis as unknown as { guard: { verify(): void } };
      return [
        attempt(() => {
          guard.verify();
          return 'held';
        }),
      ];
    }
    default:
      return take(new FileLock(file));
  }
}
