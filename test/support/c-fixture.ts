import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import { Actor } from './actor.js';
import { tempDir } from './temp-dir.js';

function works(command: string): boolean {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Whether C fixtures can be built here. Users do not need a compiler, so tests that do say that they are skipped. */
export const hasCompiler = process.platform === 'linux' && works('cc');

if (!hasCompiler) console.warn('Skipped: tests with injected faults. They need Linux and a C compiler (cc).');

const built = new Map<string, string>();

afterAll(() => {
  for (const file of built.values()) rmSync(path.dirname(file), { recursive: true });
});

/** Builds a shared object from test/fixtures, once for all tests of a file. */
export function buildShared(name: string): string {
  const known = built.get(name);
  if (known !== undefined) return known;
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'native-file-lock-')), `${name}.so`);
  const source = path.join(__dirname, `../fixtures/${name}.c`);
  execFileSync('cc', ['-shared', '-fPIC', '-Wl,-z,nodelete', '-o', file, source, '-ldl']);
  built.set(name, file);
  return file;
}

/** A process whose system calls can be made to fail: test/fixtures/faults.c. */
export class FaultyActor {
  #injections = 0;

  private constructor(
    readonly actor: Actor,
    private readonly link: string,
  ) {}

  static async start(): Promise<FaultyActor> {
    const link = path.join(tempDir(), 'faults');
    const env = { FAULTS: link, LD_PRELOAD: buildShared('faults') };
    return new FaultyActor(await Actor.process({ env }), link);
  }

  /** The faults that were not used. */
  left(): string {
    return readFileSync(this.link, 'utf8');
  }

  /** From now on: a fault for each line. */
  inject(...lines: string[]): void {
    const file = `${this.link}-${++this.#injections}`;
    writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
    symlinkSync(file, `${file}-link`);
    renameSync(`${file}-link`, this.link);
  }
}
