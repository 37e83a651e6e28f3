import { promises, readFileSync } from 'node:fs';
import { seesEveryProcess } from './process-info.js';

/**
 * The kernel's table of held locks (proc(5), /proc/locks), and how far it can be trusted for a file.
 *
 * A line names a process, and the file by device and inode:
 * `1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF`; `->` after the number marks one that waits. The
 * lines of processes in other pid namespaces are left out. An open-file-description lock
 * (OFDLCK) has no process: -1.
 */
const TABLE = '/proc/locks';

/** A lock in the table. The pid is -1 where the kernel knows none. */
export interface KernelLock {
  pid: number;
}

/** The table as it was at one time, for all who looked then. */
export interface LockTable {
  readonly text: string;
  /** The commands of holders that were looked up, by their pids: thousands of locks have few holders. */
  readonly commands: Map<number, string | null>;
}

/** Their locks can be held from another machine, or by another kernel. */
const REMOTE = /^(nfs|nfs4|cifs|smb3|smbfs|ceph|9p|virtiofs|afs|gfs2|ocfs2|lustre|gpfs|glusterfs|fuse(\..*)?)$/;

/** A file's device (major:minor, decimal) and how the table names it. */
export function identify({ dev, ino }: { dev: bigint; ino: bigint }): { device: string; name: string } {
  // As gnu_dev_major and gnu_dev_minor of <sys/sysmacros.h> take a device number apart.
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  const hex = (part: bigint) => part.toString(16).padStart(2, '0');
  return { device: `${major}:${minor}`, name: ` ${hex(major)}:${hex(minor)}:${ino} ` };
}

/**
 * Whether no lock in the table means no lock: neither hidden by a pid namespace, nor held on another
 * machine, nor under other numbers.
 */
export function isTableComplete(device: string): boolean {
  return seesEveryProcess() && isLocalMount(device);
}

/**
 * Whether the device is that of a mounted file system on this machine. Btrfs subvolumes and some
 * overlays give their files a device number that no mount has, and the table does not use
 * (proc(5), /proc/self/mountinfo: field 3 is the device, and the type follows the dash).
 */
function isLocalMount(device: string): boolean {
  let mounts: string;
  try {
    mounts = readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return false;
  }
  for (const line of mounts.split('\n')) {
    const fields = line.split(' ');
    if (fields[2] === device) return !REMOTE.test(fields[fields.indexOf('-', 6) + 1] ?? '');
  }
  return false;
}

/** Who holds a lock of that kind on the file, out of the table. */
export function findLock({ text }: LockTable, name: string, mechanism: 'flock' | 'fcntl'): KernelLock | null {
  for (let at = text.indexOf(name); at !== -1; at = text.indexOf(name, at + 1)) {
    const line = text.slice(text.lastIndexOf('\n', at) + 1, at);
    const [, kind, , , pid] = line.split(/ +/);
    // A line of one that waits has `->` for its kind. POSIX locks conflict with OFDLCK ones.
    const matches = mechanism === 'flock' ? kind === 'FLOCK' : kind === 'OFDLCK' || kind === 'POSIX';
    if (matches) return { pid: Number(pid) };
  }
  return null;
}

function tableOf(text: string): LockTable {
  return { text, commands: new Map() };
}

/** Null where there is none (another system, /proc not mounted). May block for some 10 ms. */
export function readTableSync(): LockTable | null {
  try {
    return tableOf(readFileSync(TABLE, 'latin1'));
  } catch {
    return null;
  }
}

let reading: Promise<LockTable | null> | undefined;

/**
 * The same off this thread. The kernel stops all locking of files while it writes the table, and waits
 * for every processor to notice first (percpu_down_write in fs/locks.c): 10 ms, and more with
 * thousands of locks. So those who ask meanwhile share one reading.
 */
export function readTable(): Promise<LockTable | null> {
  reading ??= promises
    .readFile(TABLE, 'latin1')
    .then(tableOf, () => null)
    .finally(() => {
      reading = undefined;
    });
  return reading;
}
