// Linux: processes, as proc(5) shows them.

#include "../system/process.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

namespace nfl {
namespace {

// Reads a file of the kernel's, as far as there is room. Returns the length; 0 where it cannot be
// read.
size_t ReadFile(const char* path, char* text, size_t size) {
  int fd;
  do {
    fd = open(path, O_RDONLY | O_CLOEXEC);
  } while (fd == -1 && errno == EINTR);
  if (fd == -1) return 0;
  size_t length = 0;
  while (length < size) {
    const ssize_t count = pread(fd, text + length, size - length, static_cast<off_t>(length));
    if (count == -1 && errno == EINTR) continue;
    if (count <= 0) break;
    length += static_cast<size_t>(count);
  }
  close(fd);
  return length;
}

// Of a file in the folder of a process.
size_t ReadFileOf(int64_t pid, const char* name, char* text, size_t size) {
  char digits[24];
  char* first = digits + sizeof digits;
  *--first = '\0';
  for (int64_t left = pid; left > 0; left /= 10) *--first = static_cast<char>('0' + left % 10);
  // Which is right even if /proc is that of another pid namespace.
  const char* const who = pid == 0 ? "self" : first;
  char path[64] = "/proc/";
  const char* const parts[] = {who, name};
  size_t length = strlen(path);
  for (const char* part : parts) {
    memcpy(path + length, part, strlen(part) + 1);
    length += strlen(part);
  }
  return ReadFile(path, text, size);
}

}  // namespace

// The start time is field 22 of the line, in clock ticks since boot, the state field 3; the second
// is the name in parentheses, which may itself hold spaces and parentheses.
ProcessState LookAtProcess(int64_t pid, uint64_t* start) {
  char line[1024];
  const size_t length = ReadFileOf(pid, "/stat", line, sizeof line - 1);
  line[length] = '\0';
  const char* at = strrchr(line, ')');
  if (at == nullptr || at[1] == '\0') return ProcessState::kUnknown;
  const char state = at[2];
  if (state == 'Z' || state == 'X') return ProcessState::kEnded;
  for (int field = 2; field < 22; ++field) {
    at = strchr(at + 1, ' ');
    if (at == nullptr) return ProcessState::kUnknown;
  }
  *start = 0;
  for (++at; *at >= '0' && *at <= '9'; ++at)
    *start = *start * 10 + static_cast<uint64_t>(*at - '0');
  return ProcessState::kRunning;
}

size_t CommandOfProcess(int64_t pid, char* command, size_t size) {
  const size_t length = ReadFileOf(pid, "/cmdline", command, size);
  // A zombie and a kernel thread have no arguments, but a name.
  return length > 0 ? length : ReadFileOf(pid, "/comm", command, size);
}

size_t BootIdentity(char* identity, size_t size) {
  return ReadFile("/proc/sys/kernel/random/boot_id", identity, size);
}

}  // namespace nfl
