// The machines of a guest with NFS (guest.sh), all of which have mounted the same export.
const { startClient } = require('./client.cjs');

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

module.exports = { DIRECTORY, isVersion3, startOnA, startOnB, views };
