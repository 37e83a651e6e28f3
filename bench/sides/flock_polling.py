"""Python's fcntl.flock, polled every 100 ms, answering the commands of bench/side.mjs."""

import fcntl
import os
import sys
import time

POLL = 0.1


def now():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def reply(number):
    print(number, flush=True)


def lock(fd):
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(POLL)


def unlock(fd):
    fcntl.flock(fd, fcntl.LOCK_UN)


def open_lock(path):
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


held = -1
for line in sys.stdin:
    command, path, *numbers = [*line.split(), ""]
    numbers = [int(number) for number in numbers if number]
    if command == "cycle":
        fd = open_lock(path)
        start = now()
        for _ in range(numbers[0]):
            lock(fd)
            unlock(fd)
        reply(now() - start)
        os.close(fd)
    elif command == "loop":
        fd = open_lock(path)
        grants = 0
        time.sleep(max(0, numbers[0] - now()) / 1e9)
        while now() < numbers[1]:
            lock(fd)
            unlock(fd)
            grants += 1
        reply(grants)
        os.close(fd)
    elif command == "hold":
        held = open_lock(path)
        lock(held)
        reply(now())
    elif command == "release":
        time.sleep(0.001)  # as in floor.c
        start = now()
        unlock(held)
        time.sleep(0.001)
        reply(start)
    elif command == "wait":
        fd = open_lock(path)
        reply(now())
        lock(fd)
        granted = now()
        unlock(fd)
        os.close(fd)
        reply(granted)
