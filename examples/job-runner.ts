// A little job runner: a directory of jobs with an index, and four worker processes that share them. One
// worker is killed in the middle of a job; another one takes that job over at once, is told whose work it
// finds half done, and resumes it. Ends by itself, with a non-zero exit code if a job ran twice at once, was
// done twice, was not done, or if the index does not add up.

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

interface IndexEntry {
  state: 'queued' | 'running' | 'done';
  /** How often it was marked done: once, or the locks did not work. */
  done: number;
}
type Index = Record<string, IndexEntry>;

type News =
  | { kind: 'waits'; job: string }
  | { kind: 'started'; job: string; at: bigint; step: number; after: string | null; token: bigint | null }
  | { kind: 'step'; job: string; step: number }
  | { kind: 'ended'; job: string; at: bigint };

// --- A worker -------------------------------------------------------------------------------------

async function work(directory: string): Promise<void> {
  const tell = (news: News) => process.send?.(news);
  using manager = new JobLockManager(directory);
  const indexPath = path.join(directory, 'index.json');

  /** Reads, changes and writes the index, alone. */
  const withIndex = <T>(change: (index: Index) => T): Promise<T> =>
    manager.jobsIndexLock(() => {
      const index: Index = JSON.parse(readFileSync(indexPath, 'utf8'));
      const result = change(index);
      writeFileSync(indexPath, JSON.stringify(index));
      return result;
    });

  /** A queued job, marked as running; else one that somebody else runs, to wait for it; else undefined: all done. */
  const pick = () =>
    withIndex((index) => {
      const jobs = Object.entries(index);
      const [job, entry] =
        jobs.find(([, { state }]) => state === 'queued') ?? jobs.find(([, { state }]) => state === 'running') ?? [];
      if (job !== undefined && entry?.state === 'running') tell({ kind: 'waits', job });
      if (entry) entry.state = 'running';
      return job;
    });

  const run = async (job: string, guard: JobLockGuard) => {
    // Somebody else may have done it while this worker waited for the lock.
    const state = await withIndex((index) => index[job]?.state);
    if (state === 'done') return;
    const progressPath = path.join(directory, job, 'progress');
    let step = existsSync(progressPath) ? Number(readFileSync(progressPath, 'utf8')) : 0;
    const after = guard.previousHolder ? `process ${guard.previousHolder.pid}` : null;
    tell({ kind: 'started', job, at: process.hrtime.bigint(), step, after, token: guard.fencingToken });
    while (step < STEPS) {
      await delay(STEP_MS);
      writeFileSync(progressPath, String(++step));
      tell({ kind: 'step', job, step });
    }
    await withIndex((index) => {
      const entry = index[job];
      if (entry) Object.assign(entry, { state: 'done', done: entry.done + 1 });
    });
    tell({ kind: 'ended', job, at: process.hrtime.bigint() });
  };

  for (let job = await pick(); job !== undefined; job = await pick()) {
    const picked = job;
    // Where somebody else runs it, this waits in the kernel, and gets in at once should that one die.
    await manager.jobLock(picked, (guard) => run(picked, guard));
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
  let killed: { pid: number | undefined; job: string; at: bigint } | undefined;
  let takeOver: Run | undefined;
  const awaited = new Set<string>();

  const listen = (worker: number, child: ChildProcess) => (news: News) => {
    const say = (text: string) =>
      console.log(`${seconds(process.hrtime.bigint())}  worker ${worker}  ${news.job.padEnd(6)}  ${text}`);
    const run = runs.find(({ job, to }) => job === news.job && to === undefined);
    if (news.kind === 'waits') {
      awaited.add(news.job);
      say('waits for it');
    } else if (news.kind === 'started') {
      const begun: Run = { job: news.job, from: news.at, to: undefined, token: news.token };
      runs.push(begun);
      if (news.after !== null) takeOver = begun;
      say(
        news.after === null ? 'starts' : `takes over from ${news.after}, resumes after step ${news.step} of ${STEPS}`,
      );
    } else if (news.kind === 'step') {
      if (killed !== undefined || !awaited.has(news.job) || news.step === STEPS) return;
      killed = { pid: child.pid, job: news.job, at: process.hrtime.bigint() };
      if (run) run.to = killed.at;
      child.kill('SIGKILL');
      say(`is killed after step ${news.step} of ${STEPS} (SIGKILL to process ${child.pid})`);
    } else {
      if (run) run.to = news.at;
      say('is done');
    }
  };

  const ends = Array.from({ length: WORKERS }, (_, number) => {
    const child = fork(__filename, [directory], { serialization: 'advanced' });
    child.on('message', listen(number + 1, child));
    return new Promise((resolve) => child.once('close', resolve));
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
      if (before && (before.to === undefined || run.from < before.to)) violations.push(`${job} ran twice at once`);
      if (before && (run.token ?? 0n) <= (before.token ?? 0n)) violations.push(`${job}'s fencing token did not grow`);
    }
  }
  if (killed === undefined || takeOver?.job !== killed.job) violations.push('the killed job was not taken over');
  rmSync(directory, { recursive: true });

  const [first, last] = [killed?.at ?? 0n, takeOver?.from ?? 0n];
  console.log(`\n${JOBS} jobs of ${STEPS} steps, ${WORKERS} workers, ${runs.length} runs, one of them broken off.`);
  if (takeOver) console.log(`Take-over after SIGKILL: ${(Number(last - first) / 1e6).toFixed(1)} ms.`);
  for (const violation of violations) console.error(`VIOLATION: ${violation}`);
  console.log(
    violations.length === 0 ? 'No job ran twice at once; every job was done once; the index adds up.' : 'FAILED',
  );
  process.exitCode = violations.length === 0 ? 0 : 1;
}

const [directory] = process.argv.slice(2);
void (directory === undefined ? main() : work(directory));
