// What one environment (the main thread or a worker thread) has open, and waits for. Each method
// that takes a call is a function of the addon, described here for lib/native.ts, its only caller,
// which is trusted for the number and the types of the arguments.
//
// A handle is a small integer that names an open file, from `open` until the file is closed: by
// `close`, or because a lock was not granted for any other reason than that it is held. While a
// wait runs, the file is the wait's (lock_waiter.h), and the handle is good for cancelWait,
// isSameLock and conflictsWithOwn only.
//
// Results are numbers: an Outcome, a handle, a count, or, when negative, a failure that names the
// system call and its errno. Nothing throws: an exception that is thrown while a worker is being
// terminated would end the process.

#ifndef NATIVE_FILE_LOCK_BOUNDARY_ENVIRONMENT_H_
#define NATIVE_FILE_LOCK_BOUNDARY_ENVIRONMENT_H_

#include <napi.h>

#include "../system/directory.h"
#include "call.h"
#include "notifier.h"
#include "open_files.h"

namespace nfl {

// Thread: the environment's own.
class Environment {
 public:
  explicit Environment(Napi::Env env);

  // `on_end` is called when the environment ends.
  void OnEnd(void (*on_end)(Environment*)) { on_end_ = on_end; }
  napi_value last_release() const { return last_release_.array(); }

  // --- Hot ---------------------------------------------------------------------------------------

  // open(path, permissions, mechanism, mustWrite, createParents): a handle.
  napi_value Open(const Call& call);
  // tryLock(handle, exclusive): the Outcome of one attempt. The file stays open if that is kBusy or
  // kGranted.
  napi_value TryLock(const Call& call);
  // confirm(handle): whether the path of a locked file still names it: kGranted; or kReplaced, and
  // then it is closed. To JavaScript, a lock that is handed on has been released.
  napi_value Confirm(const Call& call);
  // unlock(handle): 0 or a failure. The file stays open.
  napi_value Unlock(const Call& call);
  // close(handle): unlocks if need be, and closes, whatever unlocking says: 0 or its failure.
  napi_value Close(const Call& call);

  // --- Files -------------------------------------------------------------------------------------

  // isWritable(handle)
  Napi::Value IsWritable(const Napi::CallbackInfo& info);
  // isOnNetwork(handle): whether it is on a server.
  Napi::Value IsOnNetwork(const Napi::CallbackInfo& info);
  // lookAtLock(path): a Holding (system/open_file.h), or a failure. Opens the file for reading.
  Napi::Value LookAtLock(const Napi::CallbackInfo& info);
  // verify(handle): whether a locked file is still the one that its path names, and its descriptor
  // still this file: kGranted, kReplaced or a failure. Changes nothing.
  Napi::Value Verify(const Napi::CallbackInfo& info);
  // descriptor(handle): the file's descriptor, which the caller may use; see LockFile::Expose.
  Napi::Value Descriptor(const Napi::CallbackInfo& info);
  // read(handle, buffer, position): how many bytes were read, or a failure.
  Napi::Value Read(const Napi::CallbackInfo& info);
  // write(handle, buffer, length): how many bytes were written at the file's start, or a failure.
  Napi::Value Write(const Napi::CallbackInfo& info);

  // --- Clean-up ----------------------------------------------------------------------------------

  // openDirectory(path): a handle of its own kind, or a failure.
  Napi::Value OpenDirectory(const Napi::CallbackInfo& info);
  Napi::Value CloseDirectory(const Napi::CallbackInfo& info);
  // removeStale(directory, subdirectory, name, maxAge, dryRun, buffer): -1 when the file was left
  // alone, how many of its first bytes are in the buffer when it was removed, or a failure. See
  // stale_lock.h.
  Napi::Value RemoveStale(const Napi::CallbackInfo& info);

  // --- Waiting -----------------------------------------------------------------------------------

  // startWait(handle, exclusive, milliseconds): starts a wait for the file, which ends in
  // onWaitEnded or cancelWait. False: no thread could be started, not even one to poll; then
  // pollWaits is to be called every 10 ms.
  Napi::Value StartWait(const Napi::CallbackInfo& info);
  // reserve(): a handle without a file, for one of those that follow. They are what can block, most
  // of it where the file is on a server, done by a thread (wait_jobs.h); they return and end as
  // startWait does.
  Napi::Value Reserve(const Napi::CallbackInfo& info);
  // startOpening(handle, exclusive, milliseconds, readsRecord, path, permissions, mechanism,
  // mustWrite, createParents): opens the file unless it is open, tries at least once, and waits.
  Napi::Value StartOpening(const Napi::CallbackInfo& info);
  // startRecord(handle, bytes, undo): writes into a locked file. Ends as kGranted or kUnrecorded;
  // if it is cancelled, `undo` is written.
  Napi::Value StartRecord(const Napi::CallbackInfo& info);
  // startVerify(handle, locked): as verify(locked).
  Napi::Value StartVerify(const Napi::CallbackInfo& info);
  // startInspect(handle, path): kGranted, with device and inode, 64 bits each, and the first bytes.
  Napi::Value StartInspect(const Napi::CallbackInfo& info);
  // startReadAll(handle, path): kGranted, with the number of pieces in which the file was read, 64
  // bits, and all of it. For a file of the kernel's, which takes its time.
  Napi::Value StartReadAll(const Napi::CallbackInfo& info);
  // cancelWait(handle): kCancelled, or how the wait had ended before. The file stays open if that
  // is kGranted.
  Napi::Value CancelWait(const Napi::CallbackInfo& info);
  // pollWaits(): whether to call it again.
  Napi::Value PollWaits(const Napi::CallbackInfo& info);
  // onWaitEnded(callback): callback(handle, outcome, content) is called for each wait that ends by
  // itself, and returns true. The file stays open if it holds the lock. To be called once, before
  // the first wait.
  Napi::Value OnWaitEnded(const Napi::CallbackInfo& info);
  // keepAlive(boolean): whether the event loop stays alive for waits that are pending.
  Napi::Value KeepAlive(const Napi::CallbackInfo& info);
  // waitHere(handle, exclusive, milliseconds): as tryLock, blocking the thread.
  Napi::Value WaitHere(const Napi::CallbackInfo& info);
  // conflictsWithOwn(handle, exclusive): whether a lock of this environment conflicts with locking
  // that file.
  Napi::Value ConflictsWithOwn(const Napi::CallbackInfo& info);
  // isSameLock(wait, handle): whether a wait is for the same file as the one that is open by
  // `handle`.
  Napi::Value IsSameLock(const Napi::CallbackInfo& info);

  // --- Processes ---------------------------------------------------------------------------------

  // lookAtProcess(pid): when it was started, as a BigInt, in a unit of the system's own; -1n: it
  // has ended, -2n: that cannot be told. See system/process.h, also for the next two, which are
  // strings, empty where that cannot be told.
  Napi::Value LookAtProcess(const Napi::CallbackInfo& info);
  Napi::Value CommandOfProcess(const Napi::CallbackInfo& info);
  Napi::Value BootIdentity(const Napi::CallbackInfo& info);

  // --- Time --------------------------------------------------------------------------------------

  // wallClock(): microseconds since 1970, whole. Date.now() knows milliseconds only.
  Napi::Value WallClock(const Napi::CallbackInfo& info);
  // yieldLock(since, milliseconds): sleeps for a moment unless so long has passed since a time on
  // lastRelease's clock.
  Napi::Value YieldLock(const Napi::CallbackInfo& info);

 private:
  ~Environment();

  static void End(void* environment);
  static void EndAsync(napi_async_cleanup_hook_handle handle, void* environment);
  static void Notify(void* environment);

  OpenFiles::Entry& FileOf(const Napi::CallbackInfo& info, size_t index);
  Wait* NewWait(const Napi::CallbackInfo& info);
  Napi::Value StartReading(const Napi::CallbackInfo& info, Wait::Job job);
  int Settle(int handle, Outcome outcome, const OsError& error);
  void NoteRelease();
  void EndWaits();
  void DeliverEnded(Napi::Env env);
  bool Deliver(Napi::Env env, const Wait& wait);

  OpenFiles files_;
  std::vector<Directory*> directories_;  // by their handles; null where one was closed
  Waits* waits_;
  Alarm alarm_;  // of this environment's thread, for WaitHere
  SharedNumber last_release_;
  Notifier* notifier_ = nullptr;
  napi_async_cleanup_hook_handle async_end_ = nullptr;
  napi_ref on_wait_ended_ = nullptr;
  void (*on_end_)(Environment*) = nullptr;
};

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_BOUNDARY_ENVIRONMENT_H_
