// Windows: clocks, sleeping, threads.

#include "../system/threads.h"

#include "../system/clock.h"
#include "files.h"
#include "timer.h"

namespace nfl {
namespace {

constexpr int64_t kSecond = 1000000000;
constexpr int64_t kMillisecond = 1000000;
constexpr size_t kStackSize = 256 * 1024;  // as in libuv.cc

struct Start {
  void (*body)(void*);
  void* argument;
};

DWORD WINAPI Body(void* argument) {
  Start* start = static_cast<Start*>(argument);
  const Start copy = *start;
  delete start;
  copy.body(copy.argument);
  return 0;
}

int64_t Steps(const FILETIME& time) {
  return (static_cast<int64_t>(time.dwHighDateTime) << 32) | time.dwLowDateTime;
}

}  // namespace

int64_t MonotonicNanoseconds() {
  LARGE_INTEGER frequency;
  LARGE_INTEGER count;
  QueryPerformanceFrequency(&frequency);  // neither is a system call
  QueryPerformanceCounter(&count);
  const int64_t seconds = count.QuadPart / frequency.QuadPart;
  const int64_t rest = count.QuadPart % frequency.QuadPart;
  return seconds * kSecond + rest * kSecond / frequency.QuadPart;
}

int64_t WallClockNanoseconds() {
  FILETIME now;
  GetSystemTimePreciseAsFileTime(&now);
  return SinceEpoch(now);
}

int64_t ThreadCpuNanoseconds() {
  FILETIME created;
  FILETIME ended;
  FILETIME kernel;
  FILETIME user;
  if (!GetThreadTimes(GetCurrentThread(), &created, &ended, &kernel, &user)) return 0;
  return (Steps(kernel) + Steps(user)) * 100;
}

// Sleep knows milliseconds only, and takes up to 16 of them for one.
void SleepNanoseconds(int64_t duration) {
  const HANDLE timer = NewTimer();
  if (timer != nullptr && SetTimer(timer, duration)) {
    WaitForSingleObject(timer, INFINITE);
  } else {
    Sleep(static_cast<DWORD>(duration / kMillisecond) + 1);
  }
  if (timer != nullptr) CloseHandle(timer);
}

uint64_t CurrentThread() { return GetCurrentThreadId(); }

bool StartSystemThread(void (*body)(void*), void* argument) {
  Start* start = new Start{body, argument};
  const HANDLE thread =
      CreateThread(nullptr, kStackSize, Body, start, STACK_SIZE_PARAM_IS_A_RESERVATION, nullptr);
  if (thread == nullptr) {
    delete start;
    return false;
  }
  CloseHandle(thread);
  return true;
}

void KeepLoaded() {
  HMODULE module;
  GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                     reinterpret_cast<LPCWSTR>(&KeepLoaded), &module);
}

void Park(std::atomic<uint32_t>* word, uint32_t expected, int64_t deadline) {
  DWORD milliseconds = INFINITE;
  if (deadline != kForever) {
    const int64_t left = deadline - MonotonicNanoseconds();
    if (left <= 0) return;
    const int64_t rounded = (left + kMillisecond - 1) / kMillisecond;
    milliseconds = rounded < INFINITE ? static_cast<DWORD>(rounded) : INFINITE - 1;
  }
  WaitOnAddress(word, &expected, sizeof expected, milliseconds);
}

void UnparkAll(std::atomic<uint32_t>* word) { WakeByAddressAll(word); }

void KeepSignalsFromThisThread() {}
SignalsBlocked::SignalsBlocked() {}
SignalsBlocked::~SignalsBlocked() {}

}  // namespace nfl
