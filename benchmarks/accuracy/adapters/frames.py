"""What the adapters have in common: stacks as text, and the two clocks."""

import re
import time
from collections.abc import Iterable

__all__ = ["Frame", "frames_of", "monotonic_ns", "place"]

Frame = tuple[str, int]
"""File and line."""

FRAME = re.compile(r'File:? "([^"]+)", line (\d+)')
"""A frame as tracebacks print it, and aiodebug nearly so."""


def frames_of(text: str) -> tuple[Frame, ...]:
    """Every frame of a printed stack, in its order."""
    return tuple((file, int(line)) for file, line in FRAME.findall(text))


def monotonic_ns(wall_s: float) -> int:
    """A moment of the wall clock (seconds since 1970) by the monotonic one; both are read now."""
    return time.monotonic_ns() - (time.time_ns() - int(wall_s * 1e9))


def place(frames: Iterable[Frame]) -> tuple[str | None, int | None]:
    """The last of them, or no place."""
    return ([*frames] or [(None, None)])[-1]
