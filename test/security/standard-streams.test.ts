import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Actor } from '../support/actor.js';
import { tempLock } from '../support/temp-dir.js';

test('a lock file never becomes a standard stream, so that no output is written into it', async () => {
  const actor = await Actor.process();
  const file = tempLock();
  const descriptor = await actor.run((require, file) => {
    const fs = require('node:fs') as typeof import('node:fs');
    const { FileLock } = require('../..') as typeof import('../../lib/index.js');
    for (const stream of [0, 1, 2]) fs.closeSync(stream);
    const guard = new FileLock(file).acquireSync();
    const { fd } = guard;
    for (const stream of [1, 2]) {
      try {
        fs.writeSync(stream, 'output');
      } catch {} // it is closed
    }
    return fd;
  }, file);
  expect(descriptor).toBeGreaterThan(2);
  expect(readFileSync(file, 'utf8')).toBe('');
});
