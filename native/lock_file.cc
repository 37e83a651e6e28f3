#include "lock_file.h"

#include <stdlib.h>
#include <string.h>

#include "race_point.h"
#include "system/directory.h"

namespace nfl {
namespace {

// Each follows a change by another process, in the middle of an opening.
constexpr int kMostTries = 100;

char* Copy(const char* text) {
  const size_t size = strlen(text) + 1;
  char* copy = static_cast<char*>(malloc(size));
  if (copy == nullptr) abort();  // as operator new does
  memcpy(copy, text, size);
  return copy;
}

Outcome ToOutcome(Named named) {
  return named == Named::kYes  ? Outcome::kGranted
         : named == Named::kNo ? Outcome::kReplaced
                               : Outcome::kFailed;
}

Outcome ToOutcome(Opened opened) {
  return opened == Opened::kOpened     ? Outcome::kBusy
         : opened == Opened::kNotAFile ? Outcome::kNotAFile
                                       : Outcome::kFailed;
}

}  // namespace

LockFile& LockFile::operator=(LockFile&& other) noexcept {
  if (this == &other) return *this;
  Close();
  file_ = static_cast<OpenFile&&>(other.file_);
  path_ = other.path_;
  mode_ = other.mode_;
  held_ = other.held_;
  exposed_ = other.exposed_;
  other.path_ = nullptr;
  other.held_ = false;
  return *this;
}

Outcome LockFile::Open(const Opening& opening, OsError* error) {
  for (int tries = 1;; ++tries) {
    const Opened opened = file_.Open(opening, error);
    if (opened == Opened::kOpened) path_ = Copy(opening.path);
    const bool is_to_be_made = opened == Opened::kNoParent && opening.create_parents;
    if ((opened != Opened::kReplaced && !is_to_be_made) || tries == kMostTries) {
      return ToOutcome(opened);
    }
    if (is_to_be_made && MakeParent(opening.path, error) == Made::kFailed) return Outcome::kFailed;
  }
}

Outcome LockFile::OpenToRead(const char* path, OsError* error) {
  const Opened opened = file_.OpenToRead(path, error);
  if (opened == Opened::kOpened) path_ = Copy(path);
  return ToOutcome(opened);
}

Outcome LockFile::TryLock(Mode mode, OsError* error) {
  RacePoint();  // the last look at the wait is over
  return Settle(file_.TryLock(mode, error), mode, error);
}

Outcome LockFile::LockUnlessInterrupted(Mode mode, Alarm* alarm, OsError* error) {
  RacePoint();  // the last look at the wait is over
  return Settle(file_.WaitForLock(mode, alarm, error), mode, error);
}

Outcome LockFile::Settle(Attempt attempt, Mode mode, OsError* error) {
  switch (attempt) {
    case Attempt::kLocked: {
      held_ = true;
      mode_ = mode;
      RacePoint();  // the file is replaced
      const Outcome outcome = CompareWithPath(error);
      if (outcome != Outcome::kGranted) Unlock();
      return outcome;
    }
    case Attempt::kBusy:
      return Outcome::kBusy;
    case Attempt::kReplaced:
      return Outcome::kReplaced;
    case Attempt::kCannotWait:
      return Outcome::kCannotWait;
    default:
      return Outcome::kFailed;
  }
}

Outcome LockFile::CompareWithPath(OsError* error) const {
  return ToOutcome(file_.IsNamedBy(path_, error));
}

Outcome LockFile::Verify(OsError* error) const {
  if (exposed_ && !file_.DescriptorIsThis()) return Outcome::kReplaced;
  return ToOutcome(file_.IsLockedUnder(path_, mode_, error));
}

LockFile LockFile::Duplicate() const {
  LockFile copy;
  if (exposed_ && !file_.DescriptorIsThis()) return copy;
  if (!file_.DuplicateTo(&copy.file_)) return copy;
  copy.path_ = Copy(path_);
  copy.mode_ = mode_;
  return copy;
}

int LockFile::Read(void* buffer, size_t size, int64_t position, OsError* error) const {
  return file_.Read(buffer, size, position, error);
}

int LockFile::Write(const void* bytes, size_t size, OsError* error) const {
  return file_.Write(bytes, size, error);
}

OsError LockFile::Unlock() {
  if (exposed_ && file_.is_open() && !file_.DescriptorIsThis()) {
    file_.Forget();
    return IsClosedElsewhere();
  }
  if (!held_) return {};
  held_ = false;
  RacePoint();  // it is still locked
  return file_.Unlock();
}

void LockFile::Close() {
  if (file_.is_open()) Unlock();
  RacePoint();  // others have the lock, and this still has the file
  file_.Close();
  held_ = false;
  exposed_ = false;
  free(path_);
  path_ = nullptr;
}

}  // namespace nfl
