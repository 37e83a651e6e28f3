import { describe, expect, test } from 'vitest';
import { flawOf } from '../../lib/jobs/job-path.js';
import { namesStream } from '../../lib/options.js';

describe('a job id on Windows', () => {
  test.each([
    ...['a<b', 'a>b', 'a:b', 'a"b', 'a|b', 'a?b', 'a*b'],
    ...['a\tb', 'a\x01', '\x7f', '\x85'],
    ...['a.', 'a ', 'a..', 'a. '],
    ...['con', 'CON', 'nul', 'NUL.txt', 'aux.tar.gz', 'prn', 'com1', 'COM9.log', 'lpt1', 'LPT¹', 'com0'],
    ...['CON .txt', 'conin$', 'CONOUT$'],
  ])('%j is refused there, and a name like any other elsewhere', (jobId) => {
    expect(flawOf(jobId, 'win32')).toMatch(/Windows$/);
    expect(flawOf(jobId, 'linux')).toBeNull();
  });

  test.each(['a', 'console', 'com', 'com10', 'lpt', 'nul-1', 'a.b', 'a b', 'x'.repeat(255), 'ä', 'con-1', '名'])(
    '%j is one',
    (jobId) => {
      expect(flawOf(jobId, 'win32')).toBeNull();
    },
  );

  test.each(['', '.', '..', '.a', 'a/b', 'a\\b', 'a\0', '\ud800', 'x'.repeat(256)])(
    'and what is refused everywhere is refused there: %j',
    (jobId) => {
      expect(flawOf(jobId, 'win32')).toBe(flawOf(jobId, 'linux'));
      expect(flawOf(jobId, 'win32')).not.toBeNull();
    },
  );
});

describe('a path on Windows', () => {
  test.each(['C:\\a\\lock:stream', 'C:\\a\\lock::$DATA', '\\\\server\\share\\lock:x'])('%s names a stream', (file) => {
    expect(namesStream(file)).toBe(true);
  });

  test.each(['C:\\a\\lock', 'C:\\', '\\\\server\\share\\a\\lock', '\\\\?\\C:\\a\\lock'])('%s names a file', (file) => {
    expect(namesStream(file)).toBe(false);
  });
});
