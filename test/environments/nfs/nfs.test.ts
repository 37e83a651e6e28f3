import { writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Result, runGuest, whyNoGuest } from './guest.js';

const { scenarios } = require('./scenarios.cjs') as { scenarios: { law: string }[] };

/** NFS_VERSIONS, NFS_SECONDS (of the storm) and NFS_REPORT (a file for the figures, as JSON) can be set. */
const versions = (process.env.NFS_VERSIONS ?? '3 4.0 4.2').split(' ');
const seconds = Number(process.env.NFS_SECONDS ?? 20);
const reason = whyNoGuest();
if (reason !== undefined) console.warn(`Skipped: NFS with three clients. ${reason}.`);

const report: Record<string, Result[]> = {};

describe.skipIf(reason !== undefined).each(versions)('NFS %s, three clients', (version) => {
  let results: Result[] = [];
  let log = '';
  beforeAll(async () => {
    ({ results, log } = await runGuest(version, seconds));
    report[version] = results;
    if (process.env.NFS_REPORT !== undefined) writeFileSync(process.env.NFS_REPORT, JSON.stringify(report, null, 2));
  });

  test('every mount is of that version, and every scenario has run', () => {
    expect(
      results.map(({ law }) => law),
      log,
    ).toEqual(scenarios.map(({ law }) => law));
  });

  test.each(scenarios.map(({ law }) => law))('%s', (law) => {
    const result = results.find((each) => each.law === law);
    if (result?.skip !== undefined) {
      console.warn(`Skipped: ${law}: ${result.skip}`);
      return;
    }
    if (result?.figures !== undefined) console.log(`${version}: ${law}: ${JSON.stringify(result.figures)}`);
    expect(result?.error, log).toBeUndefined();
    expect(result?.ok, log).toBe(true);
  });
});
