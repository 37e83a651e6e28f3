import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { onTestFinished } from 'vitest';

/** The minimum duration of a stress test; NATIVE_FILE_LOCK_STRESS_SECONDS overrides it. */
export const STORM_SECONDS = Number(process.env.NATIVE_FILE_LOCK_STRESS_SECONDS ?? 6);
export const STORM_TIMEOUT = STORM_SECONDS * 1000 + 120_000;

/**
 * A program in test/fixtures that runs until it is killed and keeps a log, which survives it. It receives
 * the path of the log as `log`, along with its other arguments.
 */
export class LoggedProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  /** Monotonic time just before the kill: at least until then the process held what it held. */
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

  get hasStarted(): boolean {
    return statSync(this.log).size > 0;
  }

  /** Whether the process exited by itself, which it never should. */
  get hasFailed(): boolean {
    return this.#child.exitCode !== null;
  }

  /** Stops the process. Resolves with whether it holds the lock: then the last line of its log begins with a plus. */
  async stopped(): Promise<boolean> {
    this.#child.kill('SIGSTOP');
    // The signal may take effect a little later, on another processor.
    while (!/\) [tTZX] /.test(readFileSync(`/proc/${this.pid}/stat`, 'latin1'))) await delay(1);
    return /(^|\n)\+[^\n]*\n$/.test(this.text.slice(-256));
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    this.killedAt ??= process.hrtime.bigint();
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
