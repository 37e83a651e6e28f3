import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { onTestFinished } from 'vitest';

const FIXTURE = path.join(__dirname, '../fixtures/actor.cjs');

interface Answer {
  id: number;
  value?: unknown;
  error?: { message: string };
}

/** A contender in a child process or a worker thread, driven by commands (test/fixtures/actor.cjs). */
export class Actor {
  #lastId = 0;
  readonly #pending = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();

  private constructor(
    private readonly subject: ChildProcess | Worker,
    /** Resolves when the actor has exited, for whatever reason. */
    readonly ended: Promise<unknown>,
  ) {
    subject.on('message', (answer: Answer) => {
      const pending = this.#pending.get(answer.id);
      this.#pending.delete(answer.id);
      if (answer.error) pending?.reject(Object.assign(new Error(answer.error.message), answer.error));
      else pending?.resolve(answer.value);
    });
    void ended.then(() => {
      for (const pending of this.#pending.values()) pending.reject(new Error('the actor has ended'));
      this.#pending.clear();
    });
  }

  /** `through`: a wrapper command that executes the process, such as `setpriv`, with its arguments. */
  static async process(
    options: { env?: NodeJS.ProcessEnv; execArgv?: string[]; through?: readonly string[] } = {},
  ): Promise<Actor> {
    const env = { ...process.env, ...options.env };
    const [execPath = '', ...execArgv] = [...(options.through ?? []), process.execPath, ...(options.execArgv ?? [])];
    const child = fork(FIXTURE, { serialization: 'advanced', env, execPath, execArgv });
    return Actor.#started(new Actor(child, once(child, 'exit')));
  }

  static async worker(): Promise<Actor> {
    const worker = new Worker(FIXTURE);
    return Actor.#started(new Actor(worker, once(worker, 'exit')));
  }

  static async #started(actor: Actor): Promise<Actor> {
    onTestFinished(() => actor.end());
    await once(actor.subject, 'message');
    return actor;
  }

  get pid(): number {
    return (this.subject as ChildProcess).pid ?? 0;
  }

  /** Sends a command. Rejects with the error that the command threw in the actor. */
  call<T = unknown>(command: string, args: Record<string, unknown> = {}): Promise<T> {
    const id = ++this.#lastId;
    const answer = new Promise<T>((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as (value: unknown) => void, reject });
      const message = { id, command, args };
      if (this.subject instanceof Worker) this.subject.postMessage(message);
      else this.subject.send(message);
    });
    // If the actor exits first, a call that nobody awaits must not become an unhandled rejection.
    answer.catch(() => {});
    return answer;
  }

  /** Runs a function in the actor. It sees only its arguments; `require('../..')` is the package. */
  run<T, A = undefined>(
    body: (require: NodeJS.Require, argument: A) => T | Promise<T>,
    argument?: A,
  ): Promise<Awaited<T>> {
    return this.call('evaluate', { code: `return (${body})(require, argument)`, argument });
  }

  /** Sends a signal to the process. */
  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name);
  }

  /** Kills the process or terminates the thread, and waits until it has exited. */
  async end(): Promise<void> {
    if (this.subject instanceof Worker) await this.subject.terminate();
    else if (this.subject.exitCode === null && this.subject.signalCode === null) this.subject.kill('SIGKILL');
    await this.ended;
  }
}
