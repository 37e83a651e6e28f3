// Fails when a binary that must be published is missing. Before `npm pack`: those of Linux, which every
// machine can make. With --release: all of them, each as its line in prebuilds/SHA256SUMS says, and the
// tag that is released has to be the package's version.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

const FOLDER = path.join(import.meta.dirname, '../prebuilds');
const LINUX = ['linux-x64', 'linux-arm64'];
const release = process.argv.includes('--release');
const targets = release ? [...LINUX, 'darwin-x64', 'darwin-arm64'] : LINUX;

const fileOf = (target) => `${target}/native-file-lock.node`;
const missing = targets.map(fileOf).filter((file) => !existsSync(path.join(FOLDER, file)));
if (missing.length > 0) {
  console.error(`Missing in prebuilds/: ${missing.join(', ')}. Make the Linux ones with: npm run prebuild`);
  process.exit(1);
}

if (release) {
  const { version } = JSON.parse(readFileSync(path.join(FOLDER, '../package.json'), 'utf8'));
  if (process.env.GITHUB_REF_NAME !== `v${version}`) {
    console.error(`The package is ${version}, the tag ${process.env.GITHUB_REF_NAME}`);
    process.exit(1);
  }
  const sums = readFileSync(path.join(FOLDER, 'SHA256SUMS'), 'utf8');
  const wrong = targets.map(fileOf).filter((file) => {
    const sum = createHash('sha256')
      .update(readFileSync(path.join(FOLDER, file)))
      .digest('hex');
    return !sums.split('\n').includes(`${sum}  ${file}`);
  });
  if (wrong.length > 0) {
    console.error(`Not as prebuilds/SHA256SUMS says: ${wrong.join(', ')}`);
    process.exit(1);
  }
}
