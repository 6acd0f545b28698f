"""What the loop thread was doing while one sample's time went by. Told by mechanism: CPU clock, system call, frames."""

from functools import lru_cache

from loopwatch.judge.names import in_subprocess, is_quick, named_cause
from loopwatch.judge.weights import KEPT, PROMPT_NS, REMEMBERED, Part, held_ns, parts_of, waits_for_gil, weigh
from loopwatch.observations import Observation, Sample
from loopwatch.records import Cause

__all__ = ["LATE_SWITCHES", "mechanisms_of", "waiting_cause"]

BUSY = 0.5
"""CPU share from which on a thread was computing."""
LATE_SWITCHES = 3
"""A watchdog that waited this many switch intervals for the GIL waited for C code: Python gives it up after one."""

_BY_CALL = {
    "clock_nanosleep": Cause.SLEEP, "nanosleep": Cause.SLEEP,
    "recvfrom": Cause.NETWORK, "recvmsg": Cause.NETWORK, "sendto": Cause.NETWORK, "sendmsg": Cause.NETWORK,
    "connect": Cause.NETWORK, "accept": Cause.NETWORK, "accept4": Cause.NETWORK,
    "wait4": Cause.SUBPROCESS, "waitid": Cause.SUBPROCESS, "vfork": Cause.SUBPROCESS,
    "fsync": Cause.DISK, "fdatasync": Cause.DISK, "sync": Cause.DISK, "syncfs": Cause.DISK, "sync_file_range": Cause.DISK,
    "open": Cause.DISK, "openat": Cause.DISK, "unlink": Cause.DISK, "rename": Cause.DISK, "stat": Cause.DISK,
    "newfstatat": Cause.DISK, "getdents64": Cause.DISK, "fallocate": Cause.DISK, "copy_file_range": Cause.DISK,
    "pread64": Cause.DISK, "pwrite64": Cause.DISK, "sendfile": Cause.DISK,
    "flock": Cause.LOCK, "fcntl": Cause.LOCK,
}  # fmt: skip
_BY_TARGET = {"socket": Cause.NETWORK, "file": Cause.DISK, "pipe": Cause.DISK}
_READS = frozenset({"read", "write", "readv", "writev", "poll", "ppoll"})
_SLEEPS = frozenset({"select", "pselect6", "poll", "ppoll", "pause", "rt_sigtimedwait"})


@lru_cache(REMEMBERED)
def mechanisms_of(observation: Observation) -> tuple[Cause, ...]:
    """The cause of each of its parts."""
    return tuple(_mechanism_of(part, observation) for part in parts_of(observation))


def _mechanism_of(part: Part, observation: Observation) -> Cause:
    computing = _computing(part, observation)
    if computing is None:
        return waiting_cause(part.sample) if named_cause(part.sample) else Cause.UNKNOWN
    if computing:
        return Cause.NATIVE if _in_c(part, observation) else Cause.PYTHON
    return Cause.GIL if waits_for_gil(part.sample) and _others_burned(part, observation) else waiting_cause(part.sample)


def _others_burned(part: Part, observation: Observation) -> bool:
    """Whether other threads computed while this one did not."""
    if weigh(observation).gil_ns == 0:
        return False
    if part.other_cpu_ns is None:
        return True
    idle = part.wall_ns - (part.cpu_ns or 0) - (part.runqueue_ns or 0)
    return part.other_cpu_ns >= KEPT * idle


def _computing(part: Part, observation: Observation) -> bool | None:
    """Whether the thread burned CPU; None where no clock tells."""
    sample = part.sample
    prompt = sample.late_ns <= LATE_SWITCHES * observation.switch_interval_ns
    if prompt and sample.syscall is not None and sample.syscall.name == "running":
        return True  # the kernel had it on a core, or waiting for one: it did not wait for anything else
    if part.cpu_ns is None:
        share = weigh(observation).cpu_share
        return None if share is None else share >= BUSY
    could_run = max(1, part.wall_ns - (part.runqueue_ns or 0))
    return part.cpu_ns / could_run >= BUSY


def _in_c(part: Part, observation: Observation) -> bool:
    """Whether computing meant C code: it kept the GIL for long, or computed without it."""
    sample, switch_interval_ns = part.sample, observation.switch_interval_ns
    if held_ns(part, observation) > LATE_SWITCHES * switch_interval_ns and not sample.handed_on:
        return True
    leaf = sample.stack[-1] if sample.stack else None
    if leaf is None or leaf.point != "call" or is_quick(leaf.call):
        return False
    # Python code would have made the watchdog wait for a whole switch interval.
    return sample.late_ns < 0.8 * switch_interval_ns


def waiting_cause(sample: Sample) -> Cause:
    """What a thread that burns no CPU waits for: by its frames for children, then by system call, then by frames."""
    if in_subprocess(sample):
        return Cause.SUBPROCESS
    return _by_syscall(sample) or named_cause(sample) or Cause.UNKNOWN


def _by_syscall(sample: Sample) -> Cause | None:
    call = sample.syscall
    if call is None or call.name in ("running", "other"):
        return None
    if call.name in _READS and call.target in _BY_TARGET:
        return _BY_TARGET[call.target]
    if call.name == "futex":
        return _in_futex(sample)
    if call.name == "fault":
        return Cause.DISK if sample.state == "D" else None
    if call.target == "nothing":
        return Cause.SLEEP
    cause = _BY_CALL.get(call.name)
    if cause is Cause.SLEEP and named_cause(sample) is Cause.DISK:
        return Cause.LOCK  # sqlite waits for a locked database by sleeping (sqlite3.c, unixSleep)
    if cause is None and call.name in _SLEEPS and call.target is None:
        return named_cause(sample) or Cause.SLEEP
    return cause


def _in_futex(sample: Sample) -> Cause | None:
    """A futex is a lock if an instruction waits in it; between two of them it is the GIL's, and says nothing of its own.

    A thread that gives up the GIL after a call into C stands on that call, too: then the watchdog had to wait as well.
    """
    leaf = sample.stack[-1] if sample.stack else None
    if named_cause(sample) is Cause.LOCK:
        return Cause.LOCK
    waits = leaf is not None and leaf.point in ("call", "other") and sample.late_ns < PROMPT_NS
    return Cause.LOCK if waits else None
