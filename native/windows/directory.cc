#include "../system/directory.h"

#include "error_number.h"
#include "files.h"

namespace nfl {
namespace {

constexpr NTSTATUS kDeletePending = static_cast<NTSTATUS>(0xC0000056);
constexpr NTSTATUS kIsADirectory = static_cast<NTSTATUS>(0xC00000BA);

// What Windows 10 1709 and later know: the name is free at once, although others have the file
// open.
constexpr FILE_INFO_BY_HANDLE_CLASS kDispositionEx = static_cast<FILE_INFO_BY_HANDLE_CLASS>(21);
constexpr DWORD kDelete = 0x01;
constexpr DWORD kAsPosix = 0x02;
constexpr DWORD kEvenReadOnly = 0x10;

int NumberOfStatus(NTSTATUS status) {
  if (status == kDeletePending) return kNoEntry;
  if (status == kIsADirectory) return kIsDirectory;
  return NumberOf(RtlNtStatusToDosError(status));
}

// Opens what is in a directory. Follows no link, and takes a name for nothing but a name.
OsError OpenBelow(const Directory& directory, const char* name, ACCESS_MASK access, ULONG options,
                  HANDLE* file) {
  WideText wide(name);
  const USHORT size = static_cast<USHORT>(wide.length() * sizeof(wchar_t));
  UNICODE_STRING text = {size, size, wide.text()};
  OBJECT_ATTRIBUTES object = {};
  object.Length = sizeof object;
  object.RootDirectory = ToHandle(directory.handle());
  object.ObjectName = &text;
  object.Attributes = OBJ_CASE_INSENSITIVE;
  constexpr ULONG kAlways = FILE_OPEN_REPARSE_POINT | FILE_SYNCHRONOUS_IO_NONALERT;
  IO_STATUS_BLOCK result;
  const NTSTATUS status = NtCreateFile(file, access | SYNCHRONIZE, &object, &result, nullptr, 0,
                                       kShareAll, FILE_OPEN, options | kAlways, nullptr, 0);
  return status >= 0 ? OsError{} : OsError{Syscall::kOpen, NumberOfStatus(status)};
}

OsError CheckDirectory(HANDLE file) {
  Described found;
  if (const DWORD failed = Describe(file, &found)) return Failure(Syscall::kFstat, failed);
  if (found.kind == Kind::kLink) return {Syscall::kOpen, kIsLink};
  return found.kind == Kind::kDirectory ? OsError{} : OsError{Syscall::kOpen, kNotADirectory};
}

}  // namespace

bool IsGone(const OsError& error) {
  const int number = error.number;
  return number == kNoEntry || number == kNotADirectory || number == kIsLink ||
         number == kIsDirectory;
}

Directory::~Directory() {
  if (handle_ != -1) CloseHandle(ToHandle(handle_));
}

OsError Directory::Open(const char* path) {
  const WideText wide(path);
  constexpr DWORD kAccess = FILE_TRAVERSE | FILE_READ_ATTRIBUTES | SYNCHRONIZE;
  const HANDLE file = OpenShared(wide, kAccess, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS);
  if (file == INVALID_HANDLE_VALUE) return Failure(Syscall::kOpen, GetLastError());
  handle_ = FromHandle(file);
  return CheckDirectory(file);
}

OsError Directory::OpenIn(const Directory& parent, const char* name) {
  HANDLE file;
  constexpr ACCESS_MASK kAccess = FILE_TRAVERSE | FILE_READ_ATTRIBUTES;
  const OsError error = OpenBelow(parent, name, kAccess, FILE_DIRECTORY_FILE, &file);
  if (error) return error;
  handle_ = FromHandle(file);
  return CheckDirectory(file);
}

RemovableFile::~RemovableFile() {
  if (handle_ == -1) return;
  OVERLAPPED request = {};
  if (held_) UnlockFileEx(ToHandle(handle_), 0, 1, 0, &request);
  CloseHandle(ToHandle(handle_));
}

OsError RemovableFile::Look(FileStatus* status) const {
  HANDLE file;
  const OsError error = OpenBelow(directory_, name_, FILE_READ_ATTRIBUTES, 0, &file);
  if (error) return {Syscall::kFstat, error.number};
  Described found;
  const DWORD failed = Describe(file, &found);
  CloseHandle(file);
  *status = found.status;
  return failed == 0 ? OsError{} : Failure(Syscall::kFstat, failed);
}

OsError RemovableFile::Open() {
  HANDLE file;
  constexpr ACCESS_MASK kAccess = GENERIC_READ | DELETE;
  const OsError error = OpenBelow(directory_, name_, kAccess, FILE_NON_DIRECTORY_FILE, &file);
  if (!error) handle_ = FromHandle(file);
  // Somebody has it open who lets nobody remove it. That is as good as a lock: see TryLock.
  return error.number == kBusyNumber ? OsError{} : error;
}

Attempt RemovableFile::TryLock(OsError* error) {
  if (handle_ == -1) return Attempt::kBusy;
  constexpr DWORD kAtOnce = LOCKFILE_FAIL_IMMEDIATELY | LOCKFILE_EXCLUSIVE_LOCK;
  OVERLAPPED request = {};
  if (LockFileEx(ToHandle(handle_), kAtOnce, 0, 1, 0, &request)) {
    held_ = true;
    return Attempt::kLocked;
  }
  const DWORD failed = GetLastError();
  if (failed == ERROR_LOCK_VIOLATION) return Attempt::kBusy;
  *error = Failure(Syscall::kFlock, failed);
  return Attempt::kFailed;
}

bool RemovableFile::IsStillNamed(FileStatus* locked) const {
  Described found;
  if (Describe(ToHandle(handle_), &found) != 0) return false;
  *locked = found.status;
  FileStatus named;
  return !Look(&named) && named.identity == locked->identity;
}

int RemovableFile::Read(void* buffer, size_t size) const {
  OVERLAPPED request = {};
  DWORD count = 0;
  const DWORD most = size < MAXDWORD ? static_cast<DWORD>(size) : MAXDWORD;
  return ReadFile(ToHandle(handle_), buffer, most, &count, &request) ? static_cast<int>(count) : 0;
}

OsError RemovableFile::Remove() {
  DWORD flags = kDelete | kAsPosix | kEvenReadOnly;
  const HANDLE file = ToHandle(handle_);
  if (SetFileInformationByHandle(file, kDispositionEx, &flags, sizeof flags)) return {};
  // An older system, or a file system that does not know it. There the name goes with the last
  // handle, and until then nobody can open it.
  FILE_DISPOSITION_INFO classic = {TRUE};
  if (SetFileInformationByHandle(file, FileDispositionInfo, &classic, sizeof classic)) return {};
  return Failure(Syscall::kUnlink, GetLastError());
}

}  // namespace nfl
