import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { onTestFinished } from 'vitest';

/** Where groups of the pids controller are made (cgroups(7)): its own hierarchy of version 1, or that of version 2; null for neither. */
function pidsHierarchy(): string | null {
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [mount = '', system = ''] = line.split(' - ');
    const point = mount.split(' ')[4] ?? '';
    const [type, , options = ''] = system.split(' ');
    if (type === 'cgroup' && options.split(',').includes('pids')) return point;
    const control = path.join(point, 'cgroup.subtree_control');
    if (type === 'cgroup2' && existsSync(control) && /\bpids\b/.test(readFileSync(control, 'utf8'))) return point;
  }
  return null;
}

export const hasPidsController = () => process.platform === 'linux' && pidsHierarchy() !== null;

/** A group that can have no more threads than it has when `closed` is called. Removed after the test. */
export class PidsCgroup {
  readonly #directory = path.join(pidsHierarchy() ?? '', `native-file-lock-${process.pid}-${Date.now()}`);

  constructor() {
    mkdirSync(this.#directory);
    // A group can be removed once its last process has been reaped.
    onTestFinished(async () => {
      for (
        let left = 100;
        left > 0 && readFileSync(path.join(this.#directory, 'cgroup.procs'), 'utf8') !== '';
        left--
      ) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      rmdirSync(this.#directory);
    });
  }

  add(pid: number): void {
    writeFileSync(path.join(this.#directory, 'cgroup.procs'), String(pid));
  }

  close(): void {
    const threads = readFileSync(path.join(this.#directory, 'pids.current'), 'utf8');
    writeFileSync(path.join(this.#directory, 'pids.max'), threads);
  }
}
