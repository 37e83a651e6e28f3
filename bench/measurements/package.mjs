import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { show, showTime } from '../figures.mjs';
import { interleaveAll, medianOf } from '../rounds.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The cost of importing the package, and its size. */
export async function importAndSize({ scratch, quick }) {
  // Build it as it is published: without comments, with reduced source maps.
  execFileSync('npm', ['run', '--silent', 'dist'], { cwd: root, stdio: 'ignore' });
  const entry = fileURLToPath(new URL('../../dist/index.js', import.meta.url));
  writeFileSync(`${scratch}/empty.mjs`, 'export {};\n');
  writeFileSync(`${scratch}/import.mjs`, `import { FileLock } from ${JSON.stringify(entry)};\nexport { FileLock };\n`);
  const start = (program) => async () => {
    const begin = process.hrtime.bigint();
    const { status } = spawnSync(process.execPath, [`${scratch}/${program}`]);
    if (status !== 0) throw new Error(`${program} failed`);
    return Number(process.hrtime.bigint() - begin);
  };
  writeFileSync(`${scratch}/any.cjs`, 'exports.any = 1;\n');
  writeFileSync(`${scratch}/any.mjs`, "import { any } from './any.cjs';\nexport { any };\n");
  const results = await interleaveAll(quick ? 10 : 40, {
    import: start('import.mjs'),
    empty: start('empty.mjs'),
    any: start('any.mjs'),
  });
  // An ES module that imports any CommonJS file pays for Node's loader of those, whatever is in the file.
  const difference = medianOf(results.import) - medianOf(results.empty);

  const pack = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [{ unpackedSize, files }] = Object.values(JSON.parse(pack));
  const binaries = files.filter(({ path }) => path.endsWith('.node')).length;
  return {
    rows: [
      {
        work: 'import, minus an empty program',
        ours: showTime(medianOf(results.import)),
        reference: `${showTime(medianOf(results.empty))} empty, ${showTime(medianOf(results.any))} with a one-line CommonJS file`,
        figure: difference / 1e6,
        unit: 'ms',
        bar: ['≤', 6],
        aim: 3,
      },
      {
        work: 'size of the unpacked package',
        ours: `${show(unpackedSize)} B, ${files.length} files`,
        reference: '',
        figure: unpackedSize / 1024,
        unit: 'KiB',
        bar: ['≤', 480],
        aim: 250,
        note: `with ${binaries} binaries`,
      },
    ],
  };
}
