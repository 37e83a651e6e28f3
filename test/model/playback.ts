import type { Guard } from '../../lib/guard/lock-guard.js';
import type { Timed } from '../../lib/queue/deadlines.js';
import type { PathLock } from '../../lib/queue/path-lock.js';
import type { Waiter as LibraryWaiter } from '../../lib/queue/waiter.js';
import { FakeAddon } from './fake-addon.js';
import type { Library, Surroundings } from './library.js';
import { Signal } from './signal.js';
import { Steps } from './steps.js';
import type { TraceStep } from './traces.js';
import { type Call, initialState, type Scenario, type State, type Waiter } from './waiter-state.js';
import { records, runOn } from './waiter-threads.js';
import { replaceFile, waiterOf } from './waits.js';

const FOR_EVER = 1e9;
const STEP = 1000;

/** The trace ends while a call of the addon is still blocked. */
class TraceEnds extends Error {}

/** Plays a trace of the model back to lib/, and compares after each step what both have come to. */
export class Playback implements Surroundings {
  readonly state: State;
  readonly native: FakeAddon;
  time = 0;
  /** Who is making a call. */
  calling = -1;
  readonly #guards: (Guard | undefined)[] = [];
  readonly #signals: Signal[] = [];
  /** What has ended the playback inside of a call of the addon, whatever has become of it since. */
  #stop: Error | undefined;
  readonly #ends: number[] = [];
  readonly #expiries: number[];
  readonly #deadlines = new Map<number, Timed>();
  #microtasks: (() => void)[] = [];
  #budgetIsSpent = false;
  readonly #lock: PathLock;
  readonly #steps: Steps;
  #at = 0;

  constructor(
    private readonly library: Library,
    readonly scenario: Scenario,
    private readonly trace: readonly TraceStep[],
  ) {
    library.surroundings = this;
    this.state = initialState(scenario);
    this.native = new FakeAddon(this, { abandoned: library.abandonedRecord, isHeld: library.isHeld });
    this.#steps = new Steps(scenario, null);
    this.#expiries = scenario.calls.map((_, index) => {
      const ends = [`the deadline of ${index} comes`, `${index} calls attempt`];
      const at = trace.findIndex(({ name }) => ends.includes(name));
      return at < 0 ? FOR_EVER + index : STEP * (at + 1);
    });
    this.#lock = library.newPathLock('/lock');
    this.#lock.isOnNetwork = scenario.network;
  }

  /** Throws at the first step after which the two differ. */
  async play(): Promise<void> {
    try {
      while (this.#at < this.trace.length) {
        const { name } = this.#next();
        this.#act(name);
        if (this.#stop !== undefined) throw this.#stop;
        this.#budgetIsSpent = false;
        runOn(this.state, this.scenario, null);
        this.#settleLocks();
        const { after } = this.trace[this.#at - 1] as TraceStep;
        if (!after.environments[0]?.pumps) this.#runMicrotasks();
        for (let turn = 0; turn < 5; turn++) await null;
        this.#compare(this.#observed(after), after);
      }
      this.#runMicrotasks();
      const isOver = this.state.waiters.every((_, index) => this.#ends[index] === 1 && !this.#guards[index]?.held);
      if (isOver && this.native.files.size > 0) throw new Error('an open file is left');
      if (isOver && this.native.isAlive) throw new Error('the event loop is kept alive');
    } catch (thrown) {
      const error = this.#stop ?? (thrown as Error);
      if (error instanceof TraceEnds) return;
      const steps = this.trace.slice(0, this.#at).map(({ name }) => name);
      throw new Error(`${error.message}\nafter:\n  ${steps.join('\n  ')}`, { cause: error });
    }
  }

  #next(): TraceStep {
    const step = this.trace[this.#at];
    if (step === undefined) throw new TraceEnds();
    this.#at++;
    this.time = STEP * this.#at;
    return step;
  }

  /** Lets all that the trace has next happen, until a step of that name. */
  during(until: RegExp): string {
    try {
      return this.#playUntil(until);
    } catch (error) {
      this.#stop ??= error as Error;
      throw error;
    }
  }

  #playUntil(until: RegExp): string {
    for (;;) {
      runOn(this.state, this.scenario, null);
      this.#settleLocks();
      const before = this.trace[this.#at - 1] as TraceStep;
      this.#compare(this.#outsideOf(this.state), this.#outsideOf(before.after));
      const { name } = this.#next();
      if (until.test(name)) return name;
      this.#actOutside(name);
    }
  }

  // --- Steps --------------------------------------------------------------------------------------

  #act(name: string): void {
    const [, number, what = ''] = /^(?:the end of )?(\d+) (.*)$/.exec(name) ?? [];
    const index = Number(number);
    const guard = this.#guards[index];
    this.calling = index;
    if (what.startsWith('calls ')) this.#call(index);
    else if (what === 'is aborted') this.#signals[index]?.abort();
    else if (what === 'notices its deadline') this.#noticeDeadline(index);
    else if (what === 'is delivered') this.native.deliverEnd(index);
    else if (what.startsWith('releases') || what === 'hands on') {
      this.#budgetIsSpent = what.endsWith('its budget is spent');
      this.native.unlocks = 0;
      guard?.release();
      if (this.native.unlocks > 0 === (what === 'hands on')) throw new Error(`this was not: ${name}`);
    } else if (what === 'replaces the file') replaceFile(this.state, waiterOf(this.state, index));
    else if (name === 'environment 0 pumps') this.#runMicrotasks();
    else this.#actOutside(name);
  }

  #actOutside(name: string): void {
    const deadline = /^the deadline of (\d+) comes$/.exec(name)?.[1];
    if (deadline !== undefined) {
      waiterOf(this.state, Number(deadline)).expired = true;
      return;
    }
    const act = this.#steps.outside(this.state).find(([each]) => each === name)?.[1];
    if (act === undefined) throw new Error(`this cannot happen now: ${name}`);
    act(this.state);
  }

  #call(index: number): void {
    const { method, shared = false } = this.scenario.calls[index] as Call;
    const exclusive = !shared;
    const settings = { fileMode: index, createParents: false, keepOpen: false, recordHolder: this.scenario.network };
    const source = this.#lock.newSource(settings, (_, file, mode) => {
      const guard = this.library.newGuard(this.#lock, file, mode);
      this.#guards[index] = guard;
      return guard;
    });
    const end = () => {
      this.#ends[index] = (this.#ends[index] ?? 0) + 1;
    };
    const timeout = (this.#expiries[index] as number) - this.time;
    if (method === 'inspect') {
      void this.library
        .kernelWaits(this.native)
        .ask((native, handle) => native.startInspect(handle, '/lock'))
        .then(end);
    } else if (method === 'acquire' || method === 'attempt') {
      const signal = new Signal();
      this.#signals[index] = signal;
      const signals = [signal as unknown as AbortSignal];
      const request = { exclusive, timeout, since: this.time, signals, onWait: undefined };
      this.#lock.acquire(source, request, () => {}).then(end, end);
    } else {
      try {
        if (method === 'tryAcquire') this.#lock.tryAcquire(source, exclusive);
        else this.#lock.acquireSync(source, exclusive, timeout, this.time);
      } catch (error) {
        if (!['ERR_LOCK_TIMEOUT', 'EDEADLK'].includes((error as { code: string }).code)) throw error;
      }
      end();
    }
  }

  #noticeDeadline(index: number): void {
    const item = this.#deadlines.get(index);
    if (item === undefined) throw new Error('there is no deadline');
    this.#deadlines.delete(index);
    if (item.onDue(this.time) !== Number.POSITIVE_INFINITY) throw new Error('the deadline comes again');
  }

  // --- What is seen of lib/ -----------------------------------------------------------------------

  /** Each lock that a call has taken is that of the guard with that file. */
  #settleLocks(): void {
    for (const [handle, open] of this.native.files) {
      if (open.holder === null) continue;
      const guard = this.#guards.findIndex((each) => each?.held && each.handle === handle);
      this.native.pass(handle, guard < 0 ? this.calling : guard);
    }
  }

  /** The model's state, with all that lib/ shows of it in its place. */
  #observed(expected: State): State {
    const observed = { ...expected, ...this.#outsideOf(this.state) };
    const opened = [...this.native.files.values()].filter(({ wait, holder }) => wait < 0 && holder === null);
    const opens = opened.map(({ file }) => file);
    return {
      ...observed,
      waiters: this.state.waiters.map((each, index) => {
        const model = expected.waiters[index] as Waiter;
        const seen = { ...model, ...this.#seen(index), expired: each.expired };
        // Whose a file is that nobody has locked is not to be seen; that it is open is.
        const isOpen = opens.indexOf(model.open);
        if (model.open >= 0) seen.open = isOpen < 0 ? -1 : (opens.splice(isOpen, 1)[0] as number);
        else if (index === this.state.waiters.length - 1 && opens.length > 0) seen.open = opens[0] as number;
        return seen;
      }),
    };
  }

  #seen(index: number): Partial<Waiter> {
    const guard = this.#guards[index];
    const { wait } = waiterOf(this.state, index);
    const ends = this.#ends[index] ?? 0;
    if (guard?.held) {
      const file = this.native.files.get(guard.handle)?.file ?? -1;
      return { phase: 'granted', ends, file, wait, toldOfAbandoned: guard.previousHolder !== null };
    }
    const isNew = this.#ends[index] === undefined && guard === undefined && wait < 0;
    const phase = ends > 0 ? 'ended' : wait >= 0 ? 'inKernel' : isNew ? 'new' : 'queued';
    return { phase, ends, file: -1, wait };
  }

  #outsideOf({ path, locks, records: recorded, other, waits, threads, fault }: State) {
    return { path, locks, records: recorded, other, waits, threads, fault };
  }

  #compare(actual: object, expected: object): void {
    const [a, b] = [actual as Record<string, unknown>, expected as Record<string, unknown>];
    for (const key of Object.keys(b)) {
      const [seen, wanted] = [JSON.stringify(a[key]), JSON.stringify(b[key])];
      if (seen !== wanted) throw new Error(`${key} of lib: ${seen}\nof the model: ${wanted}`);
    }
  }

  // --- What lib/ asks for -------------------------------------------------------------------------

  isExclusive(index: number): boolean {
    return this.scenario.calls[index]?.shared !== true;
  }

  /** Whether its thread reads the record after the grant. */
  reads(index: number): boolean {
    return records(this.scenario, { waiter: index });
  }

  /** Told by the time that is left. */
  waiterWith(exclusive: boolean, milliseconds: number): number {
    const index = this.#expiries.indexOf(milliseconds + this.time);
    if (index < 0 || this.isExclusive(index) !== exclusive) throw new Error('a wait of nobody, or in a wrong mode');
    return index;
  }

  addDeadline(item: Timed): void {
    this.#deadlines.set(this.#expiries.indexOf((item as LibraryWaiter).expiry), item);
  }

  removeDeadline(item: Timed): void {
    this.#deadlines.delete(this.#expiries.indexOf((item as LibraryWaiter).expiry));
  }

  addMicrotask(callback: () => void): void {
    this.#microtasks.push(callback);
  }

  #runMicrotasks(): void {
    while (this.#microtasks.length > 0) {
      const callbacks = this.#microtasks;
      this.#microtasks = [];
      for (const callback of callbacks) callback();
    }
  }

  isBudgetSpent(): boolean {
    return this.#budgetIsSpent;
  }

  yieldLock(): void {
    this.during(/ has left the lock free$/);
  }
}
