"""Which task runs on a loop, and which requests are in flight, asked from the watchdog thread.

`asyncio.current_task(loop)` answers from any thread, and so does what `loopwatch.probes.trio` knows of a run. Only exact C tasks,
trio's, and coroutines are asked for their names: a subclass could run the program's code on the watchdog. No task is kept.
"""

import asyncio
import sys
from collections import Counter
from contextvars import Context
from dataclasses import dataclass
from types import CoroutineType
from typing import Any

from loopwatch.probes.requests import request_of
from loopwatch.probes.traces import current_trace
from loopwatch.probes.trio import TrioRun, name_of, nurseries_of
from loopwatch.records import RequestInfo, TraceInfo, Waiting

__all__ = ["NO_TASK", "CurrentTask", "current_task", "request_of_task", "requests_in_flight"]

MAX_TASKS = 2_000
"""More tasks than this are not searched for requests: it would keep the GIL for milliseconds."""
MAX_CHAIN = 40
PREFIX = "structlog_"
"""structlog binds each key in a context variable of its own (structlog/contextvars.py, STRUCTLOG_KEY_PREFIX)."""

Plain = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class CurrentTask:
    """The task that runs on a loop. Nothing here holds the task, its context or a span."""

    id: int | None = None
    """None: no task runs, or that cannot be told."""
    name: str | None = None
    context: tuple[tuple[str, Plain], ...] = ()
    """What structlog's contextvars hold for it (asyncio: 3.12+)."""
    nurseries: tuple[str, ...] = ()
    """trio: the tasks in whose nurseries it lives, outermost first."""
    trace: TraceInfo | None = None
    """The span that is current in it (asyncio: 3.12+)."""


NO_TASK = CurrentTask()


def current_task(loop: Any, guest: TrioRun | None = None) -> CurrentTask:
    """The running task, and what its context says of it.

    Args:
        loop: asyncio's or one like it, or a run of trio.
        guest: A run of trio that lives on it: its task runs within a callback.
    """
    try:
        run = loop if type(loop) is TrioRun else guest
        found = NO_TASK if run is None else _trio_task(run.task)
        return _asyncio_task(asyncio.current_task(loop)) if found is NO_TASK and loop is not run else found
    except Exception:  # noqa: BLE001 - the loop may be of a kind that knows no tasks, or be closing
        return NO_TASK


def _asyncio_task(task: Any) -> CurrentTask:
    if task is None:
        return NO_TASK
    if sys.version_info < (3, 12):  # where no one but the task itself can read its context
        return CurrentTask(id(task), _name(task))
    context = task.get_context()
    return CurrentTask(id(task), _name(task), _bound(context), trace=current_trace(context))


def _trio_task(task: Any) -> CurrentTask:
    if task is None:
        return NO_TASK
    context = task.context
    return CurrentTask(id(task), name_of(task), _bound(context), nurseries_of(task), current_trace(context))


def _name(task: Any) -> str | None:
    coroutine = task.get_coro() if isinstance(task, asyncio.Task) else None
    named = coroutine.__qualname__ if type(coroutine) is CoroutineType else type(coroutine).__qualname__
    own = task.get_name() if type(task) is asyncio.Task else ""
    # "Task-17" says nothing, and would make each stall look new.
    return named if not own or own.startswith("Task-") else f"{own} ({named})"


def _bound(context: Context) -> tuple[tuple[str, Plain], ...]:
    if "structlog" not in sys.modules:
        return ()
    return tuple(
        (variable.name.removeprefix(PREFIX), value)
        for variable, value in context.items()
        if variable.name.startswith(PREFIX) and type(value) in (str, int, float, bool, type(None))
    )


def requests_in_flight(loop: Any, running: int | None, guest: TrioRun | None = None) -> Waiting:
    """Requests other than the one of task `running` (its id) whose tasks are alive on `loop`, or on the run of trio within it."""
    try:
        tasks = _coroutines(loop) + ([] if guest is None else _coroutines(guest))
    except Exception:  # noqa: BLE001 - changed while it was read, too often in a row
        return Waiting()
    if len(tasks) > MAX_TASKS:
        return Waiting()
    found = [request for key, coroutine in tasks if key != running and (request := _request(coroutine)) is not None]
    found = [request for request in found if request.method is not None]  # a lifespan is nobody's request
    endpoints = Counter(request.label for request in found if request.label)
    return Waiting(requests=len(found), endpoints=tuple(endpoints.most_common(20)))


def _coroutines(loop: Any) -> list[tuple[int, Any]]:
    """The id of each task that is alive, and its coroutine."""
    if type(loop) is TrioRun:
        return [(id(task), task.coro) for task in loop.tasks]
    return [(id(task), task.get_coro()) for task in asyncio.all_tasks(loop) if type(task) is asyncio.Task]


def request_of_task(task: "asyncio.Task[Any]") -> RequestInfo | None:
    """The request that a task works for."""
    return _request(task.get_coro())


def _request(coroutine: Any) -> RequestInfo | None:
    """The request that a waiting task works for: found in the frames of the coroutines that it awaits."""
    outermost: RequestInfo | None = None
    for _ in range(MAX_CHAIN):
        if type(coroutine) is not CoroutineType:
            break
        frame = coroutine.cr_frame
        if frame is not None:
            outermost = request_of(frame, coroutine.cr_code) or outermost
        coroutine = coroutine.cr_await
    return outermost
