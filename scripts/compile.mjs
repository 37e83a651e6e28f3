// Makes sure that the addon that is loaded was built from these sources: uses the binary in prebuilds/ if it was, and
// compiles one into build/ otherwise. node-gyp-build prefers build/, so an earlier compilation is removed.
//
// PREBUILDS_ONLY makes node-gyp-build ignore build/. A binary of other sources is then an error, so that what is
// tested is what is published.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { changedSource, HOST, ROOT, wrongBinary } from './prebuilds.mjs';
import { localHeaders } from './toolchain.mjs';

function reasonToCompile() {
  const wrong = wrongBinary(HOST);
  if (wrong !== undefined) return wrong;
  const changed = changedSource();
  return changed && `${changed} has changed since prebuilds/ was built`;
}

const reason = reasonToCompile();
if (reason === undefined) {
  for (const name of ['Release', 'Debug']) rmSync(path.join(ROOT, 'build', name), { recursive: true, force: true });
  console.log(`Addon: prebuilds/${HOST}, made from these sources`);
} else if (process.env.PREBUILDS_ONLY) {
  console.error(`Addon: ${reason}. Run: npm run prebuild`);
  process.exitCode = 1;
} else {
  console.log(`Addon: compiled, because ${reason}`);
  execFileSync(
    process.execPath,
    [path.join(ROOT, 'node_modules/node-gyp/bin/node-gyp.js'), 'configure', 'build', '--silent'],
    { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...localHeaders() } },
  );
}
