import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { FileLock, type FileLockOptions } from '../../lib/index.js';
import type { Run, Subject, Way } from './subject.js';

/** Longer than any fault lasts. */
const LONG = 30_000;
const SHORT = 60;
const WAYS = ['tryAcquire', 'acquire', 'acquireSync'] as const;

/** One word for all, if they are the same. */
function agreed(outcomes: Record<string, string>): string {
  const different = new Set(Object.values(outcomes));
  if (different.size === 1) return Object.values(outcomes)[0] ?? '';
  return Object.entries(outcomes)
    .map(([name, outcome]) => `${name}: ${outcome}`)
    .join('; ');
}

/** Names a file for an acquisition, and makes ready for it what must be there. */
type Prepare = (subject: Subject) => Promise<string>;

export const existingFile: Prepare = async (subject) => {
  const file = subject.newFile();
  writeFileSync(file, '');
  return file;
};

export const missingParents: Prepare = async (subject) => path.join(subject.newFile(), 'parent', 'lock');

/** Once a file was locked there, the process knows that it is on a server, and `acquire` works on threads. */
async function acquaint(subject: Subject, file: string): Promise<void> {
  expect(await subject.take(file, 'tryAcquire', 0)).toBe('granted');
  await subject.call('release');
}

export const knownFile: Prepare = async (subject) => {
  const file = await existingFile(subject);
  await acquaint(subject, file);
  return file;
};

export const knownFileWithoutParents: Prepare = async (subject) => {
  const file = await missingParents(subject);
  await acquaint(subject, file);
  rmSync(path.dirname(path.dirname(file)), { recursive: true });
  return file;
};

function expectExcluded(file: string, options: FileLockOptions): void {
  expect(new FileLock(file, options).tryAcquire()).toBeNull();
}

export const acquiring =
  (options: FileLockOptions, prepare: Prepare = existingFile, ways: readonly Way[] = WAYS): Run =>
  async (subject, faults) => {
    const outcomes: Record<string, string> = {};
    for (const way of ways) {
      const file = await prepare(subject);
      const outcome = await subject.underFault(faults, file, () => subject.take(file, way, LONG, options));
      if (outcome.startsWith('granted')) expectExcluded(file, options);
      outcomes[way] = outcome;
      expect(await subject.call('release')).toBe('released');
      await subject.expectNothingLeaked(file);
    }
    return agreed(outcomes);
  };

/** Without a standard input, so that a lock file would get its number. */
export const acquiringWithoutInput: Run = async (subject, faults) => {
  await subject.call('closeStandardInput');
  await subject.noteCounts();
  return acquiring({})(subject, faults);
};

/** `exposed`: its user knows the descriptor, and may have closed it. */
export const releasing =
  (options: FileLockOptions, exposed = false): Run =>
  async (subject, faults) => {
    const file = subject.newFile();
    expect(await subject.take(file, 'tryAcquire', 0, options)).toMatch(/^granted/);
    if (exposed) await subject.call('expose');
    const outcome = await subject.underFault(faults, file, () => subject.call('release'));
    await subject.expectNothingLeaked(file);
    return outcome;
  };

/** From one guard to a waiter of the same thread, with its file. */
export const handingOn: Run = async (subject, faults) => {
  const file = subject.newFile();
  expect(await subject.take(file, 'tryAcquire', 0)).toBe('granted');
  await subject.call('queue', file);
  const outcome = await subject.underFault(faults, file, () => subject.call('handOn'));
  if (outcome === 'granted') expectExcluded(file, {});
  await subject.call('release');
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
  file: string,
  begun: (wait: Promise<string>) => Promise<void>,
): Promise<string> {
  const holder = new FileLock(file, options).tryAcquire();
  const wait = subject.take(file, way, end === 'LockTimeoutError' ? SHORT : LONG, options);
  await begun(wait);
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
export const waiting =
  (options: FileLockOptions, prepare: Prepare = existingFile): Run =>
  (subject, faults) =>
    everyEnd(async (way, end) => {
      const file = await prepare(subject);
      subject.arm(faults, file);
      return waitFor(subject, way, end, options, file, (wait) =>
        subject.untilMet(wait).finally(() => subject.disarm()),
      );
    });

/** The fault is there for all of the waits, and some meet it. */
export const waitingInTurn: Run = async (subject, faults) => {
  subject.arm(faults, '');
  const outcome = await everyEnd((way, end) => {
    const file = subject.newFile();
    return waitFor(subject, way, end, {}, file, (wait) => subject.untilOpened(file, wait));
  });
  expect(subject.met, 'the fault has happened').toBe(true);
  subject.disarm();
  return outcome;
};

export const waitingWithPool: Run = async (subject, faults) => {
  await subject.startPool();
  return waitingInTurn(subject, faults);
};
