import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { FileLock, type FileLockOptions } from '../../lib/index.js';
import { alleged } from '../support/alleged-network.js';
import type { Subject, Way } from './subject.js';

/** Longer than any fault lasts. */
const LONG = 30_000;
const SHORT = 60;

export interface Scenario {
  /** Where its files have no block device, so that the type of their file system is asked for. */
  readonly onShm: boolean;
  /** What the file system alleges to be, in the words of test/fixtures/faults.c. */
  readonly always: readonly string[];
  /** A process of its own for each fault: what is tested happens once in a process. */
  readonly fresh: boolean;
  /** Does it while `faults` are armed, and tells what came of it. */
  run(subject: Subject, faults: readonly string[]): Promise<string>;
}

/** One word for all, if they are the same. */
function agreed(outcomes: Record<string, string>): string {
  const different = new Set(Object.values(outcomes));
  if (different.size === 1) return Object.values(outcomes)[0] ?? '';
  return Object.entries(outcomes)
    .map(([name, outcome]) => `${name}: ${outcome}`)
    .join('; ');
}

function existingFile(subject: Subject): string {
  const file = subject.newFile();
  writeFileSync(file, '');
  return file;
}

function expectExcluded(file: string, options: FileLockOptions): void {
  expect(new FileLock(file, options).tryAcquire()).toBeNull();
}

const acquiring =
  (options: FileLockOptions, newFile = existingFile) =>
  async (subject: Subject, faults: readonly string[]): Promise<string> => {
    const outcomes: Record<string, string> = {};
    for (const way of ['tryAcquire', 'acquire', 'acquireSync'] as const) {
      const file = newFile(subject);
      subject.arm(faults);
      const outcome = await subject.take(file, way, LONG, options);
      expect(subject.met, 'the fault has happened').toBe(true);
      subject.disarm();
      if (outcome.startsWith('granted')) expectExcluded(file, options);
      outcomes[way] = outcome;
      expect(await subject.call('release')).toBe('released');
      await subject.expectNothingLeaked(file);
    }
    return agreed(outcomes);
  };

const releasing =
  (options: FileLockOptions) =>
  async (subject: Subject, faults: readonly string[]): Promise<string> => {
    const file = subject.newFile();
    expect(await subject.take(file, 'tryAcquire', 0, options)).toMatch(/^granted/);
    subject.arm(faults);
    const outcome = await subject.call('release');
    expect(subject.met, 'the fault has happened').toBe(true);
    subject.disarm();
    await subject.expectNothingLeaked(file);
    return outcome;
  };

type End = 'granted' | 'LockTimeoutError' | 'aborted';
const ENDS: readonly (readonly [Way, End])[] = [
  ['acquire', 'granted'],
  ['acquire', 'LockTimeoutError'],
  ['acquire', 'aborted'],
  ['acquireSync', 'granted'],
  ['acquireSync', 'LockTimeoutError'],
];

/** Each way to wait, and each end of a wait. */
async function everyEnd(wait: (way: Way, end: End) => Promise<string>): Promise<string> {
  const outcomes: Record<string, string> = {};
  for (const [way, end] of ENDS) {
    const outcome = await wait(way, end);
    outcomes[`${way}, ${end}`] = outcome === end ? 'as ever' : outcome;
  }
  const { 'acquire, aborted': aborted, ...others } = outcomes;
  // The abort can come before the failure is told, or after it.
  return aborted === 'as ever' && agreed(others).startsWith('LockError') ? agreed(others) : agreed(outcomes);
}

/** `begun`: resolves once the wait has got so far that it may end. */
async function waitFor(
  subject: Subject,
  way: Way,
  end: End,
  options: FileLockOptions,
  begun: (file: string, wait: Promise<string>) => Promise<void>,
): Promise<string> {
  const file = subject.newFile();
  const holder = new FileLock(file, options).tryAcquire();
  const wait = subject.take(file, way, end === 'LockTimeoutError' ? SHORT : LONG, options);
  await begun(file, wait);
  if (end === 'granted') holder?.release();
  if (end === 'aborted') await subject.call('abort');
  const outcome = await wait;
  if (outcome === 'granted') expectExcluded(file, options);
  holder?.release();
  expect(await subject.call('release')).toBe('released');
  await subject.expectNothingLeaked(file);
  return outcome;
}

/** Each wait meets the fault. */
const waiting =
  (options: FileLockOptions) =>
  (subject: Subject, faults: readonly string[]): Promise<string> =>
    everyEnd(async (way, end) => {
      subject.arm(faults);
      return waitFor(subject, way, end, options, (_, wait) => subject.untilMet(wait).finally(() => subject.disarm()));
    });

/** The fault is there for all of the waits, and some meet it. */
async function waitingInTurn(subject: Subject, faults: readonly string[]): Promise<string> {
  subject.arm(faults);
  const outcome = await everyEnd((way, end) =>
    waitFor(subject, way, end, {}, (file, wait) => subject.untilOpened(file, wait)),
  );
  expect(subject.met, 'the fault has happened').toBe(true);
  subject.disarm();
  return outcome;
}

async function waitingWithPool(subject: Subject, faults: readonly string[]): Promise<string> {
  await subject.startPool();
  return waitingInTurn(subject, faults);
}

const checking =
  (check: string) =>
  async (subject: Subject, faults: readonly string[]): Promise<string> => {
    const file = subject.newFile();
    expect(await subject.take(file, 'tryAcquire', 0)).toBe('granted');
    subject.arm(faults);
    const outcome = await subject.call(check);
    expect(subject.met, 'the fault has happened').toBe(true);
    subject.disarm();
    expectExcluded(file, {});
    await subject.call('release');
    await subject.expectNothingLeaked(file);
    return outcome;
  };

async function inspecting(subject: Subject, faults: readonly string[]): Promise<string> {
  const file = subject.newFile();
  const holder = new FileLock(file, { recordHolder: true }).tryAcquire();
  subject.arm(faults);
  const outcome = await subject.call('inspect', { file, holder: process.pid });
  expect(subject.met, 'the fault has happened').toBe(true);
  subject.disarm();
  holder?.release();
  await subject.expectNothingLeaked(file);
  return outcome;
}

async function cleaningUp(subject: Subject, faults: readonly string[]): Promise<string> {
  const directory = subject.newFile();
  const file = path.join(directory, 'job', '.lock');
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, '');
  utimesSync(file, 0, 0);
  subject.arm(faults);
  const outcome = await subject.call('cleanUp', directory);
  expect(subject.met, 'the fault has happened').toBe(true);
  subject.disarm();
  await subject.expectNothingLeaked(file);
  return outcome;
}

/** Without a standard input, so that a lock file would get its number. */
async function acquiringWithoutInput(subject: Subject, faults: readonly string[]): Promise<string> {
  await subject.call('closeStandardInput');
  await subject.noteCounts();
  return acquiring({})(subject, faults);
}

const local = { onShm: false, always: [], fresh: false };
const shm = { ...local, onShm: true };
const nfs = { ...shm, always: [alleged()] };
const missingParents = (subject: Subject) => path.join(subject.newFile(), 'parent', 'lock');
const RECORD = { recordHolder: true };
const FCNTL = { mechanism: 'fcntl' } as const;

export const scenarios = {
  acquiring: { ...local, run: acquiring({}) },
  'acquiring, fcntl': { ...local, run: acquiring(FCNTL) },
  'acquiring with a record': { ...local, run: acquiring(RECORD) },
  'acquiring, parents missing': { ...local, run: acquiring({}, missingParents) },
  'acquiring, descriptor 0 free': { ...local, fresh: true, run: acquiringWithoutInput },
  'acquiring on tmpfs': { ...shm, run: acquiring({}) },
  'acquiring on NFS': { ...nfs, run: acquiring({}) },
  'acquiring with a record on NFS': { ...nfs, run: acquiring(RECORD) },
  releasing: { ...local, run: releasing({}) },
  'releasing, kept open': { ...local, run: releasing({ keepOpen: true }) },
  'releasing, fcntl': { ...local, run: releasing(FCNTL) },
  'releasing with a record': { ...local, run: releasing(RECORD) },
  waiting: { ...local, run: waiting({}) },
  'waiting, fcntl': { ...local, run: waiting(FCNTL) },
  'waiting in turn': { ...local, run: waitingInTurn },
  'waiting first': { ...local, fresh: true, run: waitingWithPool },
  'waiting first, thread pool unused': { ...local, fresh: true, run: waitingInTurn },
  verifying: { ...local, run: checking('verify') },
  'verifying on NFS': { ...nfs, run: checking('verify') },
  'watching for loss': { ...local, run: checking('lost') },
  inspecting: { ...local, run: inspecting },
  'cleaning up': { ...local, run: cleaningUp },
} satisfies Record<string, Scenario>;
