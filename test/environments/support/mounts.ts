import { chmodSync, closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { run } from './environment.js';

/** A file system that tests have mounted. */
export interface Mounted {
  readonly point: string;
  /** The directory that is shown at the mount point, of overlayfs, bindfs and the read-only view. */
  readonly below: string;
  /** Unmounts, and removes what was made for it. Never removes through a mount point. */
  unmount(): void;
}

type Mount = (point: string, directory: string) => void;

/**
 * Runs `mount`, which gets a mount point and a directory for what else it needs. A loop device is freed with
 * its mount (autoclear, mount(8)), an image removed with its directory.
 */
function mounted(mount: Mount): Mounted {
  // At a fixed place, so that a file system that is mounted through TMPDIR never hides another one's.
  const directory = mkdtempSync('/tmp/native-file-lock-mount-');
  chmodSync(directory, 0o755); // for processes of other users
  const [point, below] = [path.join(directory, 'point'), path.join(directory, 'below')];
  mkdirSync(point);
  mkdirSync(below);
  const remove = () => {
    rmdirSync(point); // fails while anything is mounted there
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    mount(point, directory);
  } catch (error) {
    remove();
    throw error;
  }
  return {
    point,
    below,
    unmount() {
      try {
        run('umount', point);
      } catch {
        run('umount', '--lazy', point); // in use by what a failed test has left
      }
      remove();
    },
  };
}

export const mountTmpfs = (options = 'size=16m') =>
  mounted((point) => run('mount', '-t', 'tmpfs', '-o', options, 'native-file-lock', point));

/** A new file system in an image of that many megabytes. `mkfs`: the command that makes it, without the image. */
export const mountImage = (megabytes: number, mkfs: readonly [string, ...string[]], options = 'rw') =>
  mounted((point, directory) => {
    const image = path.join(directory, 'image');
    const file = openSync(image, 'w');
    ftruncateSync(file, megabytes * 1024 * 1024);
    closeSync(file);
    const [command, ...args] = mkfs;
    run(command, ...args, image);
    run('mount', '-o', `loop,${options}`, image, point);
  });

export const mountExt4 = () => mountImage(16, ['mkfs.ext4', '-q', '-F']);

/** `lower`: the lower directory, as it is to be shown. `upper`: a directory for the rest, else beside the mount point. */
export const mountOverlay = (lower?: string, upper?: string) =>
  mounted((point, directory) => {
    const [changes, work] = ['changes', 'work'].map((name) => path.join(upper ?? directory, name));
    for (const made of [changes, work]) mkdirSync(made as string);
    const options = `lowerdir=${lower ?? path.join(directory, 'below')},upperdir=${changes},workdir=${work}`;
    run('mount', '-t', 'overlay', '-o', options, 'native-file-lock', point);
  });

/** `below` is what it shows. */
export const mountBindfs = () => mounted((point, directory) => run('bindfs', path.join(directory, 'below'), point));

/** A read-only view of `below`. */
export const mountReadOnly = () =>
  mounted((point, directory) => {
    run('mount', '--bind', path.join(directory, 'below'), point);
    run('mount', '-o', 'remount,bind,ro', point);
  });

/** Directs `os.tmpdir()`, and so the directories of the tests' own, to a directory. Returns what undoes it. */
export function useAsTmpdir(directory: string): () => void {
  const before = process.env.TMPDIR;
  process.env.TMPDIR = directory;
  if (tmpdir() !== directory) throw new Error('os.tmpdir() does not follow TMPDIR');
  return () => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  };
}

/** The same, unmounted after the test. */
export function forThisTest(mounted: Mounted): Mounted {
  onTestFinished(() => mounted.unmount());
  return mounted;
}
