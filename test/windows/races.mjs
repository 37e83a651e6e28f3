// Builds races.cc with native/ for Windows, runs it under Wine, and fails unless every race ended as it should.
//
//   node test/windows/races.mjs [rounds]
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runInWine, windowsPath } from '../../scripts/wine.mjs';

const ROOT = path.join(import.meta.dirname, '../..');
const COMPILER = 'x86_64-w64-mingw32-g++-win32';
const PORTABLE = ['lock_file', 'lock_waiter', 'wait_jobs', 'waiter_threads'].map((name) => `native/${name}.cc`);
const OWN = ['alarm', 'error_number', 'files', 'open_file', 'parent_directory', 'threads'];
const WINDOWS = OWN.map((name) => `native/windows/${name}.cc`);

/** The product's own sources; only the calls of the system that lock are others. */
function build(program) {
  const headers = path.join(process.execPath, '../../include/node');
  const flags = ['-std=c++17', '-O2', '-fno-exceptions', '-fno-rtti', '-Wall', '-Wextra', '-Werror', '-static'];
  const includes = ['-isystem', headers, '-I', 'native/windows', '-include', 'test/windows/pending-locks.h'];
  const sources = ['test/windows/races.cc', 'test/windows/pending-locks.cc', ...PORTABLE, ...WINDOWS];
  const libraries = ['-lntdll', '-lsynchronization'];
  const args = [...flags, '-D_WIN32_WINNT=0x0A00', ...includes, ...sources, '-o', program, ...libraries];
  execFileSync(COMPILER, args, { cwd: ROOT, stdio: 'inherit' });
}

const rounds = Number(process.argv[2] ?? 1000);
const folder = mkdtempSync(path.join(tmpdir(), 'native-file-lock-races-'));
try {
  const program = path.join(folder, 'races.exe');
  build(program);
  const lock = windowsPath(path.join(folder, 'lock'));
  const { status, stdout, stderr } = runInWine(program, [lock, String(rounds)], { timeout: 300_000 });
  process.stderr.write(stderr);
  assert.equal(status, 0, 'it runs to its end');
  const result = JSON.parse(stdout);
  console.log(stdout.trim());
  assert.equal(result.granted + result.timedOut + result.cancelled, rounds, 'each race has one end');
  const { wrong, wrongRequests, closedInUse } = result;
  const faults = { wrong, wrongRequests, closedInUse };
  assert.deepEqual(faults, { wrong: 0, wrongRequests: 0, closedInUse: 0 });
  // Else the races were none.
  for (const end of ['granted', 'timedOut', 'cancelled', 'tooLate']) assert.ok(result[end] > 0, `some were ${end}`);
} finally {
  rmSync(folder, { recursive: true });
}
