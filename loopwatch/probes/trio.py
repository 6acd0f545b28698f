"""What trio tells of a run, asked from the watchdog's thread. All private names of trio that are read stand here.

trio keeps the current task in a `threading.local` (trio 0.27-0.35, trio/_core/_run_context.py). Each thread's part of it is a plain
dictionary, which is picked up as the run is found: so the present task is one look into it, at no cost to the loop. Where a name
is not there, that piece of evidence is missing, and the rest goes on. trio is never imported here.
"""

import contextlib
import inspect
import sys
import threading
from types import CodeType, CoroutineType
from typing import Any

__all__ = ["TrioRun", "loop_codes", "run_here", "task_here"]

MAX_NURSERIES = 40
MAX_TASKS = 2_000
"""More tasks than this are not counted: it would keep the GIL for a tenth of a millisecond and more."""


class TrioRun:
    """One run of trio; what a loop is to asyncio.

    Args:
        token: trio's `TrioToken`: the way in from other threads.
        context: The run's thread's part of trio's thread-local; empty once the run has ended, or where there is no such thing.
    """

    __slots__ = ("_context", "_thread_id", "runner", "stopped", "token")

    def __init__(self, token: Any, context: dict[str, Any]) -> None:
        self.token = token
        self.runner: Any = context.get("runner")
        """trio's own record of the run; None where it is not known."""
        self.stopped = _nothing
        """Called on the run's thread as it ends."""
        self._context = context
        self._thread_id = threading.get_ident()

    @property
    def task(self) -> Any:
        """The task that runs; None: none does, or that cannot be told."""
        return self._context.get("task")

    @property
    def tasks(self) -> list[Any]:
        """All that are alive."""
        return list(getattr(self.runner, "tasks", set()).copy())

    @property
    def is_guest(self) -> bool:
        """Whether another loop runs it, bit by bit (`start_guest_run`); not known counts as that, which claims less."""
        return bool(getattr(self.runner, "is_guest", True))

    @property
    def io_manager(self) -> Any:
        """What polls; None where it is not known."""
        return getattr(self.runner, "io_manager", None)

    @property
    def ready(self) -> int | None:
        """How many tasks are ready to run; None where that cannot be told.

        Those of the present batch have left `runq`, so it is each task's next step that is looked at (trio/_core/_run.py, `Task`).
        """
        tasks = getattr(self.runner, "tasks", None)
        if tasks is None or len(tasks) > MAX_TASKS:
            return None
        try:
            return sum(task._next_send_fn is not None for task in tasks.copy())
        except AttributeError:
            return None

    @property
    def is_here(self) -> bool:
        """Whether the calling thread is the one that runs it."""
        return self._thread_id == threading.get_ident()

    def call_soon(self, function: Any, *args: Any) -> None:
        """Have the run call it, on its own thread; it must not raise. From any thread.

        Raises:
            trio.RunFinishedError: it has ended.
        """
        self.token.run_sync_soon(function, *args)

    def add_instrument(self, instrument: Any) -> None:
        """On the run's thread."""
        sys.modules["trio"].lowlevel.add_instrument(instrument)

    def remove_instrument(self, instrument: Any) -> None:
        """On the run's thread. Never raises."""
        with contextlib.suppress(Exception):  # trio has removed it itself
            sys.modules["trio"].lowlevel.remove_instrument(instrument)


def _nothing() -> None:
    """Nobody wants to know."""


def run_here() -> TrioRun:
    """The run of the calling thread, from within it or as it begins.

    Raises:
        RuntimeError: there is none.
    """
    return TrioRun(sys.modules["trio"].lowlevel.current_trio_token(), _context())


def _context() -> dict[str, Any]:
    local = getattr(sys.modules.get("trio._core._run"), "GLOBAL_RUN_CONTEXT", None)
    return {} if local is None else vars(local)


def task_here() -> Any:
    """trio's current task of the calling thread; None: there is none."""
    lowlevel = getattr(sys.modules.get("trio"), "lowlevel", None)
    try:
        return None if lowlevel is None else lowlevel.current_task()
    except (AttributeError, RuntimeError):  # still being imported; not in a task
        return None


def loop_codes() -> tuple[CodeType, ...]:
    """Code objects whose frames run trio: its loop, which is a generator, and the two that drive it."""
    module = sys.modules.get("trio._core._run")
    guest = getattr(module, "GuestState", None)
    functions: list[Any] = [getattr(module, "unrolled_run", None), getattr(module, "run", None)]
    functions.append(getattr(guest, "guest_tick", None))
    return tuple(inspect.unwrap(function).__code__ for function in functions if inspect.isfunction(function))


def name_of(task: Any) -> str:
    """Its coroutine, with its name if someone gave it one: by itself trio names a task after its function."""
    coroutine = task.coro
    function = coroutine.__qualname__ if type(coroutine) is CoroutineType else type(coroutine).__qualname__
    own = task.name
    return function if type(own) is not str or own.endswith(function) else f"{own} ({function})"


def nurseries_of(task: Any) -> tuple[str, ...]:
    """The tasks in whose nurseries it lives, outermost first, without trio's own at the root."""
    names: list[str] = []
    nursery = task._parent_nursery
    while nursery is not None and len(names) < MAX_NURSERIES:
        parent = nursery._parent_task
        nursery = parent._parent_nursery
        if nursery is not None:
            names.append(name_of(parent))
    return tuple(reversed(names))
