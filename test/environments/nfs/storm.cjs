// Exclusion among the machines, with removals: each takes, holds, removes and cleans up at random. Two holders are
// found twice: by intervals of the one clock of the guest's kernel, and by lost updates of a counter.
const fs = require('node:fs');

/** Runs in each process. */
async function contend(require, _, { seed, seconds, jobs, counters, unlocked }) {
  const fs = require('node:fs');
  const path = require('node:path');
  const { FileLock, JobLockManager, LockTimeoutError } = require('../..');
  let state = seed;
  const random = (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const manager = new JobLockManager(jobs);
  const targets = ['one', 'two'].flatMap((job) =>
    [false, true].flatMap((keepOpen) =>
      [false, true].map((recordHolder) => ({
        job,
        lock: new FileLock(path.join(jobs, job, '.lock'), { keepOpen, recordHolder }),
        counter: fs.openSync(path.join(counters, job), 'r+'),
      })),
    ),
  );
  const intervals = [];
  const tally = { acquisitions: 0, removals: 0, cleaned: 0, timeouts: 0, errors: {} };
  const note = (error) => {
    if (error instanceof LockTimeoutError) tally.timeouts++;
    else tally.errors[`${error.code} ${error.syscall}`] = (tally.errors[`${error.code} ${error.syscall}`] ?? 0) + 1;
  };
  const read = (file) => Number(fs.readFileSync(`/proc/self/fd/${file}`, 'latin1') || 0);
  const hold = async ({ job, lock, counter }, guard) => {
    tally.acquisitions++;
    const from = process.hrtime.bigint();
    const before = read(counter);
    if (random(3) === 0) await new Promise((resolve) => setTimeout(resolve, random(4)));
    fs.writeSync(counter, String(before + 1).padStart(12), 0);
    const until = process.hrtime.bigint();
    intervals.push([job, from, until, before + 1]);
    // By its holder, who has done its work.
    if (guard && random(5) === 0) {
      fs.unlinkSync(lock.path);
      tally.removals++;
    }
    guard?.release();
  };
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    const target = targets[random(targets.length)];
    try {
      if (unlocked > 0 && random(unlocked) === 0) {
        await hold(target, null);
      } else if (random(12) === 0) {
        tally.cleaned += (await manager.cleanupStaleLocks({ maxAge: 0 })).length;
      } else if (random(3) === 0) {
        const guard = target.lock.tryAcquire();
        if (guard) await hold(target, guard);
        else await new Promise(setImmediate);
      } else {
        await hold(target, await target.lock.acquire({ timeout: 1 + random(2000) }));
      }
    } catch (error) {
      note(error);
    }
  }
  return { intervals, tally };
}

/** Counts overlapping intervals and values that were written twice, of one job's intervals. */
function violations(intervals) {
  const sorted = [...intervals].sort(([, a], [, b]) => (a < b ? -1 : 1));
  let overlaps = 0;
  let latest = 0n;
  const values = new Set();
  for (const [, from, until, value] of sorted) {
    if (from < latest) overlaps++;
    if (until > latest) latest = until;
    values.add(value);
  }
  return { overlaps, lostUpdates: sorted.length - values.size };
}

async function storm(clients, { directory, seconds, unlocked = 0 }) {
  const jobs = `${directory}/jobs${unlocked}`;
  const counters = `/mnt/export/counters${unlocked}`;
  for (const job of ['one', 'two']) {
    fs.mkdirSync(`${jobs}/${job}`, { recursive: true });
    fs.mkdirSync(counters, { recursive: true });
    fs.writeFileSync(`${counters}/${job}`, '');
  }
  const results = await Promise.all(
    clients.map((client, index) => client.run(contend, { seed: index + 1, seconds, jobs, counters, unlocked })),
  );
  const total = { acquisitions: 0, removals: 0, cleaned: 0, timeouts: 0, overlaps: 0, lostUpdates: 0, errors: {} };
  for (const { tally } of results) {
    for (const name of ['acquisitions', 'removals', 'cleaned', 'timeouts']) total[name] += tally[name];
    for (const [name, count] of Object.entries(tally.errors)) total.errors[name] = (total.errors[name] ?? 0) + count;
  }
  for (const job of ['one', 'two']) {
    const found = violations(results.flatMap(({ intervals }) => intervals.filter(([name]) => name === job)));
    total.overlaps += found.overlaps;
    total.lostUpdates += found.lostUpdates;
  }
  return total;
}

module.exports = { storm, violations };
