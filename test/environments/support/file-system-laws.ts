import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Actor } from '../../support/actor.js';
import { RemoteContender } from '../../support/contender.js';
import { RecordingActor } from '../../support/jobs.js';
import { lockLaws } from '../../support/lock-laws.js';
import { tempDir, tempLock } from '../../support/temp-dir.js';
import { expectExclusion } from './exclusion.js';
import { type Mounted, useAsTmpdir } from './mounts.js';
import { descriptorsOf, everyWay, expectTimeoutToName, HELD, hold, inspectIn } from './ways.js';

/** How much the kernel's table of locks tells of a file system's files: whether a lock is held; or only that it is, if it is; or nothing. */
export type Tells = 'all' | 'held only' | 'nothing';

const STATES = {
  all: { held: 'held', free: 'free' },
  'held only': { held: 'held', free: 'unknown' },
  nothing: { held: 'unknown', free: 'unknown' },
} as const;

/** The laws of locks, on a file system that is mounted for them. */
export function fileSystemLaws(mount: () => Mounted, tells: Tells, subdirectory?: (point: string) => string): void {
  let mounted: Mounted | undefined;
  let restore: (() => void) | undefined;
  let directory = '';
  beforeAll(() => {
    mounted = mount();
    directory = subdirectory?.(mounted.point) ?? mounted.point;
    restore = useAsTmpdir(directory);
  });
  afterAll(() => {
    restore?.();
    mounted?.unmount();
  });

  for (const mechanism of ['flock', 'fcntl'] as const) {
    const twoProcesses = async (file: string) => {
      const open = async () => RemoteContender.open(await Actor.process(), file, { mechanism });
      return [await open(), await open()] as const;
    };
    lockLaws(`two processes, ${mechanism}`, twoProcesses, 50);

    describe(mechanism, () => {
      test('exclusion holds in a run with kills', () => expectExclusion(tempDir(), logs(), { mechanism }));

      test('exclusion holds in a run with kills and holders that remove the file', () =>
        expectExclusion(tempDir(), logs(), { mechanism }, true));

      test('a held lock is busy, timed out and aborted in every way, and no descriptor stays open', async () => {
        const file = tempLock();
        const release = await hold(await Actor.process(), file, { mechanism });
        const other = await Actor.process();
        expect(await everyWay(other, file, { mechanism })).toEqual(HELD);
        const descriptors = await descriptorsOf(other);
        for (let round = 0; round < 5; round++) await everyWay(other, file, { mechanism });
        await expect.poll(() => descriptorsOf(other)).toBeLessThanOrEqual(descriptors);
        await release();
      });
    });
  }

  /** Outside of the file system, which may be slow or small. */
  function logs(): string {
    restore?.();
    try {
      return tempDir();
    } finally {
      restore = useAsTmpdir(directory);
    }
  }

  test(`inspect tells ${tells === 'all' ? 'whether a lock is held' : `"${STATES[tells].held}" of a held lock, "unknown" of a free one`}`, async () => {
    const file = tempLock();
    const [holder, other] = [await Actor.process(), await Actor.process()];
    expect((await inspectIn(other, file)).state).toBe('missing');
    const release = await hold(holder, file);
    const report = await inspectIn(other, file);
    expect(report.state).toBe(STATES[tells].held);
    expect(report.holder?.pid ?? null).toBe(tells === 'nothing' ? null : holder.pid);
    await expectTimeoutToName(other, file, tells === 'nothing' ? null : { pid: holder.pid, running: true });
    await release();
    const after = await inspectIn(other, file);
    expect(after.state).toBe(STATES[tells].free);
    expect(after.abandoned).toBe(tells === 'all' ? false : null);
  });

  test('a recorded holder is named by the error of a timeout, and its crash is told to the next holder', async () => {
    const file = tempLock();
    const holder = await RecordingActor.holding(file);
    const other = await Actor.process();
    await expectTimeoutToName(other, file, { pid: holder.pid, running: true });
    await holder.crash();
    const next = await RecordingActor.open(file);
    const first = await next.acquire();
    expect(first.previousHolder?.pid).toBe(holder.pid);
    await next.release();
    const second = await next.acquire();
    expect(second.previousHolder).toBeNull();
    expect(second.fencingToken).toBeGreaterThan(first.fencingToken as bigint);
  });
}
