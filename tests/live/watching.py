"""What the tests ask of a watch within their own process, and of what loopwatch has installed there."""

import asyncio
import gc
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from loopwatch import Stall, Watch
from loopwatch.records import Cause

from .apps import loops
from .processes import until

__all__ = ["blamed", "blocks", "describe", "installed", "left_as_found"]

MACHINE = {Cause.STARVED, Cause.SUSPENDED, Cause.GC}
"""Causes that a busy machine or a large test run may add anywhere."""


def blamed(stalls: Iterable[Stall]) -> list[Stall]:
    """Those that are said to be the code's doing."""
    return [stall for stall in stalls if stall.cause not in MACHINE]


def blocks(watch: Watch) -> list[Stall]:
    """The stalls that `loops.block` made; fails if the code is blamed for any other."""
    assert watch.flush(timeout=10)
    found = blamed(watch.stalls)
    for stall in found:
        assert stall.origin is not None, describe(stall)
        assert (stall.origin.file, stall.origin.line) == (loops.__file__, loops.BLOCK_LINE), describe(stall)
        assert stall.duration_ms >= 1000 * loops.BLOCK_S - 5, describe(stall)
    return found


def describe(stall: Stall) -> str:
    """A stall in one line, for a failing test to show."""
    where = stall.origin and f"{stall.origin.file}:{stall.origin.line}"
    return f"{stall.loop.backend} in {stall.loop.thread}: {stall.duration_ms:.0f} ms {stall.cause} at {where}: {stall.evidence}"


def installed() -> dict[str, Any]:
    """All that loopwatch may put into a process, as it is now."""
    places = {"asyncio.BaseEventLoop": dict(vars(asyncio.BaseEventLoop))}
    if "uvloop" in sys.modules:
        places["uvloop.Loop"] = dict(vars(sys.modules["uvloop"].Loop))
    if "trio" in sys.modules:
        places["trio"] = {"setup_runner": sys.modules["trio._core._run"].setup_runner}
    return {
        **places,
        "finders": list(sys.meta_path),
        "gc.callbacks": list(gc.callbacks),
        "threads": {thread.name for thread in threading.enumerate()},
        "switch interval": sys.getswitchinterval(),
        "open files": len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None,
    }


@contextmanager
def left_as_found() -> Iterator[None]:
    """Checks that the process is afterwards as it was before, within the moment that threads take to end."""
    before = installed()
    yield
    until(lambda: installed() == before, 10, f"return from {installed()} to {before}")
