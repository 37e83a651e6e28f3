import type { LockError } from '../errors.js';
import { Guard, type JobLockGuard } from '../guard/lock-guard.js';
import type { Grant } from '../holder/recorder.js';

/** The guards of a manager: by job those that their callers have, and apart from them all others. */
export class ManagedGuards {
  readonly #byJob = new Map<string, Set<ManagedJobGuard>>();
  /** Held guards of the index, and those that were not delivered to their callers yet. */
  readonly #others = new Set<ManagedGuard>();
  #jobGuardCount = 0;

  /** `closedError`: for the caller of a guard that was released before it was delivered. */
  constructor(readonly closedError: () => LockError) {}

  add(guard: ManagedGuard): void {
    this.#others.add(guard);
  }

  addJob(guard: ManagedJobGuard): void {
    this.#others.delete(guard);
    const guards = this.#byJob.get(guard.jobId) ?? new Set();
    this.#byJob.set(guard.jobId, guards.add(guard));
    this.#jobGuardCount++;
  }

  delete(guard: ManagedGuard): void {
    this.#others.delete(guard);
    if (!(guard instanceof ManagedJobGuard)) return;
    const guards = this.#byJob.get(guard.jobId);
    if (!guards?.delete(guard)) return;
    if (guards.size === 0) this.#byJob.delete(guard.jobId);
    this.#jobGuardCount--;
  }

  of(jobId: string): readonly ManagedJobGuard[] {
    return [...(this.#byJob.get(jobId) ?? [])];
  }

  get jobs(): string[] {
    return [...this.#byJob.keys()];
  }

  get jobGuardCount(): number {
    return this.#jobGuardCount;
  }

  releaseAll(): void {
    for (const jobId of this.jobs) for (const guard of this.of(jobId)) guard.release();
    for (const guard of this.#others) guard.release();
  }
}

/**
 * A guard that its manager keeps track of, from the grant to the release. Until it is delivered to its caller,
 * `unlockJobDirectory` does not release it, and closing the manager withdraws it: as if the lock had not been
 * granted, whoever had abandoned it is reported to the next holder.
 */
export class ManagedGuard extends Guard {
  #delivered = false;

  constructor(
    protected readonly managed: ManagedGuards,
    ...args: ConstructorParameters<typeof Guard>
  ) {
    super(...args);
  }

  override begin(handle: number, grant: Grant | null): void {
    super.begin(handle, grant);
    this.managed.add(this);
  }

  override deliver(): this {
    if (!this.held) throw this.managed.closedError();
    this.#delivered = true;
    return this;
  }

  override release(): void {
    if (this.#delivered) super.release();
    else super.withdraw();
    this.managed.delete(this);
  }

  override withdraw(): void {
    super.withdraw();
    this.managed.delete(this);
  }
}

export class ManagedJobGuard extends ManagedGuard implements JobLockGuard {
  constructor(
    readonly jobId: string,
    ...args: ConstructorParameters<typeof ManagedGuard>
  ) {
    super(...args);
  }

  override deliver(): this {
    super.deliver();
    this.managed.addJob(this);
    return this;
  }
}
