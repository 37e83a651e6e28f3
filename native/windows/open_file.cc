#include "../system/open_file.h"

#include "../system/clock.h"
#include "error_number.h"
#include "files.h"

namespace nfl {
namespace {

// FILE_FLAG_OVERLAPPED: a wait can be ended. It makes every call on the file one that may pend.
constexpr DWORD kFlags =
    FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OVERLAPPED | FILE_FLAG_OPEN_REPARSE_POINT;

// How long another program, mostly one that looks for viruses, is given before the next try.
constexpr int64_t kRest = 1000000;

bool IsPermission(DWORD error) {
  return error == ERROR_ACCESS_DENIED || error == ERROR_WRITE_PROTECT;
}

// Why a file could not be opened.
Opened Refusal(const WideText& path, DWORD failed, bool is_being_removed, OsError* error) {
  *error = Failure(Syscall::kOpen, failed);
  if (is_being_removed || failed == ERROR_SHARING_VIOLATION) {
    error->number = kBusyNumber;
    SleepNanoseconds(kRest);
    return Opened::kReplaced;
  }
  if (failed == ERROR_PATH_NOT_FOUND || failed == ERROR_FILE_NOT_FOUND) return Opened::kNoParent;
  Described found;
  if (DescribeNamed(path, &found) != 0) return Opened::kFailed;
  if (found.kind == Kind::kOther) return Opened::kNotAFile;
  if (found.kind == Kind::kDirectory) error->number = kIsDirectory;
  if (found.kind == Kind::kLink) error->number = kIsLink;
  return Opened::kFailed;
}

// Its first byte, alone: that one everybody locks who locks files here, be it with all the others
// or not, and so the rest can be read by everybody while we hold it.
DWORD LockFirstByte(HANDLE file, Mode mode, DWORD flags, OVERLAPPED* request) {
  if (mode == Mode::kExclusive) flags |= LOCKFILE_EXCLUSIVE_LOCK;
  return LockFileEx(file, flags, 0, 1, 0, request) ? 0 : GetLastError();
}

// Wine grants what it should let pend, whoever holds it.
bool CanWait() {
  const HMODULE system = GetModuleHandleW(L"ntdll.dll");
  return system == nullptr || GetProcAddress(system, "wine_get_version") == nullptr;
}

DWORD ToSize(size_t size) { return size < MAXDWORD ? static_cast<DWORD>(size) : MAXDWORD; }

}  // namespace

OpenFile& OpenFile::operator=(OpenFile&& other) noexcept {
  if (this == &other) return *this;
  Close();
  handle_ = other.handle_;
  identity_ = other.identity_;
  system_ = other.system_;
  writable_ = other.writable_;
  other.handle_ = -1;
  return *this;
}

// Where an existing file may not be opened so, read-only, unless it must be written.
Opened OpenFile::Open(const Opening& opening, OsError* error) {
  const WideText path(opening.path);
  writable_ = true;
  HANDLE file = OpenShared(path, GENERIC_READ | GENERIC_WRITE, OPEN_ALWAYS, kFlags);
  if (file == INVALID_HANDLE_VALUE) {
    const DWORD failed = GetLastError();
    const bool is_being_removed = IsBeingRemoved(failed);
    if (IsPermission(failed) && !is_being_removed && !opening.must_write) {
      writable_ = false;
      file = OpenShared(path, GENERIC_READ, OPEN_EXISTING, kFlags);
    }
    if (file == INVALID_HANDLE_VALUE) return Refusal(path, failed, is_being_removed, error);
  }
  handle_ = FromHandle(file);
  return Identify(error);
}

Opened OpenFile::OpenToRead(const char* path, OsError* error) {
  const WideText wide(path);
  const HANDLE file = OpenShared(wide, GENERIC_READ, OPEN_EXISTING, kFlags);
  if (file != INVALID_HANDLE_VALUE) {
    handle_ = FromHandle(file);
    return Identify(error);
  }
  *error = Failure(Syscall::kOpen, GetLastError());
  return Opened::kFailed;
}

// What was opened. Closes it unless it can be a lock file.
Opened OpenFile::Identify(OsError* error) {
  const HANDLE file = ToHandle(handle_);
  Described found;
  const bool is_on_disk = GetFileType(file) == FILE_TYPE_DISK;
  const DWORD failed = is_on_disk ? Describe(file, &found) : 0;
  if (failed != 0 || found.kind != Kind::kRegular) {
    Close();
    if (failed == 0 && found.kind != Kind::kLink) return Opened::kNotAFile;
    *error = failed != 0 ? Failure(Syscall::kFstat, failed) : OsError{Syscall::kOpen, kIsLink};
    return Opened::kFailed;
  }
  identity_ = found.status.identity;
  system_.network = IsRemote(file);
  system_.waits = CanWait();
  return Opened::kOpened;
}

bool OpenFile::DuplicateTo(OpenFile* copy) const {
  const HANDLE here = GetCurrentProcess();
  HANDLE file;
  if (!DuplicateHandle(here, ToHandle(handle_), here, &file, 0, FALSE, DUPLICATE_SAME_ACCESS)) {
    return false;
  }
  copy->Close();
  copy->handle_ = FromHandle(file);
  copy->identity_ = identity_;
  copy->system_ = system_;
  return true;
}

void OpenFile::Close() {
  if (handle_ != -1) CloseHandle(ToHandle(handle_));
  handle_ = -1;
}

Attempt OpenFile::TryLock(Mode mode, OsError* error) {
  const HANDLE file = ToHandle(handle_);
  OVERLAPPED request = {};
  DWORD failed = LockFirstByte(file, mode, LOCKFILE_FAIL_IMMEDIATELY, &request);
  DWORD count;
  if (failed == ERROR_IO_PENDING) failed = Finish(file, TRUE, &request, &count);
  return failed == ERROR_LOCK_VIOLATION ? Attempt::kBusy : Judge(static_cast<int>(failed), error);
}

Attempt OpenFile::WaitForLock(Mode mode, Alarm* alarm, OsError* error) {
  if (!system_.waits) return Attempt::kCannotWait;
  const HANDLE file = ToHandle(handle_);
  OVERLAPPED request = {};
  request.hEvent = CreateEventW(nullptr, TRUE, FALSE, nullptr);
  if (request.hEvent == nullptr) return Attempt::kCannotWait;
  DWORD failed = LockFirstByte(file, mode, 0, &request);
  if (failed == ERROR_IO_PENDING) {
    const HANDLE both[] = {request.hEvent, ToHandle(alarm->timer())};
    const DWORD first = WaitForMultipleObjects(2, both, FALSE, INFINITE);
    if (first != WAIT_OBJECT_0) CancelIoEx(file, &request);
    // Until then the request is the system's. It may have been granted in the very moment of the
    // cancellation.
    DWORD count;
    failed = Finish(file, TRUE, &request, &count);
  }
  CloseHandle(request.hEvent);
  if (failed == ERROR_OPERATION_ABORTED) return Attempt::kBusy;
  if (failed == ERROR_LOCK_VIOLATION) return Attempt::kCannotWait;  // a server that lets none wait
  return Judge(static_cast<int>(failed), error);
}

Attempt OpenFile::Judge(int failed, OsError* error) const {
  if (failed == 0) return Attempt::kLocked;
  *error = Failure(Syscall::kFlock, static_cast<DWORD>(failed));
  return Attempt::kFailed;
}

OsError OpenFile::Unlock() {
  const HANDLE file = ToHandle(handle_);
  OVERLAPPED request = {};
  DWORD count;
  const DWORD failed = Finish(file, UnlockFileEx(file, 0, 1, 0, &request), &request, &count);
  return failed == 0 ? OsError{} : Failure(Syscall::kFlock, failed);
}

Named OpenFile::IsNamedBy(const char* path, OsError* error) const {
  Described found;
  const DWORD failed = DescribeNamed(WideText(path), &found);
  if (failed == 0) return found.status.identity == identity_ ? Named::kYes : Named::kNo;
  if (IsBeingRemoved(failed)) return Named::kNo;
  *error = Failure(Syscall::kStat, failed);
  const bool is_missing = error->number == kNoEntry || error->number == kNotADirectory;
  return is_missing ? Named::kNo : Named::kUnknown;
}

Named OpenFile::IsLockedUnder(const char* path, Mode, OsError* error) const {
  return IsNamedBy(path, error);
}

// Its lock is mandatory: nobody else reads what is locked exclusively. What can be read may be
// locked by readers, or not at all; and beyond the end of a file nothing is looked at.
Holding OpenFile::LookAtLock() const {
  char byte;
  OsError error;
  if (Read(&byte, 1, 0, &error) != -1) return Holding::kUnknown;
  return error.number == NumberOf(ERROR_LOCK_VIOLATION) ? Holding::kExclusive : Holding::kUnknown;
}

int OpenFile::Read(void* buffer, size_t size, int64_t position, OsError* error) const {
  const HANDLE file = ToHandle(handle_);
  OVERLAPPED request = {};
  request.Offset = static_cast<DWORD>(position);
  request.OffsetHigh = static_cast<DWORD>(position >> 32);
  const BOOL begun = ReadFile(file, buffer, ToSize(size), nullptr, &request);
  DWORD count = 0;
  const DWORD failed = Finish(file, begun, &request, &count);
  if (failed == 0) return static_cast<int>(count);
  if (failed == ERROR_HANDLE_EOF) return 0;
  *error = Failure(Syscall::kRead, failed);
  return -1;
}

int OpenFile::Write(const void* bytes, size_t size, OsError* error) const {
  const HANDLE file = ToHandle(handle_);
  OVERLAPPED request = {};
  const BOOL begun = WriteFile(file, bytes, ToSize(size), nullptr, &request);
  DWORD count = 0;
  DWORD failed = Finish(file, begun, &request, &count);
  // Otherwise it could stay in this machine's cache, and be lost with it.
  if (failed == 0 && system_.network && !FlushFileBuffers(file)) failed = GetLastError();
  if (failed == 0) return static_cast<int>(count);
  *error = Failure(Syscall::kWrite, failed);
  return -1;
}

int OpenFile::descriptor() const { return -1; }

bool OpenFile::DescriptorIsThis() const { return true; }

bool MechanismsExclude() { return true; }

}  // namespace nfl
