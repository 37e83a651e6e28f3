import { readFileSync } from 'node:fs';
import { now } from './clock.js';

/**
 * What is mounted (proc(5), /proc/self/mountinfo): field 3 is the device, field 5 the mount point, and the type
 * follows the dash. Reading it asks no server, which may be away.
 */
const TABLE = '/proc/self/mountinfo';
/** In milliseconds. */
const TTL = 1000;

/** File systems whose locks can be held by another machine, or by another kernel; as in native/linux/files.cc, but by name. */
const NETWORK =
  /^(nfs|nfs4|cifs|smb3|smbfs|ceph|9p|virtiofs|afs|coda|gfs2|ocfs2|lustre|gpfs|glusterfs|vboxsf|fuse(\..*)?)$/;

interface Mount {
  readonly device: string;
  readonly point: string;
  readonly onNetwork: boolean;
}

let mounts: readonly Mount[] = [];
let readAt = Number.NEGATIVE_INFINITY;

function readMounts(): Mount[] {
  if (process.platform !== 'linux') return [];
  let text: string;
  try {
    text = readFileSync(TABLE, 'utf8');
  } catch {
    return [];
  }
  return text.split('\n').flatMap((line) => {
    const fields = line.split(' ');
    const [, , device, , point] = fields;
    if (device === undefined || point === undefined) return [];
    const type = fields[fields.indexOf('-', 6) + 1] ?? '';
    // Space, tab, newline and backslash are written in octal.
    const unescaped = point.replace(/\\([0-7]{3})/g, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 8)),
    );
    return [{ device, point: unescaped, onNetwork: NETWORK.test(type) }];
  });
}

/**
 * Whether an absolute path is on a network file system, as far as its text tells: a link into one is not seen.
 * At most a second old.
 */
export function isOnNetwork(path: string): boolean {
  if (now() - readAt > TTL) {
    mounts = readMounts();
    readAt = now();
  }
  if (!mounts.some(({ onNetwork }) => onNetwork)) return false;
  let nearest: Mount | undefined;
  for (const mount of mounts) {
    const { point } = mount;
    const covers = path === point || path.startsWith(point.endsWith('/') ? point : `${point}/`);
    // A later mount covers an earlier one of the same point.
    if (covers && point.length >= (nearest?.point.length ?? 0)) nearest = mount;
  }
  return nearest?.onNetwork ?? false;
}

/**
 * Whether a device (major:minor, decimal) is that of a mounted file system of this machine. Btrfs subvolumes and some
 * overlays give their files a device number that no mount has.
 */
export function isLocalDevice(device: string): boolean {
  const mount = readMounts().find((each) => each.device === device);
  return mount !== undefined && !mount.onNetwork;
}
