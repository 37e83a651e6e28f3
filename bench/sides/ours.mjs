// This package, answering the commands of bench/side.mjs.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { now, reply, serve, sleep } from './commands.mjs';

const { FileLock, JobLockManager } = createRequire(import.meta.url)('../..');

const locks = new Map();
/** One FileLock for each path and set of options: a program would reuse it too. */
function lockOf(path, options = {}) {
  const key = path + JSON.stringify(options);
  if (!locks.has(key)) locks.set(key, new FileLock(path, options));
  return locks.get(key);
}

function tryCycles(lock, count) {
  const start = now();
  for (let i = 0; i < count; i++) lock.tryAcquire().release();
  return now() - start;
}

async function acquireCycles(lock, count) {
  const start = now();
  for (let i = 0; i < count; i++) (await lock.acquire()).release();
  return now() - start;
}

/** Resolves with how late each timeout was, in nanoseconds. */
function overshoots(paths, timeout) {
  return Promise.all(
    paths.map(async (path) => {
      const start = now();
      try {
        await lockOf(path).acquire({ timeout });
      } catch {
        return now() - start - timeout * 1e6;
      }
      throw new Error('granted, although the lock is held');
    }),
  );
}

const numbered = (directory, count) => Array.from({ length: count }, (_, i) => `${directory}/${i}.lock`);
const threads = () => Number(/^Threads:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1'))[1]);

let guard;
const held = [];

serve({
  warm: (path, count) => tryCycles(lockOf(path, { keepOpen: true }), count),
  cold: (path, count) => tryCycles(lockOf(path), count),
  recorded: (path, count) => tryCycles(lockOf(path, { recordHolder: true }), count),
  warmAsync: (path, count) => acquireCycles(lockOf(path, { keepOpen: true }), count),

  hold(path) {
    guard = lockOf(path).acquireSync();
    return now();
  },
  release() {
    sleep(1e6); // as in floor.c
    const time = now();
    guard.release();
    sleep(1e6);
    return time;
  },
  waitSync(path) {
    const lock = lockOf(path);
    reply(now());
    const granted = lock.acquireSync();
    const time = now();
    granted.release();
    return time;
  },
  async wait(path) {
    const waiting = lockOf(path).acquire();
    reply(now());
    const granted = await waiting;
    const time = now();
    granted.release();
    return time;
  },

  loop(path, start, end) {
    const lock = lockOf(path, { keepOpen: true });
    let grants = 0;
    sleep(start - now());
    while (now() < end) {
      for (let i = 0; i < 16; i++) lock.acquireSync().release();
      grants += 16;
    }
    return grants;
  },
  async loopAsync(path, start, end) {
    const lock = lockOf(path, { keepOpen: true });
    let grants = 0;
    sleep(start - now());
    while (now() < end) {
      for (let i = 0; i < 16; i++) (await lock.acquire()).release();
      grants += 16;
    }
    return grants;
  },
  /** The duration of each of `count` acquisitions, with pauses in between. */
  async waits(path, count) {
    const lock = lockOf(path);
    const times = [];
    for (let i = 0; i < count; i++) {
      await delay(3);
      const start = now();
      const granted = await lock.acquire();
      times.push(now() - start);
      granted.release();
    }
    return times;
  },

  /** `tasks` tasks, each of which acquires the lock `turns` times. */
  async tasks(path, tasks, turns) {
    const lock = lockOf(path, { keepOpen: true });
    const start = now();
    await Promise.all(Array.from({ length: tasks }, () => acquireCycles(lock, turns)));
    return now() - start;
  },

  holdMany(path, count) {
    for (const file of numbered(path, count)) held.push(lockOf(file).acquireSync());
    return held.length;
  },
  /** CPU time (ns) of idle waits on `count` files, and the number of threads before and during them. */
  async idleWaits(path, count, milliseconds) {
    const before = threads();
    const abort = new AbortController();
    const waits = numbered(path, count).map((file) => lockOf(file).acquire({ signal: abort.signal }));
    const ends = Promise.allSettled(waits);
    await delay(300);
    const start = process.cpuUsage();
    const loop = performance.eventLoopUtilization();
    await delay(milliseconds);
    const { user, system } = process.cpuUsage(start);
    const { utilization } = performance.eventLoopUtilization(loop);
    const during = threads();
    abort.abort();
    await ends;
    return [(user + system) * 1000, before, during, utilization];
  },
  timeouts: (path, count, timeout) => overshoots(numbered(path, count), timeout),
  timeoutsOfOne: (path, count, timeout) => overshoots(Array(count).fill(numbered(path, 1)[0]), timeout),

  /** Memory (bytes) of `count` locks held at once, and the time for each hundred of them. */
  many(path, count) {
    for (let i = 0; i < 5000; i++) new FileLock(`${path}/warm-up.lock`).tryAcquire().release();
    const paths = numbered(path, count);
    const guards = [];
    globalThis.gc();
    const before = process.memoryUsage().rss;
    const hundreds = [];
    let start = now();
    for (let i = 0; i < count; i++) {
      guards.push(new FileLock(paths[i]).tryAcquire());
      if (i % 100 < 99) continue;
      const end = now();
      hundreds.push(end - start);
      start = end;
    }
    globalThis.gc();
    const memory = process.memoryUsage().rss - before;
    if (guards.some((each) => !each.held)) throw new Error('not held');
    return [memory, ...hundreds];
  },

  async clean(path) {
    const manager = new JobLockManager(path);
    const gaps = monitorEventLoopDelay({ resolution: 1 });
    gaps.enable();
    await delay(20);
    gaps.reset();
    const start = now();
    const removed = await manager.cleanupStaleLocks();
    const duration = now() - start;
    await delay(5); // lets the monitor see the last gap
    gaps.disable();
    return [removed.length, duration, gaps.max];
  },
});
