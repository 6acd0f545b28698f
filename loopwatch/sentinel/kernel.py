"""What the kernel knows of the watched process, read from outside (proc_pid(5)). Runs in the sentinel; never raises."""

import os

__all__ = ["Clocks", "all_sleeps", "clocks", "may_read", "process_fd", "sleeps", "state"]

MAX_THREADS = 256
Clocks = tuple[int, int]
"""Nanoseconds for which a thread ran on a core, and for which it was ready but had none, since it began."""


def state(process: int, thread: int) -> str:
    """A thread's state: "S" sleeps, "R" runs or is ready to, "D" waits for a disk, "T" or "t" is stopped; "" there is none."""
    text = _read(f"/proc/{process}/task/{thread}/stat")
    return text[text.rfind(b")") + 2 :][:1].decode()


def clocks(process: int, thread: int) -> Clocks | None:
    """None where the kernel does not tell."""
    words = _read(f"/proc/{process}/task/{thread}/schedstat").split()
    return (int(words[0]), int(words[1])) if len(words) > 1 else None


def all_sleeps(process: int) -> dict[int, int]:
    """`sleeps` of each thread; at most `MAX_THREADS`, the eldest."""
    try:
        threads = sorted(map(int, os.listdir(f"/proc/{process}/task")))[:MAX_THREADS]
    except OSError:
        return {}
    return {thread: sleeps(process, thread) for thread in threads}


def sleeps(process: int, thread: int) -> int:
    """How often a thread has gone to sleep by itself, be it to wait for the GIL; 0 where the kernel does not tell."""
    _, found, rest = _read(f"/proc/{process}/task/{thread}/status").partition(b"\nvoluntary_ctxt_switches:")
    return int(rest.split()[0]) if found else 0


def may_read(process: int) -> bool:
    """Whether this process, or one that it starts, may read that one's memory: the kernel asks the same as for ptrace."""
    try:
        os.close(os.open(f"/proc/{process}/mem", os.O_RDONLY))
    except OSError:
        return False
    return True


def process_fd(process: int) -> int | None:
    """A descriptor that becomes readable when the process has ended (pidfd_open(2)); None before Linux 5.3."""
    try:
        return os.pidfd_open(process)
    except (OSError, AttributeError):
        return None


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 4096)
    except OSError:  # it has just ended
        return b""
    finally:
        os.close(descriptor)
