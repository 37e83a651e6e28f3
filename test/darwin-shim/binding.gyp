{
  # The files of macOS, over Linux: a copy of the tree has this file in the place of its own.
  "target_defaults": {
    "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")", "native/posix"],
    "defines": [
      "NAPI_VERSION=8",
      "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS",
      "NODE_ADDON_API_DISABLE_DEPRECATED",
      "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
    ],
    "defines!": ["_FILE_OFFSET_BITS=64", "_LARGEFILE_SOURCE"],
    "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
    "cflags_cc": [
      "-std=gnu++17",
      "-fPIC",
      "-fno-strict-aliasing",
      "-Wall",
      "-Wextra",
      "-Werror",
      "-Wno-cast-function-type",
      "-fvisibility=hidden",
      "-fno-threadsafe-statics"
    ]
  },
  "targets": [
    {
      "target_name": "macos",
      "type": "static_library",
      "sources": ["<!@(ls native/posix/*.cc native/darwin/*.cc)"],
      "include_dirs": ["test/darwin-shim/include"],
      "cflags_cc": ["-include", "<(module_root_dir)/test/darwin-shim/macos.h"]
    },
    {
      "target_name": "native_file_lock",
      "dependencies": ["macos"],
      "sources": ["<!@(ls native/*.cc native/boundary/*.cc test/darwin-shim/*.cc)"],
      "include_dirs": ["test/darwin-shim/include"]
    }
  ]
}
