// Timers of dispatch, on one thread.

#include <dispatch/dispatch.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

struct shim_source {
  void* context = nullptr;
  void (*handler)(void*) = nullptr;
  void (*finalizer)(void*) = nullptr;
  dispatch_time_t next = DISPATCH_TIME_FOREVER;
  uint64_t interval = 0;
  bool is_active = false;
  bool is_cancelled = false;
  bool is_released = false;
  shim_source* link = nullptr;
};

namespace {

constexpr uint64_t kSecond = 1000000000;

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;  // guards everything
pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
shim_source* first = nullptr;
bool is_running = false;

class Locked {
 public:
  Locked() { pthread_mutex_lock(&mutex); }
  ~Locked() { pthread_mutex_unlock(&mutex); }
};

uint64_t Now() {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * kSecond + static_cast<uint64_t>(now.tv_nsec);
}

void FreeReleased() {
  for (shim_source** at = &first; *at != nullptr;) {
    shim_source* source = *at;
    if (!source->is_released) {
      at = &source->link;
      continue;
    }
    *at = source->link;
    if (source->finalizer != nullptr) source->finalizer(source->context);
    delete source;
  }
}

// The first that is due; otherwise null, and when the next one will be.
shim_source* FindDue(uint64_t* soonest) {
  *soonest = DISPATCH_TIME_FOREVER;
  const uint64_t now = Now();
  for (shim_source* source = first; source != nullptr; source = source->link) {
    if (!source->is_active || source->is_cancelled || source->is_released) continue;
    if (source->next <= now) return source;
    if (source->next < *soonest) *soonest = source->next;
  }
  return nullptr;
}

// Handlers run without the mutex, as they do there: a timer may be changed, cancelled and released
// in the middle of its handler. It is freed only afterwards.
void* Run(void*) {
  pthread_mutex_lock(&mutex);
  for (;;) {
    FreeReleased();
    uint64_t soonest;
    if (shim_source* due = FindDue(&soonest)) {
      due->next = Now() + due->interval;
      pthread_mutex_unlock(&mutex);
      due->handler(due->context);
      pthread_mutex_lock(&mutex);
    } else if (soonest == DISPATCH_TIME_FOREVER) {
      pthread_cond_wait(&changed, &mutex);
    } else {
      const struct timespec until = {static_cast<time_t>(soonest / kSecond),
                                     static_cast<long>(soonest % kSecond)};
      pthread_cond_clockwait(&changed, &mutex, CLOCK_MONOTONIC, &until);
    }
  }
  return nullptr;
}

void StartRunning() {
  if (is_running) return;
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  pthread_t thread;
  is_running = pthread_create(&thread, nullptr, Run, nullptr) == 0;
  if (is_running) pthread_detach(thread);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace

dispatch_queue_t dispatch_queue_create(const char*, const void*) { return nullptr; }

dispatch_source_t dispatch_source_create(const void*, uintptr_t, uintptr_t, dispatch_queue_t) {
  Locked locked;
  StartRunning();
  if (!is_running) return nullptr;
  shim_source* source = new shim_source;
  source->link = first;
  first = source;
  return source;
}

void dispatch_set_context(dispatch_source_t source, void* context) { source->context = context; }

void dispatch_source_set_event_handler_f(dispatch_source_t source, void (*handler)(void*)) {
  source->handler = handler;
}

void dispatch_set_finalizer_f(dispatch_source_t source, void (*finalizer)(void*)) {
  source->finalizer = finalizer;
}

void dispatch_source_set_timer(dispatch_source_t source, dispatch_time_t start, uint64_t interval,
                               uint64_t) {
  Locked locked;
  source->next = start;
  source->interval = interval;
  pthread_cond_signal(&changed);
}

void dispatch_activate(dispatch_source_t source) {
  Locked locked;
  source->is_active = true;
  pthread_cond_signal(&changed);
}

void dispatch_source_cancel(dispatch_source_t source) {
  Locked locked;
  source->is_cancelled = true;
}

void dispatch_release(dispatch_source_t source) {
  Locked locked;
  source->is_released = true;
  pthread_cond_signal(&changed);
}

dispatch_time_t dispatch_time(dispatch_time_t, int64_t delay) {
  return Now() + static_cast<uint64_t>(delay);
}
