// macOS. Built by the workflow on macOS machines; never run where this was written.
//
// It has no POSIX timers, so an alarm is a dispatch timer that sends SIGURG to its thread, whose
// default action is to be ignored. One that is sent while the alarm is being disarmed may arrive
// later, and interrupt a call of the host program once. The sleep on a word is __ulock_wait, on
// which libc++ builds std::atomic::wait.

#include <dispatch/dispatch.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/param.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../mutex.h"

// Public in newer SDKs only, in the kernel since 10.11.
#ifndef F_OFD_SETLK
#define F_OFD_SETLK 90
#define F_OFD_SETLKW 91
#define F_OFD_GETLK 92
#endif

extern "C" int __ulock_wait(uint32_t operation, void* address, uint64_t value,
                            uint32_t microseconds);
extern "C" int __ulock_wake(uint32_t operation, void* address, uint64_t wake_value);

namespace nfl {
namespace {

constexpr int64_t kSecond = 1000000000;
constexpr int64_t kRingInterval = 1000000;
constexpr uint32_t kCompareAndWait = 1;
constexpr uint32_t kWakeAll = 0x100;

void Describe(const struct stat& from, FileStatus* status) {
  status->identity = {static_cast<uint64_t>(from.st_dev), from.st_ino};
  status->kind = S_ISREG(from.st_mode)   ? FileKind::kRegular
                 : S_ISDIR(from.st_mode) ? FileKind::kDirectory
                 : S_ISLNK(from.st_mode) ? FileKind::kLink
                                         : FileKind::kOther;
  status->modified =
      static_cast<int64_t>(from.st_mtimespec.tv_sec) * kSecond + from.st_mtimespec.tv_nsec;
}

struct flock WholeFile(FcntlLock lock) {
  struct flock range = {};
  range.l_type = lock == FcntlLock::kUnlock   ? F_UNLCK
                 : lock == FcntlLock::kShared ? F_RDLCK
                                              : F_WRLCK;
  range.l_whence = SEEK_SET;
  return range;
}

int FcntlCall(int fd, int command, FcntlLock lock) {
  struct flock range = WholeFile(lock);
  return fcntl(fd, command, &range) == -1 ? errno : 0;
}

}  // namespace

int StatDescriptor(int fd, FileStatus* status) {
  struct stat found;
  if (fstat(fd, &found) == -1) return errno;
  Describe(found, status);
  return 0;
}

int StatAt(int directory, const char* path, FileStatus* status) {
  struct stat found;
  if (fstatat(directory, path, &found, AT_SYMLINK_NOFOLLOW) == -1) return errno;
  Describe(found, status);
  return 0;
}

int IdentifyDescriptor(int fd, FileStatus* status) { return StatDescriptor(fd, status); }
int IdentifyPath(const char* path, FileStatus* status) { return StatAt(AT_FDCWD, path, status); }

int DuplicateAboveStandard(int fd, int* copy) {
  *copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  return *copy == -1 ? errno : 0;
}

FileSystem FileSystemOf(int fd, const FileIdentity&) {
  struct statfs found;
  return {fstatfs(fd, &found) == -1 || (found.f_flags & MNT_LOCAL) == 0, true, false};
}

// There is no call that goes past the cache of attributes; opening a directory asks the server
// (close-to-open consistency).
int AskServer(int directory, const char* path) {
  const char* name = *path == '\0' ? "." : path;
  const int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd == -1) return errno;
  close(fd);
  return 0;
}

int IdentifyOnServer(int directory, const char* path, FileStatus* status) {
  return StatAt(directory, path, status);
}

int SyncData(int fd) { return fsync(fd) == -1 ? errno : 0; }

int FcntlTest(int fd, FcntlLock lock) {
  struct flock range = WholeFile(lock);
  if (fcntl(fd, F_OFD_GETLK, &range) == -1) return errno;
  return range.l_type == F_UNLCK ? 0 : EAGAIN;
}

int FcntlTry(int fd, FcntlLock lock) { return FcntlCall(fd, F_OFD_SETLK, lock); }
int FcntlWait(int fd, FcntlLock lock) { return FcntlCall(fd, F_OFD_SETLKW, lock); }

int64_t MonotonicNanoseconds() {
  return static_cast<int64_t>(clock_gettime_nsec_np(CLOCK_UPTIME_RAW));
}

int64_t WallClockNanoseconds() {
  return static_cast<int64_t>(clock_gettime_nsec_np(CLOCK_REALTIME));
}

int64_t ThreadCpuNanoseconds() {
  return static_cast<int64_t>(clock_gettime_nsec_np(CLOCK_THREAD_CPUTIME_ID));
}

uint64_t CurrentThread() { return reinterpret_cast<uint64_t>(pthread_self()); }

void SleepNanoseconds(int64_t duration) {
  struct timespec left = {static_cast<time_t>(duration / kSecond),
                          static_cast<long>(duration % kSecond)};
  while (nanosleep(&left, &left) == -1 && errno == EINTR) {
  }
}

void Park(std::atomic<uint32_t>* word, uint32_t expected, int64_t deadline) {
  uint32_t microseconds = 0;  // no limit
  if (deadline != kForever) {
    const int64_t left = (deadline - MonotonicNanoseconds()) / 1000;
    if (left <= 0) return;
    microseconds = left < UINT32_MAX ? static_cast<uint32_t>(left) : UINT32_MAX;
  }
  __ulock_wait(kCompareAndWait, word, expected, microseconds);
}

void UnparkAll(std::atomic<uint32_t>* word) { __ulock_wake(kCompareAndWait | kWakeAll, word, 0); }

namespace {

extern "C" void OnAlarm(int) {}

// Installed on first need, and only where nobody handles the signal.
bool InstallHandler() {
  static std::atomic<int> installed{0};
  static Mutex mutex;
  if (installed.load(std::memory_order_acquire) == 1) return true;
  MutexHeld held(&mutex);
  if (installed.load(std::memory_order_relaxed) == 1) return true;
  struct sigaction action = {};
  if (sigaction(SIGURG, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) return false;
  action.sa_handler = OnAlarm;
  action.sa_flags = SA_ONSTACK;  // and not SA_RESTART: the call must end
  if (sigaction(SIGURG, &action, nullptr) != 0) return false;
  installed.store(1, std::memory_order_release);
  return true;
}

sigset_t AllButFaults() {
  sigset_t set;
  sigfillset(&set);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT}) {
    sigdelset(&set, fault);
  }
  return set;
}

uint64_t ChangeMask(int how, sigset_t set) {
  sigset_t before;
  pthread_sigmask(how, &set, &before);
  return before;
}

sigset_t OnlyAlarm() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGURG);
  return set;
}

struct Timer {
  dispatch_source_t source;
  pthread_t thread;
};

void Ring(void* argument) { pthread_kill(static_cast<Timer*>(argument)->thread, SIGURG); }
void Free(void* argument) { delete static_cast<Timer*>(argument); }

}  // namespace

void KeepSignalsFromThisThread() {
  sigset_t set = AllButFaults();
  sigdelset(&set, SIGURG);
  ChangeMask(SIG_SETMASK, set);
}

SignalsBlocked::SignalsBlocked() : saved_(ChangeMask(SIG_BLOCK, AllButFaults())) {}
SignalsBlocked::~SignalsBlocked() { ChangeMask(SIG_SETMASK, static_cast<sigset_t>(saved_)); }

bool Alarm::MakeReady() {
  if (!exists_ && !Create()) return false;
  struct sigaction action = {};
  return sigaction(SIGURG, nullptr, &action) == 0 && action.sa_handler == OnAlarm &&
         (action.sa_flags & SA_RESTART) == 0;
}

bool Alarm::Create() {
  if (!InstallHandler()) return false;
  dispatch_source_t source = dispatch_source_create(
      DISPATCH_SOURCE_TYPE_TIMER, 0, 0, dispatch_get_global_queue(QOS_CLASS_USER_INITIATED, 0));
  if (source == nullptr) return false;
  Timer* timer = new Timer{source, pthread_self()};
  dispatch_set_context(source, timer);
  dispatch_source_set_event_handler_f(source, Ring);
  dispatch_set_finalizer_f(source, Free);
  dispatch_source_set_timer(source, DISPATCH_TIME_FOREVER, kRingInterval, 0);
  dispatch_activate(source);
  timer_ = reinterpret_cast<intptr_t>(timer);
  exists_ = true;
  return true;
}

void Alarm::Destroy() {
  if (exists_) {
    dispatch_source_t source = reinterpret_cast<Timer*>(timer_)->source;
    dispatch_source_cancel(source);
    dispatch_release(source);
  }
  exists_ = false;
}

bool Alarm::Set(int64_t monotonic_time) {
  const int64_t left = monotonic_time - MonotonicNanoseconds();
  dispatch_source_set_timer(reinterpret_cast<Timer*>(timer_)->source,
                            dispatch_time(DISPATCH_TIME_NOW, left > 0 ? left : 0), kRingInterval,
                            0);
  return true;
}

bool Alarm::Disarm() {
  dispatch_source_set_timer(reinterpret_cast<Timer*>(timer_)->source, DISPATCH_TIME_FOREVER,
                            kRingInterval, 0);
  return true;
}

AlarmWindow::AlarmWindow(Alarm* alarm, int64_t first_ring)
    : alarm_(alarm), will_ring_(alarm->Set(first_ring)) {
  saved_ = ChangeMask(SIG_UNBLOCK, OnlyAlarm());
}

AlarmWindow::~AlarmWindow() {
  ChangeMask(SIG_BLOCK, OnlyAlarm());
  alarm_->Disarm();
  sigset_t pending;
  sigset_t alarm = OnlyAlarm();
  int number;
  while (sigpending(&pending) == 0 && sigismember(&pending, SIGURG) == 1) sigwait(&alarm, &number);
  ChangeMask(SIG_SETMASK, static_cast<sigset_t>(saved_));
}

}  // namespace nfl
