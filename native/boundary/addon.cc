// The addon: its functions, by name, and one Environment for each environment of the runtime.

#include <napi.h>

#include "../libuv.h"
#include "call.h"
#include "environment.h"

namespace nfl {
namespace {

using HotMethod = napi_value (Environment::*)(const Call&);
using Method = Napi::Value (Environment::*)(const Napi::CallbackInfo&);

template <HotMethod method>
napi_value CallHot(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  return (static_cast<Environment*>(call.data())->*method)(call);
}

template <Method method>
napi_value CallMethod(napi_env env, napi_callback_info raw) {
  const Napi::CallbackInfo info(env, raw);
  return (static_cast<Environment*>(info.Data())->*method)(info);
}

constexpr struct {
  const char* name;
  napi_callback call;
} kFunctions[] = {
    {"open", CallHot<&Environment::Open>},
    {"tryLock", CallHot<&Environment::TryLock>},
    {"confirm", CallHot<&Environment::Confirm>},
    {"unlock", CallHot<&Environment::Unlock>},
    {"close", CallHot<&Environment::Close>},
    {"isWritable", CallMethod<&Environment::IsWritable>},
    {"isOnNetwork", CallMethod<&Environment::IsOnNetwork>},
    {"lookAtLock", CallMethod<&Environment::LookAtLock>},
    {"verify", CallMethod<&Environment::Verify>},
    {"descriptor", CallMethod<&Environment::Descriptor>},
    {"read", CallMethod<&Environment::Read>},
    {"write", CallMethod<&Environment::Write>},
    {"openDirectory", CallMethod<&Environment::OpenDirectory>},
    {"closeDirectory", CallMethod<&Environment::CloseDirectory>},
    {"removeStale", CallMethod<&Environment::RemoveStale>},
    {"startWait", CallMethod<&Environment::StartWait>},
    {"reserve", CallMethod<&Environment::Reserve>},
    {"startOpening", CallMethod<&Environment::StartOpening>},
    {"startRecord", CallMethod<&Environment::StartRecord>},
    {"startVerify", CallMethod<&Environment::StartVerify>},
    {"startInspect", CallMethod<&Environment::StartInspect>},
    {"startReadAll", CallMethod<&Environment::StartReadAll>},
    {"cancelWait", CallMethod<&Environment::CancelWait>},
    {"pollWaits", CallMethod<&Environment::PollWaits>},
    {"onWaitEnded", CallMethod<&Environment::OnWaitEnded>},
    {"keepAlive", CallMethod<&Environment::KeepAlive>},
    {"waitHere", CallMethod<&Environment::WaitHere>},
    {"conflictsWithOwn", CallMethod<&Environment::ConflictsWithOwn>},
    {"isSameLock", CallMethod<&Environment::IsSameLock>},
    {"lookAtProcess", CallMethod<&Environment::LookAtProcess>},
    {"commandOfProcess", CallMethod<&Environment::CommandOfProcess>},
    {"bootIdentity", CallMethod<&Environment::BootIdentity>},
    {"wallClock", CallMethod<&Environment::WallClock>},
    {"yieldLock", CallMethod<&Environment::YieldLock>},
};

// The environments of the process. When a program removes the addon from require.cache and loads it
// again, the runtime calls Init a second time; both loads must share the environment, since a grant
// that one has not delivered yet would otherwise conflict with the other. An environment of the
// runtime is known by its thread and its global object: a thread can have several (Electron).
struct Loaded {
  Environment* environment;
  uint64_t thread;
  napi_ref global;
  napi_ref exports;
  Loaded* next;
};

Mutex loaded_mutex;
Loaded* loaded = nullptr;

napi_value ValueOf(napi_env env, napi_ref reference) {
  napi_value value = nullptr;
  napi_get_reference_value(env, reference, &value);
  return value;
}

// Its exports, or null. References of another thread must not be touched, so only those of this one
// are looked at.
napi_value FindLoaded(Napi::Env env) {
  MutexHeld held(&loaded_mutex);
  for (Loaded* each = loaded; each != nullptr; each = each->next) {
    if (each->thread != CurrentThread()) continue;
    bool is_same = false;
    napi_strict_equals(env, ValueOf(env, each->global), env.Global(), &is_same);
    if (is_same) return ValueOf(env, each->exports);
  }
  return nullptr;
}

void Forget(Environment* environment) {
  MutexHeld held(&loaded_mutex);
  for (Loaded** at = &loaded; *at != nullptr; at = &(*at)->next) {
    if ((*at)->environment != environment) continue;
    Loaded* found = *at;
    *at = found->next;
    delete found;  // the runtime frees the references
    return;
  }
}

constexpr const char* kVersions[] = {"process", "versions"};

// Bun and Deno have a libuv, or a part of one, that only looks real.
bool HasFacadeOfLibuv(Napi::Env env) {
  napi_value at = env.Global();
  for (const char* name : kVersions) {
    if (napi_get_named_property(env, at, name, &at) != napi_ok) return false;
  }
  bool has_bun = false;
  bool has_deno = false;
  napi_has_named_property(env, at, "bun", &has_bun);
  napi_has_named_property(env, at, "deno", &has_deno);
  return has_bun || has_deno;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  if (const napi_value before = FindLoaded(env)) return {env, before};
  KeepLoaded();
  if (HasFacadeOfLibuv(env)) LibuvIsFacade();
  Environment* environment = new Environment(env);
  for (const auto& [name, call] : kFunctions) {
    napi_value function;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, call, environment, &function);
    napi_set_named_property(env, exports, name, function);
  }
  napi_set_named_property(env, exports, "lastRelease", environment->last_release());
  MutexHeld held(&loaded_mutex);
  loaded = new Loaded{environment, CurrentThread(), nullptr, nullptr, loaded};
  napi_create_reference(env, env.Global(), 1, &loaded->global);
  napi_create_reference(env, exports, 1, &loaded->exports);
  environment->OnEnd(Forget);
  return exports;
}

}  // namespace
}  // namespace nfl

static Napi::Object Init(Napi::Env env, Napi::Object exports) { return nfl::Init(env, exports); }
NODE_API_MODULE(native_file_lock, Init)
