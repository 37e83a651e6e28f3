import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
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

/** Builds a shared object from test/fixtures. */
export function buildShared(name: string): string {
  const file = path.join(tempDir(), `${name}.so`);
  execFileSync('cc', [
    '-shared',
    '-fPIC',
    '-Wl,-z,nodelete',
    '-o',
    file,
    path.join(__dirname, `../fixtures/${name}.c`),
    '-ldl',
  ]);
  return file;
}

/** A process whose system calls can be made to fail: test/fixtures/faults.c. */
export class FaultyActor {
  private constructor(
    readonly actor: Actor,
    private readonly file: string,
  ) {}

  static async start(): Promise<FaultyActor> {
    const file = path.join(tempDir(), 'faults');
    writeFileSync(file, '');
    const env = { FAULTS: file, LD_PRELOAD: buildShared('faults') };
    return new FaultyActor(await Actor.process({ env }), file);
  }

  /** The faults that were not used. */
  left(): string {
    return readFileSync(this.file, 'utf8');
  }

  /** From now on: a fault for each line. */
  inject(...lines: string[]): void {
    writeFileSync(this.file, lines.map((line) => `${line}\n`).join(''));
  }
}
