// The functions of an Environment that run on threads, and their ends.

#include "../wait_jobs.h"
#include "../waiter_threads.h"
#include "arguments.h"
#include "environment.h"

namespace nfl {
namespace {

std::vector<char> CopyBytes(const Info& info, size_t index) {
  const Bytes bytes = BytesOf(info, index);
  return std::vector<char>(bytes.data, bytes.data + bytes.size);
}

}  // namespace

Napi::Value Environment::Reserve(const Info& info) { return Result(info, files_.Add({})); }

// Of the file that is the wait's from now on.
Wait* Environment::NewWait(const Info& info) {
  OpenFiles::Entry& entry = FileOf(info, 0);
  Wait* wait = new Wait;
  wait->handle = Int(info, 0);
  wait->file = static_cast<LockFile&&>(entry.file);
  entry.wait = wait;
  return wait;
}

Napi::Value Environment::StartWait(const Info& info) {
  Wait* wait = NewWait(info);
  wait->mode = ToMode(Bool(info, 1));
  wait->deadline = DeadlineAfter(Double(info, 2));
  return Result(info, waits_->Start(wait));
}

Napi::Value Environment::StartOpening(const Info& info) {
  Wait* wait = NewWait(info);
  wait->mode = ToMode(Bool(info, 1));
  wait->deadline = DeadlineAfter(Double(info, 2));
  wait->reads_record = Bool(info, 3);
  wait->opens = true;
  wait->opening = {CopiedPath(info, 4).Take(), static_cast<unsigned>(Int(info, 5)),
                   static_cast<Mechanism>(Int(info, 6)), Bool(info, 7), Bool(info, 8)};
  return Result(info, waits_->Start(wait));
}

Napi::Value Environment::StartRecord(const Info& info) {
  Wait* wait = NewWait(info);
  wait->job = Wait::kRecord;
  wait->bytes = CopyBytes(info, 1);
  wait->undo = CopyBytes(info, 2);
  return Result(info, waits_->Start(wait));
}

Napi::Value Environment::StartVerify(const Info& info) {
  LockFile copy = FileOf(info, 1).file.Duplicate();
  Wait* wait = NewWait(info);
  wait->job = Wait::kVerify;
  wait->file = static_cast<LockFile&&>(copy);
  return Result(info, waits_->Start(wait));
}

Napi::Value Environment::StartInspect(const Info& info) {
  return StartReading(info, Wait::kInspect);
}
Napi::Value Environment::StartReadAll(const Info& info) {
  return StartReading(info, Wait::kReadAll);
}

Napi::Value Environment::StartReading(const Info& info, Wait::Job job) {
  Wait* wait = NewWait(info);
  wait->job = job;
  wait->opening.path = CopiedPath(info, 1).Take();
  return Result(info, waits_->Start(wait));
}

Napi::Value Environment::CancelWait(const Info& info) {
  const int handle = Int(info, 0);
  OpenFiles::Entry& entry = files_[handle];
  OsError error;
  const Outcome outcome = waits_->Cancel(entry.wait, &entry.file, &error);
  entry.wait = nullptr;
  return Result(info, Settle(handle, outcome, error));
}

Napi::Value Environment::PollWaits(const Info& info) { return Result(info, PollOnce()); }

Napi::Value Environment::OnWaitEnded(const Info& info) {
  // Kept as long as the runtime's environment lives.
  napi_create_reference(info.Env(), info[0], 1, &on_wait_ended_);
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
  return Result(info, conflicts);
}

Napi::Value Environment::IsSameLock(const Info& info) {
  return Result(info, waits_->IsSameLock(FileOf(info, 0).wait, FileOf(info, 1).file));
}

// On the thread that ran a wait, under the mutex of the waits.
void Environment::Notify(void* environment) {
  static_cast<Environment*>(environment)->notifier_->Notify();
}

// Whether JavaScript has taken it. It has not where the environment ends meanwhile: then none of it
// runs any more.
bool Environment::Deliver(Napi::Env env, const Wait& wait) {
  napi_value arguments[3] = {};
  napi_create_int32(env, wait.handle, &arguments[0]);
  napi_create_int32(env, ResultNumber(wait.outcome, wait.error), &arguments[1]);
  napi_get_undefined(env, &arguments[2]);
  if (wait.reads_record || wait.job >= Wait::kInspect) {
    napi_create_buffer_copy(env, wait.bytes.size(), wait.bytes.data(), nullptr, &arguments[2]);
  }
  napi_value taken = nullptr;
  napi_value callback = nullptr;
  napi_get_reference_value(env, on_wait_ended_, &callback);
  napi_call_function(env, env.Undefined(), callback, 3, arguments, &taken);
  bool was_taken = false;
  napi_get_value_bool(env, taken, &was_taken);
  // The callback settles promises and should throw nothing. If it does, that is an uncaught
  // exception, and the other waits are delivered all the same.
  if (env.IsExceptionPending()) {
    napi_value thrown;
    napi_get_and_clear_last_exception(env, &thrown);
    napi_fatal_exception(env, thrown);
  }
  return was_taken;
}

void Environment::DeliverEnded(Napi::Env env) {
  while (Wait* wait = waits_->TakeEnded()) {
    OpenFiles::Entry& entry = files_[wait->handle];
    entry.wait = nullptr;
    entry.file = static_cast<LockFile&&>(wait->file);
    if (!entry.file.is_open()) files_.Remove(wait->handle);  // it holds the lock, or is closed
    const Napi::HandleScope scope(env);
    const FileIdentity identity = entry.file.identity();
    if (!Deliver(env, *wait)) {
      // As if nobody had ever had the grant; its lock is freed with the environment.
      LockFile& file = files_[wait->handle].file;
      if (file.identity() == identity) UndoJob(wait, wait->outcome, &file);
    }
    delete wait;
  }
}

}  // namespace nfl
