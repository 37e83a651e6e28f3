// There is never more than one holder.
const assert = require('node:assert/strict');
const { setTimeout: delay } = require('node:timers/promises');
const { errorOf, SECONDS } = require('../guest/in-guest.cjs');
const { DIRECTORY, views } = require('./machines.cjs');
const { oneTick } = require('../guest/one-tick.cjs');
const { storm } = require('../guest/storm.cjs');

const everywhere = (clients) => clients.map((client) => ({ client, directory: DIRECTORY }));

module.exports = [
  {
    law: 'three clients exclude each other, by each mechanism',
    async run({ server, a, b }) {
      for (const mechanism of ['flock', 'fcntl']) {
        const file = `${DIRECTORY}/exclusion-${mechanism}`;
        const options = { mechanism };
        for (const [holder, ...others] of [
          [a, b, server],
          [b, a, server],
          [server, a, b],
        ]) {
          assert.equal(await holder.tryAcquire(file, { options }), true);
          for (const other of others) assert.equal(await other.tryAcquire(file, { options }), false);
          for (const other of others) assert.equal(await other.tryAcquire(file, { options, mode: 'shared' }), false);
          await holder.release(file);
        }
        for (const each of [a, b]) assert.equal(await each.tryAcquire(file, { options, mode: 'shared' }), true);
        assert.equal(await server.tryAcquire(file, { options }), false);
        for (const each of [a, b]) await each.release(file);
      }
    },
  },
  ...[0, 1500].map((settle) => ({
    law: `a file that is cleaned up or removed by its holder has one holder, ${settle} ms after it was last looked at`,
    async run({ a, b, a2 }) {
      const jobs = `${DIRECTORY}/removal-${settle}`;
      const kept = `${jobs}/kept/.lock`;
      const keepOpen = { options: { keepOpen: true } };
      assert.equal(await b.tryAcquire(kept, keepOpen), true);
      await b.release(kept);
      await delay(settle);
      assert.equal(await a.clean(jobs), 1);
      assert.equal(await a.tryAcquire(kept), true);
      assert.equal(await b.tryAcquire(kept, keepOpen), false, 'two holders: one by a kept descriptor');
      await a.release(kept);

      const awaited = `${DIRECTORY}/awaited-${settle}`;
      await a.acquire(awaited);
      const wait = errorOf(b.acquire(awaited, { timeout: 5000 }));
      await delay(300 + settle);
      await a.run((require, _, file) => require('node:fs').unlinkSync(file), awaited);
      assert.equal(await a2.tryAcquire(awaited), true);
      await a.release(awaited);
      assert.deepEqual(await wait, { code: 'ERR_LOCK_TIMEOUT', syscall: undefined }, 'two holders: one had waited');
      await a2.release(awaited);

      const fresh = `${jobs}/fresh/.lock`;
      assert.equal(await b.tryAcquire(fresh), true);
      await b.release(fresh);
      await delay(settle);
      await a.clean(jobs);
      assert.equal(await a.tryAcquire(fresh), true);
      assert.equal(await b.tryAcquire(fresh, { guard: 'again' }), false, 'two holders: one by a cached name');
      assert.equal(await b.clean(jobs), 0, 'a held file was removed');
      assert.equal(await b.tryAcquire(fresh, { guard: 'again' }), false, 'two holders after the clean-up of another');
      await a.release(fresh);
    },
  })),
  {
    law: "a file that is removed and made again within one tick of the server's clock has one holder",
    async run() {
      const found = await oneTick(views, 6);
      assert.equal(found.twoHolders + found.heldFilesRemoved, 0, JSON.stringify(found));
      assert.ok(found.withinOneTick > 0, JSON.stringify(found));
      return found;
    },
  },
  {
    law: 'a storm of acquisitions, removals and clean-ups never has two holders, and none sees ESTALE',
    async run({ server, a, b }) {
      const found = await storm(everywhere([server, a, b]), { seconds: SECONDS });
      assert.equal(found.overlaps + found.lostUpdates, 0, JSON.stringify(found));
      assert.deepEqual(found.errors, {});
      assert.ok(found.acquisitions > SECONDS && found.removals > 0 && found.cleaned > 0, JSON.stringify(found));
      return found;
    },
  },
  {
    law: 'the storm would find two holders: holds without a lock are caught twice',
    async run({ server, a, b }) {
      const found = await storm(everywhere([server, a, b]), { seconds: 5, unlocked: 10 });
      assert.ok(found.overlaps > 0 && found.lostUpdates > 0, JSON.stringify(found));
      return found;
    },
  },
];
