"""Stalls as a file of JSON Lines, which is rotated by size and never grows beyond what was asked for.

Several processes may write to one file: each line is one `write` to a file opened with O_APPEND, which Linux and macOS do not
interleave on a local disk, and of those that see that it is full one puts it aside, under flock(2). The others follow when they see
that the path leads to another file.
"""

import fcntl
import json
import os
import stat
from itertools import pairwise
from pathlib import Path
from typing import Any

from loopwatch.clocks import time
from loopwatch.errors import SettingError
from loopwatch.records import Stall
from loopwatch.sinks import Source
from loopwatch.sinks.event import event_name, fields_of
from loopwatch.sinks.trouble import Trouble

__all__ = ["JsonlSink"]

LOCK_S = 1.0


class JsonlSink:
    """Appends one line for each stall: `{"event": "event_loop_blocked", ...}` with the keys of the log event.

    A line that cannot be written (the disk is full, the folder is gone) is lost; the next one that can be has `lost_count`.

    Args:
        path: "{pid}" in it stands for the process id. The file is made with mode 0600; its folder must be there.
        max_bytes: Before it would grow beyond, the file is renamed to `path.1`, that one to `path.2`, and so on.
        keep: How many old files are kept.

    Raises:
        SettingError: a bound is not positive.
    """

    def __init__(self, path: str, *, max_bytes: int = 10_000_000, keep: int = 5) -> None:
        if max_bytes < 1 or keep < 0:
            raise SettingError(f"invalid bounds of sink jsonl: {max_bytes=}, {keep=}; give 1 or more, and 0 or more")
        self._pattern = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._file: int | None = None
        self._torn = False
        self._fresh()

    def _fresh(self) -> None:
        self._path = Path(self._pattern.replace("{pid}", str(os.getpid())))
        self._trouble = Trouble(f"JsonlSink ({self._path})")

    # ── the sink's hooks ────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, source: Source) -> None:
        """Open the file: trouble with it is said at startup."""
        self.end()  # a fork's child: the parent's
        self._fresh()
        try:
            self._opened()
        except OSError as error:
            self._trouble.begins(_told(error))

    def __call__(self, stall: Stall) -> None:
        """Write a line."""
        lost = self._trouble.owed
        fields: dict[str, Any] = {"event": event_name(stall), **fields_of(stall)}
        if lost:
            fields["lost_count"] = lost
        try:
            self._write(json.dumps(fields).encode() + b"\n")
        except OSError as error:
            self.end()
            self._trouble.loses(1, _told(error))
        else:
            self._trouble.over(lost)

    def end(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    # ── the file ────────────────────────────────────────────────────────────────────────────────────────────────

    def _write(self, line: bytes) -> None:
        file = self._opened()
        while self._is_full(file, len(line)):
            file = self._rotated(file)
        if self._torn:  # a disk that was full took the first part of a line: this one must not become its end
            line = b"\n" + line
        written = os.write(file, line)
        self._torn = written < len(line)
        if self._torn:
            raise OSError(f"only {written} of {len(line)} bytes were written")

    def _opened(self) -> int:
        """The file that the path leads to now: another process may have rotated it, or somebody deleted it."""
        if self._file is not None and not self._is_at_path(self._file):
            self.end()
        if self._file is None:
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._file

    def _is_at_path(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except FileNotFoundError:
            return False

    def _is_full(self, file: int, more: int) -> bool:
        found = os.fstat(file)
        return stat.S_ISREG(found.st_mode) and found.st_size > 0 and found.st_size + more > self._max_bytes

    def _rotated(self, file: int) -> int:
        """The next file, when this process or another has put this one aside."""
        _lock(file)
        if self._is_at_path(file):  # else it was put aside before the lock was ours
            self._rename()
        self.end()
        return self._opened()

    def _rename(self) -> None:
        if not self._keep:
            self._path.unlink()
            return
        paths = [self._path]
        while len(paths) <= self._keep and paths[-1].exists():
            paths.append(Path(f"{self._path}.{len(paths)}"))
        for newer, older in reversed(list(pairwise(paths))):
            newer.rename(older)


def _lock(file: int) -> None:
    """Lock a file until it is closed. Another process renames a few files meanwhile; one that was stopped at it is not waited for.

    Raises:
        OSError: it takes longer than a second.
    """
    deadline_s = time.monotonic() + LOCK_S
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.002)


def _told(error: OSError) -> str:
    return error.strerror or str(error)
