// One thread: acquires, holds and releases the locks in every way, among storms, until it is time to end.
const { unlinkSync, writeSync } = require('node:fs');
const { setTimeout: delay } = require('node:timers/promises');
const { LockError, LockTimeoutError } = require(process.env.NATIVE_FILE_LOCK_PACKAGE ?? '../..');
const { BEGIN, CHANGED, END, UPDATE, WAYS } = require('./log.cjs');
const { randomStorm, spin } = require('./storms.cjs');

const TASKS = 2;
const MOST_ERRORS = 50;
/** Errors that such a life must expect: of a thread that blocks for what it holds itself, and of descriptor storms. */
const EXPECTED = ['EDEADLK', 'EMFILE'];

class Contender {
  #possessions = 0;
  #errors = 0;

  /** `unlocked`: the fraction of possessions that do not lock, of which the detectors must notice. */
  constructor({ name, log, targets, random, gate, unlocked, removes }) {
    Object.assign(this, { name, log, targets, random, gate, unlocked, removes });
  }

  /** Runs until the monotonic clock reads `end`. */
  async run(end) {
    const task = async () => {
      for (let round = 1; process.hrtime.bigint() < end; round++) {
        await (randomStorm(this) ?? this.attempt());
        // Also if no attempt of this round had to wait.
        if (round % 16 === 0) await new Promise(setImmediate);
      }
    };
    await Promise.all(Array.from({ length: TASKS }, task));
  }

  /** Acquires a lock in some way, holds and releases it. */
  async attempt(target = this.random.pick(this.targets.all)) {
    const { random } = this;
    const mode = random.oneIn(4) ? 'shared' : 'exclusive';
    if (random.fraction() < this.unlocked) return this.#hold(target, mode, null, 'unlocked');
    const controller = new AbortController();
    const signal = () => {
      setTimeout(() => controller.abort(new Error('aborted')), random.below(8));
      return controller.signal;
    };
    const hold = (guard, way) => this.#hold(target, mode, guard, way);
    const { way, acquire } = target.randomWay(random, hold, mode, signal);
    await this.settle(way, controller.signal, async () => {
      const guard = await acquire();
      if (guard === null) this.log.event('busy');
      if (!guard) return;
      try {
        await hold(guard, way);
      } finally {
        guard.release();
      }
    });
  }

  /** Holds a lock acquired by one of many waits that begin at once. */
  async attemptWithSignal(target, lock, signal) {
    await this.settle('acquire with a signal', signal, async () => {
      const guard = await lock.acquire({ timeout: 3_000, signal });
      await this.#hold(target, 'exclusive', guard, 'acquire with a signal').finally(() => guard.release());
    });
  }

  /** Counts how an attempt failed. */
  async settle(way, signal, attempt) {
    try {
      await attempt();
    } catch (error) {
      if (error instanceof LockTimeoutError) this.log.event('timeouts');
      else if (signal.aborted && error === signal.reason) this.log.event('aborts');
      else if (error instanceof LockError && EXPECTED.includes(error.code)) this.log.event(error.code);
      else this.unexpected(way, error);
    }
  }

  /** Reports an error on the standard error stream, which is a file. */
  unexpected(where, { name, message, code, syscall, stack }) {
    this.log.event('unexpected errors');
    if (++this.#errors > MOST_ERRORS) return;
    const unexpected = { by: this.name, where, name, code, syscall, message, stack: stack?.split('\n').slice(1, 6) };
    writeSync(2, `${JSON.stringify({ unexpected })}\n`);
  }

  async #hold(target, mode, guard, way) {
    const { log, random } = this;
    const { counter } = target;
    const exclusive = mode === 'exclusive';
    const record = { lock: target.number, exclusive, what: WAYS.indexOf(way), possession: ++this.#possessions };
    log.write(BEGIN, { ...record, value: guard?.fencingToken ?? 0n });
    const before = counter.read();
    try {
      if (guard?.previousHolder) log.event('abandoned locks reported');
      await this.#linger();
      if (counter.read() !== before) log.write(CHANGED, { ...record, value: before });
      if (exclusive) {
        counter.write(before + 1n);
        log.write(UPDATE, { ...record, value: before + 1n });
      }
      guard?.verify(); // nobody but an exclusive holder may remove the file
    } finally {
      log.write(END, record); // before the release: a possession must never look longer than it was
    }
    if (guard && exclusive && this.removes && random.oneIn(15)) {
      unlinkSync(target.path);
      log.event('removals by the holder');
    }
  }

  /** Some time, mostly short, with and without the event loop. */
  async #linger() {
    const { random } = this;
    const kind = random.below(20);
    if (kind < 8) spin(random.fraction() * 0.3);
    else if (kind < 14) await null;
    else if (kind < 17) await new Promise(setImmediate);
    else if (kind < 19) await delay(random.below(5));
    else if (random.oneIn(10)) spin(50);
  }
}

module.exports = { Contender };
