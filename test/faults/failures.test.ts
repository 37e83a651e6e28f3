import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { FileLock } from '../../lib/index.js';
import { alleged, hasShm, shmDir } from '../support/alleged-network.js';
import { FaultyActor, hasCompiler } from '../support/c-fixture.js';
import { tempDir } from '../support/temp-dir.js';
import { runScenario } from './scenarios.js';
import { type Row, SCENARIOS, type Scenario, TABLE } from './table.js';

const PAGE = path.join(__dirname, '../../docs/failures.md');
const MARK = '<!-- The table: test/faults/table.ts. UPDATE_DOCS=1 npx vitest run test/faults writes it anew. -->\n';
const MANY = 1_000_000;

function callOf({ call }: Row): string {
  const known: Record<string, string> = {
    'flock-wait': '`flock`, blocking',
    'flock-unlock': '`flock(LOCK_UN)`',
    'statx-path': '`statx` of the path, after the grant',
    'statx-ask': '`statx` that asks the server',
    'fstatfs-fails': '`fstatfs`',
    fstatat: '`newfstatat`',
    fcntl: '`fcntl(F_OFD_SETLK)`',
  };
  return known[call] ?? `\`${call}\``;
}

function render(): string {
  return (Object.keys(SCENARIOS) as Scenario[])
    .map((scenario) => {
      const rows = TABLE.filter((row) => row.scenario === scenario).map((row) => {
        const times = row.times === undefined ? 'always' : row.times === 1 ? 'once' : `${row.times} times`;
        return `| ${callOf(row)} | ${row.errors.join(', ')} | ${times} | ${row.outcome} | ${row.why ?? ''} |`;
      });
      return `## ${SCENARIOS[scenario]}\n\n| call | fails with | | outcome | |\n| --- | --- | --- | --- | --- |\n${rows.join('\n')}\n`;
    })
    .join('\n');
}

test('docs/failures.md shows the table', () => {
  const page = readFileSync(PAGE, 'utf8');
  const [text = ''] = page.split(MARK);
  const expected = `${text}${MARK}\n${render()}`;
  if (process.env.UPDATE_DOCS) writeFileSync(PAGE, expected);
  else expect(page).toBe(expected);
});

/** What each way comes to: the table's word for it, for one error. */
function expectedOutcome({ outcome, call }: Row, error: string): RegExp {
  if (outcome === 'the error') return new RegExp(`^${aliasOf(error)} ${call}$`);
  const of = /^the error, of (\w+)$/.exec(outcome)?.[1];
  if (of !== undefined) return new RegExp(`^${aliasOf(error)} ${of}$`);
  return new RegExp(`^${outcome === 'waits on' ? 'held' : outcome}$`);
}

/** The name that the number has first. */
function aliasOf(name: string): string {
  return name === 'EWOULDBLOCK' ? 'EAGAIN' : name === 'EOPNOTSUPP' ? '(EOPNOTSUPP|ENOTSUP)' : name;
}

describe.skipIf(!hasCompiler)('a call that fails', () => {
  const cases = TABLE.flatMap((row) => row.errors.map((error) => ({ ...row, error })));

  test.for(cases)('$scenario: $call fails with $error: $outcome', async ({ error, ...row }, context) => {
    const { scenario, call, times = MANY } = row;
    const remote = scenario === 'server' || scenario === 'verify';
    if (remote && !hasShm) return context.skip();
    const directory = remote ? shmDir() : tempDir();
    const file =
      scenario === 'parents'
        ? path.join(directory, 'one/two/lock')
        : path.join(directory, scenario === 'clean' ? 'job/.lock' : 'lock');
    if (scenario !== 'parents') {
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, '');
    }
    const always = remote ? [alleged()] : [];
    const faulty = await FaultyActor.start();
    faulty.inject(...always);
    const descriptors = await faulty.actor.run(
      async (require, [file, holds]) => {
        const { FileLock } = require('../..') as typeof import('../../lib/index.js');
        const lock = new FileLock(file, { recordHolder: true, createParents: false });
        const warm = new FileLock(`${process.env.FAULTS}.lock`);
        warm.acquireSync().release();
        if (holds) Object.assign(globalThis, { guard: lock.acquireSync() });
        const { promises, readdirSync } = require('node:fs') as typeof import('node:fs');
        await promises.stat('/'); // libuv ends a process whose first use of its pool finds no thread
        return readdirSync('/proc/self/fd').length - (holds ? 1 : 0);
      },
      [file, scenario === 'release' || scenario === 'verify'] as [string, boolean],
    );
    const holder = scenario === 'wait' ? new FileLock(file).tryAcquire() : null;

    faulty.inject(`${call} errno ${constants.errno[error]} ${times}`, ...always);
    const target = scenario === 'clean' ? directory : file;
    const outcomes = await faulty.actor.run(runScenario, [scenario, target] as [Scenario, string]);
    // A fault that is used up by the first way leaves the others alone, which is no other outcome for these.
    for (const outcome of outcomes) expect(outcome).toMatch(expectedOutcome(row, error));

    // A wait goes on to its grant while the calls still fail, unless they are what it ends with.
    if (scenario === 'wait' && row.outcome === 'waits on') {
      const granted = faulty.actor.run((require, file) => {
        const { FileLock } = require('../..') as typeof import('../../lib/index.js');
        return new FileLock(file).acquire().then((guard) => {
          guard.release();
          return 'granted';
        });
      }, file);
      holder?.release();
      expect(await granted).toBe('granted');
    }
    holder?.release();

    // Nothing is leaked, and nothing stays locked: for others, and here.
    faulty.inject(...always);
    const after = await faulty.actor.run((require) => {
      const { guard } = globalThis as { guard?: { release(): void } };
      guard?.release();
      return (require('node:fs') as typeof import('node:fs')).readdirSync('/proc/self/fd').length;
    });
    // The first wait makes what wakes the event loop; a thread that could not be started is tried for again.
    if (scenario !== 'wait' && scenario !== 'server') expect(after).toBeLessThanOrEqual(descriptors + 3);
    mkdirSync(path.dirname(file), { recursive: true });
    const here = new FileLock(file).tryAcquire();
    expect(here?.held).toBe(true);
    here?.release();
    const again = await faulty.actor.run((require, file) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      return new FileLock(file).tryAcquire()?.held;
    }, file);
    expect(again).toBe(true);
  });
});
