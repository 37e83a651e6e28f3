// What the scenarios of a guest have in common, and what runs them.
const fs = require('node:fs');
const { setTimeout: delay } = require('node:timers/promises');

/** How long a storm lasts. */
const SECONDS = Number(process.env.GUEST_SECONDS ?? 20);

/** What a promise comes to, and after how many milliseconds. */
async function milliseconds(work) {
  const start = performance.now();
  const value = await work();
  return { value, took: Math.round((performance.now() - start) * 10) / 10 };
}

const errorOf = (promise) =>
  promise.then(
    (value) => ({ granted: value }),
    ({ code, syscall }) => ({ code, syscall }),
  );

/** Runs each scenario, and writes a line of JSON for each: the law, whether it holds, and figures. */
async function runScenarios(scenarios, context) {
  const out = fs.openSync(`${process.env.GUEST_OUT}/results.jsonl`, 'a');
  const only = process.env.GUEST_ONLY;
  for (const { law, run, skip } of scenarios) {
    if (only !== undefined && !law.includes(only)) continue;
    let result = { law, skip };
    if (skip === undefined) {
      const limit = delay((SECONDS + 100) * 1000, undefined, { ref: false }).then(() => {
        throw new Error('it did not end');
      });
      const { value, took } = await milliseconds(() =>
        Promise.race([run(context), limit]).then(
          (figures) => ({ law, ok: true, figures }),
          (error) => ({ law, ok: false, error: error.stack }),
        ),
      );
      result = { ...value, seconds: Math.round(took / 1000) };
    }
    fs.writeSync(out, `${JSON.stringify(result)}\n`);
  }
}

/** Ends the process, and with it the guest. */
function endWith(promise) {
  promise.then(
    () => process.exit(0),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
}

module.exports = { SECONDS, milliseconds, errorOf, runScenarios, endWith };
