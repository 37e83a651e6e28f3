import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FileLock, type JobLockManager, type LockGuard, type LockMode, LockTimeoutError } from '../../lib/index.js';
import { CommandContender, isInstalled, type LockCommand, pythonCommand } from '../support/command-contender.js';
import { type AcquireRequest, type Contender, cycleOf, type Possession } from '../support/contender.js';
import type { Interval } from '../support/intervals.js';
import { indexLockFile, jobLockFile, managerOf, tempManager } from '../support/jobs.js';
import { lockLaws } from '../support/lock-laws.js';

/** What the original module does: creates the directory, touches the file, and polls the lock every 100 ms. */
const ORIGINAL = `
import fcntl, pathlib, sys, time
path, timeout = pathlib.Path(sys.argv[1]), float(sys.argv[2])
path.parent.mkdir(parents=True, exist_ok=True)
path.touch()
with open(path, 'r+') as file:
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= deadline:
                sys.exit(75)
            time.sleep(0.1)
    print('held', flush=True)
    sys.stdin.read()
    fcntl.flock(file.fileno(), fcntl.LOCK_UN)
`;
const TIMED_OUT = 75;
const DEFAULT_TIMEOUT_SECONDS = 30;

class Original {
  readonly ended: Promise<unknown>;
  readonly granted: Promise<unknown>;
  readonly child: ChildProcess;

  constructor(file: string, timeoutSeconds = DEFAULT_TIMEOUT_SECONDS) {
    this.child = spawn('python3', ['-c', ORIGINAL, file, String(timeoutSeconds)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.ended = once(this.child, 'exit').then(([code]) => code);
    this.granted = once(this.child.stdout as NodeJS.ReadableStream, 'data');
    onTestFinished(async () => {
      this.child.kill('SIGKILL');
      await this.ended;
    });
  }

  release(): void {
    this.child.stdin?.end();
  }
}

interface Files {
  fileOf(base: string): string;
  acquire(manager: JobLockManager, request?: AcquireRequest): Promise<LockGuard>;
}
const FILES: Record<string, Files> = {
  'the lock of a job': {
    fileOf: (base) => jobLockFile(base, 'job-1'),
    acquire: (manager, request) => manager.lockJobDirectory('job-1', request),
  },
  'the lock of the index': { fileOf: indexLockFile, acquire: (manager, request) => manager.lockJobsIndex(request) },
};

/** A manager that contends for one of its locks. */
class ManagerContender implements Contender {
  constructor(
    private readonly manager: JobLockManager,
    private readonly files: Files,
  ) {}

  async acquire(request?: AcquireRequest): Promise<Possession> {
    const guard = await this.files.acquire(this.manager, request);
    return {
      since: process.hrtime.bigint(),
      release: async () => {
        const at = process.hrtime.bigint();
        guard.release();
        return at;
      },
    };
  }

  async tryAcquire(mode?: LockMode): Promise<Possession | null> {
    try {
      return await this.acquire({ mode, timeout: 0 });
    } catch (error) {
      if (error instanceof LockTimeoutError) return null;
      throw error;
    }
  }

  cycle(rounds: number, mode?: LockMode): Promise<Interval[]> {
    return cycleOf(this, rounds, mode);
  }
}

/** Python's fcntl.flock on a file whose directory exists. */
function pythonOn(file: string): LockCommand {
  const command = pythonCommand('flock');
  return (_, mode, wait) => command(file, mode, wait);
}

const available = isInstalled('python3');

for (const [name, files] of Object.entries(FILES)) {
  if (!available) continue;
  lockLaws(
    `${name}, between a manager and Python's fcntl.flock`,
    async (somewhere) => {
      const base = path.join(path.dirname(somewhere), 'jobs');
      const manager = managerOf(base);
      (await files.acquire(manager)).release(); // creates the directory
      return [new ManagerContender(manager, files), new CommandContender(pythonOn(files.fileOf(base)), somewhere)];
    },
    8, // each round of Python is a process
  );
}

describe.skipIf(!available).each(Object.entries(FILES))('%s and the original module', (_, files) => {
  test('the manager waits for the original, and is granted the lock when it releases or is killed', async () => {
    for (const end of [(it: Original) => it.release(), (it: Original) => void it.child.kill('SIGKILL')]) {
      const manager = tempManager();
      const original = new Original(files.fileOf(manager.jobsDirectory));
      await original.granted;
      await expect(files.acquire(manager, { timeout: 100 })).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT' });
      expect(new FileLock(files.fileOf(manager.jobsDirectory)).inspect()).toMatchObject({
        state: 'held',
        holder: { pid: original.child.pid, running: true, thisProcess: false, command: 'python3', acquiredAt: null },
      });
      end(original);
      const guard = await files.acquire(manager);
      expect(guard.held).toBe(true);
      // The original writes no record, so how it ended is unknown.
      expect(guard.previousHolder).toBeNull();
    }
  });

  test('the original waits for the manager, and is granted the lock when it releases', async () => {
    const manager = tempManager();
    const file = files.fileOf(manager.jobsDirectory);
    const guard = await files.acquire(manager);
    expect(await new Original(file, 0.3).ended).toBe(TIMED_OUT);
    const patient = new Original(file);
    guard.release();
    await patient.granted;
    await expect(files.acquire(manager, { timeout: 0 })).rejects.toBeInstanceOf(LockTimeoutError);
  });

  test('a record in the lock file does not affect the original, nor its lock file the manager', async () => {
    const manager = tempManager();
    const first = await files.acquire(manager);
    first.release();
    const original = new Original(files.fileOf(manager.jobsDirectory));
    await original.granted;
    original.release();
    expect(await original.ended).toBe(0);
    const second = await files.acquire(manager);
    expect(second.previousHolder).toBeNull();
    expect(second.fencingToken).toBeGreaterThan(first.fencingToken ?? 0n);
  });
});
