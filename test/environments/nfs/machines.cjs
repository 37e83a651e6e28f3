// The machines of a guest with NFS (guest.sh), all of which have mounted the same export.
const { execFileSync } = require('node:child_process');
const { startClient } = require('../guest/client.cjs');

const words = (text = '') => text.split(' ').filter(Boolean);
const [CLIENT_A, CLIENT_B] = [words(process.env.CLIENT_A), words(process.env.CLIENT_B)];

/** What every machine has mounted. */
const DIRECTORY = '/mnt/nfs';

const isVersion3 = process.env.NFS_VERSION === '3';

const startOnA = () => startClient(CLIENT_A);
const startOnB = () => startClient(CLIENT_B);

/** The same directory by two machines' mounts, and on the server: one process can play them all. */
const views = {
  here: DIRECTORY,
  there: `/proc/${CLIENT_B[CLIENT_B.indexOf('-t') + 1]}/root${DIRECTORY}`,
  exported: '/mnt/export/shared',
};

/** Cuts the client b off, or connects it again. */
const partition = (is) => execFileSync('ip', ['link', 'set', 'vb', is ? 'down' : 'up']);

module.exports = { DIRECTORY, isVersion3, startOnA, startOnB, partition, views };
