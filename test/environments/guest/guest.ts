import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

/** What a scenario left: test/environments/guest/in-guest.cjs. */
export interface Result {
  law: string;
  ok?: boolean;
  skip?: string;
  error?: string;
  seconds?: number;
  figures?: Record<string, unknown>;
}

/** Why no guest can be started here, which needs those programs besides; undefined: one can. */
export function whyNoGuest(programs: readonly string[]): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'User Mode Linux runs on Linux on x64';
  if (process.getuid?.() !== 0) return 'the guest reads files that only root can read';
  const missing = ['linux.uml', 'busybox', 'modprobe', 'mkfs.ext4', ...programs].filter(
    (name) => !['/usr/bin', '/usr/sbin', '/sbin', '/bin'].some((folder) => existsSync(path.join(folder, name))),
  );
  return missing.length === 0 ? undefined : `${missing.join(', ')} missing: run scripts/environments`;
}

/**
 * Boots a guest by the folder's guest.sh, which runs the folder's scenarios.cjs. Gives what they left, and what the
 * guest said. `settings` are for both; storms last so many seconds.
 */
export async function runGuest(
  scripts: string,
  seconds: number,
  settings: Readonly<Record<string, string>> = {},
): Promise<{ results: Result[]; log: string }> {
  // Not below /dev/shm, /run or /mnt, which the guest has of its own.
  const folder = mkdtempSync('/var/tmp/native-file-lock-guest-');
  try {
    const out = path.join(folder, 'out');
    const disk = path.join(folder, 'disk');
    mkdirSync(out);
    writeFileSync(disk, '');
    truncateSync(disk, 256 * 1024 * 1024);
    execFileSync('mkfs.ext4', ['-q', '-F', disk]);
    const kernel = ['mem=1024M', 'rootfstype=hostfs', 'rootflags=/', 'ro', `init=${path.join(scripts, 'guest.sh')}`];
    const devices = [`ubd0=${disk}`, 'con=null', 'con0=null,fd:1', 'con1=null'];
    const environment = {
      ...settings,
      GUEST_OUT: out,
      GUEST_NODE: process.execPath,
      GUEST_SCRIPT: path.join(scripts, 'scenarios.cjs'),
      GUEST_SECONDS: seconds,
    };
    const assignments = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    const console = openSync(path.join(folder, 'console'), 'w');
    const guest = spawn('linux.uml', [...kernel, ...assignments, ...devices], {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: folder, TMPDIR: '/dev/shm' },
      stdio: ['ignore', console, console],
      detached: true,
    });
    // The whole group: the guest is several processes, and some would outlive the first.
    const limit = setTimeout(() => process.kill(-(guest.pid as number), 'SIGKILL'), (seconds + 400) * 1000);
    await once(guest, 'exit');
    clearTimeout(limit);
    closeSync(console);
    const read = (name: string) => (existsSync(path.join(out, name)) ? readFileSync(path.join(out, name), 'utf8') : '');
    const lines = read('results.jsonl').split('\n').filter(Boolean);
    const said = readFileSync(path.join(folder, 'console'), 'utf8').slice(-2000);
    return { results: lines.map((line) => JSON.parse(line) as Result), log: `${said}\n${read('guest.txt')}` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
