import { Guard, type JobLockGuard } from '../lock-guard.js';

type GuardArguments = ConstructorParameters<typeof Guard>;

/** A guard that its manager knows of, from the grant until it is released. */
export class ManagedGuard extends Guard {
  /** Whether its caller has it. */
  delivered = true;

  constructor(
    private readonly known: { delete(guard: ManagedGuard): unknown },
    ...args: GuardArguments
  ) {
    super(...args);
  }

  override release(): void {
    if (this.delivered) super.release();
    else this.withdraw();
    this.known.delete(this);
  }
}

export class ManagedJobGuard extends ManagedGuard implements JobLockGuard {
  constructor(
    readonly jobId: string,
    ...args: ConstructorParameters<typeof ManagedGuard>
  ) {
    super(...args);
  }
}
