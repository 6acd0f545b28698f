"""A saturated pool as a log event, `thread_pool_saturated`: flat keys, one line. The key names are part of the public contract."""

from typing import Any

from loopwatch.records import PoolSaturation, PoolWorkers
from loopwatch.sinks.event import place_of, plain

__all__ = ["EVENT", "fields_of_pool"]

EVENT = "thread_pool_saturated"
MAX_LINES = 5
"""Places at which threads stand that are named."""


def fields_of_pool(saturation: PoolSaturation) -> dict[str, Any]:
    """The event's keys and values, without its name."""
    pool = saturation.pool
    fields: dict[str, Any] = {
        "saturation_id": saturation.id,
        "state": saturation.state,
        "kind": pool.kind,
        "pool": pool.name,
        "duration_ms": round(saturation.duration_ms, 1),
        "borrowed": pool.borrowed,
        "total": pool.total,
        "waiting": pool.waiting,
        "waiting_max": saturation.waiting_max,
        "oldest_wait_ms": _rounded(pool.oldest_wait_ms),
        "oldest_wait_max_ms": _rounded(saturation.oldest_wait_max_ms),
        **place_of(saturation.origin),
        "workers": [_at(group) for group in saturation.workers[:MAX_LINES]],
        "advice": saturation.advice,
        "fingerprint": saturation.fingerprint,
        "started_at": saturation.started_at.isoformat(),
        "loop": pool.loop.backend if pool.loop else None,
        "thread": pool.loop.thread if pool.loop else None,
        "pid": saturation.pid,
    }
    if saturation.suppressed_count:
        fields["suppressed_count"] = saturation.suppressed_count
        fields["suppressed_ms"] = round(saturation.suppressed_ms, 1)
    return {key: plain(value) for key, value in fields.items()}


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 1)


def _at(group: PoolWorkers) -> str:
    """ "38 at /srv/shop.py:41 price": how many threads, and where."""
    origin = group.origin
    return f"{group.count} at {origin.file}:{origin.line} {origin.function}" if origin else f"{group.count} elsewhere"
