// What the lock needs of an operating system, and nothing more. One implementation file for each
// system (os_linux.cc, os_darwin.cc); everything above this line is portable.

#ifndef NATIVE_FILE_LOCK_OS_H_
#define NATIVE_FILE_LOCK_OS_H_

#include <atomic>
#include <cstdint>

namespace nfl {

// The value that every failing call yields: which call, and the system's own number for why.
enum class Syscall : int {
  kNone,
  kOpen,
  kFstat,
  kFcntl,
  kFlock,
  kStat,
  kRead,
  kWrite,
  kUnlink,
  kMkdir
};
struct OsError {
  Syscall call = Syscall::kNone;
  int number = 0;
  explicit operator bool() const { return call != Syscall::kNone; }
};

// What makes two files the same file (stat(2): st_dev, st_ino).
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  bool operator==(const FileIdentity& other) const {
    return device == other.device && inode == other.inode;
  }
};

enum class FileKind { kRegular, kDirectory, kLink, kOther };

struct FileStatus {
  FileIdentity identity;
  FileKind kind = FileKind::kOther;
  int64_t modified = 0;  // nanoseconds, on the wall clock
};

// What an open file's file system does differently from one on a disk of this machine.
struct FileSystem {
  // Another machine has a say: names and attributes are cached here, writes are held back, and a
  // call can take as long as the server is away.
  bool network = false;
  // A lock can be waited for in the kernel.
  bool waits = true;
  // FcntlTest asks the server, and sees the locks of other machines whichever call made them.
  bool tests_on_server = false;
  // The name of an open file stays that file's here, whatever the server has; only a listing of the
  // directory tells.
  bool pins_names = false;
};

// --- Files. Each returns 0 or an errno; none waits, and those that only look retry after EINTR. --

int StatDescriptor(int fd, FileStatus* status);
// Of a name in an open directory; an absolute path ignores the directory. Does not follow a link.
int StatAt(int directory, const char* path, FileStatus* status);
// The same without `modified`, for the hot path. Asking for a file's time makes the next write to
// it dearer (Linux 6.13, multigrain timestamps: the write must take a finer one).
int IdentifyDescriptor(int fd, FileStatus* status);
int IdentifyPath(const char* path, FileStatus* status);
int DuplicateAboveStandard(int fd, int* copy);  // close-on-exec, >= 3
// Where that cannot be told, the answer is the careful one.
FileSystem FileSystemOf(int fd, const FileIdentity& identity);
// Asks the server for the attributes of a directory, whatever is cached; if it has changed, what is
// cached of its names is dropped. An empty path means `directory` itself. Nothing is asked, and
// that is no error, where a sandbox has no call for it.
int AskServer(int directory, const char* path);
// As IdentifyPath, but with the attributes that the server has now. ENOSYS or EPERM where a sandbox
// has no call for it.
int IdentifyOnServer(int directory, const char* path, FileStatus* status);
int SyncData(int fd);  // fdatasync(2), again after EINTR

// Open-file-description locks over the whole file (fcntl(2)): never the process-owned F_SETLK,
// which any close() of the file in this process would drop.
enum class FcntlLock { kShared, kExclusive, kUnlock };
int FcntlTry(int fd, FcntlLock lock);   // EAGAIN: held by another open file
int FcntlWait(int fd, FcntlLock lock);  // blocks; EINTR when an Alarm rang
int FcntlTest(int fd, FcntlLock lock);  // EAGAIN: held by another open file; takes nothing

// --- Time and threads ---------------------------------------------------------------------------

constexpr int64_t kForever = INT64_MAX;
int64_t MonotonicNanoseconds();
int64_t WallClockNanoseconds();
int64_t ThreadCpuNanoseconds();  // what the calling thread has used of its processor
uint64_t CurrentThread();        // unique among the running threads
void SleepNanoseconds(int64_t duration);

// Sleeps while `word` holds `expected`, until woken or until `deadline`. May wake spuriously.
void Park(std::atomic<uint32_t>* word, uint32_t expected, int64_t deadline);
void UnparkAll(std::atomic<uint32_t>* word);

// Blocks every signal of the calling thread that a host program may handle, faults excepted, and
// lets the alarm's through. For threads of our own.
void KeepSignalsFromThisThread();
// Blocks all but faults while it lives, so that a thread created meanwhile starts with them
// blocked.
class SignalsBlocked {
 public:
  SignalsBlocked();
  ~SignalsBlocked();

 private:
  uint64_t saved_ = 0;
};

// Ends a system call in which its thread blocks, by a signal with an empty handler.
//
// A signal that arrives just before the thread enters the kernel is lost, so a single one would
// lose a wake-up now and then. From its time on an alarm rings until the thread disarms it, once a
// millisecond, and never while a ring is still pending (so nothing piles up behind a thread that
// the kernel keeps in an uninterruptible sleep).
//
// Threads: MakeReady, Disarm and Destroy belong to the thread that is to be interrupted; Set may be
// called by any thread as long as it knows that the alarm exists.
class Alarm {
 public:
  // Before each wait: whether the alarm can end it. False where the system gives no signal or no
  // timer, and where the program has taken our signal for itself since.
  bool MakeReady();
  void Destroy();
  // False: it will not ring, so the wait must not begin.
  bool Set(int64_t monotonic_time);
  // False: it may go on ringing, which only wakes its thread.
  bool Disarm();
  bool exists() const { return exists_; }

 private:
  bool Create();

  bool exists_ = false;
  intptr_t timer_ = 0;
};

// A thread that is not ours lets the alarm's signal through only inside one of these, so that no
// late ring ever interrupts a system call of the host program.
class AlarmWindow {
 public:
  explicit AlarmWindow(Alarm* alarm, int64_t first_ring);
  ~AlarmWindow();
  bool will_ring() const { return will_ring_; }

 private:
  Alarm* alarm_;
  bool will_ring_;
  uint64_t saved_ = 0;
};

// --- Mutual exclusion of threads, over Park -----------------------------------------------------

class Mutex {
 public:
  void Lock() {
    uint32_t seen = kFree;
    if (state_.compare_exchange_strong(seen, kLocked, std::memory_order_acquire)) return;
    while (state_.exchange(kContended, std::memory_order_acquire) != kFree) {
      Park(&state_, kContended, kForever);
    }
  }
  void Unlock() {
    if (state_.exchange(kFree, std::memory_order_release) == kContended) UnparkAll(&state_);
  }

 private:
  enum : uint32_t { kFree, kLocked, kContended };
  std::atomic<uint32_t> state_{kFree};
};

class MutexHeld {
 public:
  explicit MutexHeld(Mutex* mutex) : mutex_(mutex) { mutex_->Lock(); }
  ~MutexHeld() { mutex_->Unlock(); }
  MutexHeld(const MutexHeld&) = delete;
  MutexHeld& operator=(const MutexHeld&) = delete;

 private:
  Mutex* mutex_;
};

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_OS_H_
