"""A sink that writes each stall as one line of JSON, for a test in another process to read."""

import json
import os
from typing import Any

import loopwatch

__all__ = ["PATH_VARIABLE", "enable", "say", "write_pool", "write_stall"]

PATH_VARIABLE = "LIVE_LINES"
"""Names the environment variable that says which file to append to."""


def enable(**settings: Any) -> loopwatch.Watch:
    """loopwatch for the whole process, with this module's sink unless `settings` names others."""
    return loopwatch.enable(**{"threshold_ms": 100, "sinks": [write_stall], **settings})


def write_stall(stall: loopwatch.Stall) -> None:
    """The sink: what a test asks about, flat."""
    origin, request = stall.origin, stall.request
    _append(
        kind="stall",
        writer=os.getpid(),
        id=stall.id,
        state=stall.state,
        pid=stall.loop.pid,
        backend=stall.loop.backend,
        thread=stall.loop.thread,
        duration_ms=stall.duration_ms,
        cause=str(stall.cause),
        evidence=stall.evidence,
        file=origin and origin.file,
        line=origin and origin.line,
        function=origin and origin.function,
        method=request and request.method,
        route=request and request.route,
        endpoint=request and request.endpoint,
    )


def write_pool(saturation: loopwatch.PoolSaturation) -> None:
    """The same for a saturated pool, for a sink that takes such."""
    pool, origin = saturation.pool, saturation.origin
    _append(
        kind="pool",
        id=saturation.id,
        state=saturation.state,
        borrowed=pool.borrowed,
        total=pool.total,
        waiting=pool.waiting,
        file=origin and origin.file,
        line=origin and origin.line,
    )


def say(what: str, **facts: Any) -> None:
    """A line of the program's own, by which a test knows how far it got."""
    _append(kind="said", what=what, pid=os.getpid(), **facts)


def _append(**fields: Any) -> None:
    # One write(2) on an O_APPEND file: lines of several processes never mix.
    descriptor = os.open(os.environ[PATH_VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, json.dumps(fields).encode() + b"\n")
    finally:
        os.close(descriptor)
