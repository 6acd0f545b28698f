"""SQLAlchemy's connection pools that have a limit: `QueuePool` and `AsyncAdaptedQueuePool`.

Nothing is installed in SQLAlchemy: it keeps its own list of connections that are checked out, each with its pool. In 2.0 that is
`sqlalchemy.pool.base._strong_ref_connection_records`; in 2.1 the finalizers of `weakref.finalize._registry` that call
`_finalize_fairy`. So a pool is known from the first look at which one of its connections is out, and a saturated one always.
"""

import sys
from collections.abc import Iterator
from typing import Any
from weakref import finalize, ref

from loopwatch.probes.pools.base import Pool, Waiter, waiter

__all__ = ["ConnectionPools"]

MAX_FINALIZERS = 5_000


class ConnectionPools:
    """Knows the pools that have been seen to lend a connection. For the watchdog's thread."""

    def __init__(self) -> None:
        self._known: dict[int, ref[Any]] = {}

    def read(self, workers: tuple[int, ...]) -> Iterator[Pool]:
        """All pools with a limit.

        Args:
            workers: The threads that work for thread pools: those that wait for a connection, or have one, are among them.
        """
        base = sys.modules.get("sqlalchemy.pool.base")
        for pool in () if base is None else _lending(base):
            self._known[id(pool)] = ref(pool)
        for key, pool_ref in list(self._known.items()):
            pool = pool_ref()
            if pool is None:
                del self._known[key]
            elif "_max_overflow" in vars(pool):
                yield _pool(pool, vars(pool), workers)


def _lending(base: Any) -> Iterator[Any]:
    """The pools of all connections that are checked out; one may come several times."""
    records = getattr(base, "_strong_ref_connection_records", None)
    if records is not None:
        for record in list(records.copy().values()):
            yield record._ConnectionRecord__pool
        return
    registry: Any = finalize._registry  # type: ignore[attr-defined]
    if len(registry) <= MAX_FINALIZERS:
        for info in registry.copy().values():
            if info.func is base._finalize_fairy:
                yield info.args[2]


def _pool(pool: Any, own: Any, workers: tuple[int, ...]) -> Pool:
    queue = vars(own["_pool"])
    size, most = queue["maxsize"], own["_max_overflow"]
    asked = vars(queue["_queue"]) if "_queue" in queue else None  # an asyncio.Queue, made when it is first used
    idle = asked["_queue"] if asked is not None else queue.get("queue", ())
    waiting, newest = _on_loop(asked) if asked is not None else _in_threads(queue)
    return Pool(
        key=("sqlalchemy", id(pool)),
        kind="sqlalchemy",
        name=_name(pool, own),
        loop=None,
        borrowed=size - len(idle) + own["_overflow"],
        total=None if size == 0 or most < 0 else size + most,
        waiting=waiting,
        newest=newest,
        workers=workers if asked is None else (),
    )


def _on_loop(queue: Any) -> tuple[int, Waiter | None]:
    """Tasks that wait for a connection: futures of asyncio.Queue."""
    getters = queue["_getters"]
    return len(getters), waiter(getters[-1] if getters else None, lambda future: not future.done())


def _in_threads(queue: Any) -> tuple[int, Waiter | None]:
    """Threads that wait for one: each with a lock of its own, which is locked as long (Lib/threading.py, `Condition.wait`)."""
    waiters = queue["not_empty"]._waiters if "not_empty" in queue else ()
    return len(waiters), waiter(waiters[-1] if waiters else None, lambda lock: lock.locked())


def _name(pool: Any, own: Any) -> str:
    """Never the URL. The engine's `pool_logging_name`, else the pool's class and its dialect."""
    given = own.get("_orig_logging_name")
    return str(given) if given else f"{type(pool).__name__} {getattr(own.get('_dialect'), 'name', '')}".strip()
