import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { describe } from 'vitest';

/** A user without privileges, on every Linux. */
export const NOBODY = 65534;
/** Executes a command as a user without privileges. */
export const asUser = (user: number) => ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups'] as const;

/** What the tests of an environment cannot run without. */
export interface Needs {
  /** Mounting, loop devices, sysctl(8), cgroups, and every process in sight: root with CAP_SYS_ADMIN, in no container. */
  admin?: boolean;
  /** Executables in the PATH. */
  tools?: readonly string[];
  /** File systems that the kernel has, or has a module for. */
  fileSystem?: string;
  /** That an unprivileged user can execute Node and read this checkout. */
  nobody?: boolean;
  /** Anything else: what it is, and whether it is there. */
  other?: readonly (readonly [what: string, works: () => boolean])[];
}

function succeeds(command: string, ...args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/** Whether a command, which may be a wrapper of commands, can be executed here. */
export const canRun = (...command: readonly [string, ...string[]]) => succeeds(command[0], ...command.slice(1));

const CAP_SYS_ADMIN = 21n;
/** PROC_PID_INIT_INO of linux/proc_ns.h. */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';

function isAdmin(): boolean {
  if (process.getuid?.() !== 0) return false;
  const capabilities = /^CapEff:\s+(\w+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  return ((BigInt(`0x${capabilities}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
}

function isExecutable(tool: string): boolean {
  return (process.env.PATH ?? '').split(':').some((directory) => {
    try {
      accessSync(path.join(directory, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function hasFileSystem(name: string): boolean {
  const isKnown = () => new RegExp(`\\s${name}$`, 'm').test(readFileSync('/proc/filesystems', 'latin1'));
  return isKnown() || (succeeds('modprobe', '--quiet', name) && isKnown());
}

function missing({ admin, tools = [], fileSystem, nobody, other = [] }: Needs): string[] {
  if (process.platform !== 'linux') return ['Linux'];
  const [setpriv, ...as] = asUser(NOBODY);
  const checks: (readonly [what: string, works: () => boolean])[] = [
    ...(admin
      ? ([
          ['root with CAP_SYS_ADMIN', isAdmin],
          ['the first pid namespace', () => readlinkSync('/proc/self/ns/pid') === FIRST_PID_NAMESPACE],
        ] as const)
      : []),
    ...tools.map((tool) => [tool, () => isExecutable(tool)] as const),
    ...(fileSystem === undefined ? [] : [[`${fileSystem} in the kernel`, () => hasFileSystem(fileSystem)] as const]),
    ...other,
    ...(nobody
      ? [
          [
            'a checkout that an unprivileged user can read',
            () => succeeds(setpriv, ...as, process.execPath, path.join(__dirname, '../../../dist/index.js')),
          ] as const,
        ]
      : []),
  ];
  return checks.filter(([, works]) => !works()).map(([what]) => what);
}

/** Tests that need something of their machine. Where it is missing they are skipped, and what is missing is printed. */
export function environment(name: string, needs: Needs, tests: () => void): void {
  const lacks = missing(needs);
  if (lacks.length > 0) console.warn(`Skipped: ${name}. Missing here: ${lacks.join(', ')}.`);
  describe.skipIf(lacks.length > 0)(name, tests);
}

/** Runs a command. Its output is in the error if it fails. */
export function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
