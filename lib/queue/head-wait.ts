import { now } from '../clock.js';
import { unrecorded } from '../holder/recorder.js';
import type { KernelWaits, WaitOwner } from '../kernel-waits.js';
import { GRANTED, holdsLock, UNRECORDED } from '../native.js';
import type { Waiter } from './waiter.js';

const NO_CONTENT = Buffer.alloc(0);

/**
 * The wait of a queue's head in the kernel. Its open file is the wait's then.
 *
 * On a network file system a thread also makes the first attempt, and opens the file for it; after the grant another
 * wait, of the same open file, writes the record. An abort or a deadline meanwhile is answered as any other, since
 * the thread takes back what it has written.
 */
export class HeadWait {
  /** Who waits; null: nobody. */
  head: Waiter | null = null;
  /** Its thread reads the record after the grant. */
  #readsRecord = false;

  constructor(
    private readonly waits: KernelWaits,
    private readonly owner: WaitOwner,
  ) {}

  start(head: Waiter, handle: number, isOnNetwork: boolean): void {
    this.head = head;
    const { exclusive } = head;
    const { file } = head.source;
    this.#readsRecord = isOnNetwork && exclusive && file.settings.recordHolder;
    const left = head.expiry - now();
    if (isOnNetwork) {
      const createParents = head.isFirst && file.settings.createParents;
      head.handle = file.startAttempt(this.waits, this.owner, handle, exclusive, createParents, left);
    } else {
      head.handle = handle;
      this.waits.start(this.owner, handle, (native) => native.startWait(handle, exclusive, left));
    }
    head.isFirst = false;
  }

  /** To be called when the wait has ended by itself. False: its grant is being recorded, and the wait goes on. */
  end(head: Waiter, outcome: number, content: Buffer | undefined): boolean {
    if (this.#startRecord(head, outcome, content)) return false;
    this.head = null;
    this.#settle(head, outcome);
    return true;
  }

  #startRecord(head: Waiter, outcome: number, content: Buffer | undefined): boolean {
    const { recorder } = head.source.file;
    if (outcome !== GRANTED || head.grant !== null || !this.#readsRecord) return false;
    // Without content it could not be read.
    head.grant = recorder.draftRecord(head.handle, content?.length ?? -1, content ?? NO_CONTENT);
    if (head.grant.fencingToken === null) return false;
    recorder.startRecord(this.waits, this.owner, head.handle, head.grant);
    return true;
  }

  /** Ends the wait. True: it had been granted the lock, and has it. */
  cancel(head: Waiter): boolean {
    this.head = null;
    const outcome = this.waits.cancel(head.handle);
    this.#settle(head, outcome);
    return holdsLock(outcome);
  }

  #settle(head: Waiter, outcome: number): void {
    if (outcome === UNRECORDED && head.grant !== null) head.grant = unrecorded(head.grant);
    if (holdsLock(outcome)) return;
    head.handle = -1;
    head.grant = null;
  }

  /** Ends the wait; its head holds nothing. */
  suspend(): void {
    const { head } = this;
    if (head === null || !this.cancel(head)) return;
    const { file } = head.source;
    if (head.grant !== null) file.recorder.recordRelease(head.handle, head.grant, true);
    file.close(head.handle);
    head.handle = -1;
    head.grant = null;
  }
}
