#ifndef NATIVE_FILE_LOCK_DARWIN_SHIM_DISPATCH_H_
#define NATIVE_FILE_LOCK_DARWIN_SHIM_DISPATCH_H_

#include <stdint.h>

typedef struct shim_source* dispatch_source_t;
typedef void* dispatch_queue_t;
typedef uint64_t dispatch_time_t;

#define DISPATCH_TIME_NOW 0
#define DISPATCH_TIME_FOREVER UINT64_MAX
#define DISPATCH_SOURCE_TYPE_TIMER nullptr
#define DISPATCH_TIMER_STRICT 1

dispatch_queue_t dispatch_queue_create(const char* label, const void* attributes);
dispatch_source_t dispatch_source_create(const void* type, uintptr_t handle, uintptr_t mask,
                                         dispatch_queue_t queue);
void dispatch_set_context(dispatch_source_t source, void* context);
void dispatch_source_set_event_handler_f(dispatch_source_t source, void (*handler)(void*));
void dispatch_set_finalizer_f(dispatch_source_t source, void (*finalizer)(void*));
void dispatch_source_set_timer(dispatch_source_t source, dispatch_time_t start, uint64_t interval,
                               uint64_t leeway);
void dispatch_activate(dispatch_source_t source);
void dispatch_source_cancel(dispatch_source_t source);
void dispatch_release(dispatch_source_t source);
dispatch_time_t dispatch_time(dispatch_time_t when, int64_t delay);

#endif  // NATIVE_FILE_LOCK_DARWIN_SHIM_DISPATCH_H_
