// As much of macOS, over Linux, as native/darwin and native/posix use: included before anything
// else in each of their files. What has another name or another value there has it here too.

#ifndef NATIVE_FILE_LOCK_DARWIN_SHIM_MACOS_H_
#define NATIVE_FILE_LOCK_DARWIN_SHIM_MACOS_H_

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

namespace shim {

// Flock, OFD and POSIX locks exclude each other there: a lock of either mechanism is one of both
// here. See locks.cc.
int Flock(int fd, int operation);
int Fcntl(int fd, int command, ...);

// Made so that test/fixtures/faults.c can make them fail.
int Fstatat(int directory, const char* path, struct stat* found, int flags);
int Fstatfs(int fd, struct statfs* found);
int Fsync(int fd);

// 32 signals in an integer.
using SignalSet = uint32_t;
int FillSet(SignalSet* set);
int EmptySet(SignalSet* set);
int AddToSet(SignalSet* set, int number);
int RemoveFromSet(SignalSet* set, int number);
int IsInSet(const SignalSet* set, int number);
int ChangeMask(int how, const SignalSet* set, SignalSet* before);
int Pending(SignalSet* set);

int ConditionWait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                  const struct timespec* duration);
uint64_t ClockNanoseconds(clockid_t clock);

}  // namespace shim

#undef F_OFD_GETLK
#undef F_OFD_SETLK
#undef F_OFD_SETLKW
// Of a function only; the structure keeps its name.
#define flock(fd, operation) shim::Flock(fd, operation)
#define fcntl shim::Fcntl

#define st_mtimespec st_mtim
#define fstatat shim::Fstatat
#define fstatfs(fd, found) shim::Fstatfs(fd, found)
#define fsync shim::Fsync
#define MNT_LOCAL 0x1000

#define sigset_t shim::SignalSet
#undef sigfillset
#undef sigemptyset
#undef sigaddset
#undef sigdelset
#undef sigismember
#define sigfillset shim::FillSet
#define sigemptyset shim::EmptySet
#define sigaddset shim::AddToSet
#define sigdelset shim::RemoveFromSet
#define sigismember shim::IsInSet
#define pthread_sigmask shim::ChangeMask
#define sigpending shim::Pending

#define CLOCK_UPTIME_RAW CLOCK_MONOTONIC
#define clock_gettime_nsec_np shim::ClockNanoseconds
#define pthread_cond_timedwait_relative_np shim::ConditionWait

#endif  // NATIVE_FILE_LOCK_DARWIN_SHIM_MACOS_H_
