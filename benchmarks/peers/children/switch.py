"""Switching a tool on as `benchmarks.accuracy` does, around a loop that is measured."""

import inspect
from typing import Any

from benchmarks.accuracy import adapters

__all__ = ["NOBODY", "THRESHOLD_MS", "before", "inside", "tool"]

NOBODY = "null"
"""The tool that does nothing: what the others are compared with."""
THRESHOLD_MS = 100.0


def tool(name: str) -> adapters.Detector:
    return adapters.load(name)


def before(detector: adapters.Detector) -> None:
    """On the loop's thread, before the loop runs."""
    if not detector.inside:
        detector.start(THRESHOLD_MS)


async def inside(detector: adapters.Detector) -> None:
    """On the loop, first thing."""
    if detector.inside:
        answer: Any = detector.start(THRESHOLD_MS)
        if inspect.isawaitable(answer):
            await answer
