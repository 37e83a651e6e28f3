import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { FileLockOptions } from '../../lib/index.js';
import { countHandOffs, findLostUpdate, findTwoHolders, historyOf } from '../support/possessions.js';
import { tempDir } from '../support/temp-dir.js';

const FIXTURE = path.join(__dirname, '../fixtures/contender.cjs');
/** The minimum duration of each test; NATIVE_FILE_LOCK_STRESS_SECONDS overrides it. */
const SECONDS = Number(process.env.NATIVE_FILE_LOCK_STRESS_SECONDS ?? 3);
/** The minimum number of hand-offs between processes in each test, more than 10,000 in all. */
const HAND_OFFS = 3_500;
const MAX_PAUSE_MS = 20;

const KINDS: { sync: boolean; tasks: number; options: FileLockOptions }[] = [
  { sync: false, tasks: 3, options: {} },
  { sync: true, tasks: 1, options: {} },
  { sync: false, tasks: 1, options: { keepOpen: true } },
  { sync: true, tasks: 1, options: { keepOpen: true } },
];

class Contender {
  readonly #child: ChildProcess;
  readonly ended: Promise<unknown>;
  killedAt: bigint | undefined;

  constructor(
    readonly slot: number,
    private readonly log: string,
    argument: object,
  ) {
    writeFileSync(log, '');
    this.#child = fork(FIXTURE, [JSON.stringify({ ...argument, log })], { execArgv: [], stdio: 'inherit' });
    this.ended = once(this.#child, 'exit');
  }

  get text(): string {
    return readFileSync(this.log, 'latin1');
  }

  get hasBeenGranted(): boolean {
    return statSync(this.log).size > 0;
  }

  get isHolding(): boolean {
    return /\+ \d+\n$/.test(this.text.slice(-64));
  }

  /** Whether the process exited by itself, which it never should. */
  get hasFailed(): boolean {
    return this.#child.exitCode !== null;
  }

  stop(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  kill(): void {
    this.killedAt = process.hrtime.bigint(); // taken before the kill: until then it held what it held
    this.#child.kill('SIGKILL');
  }
}

const VARIANTS: { name: string; options: FileLockOptions; removes: boolean }[] = [
  { name: 'flock', options: { mechanism: 'flock' }, removes: false },
  { name: 'fcntl', options: { mechanism: 'fcntl' }, removes: false },
  { name: 'flock, with holders that remove the file', options: { mechanism: 'flock' }, removes: true },
];

test.each(VARIANTS)(
  'two processes never hold the lock at once, even if processes are killed or stopped: $name',
  async ({ name, options, removes }) => {
    const directory = tempDir();
    const counter = path.join(directory, 'counter');
    writeFileSync(counter, new BigUint64Array(1));
    const all: Contender[] = [];
    const alive: Contender[] = [];
    onTestFinished(async () => {
      for (const each of alive) each.kill();
      await Promise.all(all.map((each) => each.ended));
    });
    function start(slot: number): void {
      const kind = KINDS[slot];
      const contender = new Contender(slot, path.join(directory, `${all.length}.log`), {
        path: path.join(directory, 'l'),
        counter,
        removes,
        sync: kind?.sync,
        tasks: kind?.tasks,
        options: { ...kind?.options, ...options },
      });
      all.push(contender);
      alive[slot] = contender;
    }

    const counts = { kills: 0, killsWhileHolding: 0, stops: 0 };
    /** Stops a random process, and kills it if it holds the lock. */
    async function stopOrKillOne(): Promise<void> {
      const victim = alive[Math.floor(Math.random() * alive.length)];
      if (!victim?.hasBeenGranted) return;
      victim.stop();
      counts.stops++;
      await delay(Math.random() * 5);
      const holding = victim.isHolding;
      if (!holding && Math.random() < 0.9) {
        victim.resume();
        return;
      }
      victim.kill();
      counts.kills++;
      if (holding) counts.killsWhileHolding++;
      await victim.ended;
      start(victim.slot);
    }

    for (const slot of KINDS.keys()) start(slot);
    const end = performance.now() + SECONDS * 1000;
    while (performance.now() < end || counts.killsWhileHolding < 5 || countHandOffs(historyOf(all)) < HAND_OFFS) {
      for (let round = 0; round < 10; round++) {
        await delay(Math.random() * MAX_PAUSE_MS);
        await stopOrKillOne();
      }
      expect(alive.filter((each) => each.hasFailed)).toEqual([]);
    }
    for (const each of alive) each.kill();
    await Promise.all(all.map((each) => each.ended));

    const possessions = historyOf(all);
    const handOffs = countHandOffs(possessions);
    console.log(`${name}: ${possessions.length} grants, ${handOffs} hand-offs, ${JSON.stringify(counts)}`);
    expect(findTwoHolders(possessions)).toBeUndefined();
    expect(findLostUpdate(possessions)).toBeUndefined();
    for (const slot of KINDS.keys()) {
      expect(possessions.filter(({ contender }) => contender.slot === slot).length).toBeGreaterThan(0);
    }
  },
  SECONDS * 1000 + 120_000,
);
