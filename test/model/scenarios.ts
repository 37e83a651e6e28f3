import type { Call, Scenario } from './waiter-state.js';

const call = (method: Call['method'], shared = false, environment = 0): Call => ({ environment, method, shared });
const acquire = call('acquire');
const acquireShared = call('acquire', true);

const base: Scenario = {
  calls: [acquire],
  workers: 1,
  takes: 1,
  otherShares: false,
  removes: 1,
  otherReleases: true,
  network: false,
  aborts: true,
  deadlines: true,
  teardown: true,
  alarmsFail: true,
  threadsRunOn: false,
};

/** Where the threads are not the question: they run on, and are enough. */
const queue: Scenario = { ...base, takes: 0, removes: 0, teardown: false, alarmsFail: false, threadsRunOn: true };

export const SCENARIOS: Record<string, Scenario> = {
  'one wait, with everything that can come for it': base,
  'another process keeps the lock for ever': { ...base, takes: 0, removes: 0, otherReleases: false },
  'two waiters of one environment': {
    ...base,
    takes: 0,
    calls: [acquire, acquire],
    teardown: false,
    alarmsFail: false,
  },
  'two environments share a thread and the poller': {
    ...base,
    calls: [acquire, call('acquire', false, 1)],
    takes: 0,
    removes: 0,
    teardown: false,
    alarmsFail: false,
  },
  'shared and exclusive waiters of one queue': {
    ...queue,
    calls: [acquireShared, acquireShared, acquire, acquireShared],
  },
  'another process shares the lock': {
    ...queue,
    takes: 1,
    otherShares: true,
    calls: [acquireShared, acquire, acquireShared],
  },
  'a try passes the queue': {
    ...queue,
    takes: 1,
    removes: 1,
    calls: [acquire, call('tryAcquire', true), acquireShared],
  },
  'a synchronous call passes the queue': {
    ...queue,
    takes: 1,
    removes: 1,
    calls: [acquire, call('acquireSync'), acquire],
  },
  'shared synchronous calls': { ...queue, calls: [acquireShared, call('acquireSync', true), acquire, acquireShared] },
  'on a server': { ...queue, network: true, calls: [acquire, acquire, acquireShared] },
  'on a server, where the file is replaced': {
    ...queue,
    network: true,
    removes: 1,
    teardown: true,
    calls: [acquire, acquire],
  },
  'on a server, attempts pass the queue': {
    ...queue,
    network: true,
    deadlines: false,
    calls: [acquireShared, call('attempt'), acquire],
  },
  'on a server, questions included': {
    ...base,
    network: true,
    takes: 0,
    removes: 0,
    calls: [acquire, call('inspect')],
    alarmsFail: false,
    threadsRunOn: false,
  },
};

/** Searched in full, and played back to lib/ by every transition. */
export const PLAYED_BACK: Record<string, Scenario> = {
  'one wait': { ...base, teardown: false, takes: 0 },
  'shared and exclusive': { ...queue, aborts: false, calls: [acquireShared, acquire, acquireShared] },
  'exclusive waiters, and a replaced file': { ...queue, removes: 1, calls: [acquire, acquire] },
  'a try': { ...queue, takes: 1, removes: 1, calls: [acquire, call('tryAcquire', true)] },
  'a synchronous call': { ...queue, takes: 1, removes: 1, calls: [acquire, call('acquireSync')] },
  'on a server': { ...queue, network: true, calls: [acquire, acquire] },
  'on a server, where the file is replaced': { ...queue, network: true, removes: 1, takes: 1, calls: [acquire] },
  'on a server, with an attempt': { ...queue, network: true, calls: [acquireShared, call('attempt')] },
  'on a server, with a question': { ...queue, network: true, calls: [acquire, call('inspect')] },
};
