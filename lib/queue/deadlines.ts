import { clearTimeout, now, setTimeout } from '../clock.js';

/** Something that is due at a time of the monotonic clock. */
export interface Timed {
  /** When it is due, while it is among the deadlines. */
  dueAt: number;
  /** Whether it is among the deadlines. Once removed it is not added again. Both are for the deadlines to change. */
  isTimed: boolean;
  /** Called once its time has come. Returns the time at which it is due next, or Infinity. */
  onDue(time: number): number;
}

const LONGEST_TIMER = 2 ** 31 - 1;
/** Below this many removed entries, cleaning up is not worth it. */
const FEW = 64;

/**
 * The deadlines of all waiters of this thread: a binary heap and one timer. A timer for each waiter would
 * cost more than the rest of its waiting, and a list would have to be searched in every tick.
 *
 * Removing only marks an entry, since most waiters are granted long before their deadlines; once more
 * than half of the entries are marked, they are dropped together. So the cost of removal is constant on
 * average, and no more removed waiters than others are kept in memory.
 *
 * The timer does not keep the process alive; pending waits do that by themselves.
 */
class Deadlines {
  #heap: Timed[] = [];
  #removed = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerDue = Number.POSITIVE_INFINITY;

  add(item: Timed, time: number): void {
    if (time === Number.POSITIVE_INFINITY) return;
    item.dueAt = time;
    item.isTimed = true;
    this.#push(item);
    if (time < this.#timerDue) this.#startTimer(time);
  }

  remove(item: Timed): void {
    if (!item.isTimed) return;
    item.isTimed = false;
    this.#removed++;
    if (this.#removed > FEW && 2 * this.#removed > this.#heap.length) this.#dropRemoved();
  }

  #startTimer(time: number): void {
    clearTimeout(this.#timer);
    this.#timerDue = time;
    const delay = Math.max(1, Math.min(Math.ceil(time - now()), LONGEST_TIMER));
    this.#timer = setTimeout(() => this.#onTimer(), delay).unref();
  }

  #onTimer(): void {
    this.#timerDue = Number.POSITIVE_INFINITY;
    // One look at the clock: of two waiters with the same deadline, both are due or neither.
    const time = now();
    const due: Timed[] = [];
    for (let first = this.#heap[0]; first !== undefined && first.dueAt <= time; first = this.#heap[0]) {
      this.#pop();
      if (first.isTimed) due.push(first);
      else this.#removed--;
      first.isTimed = false;
    }
    // Only now, since a callback can add and remove others, and remove those that are in `due` too.
    for (const item of due) this.add(item, item.onDue(time));
    const next = this.#heap[0];
    if (next !== undefined && next.dueAt < this.#timerDue) this.#startTimer(next.dueAt);
  }

  #dropRemoved(): void {
    const left = this.#heap.filter(({ isTimed }) => isTimed);
    this.#heap = [];
    this.#removed = 0;
    for (const item of left) this.#push(item);
  }

  #push(item: Timed): void {
    const heap = this.#heap;
    let index = heap.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Timed;
      if (above.dueAt <= item.dueAt) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = item;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Timed;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && right.dueAt < (heap[child] as Timed).dueAt) child++;
      const below = heap[child] as Timed;
      if (below.dueAt >= last.dueAt) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = last;
  }
}

export const deadlines = new Deadlines();
