import type { AcquireOptions, FileLock, FileLockOptions, LockGuard, LockMode } from '../../lib/index.js';
import type { Actor } from './actor.js';
import type { Interval } from './intervals.js';

/** What a contender got. */
export interface Possession {
  /** A time (monotonic, nanoseconds) at which it was already held. */
  readonly since: bigint;
  /** Answers with a time at which it was still held, when it is held no more. */
  release(): Promise<bigint>;
}

export type Wanted = Pick<AcquireOptions, 'mode' | 'timeout'>;

/** Somebody who can ask for the lock of one path, wherever it runs and whatever it is written in. */
export interface Contender {
  acquire(wanted?: Wanted): Promise<Possession>;
  tryAcquire(mode?: LockMode): Promise<Possession | null>;
  /** Takes and releases the lock again and again; answers with when it had it. */
  cycle(rounds: number, mode?: LockMode): Promise<Interval[]>;
}

const now = () => process.hrtime.bigint();

/** {@link Contender.cycle} for those who have no faster way. */
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

/** This very thread. */
export class LocalContender implements Contender {
  constructor(private readonly lock: FileLock) {}

  async acquire(wanted?: Wanted): Promise<Possession> {
    return new LocalPossession(await this.lock.acquire(wanted));
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

  /** As often as one likes. */
  release(): Promise<bigint> {
    return this.actor.call<bigint>('evaluate', { code: RELEASE, argument: this.guard });
  }

  /**
   * Releases when somebody waits for the lock in the kernel. The actor is at it when this resolves, so
   * that the caller may block its own thread; `released` then tells when.
   */
  async releaseWhenAwaited(mode?: LockMode): Promise<{ released: Promise<bigint> }> {
    const released = this.actor.call<bigint>('releaseWhenAwaited', { guard: this.guard, path: this.path, mode });
    // Messages arrive in order: who has answered a later one has the earlier one too.
    await this.actor.call('evaluate', { code: '' });
    return { released };
  }
}

/** Another thread or process. */
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

  async acquire(options?: Wanted): Promise<RemotePossession> {
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
