"""What the sensing tests share: a run on a loop of either kind, and a block that keeps its own time."""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

import loopwatch
from loopwatch.records import Cause, Stall

__all__ = [
    "Blocker",
    "assert_another_thread_is_blamed",
    "assert_duration",
    "burn",
    "describe",
    "only",
    "ours",
    "run",
    "stall_of",
]

HOST = {Cause.STARVED, Cause.SUSPENDED}
"""Causes that are the machine's: on a busy one they may appear at any moment, and no test here makes them."""


def run(main: Callable[[], Coroutine[Any, Any, Any]], backend: str) -> Any:
    """Runs a coroutine function on a new loop, as `asyncio.run` does; or with `trio.run`, for a function that suits both."""
    if backend == "trio":
        import trio

        return trio.run(main)
    factory: Any = asyncio.SelectorEventLoop
    if backend == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main())


def burn(seconds: float) -> None:
    """Keeps the CPU busy with Python code."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


@dataclass
class Blocker:
    """Blocks, and remembers for how long it did by its own clock, in milliseconds."""

    act: Callable[[], Any] = lambda: time.sleep(0.2)
    took_ms: list[float] = field(default_factory=list)

    def __call__(self) -> None:
        began = time.monotonic()
        self.act()
        self.took_ms.append((time.monotonic() - began) * 1000)


def ours(stalls: Iterable[Stall]) -> list[Stall]:
    """The stalls that the test made."""
    return [stall for stall in stalls if stall.cause not in HOST]


def only(stalls: Iterable[Stall]) -> Stall:
    """The one stall that the test made."""
    everything = list(stalls)
    found = ours(everything)
    assert len(found) == 1, "\n".join([f"{len(everything)} stalls in all", *map(describe, everything)])
    return found[0]


def stall_of(main: Callable[[], Coroutine[Any, Any, Any]], backend: str) -> Stall:
    """Runs a coroutine function under a watch; returns the one stall that it caused.

    On a busy machine a block that needs the CPU may be starved of it, and is then said to be: once more, in that case.
    """
    for _ in range(4):
        stalls: list[Stall] = []
        with loopwatch.watching(threshold_ms=100, ongoing_ms=None, sinks=[stalls.append]) as watch:
            run(main, backend)
            assert watch.flush(timeout=10)
            suspended = watch.stats().suspended
        if {stall.cause for stall in stalls} != {Cause.STARVED}:
            assert suspended == 0, "taken for a pause of the whole process"
            return only(stalls)
    pytest.skip("this machine has no core to spare")


def assert_duration(stall: Stall, took_ms: float, over_ms: float = 25) -> None:
    """Asserts that a stall lasted as long as the block did.

    Not shorter than the clocks' grain allows (uvloop's is 1 ms), and longer by what else a busy machine puts into a turn.
    """
    under_ms = 2.5 if stall.timing == "exact" else 30
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    shown = f"{took_ms:.1f} ms by the blocker; {describe(stall)}"
    assert took_ms - under_ms <= stall.duration_ms <= took_ms + over_ms * max(1, load), shown


def assert_another_thread_is_blamed(stall: Stall, function: str) -> None:
    """Asserts that the loop is said to have been kept from running, by no line of its own; if one is named, in `function`."""
    assert stall.cause in (Cause.GIL, Cause.UNKNOWN), describe(stall)
    assert stall.origin is None or stall.origin.function.endswith(function), describe(stall)
    assert stall.holder is None or stall.holder.native_id != stall.loop.native_id
    assert stall.own_ms <= 0.3 * stall.duration_ms or stall.cause is Cause.UNKNOWN, describe(stall)


def describe(stall: Stall) -> str:
    """A stall in one line, for a failing test to show."""
    where = stall.origin and f"{stall.origin.file}:{stall.origin.line}"
    return (
        f"{stall.id} {stall.state} {stall.duration_ms:.1f} ms {stall.timing} {stall.cause} at {where}: {stall.evidence}"
    )
