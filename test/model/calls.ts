import { Queue } from './queue.js';
import { ENDED, NOBODY, type State } from './waiter-state.js';
import { freePolled, ringNow, startWait, unlock, waiterOf, waitOf } from './waits.js';

/** What a program calls, and the end of its environment. */
export class Calls extends Queue {
  /** `budgetIsSpent`: the lock is left free for a moment before the next one gets it. */
  release(state: State, index: number, budgetIsSpent: boolean): void {
    const waiter = waiterOf(state, index);
    const { file } = waiter;
    const next = this.queued(state)[0];
    if (state.records[file] === index) state.records[file] = NOBODY;
    unlock(state, file, index);
    Object.assign(waiter, { phase: 'ended', file: -1, gaveUpPath: false, toldOfAbandoned: false });
    if (next === undefined) return;
    const heir = waiterOf(state, next);
    const mayHandOn = this.mayHandOn(state, index, next);
    const isReplaced = file !== state.path && this.mutant !== 'handed on without confirmation';
    if (mayHandOn && !isReplaced && !budgetIsSpent) {
      this.grant(state, next, file);
      return;
    }
    if (!(mayHandOn && isReplaced) && heir.open < 0 && heir.wait < 0) heir.open = file;
    if (budgetIsSpent) this.environment(state).yields = true;
    else this.pump(state);
  }

  /** Whether the locked file of a guard can be handed to the next one without an unlock, if it was not replaced. */
  mayHandOn(state: State, index: number, next: number): boolean {
    if (this.isShared(index) && this.mutant !== 'a shared lock is handed on') return false;
    if (this.isShared(next)) return false;
    return this.mutant === 'a shared lock is handed on' || this.guards(state).every((guard) => guard === index);
  }

  acquire(state: State, index: number): void {
    const waiter = waiterOf(state, index);
    const isFirst = this.queued(state).length === 0;
    if (this.scenario.network) {
      waiter.phase = 'queued';
      this.pump(state);
    } else if (isFirst) {
      const file = this.tryFile(state, index);
      waiter.phase = 'queued';
      if (file !== null) this.grant(state, index, file);
      else if (!this.conflictsLocally(state, index)) this.startHeadWait(state, index);
    } else {
      waiter.phase = 'queued';
    }
  }

  attempt(state: State, index: number): void {
    const waiter = waiterOf(state, index);
    if (this.conflictsLocally(state, index)) {
      this.leave(state, index);
      return;
    }
    waiter.expired = true;
    this.startHeadWait(state, index);
  }

  inspect(state: State, index: number): void {
    startWait(state, index, -1, 'kInspect', false);
    waiterOf(state, index).phase = 'inKernel';
  }

  /** By its deadline or an abort. */
  end(state: State, index: number, reason: 'abort' | 'deadline'): void {
    if (waiterOf(state, index).wait < 0) this.leave(state, index);
    else this.cancel(state, index, reason);
  }

  /** The environment is torn down, and the addon frees what it has. */
  tearDown(state: State): void {
    this.environment(state).gone = true;
    for (const index of this.own) {
      const waiter = waiterOf(state, index);
      const forgets =
        this.mutant === 'teardown forgets what was asked' && this.scenario.calls[index]?.method === 'inspect';
      if (waiter.wait >= 0 && !forgets) this.#abandon(state, waiter.wait);
      if (waiter.phase === 'granted') {
        unlock(state, waiter.file, index);
        this.#leaveRecord(state, index, waiter.file);
      } else if (waiter.phase !== 'ended') {
        waiter.ends++;
      }
      Object.assign(waiter, { phase: 'ended', file: -1, open: -1, gaveUpPath: false, drafted: false });
    }
  }

  #abandon(state: State, number: number): void {
    const wait = waitOf(state, number);
    if (wait.inEndedList || wait.inPollList) {
      wait.inEndedList = false;
      // A record that was written, and not delivered, is taken back.
      if (wait.job === 'kRecord' && wait.outcome === 'kGranted') state.records[wait.file] = wait.record;
      freePolled(state, number);
    } else if (wait.state === 'kWaiting') {
      wait.state = 'kAbandoned';
      ringNow(state, wait);
      if (this.mutant === 'teardown frees a wait that a thread runs') {
        freePolled(state, number);
      }
    }
  }

  #leaveRecord(state: State, index: number, file: number): void {
    if (state.records[file] !== index) return;
    state.records[file] = ENDED;
    if (file === 0) state.told = 0;
  }
}
