import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { onTestFinished } from 'vitest';

/** How long a storm lasts at least; NATIVE_FILE_LOCK_STRESS_SECONDS makes it longer. */
export const STORM_SECONDS = Number(process.env.NATIVE_FILE_LOCK_STRESS_SECONDS ?? 6);
export const STORM_TIMEOUT = STORM_SECONDS * 1000 + 120_000;

/**
 * A program of test/fixtures that runs until it is killed and keeps a log, which survives it. It gets
 * the log's path as `log`, beside its other arguments.
 */
export class LoggedProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  /** By the monotonic clock: up to here, at least, it held what it held. */
  killedAt: bigint | undefined;

  constructor(
    fixture: string,
    readonly log: string,
    argument: object,
  ) {
    writeFileSync(log, '');
    const file = path.join(__dirname, '../fixtures', fixture);
    this.#child = fork(file, [JSON.stringify({ ...argument, log })], { execArgv: [], stdio: 'inherit' });
    this.#ended = once(this.#child, 'exit');
    onTestFinished(() => this.kill());
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get text(): string {
    return readFileSync(this.log, 'latin1');
  }

  get hasBegun(): boolean {
    return statSync(this.log).size > 0;
  }

  /** Ended though nobody killed it: it failed. */
  get hasFailed(): boolean {
    return this.#child.exitCode !== null;
  }

  /** Stops it, and answers with whether its log ends within a possession, whose line begins with a plus. */
  async stopped(): Promise<boolean> {
    this.#child.kill('SIGSTOP');
    // The signal is sent, but it may take effect only a little later, on another processor.
    while (!/\) [tTZX] /.test(readFileSync(`/proc/${this.pid}/stat`, 'latin1'))) await delay(1);
    return /(^|\n)\+[^\n]*\n$/.test(this.text.slice(-256));
  }

  goOn(): void {
    this.#child.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    this.killedAt ??= process.hrtime.bigint();
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
