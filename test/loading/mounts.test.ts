import fs from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';

const line = (device: string, point: string, type: string) =>
  `36 35 ${device} / ${point} rw,noatime shared:1 master:2 - ${type} source rw`;
const TABLE = [
  line('254:0', '/', 'ext4'),
  line('0:40', '/net', 'nfs4'),
  line('0:41', '/net/scratch', 'tmpfs'),
  line('0:42', '/with\\040space', 'cifs'),
  line('0:43', '/home/me/remote', 'fuse.sshfs'),
  line('0:44', '/covered', 'nfs'),
  line('254:1', '/covered', 'xfs'),
  line('0:45', '/netty', 'tmpfs'),
  '',
].join('\n');

/** The module as it is after its first load, with that table; it keeps what it has read for a second. */
async function withTable(read: () => string) {
  vi.resetModules();
  const readFileSync = fs.readFileSync;
  vi.spyOn(fs, 'readFileSync').mockImplementation(((file: string, ...rest: []) =>
    file === '/proc/self/mountinfo' ? read() : readFileSync(file, ...rest)) as typeof readFileSync);
  return import('../../lib/mounts.js');
}

afterEach(() => {
  vi.restoreAllMocks();
});

test.each([
  ['/net/jobs/lock', true],
  ['/net', true],
  ['/netty/lock', false],
  ['/net/scratch/lock', false],
  ['/with space/lock', true],
  ['/home/me/remote/lock', true],
  ['/home/me/lock', false],
  ['/covered/lock', false],
  ['/lock', false],
])('the nearest mount, and of one point the last, decides whether %s is on the network: %s', async (path, expected) => {
  const { isOnNetwork } = await withTable(() => TABLE);
  expect(isOnNetwork(path)).toBe(expected);
});

test('where the table cannot be read no path is known to be on the network, and no device to be local', async () => {
  const { isOnNetwork, isLocalDevice } = await withTable(() => {
    throw new Error('no /proc');
  });
  expect(isOnNetwork('/net/lock')).toBe(false);
  expect(isLocalDevice('254:0')).toBe(false);
});

test.each([
  ['254:0', true],
  ['0:40', false],
  ['0:99', false],
])('device %s is that of a mounted local file system: %s', async (device, expected) => {
  const { isLocalDevice } = await withTable(() => TABLE);
  expect(isLocalDevice(device)).toBe(expected);
});
