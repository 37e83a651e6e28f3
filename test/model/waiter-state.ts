/** The states of `Wait` in native/lock_waiter.h. */
export const WAIT_STATES = ['kWaiting', 'kCancelling', 'kEnded', 'kAbandoned'] as const;
export type WaitState = (typeof WAIT_STATES)[number];

/** The outcomes with which a thread ends a wait for a lock: a part of `Outcome` in native/lock_file.h. */
export const LOCK_OUTCOMES = ['kBusy', 'kGranted', 'kReplaced', 'kTimedOut', 'kCancelled'] as const;
export type Outcome = (typeof LOCK_OUTCOMES)[number];

/** A wait as the addon has it. Whoever runs it, or has it in a list, owns it: exactly one at each time. */
export interface Wait {
  state: WaitState;
  outcome: Outcome;
  /** Which of the files that the path has named is open, or -1. */
  file: number;
  /** The thread whose alarm it knows, or -1. */
  alarm: number;
  inPollList: boolean;
  inEndedList: boolean;
  cannotBlock: boolean;
}

/** One `acquire` of an environment, as the JavaScript side has it. */
export interface Waiter {
  phase: 'new' | 'queued' | 'inKernel' | 'granted' | 'ended';
  /** How often its promise was settled, or it was torn down. */
  ends: number;
  expired: boolean;
  /** The file that its guard holds, or -1. */
  file: number;
  /** The file that it holds was replaced by its own holder. */
  gaveUpPath: boolean;
  wait: Wait | null;
}

export type ThreadAt =
  | 'parked'
  | 'assigned'
  | 'beforeKernel'
  | 'inKernel'
  | 'interrupted'
  | 'trying'
  | 'locked'
  | 'polledBusy'
  | 'toPollList'
  | 'done'
  | 'finishing'
  | 'closing'
  | 'answering'
  | 'disarming';

export interface Thread {
  at: ThreadAt;
  /** The waiter whose wait it runs, or -1. */
  runs: number;
  /** Assigned while it is still ending its last wait. */
  next: number;
  idle: boolean;
  armed: 'no' | 'deadline' | 'now';
}

export interface Environment {
  /** The waiter whose wait is being cancelled, or -1; JavaScript is blocked meanwhile. */
  cancels: number;
  reason: 'abort' | 'deadline';
  /** A pump follows in a microtask. */
  pumps: boolean;
  gone: boolean;
}

export interface State {
  /** The file that the path names. */
  path: number;
  /** Who holds the lock of each file: a waiter, `OTHER`, or `NOBODY`. */
  locks: number[];
  other: { file: number; takesLeft: number; removesLeft: number; gaveUpPath: boolean };
  waiters: Waiter[];
  environments: Environment[];
  /** The last one is the poller. */
  threads: Thread[];
  fault: string;
}

export const NOBODY = -1;
export const OTHER = -2;

/** What is searched. Everything here only bounds the search; it never takes a step away from the code. */
export interface Scenario {
  /** The environment of each waiter. */
  environmentOf: number[];
  /** Threads that block; the poller comes on top. */
  workers: number;
  /** How often the other process takes the lock; it has it at the start, too. */
  takes: number;
  /** How often a holder replaces the file. */
  removes: number;
  /** False: the other process keeps the lock that it has at the start for ever. */
  otherReleases: boolean;
  aborts: boolean;
  teardown: boolean;
  /** Threads find now and then that no alarm could end a wait. */
  alarmsFail: boolean;
}

export function initialState(scenario: Scenario): State {
  const thread = (): Thread => ({ at: 'parked', runs: -1, next: -1, idle: true, armed: 'no' });
  const files = Array.from({ length: scenario.removes + 1 }, () => NOBODY);
  files[0] = OTHER;
  return {
    path: 0,
    locks: files,
    other: { file: 0, takesLeft: scenario.takes, removesLeft: scenario.removes, gaveUpPath: false },
    waiters: scenario.environmentOf.map(() => ({
      phase: 'new',
      ends: 0,
      expired: false,
      file: -1,
      gaveUpPath: false,
      wait: null,
    })),
    environments: Array.from({ length: Math.max(...scenario.environmentOf) + 1 }, () => ({
      cancels: -1,
      reason: 'abort' as const,
      pumps: false,
      gone: false,
    })),
    threads: Array.from({ length: scenario.workers + 1 }, thread),
    fault: '',
  };
}

export function copy(state: State): State {
  return {
    ...state,
    locks: [...state.locks],
    other: { ...state.other },
    waiters: state.waiters.map((each) => ({ ...each, wait: each.wait && { ...each.wait } })),
    environments: state.environments.map((each) => ({ ...each })),
    threads: state.threads.map((each) => ({ ...each })),
  };
}
