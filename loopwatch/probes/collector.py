"""The collector's pause while other threads' frames are walked, on Python 3.11.

There every new object may set off a collection, also the frame objects that `sys._current_frames()` and `f_back` make. If that
collection gives up the GIL (a callback, a destructor), the other thread runs on, the frame that was being made an object of is
gone, and `_PyFrame_MakeAndSetFrameObject` (CPython 3.11, Python/frame.c) goes on in memory that holds something else by then: it
returns whatever lies there, or overwrites it. From 3.12 on collections wait for the next bytecode.
"""

import contextlib
import gc
import sys
from contextlib import AbstractContextManager

__all__ = ["NO_COLLECTION"]


class _Pause:
    """For one thread, and not within itself."""

    __slots__ = ("_was_on",)

    def __enter__(self) -> None:
        self._was_on = gc.isenabled()
        gc.disable()

    def __exit__(self, *_error: object) -> None:
        if self._was_on:
            gc.enable()


NO_COLLECTION: AbstractContextManager[None] = _Pause() if sys.version_info < (3, 12) else contextlib.nullcontext()
"""For the watchdog's thread, around taking frames, walking them and letting them go."""
