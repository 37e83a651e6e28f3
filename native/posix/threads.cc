#include "../system/threads.h"

#include <pthread.h>

namespace nfl {
namespace {

struct Start {
  void (*body)(void*);
  void* argument;
};

void* Body(void* argument) {
  Start* start = static_cast<Start*>(argument);
  const Start copy = *start;
  delete start;
  copy.body(copy.argument);
  return nullptr;
}

}  // namespace

bool StartSystemThread(void (*body)(void*), void* argument) {
  Start* start = new Start{body, argument};
  pthread_t thread;
  if (pthread_create(&thread, nullptr, Body, start) == 0) return true;
  delete start;
  return false;
}

}  // namespace nfl
