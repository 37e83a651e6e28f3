// The laws of locks on 9p, run inside the guest; test/environments/9p/9p.test.ts judges what they leave. The kernel's
// client of 9p cannot be waited with (it asks the server again after 30 seconds), so waits are polled.
const assert = require('node:assert/strict');
const { setTimeout: delay } = require('node:timers/promises');
const { startClient } = require('../guest/client.cjs');
const { endWith, errorOf, milliseconds, runScenarios, SECONDS } = require('../guest/in-guest.cjs');
const { storm } = require('../guest/storm.cjs');

const MECHANISMS = ['flock', 'fcntl'];
const MOUNTS = { 'the same mount': '/mnt/a', 'another mount': '/mnt/b' };
/** Of any end of a wait, in milliseconds: not speed, but far less than the waits of the kernel's client. */
const LATEST = 5000;

const everywhere = (a, b, b2) => [
  { client: a, directory: '/mnt/a' },
  { client: b, directory: '/mnt/b' },
  { client: b2, directory: '/mnt/b' },
];

/** Each: a law, and what shows it. Returns figures. */
const scenarios = [
  {
    law: 'two clients exclude each other, by each mechanism, and so do two processes of one',
    async run({ a, b }) {
      for (const mechanism of MECHANISMS) {
        for (const mount of Object.values(MOUNTS)) {
          const [mine, theirs] = ['/mnt/a', mount].map((directory) => `${directory}/exclusion-${mechanism}`);
          const options = { mechanism };
          for (const [holder, held, other, wanted] of [
            [a, mine, b, theirs],
            [b, theirs, a, mine],
          ]) {
            assert.equal(await holder.tryAcquire(held, { options }), true);
            assert.equal(await other.tryAcquire(wanted, { options }), false);
            assert.equal(await other.tryAcquire(wanted, { options, mode: 'shared' }), false);
            await holder.release(held);
          }
          assert.equal(await a.tryAcquire(mine, { options, mode: 'shared' }), true);
          assert.equal(await b.tryAcquire(theirs, { options, mode: 'shared' }), true);
          await a.release(mine);
          assert.equal(await a.tryAcquire(mine, { options }), false);
          await b.release(theirs);
        }
      }
    },
  },
  {
    law: 'a wait times out and can be aborted on time, and is granted soon after a release or a kill',
    async run({ a, b }) {
      const figures = {};
      for (const [name, mount] of Object.entries(MOUNTS)) {
        for (const mechanism of MECHANISMS) {
          const [mine, theirs] = ['/mnt/a', mount].map((directory) => `${directory}/waits-${mechanism}`);
          const options = { mechanism };
          await a.acquire(mine, { options });
          const late = [];
          for (const timeout of [100, 700]) {
            const { value, took } = await milliseconds(() => errorOf(b.acquire(theirs, { options, timeout })));
            assert.equal(value.code, 'ERR_LOCK_TIMEOUT');
            late.push(Math.round(took - timeout));
          }
          const blocking = await milliseconds(() =>
            errorOf(b.call('acquireSync', { lock: `${theirs} ${JSON.stringify(options)}`, options: { timeout: 300 } })),
          );
          assert.equal(blocking.value.code, 'ERR_LOCK_TIMEOUT');
          late.push(Math.round(blocking.took - 300));
          const wait = b.acquire(theirs, { options, abort: 'abort', timeout: 60_000 }).catch(({ message }) => message);
          await delay(200);
          const abort = await milliseconds(async () => {
            await b.call('abort', { abort: 'abort', reason: 'aborted' });
            assert.equal(await wait, 'aborted');
          });
          const handOff = [];
          for (let round = 0; round < 5; round++) {
            const next = b.acquire(theirs, { options, timeout: 60_000 });
            await delay(200);
            const released = await a.release(mine);
            handOff.push(Math.round(Number((await next) - released) / 1e5) / 10);
            await b.release(theirs);
            await a.acquire(mine, { options });
          }
          await a.release(mine);
          const found = { late, abort: abort.took, handOff };
          assert.ok(
            Math.min(...late) >= 0 && Math.max(...late, abort.took, ...handOff) < LATEST,
            JSON.stringify(found),
          );
          figures[`${name}, ${mechanism}`] = found;
        }
      }
      const victim = await startClient();
      await victim.acquire('/mnt/a/waits-flock');
      const { took } = await milliseconds(async () => {
        const next = errorOf(b.acquire('/mnt/b/waits-flock', { timeout: 60_000 }));
        victim.kill();
        assert.equal(typeof (await next).granted, 'bigint');
      });
      assert.ok(took < LATEST, String(took));
      await b.release('/mnt/b/waits-flock');
      return { ...figures, afterKill: took };
    },
  },
  {
    law: 'a storm of acquisitions never has two holders, and fails in no other way',
    async run({ a, b, b2 }) {
      const found = await storm(everywhere(a, b, b2), { seconds: SECONDS, removals: false });
      assert.equal(found.overlaps + found.lostUpdates, 0, JSON.stringify(found));
      assert.deepEqual(found.errors, {});
      assert.ok(found.acquisitions > SECONDS, JSON.stringify(found));
      return found;
    },
  },
  {
    law: 'a storm with removals by other clients never has two holders',
    async run({ a, b, b2 }) {
      const found = await storm(everywhere(a, b, b2), { seconds: SECONDS });
      assert.equal(found.overlaps + found.lostUpdates, 0, JSON.stringify(found));
      assert.ok(found.acquisitions > SECONDS && found.removals > 0, JSON.stringify(found));
      return found;
    },
  },
  {
    law: 'the storm would find two holders: holds without a lock are caught twice',
    async run({ a, b, b2 }) {
      const found = await storm(everywhere(a, b, b2), { seconds: 5, unlocked: 10, removals: false });
      assert.ok(found.overlaps > 0 && found.lostUpdates > 0, JSON.stringify(found));
      return found;
    },
  },
];

async function main() {
  const [a, b, b2] = [await startClient(), await startClient(), await startClient()];
  await runScenarios(scenarios, { a, b, b2 });
  for (const each of [a, b, b2]) each.kill();
}

module.exports = { scenarios };
if (require.main === module) endWith(main());
