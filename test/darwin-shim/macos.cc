// Calls of macOS by those of Linux, but for locks.

#include <dispatch/dispatch.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

namespace shim {
namespace {

constexpr int kSignals = 32;
// Of statfs(2): file systems that have a server, or may have one.
constexpr uint32_t kNetworks[] = {0x6969, 0x01021997, 0x517B, 0xFE534D42, 0xFF534D42, 0x65735546};
constexpr long kIsLocal = 0x1000;

sigset_t ToLinux(uint32_t set) {
  sigset_t real;
  sigemptyset(&real);
  for (int number = 1; number < kSignals; ++number) {
    if ((set >> (number - 1)) & 1) sigaddset(&real, number);
  }
  return real;
}

uint32_t FromLinux(const sigset_t& real) {
  uint32_t set = 0;
  for (int number = 1; number < kSignals; ++number) {
    if (sigismember(&real, number) == 1) set |= uint32_t{1} << (number - 1);
  }
  return set;
}

}  // namespace

// By the call that native/linux makes.
int Fstatat(int directory, const char* path, struct stat* found, int flags) {
  struct statx answer;
  if (syscall(SYS_statx, directory, path, flags, STATX_BASIC_STATS, &answer) == -1) return -1;
  *found = {};
  found->st_dev = makedev(answer.stx_dev_major, answer.stx_dev_minor);
  found->st_ino = answer.stx_ino;
  found->st_mode = answer.stx_mode;
  found->st_mtim = {static_cast<time_t>(answer.stx_mtime.tv_sec),
                    static_cast<long>(answer.stx_mtime.tv_nsec)};
  return 0;
}

int Fstatfs(int fd, struct statfs* found) {
  if (syscall(SYS_fstatfs, fd, found) == -1) return -1;
  found->f_flags = kIsLocal;
  for (const uint32_t network : kNetworks) {
    if (static_cast<uint32_t>(found->f_type) == network) found->f_flags = 0;
  }
  return 0;
}

int Fsync(int fd) { return fdatasync(fd); }

int FillSet(uint32_t* set) {
  *set = ~uint32_t{0};
  return 0;
}

int EmptySet(uint32_t* set) {
  *set = 0;
  return 0;
}

int AddToSet(uint32_t* set, int number) {
  *set |= uint32_t{1} << (number - 1);
  return 0;
}

int RemoveFromSet(uint32_t* set, int number) {
  *set &= ~(uint32_t{1} << (number - 1));
  return 0;
}

int IsInSet(const uint32_t* set, int number) { return (*set >> (number - 1)) & 1; }

// Real-time signals, which macOS has not, stay as they are.
int ChangeMask(int how, const uint32_t* set, uint32_t* before) {
  sigset_t wanted = ToLinux(*set);
  sigset_t real;
  if (how == SIG_SETMASK) {
    pthread_sigmask(SIG_SETMASK, nullptr, &real);
    for (int number = kSignals; number <= SIGRTMAX; ++number) {
      if (sigismember(&real, number) == 1) sigaddset(&wanted, number);
    }
  }
  const int result = pthread_sigmask(how, &wanted, &real);
  if (before != nullptr) *before = FromLinux(real);
  return result;
}

int Pending(uint32_t* set) {
  sigset_t real;
  const int result = sigpending(&real);
  *set = FromLinux(real);
  return result;
}

uint64_t ClockNanoseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

int ConditionWait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                  const struct timespec* duration) {
  const uint64_t until = ClockNanoseconds(CLOCK_MONOTONIC) +
                         static_cast<uint64_t>(duration->tv_sec) * 1000000000 +
                         static_cast<uint64_t>(duration->tv_nsec);
  const struct timespec time = {static_cast<time_t>(until / 1000000000),
                                static_cast<long>(until % 1000000000)};
  return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &time);
}

}  // namespace shim
