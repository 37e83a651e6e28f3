// What scripts fetch once and keep in the user's cache folder: nothing of it is part of the package.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

const CACHE = path.join(process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'native-file-lock');

/**
 * The folder of this name, which `make` fills if it does not exist. It appears whole or not at all; when two processes
 * make it at once, the first one's stays.
 */
export function cachedFolder(name, make) {
  const folder = path.join(CACHE, name);
  if (existsSync(folder)) return folder;
  mkdirSync(path.dirname(folder), { recursive: true });
  const unfinished = mkdtempSync(`${folder}-`);
  try {
    make(unfinished);
    if (!existsSync(folder)) renameSync(unfinished, folder);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return folder;
}

/** The unpacked files of one version of an npm package; with `members`, only files whose paths match one of them. */
export function npmPackage({ name, version, integrity, members = [] }) {
  return cachedFolder(`${name.replaceAll('/', '+')}@${version}`, (folder) => {
    console.log(`${name}@${version}: fetched from npm`);
    const packed = path.join(folder, 'packed');
    mkdirSync(packed);
    execFileSync('npm', ['pack', '--silent', '--pack-destination', packed, `${name}@${version}`], { cwd: folder });
    const tarball = path.join(packed, readdirSync(packed)[0]);
    const found = `sha512-${createHash('sha512').update(readFileSync(tarball)).digest('base64')}`;
    if (found !== integrity) throw new Error(`${name}@${version} has the integrity ${found}, not ${integrity}`);
    execFileSync('tar', ['-xzf', tarball, '-C', folder, '--strip-components=1', '--wildcards', ...members]);
    rmSync(packed, { recursive: true });
  });
}
