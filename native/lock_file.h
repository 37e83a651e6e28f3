// An owned open file that can be locked. The lock belongs to the open file description (flock(2),
// fcntl_locking(2) "Open file description locks"), so closing the file, however it happens, frees
// it, and nothing that other code does with the same file does.

#ifndef NATIVE_FILE_LOCK_LOCK_FILE_H_
#define NATIVE_FILE_LOCK_LOCK_FILE_H_

#include <stddef.h>

#include "os.h"

namespace nfl {

enum class Mechanism { kFlock, kFcntl };
enum class Mode { kShared, kExclusive };

// How one attempt or one wait ended.
enum class Outcome {
  kBusy,       // held by another open file; nothing was taken
  kGranted,    // this file holds the lock, and its path names this file
  kReplaced,   // it was free, but the path no longer names this file; nothing is held
  kTimedOut,   // the deadline came first; nothing was taken
  kCancelled,  // the wait was cancelled; nothing was taken
  kFailed,     // see the error; nothing was taken
};

// Thread: used by one thread at a time; ownership passes by move.
class LockFile {
 public:
  enum class OpenResult { kOpened, kNotAFile, kFailed };

  LockFile() = default;
  LockFile(LockFile&& other) noexcept { *this = static_cast<LockFile&&>(other); }
  LockFile& operator=(LockFile&& other) noexcept;
  ~LockFile() { Close(); }

  // Opens the lock file, or creates it with `permissions` (the umask applies). Never follows a link
  // in the last component, never waits for the other end of a FIFO, writes nothing. Where an
  // existing file may not be opened so, tries without O_CREAT (fs.protected_regular forbids it in
  // sticky directories, even to root) and then, unless `must_write`, read-only.
  OpenResult Open(const char* path, unsigned permissions, Mechanism mechanism, bool must_write,
                  OsError* error);

  // One attempt that never waits: kBusy, kGranted, kReplaced or kFailed.
  Outcome TryLock(Mode mode, OsError* error);
  // One wait in the kernel, until the grant or until an alarm interrupts it (kBusy).
  Outcome LockUnlessInterrupted(Mode mode, OsError* error);
  // Whether the path still names this file: kGranted, kReplaced, or kFailed where that cannot be
  // told. A lock on a file that was removed or renamed away meanwhile would exclude nobody who
  // comes later.
  Outcome CompareWithPath(OsError* error) const;
  // Whether this still holds its lock, as far as can be told: kGranted, kReplaced or kFailed.
  Outcome Verify(OsError* error) const;
  // Both return the number of bytes moved, or -1 and the error.
  int Read(void* buffer, size_t size, int64_t position, OsError* error) const;
  int Write(const void* bytes, size_t size, OsError* error) const;
  // Frees the lock by a call of its own: closing would not, while a child between fork and exec
  // still has a copy of the descriptor.
  OsError Unlock();
  void Close();

  // The descriptor, for the caller to use. From then on other code may close it or put another
  // file in its place, so Unlock and Close look first, and touch nothing but this file.
  int Expose();

  bool writable() const { return writable_; }
  // Whether both lock the same file by the same mechanism, under whichever paths.
  bool IsSameLockAs(const LockFile& other) const {
    return mechanism_ == other.mechanism_ && identity_ == other.identity_;
  }
  // Whether the lock that this file holds, if any, conflicts with `other` in `mode`.
  bool ConflictsWith(const LockFile& other, Mode mode) const {
    return held_ && IsSameLockAs(other) && (mode_ == Mode::kExclusive || mode == Mode::kExclusive);
  }

 private:
  Outcome Lock(Mode mode, bool wait, OsError* error);
  bool DescriptorIsThis() const;

  int fd_ = -1;
  char* path_ = nullptr;
  FileIdentity identity_;
  Mechanism mechanism_ = Mechanism::kFlock;
  Mode mode_ = Mode::kExclusive;
  bool held_ = false;
  bool writable_ = false;
  bool exposed_ = false;
};

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_LOCK_FILE_H_
