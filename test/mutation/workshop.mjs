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
/** A test that a fault makes hang is cut short here (ms). */
const TEST_LIMIT = 45_000;
/** A run of tests is ended here (ms): a thread that a fault blocks cannot even be told that its test has taken too long. */
const RUN_LIMIT = 1_200_000;

export class Workshop {
  #root = realpathSync(mkdtempSync(path.join(tmpdir(), 'native-file-lock-faults-')));
  #report = path.join(this.#root, 'report.json');

  constructor() {
    chmodSync(this.#root, 0o755); // some tests run the package as another user
    for (const name of readdirSync(ROOT)) {
      if (!NOT_COPIED.has(name)) cpSync(path.join(ROOT, name), path.join(this.#root, name), { recursive: true });
    }
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(this.#root, 'node_modules'));
    this.#nodeGyp('configure', 'build');
    execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], {
      cwd: this.#root,
      stdio: 'inherit',
    });
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

  /** Runs those files of test/, or all, until the first test fails. */
  async runTests(files) {
    rmSync(this.#report, { force: true });
    const started = performance.now();
    const child = spawn(
      process.execPath,
      [
        'node_modules/vitest/vitest.mjs',
        'run',
        ...files.map((file) => `test/${file}`),
        ...NOT_RUN.flatMap((pattern) => ['--exclude', pattern]),
        '--bail=1',
        `--testTimeout=${TEST_LIMIT}`,
        `--hookTimeout=${TEST_LIMIT}`,
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
    }, RUN_LIMIT);
    const [code] = await once(child, 'exit');
    clearTimeout(timer);
    const seconds = Math.round((performance.now() - started) / 1000);
    const failure = hung ? `a test of ${files.join(', ') || 'all'}, which hung` : this.#firstFailure(code);
    return { passed: code === 0, failure, seconds };
  }

  #firstFailure(code) {
    if (!existsSync(this.#report)) return `the end of the test runner, with code ${code}`;
    for (const { name, assertionResults, message } of JSON.parse(readFileSync(this.#report, 'utf8')).testResults) {
      const failed = assertionResults.find(({ status }) => status === 'failed');
      const file = path.relative(path.join(this.#root, 'test'), name);
      if (failed !== undefined) return `${file}: ${failed.fullName}`;
      if (message) return `${file}: ${message.split('\n')[0]}`;
    }
    return `an error outside the tests, with code ${code}`;
  }
}
