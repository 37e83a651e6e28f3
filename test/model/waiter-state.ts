/** The states of `Wait` in native/lock_waiter.h. */
export const WAIT_STATES = ['kWaiting', 'kCancelling', 'kEnded', 'kAbandoned'] as const;
export type WaitState = (typeof WAIT_STATES)[number];

/** The jobs of `Wait` in native/lock_waiter.h. */
export const WAIT_JOBS = ['kLock', 'kRecord', 'kVerify', 'kInspect', 'kReadAll'] as const;
export type Job = (typeof WAIT_JOBS)[number];

/** The outcomes with which a thread ends a wait: a part of `Outcome` in native/lock_file.h. */
export const OUTCOMES = ['kBusy', 'kGranted', 'kReplaced', 'kTimedOut', 'kCancelled', 'kUnrecorded'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** A wait as the addon has it. Whoever runs it, or has it in a list, owns it: exactly one at each time. */
export interface Wait {
  /** Who waits. */
  waiter: number;
  state: WaitState;
  outcome: Outcome;
  job: Job;
  /** Its thread opens the file. */
  opens: boolean;
  /** Which of the files that the path has named is open, or -1. */
  file: number;
  /** The thread whose alarm it knows, or -1. */
  alarm: number;
  inPollList: boolean;
  inEndedList: boolean;
  cannotBlock: boolean;
  /** kLock: what the thread has read of the record after the grant. kRecord: what is written if it is cancelled. */
  record: number;
}

/** One call of an environment, as the JavaScript side has it. */
export interface Waiter {
  /** `calling`: a synchronous call, before it blocks. `blocking`: in the kernel. `lockedHere`: let in there. */
  phase: 'new' | 'queued' | 'inKernel' | 'calling' | 'blocking' | 'lockedHere' | 'granted' | 'ended';
  /** How often it was answered, or it was torn down. */
  ends: number;
  expired: boolean;
  /** The file that its guard holds, or -1. */
  file: number;
  /** The file that it has open without a lock, or -1. */
  open: number;
  /** The file that it holds was replaced by its own holder. */
  gaveUpPath: boolean;
  /** Its wait, or -1. */
  wait: number;
  /** A thread is recording, or has recorded, its grant. */
  drafted: boolean;
  /** Its grant tells that the holder before had abandoned the lock. */
  toldOfAbandoned: boolean;
}

export type ThreadAt =
  | 'parked'
  | 'assigned'
  | 'doingJob'
  | 'attaching'
  | 'beforeKernel'
  | 'inKernel'
  | 'interrupted'
  | 'locked'
  | 'replaced'
  | 'polledBusy'
  | 'toPollList'
  | 'done'
  | 'finishing'
  | 'closing'
  | 'answering'
  | 'disarming';

export interface Thread {
  at: ThreadAt;
  /** The wait that it runs, or -1. */
  runs: number;
  /** Assigned while it is still ending its last wait. */
  next: number;
  idle: boolean;
  armed: 'no' | 'deadline' | 'now';
  /** It got the lock by trying, and not by blocking. */
  tried: boolean;
}

export interface Environment {
  /** The waiter whose wait is being cancelled, or -1; JavaScript is blocked meanwhile. */
  cancels: number;
  reason: 'abort' | 'deadline' | 'suspend';
  /** The synchronous call that is being made, or -1; nothing else runs meanwhile. */
  call: number;
  /** Waits were suspended, and are resumed at the end of the call. */
  resumes: boolean;
  /** A pump follows in a microtask. */
  pumps: boolean;
  /** It leaves the lock free for a moment, and then pumps; nothing else runs meanwhile. */
  yields: boolean;
  gone: boolean;
}

export interface State {
  /** The file that the path names. */
  path: number;
  /** Who holds the lock of each file: waiters (their guards), waits (`ofWait`), or `OTHER`. */
  locks: number[][];
  /** What the record in each file says: who holds it, or `NOBODY`. */
  records: number[];
  /** How many guards have told that the first file was abandoned, since it was, and have put their own record there. */
  told: number;
  other: { file: number; takesLeft: number; removesLeft: number; gaveUpPath: boolean };
  waiters: Waiter[];
  waits: (Wait | null)[];
  environments: Environment[];
  /** The last one is the poller. */
  threads: Thread[];
  fault: string;
}

export const NOBODY = -1;
export const OTHER = -2;
/** In a record: a holder that was torn down. */
export const ENDED = -3;
const FIRST_WAIT = 100;
/** A wait as a holder of locks. */
export const ofWait = (wait: number) => FIRST_WAIT + wait;

/** One call: in which environment, and what is called. */
export interface Call {
  environment: number;
  shared?: boolean;
  /**
   * `attempt` is an `acquire` that does not wait, on a server: it passes the queue, but on a thread. `inspect` stands for
   * all that is asked of a thread and cannot be cancelled.
   */
  method: 'acquire' | 'acquireSync' | 'tryAcquire' | 'attempt' | 'inspect';
}

/** What is searched. Everything here only bounds the search; it never takes a step away from the code. */
export interface Scenario {
  /** In the order in which each environment makes them. */
  calls: Call[];
  /** Threads that block; the poller comes on top. */
  workers: number;
  /** How often the other process takes the lock; it has it at the start, too. */
  takes: number;
  /** The other process holds the lock in shared mode. */
  otherShares: boolean;
  /** How often a holder replaces the file. */
  removes: number;
  /** False: the other process keeps the lock that it has at the start for ever. */
  otherReleases: boolean;
  /** The file is on a server, and exclusive grants are recorded. The holder at the start does not record its release. */
  network: boolean;
  aborts: boolean;
  deadlines: boolean;
  teardown: boolean;
  /** Threads find now and then that no alarm could end a wait. */
  alarmsFail: boolean;
  /** Threads run at once to their next decision: what they share is searched in the scenarios without this. */
  threadsRunOn: boolean;
}

export function initialState({ calls, workers, takes, removes, network }: Scenario): State {
  return {
    path: 0,
    locks: Array.from({ length: removes + 1 }, (_, file) => (file === 0 ? [OTHER] : [])),
    records: Array.from({ length: removes + 1 }, (_, file) => (file === 0 && network ? OTHER : NOBODY)),
    told: 0,
    other: { file: 0, takesLeft: takes, removesLeft: removes, gaveUpPath: false },
    waiters: calls.map(() => ({
      phase: 'new',
      ends: 0,
      expired: false,
      file: -1,
      open: -1,
      gaveUpPath: false,
      wait: -1,
      drafted: false,
      toldOfAbandoned: false,
    })),
    waits: [],
    environments: Array.from({ length: Math.max(...calls.map(({ environment }) => environment)) + 1 }, () => ({
      cancels: -1,
      reason: 'abort',
      call: -1,
      resumes: false,
      pumps: false,
      yields: false,
      gone: false,
    })),
    threads: Array.from({ length: workers + 1 }, () => ({
      at: 'parked',
      runs: -1,
      next: -1,
      idle: true,
      armed: 'no',
      tried: false,
    })),
    fault: '',
  };
}

const valuesOf = (each: object | null) => (each === null ? '' : Object.values(each).join());

/** The same for two states if they are the same. */
export function keyOf({ path, locks, records, told, other, waiters, waits, environments, threads }: State): string {
  const lists = [waiters, waits, environments, threads].map((each) => each.map(valuesOf).join('|'));
  return [path, locks.join('|'), records, told, valuesOf(other), ...lists].join('/');
}

export function copy(state: State): State {
  return {
    ...state,
    locks: state.locks.map((each) => [...each]),
    records: [...state.records],
    other: { ...state.other },
    waiters: state.waiters.map((each) => ({ ...each })),
    waits: state.waits.map((each) => each && { ...each }),
    environments: state.environments.map((each) => ({ ...each })),
    threads: state.threads.map((each) => ({ ...each })),
  };
}
