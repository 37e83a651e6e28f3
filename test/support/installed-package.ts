import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { tempDir } from './temp-dir.js';

const ROOT = path.join(__dirname, '../..');
export const TARGET = `${process.platform}-${process.arch}`;

/** The binary of this machine: what is published, when it was built, else what is developed. */
function binary(): string {
  const published = path.join(ROOT, 'prebuilds', TARGET, 'native-file-lock.node');
  return existsSync(published) ? published : path.join(ROOT, 'build/Release/native_file_lock.node');
}

export interface InstalledPackage {
  /** Where a program is that uses the package. */
  folder: string;
  /** The folder of the package. */
  root: string;
  /** Where its binary is, or would be. */
  binary: string;
}

/** The package as it is installed, in a folder of its own; its binary is left out, or replaced by other bytes. */
export function installPackage(contents?: 'none' | Buffer): InstalledPackage {
  const folder = tempDir();
  const root = path.join(folder, 'node_modules/native-file-lock');
  cpSync(path.join(ROOT, 'dist'), path.join(root, 'dist'), { recursive: true });
  cpSync(path.join(ROOT, 'package.json'), path.join(root, 'package.json'));
  cpSync(path.join(ROOT, 'node_modules/node-gyp-build'), path.join(folder, 'node_modules/node-gyp-build'), {
    recursive: true,
  });
  const file = path.join(root, 'prebuilds', TARGET, 'native-file-lock.node');
  if (contents === 'none') return { folder, root, binary: file };
  mkdirSync(path.dirname(file), { recursive: true });
  if (contents === undefined) cpSync(binary(), file);
  else writeFileSync(file, contents);
  return { folder, root, binary: file };
}
