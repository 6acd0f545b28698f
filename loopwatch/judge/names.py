"""What a blocking call is, by its name: for platforms without system calls to read, and where one call serves several ends."""

from functools import lru_cache

from loopwatch.observations import Sample
from loopwatch.records import Cause, Frame

__all__ = ["enclosing", "in_subprocess", "is_quick", "named_cause", "starts_thread"]

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


def enclosing(function: str) -> str:
    """The function that a comprehension or generator expression is part of: 3.12 runs most of them within it anyway."""
    while function.endswith(_PARTS_OF_A_LINE):
        function = function.rpartition(".<locals>.")[0] or function.rpartition(".")[0]
    return function


_PARTS_OF_A_LINE = (".<genexpr>", ".<listcomp>", ".<setcomp>", ".<dictcomp>")


def in_subprocess(sample: Sample) -> bool:
    """Whether the thread is in the standard library's code for child processes."""
    return any(frame.file.endswith(_SUBPROCESS_FILES) for frame in sample.stack[-INNERMOST:])


QUICK = ("len", "isinstance", "issubclass", "id", "callable", "hasattr", "iter", "bool", "range", "super")
"""Calls that cannot take long: where one of them ended a wait for the GIL, something before it kept it."""


def is_quick(call: str | None) -> bool:
    """Whether a call, by its full name, cannot have taken long by itself."""
    return call is not None and call != "time.sleep" and (call in QUICK or call.startswith("time."))


def starts_thread(sample: Sample) -> bool:
    """Whether the thread waits for a new thread to run, which takes nothing but the GIL (CPython Lib/threading.py, `start`)."""
    return any(frame.function == "Thread.start" and frame.module == "threading" for frame in sample.stack[-INNERMOST:])


def named_cause(sample: Sample) -> Cause | None:
    """By the name of the innermost call or function that says something; None if none does."""
    for frame in reversed(sample.stack[-INNERMOST:]):
        for name in _names(frame):
            cause = _cause_of(name)
            if cause is not None:
                return cause
    return None


@lru_cache(4096)
def _cause_of(name: str) -> Cause | None:
    return next((cause for cause, prefixes in _BY_NAME if name.startswith(prefixes)), None)


def _names(frame: Frame) -> tuple[str, ...]:
    own = f"{frame.module}.{frame.function}" if frame.module and frame.kind != "app" else ""
    return tuple(name for name in (frame.call, own) if name)


INNERMOST = 8
"""How many frames of the stack's inner end are asked."""
