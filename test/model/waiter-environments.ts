import type { Mutant } from './mutants.js';
import { NOBODY, OTHER, type Scenario, type State, type Wait, type Waiter } from './waiter-state.js';
import { type Act, closeFile, freeWait, handToWorker } from './waiter-threads.js';

/** The JavaScript threads, as lib/queue and `Waits` of native/lock_waiter.cc let them act, and another process. */
export class Environments {
  constructor(
    private readonly scenario: Scenario,
    private readonly mutant: Mutant,
  ) {}

  steps(state: State): [string, Act][] {
    const steps = this.#otherProcess(state);
    for (const [number, environment] of state.environments.entries()) {
      if (environment.gone) continue;
      if (environment.cancels >= 0) {
        steps.push(...this.#whileCancelling(state, number, environment.cancels));
        continue;
      }
      if (environment.pumps) {
        // Microtasks come before all else.
        steps.push([`environment ${number} pumps`, (s) => this.#pump(s, number)]);
        continue;
      }
      if (this.scenario.teardown) steps.push([`environment ${number} ends`, (s) => this.#tearDown(s, number)]);
      for (const index of this.#own(number)) steps.push(...this.#waiterSteps(state, number, index));
    }
    return steps;
  }

  #own(environment: number): number[] {
    return [...this.scenario.environmentOf.keys()].filter(
      (index) => this.scenario.environmentOf[index] === environment,
    );
  }

  #queue(state: State, environment: number): number[] {
    return this.#own(environment).filter((index) => ['queued', 'inKernel'].includes(waiterOf(state, index).phase));
  }

  #holdsLock(state: State, environment: number): boolean {
    return this.#own(environment).some((index) => waiterOf(state, index).phase === 'granted');
  }

  #otherProcess({ other, locks, path }: State): [string, Act][] {
    const steps: [string, Act][] = [];
    if (other.file >= 0 && this.scenario.otherReleases) {
      steps.push([
        'the other process releases',
        (s) => {
          s.locks[s.other.file] = NOBODY;
          Object.assign(s.other, { file: -1, gaveUpPath: false });
        },
      ]);
    }
    if (other.file < 0 && other.takesLeft > 0 && locks[path] === NOBODY) {
      steps.push([
        'the other process takes the lock',
        (s) => {
          s.locks[s.path] = OTHER;
          s.other.file = s.path;
          s.other.takesLeft--;
        },
      ]);
    }
    if (other.file === path && other.removesLeft > 0) {
      steps.push(['the other process replaces the file', (s) => replaceFile(s, s.other)]);
    }
    return steps;
  }

  #waiterSteps(state: State, environment: number, index: number): [string, Act][] {
    const { phase, expired, wait, file } = waiterOf(state, index);
    const steps: [string, Act][] = [];
    const isNext = this.#own(environment).find((each) => waiterOf(state, each).phase === 'new') === index;
    if (phase === 'new' && isNext) steps.push([`${index} acquires`, (s) => this.#acquire(s, environment, index)]);
    if (phase === 'queued' || phase === 'inKernel') {
      if (!expired) steps.push([`the deadline of ${index} comes`, (s) => (waiterOf(s, index).expired = true)]);
      else steps.push([`${index} notices its deadline`, (s) => this.#end(s, environment, index, 'deadline')]);
      if (this.scenario.aborts) {
        steps.push([`${index} is aborted`, (s) => this.#end(s, environment, index, 'abort')]);
      }
    }
    if (wait?.inEndedList)
      steps.push([`the end of ${index} is delivered`, (s) => this.#deliver(s, environment, index)]);
    if (phase === 'granted') {
      steps.push([`${index} releases`, (s) => this.#release(s, environment, index)]);
      const head = this.#queue(state, environment)[0];
      if (head !== undefined) {
        steps.push([`${index} hands on to ${head}`, (s) => this.#handOn(s, environment, index, head)]);
      }
      if (state.other.removesLeft > 0 && file === state.path) {
        steps.push([`${index} replaces the file`, (s) => replaceFile(s, waiterOf(s, index), s.other)]);
      }
    }
    return steps;
  }

  #acquire(state: State, environment: number, index: number): void {
    const waiter = waiterOf(state, index);
    const isFirst = this.#queue(state, environment).length === 0;
    waiter.phase = 'queued';
    if (isFirst && state.locks[state.path] === NOBODY) grant(state, index, state.path);
    else if (isFirst && !this.#holdsLock(state, environment)) this.#startWait(state, index);
  }

  #startWait(state: State, index: number): void {
    const waiter = waiterOf(state, index);
    waiter.phase = 'inKernel';
    const unused = { inPollList: false, inEndedList: false, cannotBlock: false, alarm: -1 };
    waiter.wait = { state: 'kWaiting', outcome: 'kBusy', file: state.path, ...unused };
    if (!handToWorker(state, index)) waiter.wait.inPollList = true;
  }

  #pump(state: State, environment: number): void {
    (state.environments[environment] as State['environments'][number]).pumps = false;
    for (;;) {
      const head = this.#queue(state, environment)[0];
      if (head === undefined || this.#holdsLock(state, environment)) return;
      const waiter = waiterOf(state, head);
      if (waiter.phase === 'inKernel') return;
      if (state.locks[state.path] === NOBODY) grant(state, head, state.path);
      else if (!waiter.expired) this.#startWait(state, head);
      else settle(waiter);
    }
  }

  /** A waiter leaves by its deadline or an abort. */
  #end(state: State, environment: number, index: number, reason: 'abort' | 'deadline'): void {
    const waiter = waiterOf(state, index);
    const { wait } = waiter;
    if (wait === null) {
      this.#leave(state, environment, waiter);
    } else if (wait.state === 'kEnded' && this.mutant !== 'cancel without a look for the end') {
      wait.inEndedList = false;
      const { file } = wait;
      const keeps =
        wait.outcome === 'kGranted' && (reason === 'deadline' || this.mutant === 'an aborted grant is kept');
      if (keeps) wait.file = -1;
      else closeFile(state, index, wait);
      freeWait(state, index);
      if (keeps && reason === 'deadline') {
        grant(state, index, file);
        this.#schedulePump(state, environment);
      } else {
        this.#leave(state, environment, waiter);
      }
    } else if (wait.inPollList) {
      this.#freePolled(state, index, wait);
      this.#leave(state, environment, waiter);
    } else {
      wait.state = 'kCancelling';
      ringNow(state, wait);
      Object.assign(state.environments[environment] as object, { cancels: index, reason });
    }
  }

  #whileCancelling(state: State, environment: number, index: number): [string, Act][] {
    const through = (s: State) => {
      (s.environments[environment] as State['environments'][number]).cancels = -1;
      this.#leave(s, environment, waiterOf(s, index));
    };
    if (waiterOf(state, index).wait?.state !== 'kCancelling') {
      return [
        [
          `the cancelling of ${index} is answered`,
          (s) => {
            freeWait(s, index);
            through(s);
          },
        ],
      ];
    }
    return [
      [
        `patience with ${index} is over`,
        (s) => {
          const wait = waiterOf(s, index).wait as Wait;
          wait.state = 'kAbandoned';
          if (this.mutant === 'a wait is freed when patience is over') {
            closeFile(s, index, wait);
            freeWait(s, index);
          }
          through(s);
        },
      ],
    ];
  }

  #freePolled(state: State, index: number, wait: Wait): void {
    wait.inPollList = false;
    closeFile(state, index, wait);
    freeWait(state, index);
  }

  #leave(state: State, environment: number, waiter: Waiter): void {
    settle(waiter);
    this.#schedulePump(state, environment);
  }

  #schedulePump(state: State, environment: number): void {
    if (this.mutant === 'no pump after a waiter has left') return;
    if (this.#queue(state, environment).length === 0) return;
    (state.environments[environment] as State['environments'][number]).pumps = true;
  }

  #deliver(state: State, environment: number, index: number): void {
    const waiter = waiterOf(state, index);
    const { outcome, file } = waiter.wait as Wait;
    (waiter.wait as Wait).file = -1;
    freeWait(state, index);
    if (outcome === 'kGranted') {
      grant(state, index, file);
      this.#pump(state, environment);
    } else if (outcome === 'kReplaced') {
      waiter.phase = 'queued';
      this.#pump(state, environment);
    } else {
      this.#leave(state, environment, waiter);
    }
  }

  #release(state: State, environment: number, index: number): void {
    const waiter = waiterOf(state, index);
    state.locks[waiter.file] = NOBODY;
    Object.assign(waiter, { phase: 'ended', file: -1, gaveUpPath: false });
    this.#pump(state, environment);
  }

  #handOn(state: State, environment: number, index: number, head: number): void {
    const { file } = waiterOf(state, index);
    if (file !== state.path && this.mutant !== 'handed on without confirmation') {
      this.#release(state, environment, index);
      return;
    }
    Object.assign(waiterOf(state, index), { phase: 'ended', file: -1, gaveUpPath: false });
    state.locks[file] = head;
    grant(state, head, file);
  }

  #tearDown(state: State, environment: number): void {
    (state.environments[environment] as State['environments'][number]).gone = true;
    for (const index of this.#own(environment)) {
      const waiter = waiterOf(state, index);
      const { wait, file } = waiter;
      if (wait?.inEndedList || wait?.inPollList) {
        wait.inEndedList = false;
        this.#freePolled(state, index, wait);
      } else if (wait !== null && wait.state === 'kWaiting') {
        wait.state = 'kAbandoned';
        ringNow(state, wait);
        if (this.mutant === 'teardown frees a wait that a thread runs') this.#freePolled(state, index, wait);
      }
      if (waiter.phase === 'granted') state.locks[file] = NOBODY;
      else if (waiter.phase !== 'ended') waiter.ends++;
      Object.assign(waiter, { phase: 'ended', file: -1, gaveUpPath: false });
    }
  }
}

const waiterOf = (state: State, index: number) => state.waiters[index] as Waiter;

function grant(state: State, index: number, file: number): void {
  const waiter = waiterOf(state, index);
  state.locks[file] = index;
  waiter.ends++;
  Object.assign(waiter, { phase: 'granted', file });
}

function settle(waiter: Waiter): void {
  waiter.ends++;
  waiter.phase = 'ended';
}

function replaceFile(state: State, holder: { gaveUpPath: boolean }, budget = state.other): void {
  state.path++;
  budget.removesLeft--;
  holder.gaveUpPath = true;
}

function ringNow(state: State, { alarm }: Wait): void {
  const thread = state.threads[alarm];
  if (thread !== undefined) thread.armed = 'now';
}
