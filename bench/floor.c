// The floor: the cost of the same system calls without JavaScript. Answers the commands of
// bench/side.mjs, one per line, like the programs in bench/sides.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// The flags with which native/lock_file.cc opens a lock file.
static const int kFlags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void sleep_ns(int64_t duration) {
  if (duration <= 0) return;
  struct timespec time = {duration / 1000000000, duration % 1000000000};
  nanosleep(&time, NULL);
}

static void check(int result, const char* what) {
  if (result != -1) return;
  perror(what);
  exit(1);
}

static void reply(int64_t number) {
  printf("%lld\n", (long long)number);
  fflush(stdout);
}

static int open_lock(const char* path) {
  int fd = open(path, kFlags, 0600);
  check(fd, path);
  return fd;
}

// Checks that the path still names the locked file, as the library does after every grant.
static void check_identity(const char* path) {
  struct stat named;
  check(fstatat(AT_FDCWD, path, &named, AT_SYMLINK_NOFOLLOW), path);
}

static int64_t warm(const char* path, long cycles) {
  int fd = open_lock(path);
  int64_t start = now();
  for (long i = 0; i < cycles; i++) {
    check(flock(fd, LOCK_EX | LOCK_NB), "flock");
    check_identity(path);
    check(flock(fd, LOCK_UN), "flock");
  }
  int64_t time = now() - start;
  close(fd);
  return time;
}

// `recorded`: with a record of the usual size, which is read and written on grant, and written on
// release.
static int64_t cold(const char* path, long cycles, int recorded) {
  char record[330] = "";
  int64_t start = now();
  for (long i = 0; i < cycles; i++) {
    struct stat opened;
    int fd = open_lock(path);
    check(fstat(fd, &opened), "fstat");
    check(flock(fd, LOCK_EX | LOCK_NB), "flock");
    check_identity(path);
    if (recorded) {
      check(pread(fd, record, sizeof record, 0), "pread");
      check(pwrite(fd, record, sizeof record, 0), "pwrite");
      check(pwrite(fd, record, sizeof record, 0), "pwrite");
    }
    check(flock(fd, LOCK_UN), "flock");
    close(fd);
  }
  return now() - start;
}

// Counts the grants between two times of the monotonic clock.
static int64_t loop(const char* path, int64_t start, int64_t end) {
  int fd = open_lock(path);
  int64_t grants = 0;
  sleep_ns(start - now());
  while (now() < end) {
    for (int i = 0; i < 16; i++) {
      check(flock(fd, LOCK_EX), "flock");
      check_identity(path);
      check(flock(fd, LOCK_UN), "flock");
      grants++;
    }
  }
  close(fd);
  return grants;
}

static void* sleep_on(void* nothing) {
  for (;;) pause();
  return nothing;
}

// Opens and locks `count` files; replies with the time for each hundred.
static void many(const char* directory, long count) {
  char path[PATH_MAX];
  // In a process with more than one thread, as every Node process is, the kernel waits for an RCU
  // grace period whenever the descriptor table grows: some milliseconds each time.
  pthread_t thread;
  pthread_create(&thread, NULL, sleep_on, NULL);
  int64_t start = now();
  for (long i = 0; i < count; i++) {
    snprintf(path, sizeof path, "%s/%ld.lock", directory, i);
    struct stat opened;
    int fd = open_lock(path);
    check(fstat(fd, &opened), "fstat");
    check(flock(fd, LOCK_EX | LOCK_NB), "flock");
    check_identity(path);
    if (i % 100 < 99) continue;
    int64_t end = now();
    printf("%lld%c", (long long)(end - start), i + 1 < count ? ' ' : '\n');
    start = end;
  }
  fflush(stdout);
}

// Creates the lock files of `count` jobs, two hours old.
static void make_jobs(const char* directory, long count) {
  char path[PATH_MAX];
  struct timespec times[2];
  clock_gettime(CLOCK_REALTIME, &times[0]);
  times[0].tv_sec -= 7200;
  times[1] = times[0];
  for (long i = 0; i < count; i++) {
    snprintf(path, sizeof path, "%s/job-%ld", directory, i);
    if (mkdir(path, 0700) == -1 && errno != EEXIST) check(-1, path);
    strcat(path, "/.lock");
    int fd = open_lock(path);
    check(futimens(fd, times), path);
    close(fd);
  }
}

// CPU time of trying `count` locks, all held elsewhere, every 10 ms.
static int64_t poll_locks(const char* directory, long count, long milliseconds) {
  static int files[1000];
  char path[PATH_MAX];
  struct timespec time;
  if (count > 1000) count = 1000;
  for (long i = 0; i < count; i++) {
    snprintf(path, sizeof path, "%s/%ld.lock", directory, i);
    files[i] = open_lock(path);
  }
  for (int64_t end = now() + milliseconds * 1000000; now() < end;) {
    sleep_ns(10000000);
    for (long i = 0; i < count; i++) flock(files[i], LOCK_EX | LOCK_NB);
  }
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static int fcntl_lock(int fd, short type) {
  struct flock range = {.l_type = type, .l_whence = SEEK_SET};
  return fcntl(fd, F_OFD_SETLK, &range);
}

// The system calls of native/stale_lock.cc.
static int remove_stale(int jobs, const char* job) {
  static char content[1024];
  const int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  struct stat seen, locked, named;
  int removed = 0;
  int directory = openat(jobs, job, O_RDONLY | O_DIRECTORY | flags);
  if (directory == -1) return 0;
  if (fstatat(directory, ".lock", &seen, AT_SYMLINK_NOFOLLOW) == 0 &&
      time(NULL) - seen.st_mtime > 3600) {
    int fd = openat(directory, ".lock", O_RDWR | flags);
    if (fd != -1) {
      if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        removed = fcntl_lock(fd, F_WRLCK) == 0 && fstat(fd, &locked) == 0 &&
                  fstatat(directory, ".lock", &named, AT_SYMLINK_NOFOLLOW) == 0 &&
                  locked.st_ino == named.st_ino && pread(fd, content, sizeof content, 0) >= 0 &&
                  unlinkat(directory, ".lock", 0) == 0;
        flock(fd, LOCK_UN);
        fcntl_lock(fd, F_UNLCK);
      }
      close(fd);
    }
  }
  close(directory);
  return removed;
}

static void clean(const char* path) {
  int64_t start = now();
  long removed = 0;
  DIR* directory = opendir(path);
  if (directory == NULL) check(-1, path);
  for (struct dirent* entry; (entry = readdir(directory)) != NULL;) {
    if (entry->d_name[0] != '.') removed += remove_stale(dirfd(directory), entry->d_name);
  }
  closedir(directory);
  printf("%ld %lld\n", removed, (long long)(now() - start));
  fflush(stdout);
}

int main(void) {
  char line[PATH_MAX + 128];
  char command[32];
  char path[PATH_MAX];
  long long first, second;
  int held = -1;
  while (fgets(line, sizeof line, stdin) != NULL) {
    command[0] = path[0] = '\0';
    first = second = 0;
    sscanf(line, "%31s %4095s %lld %lld", command, path, &first, &second);
    if (strcmp(command, "warm") == 0) {
      reply(warm(path, first));
    } else if (strcmp(command, "cold") == 0) {
      reply(cold(path, first, 0));
    } else if (strcmp(command, "recorded") == 0) {
      reply(cold(path, first, 1));
    } else if (strcmp(command, "loop") == 0) {
      reply(loop(path, first, second));
    } else if (strcmp(command, "many") == 0) {
      many(path, first);
    } else if (strcmp(command, "poll") == 0) {
      reply(poll_locks(path, first, second));
    } else if (strcmp(command, "jobs") == 0) {
      make_jobs(path, first);
      reply(first);
    } else if (strcmp(command, "clean") == 0) {
      clean(path);
    } else if (strcmp(command, "hold") == 0) {
      held = open_lock(path);
      check(flock(held, LOCK_EX), "flock");
      reply(now());
    } else if (strcmp(command, "release") == 0) {
      // Let the process that sent the command go to sleep again before the release, and reply only
      // after the grant: so holder and waiter have the processors to themselves.
      sleep_ns(1000000);
      int64_t time = now();
      flock(held, LOCK_UN);
      sleep_ns(1000000);
      close(held);
      reply(time);
    } else if (strcmp(command, "wait") == 0) {
      held = open_lock(path);
      reply(now());
      check(flock(held, LOCK_EX), "flock");
      check_identity(path);
      int64_t time = now();
      flock(held, LOCK_UN);
      close(held);
      reply(time);
    } else {
      fprintf(stderr, "unknown command: %s", line);
      return 1;
    }
  }
  return 0;
}
