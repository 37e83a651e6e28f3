// The seam to the system, sixth part: what tells a process from every other one.

#ifndef NATIVE_FILE_LOCK_SYSTEM_PROCESS_H_
#define NATIVE_FILE_LOCK_SYSTEM_PROCESS_H_

#include <stddef.h>
#include <stdint.h>

namespace nfl {

enum class ProcessState {
  kRunning,
  kEnded,    // there is none, or it has ended and was not waited for yet
  kUnknown,  // it is not for us to see
};

// `start` distinguishes it from every other process that ever had its pid since the machine was
// booted. In a unit of the system's own; set if the state is kRunning.
ProcessState LookAtProcess(int64_t pid, uint64_t* start);

// Its command: the path of its executable. Returns the length, without a NUL; 0 where that cannot
// be told.
size_t CommandOfProcess(int64_t pid, char* command, size_t size);

// What distinguishes this boot of this machine from every other. The same.
size_t BootIdentity(char* identity, size_t size);

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_SYSTEM_PROCESS_H_
