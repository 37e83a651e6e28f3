import { readdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { FileLock, type FileLockOptions } from '../../lib/index.js';
import { FaultyActor } from '../support/c-fixture.js';

/** Does something while `faults` are armed, and tells what came of it. */
export type Run = (subject: Subject, faults: readonly string[]) => Promise<string>;

export type Way = 'tryAcquire' | 'acquire' | 'acquireSync';

/** How many threads more than before its first wait a process may have, whatever fails: idle ones, and the one that polls. */
const MORE_THREADS = 4;

/** Is loaded at the first use of a lock. */
const MODULE = path.join(__dirname, '../../dist/queue/path-locks.js');

interface Counts {
  descriptors: number;
  threads: number;
}

/** Resolves once something is so, or `act` has ended. */
async function until(isSo: () => boolean, act: Promise<unknown>): Promise<void> {
  let ended = false;
  const end = () => {
    ended = true;
  };
  act.then(end, end);
  while (!isSo() && !ended) await delay(2);
}

/** A process whose system calls fail while a user asks it for something: test/fixtures/under-fault.cjs. */
export class Subject {
  #armed: readonly string[] = [];
  #files = 0;
  #before: Counts = { descriptors: 0, threads: 0 };

  private constructor(
    readonly directory: string,
    private readonly faulty: FaultyActor,
    /** Faults that are there all the time: what the file system alleges to be. */
    private readonly always: readonly string[],
  ) {}

  static async start(directory: string, always: readonly string[]): Promise<Subject> {
    const subject = new Subject(directory, await FaultyActor.start(), always);
    subject.disarm();
    return subject;
  }

  /** What is loaded and started at first use is there before descriptors and threads are counted. */
  async warmUp(): Promise<void> {
    const file = this.newFile();
    const holder = new FileLock(file).tryAcquire();
    for (const way of ['acquire', 'acquireSync'] as const) await this.take(file, way, 1);
    holder?.release();
    await this.take(file, 'acquire', 30_000, { recordHolder: true });
    await this.call('lost');
    await this.call('release');
    await this.call('inspect', { file, holder: 0 });
    await this.noteCounts();
  }

  /** Node's thread pool, which it starts when it is first used. */
  async startPool(): Promise<void> {
    await this.call('startPool');
    await this.noteCounts();
  }

  async noteCounts(): Promise<void> {
    this.#before = await this.call<Counts>('counts');
  }

  newFile(): string {
    return path.join(this.directory, `lock-${++this.#files}`);
  }

  call<T = string>(name: string, argument?: unknown): Promise<T> {
    return this.faulty.actor.run((require, [name, argument]) => require('./under-fault.cjs')[name](argument), [
      name,
      argument,
    ] as [string, unknown]);
  }

  take(file: string, way: Way, timeout: number, options: FileLockOptions = {}): Promise<string> {
    return this.call('take', { file, way, timeout, options });
  }

  get isOnServer(): boolean {
    return this.always.length > 0;
  }

  /** `file`: what FILE stands for in the faults. */
  arm(faults: readonly string[], file: string): void {
    const stands: Record<string, string> = {
      FILE: file,
      JOBS: path.dirname(path.dirname(file)),
      MODULE,
      PID: `${process.pid}`,
    };
    this.#armed = faults.map((fault) => fault.replaceAll(/FILE|JOBS|MODULE|PID/g, (word) => stands[word] ?? ''));
    this.faulty.inject(...this.#armed, ...this.always);
  }

  disarm(): void {
    this.faulty.inject(...this.always);
  }

  /** Whether each of the armed faults has happened; those that let a call through fail nothing. */
  get met(): boolean {
    return this.#haveHappened(this.#armed.filter((fault) => !fault.includes(' pass ')));
  }

  /** The same for all of them. */
  get metAll(): boolean {
    return this.#haveHappened(this.#armed);
  }

  #haveHappened(faults: readonly string[]): boolean {
    const left = this.faulty.left().split('\n');
    return !faults.some((fault) => left.includes(fault));
  }

  async underFault(faults: readonly string[], file: string, act: () => Promise<string>): Promise<string> {
    this.arm(faults, file);
    const outcome = await act();
    expect(this.met, 'the fault has happened').toBe(true);
    this.disarm();
    return outcome;
  }

  /** Resolves once the armed fault has happened, or `act` has ended without it. */
  async untilMet(act: Promise<unknown>): Promise<void> {
    await until(() => this.met, act);
    expect(this.met, 'the fault has happened').toBe(true);
  }

  /** Resolves once the process has opened the file, or `act` has ended. */
  async untilOpened(file: string, act: Promise<unknown>): Promise<void> {
    const directory = `/proc/${this.faulty.actor.pid}/fd`;
    const isOpen = (name: string) => {
      try {
        return readlinkSync(path.join(directory, name)) === file;
      } catch {
        return false; // closed meanwhile
      }
    };
    await until(() => readdirSync(directory).some(isOpen), act);
  }

  /** Nothing is locked, by nobody; every descriptor is closed, and every thread known. */
  async expectNothingLeaked(file: string): Promise<void> {
    for (const mechanism of ['flock', 'fcntl'] as const) {
      const free = () => {
        const guard = new FileLock(file, { mechanism }).tryAcquire();
        guard?.release();
        return guard !== null;
      };
      await expect.poll(free, { timeout: 10_000, interval: 5 }).toBe(true);
    }
    expect(await this.take(file, 'tryAcquire', 0)).toBe('granted');
    await this.call('release');
    const counts = () => this.call<Counts>('counts');
    const descriptors = async () => (await counts()).descriptors;
    await expect.poll(descriptors, { timeout: 10_000, interval: 5 }).toBeLessThanOrEqual(this.#before.descriptors);
    const now = await counts();
    expect(now.threads).toBeLessThanOrEqual(this.#before.threads + MORE_THREADS);
    // When they were counted first, a thread may not have closed its file yet.
    this.#before.descriptors = Math.min(this.#before.descriptors, now.descriptors);
  }
}
