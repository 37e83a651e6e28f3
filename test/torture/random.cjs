// A small seeded generator of random numbers (mulberry32): Math.random() cannot be repeated.

/** Mixes a number into a seed, so that each process and each thread has a sequence of its own. */
function derive(seed, number) {
  let mixed = Math.imul(seed ^ Math.imul(number + 1, 0x9e3779b1), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

class Random {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
  }

  /** At least 0 and less than 1. */
  fraction() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer of at least 0 and less than `limit`. */
  below(limit) {
    return Math.floor(this.fraction() * limit);
  }

  oneIn(number) {
    return this.below(number) === 0;
  }

  pick(list) {
    return list[this.below(list.length)];
  }
}

module.exports = { derive, Random };
