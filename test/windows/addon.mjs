// Tries the laws of addon.cjs under Wine, in each Node.js for Windows that there is.
//
//   node test/windows/addon.mjs <an addon that was built for win32-x64>
import assert from 'node:assert/strict';
import path from 'node:path';
import { NODE_VERSIONS, runInWine, windowsNode, windowsPath } from '../../scripts/wine.mjs';

const laws = windowsPath(path.join(import.meta.dirname, 'addon.cjs'));
const addon = windowsPath(process.argv[2]);
for (const version of NODE_VERSIONS) {
  const { status, stdout } = runInWine(windowsNode(version), [laws, addon], { timeout: 120_000 });
  process.stdout.write(stdout);
  assert.equal(status, 0, `all laws hold in Node.js ${version}`);
}
