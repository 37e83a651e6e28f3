// The conformance laws of the matrix (test/matrix/conformance.cjs), with the published binary for Windows, under Wine in
// each Node.js for Windows that there is.
import path from 'node:path';
import { NODE_VERSIONS, runInWine, windowsNode, windowsPath } from '../../scripts/wine.mjs';

const ROOT = path.join(import.meta.dirname, '../..');
const laws = windowsPath(path.join(ROOT, 'test/matrix/conformance.cjs'));
for (const version of NODE_VERSIONS) {
  const env = { ...process.env, NATIVE_FILE_LOCK_PACKAGE: windowsPath(ROOT), PREBUILDS_ONLY: '1' };
  const { status, stdout, stderr } = runInWine(windowsNode(version), [laws], { timeout: 240_000, env });
  const held = stdout.match(/^ok /gm)?.length ?? 0;
  console.log(`Node.js ${version} under Wine: ${held} laws hold`);
  if (status === 0 && held > 0) continue;
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  process.exitCode = 1;
}
