// Linux. Whatever has more than one version in glibc, or another name in musl, is called through
// syscall(2), so that one file serves both: an unversioned reference binds to the oldest version
// of a symbol (for pthread_cond_timedwait that is one with another clock), fcntl becomes fcntl64
// under _FILE_OFFSET_BITS=64, and stat is no export of glibc before 2.33.

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/stat.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os.h"

#ifndef F_OFD_SETLK
#define F_OFD_SETLK 37
#define F_OFD_SETLKW 38
#endif

namespace nfl {
namespace {

constexpr int64_t kSecond = 1000000000;
constexpr int64_t kRingInterval = 1000000;

struct timespec ToTimespec(int64_t nanoseconds) {
  return {static_cast<time_t>(nanoseconds / kSecond), static_cast<long>(nanoseconds % kSecond)};
}

int64_t ToNanoseconds(const struct timespec& time) {
  return static_cast<int64_t>(time.tv_sec) * kSecond + time.tv_nsec;
}

// A file's time can be any number of seconds; in nanoseconds, the year 2400 would overflow into the
// past. Far enough from the limits to be subtracted from the present.
int64_t FileTime(const struct timespec& time) {
  constexpr int64_t kMost = INT64_MAX / 2 / kSecond;
  const int64_t seconds = time.tv_sec < -kMost ? -kMost : time.tv_sec > kMost ? kMost : time.tv_sec;
  return seconds * kSecond + time.tv_nsec;
}

int64_t Now(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);  // two versions in glibc, of one function; and no system call
  return ToNanoseconds(now);
}

FileKind KindOf(mode_t mode) {
  return S_ISREG(mode)   ? FileKind::kRegular
         : S_ISDIR(mode) ? FileKind::kDirectory
         : S_ISLNK(mode) ? FileKind::kLink
                         : FileKind::kOther;
}

void Describe(const struct stat& from, FileStatus* status) {
  status->identity = {from.st_dev, from.st_ino};
  status->kind = KindOf(from.st_mode);
  status->modified = FileTime(from.st_mtim);
}

int FcntlCall(int fd, int command, FcntlLock lock) {
  struct flock range = {};
  range.l_type = lock == FcntlLock::kUnlock   ? F_UNLCK
                 : lock == FcntlLock::kShared ? F_RDLCK
                                              : F_WRLCK;
  range.l_whence = SEEK_SET;  // and length 0: to the end of the file, wherever that will be
  return syscall(SYS_fcntl, fd, command, &range) == -1 ? errno : 0;
}

}  // namespace

int StatDescriptor(int fd, FileStatus* status) {
  struct stat found;
  if (syscall(SYS_fstat, fd, &found) == -1) return errno;
  Describe(found, status);
  return 0;
}

int StatAt(int directory, const char* path, FileStatus* status) {
  struct stat found;
  if (syscall(SYS_newfstatat, directory, path, &found, AT_SYMLINK_NOFOLLOW) == -1) return errno;
  Describe(found, status);
  return 0;
}

namespace {

// False where there is no statx: kernels before 4.11, and sandboxes that do not know it (EPERM).
bool IdentifyByStatx(int directory, const char* path, int flags, FileStatus* status, int* result) {
  struct statx found;
  if (syscall(SYS_statx, directory, path, flags, STATX_TYPE | STATX_INO, &found) == -1) {
    *result = errno;
    return *result != ENOSYS && *result != EPERM;
  }
  // As st_dev, in which stat(2) gives it.
  const uint64_t major = found.stx_dev_major;
  const uint64_t minor = found.stx_dev_minor;
  status->identity.device = ((major & 0xfffff000) << 32) | ((major & 0xfff) << 8) |
                            ((minor & 0xffffff00) << 12) | (minor & 0xff);
  status->identity.inode = found.stx_ino;
  status->kind = KindOf(found.stx_mode);
  *result = 0;
  return true;
}

}  // namespace

int IdentifyDescriptor(int fd, FileStatus* status) {
  int result = 0;
  if (IdentifyByStatx(fd, "", AT_EMPTY_PATH, status, &result)) return result;
  return StatDescriptor(fd, status);
}

int IdentifyPath(const char* path, FileStatus* status) {
  int result = 0;
  if (IdentifyByStatx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, status, &result)) return result;
  return StatAt(AT_FDCWD, path, status);
}

int DuplicateAboveStandard(int fd, int* copy) {
  *copy = static_cast<int>(syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3));
  return *copy == -1 ? errno : 0;
}

int FcntlTry(int fd, FcntlLock lock) { return FcntlCall(fd, F_OFD_SETLK, lock); }
int FcntlWait(int fd, FcntlLock lock) { return FcntlCall(fd, F_OFD_SETLKW, lock); }

int64_t MonotonicNanoseconds() { return Now(CLOCK_MONOTONIC); }
int64_t WallClockNanoseconds() { return Now(CLOCK_REALTIME); }
int64_t ThreadCpuNanoseconds() { return Now(CLOCK_THREAD_CPUTIME_ID); }
uint64_t CurrentThread() { return static_cast<uint64_t>(syscall(SYS_gettid)); }

void SleepNanoseconds(int64_t duration) {
  struct timespec left = ToTimespec(duration);
  while (syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &left, &left) == -1 && errno == EINTR) {
  }
}

void Park(std::atomic<uint32_t>* word, uint32_t expected, int64_t deadline) {
  if (deadline == kForever) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
    return;
  }
  struct timespec until = ToTimespec(deadline);  // FUTEX_WAIT_BITSET takes an absolute time
  syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, &until, nullptr,
          FUTEX_BITSET_MATCH_ANY);
}

void UnparkAll(std::atomic<uint32_t>* word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
}

// --- Signals ------------------------------------------------------------------------------------
//
// Sets are the kernel's: 64 bits, signal n in bit n-1. 32 to 34 belong to the C libraries
// (setuid(2) in a threaded process waits for every thread to answer one of them), so they are
// never blocked here and never used as the alarm's.

namespace {

constexpr uint64_t Bit(int number) { return uint64_t{1} << (number - 1); }
constexpr uint64_t kNeverBlocked = Bit(SIGSEGV) | Bit(SIGBUS) | Bit(SIGFPE) | Bit(SIGILL) |
                                   Bit(SIGTRAP) | Bit(SIGSYS) | Bit(SIGABRT) | Bit(32) | Bit(33) |
                                   Bit(34);

uint64_t ChangeMask(int how, uint64_t set) {
  uint64_t before = 0;
  syscall(SYS_rt_sigprocmask, how, &set, &before, sizeof set);
  return before;
}

// The number of the alarm's signal, 0 before it is needed. Chosen once per process among the
// real-time signals that nobody handles. A thread that loses the race uses the winner's.
std::atomic<int> alarm_signal{0};
Mutex alarm_signal_mutex;

extern "C" void OnAlarm(int) {}

int AlarmSignal() {
  int number = alarm_signal.load(std::memory_order_acquire);
  if (number != 0) return number;
  MutexHeld held(&alarm_signal_mutex);
  number = alarm_signal.load(std::memory_order_acquire);
  for (int candidate = 40; number == 0 && candidate < 64; ++candidate) {
    struct sigaction action = {};
    if (sigaction(candidate, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) continue;
    action.sa_handler = OnAlarm;
    action.sa_flags = SA_ONSTACK;  // and not SA_RESTART: the call must end
    if (sigaction(candidate, &action, nullptr) == 0) number = candidate;
  }
  alarm_signal.store(number, std::memory_order_release);
  return number;
}

}  // namespace

void KeepSignalsFromThisThread() {
  const int alarm = AlarmSignal();
  ChangeMask(SIG_SETMASK, ~(kNeverBlocked | (alarm == 0 ? 0 : Bit(alarm))));
}

SignalsBlocked::SignalsBlocked() : saved_(ChangeMask(SIG_BLOCK, ~kNeverBlocked)) {}
SignalsBlocked::~SignalsBlocked() { ChangeMask(SIG_SETMASK, saved_); }

// A POSIX timer (timer_create(2)) does all that is asked of an alarm: it is directed at one thread
// (SIGEV_THREAD_ID), it repeats, its one queue entry is allocated beforehand, and the kernel starts
// the next interval only when the last signal was delivered.

bool Alarm::MakeReady() {
  if (!exists_ && !Create()) return false;
  struct sigaction action = {};
  return sigaction(AlarmSignal(), nullptr, &action) == 0 && action.sa_handler == OnAlarm &&
         (action.sa_flags & SA_RESTART) == 0;
}

bool Alarm::Create() {
  const int number = AlarmSignal();
  if (number == 0) return false;
  struct sigevent event = {};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = number;
  event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
  int timer = 0;
  if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) == -1) return false;
  timer_ = timer;
  exists_ = true;
  return true;
}

void Alarm::Destroy() {
  if (exists_) syscall(SYS_timer_delete, static_cast<int>(timer_));
  exists_ = false;
}

void Alarm::Set(int64_t monotonic_time) {
  struct itimerspec times = {};
  // A time that has passed rings at once; zero would disarm.
  times.it_value = ToTimespec(monotonic_time > 0 ? monotonic_time : 1);
  times.it_interval = ToTimespec(kRingInterval);
  syscall(SYS_timer_settime, static_cast<int>(timer_), TIMER_ABSTIME, &times, nullptr);
}

void Alarm::Disarm() {
  struct itimerspec never = {};
  syscall(SYS_timer_settime, static_cast<int>(timer_), 0, &never, nullptr);
}

AlarmWindow::AlarmWindow(Alarm* alarm, int64_t first_ring) : alarm_(alarm) {
  alarm->Set(first_ring);
  saved_ = ChangeMask(SIG_UNBLOCK, Bit(AlarmSignal()));
}

AlarmWindow::~AlarmWindow() {
  const uint64_t alarm = Bit(AlarmSignal());
  ChangeMask(SIG_BLOCK, alarm);
  alarm_->Disarm();
  const struct timespec at_once = {};
  while (syscall(SYS_rt_sigtimedwait, &alarm, nullptr, &at_once, sizeof alarm) > 0) {
  }
  ChangeMask(SIG_SETMASK, saved_);
}

}  // namespace nfl
