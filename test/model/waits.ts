import { type Job, NOBODY, OTHER, ofWait, type Scenario, type State, type Wait, type Waiter } from './waiter-state.js';

/** What is done to locks and to waits by one call of the addon, or by a thread in one step. */

export const waiterOf = (state: State, index: number) => state.waiters[index] as Waiter;
export const waitOf = (state: State, number: number) => state.waits[number] as Wait;
export const holdersOf = (state: State, file: number) => state.locks[file] as number[];

export function isShared(scenario: Scenario, state: State, holder: number): boolean {
  if (holder === OTHER) return scenario.otherShares;
  const waiter = holder >= ofWait(0) ? waitOf(state, holder - ofWait(0)).waiter : holder;
  return scenario.calls[waiter]?.shared === true;
}

/** Whether the kernel would grant that lock now. */
export function canLock(scenario: Scenario, state: State, file: number, holder: number): boolean {
  const holders = holdersOf(state, file).filter((each) => each !== holder);
  if (holders.length === 0) return true;
  return isShared(scenario, state, holder) && holders.every((each) => isShared(scenario, state, each));
}

export function lock(state: State, file: number, holder: number): void {
  if (holdersOf(state, file).includes(holder)) return;
  holdersOf(state, file).push(holder);
  holdersOf(state, file).sort((a, b) => a - b);
}

export function unlock(state: State, file: number, holder: number): void {
  state.locks[file] = (state.locks[file] ?? []).filter((each) => each !== holder);
}

/** Unlocks what is locked by the open file of a wait. */
export function closeFile(state: State, number: number): void {
  const wait = waitOf(state, number);
  unlock(state, wait.file, ofWait(number));
  wait.file = -1;
}

export function freeWait(state: State, number: number): void {
  const wait = state.waits[number] ?? null;
  if (wait === null) {
    state.fault ||= 'a wait is freed twice';
    return;
  }
  if (state.locks.some((holders) => holders.includes(ofWait(number)))) {
    state.fault ||= 'a wait that is over keeps the lock';
  }
  const waiter = waiterOf(state, wait.waiter);
  if (waiter.wait === number) waiter.wait = -1;
  state.waits[number] = null;
  while (state.waits.length > 0 && state.waits.at(-1) === null) state.waits.pop();
}

/** Starts a wait of an open file, or of one that its thread opens (-1). */
export function startWait(state: State, index: number, file: number, job: Job, opens: boolean, record = NOBODY): void {
  const free = state.waits.indexOf(null);
  const number = free < 0 ? state.waits.length : free;
  const lists = { inPollList: false, inEndedList: false, cannotBlock: false };
  state.waits[number] = {
    ...{ waiter: index, state: 'kWaiting', outcome: 'kBusy', job, opens, file, alarm: -1, record },
    ...lists,
  };
  waiterOf(state, index).wait = number;
  if (!handToWorker(state, number)) waitOf(state, number).inPollList = true;
}

/** An idle thread takes the wait; false: there is none. */
export function handToWorker(state: State, number: number): boolean {
  const worker = state.threads.slice(0, -1).find((each) => each.idle);
  if (worker === undefined) return false;
  worker.idle = false;
  worker.next = number;
  return true;
}

/** The first half of `Waits::Cancel`. `ended`: the wait, with its outcome, is the caller's. `asked`: its thread answers. */
export function beginCancel(state: State, number: number, looksForEnd = true): 'ended' | 'freed' | 'asked' {
  const wait = waitOf(state, number);
  if (wait.state === 'kEnded' && looksForEnd) {
    wait.inEndedList = false;
    return 'ended';
  }
  if (wait.inPollList) {
    freePolled(state, number);
    return 'freed';
  }
  wait.state = 'kCancelling';
  ringNow(state, wait);
  return 'asked';
}

/** The file of a wait that has ended passes to its waiter, with the lock. */
export function takeFile(state: State, number: number): number {
  const { file, waiter } = waitOf(state, number);
  if (file >= 0) {
    unlock(state, file, ofWait(number));
    lock(state, file, waiter);
  }
  return file;
}

export function freePolled(state: State, number: number): void {
  waitOf(state, number).inPollList = false;
  closeFile(state, number);
  freeWait(state, number);
}

export function ringNow(state: State, { alarm }: Wait): void {
  const thread = state.threads[alarm];
  if (thread !== undefined) thread.armed = 'now';
}

/** The path names another file from now on. */
export function replaceFile(state: State, holder: { gaveUpPath: boolean }): void {
  state.path++;
  state.other.removesLeft--;
  holder.gaveUpPath = true;
}
