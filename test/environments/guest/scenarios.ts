import { expect, test } from 'vitest';
import type { Result } from './guest.js';

/** A test for each scenario of a guest that has ended by then. */
export function testScenarios(
  scenarios: readonly { law: string }[],
  guest: () => { results: readonly Result[]; log: string },
): void {
  const laws = scenarios.map(({ law }) => law);

  test('everything is mounted as it was asked for, and every scenario has run', () => {
    const { results, log } = guest();
    expect(
      results.map(({ law }) => law),
      log,
    ).toEqual(laws);
  });

  test.each(laws)('%s', (law) => {
    const { results, log } = guest();
    const result = results.find((each) => each.law === law);
    if (result?.skip !== undefined) {
      console.warn(`Skipped: ${law}: ${result.skip}`);
      return;
    }
    if (result?.figures !== undefined) console.log(`${law}: ${JSON.stringify(result.figures)}`);
    expect(result?.error, log).toBeUndefined();
    expect(result?.ok, log).toBe(true);
  });
}
