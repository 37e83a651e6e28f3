#include "wait_jobs.h"

#include <string.h>

namespace nfl {
namespace {

constexpr size_t kRecordLimit = 1024;  // as RECORD_LIMIT in lib/holder/holder-record.ts
constexpr int kMostMismatches = 100;

// False: it cannot be read.
bool ReadRecord(const LockFile& file, std::vector<char>* bytes) {
  const size_t before = bytes->size();
  bytes->resize(before + kRecordLimit);
  OsError ignored;  // a record is a hint
  const int count = file.Read(bytes->data() + before, kRecordLimit, 0, &ignored);
  bytes->resize(before + static_cast<size_t>(count > 0 ? count : 0));
  return count >= 0;
}

Outcome TryLock(Wait* wait, OsError* error) {
  if (!wait->opens) return wait->file.TryLock(wait->mode, error);
  for (int mismatches = 0; mismatches < kMostMismatches; ++mismatches) {
    if (!wait->file.is_open()) {
      LockFile file;
      const Outcome opened = file.Open(wait->opening, error);
      if (opened != Outcome::kBusy) return opened;
      wait->opening.create_parents = false;  // a directory that vanishes later stays away
      wait->waits->SetFile(wait, static_cast<LockFile&&>(file));
    }
    const Outcome outcome = wait->file.TryLock(wait->mode, error);
    if (outcome != Outcome::kReplaced) return outcome;
    wait->file.Close();
  }
  *error = IsReplacedAlways();
  return Outcome::kFailed;
}

Outcome Record(Wait* wait, OsError* error) {
  const int size = static_cast<int>(wait->bytes.size());
  const int count = wait->file.Write(wait->bytes.data(), wait->bytes.size(), error);
  return count == size ? Outcome::kGranted : Outcome::kUnrecorded;
}

// Device and inode as 64-bit numbers, and then the first bytes of the file.
Outcome Inspect(Wait* wait, OsError* error) {
  LockFile file;
  const Outcome opened = file.OpenToRead(wait->opening.path, error);
  if (opened != Outcome::kBusy) return opened;
  const uint64_t identity[] = {file.identity().device, file.identity().inode};
  wait->bytes.resize(sizeof identity);
  memcpy(wait->bytes.data(), identity, sizeof identity);
  ReadRecord(file, &wait->bytes);
  return Outcome::kGranted;
}

// In how many pieces it was read, as a 64-bit number, and then all of it.
Outcome ReadAll(Wait* wait, OsError* error) {
  constexpr size_t kPiece = size_t{64} << 10;
  LockFile file;
  const Outcome opened = file.OpenToRead(wait->opening.path, error);
  if (opened != Outcome::kBusy) return opened;
  uint64_t pieces = 0;
  std::vector<char>& bytes = wait->bytes;
  bytes.resize(sizeof pieces);
  for (int count;; ++pieces) {
    const size_t before = bytes.size();
    bytes.resize(before + kPiece);
    const int64_t position = static_cast<int64_t>(before - sizeof pieces);
    count = file.Read(bytes.data() + before, kPiece, position, error);
    bytes.resize(before + static_cast<size_t>(count > 0 ? count : 0));
    if (count == -1) return Outcome::kFailed;
    if (count == 0) break;
  }
  memcpy(bytes.data(), &pieces, sizeof pieces);
  return Outcome::kGranted;
}

}  // namespace

Outcome TryJob(Wait* wait, OsError* error) {
  switch (wait->job) {
    case Wait::kLock:
      return TryLock(wait, error);
    case Wait::kRecord:
      return Record(wait, error);
    case Wait::kVerify:
      return wait->file.Verify(error);
    case Wait::kInspect:
      return Inspect(wait, error);
    default:
      return ReadAll(wait, error);
  }
}

void EndJob(Wait* wait, Outcome outcome) {
  const bool held = outcome == Outcome::kGranted || outcome == Outcome::kUnrecorded;
  if (!held || !wait->HoldsFile()) {
    wait->file.Close();
  } else if (wait->reads_record) {
    // One that cannot be read is not an empty one, which may be written.
    wait->reads_record = ReadRecord(wait->file, &wait->bytes);
  }
}

void UndoJob(const Wait* wait, Outcome outcome, LockFile* file) {
  if (wait->job != Wait::kRecord || outcome != Outcome::kGranted || !file->is_open()) return;
  OsError ignored;
  file->Write(wait->undo.data(), wait->undo.size(), &ignored);
}

}  // namespace nfl
