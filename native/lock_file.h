// An owned open file that can be locked. The lock belongs to the open file description (flock(2),
// fcntl_locking(2) "Open file description locks"), so closing the file, however it happens, frees
// it, and nothing that other code does with the same file does.

#ifndef NATIVE_FILE_LOCK_LOCK_FILE_H_
#define NATIVE_FILE_LOCK_LOCK_FILE_H_

#include "system/open_file.h"

namespace nfl {

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

// Thread: used by one thread at a time; ownership passes by move.
class LockFile {
 public:
  LockFile() = default;
  LockFile(LockFile&& other) noexcept { *this = static_cast<LockFile&&>(other); }
  LockFile& operator=(LockFile&& other) noexcept;
  ~LockFile() { Close(); }

  // Opens the lock file, or creates it, with its parents if that is asked: see OpenFile::Open.
  // kBusy: it is open, and nothing more; kNotAFile or kFailed.
  Outcome Open(const Opening& opening, OsError* error);
  // Opens an existing file to look at it only.
  Outcome OpenToRead(const char* path, OsError* error);

  // One attempt that never waits: kBusy, kGranted, kReplaced or kFailed.
  Outcome TryLock(Mode mode, OsError* error);
  // One wait in the kernel, until the grant or until the alarm of this thread rings (kBusy). Or
  // kCannotWait.
  Outcome LockUnlessInterrupted(Mode mode, Alarm* alarm, OsError* error);
  // Whether the path still names this file: kGranted, kReplaced, or kFailed where that cannot be
  // told. A lock on a file that was removed or renamed away meanwhile would exclude nobody who
  // comes later. Looks the path up on a server, and makes the file there if it is missing.
  Outcome CompareWithPath(OsError* error) const;
  // Whether this still holds its lock, as far as can be told: kGranted, kReplaced or kFailed.
  Outcome Verify(OsError* error) const;
  // Another descriptor of the same open file, to verify it by: it is not known to hold a lock, so
  // that closing it frees none. Not open if there is none to be had.
  LockFile Duplicate() const;
  Holding LookAtLock() const { return file_.LookAtLock(); }
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
    return file_.descriptor();
  }

  bool is_open() const { return file_.is_open(); }
  bool writable() const { return file_.writable(); }
  bool on_network() const { return file_.on_network(); }
  const FileIdentity& identity() const { return file_.identity(); }
  // Whether both lock the same file, under whichever paths, by mechanisms that exclude each other.
  bool IsSameLockAs(const LockFile& other) const {
    return (file_.mechanism() == other.file_.mechanism() || MechanismsExclude()) &&
           file_.identity() == other.file_.identity();
  }
  // Whether the lock that this file holds, if any, conflicts with `other` in `mode`.
  bool ConflictsWith(const LockFile& other, Mode mode) const {
    return held_ && IsSameLockAs(other) && (mode_ == Mode::kExclusive || mode == Mode::kExclusive);
  }

 private:
  Outcome Settle(Attempt attempt, Mode mode, OsError* error);

  OpenFile file_;
  char* path_ = nullptr;
  Mode mode_ = Mode::kExclusive;
  bool held_ = false;
  bool exposed_ = false;
};

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_LOCK_FILE_H_
