import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/**
 * The programs under measurement. Each runs in a process of its own and answers commands, one per line,
 * with one line of numbers. So the sides of a comparison take turns within milliseconds, and noise on the
 * machine affects all of them. A side that does not answer in time is killed; the others go on.
 */
const FLOOR = fileURLToPath(new URL('./build/floor', import.meta.url));
const sideProgram = (name) => fileURLToPath(new URL(`./sides/${name}`, import.meta.url));

const running = new Set();

export class NoAnswer extends Error {}

export class Side {
  #child;
  #lines = [];
  #readers = [];
  #ended = null;
  #stderr = '';

  constructor(name, file, args) {
    this.name = name;
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    running.add(this);
    createInterface(this.#child.stdout).on('line', (line) => {
      const reader = this.#readers.shift();
      if (reader) reader.resolve(line);
      else this.#lines.push(line);
    });
    this.#child.stderr.on('data', (text) => {
      this.#stderr += text;
    });
    this.#child.stdin.on('error', () => {}); // the process has exited; the next command reports it
    this.exited = new Promise((resolve) => {
      const end = (why) => {
        running.delete(this);
        const error = this.#stderr.split('\n').find((line) => /error|cannot/i.test(line)) ?? '';
        this.#ended = new Error(`${name} exited (${why}) ${error}`.trim());
        for (const { reject } of this.#readers) reject(this.#ended);
        this.#readers = [];
        resolve();
      };
      this.#child.on('error', (error) => end(error.message));
      this.#child.on('close', (code, signal) => end(signal ?? code));
    });
  }

  send(...words) {
    this.#child.stdin.write(`${words.join(' ')}\n`);
  }

  /** The next line, as numbers. Rejects and kills the process if none arrives in time. */
  async receive(limit = 20_000) {
    if (this.#lines.length > 0) return this.#lines.shift().split(' ').map(Number);
    if (this.#ended) throw this.#ended;
    let timer;
    try {
      const line = await new Promise((resolve, reject) => {
        this.#readers.push({ resolve, reject });
        timer = setTimeout(() => {
          reject(new NoAnswer(`${this.name}: no answer within ${limit / 1000} s`));
          this.kill();
        }, limit);
      });
      return line.split(' ').map(Number);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a command and resolves with the first number of the answer. */
  async ask(...words) {
    this.send(...words);
    return (await this.receive())[0];
  }

  kill(signal = 'SIGKILL') {
    this.#child.kill(signal);
  }

  async end() {
    this.#child.stdin.end();
    const timer = setTimeout(() => this.kill(), 500);
    await this.exited;
    clearTimeout(timer);
  }
}

export const floorSide = () => new Side('C', FLOOR, []);
export const ourSide = (...flags) => new Side('ours', process.execPath, [...flags, sideProgram('ours.mjs')]);
export const bareSide = () => new Side('bare', process.execPath, [sideProgram('bare.mjs')]);
export const peerSide = (name) =>
  name === 'python'
    ? new Side(name, 'python3', [sideProgram('flock_polling.py')])
    : new Side(name, process.execPath, [sideProgram('peer.mjs'), name]);

/** Leaves no process behind, even after a failure. */
export function killAll() {
  for (const side of running) side.kill();
}
