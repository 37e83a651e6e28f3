// A copy of the tree that is built, broken and tested again and again.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import ts from 'typescript';
import { ROOT } from '../../scripts/prebuilds.mjs';
import { localHeaders } from '../../scripts/toolchain.mjs';

const NOT_COPIED = new Set(['.git', 'node_modules', 'build', 'dist', 'bench']);
/** They hold the sources and the published binaries to each other, and would fail with every fault. */
const NOT_RUN = ['test/mutation/**', 'test/package/**', 'test/repo/**'];

export class Workshop {
  #root = realpathSync(mkdtempSync(path.join(tmpdir(), 'native-file-lock-faults-')));
  #report = path.join(this.#root, 'report.json');
  #config;

  /** `binding` says how the addon is built, `config` how the tests are run. */
  constructor({ binding = 'binding.gyp', config = 'vitest.config.mts' } = {}) {
    this.#config = config;
    chmodSync(this.#root, 0o755); // some tests run the package as another user
    for (const name of readdirSync(ROOT)) {
      if (!NOT_COPIED.has(name)) cpSync(path.join(ROOT, name), path.join(this.#root, name), { recursive: true });
    }
    cpSync(path.join(ROOT, binding), path.join(this.#root, 'binding.gyp'));
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(this.#root, 'node_modules'));
    this.#nodeGyp('configure', 'build');
    execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], {
      cwd: this.#root,
      stdio: 'inherit',
    });
  }

  get root() {
    return this.#root;
  }

  remove() {
    rmSync(this.#root, { recursive: true, force: true });
  }

  plant(fault) {
    const text = readFileSync(path.join(ROOT, fault.file), 'utf8');
    this.#put(
      fault.file,
      text.replace(fault.find, () => fault.replace),
    );
  }

  heal({ file }) {
    this.#put(file, readFileSync(path.join(ROOT, file), 'utf8'));
  }

  #put(file, text) {
    writeFileSync(path.join(this.#root, file), text);
    if (file.startsWith('native/')) this.#nodeGyp('build');
    else this.#transpile(file, text);
  }

  /** Without a look at the types: a fault may leave a variable unused. */
  #transpile(file, text) {
    const { outputText, diagnostics } = ts.transpileModule(text, {
      reportDiagnostics: true,
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS, esModuleInterop: true },
    });
    if (diagnostics.length > 0) throw new Error(`${file} cannot be compiled`);
    writeFileSync(path.join(this.#root, file.replace(/^lib\/(.*)\.ts$/, 'dist/$1.js')), outputText);
  }

  /** The build folder stays, so that only what has changed is compiled. */
  #nodeGyp(...commands) {
    const script = path.join(this.#root, 'node_modules/node-gyp/bin/node-gyp.js');
    execFileSync(process.execPath, [script, ...commands, '--silent'], {
      cwd: this.#root,
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, ...localHeaders() },
    });
  }

  /**
   * Runs those files of test/, or all, until the first test fails. A test hangs if it takes half of `limit` (ms). The
   * run is ended after all of it: a thread that a fault blocks cannot even be told that its test has taken too long.
   */
  async runTests(files, limit) {
    rmSync(this.#report, { force: true });
    const testLimit = Math.round(limit / 2);
    const started = performance.now();
    const child = spawn(
      process.execPath,
      [
        'node_modules/vitest/vitest.mjs',
        'run',
        `--config=${this.#config}`,
        ...files.map((file) => `test/${file}`),
        ...NOT_RUN.flatMap((pattern) => ['--exclude', pattern]),
        '--bail=1',
        `--testTimeout=${testLimit}`,
        `--hookTimeout=${testLimit}`,
        '--reporter=json',
        `--outputFile=${this.#report}`,
      ],
      // A group of its own, to be ended as a whole: a thread that a fault blocks answers nothing.
      { cwd: this.#root, stdio: 'ignore', detached: true, env: { ...process.env, PREBUILDS_ONLY: '' } },
    );
    let hung = false;
    const timer = setTimeout(() => {
      hung = true;
      process.kill(-child.pid, 'SIGKILL');
    }, limit);
    const [code] = await once(child, 'exit');
    clearTimeout(timer);
    const seconds = Math.round((performance.now() - started) / 1000);
    const results = this.#results();
    const failure = hung
      ? `a test of ${files.join(', ') || 'all'}, which hung`
      : firstFailure(results, testLimit, code);
    return { passed: code === 0, hung, failure, seconds, durations: durations(results) };
  }

  /** What vitest reports of each file; nothing if it was ended, or ended itself, before. */
  #results() {
    if (!existsSync(this.#report)) return [];
    const { testResults } = JSON.parse(readFileSync(this.#report, 'utf8'));
    return testResults.map((result) => ({
      ...result,
      file: path.relative(path.join(this.#root, 'test'), result.name),
    }));
  }
}

function firstFailure(results, testLimit, code) {
  for (const { file, assertionResults, message } of results) {
    const failed = assertionResults.find(({ status }) => status === 'failed');
    // The message tells a test that noticed the fault from one that had too little time on a busy machine.
    if (failed !== undefined) {
      const why = failed.duration >= testLimit ? 'it hung' : firstLine(failed.failureMessages[0] ?? '');
      return `${file}: ${failed.fullName} (${why})`;
    }
    if (message) return `${file}: ${firstLine(message)}`;
  }
  return `the end of the test runner, or an error outside the tests, with code ${code}`;
}

const firstLine = (text) => text.split('\n')[0];

/** How long each file took (ms). */
const durations = (results) => new Map(results.map(({ file, startTime, endTime }) => [file, endTime - startTime]));
