// The locks that are tortured, and every way to acquire them.
const { openSync, readSync, writeSync, closeSync, constants } = require('node:fs');
const path = require('node:path');
const { FileLock, JobLockManager } = require(process.env.NATIVE_FILE_LOCK_PACKAGE ?? '../..');

const MECHANISMS = ['flock', 'fcntl'];
const JOBS_OF_EACH = 2;
const INDEX = 'index';

/** By number: names of jobs, and that of the jobs index. */
const LOCK_NAMES = [
  ...MECHANISMS.flatMap((mechanism) => Array.from({ length: JOBS_OF_EACH }, (_, job) => `${mechanism}-${job}`)),
  INDEX,
];

/** A counter in a file, read and written without any synchronization but that of the lock. */
class Counter {
  #bytes = Buffer.alloc(8);
  #file;

  constructor(file) {
    this.#file = openSync(file, constants.O_RDWR | constants.O_CREAT, 0o600);
  }

  read() {
    return readSync(this.#file, this.#bytes, 0, 8, 0) === 8 ? this.#bytes.readBigUInt64LE() : 0n;
  }

  write(value) {
    this.#bytes.writeBigUInt64LE(value);
    writeSync(this.#file, this.#bytes, 0, 8, 0);
  }

  close() {
    closeSync(this.#file);
  }
}

/** One lock as one thread uses it. */
class Target {
  #fileLocks = [];
  #manager;

  constructor({ jobsDirectory, logs }, number, managers) {
    this.number = number;
    this.name = LOCK_NAMES[number];
    this.isIndex = this.name === INDEX;
    this.mechanism = this.isIndex ? MECHANISMS[0] : this.name.slice(0, -2);
    this.path = path.join(jobsDirectory, this.isIndex ? '.jobs_index.lock' : path.join(this.name, '.lock'));
    this.counter = new Counter(path.join(logs, `${this.name}.counter`));
    this.#manager = managers[this.mechanism];
    for (const keepOpen of [false, true]) {
      for (const recordHolder of [false, true]) this.#fileLocks.push(this.#newLock({ keepOpen, recordHolder }));
    }
  }

  /** One of the FileLocks of this thread, or sometimes a new one. */
  fileLock(random) {
    if (random.oneIn(8)) return this.#newLock({ recordHolder: random.oneIn(2) });
    return random.pick(this.#fileLocks);
  }

  /** Calls `use(way, acquire)`: acquire() gives a guard, null, or, if the way itself holds the lock meanwhile, undefined. */
  randomWay(random, hold, mode, signal) {
    const lock = this.fileLock(random);
    const options = { mode, timeout: random.oneIn(3) ? random.below(20) : 1_000 + random.below(1_000) };
    const briefly = { mode, timeout: random.below(30) };
    const manager = this.#manager;
    const holdAs = (way) => async (guard) => void (await hold(guard, way));
    const ways = {
      tryAcquire: () => lock.tryAcquire({ mode }),
      acquireSync: () => lock.acquireSync(briefly),
      withLock: () => lock.withLock(holdAs('withLock'), options),
      acquire: () => lock.acquire(options),
      'acquire with a signal': () => lock.acquire({ ...options, signal: signal() }),
      ...(this.isIndex
        ? {
            lockJobsIndex: () => manager.lockJobsIndex(options),
            jobsIndexLock: () => manager.jobsIndexLock(holdAs('jobsIndexLock'), { ...options, signal: signal() }),
          }
        : {
            lockJobDirectory: () => manager.lockJobDirectory(this.name, options),
            lockJobDirectorySync: () => manager.lockJobDirectorySync(this.name, briefly),
            tryLockJobDirectory: () => manager.tryLockJobDirectory(this.name, { mode }),
            jobLock: () => manager.jobLock(this.name, holdAs('jobLock'), { ...options, signal: signal() }),
          }),
    };
    const way = random.pick(Object.keys(ways));
    return { way, acquire: ways[way] };
  }

  close() {
    for (const lock of this.#fileLocks) lock.close();
    this.counter.close();
  }

  #newLock(options) {
    return new FileLock(this.path, { mechanism: this.mechanism, ...options });
  }
}

/** All locks, for one thread. */
class Targets {
  constructor(places) {
    const newManager = (mechanism) => new JobLockManager(places.jobsDirectory, { mechanism });
    this.managers = Object.fromEntries(MECHANISMS.map((mechanism) => [mechanism, newManager(mechanism)]));
    this.all = LOCK_NAMES.map((_, number) => new Target(places, number, this.managers));
  }

  close() {
    for (const target of this.all) target.close();
    for (const manager of Object.values(this.managers)) manager.close();
  }
}

/** Has the package load the modules that it loads at first use: a process without descriptors could not. */
async function loadEverything(directory) {
  const manager = new JobLockManager(directory);
  await manager.jobLock('job', () => manager.inspectJob('job'));
  await manager.cleanupStaleLocks();
  manager.close();
}

module.exports = { LOCK_NAMES, loadEverything, Targets };
