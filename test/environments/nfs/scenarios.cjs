// The laws of locks on NFS, run inside the guest; test/environments/nfs/nfs.test.ts judges what they leave.
const { startClient } = require('../guest/client.cjs');
const { endWith, runScenarios } = require('../guest/in-guest.cjs');
const { startOnA, startOnB } = require('./machines.cjs');

/** Each: a law, and what shows it. Returns figures. */
const scenarios = [...require('./exclusion.cjs'), ...require('./waits.cjs'), ...require('./away.cjs')];

async function main() {
  const [server, a, a2, b] = [await startClient(), await startOnA(), await startOnA(), await startOnB()];
  await runScenarios(scenarios, { server, a, a2, b });
  for (const each of [server, a, a2, b]) each.kill();
}

module.exports = { scenarios };
if (require.main === module) endWith(main());
