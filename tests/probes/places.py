"""Places in code: where a function stands, and what the resolver says of it."""

import dis
import sys

from loopwatch.probes.code import Resolver

__all__ = ["at", "at_call_of_helper", "here", "offset_of"]


def here():
    """Where the caller stands."""
    frame = sys._getframe(1)
    return frame.f_code, frame.f_lasti


def offset_of(function, *names):
    """The offset of the last instruction of one of these names."""
    found = [one.offset for one in dis.get_instructions(function.__code__) if one.opname in names]
    return found[-1]


def at(place, module="shop"):
    """The frame at a place."""
    return Resolver().frame(*place, module)


def at_call_of_helper(function):
    """The frame of `function` while it calls `helper()`, its last call."""
    return at((function.__code__, offset_of(function, "CALL")))
