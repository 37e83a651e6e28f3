import { readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { hasShm, shmDir } from '../support/alleged-network.js';
import { hasCompiler } from '../support/c-fixture.js';
import { tempDir } from '../support/temp-dir.js';
import { type Scenario, scenarios } from './scenarios.js';
import { Subject } from './subject.js';
import { type Row, table } from './table.js';

const PAGE = path.join(__dirname, '../../docs/failures.md');
const MARK = '<!-- The table: test/faults/table.ts. UPDATE_DOCS=1 npx vitest run test/faults writes it anew. -->\n';
/** In milliseconds: some start a process for each failure. */
const MANY_PROCESSES = 180_000;
const numbers: Record<string, number> = constants.errno;

function canRun({ onShm }: Scenario): boolean {
  return hasCompiler && (!onShm || hasShm);
}

function faultsOf({ inject }: Row, error: string): string[] {
  return inject.map((fault) =>
    fault.replace(/ (E[A-Z]*) /, (_, name: string) => ` ${numbers[name === 'E' ? error : name]} `),
  );
}

async function started(scenario: Scenario): Promise<Subject> {
  const subject = await Subject.start(scenario.onShm ? shmDir() : tempDir(), scenario.always);
  if (scenario.fresh) await subject.noteCounts();
  else await subject.warmUp();
  return subject;
}

/** What should come of each failure, and what does: in one process, unless that must be fresh. */
async function outcomes(rows: readonly Row[], scenario: Scenario): Promise<{ expected: string[]; found: string[] }> {
  const expected: string[] = [];
  const found: string[] = [];
  let subject: Subject | undefined;
  for (const row of rows) {
    for (const error of row.fails) {
      if (scenario.fresh) subject = undefined;
      subject ??= await started(scenario);
      const name = [row.call, row.which, error].filter(Boolean).join(' ');
      expected.push(`${name}: ${row.expected.replace('$', error)}`);
      try {
        found.push(`${name}: ${await scenario.run(subject, faultsOf(row, error))}`);
      } catch (problem) {
        found.push(`${name}: ${problem}`);
        subject = undefined;
      }
    }
  }
  return { expected, found };
}

/** The table, in Markdown. */
function rendered(): string {
  const code = (text: string) => (text === '' ? '' : `\`${text}\``);
  const lines = table.map(({ call, which, fails, doing, expected, recovered, instead }) => {
    const [first = '', ...others] = fails;
    const failure = first in numbers ? [first, ...others].map(code).join(' ') : first;
    const gets = expected
      .replace('LockError $', '`LockError` with that code,')
      .replace(/LockError (E[A-Z_]+)/, '`LockError` `$1`');
    const note = instead === '' ? recovered : `${recovered} (not yet: ${instead})`;
    return `| ${code(call)} ${which} | ${failure} | ${doing} | ${gets} | ${note} |`;
  });
  const head = ['| call | fails with | while | the caller gets | recovered |', '| --- | --- | --- | --- | --- |'];
  return [...head, ...lines].join('\n').replaceAll(/ +\|/g, ' |');
}

describe('when a system call fails', () => {
  const entries = Object.entries(scenarios) as [Row['doing'], Scenario][];
  const rowsOf = (name: Row['doing'], mended: boolean) =>
    table.filter(({ doing, instead }) => doing === name && (instead === '') === mended);

  for (const [name, scenario] of entries) {
    const rows = rowsOf(name, true);
    if (rows.length === 0) continue;
    test.skipIf(!canRun(scenario))(
      `while ${name}, the outcome is that of the table, and nothing leaks`,
      async () => {
        const { expected, found } = await outcomes(rows, scenario);
        expect(found).toEqual(expected);
      },
      MANY_PROCESSES,
    );
  }

  // These pass once they are mended; then their rows in the table must not say that they are not.
  for (const [name, scenario] of entries) {
    for (const row of rowsOf(name, false)) {
      const declare = canRun(scenario) ? test.fails : test.skip;
      declare(`while ${name}, ${row.call} is as the table wants it (not yet: ${row.instead})`, async () => {
        const { expected, found } = await outcomes([row], scenario);
        expect(found).toEqual(expected);
      });
    }
  }
});

test('docs/failures.md shows the table', () => {
  const page = readFileSync(PAGE, 'utf8');
  const [text = ''] = page.split(MARK);
  const expected = `${text}${MARK}\n${rendered()}\n`;
  if (process.env.UPDATE_DOCS) writeFileSync(PAGE, expected);
  else expect(page).toBe(expected);
});

test('every row of the table is of a scenario that there is', () => {
  expect(table.length).toBeGreaterThan(200);
  expect(table.filter(({ doing }) => !(doing in scenarios))).toEqual([]);
});
