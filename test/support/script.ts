import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { onTestFinished } from 'vitest';

/** How a program ended, and how long after it was asked to. */
export interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
  milliseconds: number;
}

/** A program in test/fixtures that, unlike an actor, ends by itself. It prints `ready` and waits for a line of input. */
export class Script {
  #askedAt = performance.now();
  readonly #child: ChildProcess;
  readonly #ended: Promise<[number | null, NodeJS.Signals | null]>;
  #output = '';

  private constructor(name: string, argument: unknown) {
    const file = path.join(__dirname, '../fixtures', name);
    this.#child = spawn(process.execPath, [file, JSON.stringify(argument)], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stdin?.on('error', () => {}); // it may exit before it has read everything
    this.#child.stdout?.on('data', (text) => {
      this.#output += text;
    });
    this.#child.stderr?.on('data', (text) => {
      this.#output += text;
    });
    this.#ended = once(this.#child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    onTestFinished(async () => {
      this.#child.kill('SIGKILL');
      await this.#ended;
    });
  }

  /** Resolves once the program has printed `ready`. */
  static async start(name: string, argument: unknown): Promise<Script> {
    const script = new Script(name, argument);
    await script.printed('ready');
    return script;
  }

  /** Everything printed so far, on both streams. */
  get output(): string {
    return this.#output;
  }

  async printed(text: string): Promise<void> {
    while (!this.#output.includes(text)) {
      if (this.#child.exitCode !== null) throw new Error(`it exited without printing ${text}: ${this.#output}`);
      await Promise.race([once(this.#child.stdout as NodeJS.ReadableStream, 'data'), this.#ended]);
    }
  }

  /** Sends the line of input that the program waits for. */
  proceed(): void {
    this.#askedAt = performance.now();
    this.#child.stdin?.end('go\n');
  }

  signal(name: NodeJS.Signals): void {
    this.#askedAt = performance.now();
    this.#child.kill(name);
  }

  async ended(): Promise<Ending> {
    const [code, signal] = await this.#ended;
    return { code, signal, milliseconds: performance.now() - this.#askedAt };
  }
}
