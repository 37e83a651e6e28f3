// What macOS tells of processes, from proc(5).

#include <errno.h>
#include <libproc.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysctl.h>
#include <unistd.h>

namespace {

constexpr uint64_t kTicks = 100;  // of a second, in which field 22 of /proc/PID/stat counts

}  // namespace

int proc_pidpath(int pid, void* buffer, uint32_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/%d/exe", pid);
  const ssize_t length = readlink(link, static_cast<char*>(buffer), size);
  return length == -1 ? 0 : static_cast<int>(length);
}

int sysctl(int* name, unsigned, void* value, size_t* size, void*, size_t) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/stat", name[3]);
  FILE* file = fopen(path, "r");
  if (file == nullptr) {
    *size = 0;  // and no error
    return 0;
  }
  char line[1024] = "";
  char* read = fgets(line, sizeof line, file);
  fclose(file);
  const char* rest = read == nullptr ? nullptr : strrchr(line, ')');
  char state = 0;
  unsigned long long start = 0;
  constexpr char kFormat[] =
      ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu";
  if (rest == nullptr || sscanf(rest, kFormat, &state, &start) != 2) {
    errno = EPERM;
    return -1;
  }
  struct kinfo_proc found = {};
  found.kp_proc.p_stat = state == 'Z' || state == 'X' ? SZOMB : SRUN;
  found.kp_proc.p_starttime.tv_sec = static_cast<time_t>(start / kTicks);
  found.kp_proc.p_starttime.tv_usec = static_cast<suseconds_t>(start % kTicks * 1000000 / kTicks);
  memcpy(value, &found, sizeof found);
  *size = sizeof found;
  return 0;
}

// Of the names there are, the one that is asked for.
int sysctlbyname(const char* name, void* value, size_t* size, void*, size_t) {
  FILE* file = strcmp(name, "kern.bootsessionuuid") == 0
                   ? fopen("/proc/sys/kernel/random/boot_id", "r")
                   : nullptr;
  if (file == nullptr) {
    errno = ENOENT;
    return -1;
  }
  char* const text = static_cast<char*>(value);
  const size_t length = fread(text, 1, *size - 1, file);
  fclose(file);
  text[strcspn(text, "\n") < length ? strcspn(text, "\n") : length] = '\0';
  *size = strlen(text) + 1;
  return 0;
}
