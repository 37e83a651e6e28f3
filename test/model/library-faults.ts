import type { Fault } from './library.js';

const pending = 'queue/pending-acquisitions.js';
const pathLock = 'queue/path-lock.js';
const headWait = 'queue/head-wait.js';
const blocking = 'queue/blocking-wait.js';

/** Faults of the built queue, each with the traces that must notice it. */
export const LIBRARY_FAULTS: Record<string, Fault & { traces: string }> = {
  'no pump after a waiter has left': {
    file: pending,
    find: '        waiter.stopListening();\n        this.#schedulePump();',
    replace: '        waiter.stopListening();',
    traces: 'exclusive waiters, and a replaced file',
  },
  'a pump more, when a grant comes at the deadline': {
    file: pending,
    find: 'this.deliver(waiter, waiter.handle);\n                this.#schedulePump();',
    replace: 'this.deliver(waiter, waiter.handle);\n                this.pump();',
    traces: 'shared and exclusive',
  },
  'no pump after a grant': {
    file: pending,
    find: 'this.deliver(head, head.handle);\n            this.pump();',
    replace: 'this.deliver(head, head.handle);',
    traces: 'shared and exclusive',
  },
  'a grant at the deadline is given back': {
    file: pending,
    find: 'if (this.#headWait.cancel(waiter)) {',
    replace: 'if (this.#headWait.cancel(waiter) && waiter === null) {',
    traces: 'one wait',
  },
  'the open file is not passed on': {
    file: pending,
    find: 'next !== null && next.handle < 0 &&',
    replace: 'next === null && next.handle < 0 &&',
    traces: 'exclusive waiters, and a replaced file',
  },
  'a passing grant leaves the head in the kernel': {
    file: pathLock,
    find: 'this.#pending.suspendIfConflicting();',
    replace: '',
    traces: 'a try',
  },
  'handed on without confirmation': {
    file: pathLock,
    find: 'canHandOff ? this.#native.confirm(handle) : native_js_1.BUSY',
    replace: 'canHandOff ? native_js_1.GRANTED : native_js_1.BUSY',
    traces: 'exclusive waiters, and a replaced file',
  },
  'nothing is handed on': {
    file: pathLock,
    find: 'const canHandOff = exclusive &&',
    replace: 'const canHandOff = !exclusive &&',
    traces: 'exclusive waiters, and a replaced file',
  },
  'the lock is not left free when the budget is spent': {
    file: pathLock,
    find: 'if (this.#budget.isSpent && ',
    replace: 'if (!this.#budget.isSpent && ',
    traces: 'exclusive waiters, and a replaced file',
  },
  'suspended waits are not resumed': {
    file: pathLock,
    find: 'owner.resumeWait();',
    replace: ';',
    traces: 'a synchronous call',
  },
  'a synchronous call leaves the head in the kernel': {
    file: blocking,
    find: 'owner.suspendWait();',
    replace: ';',
    traces: 'a synchronous call',
  },
  'a synchronous call waits for its own thread': {
    file: blocking,
    find: 'if (native.conflictsWithOwn(open, exclusive)) {',
    replace: 'if (false) {',
    traces: 'a synchronous call',
  },
  'a suspended grant is kept': {
    file: headWait,
    find: 'file.close(head.handle);',
    replace: '',
    traces: 'one wait',
  },
  'a grant is delivered before its record': {
    file: headWait,
    find: 'if (this.#startRecord(head, outcome, content))',
    replace: 'if (false)',
    traces: 'on a server',
  },
  'the record of an undelivered grant is left': {
    file: headWait,
    find: 'file.recorder.recordRelease(head.handle, head.grant, true);',
    replace: ';',
    traces: 'on a server',
  },
  'the record of an abandoned lock is not put back': {
    file: 'holder/recorder.js',
    find: 'grant.previousContent ?? released',
    replace: 'released',
    traces: 'on a server',
  },
};
