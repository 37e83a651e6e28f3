#include "environment.h"

#include "../race_point.h"
#include "arguments.h"

namespace nfl {
namespace {

double NowInMilliseconds() { return static_cast<double>(MonotonicNanoseconds()) * 1e-6; }

}  // namespace

Environment::Environment(Napi::Env env)
    : waits_(new Waits(&Environment::Notify, this)), last_release_(env) {
  napi_add_env_cleanup_hook(env, &Environment::End, this);
}

Environment::~Environment() {
  for (Directory* directory : directories_) delete directory;
}

OpenFiles::Entry& Environment::FileOf(const Napi::CallbackInfo& info, size_t index) {
  return files_[Int(info, index)];
}
int Environment::Settle(int handle, Outcome outcome, const OsError& error) {
  if (outcome != Outcome::kBusy && outcome != Outcome::kGranted &&
      outcome != Outcome::kUnrecorded) {
    files_.Remove(handle);
  }
  return ResultNumber(outcome, error);
}

void Environment::NoteRelease() { last_release_.Set(NowInMilliseconds()); }

napi_value Environment::Open(const Call& call) {
  PathBuffer path;
  OsError error = PathIsTooLong();
  LockFile file;
  Outcome outcome = Outcome::kFailed;
  if (call.Text(0, path.text(), PathBuffer::kSize) < kLongestPath) {
    const Opening opening = {path.text(), static_cast<unsigned>(call.Int(1)),
                             static_cast<Mechanism>(call.Int(2)), call.Bool(3), call.Bool(4)};
    outcome = file.Open(opening, &error);
  }
  return call.Number(outcome == Outcome::kBusy ? files_.Add(static_cast<LockFile&&>(file))
                                               : ResultNumber(outcome, error));
}

napi_value Environment::TryLock(const Call& call) {
  const int handle = call.Int(0);
  OsError error;
  const Outcome outcome = files_[handle].file.TryLock(ToMode(call.Bool(1)), &error);
  return call.Number(Settle(handle, outcome, error));
}

napi_value Environment::Confirm(const Call& call) {
  const int handle = call.Int(0);
  OsError error;
  Outcome outcome = files_[handle].file.CompareWithPath(&error);
  NoteRelease();
  // A failed check is no confirmation; the next attempt reports the error.
  if (outcome == Outcome::kFailed) outcome = Outcome::kReplaced;
  return call.Number(Settle(handle, outcome, error));
}

napi_value Environment::Unlock(const Call& call) {
  const OsError error = files_[call.Int(0)].file.Unlock();
  NoteRelease();
  return call.Number(error ? FailureNumber(error) : 0);
}

napi_value Environment::Close(const Call& call) {
  const napi_value result = Unlock(call);
  files_.Remove(call.Int(0));
  return result;
}

// --- Files --------------------------------------------------------------------------------------

Napi::Value Environment::IsWritable(const Info& info) {
  return Result(info, FileOf(info, 0).file.writable());
}

Napi::Value Environment::IsOnNetwork(const Info& info) {
  return Result(info, FileOf(info, 0).file.on_network());
}

Napi::Value Environment::LookAtLock(const Info& info) {
  const CopiedPath path(info, 0);
  LockFile file;
  OsError error;
  const Outcome outcome = file.OpenToRead(path.text(), &error);
  return Result(info, outcome == Outcome::kBusy ? static_cast<int>(file.LookAtLock())
                                                : ResultNumber(outcome, error));
}

Napi::Value Environment::Verify(const Info& info) {
  OsError error;
  const Outcome outcome = FileOf(info, 0).file.Verify(&error);
  return Result(info, ResultNumber(outcome, error));
}

Napi::Value Environment::Descriptor(const Info& info) {
  return Result(info, FileOf(info, 0).file.Expose());
}

Napi::Value Environment::Read(const Info& info) {
  const Bytes buffer = BytesOf(info, 1);
  OsError error;
  const int count = FileOf(info, 0).file.Read(buffer.data, buffer.size,
                                              static_cast<int64_t>(Double(info, 2)), &error);
  return Result(info, count < 0 ? FailureNumber(error) : count);
}

Napi::Value Environment::Write(const Info& info) {
  OsError error;
  const int count =
      FileOf(info, 0).file.Write(BytesOf(info, 1).data, static_cast<size_t>(Int(info, 2)), &error);
  return Result(info, count < 0 ? FailureNumber(error) : count);
}

// --- The end ------------------------------------------------------------------------------------

// Afterwards every wait is cancelled (its thread frees what it may still be granted), and no thread
// calls into the environment. Nothing is joined: a thread may be in an uninterruptible sleep.
void Environment::EndWaits() {
  for (OpenFiles::Entry& entry : files_) {
    if (entry.wait != nullptr) waits_->Abandon(entry.wait);
  }
  RacePoint();  // threads still run its waits
  waits_->Release();
  alarm_.Destroy();
  if (on_end_ != nullptr) on_end_(this);
}

void Environment::End(void* argument) {
  Environment* environment = static_cast<Environment*>(argument);
  environment->EndWaits();
  delete environment;  // and with it the open files: every lock is free
}

void Environment::EndAsync(napi_async_cleanup_hook_handle handle, void* argument) {
  Environment* environment = static_cast<Environment*>(argument);
  environment->EndWaits();
  Notifier* notifier = environment->notifier_;
  delete environment;
  notifier->Close(
      [](void* hook) {
        napi_remove_async_cleanup_hook(static_cast<napi_async_cleanup_hook_handle>(hook));
      },
      handle);
}

Napi::Value Environment::WallClock(const Info& info) {
  const int64_t microseconds = WallClockNanoseconds() / 1000;
  return Napi::Number::New(info.Env(), static_cast<double>(microseconds));
}

Napi::Value Environment::YieldLock(const Info& info) {
  if (NowInMilliseconds() - Double(info, 0) < Double(info, 1)) SleepNanoseconds(1);
  return info.Env().Undefined();
}

}  // namespace nfl
