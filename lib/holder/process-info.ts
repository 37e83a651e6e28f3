import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { loadNative } from '../native.js';

const INTERPRETER = /^(node|nodejs|bun|deno|python[\d.]*|ruby|perl|php|bash|dash|sh|zsh)$/;
const SCRIPT = /\.([cm]?[jt]sx?|py|rb|pl|php|sh)$/;
/** Code or a module's name follows, and then arguments: -e, -p, -pe, -c, -m, -r, --eval, --print. */
const NO_SCRIPT = /^(-[a-z]*[cempr]|--eval|--print)(=|$)/i;

/** The executable and its script, out of the arguments of a process; the others can hold secrets. */
export function commandOf([first = '', ...rest]: readonly string[]): string {
  const executable = path.basename(first);
  if (!INTERPRETER.test(executable)) return executable;
  for (const [index, argument] of rest.entries()) {
    if (NO_SCRIPT.test(argument)) break;
    // After an option it may be that option's value.
    if (!argument.startsWith('-') && (index === 0 || SCRIPT.test(argument))) return `${executable} ${argument}`;
  }
  return executable;
}

function commandOfThisProcess(): string {
  const executable = path.basename(process.execPath);
  const script = process.argv[1];
  if (script === undefined || process.execArgv.some((option) => NO_SCRIPT.test(option))) return executable;
  return `${executable} ${script}`;
}

/** The command of a process of this pid namespace; null when there is no such process, or it is not for us to see. */
export function commandOfProcess(pid: number): string | null {
  const text = loadNative('').commandOfProcess(pid);
  return text === '' ? null : commandOf(text.split('\0')).trim();
}

/** What distinguishes a process from every other one that ever had its pid. */
export interface ProcessIdentity {
  pid: number;
  /** In a unit of the system's own, on Linux in clock ticks since boot (proc(5), /proc/pid/stat, field 22); 0 if unknown. */
  startTime: bigint;
  /** Of this boot of the machine, on Linux as in random(4), boot_id; empty if unknown. */
  bootId: string;
  /** The inode of the pid namespace (pid_namespaces(7)) to which the pid belongs; 0 if unknown. */
  pidNamespace: bigint;
  /** Empty if unknown. */
  hostname: string;
}

function readOr<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

/** 0 where there are none. */
function pidNamespace(): bigint {
  if (process.platform !== 'linux') return 0n;
  const link = readOr(() => readlinkSync('/proc/self/ns/pid'), '');
  return BigInt(/^pid:\[(\d+)\]$/.exec(link)?.[1] ?? 0);
}

/** Deno denies the first without --allow-sys, and /proc/sys/kernel/hostname without -A. */
function hostnameOfThisProcess(): string {
  return readOr(hostname, '') || readOr(() => readFileSync('/etc/hostname', 'utf8').trim(), '');
}

let self: (ProcessIdentity & { command: string }) | undefined;

/** This process. The pid and the rest are read once. */
export function thisProcess(): ProcessIdentity & { command: string } {
  if (self !== undefined) return self;
  const native = loadNative('');
  const start = native.lookAtProcess(0);
  self = {
    pid: process.pid,
    startTime: start > 0n ? start : 0n,
    bootId: native.bootIdentity().trim(),
    pidNamespace: pidNamespace(),
    hostname: hostnameOfThisProcess(),
    command: commandOfThisProcess(),
  };
  return self;
}

/** PROC_PID_INIT_INO: the kernel gives the first pid namespace this number, on every machine. */
const FIRST_PID_NAMESPACE = 4026531836n;

/** Whether every process of the machine has a pid in our pid namespace (pid_namespaces(7)). */
export function seesEveryProcess(): boolean {
  return thisProcess().pidNamespace === FIRST_PID_NAMESPACE;
}

/** As in native/boundary/environment_processes.cc. */
const UNKNOWN = -2n;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Whether that very process still runs; null when that is unknown. A zombie does not run. */
export function isRunning(other: ProcessIdentity): boolean | null {
  const here = thisProcess();
  if (other.bootId === '' || here.bootId === '') return null;
  // Another boot: of this machine, so that nothing of it runs any more; or of another machine.
  if (other.bootId !== here.bootId) return other.hostname === here.hostname ? false : null;
  if (other.pidNamespace !== here.pidNamespace) return null;
  const start = loadNative('').lookAtProcess(other.pid);
  if (start === UNKNOWN) return isAlive(other.pid) ? null : false; // others may be hidden (hidepid of proc(5))
  return start === other.startTime;
}

/** Whether this process is exiting: Node sets this while it runs the `exit` listeners. */
export function isExiting(): boolean {
  return (process as { _exiting?: boolean })._exiting === true;
}
