import { hostname } from 'node:os';
import { gzipSync } from 'node:zlib';
import { thisProcess } from '../../lib/holder/process-info.js';

/** The fields of a holder record, as text: docs/lock-file-format.md. */
export interface RecordFields {
  state: string;
  token: string;
  acquired: string;
  pid: string;
  start: string;
  boot: string;
  pidns: string;
  host: string;
  command: string;
}

/** By an independent implementation: gzip data ends with the checksum and the length (RFC 1952). */
function crc32(text: string): string {
  const zipped = gzipSync(text);
  return zipped
    .readUInt32LE(zipped.length - 8)
    .toString(16)
    .padStart(8, '0');
}

/** A record per docs/lock-file-format.md, written without the library. By default it names this process. */
export function forgeRecord(changes: Partial<RecordFields> = {}): string {
  const { pid, startTime, bootId, pidNamespace } = thisProcess();
  const fields: RecordFields = {
    state: 'held    ',
    token: '1700000000000000',
    acquired: '2023-11-14T22:13:20.000Z',
    pid: String(pid),
    start: String(startTime),
    boot: bootId,
    pidns: String(pidNamespace),
    host: hostname(),
    command: 'forger',
    ...changes,
  };
  return sealRecord(['native-file-lock 1', ...Object.entries(fields).map(([key, value]) => `${key} ${value}`)]);
}

/** Joins the lines and appends their checksum. */
export function sealRecord(lines: readonly string[]): string {
  const text = `${lines.join('\n')}\n`;
  return `${text}checksum ${crc32(text)}\n`;
}
