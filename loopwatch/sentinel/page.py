"""The page that the watchdog and the sentinel share: one page of memory, passed to the other process as a descriptor.

Only the watchdog's thread writes, only the sentinel reads, and neither ever waits for the other. There is no lock: each field is
aligned and copied whole (struct's native mode), and fields that do not belong together cost a look too many at worst.
Times are nanoseconds of the monotonic clock, which all processes of a machine share (clock_gettime(2)).
"""

import mmap
import os
import struct
from collections.abc import Iterable

__all__ = ["Limits", "Loop", "Page", "Reader", "Stamp"]

SIZE = mmap.PAGESIZE
MAX_LOOPS = 32

Stamp = tuple[int, int, int, int, int]
"""When the watchdog looked; when it is to look next (0: not before a loop starts); of the oldest turn under way, the kernel's
id of its thread (0: none is) and since when; how often the watchdog's thread had gone to sleep by then."""
Limits = tuple[int, int, int, int]
"""The kernel's id of the watchdog's thread; how long a stall is at least; how long one is when it is announced (0: never is);
after how long a thread asks for the GIL (`sys.getswitchinterval`)."""
Loop = tuple[int, str, str]
"""The kernel's id of a loop's thread, the loop's backend, the thread's name."""

_STAMP, _LIMITS, _COUNT, _LOOP = (struct.Struct(form) for form in ("@QQQQQ", "@QQQQ", "@Q", "@Q24s48s"))
_LIMITS_AT = _STAMP.size
_COUNT_AT = _LIMITS_AT + _LIMITS.size
_LOOPS_AT = _COUNT_AT + _COUNT.size


class Page:
    """The watchdog's end. All but `close` is its thread's."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("loopwatch-sentinel")
        os.ftruncate(self.fd, SIZE)
        self._memory = mmap.mmap(self.fd, SIZE)

    def stamp(self, stamp: Stamp) -> None:
        """A look is over."""
        _STAMP.pack_into(self._memory, 0, *stamp)

    def describe(self, limits: Limits, loops: Iterable[Loop]) -> None:
        """What the sentinel goes by, and who is watched; written when it changes."""
        listed = list(loops)[:MAX_LOOPS]
        for number, (thread, backend, name) in enumerate(listed):
            at = _LOOPS_AT + number * _LOOP.size
            _LOOP.pack_into(self._memory, at, thread, backend.encode()[-24:], name.encode()[:48])
        _COUNT.pack_into(self._memory, _COUNT_AT, len(listed))
        _LIMITS.pack_into(self._memory, _LIMITS_AT, *limits)

    def close(self) -> None:
        """Give the descriptor back. The memory goes with this object: the watchdog may be writing on it right now."""
        os.close(self.fd)


class Reader:
    """The sentinel's end."""

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, SIZE, prot=mmap.PROT_READ)

    def stamp(self) -> Stamp:
        """The watchdog's latest."""
        return _STAMP.unpack_from(self._memory, 0)

    def limits(self) -> Limits:
        """What to go by."""
        return _LIMITS.unpack_from(self._memory, _LIMITS_AT)

    def loops(self) -> list[Loop]:
        """Who is watched."""
        (count,) = _COUNT.unpack_from(self._memory, _COUNT_AT)
        rows = (
            _LOOP.unpack_from(self._memory, _LOOPS_AT + number * _LOOP.size) for number in range(min(count, MAX_LOOPS))
        )
        return [(thread, _text(backend), _text(name)) for thread, backend, name in rows]


def _text(padded: bytes) -> str:
    return padded.rstrip(b"\0").decode(errors="replace")
