#include "files.h"

extern "C" NTSYSAPI NTSTATUS NTAPI RtlGetLastNtStatus();

namespace nfl {
namespace {

constexpr NTSTATUS kDeletePending = static_cast<NTSTATUS>(0xC0000056);

uint64_t Join(DWORD high, DWORD low) { return (static_cast<uint64_t>(high) << 32) | low; }

}  // namespace

// A time can be any number; in nanoseconds, the year 2262 would overflow into the past. Far enough
// from the limits to be subtracted from the present.
int64_t SinceEpoch(const FILETIME& time) {
  constexpr int64_t kEpoch = 116444736000000000;  // 1970, in steps of 100 ns since 1601
  constexpr int64_t kMost = INT64_MAX / 2 / 100;
  const int64_t steps = static_cast<int64_t>(Join(time.dwHighDateTime, time.dwLowDateTime));
  const int64_t since = steps < kEpoch - kMost   ? -kMost
                        : steps > kEpoch + kMost ? kMost
                                                 : steps - kEpoch;
  return since * 100;
}

DWORD Describe(HANDLE file, Described* described) {
  BY_HANDLE_FILE_INFORMATION found;
  if (!GetFileInformationByHandle(file, &found)) return GetLastError();
  described->attributes = found.dwFileAttributes;
  FileStatus& status = described->status;
  status.identity = {found.dwVolumeSerialNumber, Join(found.nFileIndexHigh, found.nFileIndexLow)};
  status.is_regular = !described->is_directory() && !described->is_link();
  status.modified = SinceEpoch(found.ftLastWriteTime);
  return 0;
}

HANDLE OpenShared(const WideText& path, DWORD access, DWORD disposition, DWORD flags) {
  return CreateFileW(path.text(), access, kShareAll, nullptr, disposition, flags, nullptr);
}

bool IsBeingRemoved(DWORD error) {
  return error == ERROR_DELETE_PENDING ||
         (error == ERROR_ACCESS_DENIED && RtlGetLastNtStatus() == kDeletePending);
}

bool IsRemote(HANDLE file) {
  FILE_REMOTE_PROTOCOL_INFO protocol;
  return GetFileInformationByHandleEx(file, FileRemoteProtocolInfo, &protocol, sizeof protocol);
}

DWORD Finish(HANDLE file, BOOL begun, OVERLAPPED* request, DWORD* count) {
  if (!begun && GetLastError() != ERROR_IO_PENDING) return GetLastError();
  return GetOverlappedResult(file, request, count, TRUE) ? 0 : GetLastError();
}

}  // namespace nfl
