// What one POSIX system does about files in another way than the next. Each function returns 0 or
// an errno, and none waits; those that only look retry after EINTR.

#ifndef NATIVE_FILE_LOCK_POSIX_FILES_H_
#define NATIVE_FILE_LOCK_POSIX_FILES_H_

#include "../system/directory.h"

namespace nfl {

enum class FileKind { kRegular, kDirectory, kLink, kOther };

// As FileStatus, without its time for the hot path: asking for a file's time makes the next write
// to it dearer (Linux 6.13, multigrain timestamps: the write must take a finer one).
struct Identified {
  FileIdentity identity;
  FileKind kind = FileKind::kOther;
};

int StatDescriptor(int fd, FileStatus* status);
// Of a name in an open directory; an absolute path ignores the directory. Does not follow a link.
int StatAt(int directory, const char* path, FileStatus* status);
int IdentifyDescriptor(int fd, Identified* found);
int IdentifyAt(int directory, const char* path, Identified* found);
int DuplicateAboveStandard(int fd, int* copy);  // close-on-exec, >= 3
// Where that cannot be told, the answer is the careful one.
FileSystem FileSystemOf(int fd, const FileIdentity& identity);
// Asks the server for the attributes of a directory, whatever is cached; if it has changed, what is
// cached of its names is dropped. Nothing is asked, and that is no error, where a sandbox has no
// call for it.
int AskServer(const char* directory);
// As IdentifyAt, but with the attributes that the server has now. ENOSYS or EPERM where a sandbox
// has no call for it.
int IdentifyOnServer(int directory, const char* path, Identified* found);
int SyncData(int fd);  // fdatasync(2), again after EINTR

// How others have it locked; by whichever mechanism, or kUnknown.
Holding LookAtLock(int fd);

// Open-file-description locks over the whole file (fcntl(2)): never the process-owned F_SETLK,
// which any close() of the file in this process would drop.
enum class FcntlLock { kShared, kExclusive, kUnlock };
int FcntlTry(int fd, FcntlLock lock);   // EAGAIN: held by another open file
int FcntlWait(int fd, FcntlLock lock);  // blocks; EINTR when an Alarm rang
int FcntlTest(int fd, FcntlLock lock);  // EAGAIN: held by another open file; takes nothing

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_POSIX_FILES_H_
