// The detectors. The logs are merged by time and read once, record by record; what is kept in memory is what
// was held at that moment, however long the logs are.
const { existsSync, readdirSync } = require('node:fs');
const path = require('node:path');
const { BEGIN, CHANGED, END, EVENT, EVENTS, LogReader, readEnd, UPDATE, WAYS } = require('./log.cjs');

const MOST_EXAMPLES = 5;
/** The time of a thread's end by force, as a record in its log. */
const ENDED = 0;

/** The records of one log, with its end: that by force, or else its last record. */
class ThreadLog {
  #reader;
  #ended;
  #upcoming;
  #last = 0n;

  constructor(directory, name) {
    this.name = name;
    this.path = path.join(directory, `${name}.log`);
    const ends = [name, name.replace(/-\d+$/, '')].map((each) => path.join(directory, `${each}.end`));
    [this.#ended] = ends
      .filter(existsSync)
      .map(readEnd)
      .sort((a, b) => (a < b ? -1 : 1));
    const reader = new LogReader(this.path);
    this.start = reader.next()?.time;
    reader.close();
  }

  /** Only the logs of threads that ran at the moment that is looked at are open. */
  open() {
    this.#reader = new LogReader(this.path);
    this.#upcoming = this.#reader.next();
    this.advance();
  }

  /** Moves to the next record, `current`; undefined at the end. */
  advance() {
    const upcoming = this.#upcoming;
    if (this.#ended !== undefined && (upcoming === undefined || upcoming.time >= this.#ended)) {
      this.current = { kind: ENDED, time: this.#ended };
      this.#ended = undefined;
      this.wasEnded = true;
    } else if (upcoming !== undefined) {
      this.current = upcoming;
      this.#last = upcoming.time;
      this.#upcoming = this.#reader.next();
    } else if (!this.wasEnded) {
      this.current = { kind: ENDED, time: this.#last };
      this.wasEnded = true;
    } else {
      this.current = undefined;
    }
  }
}

const precedes = (a, b) => a.time < b.time || (a.time === b.time && a.kind < b.kind);

/** The records of all logs of a directory, in the order of time. */
function* merged(directory) {
  const names = readdirSync(directory).filter((name) => name.endsWith('.log'));
  const logs = names
    .map((name) => new ThreadLog(directory, name.slice(0, -4)))
    .filter((log) => log.start !== undefined);
  logs.sort((a, b) => (a.start < b.start ? -1 : 1));
  const running = [];
  for (let next = 0; ; ) {
    let first = running[0];
    for (const log of running) if (precedes(log.current, first.current)) first = log;
    if (next < logs.length && (first === undefined || logs[next].start <= first.current.time)) {
      logs[next].open();
      running.push(logs[next++]);
      continue;
    }
    if (first === undefined) return;
    yield [first, first.current];
    first.advance();
    if (first.current === undefined) running.splice(running.indexOf(first), 1);
  }
}

/** What happened to one lock. */
class LockHistory {
  held = new Map();
  lastUpdate;
  lastToken;
}

class Violations {
  counts = { overlaps: 0, lostUpdates: 0, changesWhileHeld: 0, tokensThatDoNotGrow: 0 };
  examples = [];
  #exemplified = {};

  add(kind, example) {
    this.counts[kind]++;
    this.#exemplified[kind] = (this.#exemplified[kind] ?? 0) + 1;
    if (this.#exemplified[kind] <= MOST_EXAMPLES) this.examples.push({ kind, ...example });
  }
}

function describe(log, { exclusive, what, time, value }) {
  const mode = exclusive ? 'exclusive' : 'shared';
  return { log: log.name, way: WAYS[what], mode, time: `${time}`, value: `${value}` };
}

/**
 * Checks all logs of a directory. `lockNames`: for examples.
 *
 * Overlap: an exclusive possession begins while another one lasts, or a shared one while an exclusive one
 * lasts. Lost update: the counter of a lock, which is read, incremented and written without any other
 * synchronization, does not grow from one exclusive possession to the next.
 */
function check(directory, lockNames = []) {
  const violations = new Violations();
  const histories = [];
  const counts = { acquisitions: 0, shared: 0, updates: 0, endedWhileHolding: 0, ways: {}, events: {} };
  const handle = {
    [BEGIN](log, record, history, lock) {
      counts.acquisitions++;
      if (!record.exclusive) counts.shared++;
      counts.ways[WAYS[record.what]] = (counts.ways[WAYS[record.what]] ?? 0) + 1;
      for (const other of history.held.values()) {
        if (!record.exclusive && !other.record.exclusive) continue;
        violations.add('overlaps', { lock, first: describe(other.log, other.record), second: describe(log, record) });
      }
      // A grant after the time of the kill: how long it was held is not known.
      if (!log.wasEnded) history.held.set(`${log.name} ${record.possession}`, { log, record });
      if (record.value === 0n) return; // nothing was recorded
      const last = history.lastToken;
      if (last !== undefined && record.value <= last.record.value) {
        violations.add('tokensThatDoNotGrow', {
          lock,
          first: describe(last.log, last.record),
          second: describe(log, record),
        });
      }
      history.lastToken = { log, record };
    },
    [END](log, record, history) {
      history.held.delete(`${log.name} ${record.possession}`);
    },
    [UPDATE](log, record, history, lock) {
      counts.updates++;
      const last = history.lastUpdate;
      if (last !== undefined && record.value <= last.record.value) {
        violations.add('lostUpdates', { lock, first: describe(last.log, last.record), second: describe(log, record) });
      }
      history.lastUpdate = { log, record };
    },
    [CHANGED](log, record, _, lock) {
      violations.add('changesWhileHeld', { lock, second: describe(log, record) });
    },
    [EVENT](_, record) {
      const name = EVENTS[record.what];
      counts.events[name] = (counts.events[name] ?? 0) + Number(record.value);
    },
    [ENDED](log) {
      for (const history of histories) {
        for (const [key, holder] of history?.held ?? []) {
          if (holder.log !== log) continue;
          history.held.delete(key);
          counts.endedWhileHolding++;
        }
      }
    },
  };
  for (const [log, record] of merged(directory)) {
    if (record.lock !== undefined) histories[record.lock] ??= new LockHistory();
    handle[record.kind](log, record, histories[record.lock], lockNames[record.lock] ?? record.lock);
  }
  return { counts, violations: { ...violations.counts, examples: violations.examples } };
}

module.exports = { check };
