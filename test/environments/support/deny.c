// Runs a command in a sandbox that answers one system call with an error: deny <call> <error number> <command> ...
// A filter of seccomp(2), which the command and its children inherit.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
  const char* name;
  int number;
} kCalls[] = {
    {"flock", SYS_flock},
    {"rt_sigtimedwait", SYS_rt_sigtimedwait},
    {"statx", SYS_statx},
    {"timer_create", SYS_timer_create},
    {"timer_settime", SYS_timer_settime},
};

int main(int count, char** arguments) {
  int number = -1;
  for (size_t i = 0; count > 3 && i < sizeof kCalls / sizeof *kCalls; i++) {
    if (strcmp(kCalls[i].name, arguments[1]) == 0) number = kCalls[i].number;
  }
  if (number == -1) {
    fprintf(stderr, "usage: deny <call> <error number> <command> ...\n");
    return 2;
  }
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (atoi(arguments[2]) & SECCOMP_RET_DATA)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == -1) {
    perror("prctl");
    return 2;
  }
  execvp(arguments[3], arguments + 3);
  perror(arguments[3]);
  return 2;
}
