// Four processes contend for one lock file; one of them is killed in the critical section. Prints the
// number of grants of each process, and checks that no two ever held the lock at the same time. Takes less
// than 10 s, and exits with a non-zero code if mutual exclusion was violated.

import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FileLock } from 'native-file-lock';

const WORKERS = 4;
const RUN_MS = 2_000;
const KILL_AFTER_MS = 1_000;

/** A message from a worker: it holds the lock, or held it from … to … (nanoseconds of the monotonic clock). */
type Message = { grantedAt: bigint } | { from: bigint; to: bigint; waited: bigint };

async function work(lockPath: string): Promise<void> {
  const send = (message: Message) => process.send?.(message);
  const lock = new FileLock(lockPath, { timeout: 10_000, keepOpen: true });
  let running = true;
  let keepHolding = false;
  process.on('message', (command) => {
    if (command === 'stop') running = false;
    if (command === 'hold') keepHolding = true;
  });
  while (running) {
    const requested = process.hrtime.bigint();
    await lock.withLock(async () => {
      const from = process.hrtime.bigint();
      if (keepHolding) {
        send({ grantedAt: from });
        await new Promise(() => setInterval(() => {}, 1000)); // holds the lock until it is killed
      }
      while (process.hrtime.bigint() - from < 200_000n);
      send({ from, to: process.hrtime.bigint(), waited: from - requested });
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
  let grantedAt = 0n; // when the killed process had been granted the lock
  let stopping = false;
  const stop = () => {
    for (const { child } of tallies) if (child.connected) child.send('stop');
  };

  const tallies = Array.from({ length: WORKERS }, (_, index): Tally => {
    const child = fork(__filename, [lockPath], { serialization: 'advanced' });
    const tally: Tally = { child, grants: 0, longestWait: 0n };
    child.on('message', (message: Message) => {
      if ('grantedAt' in message) {
        grantedAt = message.grantedAt;
        killedAt = process.hrtime.bigint();
        child.kill('SIGKILL');
        return;
      }
      intervals.push(message);
      if (killedAt !== 0n && message.from > killedAt && !stopping) {
        stopping = true; // once somebody has taken over, however long that takes
        setTimeout(stop, RUN_MS - KILL_AFTER_MS);
      }
      tally.grants++;
      if (message.waited > tally.longestWait) tally.longestWait = message.waited;
    });
    child.once('error', (error) => console.error(`worker ${index}: ${error.message}`));
    return tally;
  });

  const victim = tallies[0]?.child;
  setTimeout(() => victim?.send('hold'), KILL_AFTER_MS).unref();
  await Promise.all(tallies.map(({ child }) => new Promise((resolve) => child.once('exit', resolve))));
  rmSync(directory, { recursive: true });

  if (killedAt !== 0n) intervals.push({ from: grantedAt, to: killedAt });
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
  console.log(`Grants: ${intervals.length}. Overlaps: ${overlaps}.`);
  console.log(`Take-over after SIGKILL: ${takeOver.toFixed(1)} ms.`);
  if (overlaps > 0 || Number.isNaN(takeOver)) {
    console.error('Mutual exclusion was violated, or no process took over.');
    process.exitCode = 1;
  }
}

const [lockPath] = process.argv.slice(2);
void (lockPath === undefined ? main() : work(lockPath));
