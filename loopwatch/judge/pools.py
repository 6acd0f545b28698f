"""From the raw facts of a saturated pool to what people read. Pure: records in, records out."""

from collections.abc import Sequence
from dataclasses import replace

from loopwatch.judge.fingerprint import digest
from loopwatch.judge.mechanism import LATE_SWITCHES
from loopwatch.judge.names import enclosing
from loopwatch.judge.origin import seen_at
from loopwatch.observations import Saturation
from loopwatch.records import Frame, Origin, PoolSaturation, PoolWorkers

__all__ = ["judge_saturation"]

ADVICE = {
    "anyio": "Make what its threads wait for async or faster, give slow work a limiter of its own (to_thread.run_sync(..., "
    "limiter=...)), or raise anyio.to_thread.current_default_thread_limiter().total_tokens.",
    "executor": "Make what its threads wait for async or faster, give slow work an executor of its own, or more threads "
    "(loop.set_default_executor(ThreadPoolExecutor(...))).",
    "sqlalchemy": "Hold connections for less time (nothing slow between the first statement and the commit), or raise pool_size "
    "and max_overflow as far as the database allows.",
}


def judge_saturation(seen: Saturation, app_packages: tuple[str, ...] = ()) -> PoolSaturation:
    """Judge one saturated pool.

    Args:
        seen: What was seen.
        app_packages: Installed packages that count as the user's code.
    """
    workers = _grouped(seen, app_packages)
    return PoolSaturation(
        id=seen.id,
        state="ongoing" if seen.ongoing else "ended",
        started_at=seen.started_at,
        duration_ms=seen.duration_ns / 1e6,
        looks=seen.looks,
        pool=seen.reading,
        waiting_max=seen.waiting_max,
        oldest_wait_max_ms=seen.oldest_wait_max_ms,
        workers=workers,
        advice=ADVICE[seen.reading.kind],
        fingerprint=_fingerprint(seen, workers[0].origin if workers else None),
        pid=seen.pid,
    )


def _grouped(seen: Saturation, app_packages: tuple[str, ...]) -> tuple[PoolWorkers, ...]:
    """Threads that stand at one line, most first."""
    groups: dict[tuple[str, int] | None, list[tuple[Origin | None, tuple[Frame, ...]]]] = {}
    for stack in seen.stacks:
        origin = _origin(seen, stack, app_packages)
        groups.setdefault(None if origin is None else (origin.file, origin.line), []).append((origin, stack))
    ordered = sorted(groups.values(), key=len, reverse=True)
    return tuple(PoolWorkers(len(group), *group[0]) for group in ordered)


def _origin(seen: Saturation, stack: Sequence[Frame], app_packages: tuple[str, ...]) -> Origin | None:
    origin = seen_at(stack, app_packages)
    if origin is None or seen.late_ns <= LATE_SWITCHES * seen.switch_interval_ns:
        return origin
    # Somebody kept the GIL meanwhile, perhaps this very thread: it may have gone on since.
    return replace(origin, exact=False, candidates=(origin.line,))


def _fingerprint(seen: Saturation, origin: Origin | None) -> str:
    """As that of stalls: no line numbers; and no number of an executor without a name."""
    place = [] if origin is None else [origin.module or origin.file.rpartition("/")[2], enclosing(origin.function)]
    return digest(["pool", seen.reading.kind, seen.reading.name.rstrip("0123456789"), *place])
