// The seam to the system, first part: an open file, and the lock of its open file description.

#ifndef NATIVE_FILE_LOCK_SYSTEM_OPEN_FILE_H_
#define NATIVE_FILE_LOCK_SYSTEM_OPEN_FILE_H_

#include <stddef.h>
#include <stdint.h>

#include "alarm.h"
#include "error.h"

namespace nfl {

// What makes two files the same file: stat(2), st_dev and st_ino; on Windows the volume's serial
// number and the file's index.
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  bool operator==(const FileIdentity& other) const {
    return device == other.device && inode == other.inode;
  }
};

// What an open file's file system does differently from one on a disk of this machine.
struct FileSystem {
  // Another machine has a say: names and attributes are cached here, writes are held back, and a
  // call can take as long as the server is away.
  bool network = false;
  // A lock can be waited for in the kernel.
  bool waits = true;
  // A test of the lock asks the server, and sees the locks of other machines whichever call made
  // them.
  bool tests_on_server = false;
  // The name of an open file stays that file's here, whatever the server has; only a listing of the
  // directory tells.
  bool pins_names = false;
};

enum class Mechanism { kFlock, kFcntl };
enum class Mode { kShared, kExclusive };

// Whether a lock of the one mechanism excludes those of the other on this system.
bool MechanismsExclude();

// How a lock file is opened. The path must outlive the opening.
struct Opening {
  const char* path = nullptr;
  // Of a file that is created; the umask applies. Without effect on Windows.
  unsigned permissions = 0;
  Mechanism mechanism = Mechanism::kFlock;
  bool must_write = false;
  bool create_parents = false;
};

enum class Opened {
  kOpened,
  kNotAFile,  // the path names something that is no regular file
  kReplaced,  // another process, or machine, replaced or removed the file in the middle of it
  kNoParent,  // the directory is missing
  kFailed,
};

// One attempt to lock, or one wait.
enum class Attempt {
  kLocked,
  kBusy,        // held by another open file, or the alarm rang first; nothing was taken
  kReplaced,    // the server has no such file any more
  kCannotWait,  // the file system, or what could end the wait, is not up to it
  kFailed,
};

// How a file is locked.
enum class Holding { kNone, kShared, kExclusive, kUnknown };

// Whether a path names an open file.
enum class Named { kYes, kNo, kUnknown };

// Paths are absolute, in UTF-8, shorter than kLongestPath.
//
// Thread: used by one thread at a time; ownership passes by move.
class OpenFile {
 public:
  OpenFile() = default;
  OpenFile(OpenFile&& other) noexcept { *this = static_cast<OpenFile&&>(other); }
  OpenFile& operator=(OpenFile&& other) noexcept;
  ~OpenFile() { Close(); }

  // Opens the lock file, or creates it. Never follows a link in the last component, never waits for
  // the other end of a FIFO, writes nothing. Unless the result is kOpened nothing stays open, and
  // unless it is kNotAFile there is an error. Once: the caller tries again.
  Opened Open(const Opening& opening, OsError* error);
  // Opens an existing file to look at it only.
  Opened OpenToRead(const char* path, OsError* error);
  // Another descriptor of the same open file. False: there is none to be had.
  bool DuplicateTo(OpenFile* copy) const;
  // Closes it. The lock is not freed while a child between fork and exec has a copy: unlock first.
  void Close();
  // Other code has closed it, or put another file in its place.
  void Forget() { handle_ = -1; }

  Attempt TryLock(Mode mode, OsError* error);
  // Blocks until the lock is granted or `alarm` rings, which is the calling thread's.
  Attempt WaitForLock(Mode mode, Alarm* alarm, OsError* error);
  OsError Unlock();

  // After a grant. Asks a server, whatever is cached; if there is no such file, may make it.
  Named IsNamedBy(const char* path, OsError* error) const;
  // The same of a file that is locked in `mode`, and whether it still is, as far as that can be
  // told. Makes nothing.
  Named IsLockedUnder(const char* path, Mode mode, OsError* error) const;

  // How others have it locked, as far as the system tells without a lock of our own.
  Holding LookAtLock() const;

  // Both return the number of bytes moved, or -1 and the error. What is written (at the file's
  // start) to a server is there afterwards.
  int Read(void* buffer, size_t size, int64_t position, OsError* error) const;
  int Write(const void* bytes, size_t size, OsError* error) const;

  bool is_open() const { return handle_ != -1; }
  bool writable() const { return writable_; }
  bool on_network() const { return system_.network; }
  const FileIdentity& identity() const { return identity_; }
  Mechanism mechanism() const { return mechanism_; }
  // For the caller to use; -1 where the system has none.
  int descriptor() const;
  // Whether the descriptor is still this file's.
  bool DescriptorIsThis() const;

 private:
  Opened Identify(OsError* error);
  Attempt Judge(int number, OsError* error) const;

  intptr_t handle_ = -1;  // the descriptor, or the HANDLE
  FileIdentity identity_;
  FileSystem system_;
  Mechanism mechanism_ = Mechanism::kFlock;
  [[maybe_unused]] unsigned permissions_ = 0;  // of a file that is made on a server
  [[maybe_unused]] int write_error_ = 0;       // why it is not open for writing
  bool writable_ = false;
};

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_SYSTEM_OPEN_FILE_H_
