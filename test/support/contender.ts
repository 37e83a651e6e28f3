import type { AcquireOptions, FileLock, FileLockOptions, LockGuard, LockMode } from '../../lib/index.js';
import type { Actor } from './actor.js';
import type { Interval } from './intervals.js';

/** A lock held by a contender. */
export interface Possession {
  /** A monotonic time, in nanoseconds, at which the lock was already held. */
  readonly since: bigint;
  /** Releases the lock. Resolves with a time at which it was still held. */
  release(): Promise<bigint>;
}

export type AcquireRequest = Pick<AcquireOptions, 'mode' | 'timeout'>;

/** Anything that can lock one path: this thread, another thread or process, another program. */
export interface Contender {
  acquire(request?: AcquireRequest): Promise<Possession>;
  tryAcquire(mode?: LockMode): Promise<Possession | null>;
  /** Acquires and releases the lock in a loop. Resolves with the intervals in which it held the lock. */
  cycle(rounds: number, mode?: LockMode): Promise<Interval[]>;
}

const now = () => process.hrtime.bigint();

/** {@link Contender.cycle} for contenders without a faster implementation of their own. */
export async function cycleOf(contender: Contender, rounds: number, mode?: LockMode): Promise<Interval[]> {
  const intervals: Interval[] = [];
  for (let round = 0; round < rounds; round++) {
    const possession = await contender.acquire({ mode });
    intervals.push([possession.since, await possession.release()]);
  }
  return intervals;
}

class LocalPossession implements Possession {
  readonly since = now();
  constructor(private readonly guard: LockGuard) {}

  async release(): Promise<bigint> {
    const at = now();
    this.guard.release();
    return at;
  }
}

/** A contender in this thread. */
export class LocalContender implements Contender {
  constructor(private readonly lock: FileLock) {}

  async acquire(request?: AcquireRequest): Promise<Possession> {
    return new LocalPossession(await this.lock.acquire(request));
  }

  async tryAcquire(mode?: LockMode): Promise<Possession | null> {
    const guard = this.lock.tryAcquire({ mode });
    return guard && new LocalPossession(guard);
  }

  cycle(rounds: number, mode?: LockMode): Promise<Interval[]> {
    return cycleOf(this, rounds, mode);
  }
}

const RELEASE = 'const at = process.hrtime.bigint(); guards.get(argument).release(); return at';
let names = 0;

class RemotePossession implements Possession {
  constructor(
    private readonly actor: Actor,
    private readonly path: string,
    private readonly guard: string,
    readonly since: bigint,
  ) {}

  /** May be called more than once. */
  release(): Promise<bigint> {
    return this.actor.call<bigint>('evaluate', { code: RELEASE, argument: this.guard });
  }

  /**
   * Releases the lock once a waiter is blocked in the kernel. When this resolves the actor is already
   * watching for one, so the caller may block its own thread. `released` resolves with the time of the
   * release.
   */
  async releaseWhenAwaited(mode?: LockMode): Promise<{ released: Promise<bigint> }> {
    const released = this.actor.call<bigint>('releaseWhenAwaited', { guard: this.guard, path: this.path, mode });
    // Messages arrive in order: once a later one is answered, the earlier one has been received.
    await this.actor.call('evaluate', { code: '' });
    return { released };
  }
}

/** A contender in another thread or process. */
export class RemoteContender implements Contender {
  private constructor(
    private readonly actor: Actor,
    private readonly path: string,
    private readonly lock: string,
  ) {}

  static async open(actor: Actor, path: string, options?: FileLockOptions): Promise<RemoteContender> {
    const lock = `lock ${++names}`;
    await actor.call('open', { lock, path, options });
    return new RemoteContender(actor, path, lock);
  }

  async acquire(options?: AcquireRequest): Promise<RemotePossession> {
    const guard = `guard ${++names}`;
    const since = await this.actor.call<bigint>('acquire', { lock: this.lock, guard, options });
    return new RemotePossession(this.actor, this.path, guard, since);
  }

  async tryAcquire(mode?: LockMode): Promise<RemotePossession | null> {
    const guard = `guard ${++names}`;
    const got = await this.actor.call<boolean>('tryAcquire', { lock: this.lock, guard, options: { mode } });
    return got ? new RemotePossession(this.actor, this.path, guard, now()) : null;
  }

  cycle(rounds: number, mode?: LockMode): Promise<Interval[]> {
    return this.actor.call('cycle', { lock: this.lock, rounds, holdMicroseconds: 20, options: { mode } });
  }
}
