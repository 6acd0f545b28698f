"""What the watchdog needs to know of a loop: is it busy, and since when?"""

import os
import threading
from collections import deque
from typing import Any, Protocol

from loopwatch.observations import Reading, Turn
from loopwatch.probes.trio import TrioRun
from loopwatch.records import LoopInfo

__all__ = ["Heartbeat", "describe", "drained"]


class Heartbeat(Protocol):
    """One run of one loop (from `run_forever` to its return), seen from outside.

    Threads: `attach` and `detach` are called on the loop's thread, all else by the watchdog. Nothing here takes a lock,
    and nothing that runs on the loop's thread does I/O or raises.
    """

    info: LoopInfo
    limit_ns: int
    """Turns longer than this are kept for `finished`. The engine writes it, the loop side reads it."""
    records_turns: bool
    """Whether the loop side itself records every finished turn, also one that the watchdog slept through."""

    def attach(self) -> None:
        """Start: the first turn begins now."""

    def detach(self) -> None:
        """End: the last turn ends now, and all that was installed is taken away again."""

    def read(self, now_ns: int) -> Reading:
        """Busy since when? No I/O, so that a frame taken just before belongs to the same moment."""

    def quiet_turn(self, now_ns: int) -> int | None:
        """The turn after which the loop waits, with nothing to tell: all that most looks need to know. None: look closer.

        It may ask the kernel, once per turn: a look that goes on takes its frames afterwards.
        """

    def running(self, reading: Reading, stack_empty: bool | None) -> bool:
        """Whether `reading`, which looks busy, truly is.

        Args:
            reading: What `read` has just said.
            stack_empty: Whether the thread's stack had no Python frame within the loop; None: it was not looked at.
        """

    def finished(self) -> list[Turn]:
        """The turns over the limit that ended since the last call."""

    def expect_end(self, turn: int) -> None:
        """A stall is under way in this turn: see to it that its end will be known exactly, if that takes doing."""

    def ready(self) -> int | None:
        """How many callbacks are ready to run; None where the loop does not show them."""

    def busy_ns(self, now_ns: int) -> int | None:
        """Total time spent in turns so far; None where only the CPU clock can tell."""


def drained(turns: deque[Turn]) -> list[Turn]:
    """Take out all that are there. The loop's thread may append meanwhile: under the GIL neither loses one."""
    taken = []
    while turns:
        taken.append(turns.popleft())
    return taken


def describe(loop: Any) -> LoopInfo:
    """Facts about a loop that the calling thread runs."""
    thread = threading.current_thread()
    return LoopInfo(
        backend="trio" if type(loop) is TrioRun else backend_name(type(loop)),
        thread=thread.name,
        thread_id=threading.get_ident(),
        native_id=threading.get_native_id(),
        pid=os.getpid(),
    )


def backend_name(loop_type: type) -> str:
    """ "asyncio" or "uvloop" for these and their subclasses, else the top module of the loop's class."""
    tops = [base.__module__.partition(".")[0] for base in loop_type.__mro__ if base is not object]
    for known in ("uvloop", "asyncio"):
        # Every loop derives from asyncio.AbstractEventLoop: asyncio itself counts only if nothing else claims it.
        if known in tops and (known != "asyncio" or _is_stdlib_loop(loop_type)):
            return known
    return tops[0]


def _is_stdlib_loop(loop_type: type) -> bool:
    return any(base.__module__ == "asyncio.base_events" for base in loop_type.__mro__)
