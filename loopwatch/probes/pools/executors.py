"""Thread pools of the standard library: a loop's default executor, and any other that a loop is seen to wait for.

`concurrent.futures.thread` keeps its worker threads in `_threads_queues`, and each thread knows its executor by a weak reference,
the first of its arguments (CPython 3.11-3.13, Lib/concurrent/futures/thread.py). That reaches uvloop's default executor too, which
is hidden in C. A pool that only threads wait for is left alone: a batch of ten thousand jobs for eight threads is no trouble.
"""

import gc
import sys
from collections.abc import Iterator, Mapping, Sequence
from queue import SimpleQueue
from types import CodeType, FrameType, FunctionType
from typing import Any
from weakref import ref

from loopwatch.probes.pools.base import Pool, waiter
from loopwatch.records import LoopInfo

__all__ = ["Executors", "around_work"]

MODULE = "concurrent.futures.thread"
MAX_THREADS = 1_000
MAX_QUEUED = 2_000
"""In a longer queue nobody is looked for: from Python 3.13 on that takes a list of all that is in it."""


class Executors:
    """Knows the executors that loops wait for. For the watchdog's thread."""

    def __init__(self) -> None:
        self._awaited: dict[int, ref[Any]] = {}

    def read(self, loops: Sequence[tuple[Any, LoopInfo]], frames: Mapping[int, FrameType]) -> Iterator[Pool]:
        """The pools that serve `loops`.

        Args:
            loops: Those that are watched.
            frames: What `sys._current_frames()` has just said.
        """
        of_loops = {id(getattr(loop, "_default_executor", None)): info for loop, info in loops}
        for executor in _executors():
            own = vars(executor)
            queue = own["_work_queue"]
            if type(queue) is not SimpleQueue:  # somebody else's, whose length may take a lock
                continue
            newest = _newest(queue)
            if id(executor) in of_loops or self._is_awaited(executor, newest):
                yield _pool(executor, own, newest, of_loops.get(id(executor)), frames)

    def _is_awaited(self, executor: Any, newest: Any) -> bool:
        known = self._awaited.get(id(executor))
        if known is not None and known() is executor:
            return True
        if newest is None or not _for_a_loop(newest):
            return False
        self._awaited = {key: one for key, one in self._awaited.items() if one() is not None}
        self._awaited[id(executor)] = ref(executor)
        return True


def _executors() -> list[Any]:
    """All of this process that have threads."""
    module = sys.modules.get(MODULE)
    threads = () if module is None else list(module._threads_queues.data.copy())[:MAX_THREADS]
    found = {}
    for thread_ref in threads:
        thread = thread_ref()
        arguments = () if thread is None else vars(thread).get("_args") or ()
        executor = arguments[0]() if arguments else None
        if executor is not None:
            found[id(executor)] = executor
    return list(found.values())


def _newest(queue: Any) -> Any:
    """The last piece of work in a queue, which has no method for that: its own items (3.13), or the list of them (before)."""
    if not 0 < queue.qsize() <= MAX_QUEUED:
        return None
    items = gc.get_referents(queue)
    items = items[0] if items and type(items[0]) is list else items
    work = [one for one in items[-2:] if type(one).__name__ == "_WorkItem"]
    return work[-1] if work else None


def _for_a_loop(work: Any) -> bool:
    """Whether a loop waits for it: `asyncio.wrap_future` has left its callback there (Lib/asyncio/futures.py, `_chain_future`)."""
    return any(type(one) is FunctionType and one.__module__ == "asyncio.futures" for one in work.future._done_callbacks)


def _waits(work: Any) -> bool:
    return bool(work.future._state == "PENDING")


def _pool(executor: Any, own: Any, newest: Any, info: LoopInfo | None, frames: Mapping[int, FrameType]) -> Pool:
    threads = tuple(thread.ident for thread in own["_threads"].copy())
    waiting, total = own["_work_queue"].qsize(), own["_max_workers"]
    waits_for_work = sys.modules[MODULE]._worker.__code__  # in a C call: nothing is on the stack above it
    busy = tuple(ident for ident in threads if ident in frames and frames[ident].f_code is not waits_for_work)
    return Pool(
        key=("executor", id(executor)),
        kind="executor",
        name=own["_thread_name_prefix"],
        loop=info,
        # Between two pieces of work a thread looks idle; while any are left none is.
        borrowed=total if waiting and len(threads) >= total else len(busy),
        total=total,
        # What a thread that is being started will take is not waiting for another to be done.
        waiting=waiting if len(threads) >= total else 0,
        newest=waiter(newest, _waits),
        workers=busy,
    )


def around_work() -> tuple[CodeType, ...]:
    """What a worker thread runs around the work."""
    module = sys.modules.get(MODULE)
    return () if module is None else (module._WorkItem.run.__code__,)
