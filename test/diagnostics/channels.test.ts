import diagnostics, { type TracingChannelSubscribers } from 'node:diagnostics_channel';
import { writeFileSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  type AbandonedMessage,
  type AcquireTrace,
  FileLock,
  type FileLockOptions,
  type ReleaseMessage,
} from '../../lib/index.js';
import { abandon, tempManager } from '../support/jobs.js';
import { forgeRecord } from '../support/records.js';
import { tempDir, tempLock } from '../support/temp-dir.js';

const EVENTS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const;
type Event = (typeof EVENTS)[number];

interface Seen {
  event: Event;
  trace: AcquireTrace & { error?: unknown; result?: unknown };
  /** The outcome at that moment. */
  outcome: AcquireTrace['outcome'];
}

const acquisitions = diagnostics.tracingChannel<object>('native-file-lock.acquire');

/** Collects what the tracing channel publishes from now on. */
function traces(): Seen[] {
  const seen: Seen[] = [];
  const subscribers = Object.fromEntries(
    EVENTS.map((event) => [
      event,
      (message: unknown) => {
        const trace = message as Seen['trace'];
        seen.push({ event, trace, outcome: trace.outcome });
      },
    ]),
  ) as unknown as TracingChannelSubscribers<object>;
  acquisitions.subscribe(subscribers);
  onTestFinished(() => void acquisitions.unsubscribe(subscribers));
  return seen;
}

/** Collects what a plain channel publishes from now on. */
function messages<T>(name: string): T[] {
  const seen: T[] = [];
  const listener = (message: unknown) => void seen.push(message as T);
  diagnostics.subscribe(name, listener);
  onTestFinished(() => void diagnostics.unsubscribe(name, listener));
  return seen;
}
const releases = () => messages<ReleaseMessage>('native-file-lock.release');
const abandonments = () => messages<AbandonedMessage>('native-file-lock.abandoned');

const eventsOf = (seen: readonly Seen[]) => seen.map(({ event }) => event);

type Outcome = NonNullable<AcquireTrace['outcome']>;

interface Ending {
  outcome: Outcome;
  /** An acquisition with that outcome. */
  run: (lock: FileLock) => unknown;
}

/** A lock that is already held. */
function busy(options?: FileLockOptions): FileLock {
  const lock = new FileLock(tempLock(), options);
  const guard = lock.acquireSync();
  onTestFinished(() => guard.release());
  return lock;
}

describe('an asynchronous acquisition is traced from its start to its end', () => {
  const reason = new Error('mine');
  const ENDINGS: (Ending & { lock: () => FileLock })[] = [
    { outcome: 'granted', lock: () => new FileLock(tempLock()), run: (lock) => lock.acquire() },
    { outcome: 'timedOut', lock: busy, run: (lock) => lock.acquire({ timeout: 0 }) },
    { outcome: 'timedOut', lock: busy, run: (lock) => lock.acquire({ timeout: 5 }) },
    {
      outcome: 'aborted',
      lock: busy,
      run: (lock) => {
        const controller = new AbortController();
        const wait = lock.acquire({ signal: controller.signal });
        controller.abort(reason);
        return wait;
      },
    },
    { outcome: 'failed', lock: () => new FileLock(tempDir()), run: (lock) => lock.acquire() },
  ];

  test.each(ENDINGS)('$outcome', async ({ outcome, lock: makeLock, run }) => {
    const lock = makeLock();
    const seen = traces();
    const result = await Promise.resolve(run(lock)).then(
      (guard) => ({ guard: guard as { release(): void }, error: undefined }),
      (error: unknown) => ({ guard: undefined, error }),
    );
    result.guard?.release();

    expect(eventsOf(seen)).toEqual(
      outcome === 'granted'
        ? ['start', 'end', 'asyncStart', 'asyncEnd']
        : ['start', 'end', 'error', 'asyncStart', 'asyncEnd'],
    );
    const [first, last] = [seen[0], seen.at(-1)];
    expect(first).toMatchObject({ trace: { path: lock.path, mode: 'exclusive', mechanism: 'flock' } });
    expect(first?.outcome).toBeUndefined();
    expect(last?.outcome).toBe(outcome);
    // One object for each acquisition, so that a tracer can attach its span to it.
    expect(new Set(seen.map(({ trace }) => trace)).size).toBe(1);
    expect(last?.trace.error).toBe(result.error);
    expect(last?.trace.result).toBe(result.guard);
  });
});

describe('a blocking acquisition is traced from its start to its end', () => {
  const ENDINGS: (Ending & { lock: () => FileLock })[] = [
    { outcome: 'granted', lock: () => new FileLock(tempLock()), run: (lock) => lock.acquireSync() },
    { outcome: 'timedOut', lock: busy, run: (lock) => lock.acquireSync({ timeout: 0 }) },
    { outcome: 'failed', lock: busy, run: (lock) => lock.acquireSync({ timeout: 5 }) }, // EDEADLK
    { outcome: 'failed', lock: () => new FileLock(tempDir()), run: (lock) => lock.acquireSync() },
  ];

  test.each(ENDINGS)('$outcome', ({ outcome, lock: makeLock, run }) => {
    const lock = makeLock();
    const seen = traces();
    let error: unknown;
    try {
      const guard = run(lock) as { release(): void };
      guard.release();
    } catch (caught) {
      error = caught;
    }
    expect(error === undefined).toBe(outcome === 'granted');
    expect(eventsOf(seen)).toEqual(outcome === 'granted' ? ['start', 'end'] : ['start', 'error', 'end']);
    expect(seen[0]?.outcome).toBeUndefined();
    expect(seen.at(-1)?.outcome).toBe(outcome);
    expect(seen.at(-1)?.trace).toMatchObject({ path: lock.path, mode: 'exclusive', mechanism: 'flock' });
    expect(seen.at(-1)?.trace.error).toBe(error);
  });
});

test('a trace has the effective mode, mechanism and timeout', async () => {
  const lock = new FileLock(tempLock(), { mechanism: 'fcntl', timeout: 1234 });
  const seen = traces();
  (await lock.acquire({ mode: 'shared' })).release();
  lock.acquireSync({ timeout: 7 }).release();
  expect(seen[0]?.trace).toMatchObject({ mode: 'shared', mechanism: 'fcntl', timeout: 1234 });
  expect(seen.at(-1)?.trace).toMatchObject({ mode: 'exclusive', mechanism: 'fcntl', timeout: 7 });
});

test('an acquisition that never starts is not traced: invalid options, an already aborted signal', async () => {
  const lock = new FileLock(tempLock());
  const seen = traces();
  await expect(lock.acquire({ timeout: -1 })).rejects.toBeInstanceOf(TypeError);
  await expect(lock.acquire({ signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
  expect(() => lock.acquireSync({ timeout: -1 })).toThrow(TypeError);
  expect(seen).toEqual([]);
});

test('acquisitions by a manager are traced with the path of the lock file', async () => {
  const manager = tempManager();
  const seen = traces();
  const released = releases();
  const guard = await manager.lockJobDirectory('job');
  const controller = new AbortController();
  const wait = manager.lockJobDirectory('job', { signal: controller.signal });
  controller.abort(new Error('mine'));
  await expect(wait).rejects.toBe(controller.signal.reason);
  guard.release();
  const outcomes = seen.filter(({ event }) => event === 'asyncEnd').map(({ outcome, trace }) => [outcome, trace.path]);
  expect(outcomes).toEqual([
    ['granted', guard.path],
    ['aborted', guard.path],
  ]);
  expect(released).toEqual([{ path: guard.path, mode: 'exclusive' }]);
});

test('each release is published once, with the mode in which the lock was held', async () => {
  const lock = new FileLock(tempLock());
  const seen = releases();
  const guards = [lock.acquireSync({ mode: 'shared' }), await lock.acquire({ mode: 'shared' })];
  expect(seen).toEqual([]);
  for (const guard of guards) guard.release();
  guards[0]?.release();
  lock.tryAcquire()?.[Symbol.dispose]();
  await lock.withLock(() => {});
  const message = (mode: string) => ({ path: lock.path, mode });
  expect(seen).toEqual([message('shared'), message('shared'), message('exclusive'), message('exclusive')]);
});

test('the lock is already free when its release is published', () => {
  const lock = new FileLock(tempLock());
  const outcomes: boolean[] = [];
  const listener = () => {
    diagnostics.unsubscribe('native-file-lock.release', listener);
    const guard = lock.tryAcquire();
    outcomes.push(guard !== null);
    guard?.release();
  };
  diagnostics.subscribe('native-file-lock.release', listener);
  lock.acquireSync().release();
  expect(outcomes).toEqual([true]);
});

test.each(['exclusive', 'shared'] as const)(
  'a subscriber may abort the next waiter while the lock is handed to it: %s',
  async (mode) => {
    const lock = new FileLock(tempLock());
    const abort = new AbortController();
    const onRelease = () => abort.abort();
    diagnostics.subscribe('native-file-lock.release', onRelease);
    onTestFinished(() => void diagnostics.unsubscribe('native-file-lock.release', onRelease));
    const guard = await lock.acquire();
    const [next, last] = [lock.acquire({ mode, signal: abort.signal }), lock.acquire()];
    guard.release();
    await next.then(
      (each) => each.release(),
      (error) => expect(error).toBe(abort.signal.reason),
    );
    (await last).release();
    const probe = lock.tryAcquire();
    expect(probe?.held).toBe(true);
    probe?.release();
  },
);

test('an abandoned lock is published when it is granted, with the previousHolder of the guard', async () => {
  const file = tempLock();
  const seen = abandonments();
  const lock = new FileLock(file, { recordHolder: true });
  lock.acquireSync().release();
  expect(seen).toEqual([]);
  const pid = await abandon(file);
  expect(seen).toEqual([]);
  using guard = lock.acquireSync();
  expect(seen).toEqual([{ path: file, previousHolder: guard.previousHolder }]);
  expect(seen[0]?.previousHolder.pid).toBe(pid);
});

test('a subscriber sees only what is published while it is subscribed', () => {
  const lock = new FileLock(tempLock());
  const cycle = () => lock.acquireSync().release();
  cycle();
  const listener = (message: unknown) => void seen.push(message);
  const seen: unknown[] = [];
  diagnostics.subscribe('native-file-lock.release', listener);
  cycle();
  diagnostics.unsubscribe('native-file-lock.release', listener);
  cycle();
  expect(seen).toHaveLength(1);
});

test('subscribers do not change any outcome', async () => {
  /** Everything that a user can observe. */
  async function behaviour(): Promise<unknown[]> {
    const file = tempLock();
    writeFileSync(file, forgeRecord({ start: '1' }));
    const lock = new FileLock(file, { recordHolder: true });
    const seen: unknown[] = [];
    const note = async (what: () => unknown) => {
      try {
        seen.push(await what());
      } catch (error) {
        const { name, code, message } = error as Error & { code?: string };
        seen.push([name, code, message.replaceAll(file, 'file')]);
      }
    };
    const guard = await lock.acquire();
    seen.push(guard.held, guard.mode, guard.previousHolder?.running, typeof guard.fencingToken);
    await note(() => lock.tryAcquire());
    await note(() => lock.acquireSync({ timeout: 0 }));
    await note(() => lock.acquireSync({ timeout: 5 }));
    await note(() => lock.acquire({ timeout: 0 }));
    await note(() => lock.acquire({ signal: AbortSignal.timeout(5) }));
    await note(() => new FileLock('/dev/null').acquire());
    await note(() => new FileLock('/dev/null').acquireSync());
    await note(() => lock.acquire({ timeout: -1 }));
    guard.release();
    seen.push(guard.held, lock.acquireSync().held);
    return seen;
  }
  const alone = await behaviour();
  const published = [traces(), releases(), abandonments()];
  expect(await behaviour()).toEqual(alone);
  expect(published.map((each) => each.length > 0)).toEqual([true, true, true]);
});
