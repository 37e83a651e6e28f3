import { writeFileSync } from 'node:fs';
import { beforeAll, describe } from 'vitest';
import { type Result, runGuest, whyNoGuest } from '../guest/guest.js';
import { testScenarios } from '../guest/scenarios.js';

const { scenarios } = require('./scenarios.cjs') as { scenarios: { law: string }[] };

/** NFS_VERSIONS, NFS_SECONDS (of the storm) and NFS_REPORT (a file for the figures, as JSON) can be set. */
const versions = (process.env.NFS_VERSIONS ?? '3 4.0 4.2').split(' ');
const seconds = Number(process.env.NFS_SECONDS ?? 20);
const reason = whyNoGuest(['ip', 'exportfs', 'rpc.nfsd', 'rpcbind']);
if (reason !== undefined) console.warn(`Skipped: NFS with three clients. ${reason}.`);

const report: Record<string, Result[]> = {};

describe.skipIf(reason !== undefined).each(versions)('NFS %s, three clients', (version) => {
  let guest: { results: Result[]; log: string };
  beforeAll(async () => {
    guest = await runGuest(__dirname, seconds, { NFS_VERSION: version });
    report[version] = guest.results;
    if (process.env.NFS_REPORT !== undefined) writeFileSync(process.env.NFS_REPORT, JSON.stringify(report, null, 2));
  });

  testScenarios(scenarios, () => guest);
});
