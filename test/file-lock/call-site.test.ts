import { expect, test } from 'vitest';
import { FileLock, type LockTimeoutError } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { RemoteContender } from '../support/contender.js';
import { managerOf } from '../support/jobs.js';
import { tempDir } from '../support/temp-dir.js';

const JOB = 'job';

/** The frames of the stack of a timeout, by the function that asked for the lock. */
async function stackOf(ask: () => Promise<unknown>): Promise<string> {
  async function whoAsksForTheLock() {
    return await ask();
  }
  return whoAsksForTheLock().then(
    () => 'granted',
    (error: LockTimeoutError) => error.stack ?? '',
  );
}

test('the stack of a timeout behind another process shows who asked for the lock', async () => {
  const directory = tempDir();
  const file = `${directory}/${JOB}/.lock`;
  await (await RemoteContender.open(await Actor.process(), file)).acquire();
  const lock = new FileLock(file);
  const manager = managerOf(directory);
  const options = { timeout: 20 };
  const ways = {
    acquire: () => lock.acquire(options),
    withLock: () => lock.withLock(() => {}, options),
    lockJobDirectory: () => manager.lockJobDirectory(JOB, options),
    jobLock: () => manager.jobLock(JOB, () => {}, options),
  };
  for (const [name, ask] of Object.entries(ways)) {
    const stack = await stackOf(ask);
    expect(stack, name).toMatch(/^LockTimeoutError: Timed out after 20 ms/);
    expect(stack, name).toContain('whoAsksForTheLock');
  }
});
