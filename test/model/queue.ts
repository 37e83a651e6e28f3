import type { Mutant } from './mutants.js';
import {
  ENDED,
  type Environment,
  NOBODY,
  OTHER,
  ofWait,
  type Scenario,
  type State,
  type Waiter,
} from './waiter-state.js';
import { records } from './waiter-threads.js';
import { beginCancel, canLock, freeWait, lock, startWait, takeFile, unlock, waiterOf, waitOf } from './waits.js';

/** The acquisitions of one environment, as `PathLock`, `PendingAcquisitions` and `HeadWait` of lib/queue make them. */
export class Queue {
  readonly own: readonly number[];

  constructor(
    protected readonly scenario: Scenario,
    protected readonly mutant: Mutant,
    readonly number: number,
  ) {
    this.own = [...scenario.calls.keys()].filter((index) => scenario.calls[index]?.environment === number);
  }

  environment(state: State): Environment {
    return state.environments[this.number] as Environment;
  }

  queued(state: State): number[] {
    const isQueued = (index: number) => ['queued', 'inKernel'].includes(waiterOf(state, index).phase);
    return this.own.filter((index) => isQueued(index) && this.scenario.calls[index]?.method === 'acquire');
  }

  inKernel(state: State): number | undefined {
    return this.queued(state).find((index) => waiterOf(state, index).phase === 'inKernel');
  }

  isShared(index: number): boolean {
    return this.scenario.calls[index]?.shared === true;
  }

  guards(state: State): number[] {
    return this.own.filter((index) => waiterOf(state, index).phase === 'granted');
  }

  conflictsLocally(state: State, index: number): boolean {
    const guards = this.guards(state);
    if (this.mutant === 'shared waiters do not conflict with the exclusive head') {
      return guards.some((guard) => !this.isShared(guard));
    }
    return guards.some((guard) => !this.isShared(index) || !this.isShared(guard));
  }

  /** One attempt, with the file that is open or else with the one that the path names. Null: it is held, and open. */
  tryFile(state: State, index: number): number | null {
    const waiter = waiterOf(state, index);
    if (waiter.open >= 0 && waiter.open !== state.path && canLock(this.scenario, state, waiter.open, index)) {
      waiter.open = -1; // granted, and given up: it was replaced
    }
    if (waiter.open < 0) waiter.open = state.path;
    return canLock(this.scenario, state, waiter.open, index) ? waiter.open : null;
  }

  startHeadWait(state: State, index: number): void {
    const waiter = waiterOf(state, index);
    startWait(state, index, waiter.open, 'kLock', this.scenario.network);
    Object.assign(waiter, { phase: 'inKernel', open: -1 });
  }

  pump(state: State): void {
    for (;;) {
      const [head, next] = this.queued(state);
      if (head === undefined || this.inKernel(state) !== undefined || this.conflictsLocally(state, head)) return;
      const waiter = waiterOf(state, head);
      if (this.scenario.network) {
        this.startHeadWait(state, head);
        return;
      }
      const file = this.tryFile(state, head);
      if (file !== null) {
        this.grant(state, head, file);
      } else if (!waiter.expired) {
        this.startHeadWait(state, head);
      } else {
        const heir =
          next === undefined || this.isShared(next) !== this.isShared(head) ? undefined : waiterOf(state, next);
        if (heir !== undefined && heir.open < 0) heir.open = waiter.open;
        this.leave(state, head);
      }
    }
  }

  /** Its guard has the lock of that file from now on. */
  grant(state: State, index: number, file: number): void {
    const waiter = waiterOf(state, index);
    lock(state, file, index);
    if (records(this.scenario, { waiter: index }) && !waiter.drafted) {
      this.#draft(waiter, state.records[file] as number);
      state.records[file] = index;
    }
    if (waiter.toldOfAbandoned && state.records[file] === index && file === 0) state.told++;
    waiter.ends++;
    Object.assign(waiter, { phase: 'granted', file, open: -1, drafted: false });
  }

  #draft(waiter: Waiter, record: number): void {
    Object.assign(waiter, { drafted: true, toldOfAbandoned: record === OTHER || record === ENDED });
  }

  leave(state: State, index: number): void {
    const waiter = waiterOf(state, index);
    waiter.ends++;
    Object.assign(waiter, { phase: 'ended', open: -1, drafted: false, toldOfAbandoned: false });
    if (this.scenario.calls[index]?.method === 'acquire') this.schedulePump(state);
  }

  schedulePump(state: State): void {
    if (this.mutant === 'no pump after a waiter has left') return;
    if (this.queued(state).length > 0) this.environment(state).pumps = true;
  }

  /** Begins to end the head's wait. True: it has ended, and the head is as `#afterCancel` leaves it. */
  cancel(state: State, index: number, reason: Environment['reason']): boolean {
    const number = waiterOf(state, index).wait;
    const wait = waitOf(state, number);
    const { outcome, job } = wait;
    const looks = this.mutant !== 'cancel without a look for the end';
    switch (beginCancel(state, number, looks)) {
      case 'asked':
        Object.assign(this.environment(state), { cancels: index, reason });
        return false;
      case 'freed':
        this.afterCancel(state, index, reason, -1);
        return true;
      case 'ended': {
        const isUnrecorded = job === 'kRecord' && outcome === 'kUnrecorded';
        const file = takeFile(state, number);
        wait.file = -1;
        freeWait(state, number);
        this.afterCancel(state, index, reason, file, isUnrecorded);
        return true;
      }
    }
  }

  /** `file`: the lock that it was granted before, or -1. */
  afterCancel(state: State, index: number, reason: Environment['reason'], file: number, isUnrecorded = false): void {
    const waiter = waiterOf(state, index);
    if (file >= 0 && reason === 'deadline') {
      this.grant(state, index, file);
      this.schedulePump(state);
      return;
    }
    const keeps =
      (this.mutant === 'an aborted grant is kept' && reason === 'abort') ||
      (this.mutant === 'a suspended grant is kept' && reason === 'suspend');
    if (file >= 0 && !keeps) {
      const undoes = waiter.drafted && !isUnrecorded && this.mutant !== 'an undelivered record is left';
      if (undoes) state.records[file] = this.undoOf(waiter);
      unlock(state, file, index);
    }
    if (reason === 'suspend') {
      Object.assign(waiter, { phase: 'queued', open: -1, drafted: false, toldOfAbandoned: false });
    } else {
      this.leave(state, index);
    }
  }

  undoOf({ toldOfAbandoned }: Waiter): number {
    return toldOfAbandoned && this.mutant !== 'the record of an abandoned lock is not put back' ? OTHER : NOBODY;
  }

  /** Ends the wait of the head in the kernel, if there is one. True: that is done. */
  suspend(state: State, head: number | undefined): boolean {
    return head === undefined || this.cancel(state, head, 'suspend');
  }

  suspendIfConflicting(state: State): boolean {
    const head = this.inKernel(state);
    if (head === undefined || !this.conflictsLocally(state, head)) return true;
    if (this.mutant === 'a passing grant leaves the head in the kernel') return true;
    return this.suspend(state, head);
  }

  /** The end of a wait is delivered by the event loop. */
  deliver(state: State, index: number): void {
    const waiter = waiterOf(state, index);
    const number = waiter.wait;
    const wait = waitOf(state, number);
    const { outcome, job, record } = wait;
    const file = takeFile(state, number);
    wait.file = -1;
    freeWait(state, number);
    if (job === 'kInspect') {
      waiter.ends++;
      waiter.phase = 'ended';
    } else if (outcome === 'kGranted' || outcome === 'kUnrecorded') {
      if (job === 'kLock' && records(this.scenario, { waiter: index })) {
        this.#draft(waiter, record);
        unlock(state, file, index); // the wait's again
        this.#startRecord(state, index, file);
        return;
      }
      this.grantDelivered(state, index, file);
    } else if (outcome === 'kReplaced') {
      waiter.phase = 'queued';
      this.pump(state);
    } else {
      this.leave(state, index);
    }
  }

  grantDelivered(state: State, index: number, file: number): void {
    this.grant(state, index, file);
    if (this.mutant !== 'no pump after a grant') this.pump(state);
  }

  #startRecord(state: State, index: number, file: number): void {
    startWait(state, index, file, 'kRecord', false, this.undoOf(waiterOf(state, index)));
    lock(state, file, ofWait(waiterOf(state, index).wait));
  }
}
