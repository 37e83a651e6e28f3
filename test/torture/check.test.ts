import path from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../support/temp-dir.js';

interface Fields {
  lock?: number;
  exclusive?: boolean;
  what?: number;
  possession?: number;
  value?: bigint;
}

const { BEGIN, CHANGED, END, LogWriter, UPDATE, writeEnd } = require('./log.cjs') as {
  BEGIN: number;
  CHANGED: number;
  END: number;
  UPDATE: number;
  LogWriter: new (file: string) => { writeAt(time: bigint, kind: number, fields: Fields): void; close(): void };
  writeEnd: (file: string, time: bigint) => void;
};
const { check } = require('./check.cjs') as {
  check: (directory: string) => {
    counts: Record<'acquisitions' | 'shared' | 'updates' | 'endedWhileHolding', number>;
    violations: Record<'overlaps' | 'lostUpdates' | 'changesWhileHeld' | 'tokensThatDoNotGrow', number> & {
      examples: { kind: string; first: { log: string }; second: { log: string } }[];
    };
  };
};

const NONE = { overlaps: 0, lostUpdates: 0, changesWhileHeld: 0, tokensThatDoNotGrow: 0 };
const X = { exclusive: true, possession: 1 };
const S = { exclusive: false, possession: 1 };

type Line = readonly [time: bigint, kind: number, fields: Fields];

/** A directory with a log for each thread, by name. */
function logsOf(threads: Record<string, readonly Line[]>, ends: Record<string, bigint> = {}): string {
  const directory = tempDir();
  for (const [name, lines] of Object.entries(threads)) {
    const log = new LogWriter(path.join(directory, `${name}.log`));
    for (const line of lines) log.writeAt(...line);
    log.close();
  }
  for (const [name, time] of Object.entries(ends)) writeEnd(path.join(directory, `${name}.end`), time);
  return directory;
}

const violationsOf = (directory: string) => {
  const { examples, ...kinds } = check(directory).violations;
  return kinds;
};

const held = (from: bigint, to: bigint, fields: Fields): Line[] => [
  [from, BEGIN, fields],
  [to, END, fields],
];

test('logs without a second holder and with every update pass', () => {
  const directory = logsOf({
    '0-0': [[10n, BEGIN, { ...X, value: 7n }], [20n, UPDATE, { ...X, value: 1n }], [30n, END, X], ...held(40n, 60n, S)],
    '1-0': [
      ...held(45n, 70n, S), // shared with the other
      [70n, BEGIN, { ...X, value: 8n }], // in the nanosecond in which the last one ended
      [75n, UPDATE, { ...X, value: 3n }], // the update in between was by one that was killed before it told
      [80n, END, X],
      ...held(150n, 160n, { ...X, possession: 2 }),
    ],
    '1-1': held(150n, 160n, { ...X, lock: 1 }), // another lock
  });
  const { counts } = check(directory);
  expect(violationsOf(directory)).toEqual(NONE);
  expect(counts).toMatchObject({ acquisitions: 6, shared: 2, updates: 2, endedWhileHolding: 0 });
});

test.each([
  ['two exclusive holders', X, X],
  ['a shared holder that began before an exclusive one', S, X],
  ['an exclusive holder that began before a shared one', X, S],
])('an overlap is found: %s', (_, first, second) => {
  const directory = logsOf({ '0-0': held(10n, 31n, first), '1-0': held(30n, 40n, second) });
  expect(violationsOf(directory)).toEqual({ ...NONE, overlaps: 1 });
  expect(check(directory).violations.examples).toMatchObject([
    { kind: 'overlaps', first: { log: '0-0' }, second: { log: '1-0' } },
  ]);
});

test('an overlap is found between two tasks of one thread, and behind a possession that ended in between', () => {
  const directory = logsOf({
    '0-0': [
      [10n, BEGIN, S],
      [11n, BEGIN, { ...S, possession: 2 }],
      [12n, END, { ...S, possession: 2 }],
      [13n, BEGIN, { ...X, possession: 3 }],
    ],
  });
  expect(violationsOf(directory)).toEqual({ ...NONE, overlaps: 1 });
});

test('a process or a worker that was ended by force held the lock until then, and no longer', () => {
  const thread = { '5-1': [[10n, BEGIN, X]] as const };
  for (const end of ['5', '5-1']) {
    const early = logsOf({ ...thread, '6-0': held(19n, 40n, X) }, { [end]: 20n });
    expect(violationsOf(early), end).toEqual({ ...NONE, overlaps: 1 });
    const late = logsOf({ ...thread, '6-0': held(20n, 40n, X) }, { [end]: 20n });
    expect(violationsOf(late), end).toEqual(NONE);
    expect(check(late).counts.endedWhileHolding).toBe(1);
  }
});

test('a grant that its holder did not live to hold ends where it begins, but may begin in nobody else’s', () => {
  const afterKill = [[25n, BEGIN, X]] as const;
  expect(violationsOf(logsOf({ '5-0': afterKill, '6-0': held(26n, 40n, X) }, { 5: 20n }))).toEqual(NONE);
  expect(violationsOf(logsOf({ '5-0': afterKill, '6-0': held(24n, 40n, X) }, { 5: 20n })).overlaps).toBe(1);
});

test('a lost update is found: the same value twice, or a smaller one', () => {
  for (const value of [5n, 4n]) {
    const directory = logsOf({
      '0-0': [[10n, UPDATE, { ...X, value: 5n }]],
      '1-0': [[20n, UPDATE, { ...X, value }]],
    });
    expect(violationsOf(directory)).toEqual({ ...NONE, lostUpdates: 1 });
  }
});

test('a counter that changes while the lock is held is found', () => {
  expect(violationsOf(logsOf({ '0-0': [[10n, CHANGED, S]] }))).toEqual({ ...NONE, changesWhileHeld: 1 });
});

test('a fencing token that does not grow is found', () => {
  const directory = logsOf({
    '0-0': [
      [10n, BEGIN, { ...X, value: 7n }],
      [11n, END, X],
    ],
    '1-0': [
      [12n, BEGIN, { ...X, value: 7n }],
      [13n, END, X],
    ],
  });
  expect(violationsOf(directory)).toEqual({ ...NONE, tokensThatDoNotGrow: 1 });
});

test('logs that are longer than what is read at once, and begin at different times, are merged in order', () => {
  const LONG = 5_000n;
  const threads = Object.fromEntries(
    Array.from({ length: 5 }, (_, thread) => [
      `${thread}-0`,
      Array.from({ length: Number(LONG) }, (_, round) => {
        const time = 1_000n * BigInt(thread) + 5n * BigInt(round) + BigInt(thread);
        return held(time, time + 1n, { ...X, possession: round });
      }).flat(),
    ]),
  );
  expect(violationsOf(logsOf(threads))).toEqual(NONE);
  threads['4-0']?.push([4_004n + 5n * LONG, BEGIN, X], [4_004n + 5n * LONG + 9n, END, X]);
  threads['5-0'] = held(4_004n + 5n * LONG + 8n, 4_004n + 5n * LONG + 12n, X);
  expect(violationsOf(logsOf(threads))).toEqual({ ...NONE, overlaps: 1 });
});
