"""What the sentinel says of a process that is frozen with the GIL kept: the event `event_loop_stalled`, as far as it can know.

Pure. The keys are those of `loopwatch.sinks.event`, so that one query finds both; what only the process itself knows is null.
"""

import os
import time

from loopwatch.sentinel.kernel import Clocks
from loopwatch.sentinel.page import Loop
from loopwatch.sentinel.spying import Thread

__all__ = ["Situation", "event_of"]

BUSY = 0.5
MAX_STACK = 64
_RUNS_LOOP = ("BaseEventLoop._run_once", "_watched.<locals>.run_forever")
"""Functions that run loops: asyncio's, and the wrapper of `loopwatch.attach`."""
_STDLIB = os.path.dirname(os.__file__) + os.sep
_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


class Situation:
    """All that is known. Nanoseconds of the monotonic clock.

    Args:
        process: Its id.
        loop: The one whose turn is the oldest.
        since_ns: When that turn began, or when the watchdog last looked.
        now_ns: The time.
        kept_ns: For how long the watchdog has been kept out.
        threshold_ns: How long a stall is.
        threads: Of the dump taken meanwhile; None: there is none.
        spent: What the clocks of the loop's thread have grown by; None: not known.
        spent_ns: In which time.
    """

    def __init__(
        self,
        process: int,
        loop: Loop,
        since_ns: int,
        now_ns: int,
        kept_ns: int,
        threshold_ns: int,
        threads: list[Thread] | None,
        spent: Clocks | None,
        spent_ns: int,
    ) -> None:
        self.process = process
        self.loop = loop
        self.since_ns = since_ns
        self.now_ns = now_ns
        self.kept_ns = kept_ns
        self.threshold_ns = threshold_ns
        self.threads = threads
        self.spent = spent
        self.spent_ns = max(1, spent_ns)

    @property
    def holder(self) -> Thread | None:
        """The thread that has the GIL; None: nobody knows."""
        return next((one for one in self.threads or () if one[2]), None)

    @property
    def foreign(self) -> bool:
        """Whether that is another thread than the loop's."""
        return self.holder is not None and self.holder[0] != self.loop[0]


def event_of(seen: Situation, wall_s: float) -> dict[str, object]:
    """The event's keys and values; `wall_s` is the present time since the epoch."""
    lasted_ms = round((seen.now_ns - seen.since_ns) / 1e6, 1)
    cause, evidence, confidence = _verdict(seen)
    frames = seen.holder[3] if seen.holder is not None else []
    file, function, line = next((one for one in frames if _is_app(one[0])), frames[0] if frames else (None, None, None))
    unknown = dict.fromkeys(
        ("expression", "call", "method", "route", "endpoint", "task", "waiting", "advice", "fingerprint")
    )
    return {
        "event": "event_loop_stalled",
        "level": "warning",
        "timestamp": _utc(wall_s),
        "stall_id": None,
        "duration_ms": lasted_ms,
        "own_ms": None,
        "threshold_ms": seen.threshold_ns / 1e6,
        "timing": "bounded",
        "cause": cause,
        "evidence": evidence,
        "confidence": confidence,
        "file": file,
        "line": line,
        "function": function,
        "exact": True if frames else None,
        **unknown,
        "started_at": _utc(wall_s - lasted_ms / 1e3),
        "loop": seen.loop[1],
        "thread": seen.loop[2],
        "pid": seen.process,
        "stack": [f"{one[0]}:{one[2]} {one[1]}" for one in _of_turn(frames)[:MAX_STACK][::-1]],
        "holder": seen.holder[1] if seen.holder is not None and seen.foreign else None,
        "told_by": "sentinel",
    }


def _verdict(seen: Situation) -> tuple[str, str, float]:
    kept = f"no other thread has got the GIL for {seen.kept_ns / 1e6:.0f} ms"
    if seen.foreign:
        return "gil", f"{kept}: thread {seen.holder[1]!r} has it", 0.9  # type: ignore[index]
    if seen.holder is None:
        return "unknown", f"{kept}; no stack of this process could be read", 0.0
    if seen.spent is None:
        return "unknown", f"{kept}: the loop's thread has it; its clocks cannot be read", 0.0
    ran, waited = (min(1.0, part / seen.spent_ns) for part in seen.spent)
    clock = f"{kept}: the loop's thread has it, and was on the CPU for {ran:.0%} of the time"
    if ran >= BUSY:
        return "native", clock, 0.9
    if waited >= BUSY:
        return "starved", f"{clock}, and waited for a core for {waited:.0%}", 0.9
    return "unknown", f"{clock}: it waits for something in C code that keeps the GIL", 0.3


def _of_turn(frames: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """What the loop itself had called; innermost first."""
    end = next((index for index, one in enumerate(frames) if one[1] in _RUNS_LOOP), len(frames))
    return frames[:end]


def _is_app(file: str) -> bool:
    """Whether it is the program's own code, as far as its path tells."""
    return not (file.startswith(("<frozen", _STDLIB, _OWN)) or any(folder in file for folder in _INSTALLED))


def _utc(seconds: float) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{int(seconds % 1 * 1e6):06d}+00:00"
