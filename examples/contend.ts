// Four processes contend for one lock file; one of them is killed inside the critical section.
// Prints who got in how often, and shows that no two were ever in together. Ends by itself, in less
// than 10 s, and with a non-zero exit code if exclusion broke.

import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FileLock } from 'native-file-lock';

const WORKERS = 4;
const RUN_MS = 2_000;
const KILL_AFTER_MS = 1_000;

/** What a worker tells: it is in, or it was in from … to … (nanoseconds of the monotonic clock). */
type News = { in: bigint } | { from: bigint; to: bigint; waited: bigint };

async function work(lockPath: string): Promise<void> {
  const tell = (news: News) => process.send?.(news);
  const lock = new FileLock(lockPath, { timeout: 10_000, keepOpen: true });
  let running = true;
  let linger = false;
  process.on('message', (command) => {
    if (command === 'stop') running = false;
    if (command === 'linger') linger = true;
  });
  while (running) {
    const asked = process.hrtime.bigint();
    await lock.withLock(async () => {
      const from = process.hrtime.bigint();
      if (linger) {
        tell({ in: from });
        await new Promise(() => setInterval(() => {}, 1000)); // inside until it is killed
      }
      while (process.hrtime.bigint() - from < 200_000n);
      tell({ from, to: process.hrtime.bigint(), waited: from - asked });
    });
    await new Promise(setImmediate);
  }
  process.disconnect?.();
}

interface Tally {
  child: ChildProcess;
  grants: number;
  longestWait: bigint;
}

async function main(): Promise<void> {
  const directory = mkdtempSync(path.join(tmpdir(), 'contend-'));
  const lockPath = path.join(directory, 'counter.lock');
  const intervals: { from: bigint; to: bigint }[] = [];
  let killedAt = 0n;
  let enteredAt = 0n; // when the killed one had come in

  const tallies = Array.from({ length: WORKERS }, (_, index): Tally => {
    const child = fork(__filename, [lockPath], { serialization: 'advanced' });
    const tally: Tally = { child, grants: 0, longestWait: 0n };
    child.on('message', (news: News) => {
      if ('in' in news) {
        enteredAt = news.in;
        killedAt = process.hrtime.bigint();
        child.kill('SIGKILL');
        return;
      }
      intervals.push(news);
      tally.grants++;
      if (news.waited > tally.longestWait) tally.longestWait = news.waited;
    });
    child.once('error', (error) => console.error(`worker ${index}: ${error.message}`));
    return tally;
  });

  const victim = tallies[0]?.child;
  setTimeout(() => victim?.send('linger'), KILL_AFTER_MS).unref();
  setTimeout(() => {
    for (const { child } of tallies) if (child.connected) child.send('stop');
  }, RUN_MS).unref();
  await Promise.all(tallies.map(({ child }) => new Promise((resolve) => child.once('exit', resolve))));
  rmSync(directory, { recursive: true });

  if (killedAt !== 0n) intervals.push({ from: enteredAt, to: killedAt });
  intervals.sort((a, b) => (a.from < b.from ? -1 : 1));
  const overlaps = intervals.filter(({ from }, index) => index > 0 && from < (intervals[index - 1]?.to ?? 0n)).length;
  const next = intervals.find(({ from }) => from > killedAt);
  const takeOver = killedAt === 0n || next === undefined ? Number.NaN : Number(next.from - killedAt) / 1e6;

  console.log(`${WORKERS} processes, one lock file, ${RUN_MS / 1000} s; process 1 is killed while it holds the lock\n`);
  console.table(
    Object.fromEntries(
      tallies.map(({ child, grants, longestWait }, index) => [
        `process ${index + 1}`,
        {
          pid: child.pid,
          grants,
          'longest wait (ms)': Number(longestWait / 1000n) / 1000,
          end: child.signalCode ?? `exit ${child.exitCode}`,
        },
      ]),
    ),
  );
  console.log(`Grants: ${intervals.length}. Inside together: ${overlaps} times.`);
  console.log(`Take-over after SIGKILL: ${takeOver.toFixed(1)} ms.`);
  if (overlaps > 0 || Number.isNaN(takeOver)) {
    console.error('Exclusion broke, or nobody took over.');
    process.exitCode = 1;
  }
}

const [lockPath] = process.argv.slice(2);
void (lockPath === undefined ? main() : work(lockPath));
