// The addon bench/bare.c, answering some of the commands of bench/side.mjs.
import { createRequire } from 'node:module';
import { now, reply, serve, sleep } from './commands.mjs';

const addon = createRequire(import.meta.url)('../build/bare.node');

let held;

serve({
  warm(path, count) {
    const file = addon.open(path);
    const start = now();
    for (let i = 0; i < count; i++) {
      addon.tryLock(file);
      addon.unlock(file);
    }
    const time = now() - start;
    addon.close(file);
    return time;
  },
  hold(path) {
    held = addon.open(path);
    addon.waitHere(held);
    return now();
  },
  release() {
    sleep(1e6); // as in floor.c
    const time = now();
    addon.unlock(held);
    sleep(1e6);
    addon.close(held);
    return time;
  },
  waitSync(path) {
    const file = addon.open(path);
    reply(now());
    addon.waitHere(file);
    const time = now();
    addon.close(file);
    return time;
  },
  async wait(path) {
    const file = addon.open(path);
    const granted = new Promise((resolve) => addon.wait(file, resolve));
    reply(now());
    await granted;
    const time = now();
    addon.close(file);
    return time;
  },
});
