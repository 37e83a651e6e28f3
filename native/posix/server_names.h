// Names on a network file system. What a client has cached of them can be a minute old, and NFSv3
// tells a change of a directory by a time that several changes can share: a file that was removed
// and made again within one tick of the server's clock goes unnoticed (two holders in 0.5 % of the
// acquisitions of a storm, where the directory's attributes were asked for only).

#ifndef NATIVE_FILE_LOCK_POSIX_SERVER_NAMES_H_
#define NATIVE_FILE_LOCK_POSIX_SERVER_NAMES_H_

#include "files.h"

namespace nfl {

// What a name is on the server now. Opens it with O_EXCL, which the kernel answers by looking the
// name up on the server, whatever is cached (LOOKUP_EXCL in fs/nfs/dir.c and fs/fuse/dir.c). If
// there is nothing of that name, an empty file is made, as opening the lock file would, and
// `created` is its descriptor, the caller's; otherwise -1.
//
// Where names are pinned it lists the directory instead, in time proportional to its size, makes
// nothing, and tells the identity only.
OsError LookUpOnServer(int directory, const char* name, const FileSystem& system,
                       unsigned permissions, Identified* found, int* created);

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_POSIX_SERVER_NAMES_H_
