// One of the other packages, answering the commands of bench/side.mjs. Each is used as documented. Those
// that take a descriptor get one that stays open, which is fastest for them.
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { now, reply, serve, sleep, time } from './commands.mjs';

const require = createRequire(new URL('../peers/package.json', import.meta.url));

const onDescriptor = (lock, unlock) => ({
  open: (path) => openSync(path, 'a+'),
  close: closeSync,
  lock,
  unlock,
});

const adapters = {
  'fs-ext'() {
    const flock = promisify(require('fs-ext').flock);
    return onDescriptor(
      (fd) => flock(fd, 'ex'),
      (fd) => flock(fd, 'un'),
    );
  },
  'fs-native-extensions'() {
    const { waitForLock, unlock } = require('fs-native-extensions');
    return onDescriptor(waitForLock, unlock);
  },
  'os-lock'() {
    const { lock, unlock } = require('os-lock');
    return onDescriptor((fd) => lock(fd, { exclusive: true }), unlock);
  },
  'proper-lockfile'() {
    const { lock } = require('proper-lockfile');
    return {
      open(path) {
        writeFileSync(path, ''); // it locks only what exists
        return { path };
      },
      close() {},
      // By default it does not wait at all. With a number of retries it uses its default intervals.
      async lock(handle) {
        handle.release = await lock(handle.path, { retries: 10 });
      },
      unlock: (handle) => handle.release(),
    };
  },
  lockfile() {
    const { lock, unlock } = require('lockfile');
    const take = promisify(lock);
    return {
      open: (path) => `${path}.lockfile`,
      close() {},
      lock: (path) => take(path, { wait: 60_000 }),
      unlock: promisify(unlock),
    };
  },
};

if (process.argv[2] === 'async-mutex') {
  const { Mutex } = require('async-mutex');
  const mutex = new Mutex();
  serve({
    async tasks(_path, tasks, turns) {
      const start = now();
      const task = async () => {
        for (let i = 0; i < turns; i++) (await mutex.acquire())();
      };
      await Promise.all(Array.from({ length: tasks }, task));
      return now() - start;
    },
  });
} else {
  const { open, close, lock, unlock } = adapters[process.argv[2]]();
  let held;
  const handles = new Map();
  const handleOf = (path) => {
    if (!handles.has(path)) handles.set(path, open(path));
    return handles.get(path);
  };

  serve({
    async cycle(path, count) {
      const handle = handleOf(path);
      return await time(count, async () => {
        await lock(handle);
        await unlock(handle);
      });
    },
    async loop(path, start, end) {
      const handle = handleOf(path);
      let grants = 0;
      sleep(start - now());
      for (; now() < end; grants++) {
        await lock(handle);
        await unlock(handle);
      }
      return grants;
    },
    async hold(path) {
      held = handleOf(path);
      await lock(held);
      return now();
    },
    async release() {
      sleep(1e6); // as in floor.c
      const start = now();
      await unlock(held);
      sleep(1e6);
      return start;
    },
    async wait(path) {
      const handle = open(path);
      const waiting = lock(handle);
      reply(now());
      await waiting;
      const granted = now();
      await unlock(handle);
      close(handle);
      return granted;
    },

    /** 1 if a second handle in this process is granted the lock too. */
    async holdTwice(path) {
      await lock(open(path));
      const second = lock(open(path)).then(
        () => 1,
        () => 0,
      );
      return await Promise.race([second, delay(500, 0)]);
    },
    /** Duration (ns) of a readFile during four waits for a lock that another process holds. */
    async readDuringWaits(path) {
      writeFileSync(path, '', { flag: 'a' });
      for (let i = 0; i < 4; i++) lock(open(path)).catch(() => {});
      await delay(50);
      const start = now();
      await readFile(path);
      return now() - start;
    },
    async exitDuringWait(path) {
      lock(open(path)).catch(() => {});
      await delay(50);
      reply(now());
      process.exit();
    },
  });
}
