import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';

interface Fault {
  name: string;
  file: string;
  find: string;
  replace: string;
  tests: string[];
}

const ROOT = path.join(__dirname, '../..');

async function load(): Promise<{ faults: Fault[]; occurrences(text: string, fault: Fault): number }> {
  return await import(pathToFileURL(path.join(__dirname, 'faults.mjs')).href);
}

const namesOf = (faults: readonly Fault[]) => faults.map(({ name }) => name);

test('every fault can be planted in exactly one place of the sources, and changes it', async () => {
  const { faults, occurrences } = await load();
  expect(faults.length).toBeGreaterThanOrEqual(20);
  const count = (fault: Fault) => occurrences(readFileSync(path.join(ROOT, fault.file), 'utf8'), fault);
  expect(namesOf(faults.filter((fault) => count(fault) !== 1 || fault.find === fault.replace))).toEqual([]);
});

test('the tests that are to catch a fault exist', async () => {
  const { faults } = await load();
  const exist = (files: string[]) =>
    files.length > 0 && files.every((file) => existsSync(path.join(ROOT, 'test', file)));
  expect(namesOf(faults.filter(({ tests }) => !exist(tests)))).toEqual([]);
});

test('every fault has a name of its own', async () => {
  const names = namesOf((await load()).faults);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});
