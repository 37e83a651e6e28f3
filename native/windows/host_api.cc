// The functions of the runtime, which on Windows has them in its executable, whatever that is
// called (node.exe and electron.exe, and whatever a program that brings its own copy calls it), or
// in a library beside it. An import would have to name the file.
//
// The compiler reads the address of an imported function in a variable, __imp_ and its name, which
// the linker would make. Here they are variables of our own, set when we are loaded. One that is
// missing here fails to link.

#include "api.h"

#define NODE_API(X)                    \
  X(napi_add_async_cleanup_hook)       \
  X(napi_add_env_cleanup_hook)         \
  X(napi_async_init)                   \
  X(napi_call_function)                \
  X(napi_call_threadsafe_function)     \
  X(napi_close_callback_scope)         \
  X(napi_close_escapable_handle_scope) \
  X(napi_close_handle_scope)           \
  X(napi_create_arraybuffer)           \
  X(napi_create_bigint_int64)          \
  X(napi_create_buffer_copy)           \
  X(napi_create_double)                \
  X(napi_create_error)                 \
  X(napi_create_function)              \
  X(napi_create_int32)                 \
  X(napi_create_object)                \
  X(napi_create_reference)             \
  X(napi_create_string_utf8)           \
  X(napi_create_threadsafe_function)   \
  X(napi_create_type_error)            \
  X(napi_create_typedarray)            \
  X(napi_define_properties)            \
  X(napi_delete_reference)             \
  X(napi_escape_handle)                \
  X(napi_fatal_error)                  \
  X(napi_fatal_exception)              \
  X(napi_get_and_clear_last_exception) \
  X(napi_get_arraybuffer_info)         \
  X(napi_get_boolean)                  \
  X(napi_get_buffer_info)              \
  X(napi_get_cb_info)                  \
  X(napi_get_global)                   \
  X(napi_get_last_error_info)          \
  X(napi_get_named_property)           \
  X(napi_get_property)                 \
  X(napi_get_reference_value)          \
  X(napi_get_typedarray_info)          \
  X(napi_get_undefined)                \
  X(napi_get_uv_event_loop)            \
  X(napi_get_value_bool)               \
  X(napi_get_value_double)             \
  X(napi_get_value_int32)              \
  X(napi_get_value_string_utf8)        \
  X(napi_has_named_property)           \
  X(napi_has_property)                 \
  X(napi_is_exception_pending)         \
  X(napi_open_callback_scope)          \
  X(napi_open_escapable_handle_scope)  \
  X(napi_open_handle_scope)            \
  X(napi_ref_threadsafe_function)      \
  X(napi_remove_async_cleanup_hook)    \
  X(napi_remove_env_cleanup_hook)      \
  X(napi_set_named_property)           \
  X(napi_strict_equals)                \
  X(napi_throw)                        \
  X(napi_typeof)                       \
  X(napi_unref_threadsafe_function)

// Where libuv is a facade, some or all of these are missing (libuv.cc).
#define LIBUV(X)         \
  X(uv_async_init)       \
  X(uv_async_send)       \
  X(uv_close)            \
  X(uv_ref)              \
  X(uv_thread_create)    \
  X(uv_thread_create_ex) \
  X(uv_unref)

#define VARIABLE(name) FARPROC __imp_##name;
extern "C" {
NODE_API(VARIABLE)
LIBUV(VARIABLE)
}
#undef VARIABLE

namespace {

#define FUNCTION(name) {#name, &__imp_##name},
constexpr struct {
  const char* name;
  FARPROC* address;
} kNodeApi[] = {NODE_API(FUNCTION)}, kLibuv[] = {LIBUV(FUNCTION)};
#undef FUNCTION

// False where one of Node-API is missing.
bool FindIn(HMODULE module) {
  for (const auto& [name, address] : kLibuv) *address = GetProcAddress(module, name);
  for (const auto& [name, address] : kNodeApi) {
    *address = GetProcAddress(module, name);
    if (*address == nullptr) return false;
  }
  return true;
}

bool FindAll() {
  if (FindIn(GetModuleHandleW(nullptr))) return true;
  const HMODULE library = GetModuleHandleW(L"libnode.dll");
  return library != nullptr && FindIn(library);
}

}  // namespace

// Where the system enters: there is no C runtime of ours to be started. False fails the loading.
extern "C" BOOL WINAPI DllMain(HINSTANCE module, DWORD reason, LPVOID) {
  if (reason != DLL_PROCESS_ATTACH) return TRUE;
  DisableThreadLibraryCalls(module);
  return FindAll();
}
