#include "stale_lock.h"

#include "race_point.h"
#include "system/clock.h"

namespace nfl {
namespace {

// What vanished meanwhile, or is no file, is left alone; that is no failure.
StaleLock Failed(const OsError& error) {
  if (IsGone(error)) return {};
  return {StaleLock::Fate::kFailed, error, 0};
}

bool IsStale(const FileStatus& status, int64_t max_age) {
  return status.is_regular && WallClockNanoseconds() - status.modified > max_age;
}

StaleLock RemoveIn(const Directory& directory, const char* name, int64_t max_age, bool dry_run,
                   void* content, size_t content_size) {
  RemovableFile file(directory, name);
  FileStatus status;
  OsError error = file.Look(&status);
  if (error) return Failed(error);
  if (!IsStale(status, max_age)) return {};
  error = file.Open();
  if (error) return Failed(error);
  RacePoint();  // it is removed, made again and locked
  const Attempt attempt = file.TryLock(&error);
  if (attempt == Attempt::kFailed) return Failed(error);
  if (attempt != Attempt::kLocked) return {};
  if (!file.IsStillNamed(&status) || !IsStale(status, max_age)) return {};
  const int length = file.Read(content, content_size);
  RacePoint();  // the name is given to another file
  if (!dry_run) error = file.Remove();
  if (error) return Failed(error);
  return {StaleLock::Fate::kRemoved, {}, length};
}

}  // namespace

StaleLock RemoveStaleLock(const Directory& directory, const char* subdirectory, const char* name,
                          int64_t max_age, bool dry_run, void* content, size_t content_size) {
  if (*subdirectory == '\0') {
    return RemoveIn(directory, name, max_age, dry_run, content, content_size);
  }
  Directory opened;
  const OsError error = opened.OpenIn(directory, subdirectory);
  if (error) return Failed(error);
  return RemoveIn(opened, name, max_age, dry_run, content, content_size);
}

}  // namespace nfl
