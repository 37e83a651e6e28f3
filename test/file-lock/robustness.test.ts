import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FileLock, type LockGuard } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { expectBlocked } from '../support/blocked.js';
import { isInstalled } from '../support/command-contender.js';
import { RecordingActor } from '../support/jobs.js';
import { untilWaiting } from '../support/kernel-waiters.js';
import { forgeRecord } from '../support/records.js';
import { Script } from '../support/script.js';
import { tempDir, tempLock } from '../support/temp-dir.js';

const recorded = (file: string) => new FileLock(file, { recordHolder: true });

const ACQUIRE_METHODS: Record<string, (lock: FileLock) => Promise<LockGuard | null>> = {
  acquire: (lock) => lock.acquire(),
  acquireSync: async (lock) => lock.acquireSync(),
  tryAcquire: async (lock) => lock.tryAcquire(),
};

/** Holds the lock in this process, without a record, until the end of the test. */
function hold(file: string): LockGuard {
  const guard = new FileLock(file).acquireSync();
  onTestFinished(() => guard.release());
  return guard;
}

describe('two copies of the package over one addon', () => {
  test('are both granted their locks, and let the process exit', async () => {
    const [one, other] = [tempLock(), tempLock()];
    const guards = [hold(one), hold(other)];
    const script = await Script.start('robustness.cjs', { scenario: 'two copies wait', path: one, other });
    await Promise.all([untilWaiting(one), untilWaiting(other)]);
    for (const [index, guard] of guards.entries()) {
      guard.release();
      await script.printed(`copy ${index} was granted`);
    }
    expect(await script.ended(), script.output).toMatchObject({ code: 0, signal: null });
  });

  test('keep the process alive as long as either has a pending wait', async () => {
    const [busy, other] = [tempLock(), tempLock()];
    const guard = hold(busy);
    const script = await Script.start('robustness.cjs', { scenario: 'one copy of two waits', path: busy, other });
    await Promise.all([script.printed('copy 0 was granted'), untilWaiting(busy)]);
    await expectBlocked(script.ended());
    guard.release();
    expect(await script.ended(), script.output).toMatchObject({ code: 0, signal: null });
    expect(script.output).toContain('copy 1 was granted');
  });

  /** An actor that has loaded the package twice. */
  async function copiesActor(): Promise<Actor> {
    const actor = await Actor.process();
    const areTwo = await actor.run((require) => {
      const { dirname, sep } = require('node:path') as typeof import('node:path');
      const first = require('../..') as typeof import('../../lib/index.js');
      const dist = dirname(require.resolve('../..')) + sep;
      for (const key of Object.keys(require.cache)) if (key.startsWith(dist)) delete require.cache[key];
      const second = require('../..') as typeof import('../../lib/index.js');
      Object.assign(globalThis, { first, second });
      return first.FileLock !== second.FileLock;
    });
    expect(areTwo).toBe(true);
    return actor;
  }
  type Copies = Record<'first' | 'second', typeof import('../../lib/index.js')>;

  test.each([
    ['first', 'second'],
    ['second', 'first'],
  ] as const)('are both granted when the %s waits in acquire() and the %s in acquireSync()', async (one, other) => {
    const file = tempLock();
    const holder = await RecordingActor.holding(file);
    const actor = await copiesActor();
    const argument = { file, one, other, holder: holder.pid };
    await actor.run((_, { file, one }) => {
      const { FileLock } = (globalThis as unknown as Copies)[one];
      Object.assign(globalThis, { wait: new FileLock(file).acquire() });
    }, argument);
    await untilWaiting(file);
    const held = await actor.run(async (_, { file, other, holder }) => {
      process.kill(holder, 'SIGKILL');
      // The kernel grants the first wait, whose grant could not be delivered before this call returns.
      const possession = new (globalThis as unknown as Copies)[other].FileLock(file).acquireSync();
      const held = [possession.held];
      possession.release();
      const next = await (globalThis as unknown as { wait: Promise<LockGuard> }).wait;
      held.push(next.held);
      next.release();
      return held;
    }, argument);
    expect(held).toEqual([true, true]);
  });

  test('detect a deadlock between each other in acquireSync()', async () => {
    const actor = await copiesActor();
    const code = await actor.run((_, file) => {
      const { first, second } = globalThis as unknown as Copies;
      const guard = new first.FileLock(file).acquireSync();
      try {
        new second.FileLock(file).acquireSync();
        return 'it was granted';
      } catch (error) {
        return (error as { code: string }).code;
      } finally {
        guard.release();
      }
    }, tempLock());
    expect(code).toBe('EDEADLK');
  });
});

describe.skipIf(!isInstalled('flock'))('when a process exits', () => {
  function reportOf(script: Script): unknown {
    return JSON.parse(/^report (.*)$/m.exec(script.output)?.[1] ?? 'null');
  }

  test.each([false, true])(
    'a guard with untilExit() is held to the end and then marked as released; with waiters: %s',
    async (waits) => {
      const file = tempLock();
      const script = await Script.start('robustness.cjs', { scenario: 'held until exit', path: file, waits });
      script.proceed();
      expect(await script.ended(), script.output).toMatchObject({ code: 0 });
      expect(reportOf(script), script.output).toEqual({ held: true, freeForOthers: false });
      expect(script.output).not.toContain('a waiter was granted');
      using next = recorded(file).tryAcquire();
      expect(next).toMatchObject({ held: true, previousHolder: null });
    },
  );

  test.each([0, 1])(
    'a release in an exit listener grants no waiter of that process, and abandons nothing; exit code %i',
    async (code) => {
      const file = tempLock();
      const script = await Script.start('robustness.cjs', { scenario: 'released at exit', path: file, code });
      script.proceed();
      expect(await script.ended(), script.output).toMatchObject({ code });
      expect(reportOf(script), script.output).toEqual({ held: false, freeForOthers: true });
      expect(script.output).not.toContain('a waiter was granted');
      using next = recorded(file).tryAcquire();
      expect(next).toMatchObject({ held: true, previousHolder: null });
    },
  );
});

test('a subscriber of the abandoned channel may abort the other waits', async () => {
  const directory = tempDir();
  const files = Array.from({ length: 67 }, (_, index) => path.join(directory, `${index}.lock`));
  for (const file of files.slice(0, 65)) hold(file); // more than there are waiter threads
  const abandoned = files.slice(65);
  const victim = await RecordingActor.holding(abandoned[0] ?? '');
  await victim.actor.call('open', { lock: 'other', path: abandoned[1], options: { recordHolder: true } });
  await victim.actor.call('acquire', { lock: 'other', guard: 'other' });
  const waiter = await Actor.process();
  await waiter.run((require, files) => {
    const { FileLock } = require('../..') as typeof import('../../lib/index.js');
    const { subscribe } = require('node:diagnostics_channel') as typeof import('node:diagnostics_channel');
    const controllers = files.map(() => new AbortController());
    subscribe('native-file-lock.abandoned', () => {
      for (const controller of controllers) controller.abort('aborted');
    });
    const waits = files.map((file, index) => {
      const signal = controllers[index]?.signal;
      const lock = new FileLock(file, { recordHolder: true });
      return lock.acquire({ signal, timeout: Number.POSITIVE_INFINITY }).then(
        (guard) => {
          guard.release();
          return 'granted';
        },
        (reason: unknown) => reason,
      );
    });
    Object.assign(globalThis, { waits });
  }, files);
  await victim.crash();
  const ends = await waiter.run(() => Promise.all((globalThis as unknown as { waits: Promise<unknown>[] }).waits));
  expect(ends.slice(0, 65)).toEqual(Array(65).fill('aborted'));
  expect(ends.slice(65).sort()).toEqual(['aborted', 'granted']);
  // The aborted wait left the lock free, and did not consume the previous holder.
  const guards = abandoned.map((file) => recorded(file).tryAcquire());
  expect(guards.map((guard) => guard?.held)).toEqual([true, true]);
  expect(guards.flatMap((guard) => guard?.previousHolder?.pid ?? [])).toEqual([victim.pid]);
  for (const guard of guards) guard?.release();
});

describe('in a process whose clock was replaced after the package was loaded', () => {
  const MOCKS: Record<string, (require: NodeJS.Require) => void> = {
    'performance.now() stands still': () => {
      performance.now = () => 1000;
      Object.defineProperty(globalThis, 'performance', { value: { now: () => 1000 } });
    },
    'timers never fire': (require) => {
      const never = () => ({ ref() {}, unref() {} });
      for (const target of [globalThis, require('node:timers')]) {
        Object.assign(target, { setTimeout: never, setImmediate: never, setInterval: never, clearTimeout() {} });
      }
    },
    'there are no timers': () => {
      for (const name of ['setTimeout', 'setImmediate', 'setInterval', 'clearTimeout', 'clearImmediate']) {
        Reflect.deleteProperty(globalThis, name);
      }
    },
    'no date is valid': () => {
      const RealDate = Date;
      globalThis.Date = class extends RealDate {
        constructor() {
          super(Number.NaN);
        }
        static override now = () => Number.NaN;
      } as DateConstructor;
    },
    'there is no Date': () => {
      Reflect.deleteProperty(globalThis, 'Date');
    },
  };

  async function mockedActor(mock: string): Promise<Actor> {
    const actor = await Actor.process();
    await actor.run(MOCKS[mock] as (require: NodeJS.Require) => void);
    return actor;
  }

  describe.each(Object.keys(MOCKS))('%s', (mock) => {
    test.each(['acquire', 'acquireSync'])('%s times out', async (way) => {
      const file = tempLock();
      hold(file);
      const actor = await mockedActor(mock);
      await actor.call('open', { lock: 'a', path: file, options: { recordHolder: true, timeout: 50 } });
      const wait = actor.call(way, { lock: 'a', guard: 'g' });
      await expect(wait).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT', timeout: 50 });
    });

    test('a wait behind a guard of the same thread times out', async () => {
      const actor = await mockedActor(mock);
      await actor.call('open', { lock: 'a', path: tempLock(), options: { recordHolder: true, timeout: 50 } });
      await actor.call('acquire', { lock: 'a', guard: 'g' });
      const wait = actor.call('acquire', { lock: 'a', guard: 'next' });
      await expect(wait).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT', timeout: 50 });
    });

    test('every grant is delivered, and can be released', async () => {
      const file = tempLock();
      const actor = await mockedActor(mock);
      await actor.call('open', { lock: 'a', path: file, options: { recordHolder: true } });
      for (const way of Object.keys(ACQUIRE_METHODS)) {
        await actor.call(way, { lock: 'a', guard: way });
        expect((await actor.call<{ held: boolean }>('describe', { guard: way })).held).toBe(true);
        expect(new FileLock(file).tryAcquire(), way).toBeNull();
        await actor.call('release', { guard: way });
      }
      const guard = hold(file);
      const wait = actor.call('acquire', { lock: 'a', guard: 'waited' });
      await untilWaiting(file);
      guard.release();
      await wait;
      expect(new FileLock(file).tryAcquire()).toBeNull();
      await actor.call('release', { guard: 'waited' });
      expect(hold(file).held).toBe(true);
    });
  });
});

describe('a path', () => {
  const LONGEST = 4095; // bytes: PATH_MAX less the NUL
  /** An empty directory whose path has that many bytes. */
  function deepDirectory(bytes: number): string {
    let directory = tempDir();
    for (let left = bytes - directory.length; left > 0; left = bytes - directory.length) {
      // Never leave a rest of one byte, which would be the slash alone.
      directory = path.join(directory, 'd'.repeat(left <= 200 ? left - 1 : Math.min(200, left - 3)));
      mkdirSync(directory);
    }
    expect(directory.length).toBe(bytes);
    return directory;
  }
  /** A name of that many bytes, which ends with the character. */
  function nameOf(bytes: number, character: string): string {
    const each = Buffer.byteLength(character);
    return 'x'.repeat(bytes % each) + character.repeat(Math.floor(bytes / each));
  }

  describe.each(['x', 'é', '€', '🔒'])('that ends with %s', (character) => {
    test('of more than 4095 bytes fails with ENAMETOOLONG, and nothing is created', async () => {
      const directory = deepDirectory(LONGEST - 95);
      for (let bytes = LONGEST + 1; bytes < LONGEST + 12; bytes++) {
        const file = path.join(directory, nameOf(bytes - directory.length - 1, character));
        expect(Buffer.byteLength(file)).toBe(bytes);
        for (const [way, acquire] of Object.entries(ACQUIRE_METHODS)) {
          const failure = acquire(new FileLock(file));
          await expect(failure, `${way}, ${bytes} bytes`).rejects.toMatchObject({ code: 'ENAMETOOLONG', path: file });
          expect(readdirSync(directory), `${way}, ${bytes} bytes`).toEqual([]);
        }
      }
    });

    test('may be 4095 bytes long', () => {
      const directory = deepDirectory(LONGEST - 95);
      const name = nameOf(LONGEST - directory.length - 1, character);
      expect(hold(path.join(directory, name)).held).toBe(true);
      expect(readdirSync(directory)).toEqual([name]);
    });
  });
});

describe('a file that is not a lock file', () => {
  const CONTENTS: Record<string, Buffer> = {
    n: Buffer.from('n'),
    native: Buffer.from('native'),
    'a large blank': Buffer.alloc((1 << 20) + 1 + 1),
  };

  test.each(Object.keys(CONTENTS))('can be locked, and its content is never touched: %s', async (name) => {
    const file = tempLock();
    const content = CONTENTS[name] as Buffer;
    writeFileSync(file, content);
    for (const acquire of Object.values(ACQUIRE_METHODS)) {
      const guard = await acquire(recorded(file));
      expect(guard?.fencingToken).toBeNull();
      expect(guard?.previousHolder).toBeNull();
      expect(guard?.held).toBe(true);
      expect(new FileLock(file).tryAcquire()).toBeNull();
      guard?.release();
    }
    expect(readFileSync(file).equals(content)).toBe(true);
  });

  const LARGE = 1 << 26;

  test.skipIf(process.platform !== 'linux')('is not read completely if it is large', () => {
    /** The number of bytes that this process has read (proc(5), /proc/pid/io). */
    const read = () => Number(/^rchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'latin1'))?.[1]);
    recorded(tempLock()).tryAcquire()?.release(); // reads what is read only once
    const file = tempLock();
    writeFileSync(file, '');
    truncateSync(file, LARGE);
    const before = read();
    const guard = recorded(file).tryAcquire();
    const after = read();
    expect(guard?.fencingToken).toBeNull();
    expect(after).toBeGreaterThan(before); // otherwise nothing is counted
    expect(after - before).toBeLessThan(LARGE / 16);
    guard?.release();
  });
});

test('after the largest token there is no token, rather than a smaller one', () => {
  const largest = 2n ** 63n - 1n;
  const file = tempLock();
  writeFileSync(file, forgeRecord({ state: 'released', token: String(largest - 1n) }));
  const tokens: (bigint | null)[] = [];
  const lock = recorded(file);
  for (const each of [lock, lock, recorded(file), recorded(file)]) {
    using guard = each.acquireSync();
    expect(guard).toMatchObject({ held: true, previousHolder: null });
    tokens.push(guard.fencingToken);
  }
  expect(tokens).toEqual([largest, null, null, null]);
});

test('a signal shared by many waits causes no warning and keeps no listener', async () => {
  const file = tempLock();
  hold(file);
  const actor = await Actor.process();
  const { warnings, ends, ...listeners } = await actor.run(async (require, file) => {
    const { FileLock } = require('../..') as typeof import('../../lib/index.js');
    const { getEventListeners } = require('node:events') as typeof import('node:events');
    const warnings: string[] = [];
    process.on('warning', ({ name }) => warnings.push(name));
    const controller = new AbortController();
    const count = () => getEventListeners(controller.signal, 'abort').length;
    const wait = (lockPath: string) => new FileLock(lockPath).acquire({ signal: controller.signal });
    const waits = Array.from({ length: 50 }, (_, index) => wait(index % 2 === 0 ? file : `${file}.other`));
    await new Promise(setImmediate);
    const during = count();
    // The waits for the other path are granted one after the other.
    for (const each of waits.filter((_, index) => index % 2 === 1)) (await each).release();
    const stillWaiting = count();
    controller.abort('stopped');
    const ends = await Promise.all(waits.map((each) => each.then(() => 'granted', String)));
    await new Promise(setImmediate);
    return { warnings, ends, during, stillWaiting, after: count() };
  }, file);
  expect(warnings).toEqual([]);
  expect(ends).toEqual(Array.from({ length: 50 }, (_, index) => (index % 2 === 0 ? 'stopped' : 'granted')));
  expect(listeners).toEqual({ during: 1, stillWaiting: 1, after: 0 });
});

describe('an incomplete AbortSignal', () => {
  const none = () => {};
  test.each<[string, object]>([
    ['with methods that are not functions', { aborted: false, addEventListener: true, removeEventListener: true }],
    ['without removeEventListener', { aborted: false, addEventListener: none, removeEventListener: true }],
    ['without aborted', { addEventListener: none, removeEventListener: none }],
    ['with aborted that is not a boolean', { aborted: 0, addEventListener: none, removeEventListener: none }],
  ])('is refused, and does not affect the holder: %s', async (_, half) => {
    const lock = new FileLock(tempLock());
    const guard = lock.acquireSync();
    const wait = lock.acquire({ signal: half as AbortSignal });
    await expect(wait).rejects.toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    expect(() => guard.release()).not.toThrow();
    using next = lock.tryAcquire();
    expect(next?.held).toBe(true);
  });
});
