import path from 'node:path';
import { invalidArgument } from '../errors.js';

/** The lock file in a job's directory: the one that the original Python module locks. */
export const JOB_LOCK = '.lock';
/** The lock file of the jobs index, in the jobs directory. */
export const INDEX_LOCK = '.jobs_index.lock';

const LONGEST_ID = 255; // bytes; NAME_MAX of every file system in use
const ILL_FORMED = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

/** Names that Windows gives to devices in every directory, with any extension ("Naming Files, Paths, and Namespaces"). */
const DEVICE = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\..*)?$/i;

/** The rules of Windows that go beyond those of every system. */
function flawOnWindows(jobId: string): string | null {
  if (/[<>:"|?*]/.test(jobId)) return 'must not contain any of <>:"|?* on Windows';
  if (/\p{Cc}/u.test(jobId)) return 'must not contain control characters on Windows';
  if (/[. ]$/.test(jobId)) return 'must not end with a dot or a space on Windows';
  if (DEVICE.test(jobId)) return 'must not be the name of a device of Windows';
  return null;
}

/** Why a job id cannot be one segment of a path; null when it can. */
export function flawOf(jobId: string, platform: NodeJS.Platform = process.platform): string | null {
  if (jobId === '') return 'must not be empty';
  if (jobId.startsWith('.')) return 'must not begin with a dot';
  if (/[/\\\0]/.test(jobId)) return 'must not contain a slash, a backslash or NUL';
  if (ILL_FORMED.test(jobId)) return 'must be well-formed Unicode';
  if (Buffer.byteLength(jobId) > LONGEST_ID) return `must not be longer than ${LONGEST_ID} bytes`;
  return platform === 'win32' ? flawOnWindows(jobId) : null;
}

export function isJobId(name: string): boolean {
  return flawOf(name) === null;
}

/** Throws a TypeError unless the id is one segment of a path that cannot leave the jobs directory. */
export function checkJobId(jobId: unknown): string {
  if (typeof jobId !== 'string')
    throw invalidArgument('TYPE', `The "jobId" argument must be a string. Received ${typeof jobId}`);
  const flaw = flawOf(jobId);
  if (flaw !== null) throw invalidArgument('VALUE', `The "jobId" argument ${flaw}. Received ${JSON.stringify(jobId)}`);
  return jobId;
}

/** The lock file of a job. */
export function jobLockPath(jobsDirectory: string, jobId: string): string {
  return path.join(jobsDirectory, jobId, JOB_LOCK);
}
