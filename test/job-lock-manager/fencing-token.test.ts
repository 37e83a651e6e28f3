import { rmSync, truncateSync, writeFileSync } from 'node:fs';
import { expect, onTestFinished, test, vi } from 'vitest';
import { FileLock } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { jobLockFile, managerOf, RecordingActor, tempManager } from '../support/jobs.js';
import { forgeRecord } from '../support/records.js';
import { tempLock } from '../support/temp-dir.js';

/** The token of one grant, which is released immediately. */
function tokenOf(lock: FileLock): bigint {
  using guard = lock.acquireSync();
  expect(guard.fencingToken).toBeTypeOf('bigint');
  return guard.fencingToken ?? -1n;
}

const recorded = (file: string) => new FileLock(file, { recordHolder: true });

function expectGrowing(tokens: readonly bigint[]): void {
  const at = tokens.findIndex((token, index) => index > 0 && token <= (tokens[index - 1] ?? -1n));
  expect(at === -1 ? null : { at, before: tokens[at - 1], after: tokens[at] }).toBeNull();
}

/** The tokens of several grants, with a step after each. */
const tokensOf = (file: string, grants: number, between: () => void): bigint[] =>
  Array.from({ length: grants }, () => {
    const token = tokenOf(recorded(file));
    between();
    return token;
  });

test('tokens grow with every grant, even many times per millisecond', () => {
  for (const keepOpen of [false, true]) {
    const lock = new FileLock(tempLock(), { recordHolder: true, keepOpen });
    onTestFinished(() => lock.close());
    expectGrowing(Array.from({ length: 5000 }, () => tokenOf(lock)));
  }
});

test('tokens grow across all locks and managers of one path', async () => {
  const manager = tempManager();
  const other = managerOf(manager.jobsDirectory);
  const lock = recorded(jobLockFile(manager.jobsDirectory, 'job'));
  const tokens: bigint[] = [];
  for (let round = 0; round < 100; round++) {
    for (const acquire of [
      () => manager.lockJobDirectory('job'),
      () => other.lockJobDirectorySync('job'),
      () => lock.tryAcquire(),
    ]) {
      const guard = await acquire();
      tokens.push(guard?.fencingToken ?? -1n);
      guard?.release();
    }
  }
  expectGrowing(tokens);
});

test('tokens grow across processes, threads and crashes', async () => {
  const file = tempLock();
  const tokens: bigint[] = [];
  for (let round = 0; round < 3; round++) {
    const actors = [await RecordingActor.open(file), await RecordingActor.open(file, await Actor.worker())];
    for (let turn = 0; turn < 20; turn++) {
      for (const actor of actors) {
        tokens.push((await actor.acquire()).fencingToken ?? -1n);
        await actor.release();
      }
    }
    const [victim] = actors;
    tokens.push((await victim?.acquire())?.fencingToken ?? -1n);
    await victim?.crash();
  }
  tokens.push(tokenOf(recorded(file)));
  expectGrowing(tokens);
});

test('tokens grow even if the lock file is removed', () => {
  const file = tempLock();
  expectGrowing(tokensOf(file, 500, () => rmSync(file)));
});

test('tokens grow even if the lock file is emptied', () => {
  const file = tempLock();
  expectGrowing(tokensOf(file, 500, () => truncateSync(file)));
});

test('tokens grow across clean-up', async () => {
  const manager = tempManager();
  const tokens: bigint[] = [];
  let removed = 0;
  for (let round = 0; round < 50; round++) {
    using guard = manager.lockJobDirectorySync('job');
    tokens.push(guard.fencingToken ?? -1n);
    guard.release();
    removed += (await manager.cleanupStaleLocks({ maxAge: 0 })).length;
  }
  expectGrowing(tokens);
  expect(removed).toBeGreaterThan(0);
});

test('tokens grow even if the clock is set back, as long as the file stays', async () => {
  const file = tempLock();
  const actor = await RecordingActor.open(file);
  const tokens = [tokenOf(recorded(file))];
  vi.spyOn(Date, 'now').mockReturnValue(0);
  onTestFinished(() => void vi.restoreAllMocks());
  tokens.push(tokenOf(recorded(file)));
  await actor.actor.run(() => {
    Date.now = () => 1000;
  });
  tokens.push((await actor.acquire()).fencingToken ?? -1n);
  await actor.release();
  tokens.push(tokenOf(recorded(file)));
  expectGrowing(tokens);
});

test('after a record from a clock that was ahead, tokens grow by one', () => {
  const file = tempLock();
  const ahead = (BigInt(Date.now()) + 3_600_000n) * 1000n;
  writeFileSync(file, forgeRecord({ token: String(ahead), state: 'released' }));
  expect([tokenOf(recorded(file)), tokenOf(recorded(file))]).toEqual([ahead + 1n, ahead + 2n]);
});

test('a first token is close to the wall clock in microseconds', () => {
  const before = BigInt(Date.now()) * 1000n;
  const token = tokenOf(recorded(tempLock()));
  expect(token).toBeGreaterThanOrEqual(before);
  expect(token).toBeLessThan((BigInt(Date.now()) + 60_000n) * 1000n);
});

test('the index has a token of its own', async () => {
  const manager = tempManager();
  expect((await manager.lockJobsIndex()).fencingToken).toBeTypeOf('bigint');
});
