"""Which task runs on a loop, and which requests are in flight, asked from the watchdog thread.

`asyncio.current_task(loop)` answers from any thread. Only exact C tasks and coroutines are asked for their names: a subclass
could run the program's code on the watchdog. No task is kept.
"""

import asyncio
import sys
from collections import Counter
from types import CoroutineType
from typing import Any

from loopwatch.probes.requests import request_of
from loopwatch.records import RequestInfo, Waiting

__all__ = ["CurrentTask", "current_task", "requests_in_flight"]

MAX_TASKS = 2_000
"""More tasks than this are not searched for requests: it would keep the GIL for milliseconds."""
MAX_CHAIN = 40
PREFIX = "structlog_"
"""structlog binds each key in a context variable of its own (structlog/contextvars.py, STRUCTLOG_KEY_PREFIX)."""

Plain = str | int | float | bool | None
CurrentTask = tuple[int | None, str | None, tuple[tuple[str, Plain], ...]]


def current_task(loop: Any) -> CurrentTask:
    """The running task's id, its name, and what structlog's contextvars hold for it (3.12+)."""
    try:
        task = asyncio.current_task(loop)
        if task is None:
            return None, None, ()
        return id(task), _name(task), _bound(task)
    except Exception:  # noqa: BLE001 - the loop may be of a kind that knows no tasks, or be closing
        return None, None, ()


def _name(task: Any) -> str | None:
    coroutine = task.get_coro() if isinstance(task, asyncio.Task) else None
    named = coroutine.__qualname__ if type(coroutine) is CoroutineType else type(coroutine).__qualname__
    own = task.get_name() if type(task) is asyncio.Task else ""
    # "Task-17" says nothing, and would make each stall look new.
    return named if not own or own.startswith("Task-") else f"{own} ({named})"


def _bound(task: Any) -> tuple[tuple[str, Plain], ...]:
    if sys.version_info < (3, 12) or "structlog" not in sys.modules:
        return ()
    items = task.get_context().items()
    return tuple(
        (variable.name.removeprefix(PREFIX), value)
        for variable, value in items
        if variable.name.startswith(PREFIX) and type(value) in (str, int, float, bool, type(None))
    )


def requests_in_flight(loop: Any, running: int | None) -> Waiting:
    """Requests other than the one of task `running` (its id) whose tasks are alive on `loop`."""
    try:
        tasks = asyncio.all_tasks(loop)
    except Exception:  # noqa: BLE001 - changed while it was read, too often in a row
        return Waiting()
    if len(tasks) > MAX_TASKS:
        return Waiting()
    found = [request for task in tasks if id(task) != running and (request := _request(task)) is not None]
    found = [request for request in found if request.method is not None]  # a lifespan is nobody's request
    endpoints = Counter(request.label for request in found if request.label)
    return Waiting(requests=len(found), endpoints=tuple(endpoints.most_common(20)))


def _request(task: Any) -> RequestInfo | None:
    """The request that a waiting task works for: found in the frames of the coroutines that it awaits."""
    coroutine = task.get_coro() if type(task) is asyncio.Task else None
    outermost: RequestInfo | None = None
    for _ in range(MAX_CHAIN):
        if type(coroutine) is not CoroutineType:
            break
        frame = coroutine.cr_frame
        if frame is not None:
            outermost = request_of(frame, coroutine.cr_code) or outermost
        coroutine = coroutine.cr_await
    return outermost
