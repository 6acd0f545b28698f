"""Long-lived measured processes, and what the kernel says of them from outside (no wake-up, no code in them)."""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.pairs import ROOT, ChildFailed, environment

__all__ = ["ThreadUse", "cpu_ns", "running", "threads"]


@dataclass(frozen=True, slots=True)
class ThreadUse:
    """One thread's use of the machine since it began."""

    name: str
    cpu_ns: int
    wake_ups: int
    """Voluntary context switches: each ends with the thread being woken."""
    preempted: int
    """Involuntary ones: the scheduler took the core away."""


@contextlib.contextmanager
def running(module: str, *arguments: str, python: str = sys.executable, **extra: str) -> Iterator[dict[str, Any]]:
    """A child process while it runs; yields the JSON object that it prints once it is ready."""
    command = [python, "-m", module, *arguments]
    # Stalls that the machine causes are logged there: of interest only if the process does not start.
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            command, cwd=ROOT, env=environment(**extra), stdout=subprocess.PIPE, stderr=errors, text=True
        )
        with child:
            try:
                assert child.stdout is not None
                line = child.stdout.readline()
                if not line:
                    errors.seek(0)
                    raise ChildFailed(f"{' '.join(command[1:])} ended before it was ready:\n{errors.read()[-4000:]}")
                yield json.loads(line)
            finally:
                child.terminate()
                child.wait(timeout=30)


def threads(pid: int) -> dict[int, ThreadUse]:
    """Every thread of a process by its kernel id (Linux)."""
    found = {}
    for folder in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that ended meanwhile
            found[int(folder.name)] = _thread(folder)
    return found


def cpu_ns(pid: int) -> int:
    """CPU time of the process's living threads, to the nanosecond, where `times()` counts in clock ticks."""
    return sum(thread.cpu_ns for thread in threads(pid).values())


def _thread(folder: Path) -> ThreadUse:
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    return ThreadUse(
        name=status["Name"].strip(),
        cpu_ns=int((folder / "schedstat").read_text().split()[0]),
        wake_ups=int(status["voluntary_ctxt_switches"]),
        preempted=int(status["nonvoluntary_ctxt_switches"]),
    )
