"""Whose work does a worker thread do? anyio hands a function to a thread and has the task wait for a future (`to_thread.run_sync`).

The thread's own frame holds that future, the future its waiting task, and the task's frames the request (anyio 4.8-4.16,
anyio/_backends/_asyncio.py, `WorkerThread.run`; CPython 3.12-3.13, Modules/_asynciomodule.c). Not on 3.11, where reading one
variable of a frame keeps them all alive, and this one lives as long as the thread. trio tells by the thread's name. For the
watchdog thread, between `sys._current_frames()` and the next thing that gives up the GIL.
"""

import asyncio
import sys
from types import FrameType
from typing import Any

from loopwatch.probes.tasks import request_of_task
from loopwatch.probes.variables import frame_of, variable
from loopwatch.records import RequestInfo

__all__ = ["request_of_worker"]


def request_of_worker(frame: FrameType | None) -> RequestInfo | None:
    """The request for which the thread of that stack works; None: for none, or that cannot be told. Never raises."""
    worker = getattr(sys.modules.get("anyio._backends._asyncio"), "WorkerThread", None)
    if worker is None or sys.version_info < (3, 12):
        return None
    try:
        running = frame_of(frame, worker.run.__code__)
        return None if running is None else _behind(variable(running, "future"))
    except Exception:  # noqa: BLE001 - between two pieces of work, or of an unexpected shape
        return None


def _behind(future: Any) -> RequestInfo | None:
    for callback, _ in (future._callbacks or ()) if type(future) is asyncio.Future else ():
        task = getattr(callback, "__self__", None)
        if type(task) is asyncio.Task:
            return request_of_task(task)
    return None
