"""A thread's CPU clock, its wait for a core, and the system call it sits in, read from another thread.

The CPU clock works wherever Linux does; the rest needs procfs (proc_pid_schedstat, proc_pid_syscall: man proc_pid(5),
Documentation/scheduler/sched-stats.rst). Every answer is None where the platform has none.
"""

import platform
import sys
import time
from dataclasses import dataclass

from loopwatch.observations import Syscall
from loopwatch.probes import procfs
from loopwatch.probes.descriptors import described, polled_descriptor

try:
    import resource
except ImportError:  # POSIX only
    resource = None  # type: ignore[assignment]

__all__ = ["RawCall", "Schedule", "Status", "ThreadProbe", "context_switches"]

# asm/unistd_64.h and asm-generic/unistd.h: only the calls that a blocked Python thread is found in.
_SYSCALLS = {
    "x86_64": {
        0: "read", 1: "write", 7: "poll", 17: "pread64", 18: "pwrite64", 19: "readv", 20: "writev", 23: "select",
        34: "pause", 35: "nanosleep", 40: "sendfile", 42: "connect", 43: "accept", 44: "sendto", 45: "recvfrom",
        46: "sendmsg", 47: "recvmsg", 61: "wait4", 72: "fcntl", 73: "flock", 74: "fsync", 75: "fdatasync",
        2: "open", 257: "openat", 202: "futex", 230: "clock_nanosleep", 232: "epoll_wait", 247: "waitid",
        270: "pselect6", 271: "ppoll", 281: "epoll_pwait", 441: "epoll_pwait2", 288: "accept4", 128: "rt_sigtimedwait",
        277: "sync_file_range", 162: "sync", 306: "syncfs", 87: "unlink", 82: "rename", 4: "stat", 262: "newfstatat",
        217: "getdents64", 285: "fallocate", 326: "copy_file_range", 59: "execve", 56: "clone", 435: "clone3", 58: "vfork",
    },
    "aarch64": {
        63: "read", 64: "write", 67: "pread64", 68: "pwrite64", 65: "readv", 66: "writev", 72: "pselect6", 73: "ppoll",
        101: "nanosleep", 71: "sendfile", 203: "connect", 202: "accept", 206: "sendto", 207: "recvfrom", 211: "sendmsg",
        212: "recvmsg", 260: "wait4", 25: "fcntl", 32: "flock", 82: "fsync", 83: "fdatasync", 56: "openat", 98: "futex",
        115: "clock_nanosleep", 22: "epoll_pwait", 441: "epoll_pwait2", 95: "waitid", 242: "accept4",
        137: "rt_sigtimedwait", 84: "sync_file_range", 81: "sync", 267: "syncfs", 79: "newfstatat", 61: "getdents64",
        47: "fallocate", 285: "copy_file_range", 221: "execve", 220: "clone", 435: "clone3",
    },
}  # fmt: skip
_NAMES = _SYSCALLS.get(platform.machine(), {})
_FIRST_IS_FD = frozenset(
    "read write pread64 pwrite64 readv writev sendfile connect accept accept4 sendto recvfrom sendmsg recvmsg fcntl flock "
    "fsync fdatasync epoll_wait epoll_pwait epoll_pwait2 sync_file_range syncfs fallocate copy_file_range getdents64".split()
)
_POLLS = frozenset({"poll", "ppoll"})
FILES = ("schedstat", "syscall", "stat")
_SELECTS = frozenset({"select", "pselect6"})


@dataclass(frozen=True, slots=True)
class RawCall:
    """A system call as procfs shows it."""

    name: str
    """"running" where the thread was on a CPU or ready to be, "fault" where it waits in the kernel outside a call."""
    fd: int | None = None
    """The descriptor it is about: its first argument, or the first one polled."""
    idle: bool = False
    """True for a select or poll on no descriptor at all."""

    def resolved(self) -> Syscall:
        """With what its descriptor is, and what is at the other end."""
        if self.idle:
            return Syscall(self.name, "nothing")
        target, about = (None, None) if self.fd is None else described(self.fd)
        return Syscall(self.name, target, about)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Totals since the thread began."""

    waited_ns: int
    """Ready, but not run."""
    slices: int
    """How often it was put on a core."""


@dataclass(frozen=True, slots=True)
class Status:
    """A thread as the kernel sees it."""

    state: str
    """"R" running or ready, "S" sleeping, "D" waiting for a disk, "T" stopped (man proc_pid_stat(5))."""
    major_faults: int
    """How often it has touched memory that had to be read from a disk first."""


class ThreadProbe:
    """Reads one thread of this process. Made on any thread, used by that one and the watchdog.

    Opening a file of procfs costs more than reading it ten times: each is opened when it is first asked for, kept, and given back
    by `close`, or when nobody holds the probe any more.
    """

    def __init__(self, native_id: int) -> None:
        self._native_id = native_id
        self._files: dict[str, int | None] = {}

    def cpu_ns(self) -> int | None:
        """CPU time of the thread so far. Does not give up the GIL."""
        return self.cpu_of(self._native_id)

    @staticmethod
    def cpu_of(native_id: int) -> int | None:
        """CPU time of a thread of this process by its kernel id; None where it has ended."""
        if sys.platform != "linux":
            return None
        try:
            # pthread_getcpuclockid segfaults for a thread that has exited; this number, which the kernel derives in the
            # same way (include/linux/posix-timers_types.h, MAKE_THREAD_CPUCLOCK with CPUCLOCK_SCHED), makes it EINVAL.
            return time.clock_gettime_ns((~native_id << 3) | 6)
        except OSError:
            return None

    def schedule(self) -> Schedule | None:
        """How long it waited for a core so far."""
        text = self._read("schedstat")
        try:
            _, waited, slices = text.split()
            return Schedule(int(waited), int(slices))
        except ValueError:
            return None

    def status(self) -> Status | None:
        """Its state, and its page faults so far."""
        _, _, fields = self._read("stat").rpartition(b") ")  # its name may have spaces and brackets
        words = fields.split()
        try:
            return Status(words[0].decode(), int(words[9]))
        except (IndexError, ValueError):
            return None

    def syscall(self) -> RawCall | None:
        """The system call it sits in right now."""
        words = self._read("syscall").split()
        if not words:
            return None
        if words[0] == b"running" or not _NAMES:
            return RawCall("running") if words[0] == b"running" else None
        return _decode(words)

    def _read(self, name: str) -> bytes:
        if name not in self._files:
            self._files[name] = procfs.open_file(f"/proc/self/task/{self._native_id}/{name}")
        return procfs.read(self._files[name])

    def close(self) -> None:
        """Give all files back, and open none any more."""
        files, self._files = self._files, dict.fromkeys(FILES)
        for descriptor in files.values():
            procfs.close(descriptor)

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:  # noqa: BLE001, S110 - the interpreter ends and has let go of our modules: so do the files
            pass


def _decode(words: list[bytes]) -> RawCall | None:
    try:
        number, first = int(words[0]), int(words[1], 16)
    except (ValueError, IndexError):
        return None
    name = "fault" if number < 0 else _NAMES.get(number, "other")
    if name in _FIRST_IS_FD:
        return RawCall(name, first if first < 1 << 31 else None)
    if name in _POLLS:
        return RawCall(name, polled_descriptor(first), idle=_number(words, 2) == 0)
    if name in _SELECTS:
        return RawCall(name, idle=first == 0)
    return RawCall(name)


def _number(words: list[bytes], index: int) -> int | None:
    try:
        return int(words[index], 16)
    except (ValueError, IndexError):
        return None


def context_switches() -> int | None:
    """Voluntary context switches of the calling thread so far (getrusage(2), RUSAGE_THREAD); None off Linux."""
    if resource is None or not hasattr(resource, "RUSAGE_THREAD"):
        return None
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
