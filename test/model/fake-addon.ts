import { loadNative, type Native } from '../../lib/native.js';
import type { Playback } from './playback.js';
import { NOBODY, OTHER, ofWait, type State, type Wait } from './waiter-state.js';
import { beginCancel, freeWait, holdersOf, isShared, lock, startWait, unlock, waiterOf, waitOf } from './waits.js';

interface OpenFile {
  /** Which of the files that the path has named, or -1. */
  file: number;
  /** As whom it holds the lock in the model's state, or null. */
  holder: number | null;
  exclusive: boolean;
  /** The wait that has it, or -1. */
  wait: number;
  /** Who has waited with it. */
  waiter: number;
}

const NUMBERS: Record<Wait['outcome'], number> = {
  kBusy: 0,
  kGranted: 1,
  kReplaced: 2,
  kTimedOut: 3,
  kCancelled: 4,
  kUnrecorded: 6,
};
/** A lock that was taken by a call, before it is known for which guard. */
const FIRST_TAKEN = -10;

/** The records as bytes: this one is of the holder that has abandoned the lock. */
interface Records {
  readonly abandoned: Buffer;
  isHeld(content: Buffer): boolean;
}

/** The addon over the model's threads, locks and files: all that lib/ does to them is done to the state of the model. */
export class FakeAddon implements Native {
  readonly files = new Map<number, OpenFile>();
  readonly lastRelease = new Float64Array(1);
  isAlive = false;
  unlocks = 0;
  waits: unknown;
  deliver: (handle: number, outcome: number, content: Buffer | undefined) => true = () => true;
  #nextHandle = 0;

  constructor(
    private readonly playback: Playback,
    private readonly records: Records,
  ) {}

  get #state(): State {
    return this.playback.state;
  }

  #file(handle: number): OpenFile {
    const file = this.files.get(handle);
    if (file === undefined) throw new Error(`handle ${handle} is used after its end`);
    return file;
  }

  #add(file: number): number {
    const handle = this.#nextHandle++;
    this.files.set(handle, { file, holder: null, exclusive: false, wait: -1, waiter: -1 });
    return handle;
  }

  open(): number {
    return this.#add(this.#state.path);
  }

  reserve(): number {
    return this.#add(-1);
  }

  isOnNetwork(): boolean {
    return this.playback.scenario.network;
  }

  isWritable(): boolean {
    return true;
  }

  // --- Locks --------------------------------------------------------------------------------------

  tryLock(handle: number, exclusive: boolean): number {
    const open = this.#file(handle);
    if (!this.#canTake(open.file, exclusive)) return NUMBERS.kBusy;
    if (open.file !== this.#state.path) return this.#end(handle, 'kReplaced');
    this.#take(open, exclusive, FIRST_TAKEN - handle);
    return NUMBERS.kGranted;
  }

  #canTake(file: number, exclusive: boolean): boolean {
    return holdersOf(this.#state, file).every((holder) => !exclusive && this.#isShared(holder));
  }

  #isShared(holder: number): boolean {
    if (holder <= FIRST_TAKEN) return !this.#file(FIRST_TAKEN - holder).exclusive;
    return isShared(this.playback.scenario, this.#state, holder);
  }

  #take(open: OpenFile, exclusive: boolean, holder: number): void {
    lock(this.#state, open.file, holder);
    Object.assign(open, { holder, exclusive });
  }

  /** The lock of an open file, with what was recorded of it, is known to be that of this holder. */
  pass(handle: number, holder: number): void {
    const open = this.#file(handle);
    if (this.#state.records[open.file] === FIRST_TAKEN - handle) this.#state.records[open.file] = holder;
    if (open.holder === holder) return;
    if (open.holder !== null) unlock(this.#state, open.file, open.holder);
    lock(this.#state, open.file, holder);
    open.holder = holder;
  }

  #end(handle: number, outcome: Wait['outcome']): number {
    this.close(handle);
    return NUMBERS[outcome];
  }

  confirm(handle: number): number {
    return this.#file(handle).file === this.#state.path ? NUMBERS.kGranted : this.#end(handle, 'kReplaced');
  }

  unlock(handle: number): number {
    const open = this.#file(handle);
    if (open.holder !== null) {
      unlock(this.#state, open.file, open.holder);
      this.unlocks++;
    }
    open.holder = null;
    return 0;
  }

  close(handle: number): number {
    this.unlock(handle);
    this.files.delete(handle);
    return 0;
  }

  conflictsWithOwn(handle: number, exclusive: boolean): boolean {
    const { file } = this.#file(handle);
    const holds = (each: OpenFile) => each.file === file && each.holder !== null && each.wait < 0;
    return [...this.files.values()].some((each) => holds(each) && (exclusive || each.exclusive));
  }

  waitHere(handle: number, exclusive: boolean): number {
    const open = this.#file(handle);
    const caller = this.playback.calling;
    if (this.playback.during(/ (is let in|gives up)$/).endsWith('gives up')) return NUMBERS.kBusy;
    this.#take(open, exclusive, caller);
    this.playback.during(/ compares the file with its path$/);
    return open.file === this.#state.path ? NUMBERS.kGranted : this.#end(handle, 'kReplaced');
  }

  // --- Waits --------------------------------------------------------------------------------------

  #start(handle: number, waiter: number, job: Wait['job'], opens: boolean, record?: number): boolean {
    const open = this.#file(handle);
    if (open.holder !== null) unlock(this.#state, open.file, open.holder);
    startWait(this.#state, waiter, open.file, job, opens, record);
    open.wait = waiterOf(this.#state, waiter).wait;
    if (open.holder !== null) lock(this.#state, open.file, ofWait(open.wait));
    Object.assign(open, { file: -1, holder: null, waiter });
    return true;
  }

  startWait(handle: number, exclusive: boolean, milliseconds: number): boolean {
    return this.#start(handle, this.playback.waiterWith(exclusive, milliseconds), 'kLock', false);
  }

  startOpening(handle: number, exclusive: boolean, milliseconds: number): boolean {
    const waiter = this.playback.waiterWith(exclusive, milliseconds);
    if (milliseconds <= 0) waiterOf(this.#state, waiter).expired = true;
    return this.#start(handle, waiter, 'kLock', true);
  }

  startRecord(handle: number, bytes: Buffer, undo: Buffer): boolean {
    if (!this.records.isHeld(bytes)) throw new Error('a record that says nothing of its holder');
    return this.#start(handle, this.#file(handle).waiter, 'kRecord', false, this.#recordIn(undo, NOBODY));
  }

  startInspect(handle: number): boolean {
    return this.#start(handle, this.playback.calling, 'kInspect', false);
  }

  isSameLock(wait: number, handle: number): boolean {
    const { file } = this.#state.waits[this.#file(wait).wait] as Wait;
    return file >= 0 && file === this.#file(handle).file;
  }

  /** A wait has ended by itself, and the event loop has come to it. */
  deliverEnd(waiter: number): void {
    const { wait } = waiterOf(this.#state, waiter);
    const { record } = waitOf(this.#state, wait);
    const handle = [...this.files].find(([, open]) => open.wait === wait)?.[0] ?? -1;
    const content = record === OTHER ? this.records.abandoned : Buffer.alloc(0);
    const { job } = waitOf(this.#state, wait);
    this.deliver(handle, this.#takeBack(handle), job === 'kLock' && this.playback.reads(waiter) ? content : undefined);
  }

  /** The file of a wait that has ended is its caller's again, with the lock; or it is closed. */
  #takeBack(handle: number): number {
    const open = this.#file(handle);
    const number = open.wait;
    const wait = waitOf(this.#state, number);
    Object.assign(open, { file: wait.file, wait: -1 });
    wait.inEndedList = false;
    if (wait.file < 0) this.files.delete(handle);
    else {
      unlock(this.#state, wait.file, ofWait(number));
      this.#take(open, this.playback.isExclusive(wait.waiter), FIRST_TAKEN - handle);
      // What its thread has recorded is the record of whoever gets that lock.
      if (this.#state.records[open.file] === wait.waiter) this.#state.records[open.file] = FIRST_TAKEN - handle;
    }
    freeWait(this.#state, number);
    return NUMBERS[wait.outcome];
  }

  cancelWait(handle: number): number {
    const { wait } = this.#file(handle);
    const answer = beginCancel(this.#state, wait);
    if (answer === 'ended') return this.#takeBack(handle);
    this.files.delete(handle);
    if (answer === 'asked') {
      if (this.playback.during(/^(the cancelling of|patience with) /).startsWith('patience')) {
        const { waiter } = waitOf(this.#state, wait);
        waitOf(this.#state, wait).state = 'kAbandoned';
        waiterOf(this.#state, waiter).wait = -1;
      } else {
        freeWait(this.#state, wait);
      }
    }
    return NUMBERS.kCancelled;
  }

  onWaitEnded(callback: FakeAddon['deliver']): void {
    this.deliver = callback;
  }

  keepAlive(alive: boolean): void {
    this.isAlive = alive;
  }

  // --- Records ------------------------------------------------------------------------------------

  #recordIn(content: Buffer, own: number): number {
    if (content.equals(this.records.abandoned)) return OTHER;
    return this.records.isHeld(content) ? own : NOBODY;
  }

  read(handle: number, buffer: Buffer): number {
    const record = this.#state.records[this.#file(handle).file];
    return record === OTHER ? this.records.abandoned.copy(buffer) : 0;
  }

  write(handle: number, buffer: Buffer, length: number): number {
    const { file } = this.#file(handle);
    this.#state.records[file] = this.#recordIn(buffer.subarray(0, length), FIRST_TAKEN - handle);
    return length;
  }

  wallClock(): number {
    return this.playback.time;
  }

  // --- Processes, which are not modelled: the real ones ------------------------------------------

  lookAtProcess = (pid: number) => loadNative('').lookAtProcess(pid);
  commandOfProcess = (pid: number) => loadNative('').commandOfProcess(pid);
  bootIdentity = () => loadNative('').bootIdentity();

  // --- What no trace comes to ---------------------------------------------------------------------

  verify = unexpected;
  lookAtLock = unexpected;
  descriptor = unexpected;
  startVerify = unexpected;
  startReadAll = unexpected;
  pollWaits = unexpected;
  openDirectory = unexpected;
  closeDirectory = unexpected;
  removeStale = unexpected;
  yieldLock = unexpected;
}

function unexpected(): never {
  throw new Error('the addon is called as no trace has it');
}
