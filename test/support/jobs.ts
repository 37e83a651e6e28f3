import path from 'node:path';
import { onTestFinished } from 'vitest';
import { JobLockManager, type JobLockManagerOptions, type LockHolder, type LockMode } from '../../lib/index.js';
import { Actor } from './actor.js';
import { tempDir } from './temp-dir.js';

/** The lock file of a job, as the original Python module names it. */
export const jobLockFile = (jobsDirectory: string, jobId: string) => path.join(jobsDirectory, jobId, '.lock');
/** The lock file of the jobs index. */
export const indexLockFile = (jobsDirectory: string) => path.join(jobsDirectory, '.jobs_index.lock');

/** A manager, closed after the test, of a jobs directory that is not there yet. */
export function tempManager(options?: JobLockManagerOptions): JobLockManager {
  return managerOf(path.join(tempDir(), 'jobs'), options);
}

/** Another manager, closed after the test. */
export function managerOf(jobsDirectory: string | URL, options?: JobLockManagerOptions): JobLockManager {
  const manager = new JobLockManager(jobsDirectory, options);
  onTestFinished(() => manager.close());
  return manager;
}

/** What a guard of another process tells of itself. */
export interface Told {
  held: boolean;
  mode: LockMode;
  previousHolder: LockHolder | null;
  fencingToken: bigint | null;
}

/** Another process (or thread) that records what it holds of one path. */
export class RecordingActor {
  private constructor(readonly actor: Actor) {}

  static async open(path: string, actor?: Actor, options: object = {}): Promise<RecordingActor> {
    const opened = new RecordingActor(actor ?? (await Actor.process()));
    const forEver = { recordHolder: true, timeout: Number.POSITIVE_INFINITY, ...options };
    await opened.actor.call('open', { lock: path, path, options: forEver });
    await opened.actor.call('evaluate', { code: 'globalThis.lock = locks.get(argument)', argument: path });
    return opened;
  }

  /** Opened, and already inside. */
  static async holding(path: string, actor?: Actor, options?: object): Promise<RecordingActor> {
    const holder = await RecordingActor.open(path, actor, options);
    await holder.acquire();
    return holder;
  }

  get pid(): number {
    return this.actor.pid;
  }

  async acquire(mode: LockMode = 'exclusive'): Promise<Told> {
    await this.actor.call('evaluate', {
      code: `return lock.acquire({ mode: argument }).then((guard) => void guards.set('held', guard))`,
      argument: mode,
    });
    return this.actor.call('describe', { guard: 'held' });
  }

  async release(): Promise<void> {
    await this.actor.call('release', { guard: 'held' });
  }

  /** Dies inside, as a crash does. */
  async crash(): Promise<void> {
    this.actor.signal('SIGKILL');
    await this.actor.ended;
  }
}

/** A process has held the lock of this path, and was killed inside. Answers with its pid. */
export async function abandon(path: string): Promise<number> {
  const holder = await RecordingActor.holding(path);
  await holder.crash();
  return holder.pid;
}
