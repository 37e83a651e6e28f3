// macOS: processes.

#include "../system/process.h"

#include <errno.h>
#include <libproc.h>
#include <string.h>
#include <sys/sysctl.h>
#include <unistd.h>

namespace nfl {
namespace {

// -1: there is none of that pid.
int ToPid(int64_t pid) {
  if (pid == 0) return getpid();
  return pid > 0 && pid <= INT32_MAX ? static_cast<int>(pid) : -1;
}

}  // namespace

// The start is a time of the wall clock as it was then, in microseconds. Not by proc_pidinfo, which
// tells it of processes of the same user only.
ProcessState LookAtProcess(int64_t pid, uint64_t* start) {
  int name[] = {CTL_KERN, KERN_PROC, KERN_PROC_PID, ToPid(pid)};
  struct kinfo_proc found = {};
  size_t size = sizeof found;
  if (sysctl(name, 4, &found, &size, nullptr, 0) == -1) {
    return errno == ESRCH ? ProcessState::kEnded : ProcessState::kUnknown;
  }
  if (size < sizeof found || found.kp_proc.p_stat == SZOMB) return ProcessState::kEnded;
  const struct timeval& started = found.kp_proc.p_starttime;
  *start = static_cast<uint64_t>(started.tv_sec) * 1000000 + static_cast<uint64_t>(started.tv_usec);
  return ProcessState::kRunning;
}

// The path of the executable: arguments are told of processes of the same user only.
size_t CommandOfProcess(int64_t pid, char* command, size_t size) {
  char path[PROC_PIDPATHINFO_MAXSIZE];  // a smaller one is an error
  const int found = proc_pidpath(ToPid(pid), path, sizeof path);
  if (found <= 0) return 0;
  const size_t length = static_cast<size_t>(found) < size ? static_cast<size_t>(found) : size;
  memcpy(command, path, length);
  return length;
}

// A UUID.
size_t BootIdentity(char* identity, size_t size) {
  size_t length = size;
  if (sysctlbyname("kern.bootsessionuuid", identity, &length, nullptr, 0) == -1) return 0;
  return length > 0 ? length - 1 : 0;  // without its NUL
}

}  // namespace nfl
