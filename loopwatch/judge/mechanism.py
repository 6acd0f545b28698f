"""What the loop thread was doing while one sample's time went by. Told by mechanism: CPU clock, system call, frames."""

from loopwatch.judge.weights import Part, weigh
from loopwatch.records import Cause, Frame, Observation, Sample

__all__ = ["LATE_SWITCHES", "mechanism_of", "waiting_cause"]

BUSY = 0.5
"""CPU share from which on a thread was computing."""
LATE_SWITCHES = 3
"""A watchdog that waited this many switch intervals for the GIL waited for C code: Python gives it up after one."""
PROMPT_NS = 2_000_000
"""A watchdog that got the GIL this soon found it free."""

_BY_CALL = {
    "clock_nanosleep": Cause.SLEEP, "nanosleep": Cause.SLEEP,
    "recvfrom": Cause.NETWORK, "recvmsg": Cause.NETWORK, "sendto": Cause.NETWORK, "sendmsg": Cause.NETWORK,
    "connect": Cause.NETWORK, "accept": Cause.NETWORK, "accept4": Cause.NETWORK,
    "wait4": Cause.SUBPROCESS, "waitid": Cause.SUBPROCESS, "vfork": Cause.SUBPROCESS,
    "fsync": Cause.DISK, "fdatasync": Cause.DISK, "sync": Cause.DISK, "syncfs": Cause.DISK, "sync_file_range": Cause.DISK,
    "open": Cause.DISK, "openat": Cause.DISK, "unlink": Cause.DISK, "rename": Cause.DISK, "stat": Cause.DISK,
    "newfstatat": Cause.DISK, "getdents64": Cause.DISK, "fallocate": Cause.DISK, "copy_file_range": Cause.DISK,
    "pread64": Cause.DISK, "pwrite64": Cause.DISK, "sendfile": Cause.DISK,
    "flock": Cause.LOCK, "fcntl": Cause.LOCK, "futex": Cause.LOCK,
}  # fmt: skip
_BY_TARGET = {"socket": Cause.NETWORK, "file": Cause.DISK, "pipe": Cause.DISK}
_READS = frozenset({"read", "write", "readv", "writev", "poll", "ppoll"})
_SLEEPS = frozenset({"select", "pselect6", "poll", "ppoll", "pause", "rt_sigtimedwait"})

_SUBPROCESS_FILES = ("/subprocess.py", "/multiprocessing/popen_fork.py", "/multiprocessing/popen_spawn_posix.py")
_BY_NAME = (
    (Cause.SUBPROCESS, ("subprocess.", "os.system", "os.wait", "os.popen", "posix.system", "posix.wait")),
    (Cause.SLEEP, ("time.sleep",)),
    (Cause.LOCK, ("threading.", "queue.", "concurrent.futures.", "multiprocessing.synchronize.", "_thread.", "_queue.", "fcntl.")),
    (Cause.NETWORK, ("socket.", "_socket.", "ssl.", "_ssl.", "http.client.", "urllib.", "urllib3.", "requests.", "httpx.",
                     "httpcore.", "smtplib.", "ftplib.", "imaplib.", "poplib.", "select.", "selectors.", "redis.", "pymysql.",
                     "psycopg", "pymongo.", "botocore.", "boto3.")),
    (Cause.DISK, ("os.fsync", "posix.fsync", "io.", "_io.", "pathlib.", "shutil.", "open", "posix.", "sqlite3.")),
)  # fmt: skip


def mechanism_of(part: Part, observation: Observation) -> Cause:
    """The cause of this part of the stall's time."""
    computing = _computing(part, observation)
    if computing is None:
        return waiting_cause(part.sample) if _named(part.sample) else Cause.UNKNOWN
    if computing:
        return Cause.NATIVE if _in_c(part.sample, observation.switch_interval_ns) else Cause.PYTHON
    return waiting_cause(part.sample)


def _computing(part: Part, observation: Observation) -> bool | None:
    """Whether the thread burned CPU; None where no clock tells."""
    if part.cpu_ns is None:
        share = weigh(observation).cpu_share
        return None if share is None else share >= BUSY
    could_run = max(1, part.sample.at_ns and part.wall_ns - (part.runqueue_ns or 0))
    return part.cpu_ns / could_run >= BUSY


def _in_c(sample: Sample, switch_interval_ns: int) -> bool:
    """Whether computing meant C code: it kept the GIL for long, or computed without it."""
    if sample.late_ns > LATE_SWITCHES * switch_interval_ns:
        return True
    leaf = sample.stack[-1] if sample.stack else None
    return leaf is not None and leaf.point == "call" and sample.late_ns < PROMPT_NS


def waiting_cause(sample: Sample) -> Cause:
    """What a thread that burns no CPU waits for: by its frames for children, then by system call, then by frames."""
    if any(frame.file.endswith(_SUBPROCESS_FILES) for frame in sample.stack[-8:]):
        return Cause.SUBPROCESS
    return _by_syscall(sample) or _by_frames(sample) or Cause.UNKNOWN


def _by_syscall(sample: Sample) -> Cause | None:
    call = sample.syscall
    if call is None or call.name in ("running", "other"):
        return None
    if call.name in _READS and call.target in _BY_TARGET:
        return _BY_TARGET[call.target]
    cause = _BY_CALL.get(call.name)
    if cause is Cause.SLEEP and _named(sample) == Cause.DISK:
        return Cause.LOCK  # sqlite waits for a locked database by sleeping (sqlite3.c, unixSleep)
    if cause is None and call.name in _SLEEPS and call.target is None:
        return Cause.SLEEP if _named(sample) is None else _named(sample)
    return cause


def _by_frames(sample: Sample) -> Cause | None:
    return _named(sample)


def _named(sample: Sample) -> Cause | None:
    """By the name of the innermost call or function that says something."""
    for frame in reversed(sample.stack[-8:]):
        for name in _names(frame):
            for cause, prefixes in _BY_NAME:
                if name.startswith(prefixes):
                    return cause
    return None


def _names(frame: Frame) -> tuple[str, ...]:
    own = f"{frame.module}.{frame.function}" if frame.module and frame.kind != "app" else ""
    return tuple(name for name in (frame.call, own) if name)
