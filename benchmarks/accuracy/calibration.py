"""Finds the size at which a case takes a quarter of a second on this machine, before any detector runs."""

import asyncio
import inspect
from time import perf_counter
from typing import Any

from benchmarks.accuracy.case import Case, Run, Setup

__all__ = ["calibrated"]

TARGET_S = 0.25
GOOD_S = (0.19, 0.33)
"""Wide enough to be found in a few steps, and well within 150 to 400 ms on a machine whose speed varies."""
STEPS = 10
LARGEST_STEP = 20.0
"""A first guess may be far off, and a measurement of microseconds is mostly noise: do not trust it further."""


def calibrated(case: Case, setup: Setup, found: int | None = None) -> tuple[Any, int]:
    """The case's data and its size. Nothing but `make` runs where there is nothing to calibrate.

    Args:
        case: What to calibrate.
        setup: What its `make` may use; the size in it is not looked at.
        found: The size that another process found on this machine: it is taken, after one go to warm up.
    """
    size = found or case.size or 0
    data = _make(case, setup, size)
    if case.size is None:
        return data, size
    work = case.work or case.body
    if found:
        _timed(work, Run("calibration", data, size, TARGET_S, setup.services))
        return data, size
    for _ in range(STEPS):
        took = min(_timed(work, Run("calibration", data, size, TARGET_S, setup.services)) for _ in range(2))
        if GOOD_S[0] <= took <= GOOD_S[1]:
            break
        factor = (TARGET_S / took) ** (1 / case.degree)
        size = max(1, int(size * min(LARGEST_STEP, max(1 / LARGEST_STEP, factor))))
        data = _make(case, setup, size)
    return data, size


def _make(case: Case, setup: Setup, size: int) -> Any:
    return case.make(Setup(size, setup.services, setup.folder, setup.closing)) if case.make else None


def _timed(work: Any, run: Run) -> float:
    """Seconds of one go: the blocker's own measurement where it makes one."""
    began = perf_counter()
    if inspect.iscoroutinefunction(work):
        asyncio.run(work(run))
    else:
        work(run)
    took = perf_counter() - began
    return run.truths[-1].duration_ms / 1000 if run.truths else took
