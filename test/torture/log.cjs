// The log of one thread: fixed-length records in the order of the monotonic clock, each written by one
// system call, so that it survives a kill. A killed process can leave a part of its last record.
//
// `<process>-<thread>.log` is a log; `<process>.end` and `<process>-<thread>.end` hold the time just
// before a process or a thread was killed, was terminated, or exited amid everything: at least until then it
// held what it held.
const { openSync, readSync, writeFileSync, writeSync, closeSync, readFileSync } = require('node:fs');

const LENGTH = 24;
const RECORDS_AT_ONCE = 1024;

/** Of a record. The end of a possession comes first: at the same time it is no overlap. */
const END = 1;
const BEGIN = 2;
/** `value`: what was written into the counter of the lock. */
const UPDATE = 3;
/** The counter changed while the lock was held. `value`: what it was when the possession began. */
const CHANGED = 4;
/** `what`: an index of EVENTS. `value`: how often. */
const EVENT = 5;

const WAYS = [
  'unlocked',
  'tryAcquire',
  'acquireSync',
  'withLock',
  'acquire',
  'acquire with a signal',
  'lockJobDirectory',
  'lockJobDirectorySync',
  'tryLockJobDirectory',
  'jobLock',
  'lockJobsIndex',
  'jobsIndexLock',
];

const EVENTS = [
  'busy',
  'timeouts',
  'aborts',
  'EDEADLK',
  'EMFILE',
  'unexpected errors',
  'removals by the holder',
  'clean-ups',
  'files cleaned up',
  'bursts',
  'abort storms',
  'descriptor storms',
  'spawn storms',
  'stalls',
  'inspections',
  'abandoned locks reported',
  'terminated workers',
  'abrupt exits',
  'surviving processes',
];

class LogWriter {
  #bytes = Buffer.alloc(LENGTH);
  #file;

  constructor(path) {
    this.#file = openSync(path, 'a');
  }

  /** Takes the time. */
  write(kind, { lock = 0, exclusive = false, what = 0, possession = 0, value = 0n }) {
    this.writeAt(process.hrtime.bigint(), kind, { lock, exclusive, what, possession, value });
  }

  writeAt(time, kind, { lock = 0, exclusive = false, what = 0, possession = 0, value = 0n }) {
    const bytes = this.#bytes;
    bytes[0] = kind;
    bytes[1] = exclusive ? 1 : 0;
    bytes[2] = what;
    bytes[3] = lock;
    bytes.writeUInt32LE(possession, 4);
    bytes.writeBigUInt64LE(time, 8);
    bytes.writeBigUInt64LE(value, 16);
    writeSync(this.#file, bytes);
  }

  event(name, times = 1) {
    this.write(EVENT, { what: EVENTS.indexOf(name), value: BigInt(times) });
  }

  close() {
    closeSync(this.#file);
  }
}

/** Reads a log record by record. */
class LogReader {
  #file;
  #buffer = Buffer.alloc(LENGTH * RECORDS_AT_ONCE);
  #position = 0;
  #length = 0;

  constructor(path) {
    this.#file = openSync(path, 'r');
  }

  /** The next record; undefined, and the file is closed, when there is none. */
  next() {
    if (this.#position + LENGTH > this.#length) {
      this.#length = this.#file === -1 ? 0 : this.#fill();
      this.#position = 0;
      if (this.#length < LENGTH) {
        this.close();
        return undefined;
      }
    }
    const [bytes, at] = [this.#buffer, this.#position];
    this.#position += LENGTH;
    return {
      kind: bytes[at],
      exclusive: bytes[at + 1] === 1,
      what: bytes[at + 2],
      lock: bytes[at + 3],
      possession: bytes.readUInt32LE(at + 4),
      time: bytes.readBigUInt64LE(at + 8),
      value: bytes.readBigUInt64LE(at + 16),
    };
  }

  close() {
    if (this.#file !== -1) closeSync(this.#file);
    this.#file = -1;
  }

  #fill() {
    let length = 0;
    while (length < this.#buffer.length) {
      const read = readSync(this.#file, this.#buffer, length, this.#buffer.length - length, null);
      if (read === 0) break;
      length += read;
    }
    return length;
  }
}

/** Notes that a process or a thread is about to be ended. The first such note stays: it can be killed while it exits. */
function writeEnd(path, time = process.hrtime.bigint()) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(time);
  try {
    writeFileSync(path, bytes, { flag: 'wx' });
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
}

const readEnd = (path) => readFileSync(path).readBigUInt64LE();

module.exports = { BEGIN, CHANGED, END, EVENT, EVENTS, LogReader, LogWriter, readEnd, UPDATE, WAYS, writeEnd };
