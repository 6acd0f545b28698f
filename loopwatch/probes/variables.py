"""A frame on another thread's stack, one local variable of it, and one attribute of an object.

CPython 3.12+ has `PyFrame_GetVarString` (Objects/frameobject.c) for it; it keeps the GIL and copies nothing else. On 3.11 there
is only `f_locals`, which copies all locals into a dict that lives as long as the frame: use it on few frames, with few locals.
"""

import ctypes
import sys
from types import CodeType, FrameType
from typing import Any

__all__ = ["attribute", "frame_of", "variable"]

MAX_FRAMES = 200


def attribute(value: Any, name: str) -> Any:
    """An attribute straight from the instance, None if it has none: a property would run the program's code on the watchdog."""
    try:
        return object.__getattribute__(value, "__dict__").get(name)
    except AttributeError:
        return None


def frame_of(frame: FrameType | None, code: CodeType | None) -> FrameType | None:
    """The innermost frame of that code, from `frame` outwards; None: it is not on the stack, or lies too deep."""
    for _ in range(MAX_FRAMES):
        if frame is None or frame.f_code is code:
            return frame
        frame = frame.f_back
    return None


if sys.version_info >= (3, 12):
    _get = ctypes.pythonapi.PyFrame_GetVarString
    _get.restype, _get.argtypes = ctypes.py_object, (ctypes.py_object, ctypes.c_char_p)

    def variable(frame: FrameType, name: str) -> Any:
        """The variable's value.

        Raises:
            NameError: there is none, or it has no value yet.
        """
        return _get(frame, name.encode())

else:

    def variable(frame: FrameType, name: str) -> Any:
        """The variable's value; None if there is none."""
        return frame.f_locals.get(name)
