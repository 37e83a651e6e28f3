#include "environment.h"

#include <errno.h>

#include "../stale_lock.h"
#include "../waiter_threads.h"

namespace nfl {
namespace {

constexpr int kNotAFile = -1;
constexpr int kLeftAlone = -1;
constexpr size_t kLongestPath = 4096;  // PATH_MAX
constexpr size_t kLongestName = 256;   // NAME_MAX, and a NUL
constexpr int kErrnoLimit = 4096;      // Linux keeps errno below this; see also lib/native.ts
constexpr double kLongest = 1e12;      // milliseconds: "for ever", and no overflow

int FailureNumber(const OsError& error) {
  return -(static_cast<int>(error.call) * kErrnoLimit + error.number);
}

int ResultNumber(Outcome outcome, const OsError& error) {
  return outcome == Outcome::kFailed ? FailureNumber(error) : static_cast<int>(outcome);
}

int64_t ToNanoseconds(double milliseconds) {
  return milliseconds < kLongest ? static_cast<int64_t>(milliseconds * 1e6) : kForever;
}

int64_t DeadlineAfter(double milliseconds) {
  if (!(milliseconds < kLongest)) return kForever;
  return MonotonicNanoseconds() + ToNanoseconds(milliseconds) + 1;
}

double NowInMilliseconds() { return static_cast<double>(MonotonicNanoseconds()) * 1e-6; }
// Never inlined: with what node-addon-api does on errors, each is some hundred bytes.
using Info = Napi::CallbackInfo;
[[gnu::noinline]] double Double(const Info& info, size_t index) {
  return info[index].As<Napi::Number>();
}
[[gnu::noinline]] bool Bool(const Info& info, size_t index) {
  return info[index].As<Napi::Boolean>();
}
[[gnu::noinline]] Napi::Value Result(const Info& info, int number) {
  return Napi::Number::New(info.Env(), number);
}
int Int(const Info& info, size_t index) { return static_cast<int>(Double(info, index)); }
Mode ToMode(bool exclusive) { return exclusive ? Mode::kExclusive : Mode::kShared; }

}  // namespace

Environment::Environment(Napi::Env env)
    : waits_(new Waits(&Environment::Notify, this)), last_release_(env) {
  napi_add_env_cleanup_hook(env, &Environment::End, this);
}

OpenFiles::Entry& Environment::FileOf(const Napi::CallbackInfo& info, size_t index) {
  return files_[Int(info, index)];
}
int Environment::Settle(int handle, Outcome outcome, const OsError& error) {
  if (outcome != Outcome::kBusy && outcome != Outcome::kGranted) files_.Remove(handle);
  return ResultNumber(outcome, error);
}

void Environment::NoteRelease() { last_release_.Set(NowInMilliseconds()); }

napi_value Environment::Open(const Call& call) {
  // With room to see that it is longer: it is cut before a character of up to 4 bytes.
  char path[kLongestPath + 4];
  OsError error = {Syscall::kOpen, ENAMETOOLONG};
  LockFile file;
  LockFile::OpenResult result = LockFile::OpenResult::kFailed;
  if (call.Text(0, path, sizeof path) < kLongestPath) {
    result = file.Open(path, static_cast<unsigned>(call.Int(1)),
                       static_cast<Mechanism>(call.Int(2)), call.Bool(3), &error);
  }
  switch (result) {
    case LockFile::OpenResult::kOpened:
      return call.Number(files_.Add(static_cast<LockFile&&>(file)));
    case LockFile::OpenResult::kNotAFile:
      return call.Number(kNotAFile);
    default:
      return call.Number(FailureNumber(error));
  }
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
  return Napi::Boolean::New(info.Env(), FileOf(info, 0).file.writable());
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
  const Napi::Buffer<char> buffer = info[1].As<Napi::Buffer<char>>();
  OsError error;
  const int count = FileOf(info, 0).file.Read(buffer.Data(), buffer.Length(),
                                              static_cast<int64_t>(Double(info, 2)), &error);
  return Result(info, count < 0 ? FailureNumber(error) : count);
}

Napi::Value Environment::Write(const Info& info) {
  const Napi::Buffer<char> buffer = info[1].As<Napi::Buffer<char>>();
  OsError error;
  const int count =
      FileOf(info, 0).file.Write(buffer.Data(), static_cast<size_t>(Int(info, 2)), &error);
  return Result(info, count < 0 ? FailureNumber(error) : count);
}

Napi::Value Environment::RemoveStale(const Info& info) {
  char subdirectory[kLongestName];
  char name[kLongestName];
  napi_get_value_string_utf8(info.Env(), info[1], subdirectory, sizeof subdirectory, nullptr);
  napi_get_value_string_utf8(info.Env(), info[2], name, sizeof name, nullptr);
  const Napi::Buffer<char> buffer = info[5].As<Napi::Buffer<char>>();
  const StaleLock result =
      RemoveStaleLock(Int(info, 0), subdirectory, name, ToNanoseconds(Double(info, 3)),
                      Bool(info, 4), buffer.Data(), buffer.Length());
  if (result.fate == StaleLock::Fate::kLeft) return Result(info, kLeftAlone);
  return Result(info, result.fate == StaleLock::Fate::kRemoved ? result.content_length
                                                               : FailureNumber(result.error));
}

// --- Waiting ------------------------------------------------------------------------------------

Napi::Value Environment::StartWait(const Info& info) {
  OpenFiles::Entry& entry = FileOf(info, 0);
  Wait* wait = new Wait;
  wait->handle = Int(info, 0);
  wait->mode = ToMode(Bool(info, 1));
  wait->deadline = DeadlineAfter(Double(info, 2));
  wait->file = static_cast<LockFile&&>(entry.file);
  entry.wait = wait;
  return Napi::Boolean::New(info.Env(), waits_->Start(wait));
}

Napi::Value Environment::CancelWait(const Info& info) {
  const int handle = Int(info, 0);
  OpenFiles::Entry& entry = files_[handle];
  OsError error;
  const Outcome outcome = waits_->Cancel(entry.wait, &entry.file, &error);
  entry.wait = nullptr;
  return Result(info, Settle(handle, outcome, error));
}

Napi::Value Environment::PollWaits(const Info& info) {
  return Napi::Boolean::New(info.Env(), PollOnce());
}

Napi::Value Environment::OnWaitEnded(const Info& info) {
  on_wait_ended_ = Napi::Persistent(info[0].As<Napi::Function>());
  on_wait_ended_.SuppressDestruct();  // kept as long as the runtime's environment lives
  notifier_ = new Notifier(
      info.Env(),
      [](Napi::Env env, void* self) { static_cast<Environment*>(self)->DeliverEnded(env); }, this);
  // Hooks run last in, first out, and no thread may call a thread-safe function after its own hook.
  // So ours is taken out and added again, to run before that.
  napi_remove_env_cleanup_hook(info.Env(), &Environment::End, this);
  if (notifier_->ClosesLater()) {
    napi_add_async_cleanup_hook(info.Env(), &Environment::EndAsync, this, &async_end_);
  } else {
    napi_add_env_cleanup_hook(info.Env(), &Environment::End, this);
  }
  return info.Env().Undefined();
}

Napi::Value Environment::KeepAlive(const Info& info) {
  Bool(info, 0) ? notifier_->Ref() : notifier_->Unref();
  return info.Env().Undefined();
}

Napi::Value Environment::WaitHere(const Info& info) {
  const int handle = Int(info, 0);
  OsError error;
  const Outcome outcome = WaitOnThisThread(&files_[handle].file, ToMode(Bool(info, 1)),
                                           DeadlineAfter(Double(info, 2)), &alarm_, &error);
  return Result(info, Settle(handle, outcome, error));
}

Napi::Value Environment::ConflictsWithOwn(const Info& info) {
  const LockFile& file = FileOf(info, 0).file;
  const Mode mode = ToMode(Bool(info, 1));
  bool conflicts = false;
  for (const OpenFiles::Entry& entry : files_) {
    conflicts = conflicts || entry.file.ConflictsWith(file, mode);
  }
  return Napi::Boolean::New(info.Env(), conflicts);
}

Napi::Value Environment::IsSameLock(const Info& info) {
  // The thread that waits does not change what is read here.
  const LockFile& awaited = FileOf(info, 0).wait->file;
  return Napi::Boolean::New(info.Env(), awaited.IsSameLockAs(FileOf(info, 1).file));
}

// On the thread that ran a wait, under the mutex of the waits.
void Environment::Notify(void* environment) {
  static_cast<Environment*>(environment)->notifier_->Notify();
}

void Environment::DeliverEnded(Napi::Env env) {
  while (Wait* wait = waits_->TakeEnded()) {
    const int handle = wait->handle;
    OpenFiles::Entry& entry = files_[handle];
    entry.wait = nullptr;
    entry.file = static_cast<LockFile&&>(wait->file);
    const int result = ResultNumber(wait->outcome, wait->error);
    if (wait->outcome != Outcome::kGranted) files_.Remove(handle);
    delete wait;
    const Napi::HandleScope scope(env);
    on_wait_ended_.Call({Napi::Number::New(env, handle), Napi::Number::New(env, result)});
    // The callback settles promises and should throw nothing. If it does, that is an uncaught
    // exception, and the other waits are delivered all the same.
    if (!env.IsExceptionPending()) continue;
    napi_value thrown;
    napi_get_and_clear_last_exception(env, &thrown);
    napi_fatal_exception(env, thrown);
  }
}

// --- The end ------------------------------------------------------------------------------------

// Afterwards every wait is cancelled (its thread frees what it may still be granted), and no thread
// calls into the environment. Nothing is joined: a thread may be in an uninterruptible sleep.
void Environment::EndWaits() {
  for (OpenFiles::Entry& entry : files_) {
    if (entry.wait != nullptr) waits_->Abandon(entry.wait);
  }
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
  return Napi::Number::New(info.Env(), static_cast<double>(WallClockNanoseconds() / 1000));
}

Napi::Value Environment::YieldLock(const Info& info) {
  if (NowInMilliseconds() - Double(info, 0) < Double(info, 1)) SleepNanoseconds(1);
  return info.Env().Undefined();
}

}  // namespace nfl
