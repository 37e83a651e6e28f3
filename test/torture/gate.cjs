// Descriptor storms leave a whole process without descriptors, without which Node itself can neither start
// a thread nor write a file: whoever needs some, and whoever takes them all, enters this gate of the process.
const { setTimeout: delay } = require('node:timers/promises');

const newGate = () => new Int32Array(new SharedArrayBuffer(4));

/** Runs `use` while no other thread of the process does. */
async function through(gate, use) {
  while (Atomics.compareExchange(gate, 0, 0, 1) !== 0) await delay(5);
  try {
    return await use();
  } finally {
    Atomics.store(gate, 0, 0);
  }
}

/** Runs `use` unless another thread does. */
async function ifFree(gate, use) {
  if (Atomics.compareExchange(gate, 0, 0, 1) !== 0) return;
  try {
    await use();
  } finally {
    Atomics.store(gate, 0, 0);
  }
}

module.exports = { ifFree, newGate, through };
