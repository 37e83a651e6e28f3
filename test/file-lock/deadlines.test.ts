import fc from 'fast-check';
import { expect, test } from 'vitest';
import { deadlines, type Timed } from '../../lib/queue/deadlines.js';

const now = () => {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
};

class Item implements Timed {
  dueAt = 0;
  isTimed = false;
  called: number[] = [];
  constructor(
    readonly time: number,
    private readonly log: Item[],
    private readonly later: number | undefined,
  ) {}

  onDue(): number {
    this.called.push(now());
    this.log.push(this);
    return this.later === undefined || this.called.length > 1 ? Number.POSITIVE_INFINITY : this.time + this.later;
  }
}

const plan = fc.record({
  delay: fc.integer({ min: 0, max: 25 }),
  removed: fc.boolean(),
  later: fc.option(fc.integer({ min: 1, max: 10 }), { nil: undefined }),
});

test('deadlines come in order, none before its time, and none that was removed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(plan, { minLength: 1, maxLength: 300 }), async (plans) => {
      const start = now();
      const log: Item[] = [];
      const items = plans.map(({ delay, later }) => new Item(start + delay, log, later));
      for (const item of items) deadlines.add(item, item.time);
      const kept = items.filter((item, index) => {
        if (plans[index]?.removed) deadlines.remove(item);
        return !plans[index]?.removed;
      });
      const calls = kept.reduce((sum, _, index) => sum + (plans[items.indexOf(kept[index] as Item)]?.later ? 2 : 1), 0);
      while (log.length < calls) await new Promise((resolve) => setTimeout(resolve, 2));
      await new Promise((resolve) => setTimeout(resolve, 2));
      expect(log).toHaveLength(calls);
      const first = log.filter((item, index) => log.indexOf(item) === index);
      expect(first.map(({ time }) => time)).toEqual([...first.map(({ time }) => time)].sort((a, b) => a - b));
      for (const item of kept) expect(item.called[0]).toBeGreaterThanOrEqual(item.time);
      for (const item of items.filter((each) => !kept.includes(each))) expect(item.called).toEqual([]);
    }),
    { numRuns: 25 },
  );
});

test('what a callback removes is not due any more', async () => {
  const log: string[] = [];
  const make = (name: string, onDue: () => void): Timed => ({
    dueAt: 0,
    isTimed: false,
    onDue: () => {
      log.push(name);
      onDue();
      return Number.POSITIVE_INFINITY;
    },
  });
  const last = make('last', () => {});
  const first = make('first', () => deadlines.remove(later));
  const later = make('later', () => {});
  const time = now();
  deadlines.add(first, time);
  deadlines.add(later, time + 10);
  deadlines.add(last, time + 20);
  while (!log.includes('last')) await new Promise((resolve) => setTimeout(resolve, 2));
  expect(log).toEqual(['first', 'last']);
});
