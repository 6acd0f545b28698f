"""Turns of a uvloop loop, read out of libuv's own state by the watchdog: nothing at all runs on the loop.

What it rests on (libuv 1.48, src/unix/core.c `uv_run` and src/unix/linux.c `uv__io_poll`):
- the turn count (`uv_metrics_info`) grows just before each poll, and only there;
- the loop's clock (`uv_now`, whole milliseconds) is set when a poll returns, and once more before timers run.
So within one count the loop first waits and then runs, and a clock that moved while the count stood still means that the
poll has returned. An unchanged pair is either a wait or a stall: the thread's system call tells which.

Guarantees:
- libuv's memory dies with the loop, and reading it then would crash the process. The watchdog reads it only between
  `_reading = True` and `_reading = False`, and `detach` sets `_detached` and then waits until `_reading` is False: under
  the GIL one of the two always sees the other's flag first. A loop is not closed while `detach` is under way
  (`loopwatch.loops.Loops.closing` waits for it), and a callback on the loop itself runs only while it lives;
- `PyDLL`, not `CDLL`: a call that gave up the GIL would get it back 5 ms later under load.
"""

import ctypes
import os
import sys
from collections import deque
from typing import Any

from loopwatch.clocks import time
from loopwatch.heartbeats.base import drained
from loopwatch.observations import Reading, Turn
from loopwatch.probes.threads import ThreadProbe
from loopwatch.records import LoopInfo

__all__ = ["LibuvHeartbeat"]

CLOCK_STEP_NS = 1_000_000
"""`uv_now` counts whole milliseconds."""
POLLS = frozenset({"epoll_wait", "epoll_pwait", "epoll_pwait2"})
DETACH_PATIENCE_S = 1.0
"""A watchdog thread that was frozen by the interpreter's shutdown never clears its flag."""


class _Metrics(ctypes.Structure):
    _fields_ = (
        ("loop_count", ctypes.c_uint64),
        ("events", ctypes.c_uint64),
        ("events_waiting", ctypes.c_uint64),
        ("reserved", ctypes.c_void_p * 13),
    )


class Libuv:
    """The three functions of uvloop's shared object that loopwatch calls."""

    def __init__(self, path: str) -> None:
        library = ctypes.PyDLL(path)
        self.now = library.uv_now
        self.now.restype, self.now.argtypes = ctypes.c_uint64, (ctypes.c_void_p,)
        self.metrics = library.uv_metrics_info
        self.metrics.restype, self.metrics.argtypes = ctypes.c_int, (ctypes.c_void_p, ctypes.c_void_p)
        self.backend_fd = library.uv_backend_fd
        self.backend_fd.restype, self.backend_fd.argtypes = ctypes.c_int, (ctypes.c_void_p,)


def load() -> Libuv | None:
    """libuv as uvloop carries it; None where uvloop is not loaded or hides the symbols."""
    module = sys.modules.get("uvloop.loop")
    if module is None or not hasattr(module, "libuv_get_loop_t_ptr"):
        return None
    try:
        return Libuv(str(module.__file__))
    except (OSError, AttributeError):
        return None


def pointer_of(loop: Any) -> int:
    """The address of the loop's `uv_loop_t`; 0 if it has none."""
    capsule = sys.modules["uvloop.loop"].libuv_get_loop_t_ptr(loop)
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    return get_pointer(capsule, None) or 0


class LibuvHeartbeat:
    """The heartbeat of a `uvloop.Loop`. Implements `Heartbeat`."""

    records_turns = False

    def __init__(self, loop: Any, info: LoopInfo, limit_ns: int, libuv: Libuv, probe: ThreadProbe) -> None:
        self.info = info
        self.limit_ns = limit_ns
        self._loop: Any = loop
        self._libuv = libuv
        self._probe = probe
        self._pointer = pointer_of(loop)
        self._backend_fd = libuv.backend_fd(self._pointer)
        # One buffer per thread: the loop's own reading must not land between the watchdog's call and its look.
        self._watchdog_side, self._loop_side = _Metrics(), _Metrics()
        self._reading = self._detached = False
        self._marks: deque[tuple[int, int, int]] = deque(maxlen=64)
        self._turns: deque[Turn] = deque(maxlen=1024)
        self._began_ns = 0
        # The watchdog's view of the present turn.
        self._count = -1
        self._clock_ns = 0
        self._since_ns: int | None = None
        self._exact = True
        self._known = ""  # "" (either), "waits" or "runs"
        self._seen_ns = 0

    def attach(self) -> None:
        self._began_ns = time.monotonic_ns()

    def detach(self) -> None:
        self._detached = True
        deadline = time.monotonic() + DETACH_PATIENCE_S
        # A fork copies `_reading` but not the thread that would clear it.
        while self._reading and os.getpid() == self.info.pid and time.monotonic() < deadline:
            time.sleep(0.0001)
        ended = time.monotonic_ns()
        count, clock_ns = self._raw(self._loop_side)
        if count != self._count:  # the watchdog has not looked since
            self._next_turn(count, clock_ns, ended)
        elif clock_ns != self._clock_ns:
            self._poll_returned(clock_ns)
        self._known = "runs"  # it has not polled again, or it would not be here
        self._close(ended, exact=True)
        self._loop = None

    def _raw(self, into: _Metrics) -> tuple[int, int]:
        self._libuv.metrics(self._pointer, ctypes.byref(into))
        return into.loop_count, self._libuv.now(self._pointer) * CLOCK_STEP_NS

    def _read_guarded(self) -> tuple[int, int] | None:
        """The watchdog's half of the handshake with `detach`; None: the loop is gone."""
        self._reading = True
        try:
            return None if self._detached else self._raw(self._watchdog_side)
        finally:
            self._reading = False

    def read(self, now_ns: int) -> Reading:
        read = self._read_guarded()
        if read is None:
            return Reading(self._count, None)
        count, clock_ns = read
        if count != self._count:
            self._next_turn(count, clock_ns, now_ns)
        elif clock_ns != self._clock_ns:
            self._poll_returned(clock_ns)
        self._clock_ns, self._seen_ns = clock_ns, now_ns
        return Reading(count, None if self._known == "waits" else self._since_ns, self._exact)

    def quiet_turn(self, now_ns: int) -> int | None:
        reading = self.read(now_ns)
        if reading.since_ns is not None and self.running(reading, None):
            return None
        return None if self._turns else reading.turn

    def _next_turn(self, count: int, clock_ns: int, now_ns: int) -> None:
        self._settle(count, clock_ns, now_ns)
        self._count, self._known, self._exact = count, "", True
        self._since_ns = self._start(clock_ns)

    def _start(self, clock_ns: int) -> int:
        # The clock is cut to whole milliseconds: half a step is the middle of what it may have been.
        return max(clock_ns + CLOCK_STEP_NS // 2, self._began_ns)

    def _poll_returned(self, clock_ns: int) -> None:
        if self._known == "runs":
            return  # the clock is set again before timers run, in the same turn
        # It waited, or it ran for a moment that nobody confirmed: then the start is a bound.
        self._exact = self._known == "waits"
        self._known, self._since_ns = "", self._start(clock_ns)

    def running(self, reading: Reading, stack_empty: bool | None) -> bool:
        if self._known:
            return self._known == "runs"
        call = self._probe.syscall()
        if call is None:  # no such evidence on this platform: a frame inside the loop means that it runs
            if stack_empty is None:
                return True
            waits = stack_empty
        else:
            waits = call.name in POLLS and call.fd == self._backend_fd
        # The system call was read a moment later: it speaks for this reading only if nothing moved in between.
        again = self.read(time.monotonic_ns())
        if again.turn != reading.turn or again.since_ns != reading.since_ns:
            return False
        self._known = "waits" if waits else "runs"
        return not waits

    def expect_end(self, turn: int) -> None:
        loop = self._loop
        try:
            if loop is not None and not self._detached:
                loop.call_soon_threadsafe(self._mark)
        except RuntimeError:
            pass  # closed in the meantime: `detach` has told the end

    def _mark(self) -> None:
        """On the loop: note which turn this is. A callback may still belong to the stalled turn; then ask once more."""
        if self._detached:
            return
        count, clock_ns = self._raw(self._loop_side)
        self._marks.append((count, clock_ns, time.monotonic_ns()))
        if count == self._count and self._known == "runs":
            self._loop.call_soon(self._mark)

    def _settle(self, count: int, clock_ns: int, now_ns: int) -> None:
        """The turn that was under way is over: close it as exactly as can be told.

        It ended after it was last seen, and before the present turn's clock was set; a callback that ran in the very next
        turn narrows that. Where much may have happened in between, it has lasted only as long as it was seen.
        """
        if self._known != "runs":
            return
        latest = min(now_ns, clock_ns + CLOCK_STEP_NS)
        for marked, mark_clock_ns, at_ns in self._marks:
            if marked == self._count + 1:
                latest = min(latest, at_ns, mark_clock_ns + CLOCK_STEP_NS)
        told = any(marked == self._count + 1 for marked, _, _ in self._marks)
        self._marks.clear()
        earliest = self._seen_ns
        if told or latest - earliest < self.limit_ns // 4:
            self._close(max(latest, earliest), exact=told or 0 <= latest - earliest < 2 * CLOCK_STEP_NS)
        else:
            self._close(earliest, exact=False)

    def _close(self, ended: int, exact: bool) -> None:
        since = self._since_ns
        if self._known == "runs" and since is not None and ended - since > self.limit_ns:
            self._turns.append(Turn(self._count, since, ended, exact=exact and self._exact))
        self._known = "waits"

    def finished(self) -> list[Turn]:
        return drained(self._turns)

    def ready(self) -> int | None:
        """uvloop keeps its ready queue to itself."""
        return None

    def busy_ns(self, now_ns: int) -> int | None:
        """libuv would have to be told to measure it, which costs an extra poll per wait: the CPU clock must do."""
        return None
