// macOS: clocks, sleeping, threads.

#include "../system/threads.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "../race_point.h"
#include "../system/clock.h"

namespace nfl {
namespace {

constexpr int64_t kSecond = 1000000000;

struct timespec ToTimespec(int64_t nanoseconds) {
  return {static_cast<time_t>(nanoseconds / kSecond), static_cast<long>(nanoseconds % kSecond)};
}

// The system has no public sleep on a word before 14.4. Threads that park on different words may
// share a place, and then wake each other, which Park allows.
struct ParkingPlace {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t unparked = PTHREAD_COND_INITIALIZER;
};

constexpr size_t kPlaces = 64;
ParkingPlace places[kPlaces];

ParkingPlace* PlaceOf(const std::atomic<uint32_t>* word) {
  const uint64_t address = reinterpret_cast<uint64_t>(word);
  // Of the middle bits, which differ between objects of any size (Fibonacci hashing).
  return &places[(address * 0x9E3779B97F4A7C15) >> 58];
}

}  // namespace

// Stands still while the machine sleeps, as do dispatch timers and waits of pthreads.
int64_t MonotonicNanoseconds() {
  return static_cast<int64_t>(clock_gettime_nsec_np(CLOCK_UPTIME_RAW));
}

int64_t WallClockNanoseconds() {
  return static_cast<int64_t>(clock_gettime_nsec_np(CLOCK_REALTIME));
}

int64_t ThreadCpuNanoseconds() {
  return static_cast<int64_t>(clock_gettime_nsec_np(CLOCK_THREAD_CPUTIME_ID));
}

uint64_t CurrentThread() { return reinterpret_cast<uint64_t>(pthread_self()); }

void SleepNanoseconds(int64_t duration) {
  struct timespec left = ToTimespec(duration);
  while (nanosleep(&left, &left) == -1 && errno == EINTR) {
  }
}

void Park(std::atomic<uint32_t>* word, uint32_t expected, int64_t deadline) {
  RacePoint();  // the wake-up comes before the sleep
  ParkingPlace* place = PlaceOf(word);
  pthread_mutex_lock(&place->mutex);
  // Whoever changes the word unparks afterwards, under this mutex: no change goes unnoticed.
  if (word->load(std::memory_order_acquire) == expected) {
    if (deadline == kForever) {
      pthread_cond_wait(&place->unparked, &place->mutex);
    } else if (const int64_t left = deadline - MonotonicNanoseconds(); left > 0) {
      const struct timespec duration = ToTimespec(left);
      pthread_cond_timedwait_relative_np(&place->unparked, &place->mutex, &duration);
    }
  }
  pthread_mutex_unlock(&place->mutex);
}

void UnparkAll(std::atomic<uint32_t>* word) {
  RacePoint();  // whoever is to be woken is awake already, or gone
  ParkingPlace* place = PlaceOf(word);
  pthread_mutex_lock(&place->mutex);
  pthread_cond_broadcast(&place->unparked);
  pthread_mutex_unlock(&place->mutex);
}

// Mach-O has no mark for it (-z nodelete of ELF), but a handle that is never closed does the same.
void KeepLoaded() {
  Dl_info image;
  if (dladdr(reinterpret_cast<const void*>(KeepLoaded), &image) == 0) return;
  dlopen(image.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

}  // namespace nfl
