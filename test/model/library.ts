import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { compileFunction } from 'node:vm';
import type { Guard } from '../../lib/guard/lock-guard.js';
import type { KernelWaits } from '../../lib/kernel-waits.js';
import { loadNative, type Native } from '../../lib/native.js';
import type { Timed } from '../../lib/queue/deadlines.js';
import type { PathLock } from '../../lib/queue/path-lock.js';

/** What lib/queue asks for, and gets from whoever plays a trace back. */
export interface Surroundings {
  readonly native: Native;
  /** In milliseconds. */
  readonly time: number;
  addDeadline(item: Timed): void;
  removeDeadline(item: Timed): void;
  /** A microtask that follows the reactions of the promises. */
  addMicrotask(callback: () => void): void;
  /** Whether the lock must be left free after this release. */
  isBudgetSpent(): boolean;
  /** The lock is left free for a moment. */
  yieldLock(): void;
}

/** A change of the built code. */
export interface Fault {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

type Exports = Record<string, unknown>;

const DIST = path.join(__dirname, '../../dist');

/**
 * The built queue with all its classes, as it is shipped. Time, microtasks, the addon, and what only looks holders up or
 * watches for leaks, are replaced in the modules that it takes them from.
 */
export class Library {
  readonly newPathLock: (lockPath: string) => PathLock;
  readonly newGuard: (owner: PathLock, file: Guard['file'], exclusive: boolean) => Guard;
  readonly kernelWaits: (native: Native) => KernelWaits;
  readonly abandonedRecord: Buffer;
  readonly isHeld: (content: Buffer) => boolean;
  surroundings: Surroundings | undefined;

  readonly #modules = new Map<string, { exports: Exports }>();

  constructor(private readonly fault?: Fault) {
    const load = (name: string) => this.#load(path.join(DIST, name));
    const replace = (name: string, exports: Exports) => Object.assign(load(name), exports);
    replace('clock.js', {
      now: () => this.#around.time,
      afterReactions: (callback: () => void) => this.#around.addMicrotask(callback),
    });
    replace('native.js', { loadNative: () => this.surroundings?.native ?? loadNative('') });
    replace('mounts.js', { isOnNetwork: () => false });
    replace('guard/leak-detector.js', { track() {}, untrack() {}, prepareToTrack() {} });
    replace('holder/inspect.js', { findHolderSync: () => null, holderHere: () => null });
    replace('queue/holder-lookup.js', { HolderLookup: NoLookup });
    replace('queue/deadlines.js', {
      deadlines: {
        add: (item: Timed) => this.#around.addDeadline(item),
        remove: (item: Timed) => this.#around.removeDeadline(item),
      },
    });
    replace('queue/local-grant-budget.js', { LocalGrantBudget: budgetOf(() => this.#around) });
    const { PathLock: Lock } = load('queue/path-lock.js') as typeof import('../../lib/queue/path-lock.js');
    const { newGuard } = load('guard/lock-guard.js') as typeof import('../../lib/guard/lock-guard.js');
    const waits = load('kernel-waits.js') as typeof import('../../lib/kernel-waits.js');
    const records = load('holder/holder-record.js') as typeof import('../../lib/holder/holder-record.js');
    this.newPathLock = (lockPath) => new Lock(lockPath, 'flock');
    this.newGuard = newGuard;
    this.kernelWaits = waits.kernelWaitsOf;
    this.isHeld = (content) => records.parseRecord(content)?.held === true;
    const record = new records.OwnRecord();
    record.encode(1n, new Date(0).toISOString(), 0);
    this.abandonedRecord = Buffer.from(record.bytes.subarray(0, record.length));
  }

  /** As `require` does, but each library has modules of its own, and may have a fault in one. */
  #load(file: string): Exports {
    const known = this.#modules.get(file);
    if (known !== undefined) return known.exports;
    const module = { exports: {} as Exports };
    this.#modules.set(file, module);
    const builtIn = createRequire(file);
    const load = (name: string) => (name.startsWith('.') ? this.#load(path.resolve(file, '..', name)) : builtIn(name));
    const run = compileFunction(this.#source(file), ['require', 'module', 'exports', '__dirname'], { filename: file });
    run(load, module, module.exports, path.dirname(file));
    return module.exports;
  }

  #source(file: string): string {
    const source = readFileSync(file, 'utf8');
    if (this.fault === undefined || file !== path.join(DIST, this.fault.file)) return source;
    const { find, replace } = this.fault;
    if (source.split(find).length !== 2) throw new Error(`not exactly once in ${this.fault.file}: ${find}`);
    return source.replace(find, () => replace);
  }

  get #around(): Surroundings {
    if (this.surroundings === undefined) throw new Error('nothing is played back');
    return this.surroundings;
  }
}

class NoLookup {
  start = () => Promise.resolve(null);
  finish = () => Promise.resolve(null);
}

function budgetOf(around: () => Surroundings): new () => object {
  return class {
    isSpent = false;

    noteRelease(): void {
      this.isSpent = around().isBudgetSpent();
    }

    yieldToOtherProcesses(): void {
      around().yieldLock();
      this.isSpent = false;
    }

    renew(): void {
      this.isSpent = false;
    }
  };
}
