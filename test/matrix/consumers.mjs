// Other ways to use the package than running a script: package managers, test runners, bundlers, file
// tracers, and two copies of it in one process. Each consumer runs in a folder of its own and throws if the
// package does not work there.
import { cpSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const BINARY = `prebuilds/${process.platform}-${process.arch}/native-file-lock.node`;
const EXAMPLE = `
const lock = new FileLock(require('node:path').join(__dirname, 'lock'));
const guard = lock.tryAcquire();
if (lock.tryAcquire() !== null) throw new Error('two holders');
guard.release();
console.log('locked');
`;
const REQUIRE = `const { FileLock } = require('native-file-lock');\n${EXAMPLE}`;
const IMPORT = `import { createRequire } from 'node:module';
import { FileLock } from 'native-file-lock';
const require = createRequire(import.meta.url);
const __dirname = import.meta.dirname ?? '.';
${EXAMPLE}`;

const write = (folder, files) => {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), typeof text === 'string' ? text : JSON.stringify(text));
  }
};

function expectLocked(output) {
  if (!output.includes('locked')) throw new Error(`the example did not run: ${output}`);
}

/** Throws if the output shows that the package manager built, or wanted to build, a dependency. */
function expectNoBuild(output) {
  const line = /^.*(\bscripts?\b|gyp|deprecated|must be built|YN0007).*$/im.exec(output);
  if (line) throw new Error(`the package manager printed: ${line[0]}`);
}

/** Holds the lock in one copy, and tries, waits and is granted in the other. */
const TWO_COPIES = `
const [one, two] = ['one', 'two'].map((name) => require('./' + name + '/node_modules/native-file-lock'));
if (one.FileLock === two.FileLock) throw new Error('only one copy');
const locks = [one, two].map(({ FileLock }) => new FileLock(__dirname + '/lock'));
(async () => {
  for (const [holder, waiter] of [locks, [...locks].reverse()]) {
    const guard = await holder.acquire();
    if (waiter.tryAcquire() !== null) throw new Error('two holders');
    const wait = waiter.acquire();
    setTimeout(() => guard.release(), 100);
    const next = await wait;
    if (guard.held || holder.tryAcquire() !== null) throw new Error('two holders');
    next.release();
  }
  console.log('locked');
})();
`;

/** Two copies; with `linked` the binary of the second is a hard link to that of the first, as with pnpm. */
const twoCopies =
  ({ linked = false, version } = {}) =>
  (tools, folder) => {
    tools.install(folder, tools.tarball);
    const [one, two] = ['one', 'two'].map((name) => {
      cpSync(path.join(folder, 'node_modules'), path.join(folder, name, 'node_modules'), { recursive: true });
      return path.join(folder, name, 'node_modules/native-file-lock');
    });
    if (linked) {
      rmSync(path.join(two, BINARY));
      linkSync(path.join(one, BINARY), path.join(two, BINARY));
    }
    if (version) {
      const manifest = path.join(two, 'package.json');
      writeFileSync(manifest, JSON.stringify({ ...JSON.parse(readFileSync(manifest, 'utf8')), version }));
    }
    write(folder, { 'main.cjs': TWO_COPIES });
    expectLocked(tools.node(folder, 'main.cjs'));
  };

const bundler = (tool, version, ...args) => ({
  name: `${tool} ${version}, external`,
  run: (tools, folder) => {
    write(folder, { 'main.js': REQUIRE.replace('__dirname', 'process.cwd()') });
    tools.install(folder, tools.tarball, `${tool}@${version}`);
    tools.bin(folder, tool, ...args);
    expectLocked(tools.node(folder, 'out.cjs'));
  },
});

const yarn = (linker, version) => ({
  name: `Yarn ${version}, ${linker}`,
  run: (tools, folder) => {
    const cli = tools.fetch(`@yarnpkg/cli-dist@${version}`, '@yarnpkg/cli-dist/bin/yarn.js');
    write(folder, {
      'package.json': { private: true, dependencies: { 'native-file-lock': `file:${tools.tarball}` } },
      'yarn.lock': '',
      'main.cjs': REQUIRE,
    });
    const env = {
      YARN_NODE_LINKER: linker,
      YARN_ENABLE_IMMUTABLE_INSTALLS: 'false',
      YARN_ENABLE_TELEMETRY: 'false',
      YARN_ENABLE_GLOBAL_CACHE: 'false',
      YARN_NPM_MINIMAL_AGE_GATE: '0',
      // The settings of npm on this machine.
      YARN_NPM_REGISTRY_SERVER: tools.npmConfig('registry'),
      ...(tools.npmConfig('cafile') === 'null' ? {} : { YARN_HTTPS_CA_FILE_PATH: tools.npmConfig('cafile') }),
    };
    expectNoBuild(tools.run(folder, env, tools.nodePath, cli, 'install'));
    expectLocked(tools.run(folder, env, tools.nodePath, cli, 'node', 'main.cjs'));
  },
});

const pnpm = (version, entry) => ({
  name: `pnpm ${version}`,
  run: (tools, folder) => {
    const cli = tools.fetch(`pnpm@${version}`, `pnpm/bin/${entry}`);
    write(folder, { 'package.json': { private: true }, 'main.cjs': REQUIRE });
    expectNoBuild(
      tools.run(folder, {}, tools.nodePath, cli, 'add', '--store-dir', path.join(folder, 'store'), tools.tarball),
    );
    expectLocked(tools.node(folder, 'main.cjs'));
  },
});

export const CONSUMERS = [
  {
    name: 'npm, `require` and `import`',
    byDefault: true,
    run: (tools, folder) => {
      write(folder, { 'main.cjs': REQUIRE, 'main.mjs': IMPORT });
      // Install scripts are enabled here: the package has none. npm lists the `prepare` script of a package that came
      // from no registry, and does not run it.
      const output = tools.install(folder, tools.tarball, '--ignore-scripts=false');
      const listsPrepareOnly = /^npm warn install-scripts +native-file-lock@\S+ \(prepare: [^;)]+\)$/m.test(output);
      expectNoBuild(listsPrepareOnly ? output.replaceAll(/^npm warn install-scripts.*$/gm, '') : output);
      expectLocked(tools.node(folder, 'main.cjs'));
      expectLocked(tools.node(folder, 'main.mjs'));
      const packages = readdirSync(path.join(folder, 'node_modules')).filter((name) => !name.startsWith('.'));
      if (packages.join() !== 'native-file-lock,node-gyp-build') throw new Error(`it installs ${packages}`);
    },
  },
  { name: 'two copies in one process', byDefault: true, run: twoCopies() },
  { name: 'two copies that share one binary file', byDefault: true, run: twoCopies({ linked: true }) },
  { name: 'two versions in one process', byDefault: true, run: twoCopies({ version: '0.0.1' }) },
  {
    name: 'Jest 30.5.2',
    run: (tools, folder) => {
      const file = `const { FileLock } = require('native-file-lock');
test('locks', async () => {
  const lock = new FileLock(require('node:path').join(__dirname, 'lock-' + __filename.at(-9)));
  await lock.withLock(() => expect(lock.tryAcquire()).toBe(null));
});`;
      write(folder, { 'package.json': { private: true }, '1.test.js': file, '2.test.js': file });
      tools.install(folder, tools.tarball, 'jest@30.5.2');
      const output = tools.bin(folder, 'jest', '--ci', '--runInBand');
      if (!output.includes('Tests:       2 passed, 2 total')) throw new Error(output);
    },
  },
  bundler(
    'esbuild',
    '0.28.2',
    'main.js',
    '--bundle',
    '--platform=node',
    '--external:native-file-lock',
    '--outfile=out.cjs',
  ),
  bundler(
    'rolldown',
    '1.3.2',
    'main.js',
    '--platform',
    'node',
    '--external',
    'native-file-lock',
    '--format',
    'cjs',
    '--file',
    'out.cjs',
  ),
  {
    name: '@vercel/nft 1.11.5 finds the binary',
    run: (tools, folder) => {
      write(folder, {
        'main.cjs': REQUIRE,
        'trace.cjs': `require('@vercel/nft').nodeFileTrace(['main.cjs']).then(({ fileList, warnings }) => {
  console.log(JSON.stringify({ files: [...fileList], warnings: [...warnings].map(String) }));
});`,
      });
      tools.install(folder, tools.tarball, '@vercel/nft@1.11.5');
      const { files, warnings } = JSON.parse(tools.node(folder, 'trace.cjs'));
      const binary = `node_modules/native-file-lock/${BINARY}`;
      if (!files.includes(binary)) throw new Error(`${binary} is not among the traced files: ${files}`);
      if (warnings.some((warning) => warning.includes('native-file-lock'))) throw new Error(warnings.join('\n'));
      // The traced files are sufficient.
      const deployed = path.join(folder, 'deployed');
      for (const file of files) {
        cpSync(path.join(folder, file), path.join(deployed, file), { recursive: true, dereference: true });
      }
      expectLocked(tools.node(deployed, 'main.cjs'));
    },
  },
  pnpm('10.34.8', 'pnpm.cjs'),
  pnpm('12.21.0', 'pnpm.mjs'),
  yarn('node-modules', '4.18.1'),
  yarn('pnp', '4.18.1'),
];
