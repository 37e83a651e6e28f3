// Sees to it that an addon of these sources is loaded: the binary in prebuilds/ if it was made from them, else
// one that is compiled now. node-gyp-build prefers build/Release, so what an earlier compilation left there goes.
//
// With PREBUILDS_ONLY, which makes node-gyp-build ignore build/, a binary that is not of these sources
// is an error: what is tested is to be what is published.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { changedSource, HOST, ROOT, wrongBinary } from './prebuilds.mjs';
import { localHeaders } from './toolchain.mjs';

function reasonToCompile() {
  const wrong = wrongBinary(HOST);
  if (wrong !== undefined) return wrong;
  const changed = changedSource();
  return changed && `prebuilds/ was made from another ${changed}`;
}

const reason = reasonToCompile();
if (reason === undefined) {
  for (const name of ['Release', 'Debug']) rmSync(path.join(ROOT, 'build', name), { recursive: true, force: true });
  console.log(`Addon: prebuilds/${HOST}, made from these sources`);
} else if (process.env.PREBUILDS_ONLY) {
  console.error(`Addon: ${reason}. Make it with: npm run prebuild`);
  process.exitCode = 1;
} else {
  console.log(`Addon: compiled, because ${reason}`);
  execFileSync(
    process.execPath,
    [path.join(ROOT, 'node_modules/node-gyp/bin/node-gyp.js'), 'configure', 'build', '--silent'],
    { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...localHeaders() } },
  );
}
