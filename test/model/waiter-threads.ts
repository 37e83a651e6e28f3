import type { Mutant } from './mutants.js';
import {
  NOBODY,
  type Outcome,
  ofWait,
  type Scenario,
  type State,
  type Thread,
  type ThreadAt,
  type Wait,
} from './waiter-state.js';
import { canLock, closeFile, freeWait, handToWorker, lock, unlock, waiterOf, waitOf } from './waits.js';

const isExpired = (state: State, { waiter }: Wait) => waiterOf(state, waiter).expired;

export type Act = (state: State) => void;
export type Step = [string, Act];

/** Where a thread has nothing to decide, unless other threads are looked at as closely. */
const RUNS_ON = new Set<ThreadAt>([
  ...(['attaching', 'beforeKernel', 'interrupted', 'locked', 'replaced', 'polledBusy', 'toPollList'] as const),
  ...(['done', 'finishing', 'closing', 'answering', 'disarming'] as const),
]);

/** Runs each thread to its next decision. */
export function runOn(state: State, scenario: Scenario, mutant: Mutant): void {
  if (!scenario.threadsRunOn) return;
  for (const [number, thread] of state.threads.entries()) {
    while (state.fault === '' && (RUNS_ON.has(thread.at) || (thread.at === 'parked' && thread.next >= 0))) {
      threadSteps(state, number, scenario, mutant)[0]?.[1](state);
    }
  }
}

/** What one thread can do next: each is one step between two looks at what it shares with others. */
export function threadSteps(state: State, number: number, scenario: Scenario, mutant: Mutant): Step[] {
  const thread = state.threads[number] as Thread;
  const isPoller = number === state.threads.length - 1;
  const steps: Step[] = [];
  const step = (name: string, act: (s: State, t: Thread, wait: Wait) => void) =>
    steps.push([
      `thread ${number} ${name}`,
      (s) => {
        const own = s.threads[number] as Thread;
        const wait = s.waits[own.runs] ?? null;
        if (wait === null) s.fault ||= 'a thread uses a wait that was freed';
        else act(s, own, wait);
      },
    ]);
  const done = (t: Thread, wait: Wait, outcome: Outcome) => {
    wait.outcome = outcome;
    t.at = 'done';
  };
  const current = state.waits[thread.runs] ?? null;

  switch (thread.at) {
    case 'parked':
      if (thread.next >= 0) {
        steps.push([
          `thread ${number} starts`,
          (s) => {
            const own = s.threads[number] as Thread;
            const { job, opens } = s.waits[own.next] ?? { job: 'kLock', opens: false };
            Object.assign(own, { at: job === 'kLock' && !opens ? 'attaching' : 'doingJob', runs: own.next, next: -1 });
          },
        ]);
      }
      if (isPoller) steps.push(...pollerSteps(state, number));
      break;
    case 'doingJob':
      jobSteps(step, current, isPoller, scenario, done);
      break;
    case 'attaching':
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
      if (current !== null && canLock(scenario, state, current.file, ofWait(thread.runs))) {
        step('is granted', (s, t, wait) => {
          lock(s, wait.file, ofWait(t.runs));
          Object.assign(t, { at: 'locked', tried: false });
        });
      }
      break;
    case 'interrupted':
      step('looks why it was interrupted', (s, t, wait) => {
        if (wait.state !== 'kWaiting') done(t, wait, 'kCancelled');
        else if (isExpired(s, wait)) done(t, wait, 'kTimedOut');
        else t.at = 'beforeKernel';
      });
      break;
    case 'locked':
      step('compares the file with its path', (s, t, wait) => {
        const isSame = wait.file === s.path || mutant === 'no comparison with the path';
        if (isSame) return done(t, wait, 'kGranted');
        unlock(s, wait.file, ofWait(t.runs));
        if (!wait.opens) return done(t, wait, 'kReplaced');
        if (t.tried) closeFile(s, t.runs);
        t.at = t.tried ? 'doingJob' : 'replaced';
      });
      break;
    case 'replaced':
      step('detaches its alarm, and opens the file again', (s, t, wait) => {
        wait.alarm = -1;
        Object.assign(t, { at: 'doingJob', armed: 'no' });
        closeFile(s, t.runs);
      });
      break;
    case 'toPollList':
    case 'polledBusy':
      step('puts the wait into the poll list', (_, t, wait) => {
        wait.cannotBlock ||= t.at === 'toPollList';
        if (t.at === 'toPollList') wait.alarm = -1;
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
        const held = wait.outcome === 'kGranted' || wait.outcome === 'kUnrecorded';
        if (!held || (wait.job !== 'kLock' && wait.job !== 'kRecord')) closeFile(s, t.runs);
        else if (wait.job === 'kLock' && records(scenario, wait)) wait.record = s.records[wait.file] as number;
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
          if (s.environments[scenario.calls[wait.waiter]?.environment ?? -1]?.gone)
            s.fault ||= 'a report after the end';
          Object.assign(t, { at: 'disarming', runs: -1 });
        } else {
          t.at = 'closing';
        }
      });
      break;
    case 'closing':
      step('undoes its job and closes the file', (s, t, wait) => {
        if (
          wait.job === 'kRecord' &&
          wait.outcome === 'kGranted' &&
          mutant !== 'a cancelled record is not taken back'
        ) {
          s.records[wait.file] = wait.record;
        }
        if (mutant !== 'a late grant is kept') closeFile(s, t.runs);
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
        Object.assign(t, { at: 'disarming', runs: -1 });
      });
      break;
    case 'disarming':
      steps.push([
        `thread ${number} disarms its alarm`,
        (s) => Object.assign(s.threads[number] as Thread, { at: 'parked', armed: 'no' }),
      ]);
      break;
  }
  const rings =
    thread.armed === 'now' || (thread.armed === 'deadline' && current !== null && isExpired(state, current));
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

export function records({ network, calls }: Scenario, { waiter }: { waiter: number }): boolean {
  return network && calls[waiter]?.shared !== true;
}

function pollerSteps(state: State, number: number): Step[] {
  const steps: Step[] = [];
  for (const [wait, each] of state.waits.entries()) {
    if (!each?.inPollList) continue;
    steps.push([
      `the poller takes wait ${wait}`,
      (s) => {
        waitOf(s, wait).inPollList = false;
        Object.assign(s.threads[number] as Thread, { at: 'doingJob', runs: wait });
      },
    ]);
    if (!each.cannotBlock && state.threads.slice(0, -1).some(({ idle }) => idle)) {
      steps.push([
        `the poller hands wait ${wait} over`,
        (s) => {
          waitOf(s, wait).inPollList = false;
          handToWorker(s, wait);
        },
      ]);
    }
  }
  return steps;
}

/** What native/wait_jobs.cc does, and what `Run` and `PollRound` make of its answer. */
function jobSteps(
  step: (name: string, act: (s: State, t: Thread, wait: Wait) => void) => void,
  wait: Wait | null,
  isPoller: boolean,
  scenario: Scenario,
  done: (thread: Thread, wait: Wait, outcome: Outcome) => void,
): void {
  if (wait?.job === 'kRecord') {
    step('records the holder', (s, t, w) => {
      s.records[w.file] = w.waiter;
      done(t, w, 'kGranted');
    });
    step('cannot record the holder', (_, t, w) => done(t, w, 'kUnrecorded'));
  } else if (wait?.job !== 'kLock') {
    step('looks', (_, t, w) => done(t, w, 'kGranted'));
  } else if (wait.file === NOBODY) {
    step('opens the file', (s, _, w) => (w.file = s.path));
  } else {
    step('tries', (s, t, w) => {
      if (canLock(scenario, s, w.file, ofWait(t.runs))) {
        lock(s, w.file, ofWait(t.runs));
        Object.assign(t, { at: 'locked', tried: true });
      } else if (isExpired(s, w)) {
        done(t, w, 'kTimedOut');
      } else {
        t.at = isPoller ? 'polledBusy' : 'attaching';
      }
    });
  }
}
