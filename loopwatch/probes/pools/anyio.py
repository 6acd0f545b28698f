"""anyio's default limiter, which caps `anyio.to_thread.run_sync` and so all plain `def` endpoints of Starlette and FastAPI.

anyio keeps it in a `RunVar` of the loop: `anyio.lowlevel._run_vars[loop]`, by the variable (4.9 and later) or its name (before).
Limiter and workers are in anyio/_backends/_asyncio.py: `_default_thread_limiter`, `_threadpool_workers` (4.0-4.16).
"""

import math
import sys
from asyncio import Event
from collections.abc import Iterator
from types import CodeType
from typing import Any

from loopwatch.probes.pools.base import Pool, waiter
from loopwatch.records import LoopInfo

__all__ = ["anyio_pool", "around_work"]

BACKEND = "anyio._backends._asyncio"


def anyio_pool(loop: Any, info: LoopInfo) -> Iterator[Pool]:
    """The default limiter of a loop, if it has been used."""
    backend: Any = sys.modules.get(BACKEND)
    lowlevel: Any = sys.modules.get("anyio.lowlevel")
    variables = None if backend is None or lowlevel is None else lowlevel._run_vars.get(loop)
    if not variables:
        return
    limiter = _value(variables, backend._default_thread_limiter)
    if limiter is None:
        return
    waiting = limiter._wait_queue  # first come, first served
    yield Pool(
        key=("anyio", id(limiter)),
        kind="anyio",
        name="default limiter",
        loop=info,
        borrowed=len(limiter._borrowers),
        total=None if limiter._total_tokens == math.inf else limiter._total_tokens,
        waiting=len(waiting),
        newest=waiter(next(reversed(waiting.values()), None), _waits),
        workers=_busy(backend, variables),
    )


def _value(variables: Any, variable: Any) -> Any:
    return variables.get(variable) or variables.get(variable._name)


def _waits(event: Event) -> bool:
    return not event.is_set()


def _busy(backend: Any, variables: Any) -> tuple[int, ...]:
    workers = _value(variables, backend._threadpool_workers) or set()
    idle = _value(variables, backend._threadpool_idle_workers) or ()
    rest = workers.copy().difference(idle.copy() if idle else ())
    return tuple(thread.ident for thread in rest)


def around_work() -> tuple[CodeType, ...]:
    """What a worker thread runs around the work."""
    backend = sys.modules.get(BACKEND)
    worker = getattr(backend, "WorkerThread", None)
    return () if worker is None else (worker.run.__code__,)
