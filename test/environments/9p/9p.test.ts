import { beforeAll, describe } from 'vitest';
import { type Result, runGuest, whyNoGuest } from '../guest/guest.js';
import { testScenarios } from '../guest/scenarios.js';

const { scenarios } = require('./scenarios.cjs') as { scenarios: { law: string }[] };

const STORM_SECONDS = 10;
const reason = whyNoGuest(['diod']);
if (reason !== undefined) console.warn(`Skipped: 9p with two clients. ${reason}.`);

describe.skipIf(reason !== undefined)('9p, two clients', () => {
  let guest: { results: Result[]; log: string };
  beforeAll(async () => {
    guest = await runGuest(__dirname, STORM_SECONDS);
  });

  testScenarios(scenarios, () => guest);
});
