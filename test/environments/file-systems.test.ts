import path from 'node:path';
import { environment, type Needs, run } from './support/environment.js';
import { fileSystemLaws, type Tells } from './support/file-system-laws.js';
import { type Mounted, mountBindfs, mountExt4, mountImage, mountOverlay, mountTmpfs } from './support/mounts.js';

interface FileSystem {
  needs: Needs;
  mount: () => Mounted;
  /** What /proc/locks tells of its files. */
  tells: Tells;
  /** Where the lock files are; else at the mount point. */
  subdirectory?: (point: string) => string;
}

const mkfsBtrfs = ['mkfs.btrfs', '-q', '-f'] as const;

const FILE_SYSTEMS: Record<string, FileSystem> = {
  tmpfs: { needs: { fileSystem: 'tmpfs' }, mount: () => mountTmpfs(), tells: 'all' },
  ext4: { needs: { fileSystem: 'ext4', tools: ['mkfs.ext4'] }, mount: mountExt4, tells: 'all' },
  xfs: {
    needs: { fileSystem: 'xfs', tools: ['mkfs.xfs'] },
    mount: () => mountImage(320, ['mkfs.xfs', '-q', '-f']),
    tells: 'all',
  },
  // Files of btrfs have the device number of their subvolume, which neither /proc/locks nor any mount has.
  btrfs: {
    needs: { fileSystem: 'btrfs', tools: ['mkfs.btrfs'] },
    mount: () => mountImage(128, mkfsBtrfs),
    tells: 'nothing',
  },
  'a subvolume of btrfs': {
    needs: { fileSystem: 'btrfs', tools: ['mkfs.btrfs', 'btrfs'] },
    mount: () => mountImage(128, mkfsBtrfs),
    tells: 'nothing',
    subdirectory: (point) => {
      const subvolume = path.join(point, 'subvolume');
      run('btrfs', 'subvolume', 'create', subvolume);
      return subvolume;
    },
  },
  overlayfs: { needs: { fileSystem: 'overlay' }, mount: () => mountOverlay(), tells: 'all' },
  // FUSE: another machine may be behind it, so that a lock that is not in the table may still be held.
  bindfs: { needs: { fileSystem: 'fuse', tools: ['bindfs'] }, mount: mountBindfs, tells: 'held only' },
};

for (const [name, { needs, mount, tells, subdirectory }] of Object.entries(FILE_SYSTEMS)) {
  environment(name, { admin: true, ...needs }, () => fileSystemLaws(mount, tells, subdirectory));
}
