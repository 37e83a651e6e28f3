#include "files.h"

extern "C" NTSYSAPI NTSTATUS NTAPI RtlGetLastNtStatus();

namespace nfl {
namespace {

constexpr NTSTATUS kDeletePending = static_cast<NTSTATUS>(0xC0000056);

// What is marked as something that a driver is to look after can be a link, a socket, or one of the
// pipes and devices of Linux' subsystem. But mostly it is a file like others, whose content is kept
// elsewhere, too: OneDrive marks each that it has sent.
constexpr DWORD kSocket = 0x80000023;
constexpr DWORD kBlockDevice = 0x80000026;

DWORD FindKind(HANDLE file, DWORD attributes, Kind* kind) {
  *kind = (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0 ? Kind::kDirectory : Kind::kRegular;
  if ((attributes & FILE_ATTRIBUTE_REPARSE_POINT) == 0) return 0;
  FILE_ATTRIBUTE_TAG_INFO found;
  if (!GetFileInformationByHandleEx(file, FileAttributeTagInfo, &found, sizeof found)) {
    return GetLastError();
  }
  const DWORD tag = found.ReparseTag;
  if (IsReparseTagNameSurrogate(tag)) *kind = Kind::kLink;
  if (tag >= kSocket && tag <= kBlockDevice) *kind = Kind::kOther;
  return 0;
}

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
  const DWORD failed = FindKind(file, found.dwFileAttributes, &described->kind);
  FileStatus& status = described->status;
  status.identity = {found.dwVolumeSerialNumber, Join(found.nFileIndexHigh, found.nFileIndexLow)};
  status.is_regular = described->kind == Kind::kRegular;
  status.modified = SinceEpoch(found.ftLastWriteTime);
  return failed;
}

DWORD DescribeNamed(const WideText& path, Described* described) {
  constexpr DWORD kAnything = FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS;
  const HANDLE file = OpenShared(path, FILE_READ_ATTRIBUTES, OPEN_EXISTING, kAnything);
  if (file == INVALID_HANDLE_VALUE) return GetLastError();
  const DWORD failed = Describe(file, described);
  CloseHandle(file);
  return failed;
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
