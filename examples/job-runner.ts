// A small job runner: a directory of jobs with an index, shared by four worker processes. One worker hangs
// in the middle of a job, and is killed once another one waits for that job. That one takes the job over
// immediately, learns from `previousHolder` whose unfinished work it is, and resumes it. Exits with a
// non-zero code if a job ran twice at the same time, was done twice or not at all, or if the index is
// inconsistent.

import { type ChildProcess, fork } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type JobLockGuard, JobLockManager } from 'native-file-lock';

const WORKERS = 4;
const JOBS = 10;
const STEPS = 4;
const STEP_MS = 40;
/** The first worker that has done so many steps of a job hangs. */
const HANG_AFTER = 2;

interface IndexEntry {
  state: 'queued' | 'running' | 'done';
  /** How often it was marked as done; anything but 1 means that the locks failed. */
  done: number;
}
type Index = Record<string, IndexEntry>;

type Message =
  | { kind: 'waits'; job: string; holder: string }
  | { kind: 'started'; job: string; at: bigint; step: number; after: string | null; token: bigint | null }
  | { kind: 'step'; job: string; step: number }
  | { kind: 'ended'; job: string; at: bigint };

// --- A worker -------------------------------------------------------------------------------------

async function work(directory: string): Promise<void> {
  const send = (message: Message) => process.send?.(message);
  using manager = new JobLockManager(directory);
  const indexPath = path.join(directory, 'index.json');

  /** Reads, changes and writes the index while holding its lock. */
  const withIndex = <T>(change: (index: Index) => T): Promise<T> =>
    manager.jobsIndexLock(() => {
      const index: Index = JSON.parse(readFileSync(indexPath, 'utf8'));
      const result = change(index);
      writeFileSync(indexPath, JSON.stringify(index));
      return result;
    });

  /** A queued job, now marked as running; else a running job to wait for; else undefined, when all are done. */
  const pick = () =>
    withIndex((index) => {
      const jobs = Object.entries(index);
      const [job, entry] =
        jobs.find(([, { state }]) => state === 'queued') ?? jobs.find(([, { state }]) => state === 'running') ?? [];
      if (entry) entry.state = 'running';
      return job;
    });

  const run = async (job: string, guard: JobLockGuard) => {
    // Another worker may have done it while this one waited for the lock.
    const state = await withIndex((index) => index[job]?.state);
    if (state === 'done') return;
    const progressPath = path.join(directory, job, 'progress');
    let step = existsSync(progressPath) ? Number(readFileSync(progressPath, 'utf8')) : 0;
    const after = guard.previousHolder ? `process ${guard.previousHolder.pid}` : null;
    send({ kind: 'started', job, at: process.hrtime.bigint(), step, after, token: guard.fencingToken });
    while (step < STEPS) {
      await delay(STEP_MS);
      writeFileSync(progressPath, String(++step));
      const goOn = new Promise((resolve) => process.once('message', resolve));
      send({ kind: 'step', job, step });
      await goOn;
    }
    await withIndex((index) => {
      const entry = index[job];
      if (entry) Object.assign(entry, { state: 'done', done: entry.done + 1 });
    });
    send({ kind: 'ended', job, at: process.hrtime.bigint() });
  };

  for (let job = await pick(); job !== undefined; job = await pick()) {
    const picked = job;
    // If another worker is running the job, this waits in the kernel, and is granted the lock as soon as that
    // worker releases it or dies.
    await manager.jobLock(picked, (guard) => run(picked, guard), {
      onWait: ({ holder }) => send({ kind: 'waits', job: picked, holder: `process ${holder?.pid ?? 'unknown'}` }),
    });
  }
  process.disconnect?.();
}

// --- The runner -----------------------------------------------------------------------------------

interface Run {
  job: string;
  from: bigint;
  to: bigint | undefined;
  token: bigint | null;
}

async function main(): Promise<void> {
  const directory = mkdtempSync(path.join(tmpdir(), 'jobs-'));
  const jobs = Array.from({ length: JOBS }, (_, number) => `job-${number + 1}`);
  for (const job of jobs) mkdirSync(path.join(directory, job));
  const index: Index = Object.fromEntries(jobs.map((job) => [job, { state: 'queued', done: 0 }]));
  writeFileSync(path.join(directory, 'index.json'), JSON.stringify(index));

  const start = process.hrtime.bigint();
  const seconds = (at: bigint) => `${(Number(at - start) / 1e9).toFixed(3)} s`;
  const runs: Run[] = [];
  let hanging: { child: ChildProcess; worker: number; job: string } | undefined;
  let killedAt: bigint | undefined;
  let takeOver: Run | undefined;

  const say = (worker: number, job: string, text: string) =>
    console.log(`${seconds(process.hrtime.bigint())}  worker ${worker}  ${job.padEnd(6)}  ${text}`);
  const endRun = (job: string, at: bigint) => {
    const run = runs.find((each) => each.job === job && each.to === undefined);
    if (run) run.to = at;
  };

  const listen = (worker: number, child: ChildProcess) => (message: Message) => {
    const { job } = message;
    if (message.kind === 'started') {
      const begun: Run = { job, from: message.at, to: undefined, token: message.token };
      runs.push(begun);
      if (message.after !== null) takeOver = begun;
      const resumes = `takes over from ${message.after}, resumes after step ${message.step} of ${STEPS}`;
      say(worker, job, message.after === null ? 'starts' : resumes);
    } else if (message.kind === 'step') {
      if (hanging !== undefined || message.step !== HANG_AFTER) {
        child.send('go on');
        return;
      }
      // Not answered: this worker holds its job until it is killed. The others do all other jobs, and come to it.
      hanging = { child, worker, job };
      say(worker, job, `hangs after step ${message.step} of ${STEPS}`);
    } else if (message.kind === 'waits') {
      say(worker, job, `waits for ${message.holder}`);
      if (job !== hanging?.job || killedAt !== undefined) return;
      killedAt = process.hrtime.bigint();
      endRun(job, killedAt);
      hanging.child.kill('SIGKILL');
      say(hanging.worker, job, `is killed (SIGKILL to process ${hanging.child.pid})`);
    } else {
      endRun(job, message.at);
      say(worker, job, 'finishes');
    }
  };

  const children = Array.from({ length: WORKERS }, () => fork(__filename, [directory], { serialization: 'advanced' }));
  const ends = children.map((child, number) => {
    child.on('message', listen(number + 1, child));
    return new Promise<void>((resolve) => {
      child.once('close', (code) => {
        // A worker that fails must not leave the hanging one behind.
        if (code) for (const each of children) each.kill('SIGKILL');
        resolve();
      });
    });
  });
  await Promise.all(ends);

  const violations: string[] = [];
  const final: Index = JSON.parse(readFileSync(path.join(directory, 'index.json'), 'utf8'));
  for (const job of jobs) {
    const entry = final[job];
    if (entry?.state !== 'done' || entry.done !== 1)
      violations.push(`${job} is ${entry?.state}, done ${entry?.done} times`);
    const ofJob = runs.filter((run) => run.job === job).sort((a, b) => (a.from < b.from ? -1 : 1));
    for (const [number, run] of ofJob.entries()) {
      const before = ofJob[number - 1];
      if (before && (before.to === undefined || run.from < before.to))
        violations.push(`${job} ran twice at the same time`);
      if (before && (run.token ?? 0n) <= (before.token ?? 0n)) violations.push(`${job}'s fencing token did not grow`);
    }
  }
  if (killedAt === undefined || takeOver?.job !== hanging?.job) violations.push('the killed job was not taken over');
  rmSync(directory, { recursive: true });

  console.log(`\n${JOBS} jobs of ${STEPS} steps, ${WORKERS} workers, ${runs.length} runs, one of them killed.`);
  if (takeOver && killedAt !== undefined)
    console.log(`Take-over after SIGKILL: ${(Number(takeOver.from - killedAt) / 1e6).toFixed(1)} ms.`);
  for (const violation of violations) console.error(`VIOLATION: ${violation}`);
  console.log(
    violations.length === 0
      ? 'No job ran twice at the same time, each job was done once, and the index is consistent.'
      : 'FAILED',
  );
  process.exitCode = violations.length === 0 ? 0 : 1;
}

const [directory] = process.argv.slice(2);
void (directory === undefined ? main() : work(directory));
