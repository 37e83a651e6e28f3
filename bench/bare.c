// A minimal addon: the same system calls behind Node-API, for one file at a time, without queue,
// deadline, guard or errors. The difference between this and floor.c is the cost of Node.js.

#include <fcntl.h>
#include <node_api.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[4096];
static napi_threadsafe_function granted;

static int file_of(napi_env env, napi_callback_info info, napi_value* callback) {
  size_t count = 2;
  napi_value arguments[2];
  int32_t file = -1;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  napi_get_value_int32(env, arguments[0], &file);
  if (callback != NULL) *callback = arguments[1];
  return file;
}

static napi_value number(napi_env env, int value) {
  napi_value result;
  napi_create_int32(env, value, &result);
  return result;
}

static void lock_and_check(int file, int operation) {
  struct stat named;
  if (flock(file, operation) == 0) fstatat(AT_FDCWD, path, &named, AT_SYMLINK_NOFOLLOW);
}

static napi_value open_file(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  napi_get_value_string_utf8(env, argument, path, sizeof path, NULL);
  return number(env, open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
}

static napi_value try_lock(napi_env env, napi_callback_info info) {
  lock_and_check(file_of(env, info, NULL), LOCK_EX | LOCK_NB);
  return number(env, 1);
}

static napi_value wait_here(napi_env env, napi_callback_info info) {
  lock_and_check(file_of(env, info, NULL), LOCK_EX);
  return number(env, 1);
}

static napi_value unlock(napi_env env, napi_callback_info info) {
  return number(env, flock(file_of(env, info, NULL), LOCK_UN));
}

static napi_value close_file(napi_env env, napi_callback_info info) {
  return number(env, close(file_of(env, info, NULL)));
}

static void* wait_on_thread(void* file) {
  lock_and_check((int)(intptr_t)file, LOCK_EX);
  napi_call_threadsafe_function(granted, NULL, napi_tsfn_nonblocking);
  napi_release_threadsafe_function(granted, napi_tsfn_release);
  return NULL;
}

// wait(file, callback)
static napi_value wait_there(napi_env env, napi_callback_info info) {
  napi_value callback, name;
  intptr_t file = file_of(env, info, &callback);
  napi_create_string_utf8(env, "bare", NAPI_AUTO_LENGTH, &name);
  napi_create_threadsafe_function(env, callback, NULL, name, 0, 1, NULL, NULL, NULL, NULL,
                                  &granted);
  pthread_t thread;
  pthread_create(&thread, NULL, wait_on_thread, (void*)file);
  pthread_detach(thread);
  return NULL;
}

NAPI_MODULE_INIT() {
  const struct {
    const char* name;
    napi_callback callback;
  } functions[] = {{"open", open_file}, {"tryLock", try_lock}, {"waitHere", wait_here},
                   {"unlock", unlock},  {"close", close_file}, {"wait", wait_there}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].callback, NULL,
                         &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}
