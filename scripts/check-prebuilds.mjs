// Fails unless the binaries that are published exist, match prebuilds/SHA256SUMS, and were built from these
// sources. Before `npm pack`: those of the tree. With --release: all of them, and the tag that is
// released has to be the package's version.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { changedSource, LINUX, ROOT, wrongBinary } from './prebuilds.mjs';

const release = process.argv.includes('--release');
const targets = release ? [...LINUX, 'darwin-x64', 'darwin-arm64'] : LINUX;

const complaints = targets.map(wrongBinary).filter((each) => each !== undefined);
const changed = changedSource();
if (changed !== undefined) complaints.push(`${changed} has changed since prebuilds/ was built`);
if (complaints.length > 0) complaints.push('Build those of Linux with: npm run prebuild');
if (release) {
  const { version } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
  const tag = process.env.GITHUB_REF_NAME;
  if (tag !== `v${version}`) complaints.push(`The package is ${version}, the tag ${tag}`);
}
for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exitCode = 1;
