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

// How one attempt, one wait, or something else that a thread does with a file ended.
enum class Outcome {
  kBusy,        // held by another open file; nothing was taken
  kGranted,     // this file holds the lock, and its path names this file
  kReplaced,    // it was free, but the path no longer names this file; nothing is held
  kTimedOut,    // the deadline came first; nothing was taken
  kCancelled,   // the wait was cancelled; nothing was taken
  kFailed,      // see the error; nothing was taken
  kUnrecorded,  // this file holds the lock, but its record could not be written
  kNotAFile,    // the path names something that is no regular file
  kCannotWait,  // the file system, or what could end the wait, is not up to it; nothing was taken
};

// How a lock file is opened. The path must outlive the opening.
struct Opening {
  const char* path = nullptr;
  // Of a file that is created; the umask applies.
  unsigned permissions = 0;
  Mechanism mechanism = Mechanism::kFlock;
  bool must_write = false;
  bool create_parents = false;
};

// Thread: used by one thread at a time; ownership passes by move.
class LockFile {
 public:
  LockFile() = default;
  LockFile(LockFile&& other) noexcept { *this = static_cast<LockFile&&>(other); }
  LockFile& operator=(LockFile&& other) noexcept;
  ~LockFile() { Close(); }

  // Opens the lock file, or creates it, with its parents if that is asked. Never follows a link in
  // the last component, never waits for the other end of a FIFO, writes nothing. Where an existing
  // file may not be opened so, tries without O_CREAT (fs.protected_regular forbids it in sticky
  // directories, even to root) and then, unless it must be written, read-only. kBusy: it is open,
  // and nothing more; kNotAFile or kFailed.
  Outcome Open(const Opening& opening, OsError* error);
  // Opens an existing file to look at it only.
  Outcome OpenToRead(const char* path, OsError* error);

  // One attempt that never waits: kBusy, kGranted, kReplaced or kFailed.
  Outcome TryLock(Mode mode, OsError* error);
  // One wait in the kernel, until the grant or until an alarm interrupts it (kBusy). Or
  // kCannotWait.
  Outcome LockUnlessInterrupted(Mode mode, OsError* error);
  // Whether the path still names this file: kGranted, kReplaced, or kFailed where that cannot be
  // told. A lock on a file that was removed or renamed away meanwhile would exclude nobody who
  // comes later. Looks the path up on a server, and makes the file there if it is missing.
  Outcome CompareWithPath(OsError* error) const;
  // Whether this still holds its lock, as far as can be told: kGranted, kReplaced or kFailed.
  Outcome Verify(OsError* error) const;
  // Another descriptor of the same open file, to verify it by: it is not known to hold a lock, so
  // that closing it frees none. Not open if there is none to be had.
  LockFile Duplicate() const;
  // Both return the number of bytes moved, or -1 and the error. What is written to a server is
  // there afterwards.
  int Read(void* buffer, size_t size, int64_t position, OsError* error) const;
  int Write(const void* bytes, size_t size, OsError* error) const;
  // Frees the lock by a call of its own: closing would not, while a child between fork and exec
  // still has a copy of the descriptor.
  OsError Unlock();
  void Close();

  // The descriptor, for the caller to use. From then on other code may close it or put another
  // file in its place, so Unlock and Close look first, and touch nothing but this file.
  int Expose() {
    exposed_ = true;
    return fd_;
  }

  bool is_open() const { return fd_ >= 0; }
  bool writable() const { return writable_; }
  bool on_network() const { return system_.network; }
  const FileIdentity& identity() const { return identity_; }
  // Whether both lock the same file by the same mechanism, under whichever paths.
  bool IsSameLockAs(const LockFile& other) const {
    return mechanism_ == other.mechanism_ && identity_ == other.identity_;
  }
  // Whether the lock that this file holds, if any, conflicts with `other` in `mode`.
  bool ConflictsWith(const LockFile& other, Mode mode) const {
    return held_ && IsSameLockAs(other) && (mode_ == Mode::kExclusive || mode == Mode::kExclusive);
  }

 private:
  Outcome OpenOnce(const Opening& opening, OsError* error);
  Outcome CompareWithCache(OsError* error) const;
  Outcome Identify(const char* path, OsError* error);
  Outcome Lock(Mode mode, bool wait, OsError* error);
  bool DescriptorIsThis() const;

  int fd_ = -1;
  char* path_ = nullptr;
  FileIdentity identity_;
  FileSystem system_;
  Mechanism mechanism_ = Mechanism::kFlock;
  Mode mode_ = Mode::kExclusive;
  unsigned permissions_ = 0;
  int write_error_ = 0;  // why it is not open for writing
  bool held_ = false;
  bool writable_ = false;
  bool exposed_ = false;
};

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_LOCK_FILE_H_
