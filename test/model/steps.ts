import type { Mutant } from './mutants.js';
import { SynchronousCalls } from './synchronous-calls.js';
import { NOBODY, OTHER, type Scenario, type State } from './waiter-state.js';
import { type Act, type Step, threadSteps } from './waiter-threads.js';
import { canLock, freePolled, freeWait, lock, replaceFile, unlock, waiterOf, waitOf } from './waits.js';

/** Everything that can happen next: in the environments, in another process, and in the threads. */
export class Steps {
  readonly #environments: SynchronousCalls[];

  constructor(
    private readonly scenario: Scenario,
    private readonly mutant: Mutant,
  ) {
    const numbers = new Set(scenario.calls.map(({ environment }) => environment));
    this.#environments = [...numbers].map((number) => new SynchronousCalls(scenario, mutant, number));
  }

  of(state: State): Step[] {
    return [...this.#environments.flatMap((queue) => this.#environmentSteps(state, queue)), ...this.outside(state)];
  }

  /** What happens outside of JavaScript. */
  outside(state: State): Step[] {
    const threads = state.threads.flatMap((_, index) => threadSteps(state, index, this.scenario, this.mutant));
    return [...this.#otherProcess(state), ...threads];
  }

  #otherProcess(state: State): Step[] {
    const { other, path } = state;
    const steps: Step[] = [];
    if (other.file >= 0 && this.scenario.otherReleases) {
      steps.push([
        'the other process releases',
        (s) => {
          unlock(s, s.other.file, OTHER);
          Object.assign(s.other, { file: -1, gaveUpPath: false });
        },
      ]);
    }
    if (other.file < 0 && other.takesLeft > 0 && canLock(this.scenario, state, path, OTHER)) {
      steps.push([
        'the other process takes the lock',
        (s) => {
          lock(s, s.path, OTHER);
          s.other.file = s.path;
          s.other.takesLeft--;
        },
      ]);
    }
    if (other.file === path && other.removesLeft > 0 && !this.scenario.otherShares) {
      steps.push(['the other process replaces the file', (s) => replaceFile(s, s.other)]);
    }
    return steps;
  }

  #environmentSteps(state: State, queue: SynchronousCalls): Step[] {
    const { number } = queue;
    const environment = queue.environment(state);
    if (environment.gone) return [];
    const deadlines = queue.own.flatMap((index) => this.#deadlineStep(state, index));
    if (environment.cancels >= 0) return [...deadlines, this.#whileCancelling(state, queue, environment.cancels)];
    if (environment.yields)
      return [...deadlines, [`environment ${number} has left the lock free`, (s) => this.#afterYield(s, queue)]];
    const mayEnd = this.scenario.teardown && state.waiters[environment.call]?.phase !== 'lockedHere';
    const tearDown: Step[] = mayEnd ? [[`environment ${number} ends`, (s) => queue.tearDown(s)]] : [];
    if (environment.call >= 0)
      return [...deadlines, ...tearDown, ...this.#whileBlocking(state, queue, environment.call)];
    const steps = [...deadlines, ...queue.own.flatMap((index) => this.#callSteps(state, queue, index))];
    if (environment.pumps) {
      steps.push([
        `environment ${number} pumps`,
        (s) => {
          queue.environment(s).pumps = false;
          queue.pump(s);
        },
      ]);
      return steps; // microtasks come before the next turn of the event loop
    }
    return [...steps, ...tearDown, ...queue.own.flatMap((index) => this.#eventSteps(state, queue, index))];
  }

  #deadlineStep(state: State, index: number): Step[] {
    const { phase, expired } = waiterOf(state, index);
    const counts =
      ['queued', 'inKernel', 'blocking'].includes(phase) && this.scenario.calls[index]?.method !== 'inspect';
    if (!this.scenario.deadlines || expired || !counts) return [];
    return [[`the deadline of ${index} comes`, (s) => (waiterOf(s, index).expired = true)]];
  }

  /** What the program calls. */
  #callSteps(state: State, queue: SynchronousCalls, index: number): Step[] {
    const { phase, file } = waiterOf(state, index);
    const { method } = this.scenario.calls[index] ?? {};
    const steps: Step[] = [];
    const isNext = queue.own.find((each) => waiterOf(state, each).phase === 'new') === index;
    if (phase === 'new' && isNext && method !== undefined) {
      steps.push([`${index} calls ${method}`, (s) => queue[method](s, index)]);
    }
    if ((phase === 'queued' || phase === 'inKernel') && method !== 'inspect' && this.scenario.aborts) {
      steps.push([`${index} is aborted`, (s) => queue.end(s, index, 'abort')]);
    }
    if (phase === 'granted') {
      const next = queue.queued(state)[0];
      const handsOn = next !== undefined && file === state.path && queue.mayHandOn(state, index, next);
      steps.push([`${index} ${handsOn ? 'hands on' : 'releases'}`, (s) => queue.release(s, index, false)]);
      if (handsOn && !this.scenario.network) {
        steps.push([`${index} releases, and its budget is spent`, (s) => queue.release(s, index, true)]);
      }
      if (state.other.removesLeft > 0 && file === state.path && !queue.isShared(index)) {
        steps.push([`${index} replaces the file`, (s) => replaceFile(s, waiterOf(s, index))]);
      }
    }
    return steps;
  }

  /** What the event loop brings. */
  #eventSteps(state: State, queue: SynchronousCalls, index: number): Step[] {
    const { phase, expired, wait } = waiterOf(state, index);
    const steps: Step[] = [];
    const isQueued = (phase === 'queued' || phase === 'inKernel') && this.scenario.calls[index]?.method === 'acquire';
    if (isQueued && expired) steps.push([`${index} notices its deadline`, (s) => queue.end(s, index, 'deadline')]);
    if (wait >= 0 && waitOf(state, wait).inEndedList) {
      steps.push([`the end of ${index} is delivered`, (s) => queue.deliver(s, index)]);
    }
    return steps;
  }

  #whileCancelling(state: State, queue: SynchronousCalls, index: number): Step {
    const through = (s: State) => {
      const environment = queue.environment(s);
      environment.cancels = -1;
      queue.afterCancel(s, index, environment.reason, NOBODY);
      if (environment.call >= 0) queue.afterSuspend(s);
    };
    const answered: Act = (s) => {
      freeWait(s, waiterOf(s, index).wait);
      through(s);
    };
    if (waitOf(state, waiterOf(state, index).wait)?.state !== 'kCancelling') {
      return [`the cancelling of ${index} is answered`, answered];
    }
    return [
      `patience with ${index} is over`,
      (s) => {
        const { wait } = waiterOf(s, index);
        waitOf(s, wait).state = 'kAbandoned';
        waiterOf(s, index).wait = -1;
        if (this.mutant === 'a wait is freed when patience is over') freePolled(s, wait);
        through(s);
      },
    ];
  }

  #whileBlocking(state: State, queue: SynchronousCalls, index: number): Step[] {
    const { phase, expired } = waiterOf(state, index);
    if (phase === 'lockedHere') return [[`${index} compares the file with its path`, (s) => queue.compare(s, index)]];
    const steps: Step[] = [];
    if (queue.canBeLetIn(state, index)) steps.push([`${index} is let in`, (s) => queue.letIn(s, index)]);
    if (expired) steps.push([`${index} gives up`, (s) => queue.giveUp(s, index)]);
    return steps;
  }

  #afterYield(state: State, queue: SynchronousCalls): void {
    queue.environment(state).yields = false;
    queue.pump(state);
  }
}
