import type { Mutant } from './mutants.js';
import { NOBODY, type Outcome, type Scenario, type State, type Thread, type Wait } from './waiter-state.js';

/** The wait that a thread runs. One that was freed under it is a fault. */
function waitOf(state: State, thread: Thread): Wait | null {
  const wait = state.waiters[thread.runs]?.wait ?? null;
  if (wait === null) state.fault ||= 'a thread uses a wait that was freed';
  return wait;
}

export function closeFile(state: State, index: number, wait: Wait): void {
  if (wait.file >= 0 && state.locks[wait.file] === index) state.locks[wait.file] = NOBODY;
  wait.file = -1;
}

export function freeWait(state: State, index: number): void {
  const waiter = state.waiters[index];
  if (!waiter?.wait) {
    state.fault ||= 'a wait is freed twice';
    return;
  }
  if (waiter.wait.file >= 0 && state.locks[waiter.wait.file] === index) {
    state.fault ||= 'a wait that is over keeps the lock';
  }
  waiter.wait = null;
}

/** An idle thread takes the wait; false: there is none. */
export function handToWorker(state: State, index: number): boolean {
  const worker = state.threads.slice(0, -1).find((each) => each.idle);
  if (worker === undefined) return false;
  worker.idle = false;
  worker.next = index;
  return true;
}

/** What one thread can do next: each is one step between two looks at what it shares with others. */
export function threadSteps(state: State, number: number, scenario: Scenario, mutant: Mutant): [string, Act][] {
  const thread = state.threads[number] as Thread;
  const isPoller = number === state.threads.length - 1;
  const steps: [string, Act][] = [];
  const step = (name: string, act: (s: State, t: Thread, wait: Wait) => void) =>
    steps.push([
      `thread ${number} ${name}`,
      (s) => {
        const own = s.threads[number] as Thread;
        const wait = waitOf(s, own);
        if (wait !== null) act(s, own, wait);
      },
    ]);
  const done = (t: Thread, wait: Wait, outcome: Outcome) => {
    wait.outcome = outcome;
    t.at = 'done';
  };
  const waiter = state.waiters[thread.runs];
  const tryLock = (s: State, t: Thread, wait: Wait) => {
    s.locks[wait.file] = t.runs;
    t.at = 'locked';
  };

  switch (thread.at) {
    case 'parked':
      if (thread.next >= 0) {
        steps.push([
          `thread ${number} starts`,
          (s) => {
            const own = s.threads[number] as Thread;
            Object.assign(own, { at: 'assigned', runs: own.next, next: -1 });
          },
        ]);
      }
      if (isPoller) {
        for (const [index, each] of state.waiters.entries()) {
          if (!each.wait?.inPollList) continue;
          const take = (s: State) => {
            const wait = s.waiters[index]?.wait as Wait;
            wait.inPollList = false;
          };
          steps.push([
            `the poller takes ${index}`,
            (s) => {
              take(s);
              Object.assign(s.threads[number] as Thread, { at: 'trying', runs: index });
            },
          ]);
          if (!each.wait.cannotBlock && state.threads.slice(0, -1).some((worker) => worker.idle)) {
            steps.push([
              `the poller hands ${index} over`,
              (s) => {
                take(s);
                handToWorker(s, index);
              },
            ]);
          }
        }
      }
      break;
    case 'assigned':
      step('attaches its alarm', (_, t, wait) => {
        t.armed = 'deadline';
        wait.alarm = number;
        if (wait.state === 'kWaiting' || mutant === 'attach without a look at the state') t.at = 'beforeKernel';
        else done(t, wait, 'kCancelled');
      });
      if (scenario.alarmsFail) step('has no alarm', (_, t) => (t.at = 'toPollList'));
      break;
    case 'beforeKernel':
      step('enters the kernel', (_, t) => (t.at = 'inKernel'));
      break;
    case 'inKernel':
      if (state.locks[waiter?.wait?.file ?? -1] === NOBODY) step('is granted', tryLock);
      break;
    case 'interrupted':
      step('looks why it was interrupted', (s, t, wait) => {
        if (wait.state !== 'kWaiting') done(t, wait, 'kCancelled');
        else if (s.waiters[t.runs]?.expired) done(t, wait, 'kTimedOut');
        else t.at = 'beforeKernel';
      });
      break;
    case 'trying':
      step('tries', (s, t, wait) => {
        if (s.locks[wait.file] === NOBODY) tryLock(s, t, wait);
        else if (s.waiters[t.runs]?.expired) done(t, wait, 'kTimedOut');
        else t.at = 'polledBusy';
      });
      break;
    case 'locked':
      step('compares the file with its path', (s, t, wait) => {
        const isSame = wait.file === s.path || mutant === 'no comparison with the path';
        if (!isSame) s.locks[wait.file] = NOBODY;
        done(t, wait, isSame ? 'kGranted' : 'kReplaced');
      });
      break;
    case 'toPollList':
    case 'polledBusy':
      step('puts the wait into the poll list', (_, t, wait) => {
        wait.cannotBlock ||= t.at === 'toPollList';
        if (wait.state === 'kWaiting' || mutant === 'return to the poll list without a look at the state') {
          wait.inPollList = true;
          Object.assign(t, { at: isPoller ? 'parked' : 'disarming', runs: -1, idle: true });
        } else {
          done(t, wait, 'kCancelled');
        }
      });
      break;
    case 'done':
      step('is idle before it reports', (s, t, wait) => {
        if (wait.outcome !== 'kGranted') closeFile(s, t.runs, wait);
        t.idle = true;
        t.at = 'finishing';
      });
      break;
    case 'finishing':
      step('ends the wait', (s, t, wait) => {
        const late = wait.state === 'kAbandoned' && mutant === 'a report to an environment that has ended';
        if (wait.state === 'kWaiting' || late) {
          wait.state = 'kEnded';
          wait.inEndedList = true;
          if (s.environments[scenario.environmentOf[t.runs] as number]?.gone) s.fault ||= 'a report after the end';
          t.at = 'disarming';
          t.runs = -1;
        } else {
          t.at = 'closing';
        }
      });
      break;
    case 'closing':
      step('closes the file', (s, t, wait) => {
        if (mutant !== 'a late grant is kept') closeFile(s, t.runs, wait);
        t.at = 'answering';
      });
      break;
    case 'answering':
      step('answers', (s, t, wait) => {
        if (wait.state === 'kCancelling') {
          wait.state = 'kEnded';
          if (mutant === 'the thread frees a cancelled wait') freeWait(s, t.runs);
        } else {
          freeWait(s, t.runs);
        }
        t.at = 'disarming';
        t.runs = -1;
      });
      break;
    case 'disarming':
      steps.push([
        `thread ${number} disarms its alarm`,
        (s) => Object.assign(s.threads[number] as Thread, { at: 'parked', armed: 'no' }),
      ]);
      break;
  }
  const rings = thread.armed === 'now' || (thread.armed === 'deadline' && waiter?.expired === true);
  if (rings && (thread.at === 'inKernel' || mutant === 'the alarm rings once')) {
    steps.push([
      `the alarm of thread ${number} rings`,
      (s) => {
        const own = s.threads[number] as Thread;
        if (mutant === 'the alarm rings once') own.armed = 'no';
        if (own.at === 'inKernel') own.at = 'interrupted';
      },
    ]);
  }
  return steps;
}

export type Act = (state: State) => void;
