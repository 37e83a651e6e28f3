// Fails unless the binaries that are published exist, match prebuilds/SHA256SUMS, and were built from these
// sources. With --release the tag that is released has to be the package's version, too.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { changedSource, ROOT, TARGETS, wrongBinary } from './prebuilds.mjs';

const release = process.argv.includes('--release');
const complaints = TARGETS.map(wrongBinary).filter((each) => each !== undefined);
const changed = changedSource();
if (changed !== undefined) complaints.push(`${changed} has changed since prebuilds/ was built`);
if (complaints.length > 0) complaints.push('Build them with: npm run prebuild');
if (release) {
  const { version } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
  const tag = process.env.GITHUB_REF_NAME;
  if (tag !== `v${version}`) complaints.push(`The package is ${version}, the tag ${tag}`);
}
for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exitCode = 1;
