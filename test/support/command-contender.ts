import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { onTestFinished } from 'vitest';
import type { LockMode } from '../../lib/index.js';
import { type AcquireRequest, type Contender, cycleOf, type Possession } from './contender.js';
import type { Interval } from './intervals.js';

/**
 * A command that acquires the lock, prints `held`, and holds the lock until its standard input closes.
 * Without `wait` it exits without printing anything if the lock is held elsewhere.
 */
export type LockCommand = (path: string, mode: LockMode, wait: boolean) => readonly [file: string, ...args: string[]];

/** flock(1) of util-linux. */
export const flockCommand: LockCommand = (path, mode, wait) => [
  'flock',
  mode === 'shared' ? '--shared' : '--exclusive',
  ...(wait ? [] : ['--nonblock']),
  path,
  '--command',
  'echo held; cat',
];

let python: string | undefined;

/** The interpreter itself: `python3` may be a wrapper script, whose lookup takes ten times as long as the rest. */
function pythonExecutable(): string {
  python ??= spawnSync('python3', ['-c', 'import sys; print(sys.executable, end="")'], { encoding: 'utf8' }).stdout;
  return python;
}

/** A function of Python's fcntl module: `flock`, or `lockf`, which takes a traditional POSIX lock. */
export function pythonCommand(call: 'flock' | 'lockf'): LockCommand {
  return (path, mode, wait) => {
    const operation = `fcntl.${mode === 'shared' ? 'LOCK_SH' : 'LOCK_EX'}${wait ? '' : ' | fcntl.LOCK_NB'}`;
    const script = `
import fcntl, sys
with open(sys.argv[1], 'a+') as file:
    try:
        fcntl.${call}(file, ${operation})
    except BlockingIOError:
        sys.exit()
    print('held', flush=True)
    sys.stdin.read()
`;
    return [pythonExecutable(), '-I', '-S', '-c', script, path];
  };
}

/** Whether the command is installed. Prints a warning if it is not, so that the missing tests are noticed. */
export function isInstalled(command: string): boolean {
  const installed = spawnSync(command, ['--version']).status === 0;
  if (!installed) console.warn(`Not tested against ${command}: it is not installed`);
  return installed;
}

class CommandPossession implements Possession {
  readonly since = process.hrtime.bigint();
  constructor(
    private readonly child: ChildProcess,
    private readonly ended: Promise<unknown>,
  ) {}

  async release(): Promise<bigint> {
    const at = process.hrtime.bigint();
    this.child.stdin?.end();
    await this.ended;
    return at;
  }
}

/** Another program, started once for each acquisition. */
export class CommandContender implements Contender {
  constructor(
    private readonly command: LockCommand,
    private readonly path: string,
  ) {}

  async acquire({ mode = 'exclusive' }: AcquireRequest = {}): Promise<Possession> {
    const possession = await this.#start(mode, true);
    if (possession === null) throw new Error('the command exited without the lock');
    return possession;
  }

  tryAcquire(mode: LockMode = 'exclusive'): Promise<Possession | null> {
    return this.#start(mode, false);
  }

  cycle(rounds: number, mode?: LockMode): Promise<Interval[]> {
    return cycleOf(this, rounds, mode);
  }

  async #start(mode: LockMode, wait: boolean): Promise<Possession | null> {
    const [file, ...args] = this.command(this.path, mode, wait);
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    onTestFinished(async () => {
      child.stdin.end(); // also ends the command's own child, which the signal does not reach
      child.kill('SIGKILL');
      await ended;
    });
    const held = once(child.stdout, 'data').then(() => new CommandPossession(child, ended));
    return Promise.race([held, ended.then(() => null)]);
  }
}
