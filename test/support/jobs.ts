import path from 'node:path';
import { onTestFinished } from 'vitest';
import { JobLockManager, type JobLockManagerOptions, type LockHolder, type LockMode } from '../../lib/index.js';
import { Actor } from './actor.js';
import { tempDir } from './temp-dir.js';

/** The lock file of a job, as the original Python module names it. */
export const jobLockFile = (jobsDirectory: string, jobId: string) => path.join(jobsDirectory, jobId, '.lock');
/** The lock file of the jobs index. */
export const indexLockFile = (jobsDirectory: string) => path.join(jobsDirectory, '.jobs_index.lock');

/** A manager of a jobs directory that does not exist yet, closed after the test. */
export function tempManager(options?: JobLockManagerOptions): JobLockManager {
  return managerOf(path.join(tempDir(), 'jobs'), options);
}

/** A manager of this jobs directory, closed after the test. */
export function managerOf(jobsDirectory: string | URL, options?: JobLockManagerOptions): JobLockManager {
  const manager = new JobLockManager(jobsDirectory, options);
  onTestFinished(() => manager.close());
  return manager;
}

/** The state of a guard in another process. */
export interface GuardState {
  held: boolean;
  mode: LockMode;
  previousHolder: LockHolder | null;
  fencingToken: bigint | null;
}

/** Another process or thread that locks one path and records itself as the holder. */
export class RecordingActor {
  private constructor(readonly actor: Actor) {}

  static async open(path: string, actor?: Actor, options: object = {}): Promise<RecordingActor> {
    const opened = new RecordingActor(actor ?? (await Actor.process()));
    const lockOptions = { recordHolder: true, timeout: Number.POSITIVE_INFINITY, ...options };
    await opened.actor.call('open', { lock: path, path, options: lockOptions });
    await opened.actor.call('evaluate', { code: 'globalThis.lock = locks.get(argument)', argument: path });
    return opened;
  }

  /** Opens the lock and acquires it. */
  static async holding(path: string, actor?: Actor, options?: object): Promise<RecordingActor> {
    const holder = await RecordingActor.open(path, actor, options);
    await holder.acquire();
    return holder;
  }

  get pid(): number {
    return this.actor.pid;
  }

  async acquire(mode: LockMode = 'exclusive'): Promise<GuardState> {
    await this.actor.call('evaluate', {
      code: `return lock.acquire({ mode: argument }).then((guard) => void guards.set('held', guard))`,
      argument: mode,
    });
    return this.actor.call('describe', { guard: 'held' });
  }

  async release(): Promise<void> {
    await this.actor.call('release', { guard: 'held' });
  }

  /** Kills the process while it holds the lock, as a crash would. */
  async crash(): Promise<void> {
    this.actor.signal('SIGKILL');
    await this.actor.ended;
  }
}

/** Runs a process that acquires the lock and is killed while it holds it. Resolves with its pid. */
export async function abandon(path: string): Promise<number> {
  const holder = await RecordingActor.holding(path);
  await holder.crash();
  return holder.pid;
}
