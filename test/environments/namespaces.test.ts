import { chmodSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Actor } from '../support/actor.js';
import { tempDir } from '../support/temp-dir.js';
import { asUser, canRun, environment, type Needs, NOBODY } from './support/environment.js';
import {
  everyWay,
  expectTimeoutToName,
  GRANTED,
  HELD,
  hold,
  inspectIn,
  recordIn,
  releaseRecorded,
  startWaiting,
} from './support/ways.js';

interface Namespace {
  through: readonly [string, ...string[]];
  needs?: Needs;
  /** Whether it has its own process ids, so that processes outside are not seen. */
  hidesProcesses: boolean;
}

const unshare = (...options: string[]) => ['unshare', ...options] as [string, ...string[]];
/** The child is killed with the wrapper, which is what the actor's end kills. */
const OWN_PIDS = ['--pid', '--fork', '--kill-child', '--mount-proc'];

const NAMESPACES: Record<string, Namespace> = {
  'a mount namespace': { through: unshare('--mount'), hidesProcesses: false },
  'a pid namespace': { through: unshare(...OWN_PIDS), hidesProcesses: true },
  'a user namespace': { through: unshare('--user', '--map-root-user'), hidesProcesses: false },
  'a user namespace of an unprivileged user': {
    through: [...asUser(NOBODY), 'unshare', '--user', '--map-root-user'] as [string, ...string[]],
    needs: { nobody: true },
    hidesProcesses: false,
  },
  'user, pid and mount namespaces': {
    through: unshare('--user', '--map-root-user', ...OWN_PIDS),
    hidesProcesses: true,
  },
};

/** A lock file that every user may lock. */
function sharedFile(): string {
  const directory = tempDir();
  chmodSync(directory, 0o777);
  return path.join(directory, 'l');
}

const fileMode = 0o666;

/** What holds between a process here and one in the other environment. */
function boundaryLaws(startInside: () => Promise<Actor>, hidesProcesses: boolean): void {
  const pair = async () => [await startInside(), await Actor.process()] as const;
  const withUmask = async (actor: Actor) => {
    await actor.run(() => void process.umask(0));
    return actor;
  };

  test('a holder inside is named from outside, by its pid there', async () => {
    const file = sharedFile();
    const [inside, outside] = await pair();
    const release = await hold(inside, file, { fileMode });
    const { state, holder } = await inspectIn(outside, file);
    expect(state).toBe('held');
    expect(holder).toMatchObject({ running: true, command: expect.stringContaining('actor.cjs') });
    // Under a wrapper that forks, it is the child of the process that was started.
    if (!hidesProcesses) expect(holder?.pid).toBe(inside.pid);
    await release();
    expect((await inspectIn(outside, file)).state).toBe('free');
  });

  for (const mechanism of ['flock', 'fcntl'] as const) {
    test(`${mechanism} excludes across the boundary, both ways, and waits are granted`, async () => {
      const file = sharedFile();
      const [inside, outside] = await pair();
      await withUmask(outside);
      const options = { mechanism, fileMode };
      expect(await everyWay(outside, file, options)).toEqual(GRANTED);
      for (const [holder, other] of [
        [inside, outside],
        [outside, inside],
      ] as const) {
        const release = await hold(holder, file, options);
        expect(await everyWay(other, file, options)).toEqual(HELD);
        const wait = await startWaiting(other, file, options);
        await release();
        expect(await wait.granted()).toBe(true);
      }
    });
  }

  test('a holder on the other side is named where it can be, and its state is never a lie', async () => {
    const file = sharedFile();
    const [inside, outside] = await pair();
    await withUmask(outside);
    const release = await hold(outside, file, { fileMode });
    const report = await inspectIn(inside, file);
    expect(report.state).toBe(hidesProcesses ? 'unknown' : 'held');
    await expectTimeoutToName(inside, file, hidesProcesses ? null : { pid: outside.pid, running: true });
    await release();
    const after = await inspectIn(inside, file);
    expect(after.state).toBe(hidesProcesses ? 'unknown' : 'free');
    expect(after.abandoned).toBe(hidesProcesses ? null : false);
  });

  test('a recorded holder on the other side is named; whether it runs is null where that cannot be told', async () => {
    const file = sharedFile();
    const [inside, outside] = await pair();
    await withUmask(outside);
    await everyWay(outside, file, { fileMode });
    expect(await recordIn(outside, file)).toMatchObject({ held: true, recorded: true });
    const running = hidesProcesses ? null : true;
    await expectTimeoutToName(inside, file, { pid: outside.pid, running });
    const report = await inspectIn(inside, file);
    expect(report.state).toBe(hidesProcesses ? 'unknown' : 'held');
    expect(report.holder).toMatchObject({ pid: outside.pid, running });
    expect(await releaseRecorded(outside)).toEqual([]);
    expect(await recordIn(inside, file)).toMatchObject({ held: true, previousHolder: null });
  });
}

for (const [name, { through, needs, hidesProcesses }] of Object.entries(NAMESPACES)) {
  const works = ['permission to make it', () => canRun(...through, 'true')] as const;
  environment(name, { admin: true, tools: ['unshare', 'setpriv'], other: [works], ...needs }, () => {
    boundaryLaws(() => Actor.process({ through }), hidesProcesses);
  });
}

environment('an environment without /proc', { admin: true, tools: ['chroot', 'unshare'] }, () => {
  /** The directories of the system and this checkout, read-only; and one for lock files. All are gone with the namespace. */
  const SCRIPT = `
    set -e
    root=$1; shared=$2; checkout=$3; node=$4; shift 4
    mount -t tmpfs native-file-lock "$root"
    bind() { mkdir -p "$root$1"; mount --bind "$1" "$root$1"; }
    for directory in /usr /etc /lib /lib64 /bin "$checkout" "\${node%/*}"; do
      if [ -d "$directory" ] && ! mountpoint -q "$root$directory"; then
        bind "$directory"
        mount -o remount,bind,ro "$root$directory"
      fi
    done
    mkdir -p "$root/dev"
    for device in null urandom; do touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
    bind "$shared"
    exec chroot "$root" "$node" "$@"
  `;

  describe('chroot', () => {
    function startInside(shared: string): Promise<Actor> {
      const root = mkdtempSync(path.join(tmpdir(), 'native-file-lock-root-'));
      onTestFinished(() => rmdirSync(root)); // its mounts are gone with the namespace
      const checkout = path.join(__dirname, '../..');
      const command = ['sh', '-c', SCRIPT, 'sh', root, shared, checkout];
      return Actor.process({ through: ['unshare', '--mount', '--propagation', 'private', ...command] });
    }

    test('locks exclude, time out and are granted; nothing is told of a holder that recorded nothing', async () => {
      const shared = tempDir();
      const file = path.join(shared, 'l');
      const [inside, outside] = [await startInside(shared), await Actor.process()];
      const hasProc = () =>
        inside.run((require) => (require('node:fs') as typeof import('node:fs')).existsSync('/proc/self'));
      expect(await hasProc()).toBe(false);
      expect(await everyWay(inside, file)).toEqual(GRANTED);
      const release = await hold(outside, file);
      expect(await everyWay(inside, file)).toEqual(HELD);
      expect((await inspectIn(inside, file)).state).toBe('unknown');
      await expectTimeoutToName(inside, file, null);
      const wait = await startWaiting(inside, file);
      await release();
      expect(await wait.granted()).toBe(true);
      expect((await inspectIn(inside, file)).state).toBe('unknown');
      const releaseInside = await hold(inside, file);
      expect((await inspectIn(inside, file)).state).toBe('held'); // its own thread knows
      expect(await everyWay(outside, file)).toEqual(HELD);
      await releaseInside();
    });

    test('a recorded holder is named', async () => {
      const shared = tempDir();
      const file = path.join(shared, 'l');
      const [inside, outside] = [await startInside(shared), await Actor.process()];
      expect(await recordIn(outside, file)).toMatchObject({ recorded: true });
      await expectTimeoutToName(inside, file, { pid: outside.pid, running: null });
    });
  });
});
