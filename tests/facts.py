"""Hand-made facts, with what a test does not care about filled in.

Times are milliseconds, and count from the start of the stall: `at_ms=50` is 50 ms into it.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from loopwatch.observations import Allowance, Collection, Hold, Observation, Sample, Saturation, Syscall, Vitals
from loopwatch.records import Cause, Frame, Incident, LoopInfo, Origin, PoolReading, RequestInfo, Share, Stall, Waiting

__all__ = [
    "LOOP",
    "START_NS",
    "allowance",
    "at_ns",
    "call",
    "closed",
    "collection",
    "frame",
    "hold",
    "incident",
    "library",
    "observation",
    "ongoing",
    "origin",
    "sample",
    "samples",
    "saturation",
    "share",
    "stall",
    "vitals",
]

START_NS = 1_000_000_000_000
"""Of every stall, on the monotonic clock."""
LOOP = LoopInfo(backend="asyncio", thread="MainThread", thread_id=7, native_id=77, pid=777)
STARTED_AT = datetime(2026, 1, 1, tzinfo=UTC)


def at_ns(at_ms: float) -> int:
    """So many milliseconds into the stall, on the monotonic clock."""
    return START_NS + ns(at_ms)


def ns(ms: float | None) -> Any:
    """Nanoseconds; None stays None: not known."""
    return None if ms is None else round(ms * 1e6)


# ── raw facts ───────────────────────────────────────────────────────────────────────────────────────────────────────


def frame(function: str = "handler", line: int = 10, **fields: Any) -> Frame:
    """A frame of the user's code."""
    return Frame(**{"file": "/srv/shop.py", "module": "shop", "function": function, "line": line, **fields})


def library(dotted: str = "requests.api.get", line: int = 73, **fields: Any) -> Frame:
    """A frame of an installed library's code: `module.function`."""
    module, _, function = dotted.rpartition(".")
    file = f"/env/site-packages/{module.replace('.', '/')}.py"
    return frame(function, line, **{"file": file, "module": module, "kind": "library", **fields})


def call(name: str, target: str | None = None) -> Syscall:
    """A system call, and what its file descriptor is."""
    return Syscall(name, target)


def sample(
    at_ms: float = 50,
    *stack: Frame,
    late_ms: float = 0,
    cpu_ms: float | None = None,
    runqueue_ms: float | None = None,
    process_cpu_ms: float | None = None,
    **fields: Any,
) -> Sample:
    """One sample; its clocks say what they had counted since the stall began. Without a stack: of `handler`."""
    return Sample(
        at_ns=at_ns(at_ms),
        late_ns=ns(late_ms),
        stack=stack or (frame(),),
        cpu_ns=ns(cpu_ms),
        runqueue_ns=ns(runqueue_ms),
        process_cpu_ns=ns(process_cpu_ms),
        **fields,
    )


def samples(
    *stack: Frame,
    until_ms: float = 400,
    every_ms: float = 50,
    cpu: float | None = None,
    others: float = 0.0,
    runqueue: float | None = None,
    **fields: Any,
) -> tuple[Sample, ...]:
    """Samples at equal distances, on whose clocks the thread takes such shares of the wall time."""
    times = [every_ms * number for number in range(1, int(until_ms / every_ms) + 1)]
    return tuple(
        sample(
            at,
            *stack,
            cpu_ms=None if cpu is None else cpu * at,
            process_cpu_ms=None if cpu is None else (cpu + others) * at,
            runqueue_ms=None if runqueue is None else runqueue * at,
            **fields,
        )
        for at in times
    )


def vitals(
    wall_ms: float = 400,
    cpu_ms: float | None = None,
    runqueue_ms: float | None = None,
    other_cpu_ms: float | None = None,
    late_ms: float = 0,
    **fields: Any,
) -> Vitals:
    """What the machine says of the whole stall; by `late_ms` the watchdog was kept from the GIL."""
    return Vitals(
        wall_ns=ns(wall_ms),
        cpu_ns=ns(cpu_ms),
        runqueue_ns=ns(runqueue_ms),
        other_cpu_ns=ns(other_cpu_ms),
        watchdog_late_ns=ns(late_ms),
        **fields,
    )


def collection(from_ms: float, to_ms: float) -> Collection:
    """A full collection by the garbage collector."""
    return Collection(at_ns(from_ms), at_ns(to_ms), generation=2, collected=1000)


def hold(
    at_ms: float,
    late_ms: float,
    thread: str = "reports",
    *stack: Frame,
    cpu_ms: float = 0,
    native_id: int = 88,
    awaited: bool = False,
) -> Hold:
    """Another thread that kept the loop's, by the GIL or by what was awaited of it."""
    return Hold(at_ns(at_ms), ns(late_ms), thread, native_id, ns(cpu_ms), stack or (frame("render", 20),), awaited)


def allowance(from_ms: float, to_ms: float | None = None, **fields: Any) -> Allowance:
    """An allowance of no task, for any length, under way where `to_ms` is None."""
    end_ns = None if to_ms is None else at_ns(to_ms)
    defaults = {"reason": "warm-up", "thread_id": LOOP.thread_id, "task_id": None, "up_to_ns": None}
    return Allowance(start_ns=at_ns(from_ms), end_ns=end_ns, **{**defaults, **fields})


def observation(*seen: Sample, duration_ms: float = 400, stopped_ms: float = 0, **fields: Any) -> Observation:
    """A stall that has ended, exactly timed; for `stopped_ms` of it the whole process stood still."""
    defaults = {
        "id": "stall-1",
        "ongoing": False,
        "started_at": STARTED_AT,
        "start_ns": START_NS,
        "end_ns": at_ns(duration_ms),
        "exact": True,
        "loop": LOOP,
        "samples": seen,
        "stopped_ns": ns(stopped_ms),
    }
    return Observation(**{**defaults, **fields})


# ── judged facts ────────────────────────────────────────────────────────────────────────────────────────────────────


def origin(function: str = "handler", line: int = 10, **fields: Any) -> Origin:
    """A line of the user's code, for certain."""
    defaults = {
        "file": "/srv/shop.py",
        "end_line": line,
        "column": 4,
        "end_column": 17,
        "source": "time.sleep(1)",
        "expression": "time.sleep(1)",
        "call": "time.sleep",
        "exact": True,
        "module": "shop",
    }
    return Origin(function=function, line=line, **{**defaults, **fields})


def share(part: float, function: str = "handler", **fields: Any) -> Share:
    """An origin's part in a stall."""
    return Share(origin(function, **fields), part, samples=1)


def stall(duration_ms: float = 400, **fields: Any) -> Stall:
    """A stall that has ended, in `time.sleep` of a request."""
    defaults = {
        "id": "stall-1",
        "state": "ended",
        "started_at": STARTED_AT,
        "own_ms": float(duration_ms),
        "timing": "exact",
        "threshold_ms": 100.0,
        "cause": Cause.SLEEP,
        "evidence": "the thread was on the CPU for 0 ms of 400 ms",
        "confidence": 0.95,
        "origin": origin(),
        "shares": (share(1.0),),
        "stack": (frame(), library("time.sleep")),
        "samples": 8,
        "request": RequestInfo("GET", "/items/{item_id}", "handler"),
        "task": "handler",
        "loop": LOOP,
        "waiting": Waiting(requests=3, callbacks=5),
        "advice": "Use `await asyncio.sleep(...)`.",
        "fingerprint": "0123456789ab",
    }
    return Stall(duration_ms=float(duration_ms), **{**defaults, **fields})


def ongoing(duration_ms: float = 1000, **fields: Any) -> Stall:
    """The announcement of a stall that lasts."""
    return replace(stall(duration_ms), state="ongoing", timing="bounded", **fields)


def incident(latest: Stall | None = None, **fields: Any) -> Incident:
    """The news that an incident opened, with this record; of one that lasts it has counted nothing yet."""
    latest = latest or stall()
    ended = 0 if latest.ongoing else 1
    defaults = {
        "id": "incident-1",
        "state": "open",
        "severity": latest.severity,
        "fingerprint": latest.fingerprint,
        "cause": latest.cause,
        "origin": latest.origin,
        "count": ended,
        "lost_ms": ended * latest.duration_ms,
        **dict.fromkeys(("max_ms", "p50_ms", "p95_ms", "p99_ms"), ended * latest.duration_ms),
        **dict.fromkeys(("first_at", "last_at", "opened_at"), latest.started_at),
        "opened_count": ended,
        "opened_ms": ended * latest.duration_ms,
        "openings": 1,
        "endpoints": (("GET /items/{item_id}", ended),),
        "waited": (("GET /health", 3),),
        "waiting_max": latest.waiting.requests,
        "advice": latest.advice,
        "latest": latest,
        "news": "opened",
    }
    return Incident(**{**defaults, **fields})


def closed(latest: Stall | None = None, **fields: Any) -> Incident:
    """The news that it closed."""
    return incident(latest, **{"state": "closed", "news": "closed", **fields})


def functions(stack: Sequence[Frame]) -> list[str]:
    """The functions of a stack, outermost first."""
    return [one.function for one in stack]


def saturation(*stacks: tuple[Frame, ...], ongoing: bool = True) -> Saturation:
    """A pool of four threads for which nine pieces of work wait, the first for a second at least."""
    return Saturation(
        id="pool-1",
        ongoing=ongoing,
        started_at=STARTED_AT,
        start_ns=START_NS,
        end_ns=START_NS + 1_500_000_000,
        looks=4,
        reading=PoolReading("executor", "jobs", None, borrowed=4, total=4, waiting=9, oldest_wait_ms=1000.0),
        waiting_max=12,
        oldest_wait_max_ms=1000.0,
        pid=4711,
        stacks=stacks,
    )
