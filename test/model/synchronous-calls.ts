import { Calls } from './calls.js';
import type { State } from './waiter-state.js';
import { canLock, holdersOf, lock, unlock, waiterOf, waitOf } from './waits.js';

/** The calls that pass the queue: `tryAcquire` and `acquireSync` of lib/queue/path-lock.ts, and lib/queue/blocking-wait.ts. */
export class SynchronousCalls extends Calls {
  tryAcquire(state: State, index: number): void {
    const waiter = waiterOf(state, index);
    const file = this.tryFile(state, index);
    if (file !== null) {
      this.#begin(state, index, file);
      return;
    }
    waiter.ends++;
    Object.assign(waiter, { phase: 'ended', open: -1 });
  }

  acquireSync(state: State, index: number): void {
    waiterOf(state, index).phase = 'calling';
    const file = this.tryFile(state, index);
    if (file !== null) this.#begin(state, index, file);
    else this.#beginRound(state, index);
  }

  /** An attempt has passed the queue, as a try does. */
  override grantDelivered(state: State, index: number, file: number): void {
    const passes = this.scenario.calls[index]?.method === 'attempt';
    if (passes && this.mutant !== 'a passing attempt leaves the head in the kernel') this.#begin(state, index, file);
    else super.grantDelivered(state, index, file);
  }

  #begin(state: State, index: number, file: number): void {
    this.environment(state).call = index;
    this.grant(state, index, file);
    if (this.suspendIfConflicting(state)) this.#endCall(state);
  }

  /** One turn before it blocks: the waits of this thread for the same file are suspended. */
  #beginRound(state: State, index: number): void {
    const environment = this.environment(state);
    environment.call = index;
    const waiter = waiterOf(state, index);
    waiter.phase = 'calling';
    if (this.#conflictsWithOwn(state, index)) {
      this.#fail(state, index); // EDEADLK
      return;
    }
    const head = this.inKernel(state);
    const isSameFile = head !== undefined && waitOf(state, waiterOf(state, head).wait).file === waiter.open;
    if (isSameFile && this.mutant !== 'a synchronous call leaves the head in the kernel') {
      environment.resumes = true;
      if (!this.suspend(state, head)) return;
    }
    this.#block(state, index);
  }

  #conflictsWithOwn(state: State, index: number): boolean {
    if (this.mutant === 'a synchronous call waits for its own thread') return false;
    const holders = holdersOf(state, waiterOf(state, index).open);
    return this.guards(state).some(
      (guard) => holders.includes(guard) && !(this.isShared(guard) && this.isShared(index)),
    );
  }

  #block(state: State, index: number): void {
    if (waiterOf(state, index).expired) this.#fail(state, index);
    else waiterOf(state, index).phase = 'blocking';
  }

  #fail(state: State, index: number): void {
    const waiter = waiterOf(state, index);
    waiter.ends++;
    Object.assign(waiter, { phase: 'ended', open: -1 });
    this.#endCall(state);
  }

  #endCall(state: State): void {
    const environment = this.environment(state);
    environment.call = -1;
    if (environment.resumes && this.mutant !== 'suspended waits are not resumed') this.pump(state);
    environment.resumes = false;
  }

  /** The wait that the call has suspended is over. */
  afterSuspend(state: State): void {
    const { call } = this.environment(state);
    if (waiterOf(state, call).phase === 'granted') this.#endCall(state);
    else this.#block(state, call);
  }

  /** The kernel lets in the call that blocks this thread. */
  canBeLetIn(state: State, index: number): boolean {
    const { phase, open } = waiterOf(state, index);
    return phase === 'blocking' && canLock(this.scenario, state, open, index);
  }

  letIn(state: State, index: number): void {
    const waiter = waiterOf(state, index);
    lock(state, waiter.open, index);
    waiter.phase = 'lockedHere';
  }

  compare(state: State, index: number): void {
    const waiter = waiterOf(state, index);
    if (waiter.open !== state.path) {
      unlock(state, waiter.open, index);
      waiter.open = -1;
    }
    const file = this.tryFile(state, index);
    if (file !== null) this.#begin(state, index, file);
    else this.#beginRound(state, index);
  }

  giveUp(state: State, index: number): void {
    this.#fail(state, index);
  }
}
