#include "../system/process.h"

#include "api.h"

extern "C" {
NTSYSAPI NTSTATUS NTAPI NtOpenKey(HANDLE* key, ACCESS_MASK access, OBJECT_ATTRIBUTES* object);
NTSYSAPI NTSTATUS NTAPI NtQueryValueKey(HANDLE key, UNICODE_STRING* name, int what, void* value,
                                        ULONG size, ULONG* length);
}

namespace nfl {
namespace {

// Closes what it holds.
class Process {
 public:
  explicit Process(int64_t pid) : pid_(pid == 0 ? GetCurrentProcessId() : static_cast<DWORD>(pid)) {
    if (pid != 0 && pid != pid_) return;  // no number of a process; the error stays
    process_ = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE, FALSE, pid_);
    if (process_ == nullptr) error_ = GetLastError();
    // Process numbers are multiples of 4, and the system rounds others down.
    if (process_ != nullptr && GetProcessId(process_) != pid_) Close();
  }
  ~Process() { Close(); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  HANDLE handle() const { return process_; }
  DWORD error() const { return error_; }

 private:
  void Close() {
    if (process_ != nullptr) CloseHandle(process_);
    process_ = nullptr;
  }

  DWORD pid_;
  HANDLE process_ = nullptr;
  DWORD error_ = ERROR_INVALID_PARAMETER;
};

// The beginning of SYSTEM_TIMEOFDAY_INFORMATION; the rest of it is not needed.
struct TimeOfDay {
  int64_t boot_time;
  int64_t current_time;
  int64_t time_zone_bias;
  ULONG time_zone;
  ULONG reserved;
  int64_t boot_time_bias;
  int64_t sleep_time_bias;
};
constexpr SYSTEM_INFORMATION_CLASS kTimeOfDay = static_cast<SYSTEM_INFORMATION_CLASS>(3);

// KEY_VALUE_PARTIAL_INFORMATION.
struct Value {
  ULONG index;
  ULONG type;
  ULONG length;
  wchar_t data[128];
};
constexpr int kPartialInformation = 2;

template <size_t size>
UNICODE_STRING ToString(wchar_t (&text)[size]) {
  constexpr USHORT kLength = (size - 1) * sizeof(wchar_t);
  return {kLength, kLength, text};
}

// Made when Windows was installed. Copies of an installation can share it.
size_t MachineGuid(char* identity, size_t size) {
  static wchar_t key_name[] = L"\\Registry\\Machine\\SOFTWARE\\Microsoft\\Cryptography";
  static wchar_t value_name[] = L"MachineGuid";
  UNICODE_STRING name = ToString(key_name);
  OBJECT_ATTRIBUTES object = {};
  object.Length = sizeof object;
  object.ObjectName = &name;
  object.Attributes = OBJ_CASE_INSENSITIVE;
  HANDLE key;
  if (NtOpenKey(&key, KEY_QUERY_VALUE, &object) < 0) return 0;
  name = ToString(value_name);
  Value value;
  ULONG length;
  const NTSTATUS status =
      NtQueryValueKey(key, &name, kPartialInformation, &value, sizeof value, &length);
  CloseHandle(key);
  if (status < 0 || value.type != REG_SZ) return 0;
  size_t count = 0;
  while (count < value.length / sizeof(wchar_t) && count < size && value.data[count] != 0) {
    identity[count] = static_cast<char>(value.data[count]);
    ++count;
  }
  return count;
}

}  // namespace

ProcessState LookAtProcess(int64_t pid, uint64_t* start) {
  const Process process(pid);
  if (process.handle() == nullptr) {
    return process.error() == ERROR_INVALID_PARAMETER ? ProcessState::kEnded
                                                      : ProcessState::kUnknown;
  }
  // It is there for as long as somebody has it open.
  if (WaitForSingleObject(process.handle(), 0) == WAIT_OBJECT_0) return ProcessState::kEnded;
  FILETIME created;
  FILETIME others[3];
  if (!GetProcessTimes(process.handle(), &created, &others[0], &others[1], &others[2])) {
    return ProcessState::kUnknown;
  }
  *start = (static_cast<uint64_t>(created.dwHighDateTime) << 32) | created.dwLowDateTime;
  return ProcessState::kRunning;
}

size_t CommandOfProcess(int64_t pid, char* command, size_t size) {
  const Process process(pid);
  if (process.handle() == nullptr) return 0;
  wchar_t path[1024];
  DWORD length = sizeof path / sizeof *path;
  if (!QueryFullProcessImageNameW(process.handle(), 0, path, &length)) return 0;
  const int written = WideCharToMultiByte(CP_UTF8, 0, path, static_cast<int>(length), command,
                                          static_cast<int>(size), nullptr, nullptr);
  return static_cast<size_t>(written);
}

// Machines that start together have the same boot time, which comes from clocks that count seconds.
size_t BootIdentity(char* identity, size_t size) {
  TimeOfDay found = {};
  if (NtQuerySystemInformation(kTimeOfDay, &found, sizeof found, nullptr) < 0) return 0;
  // When the clock is set, the system sets both, so that this stays the same until the next boot.
  const int64_t booted = found.boot_time - found.boot_time_bias;
  constexpr int kDigits = 16;
  if (size < kDigits) return 0;
  for (int digit = 0; digit < kDigits; ++digit) {
    identity[digit] = "0123456789abcdef"[(booted >> (60 - 4 * digit)) & 15];
  }
  return kDigits + MachineGuid(identity + kDigits, size - kDigits);
}

}  // namespace nfl
