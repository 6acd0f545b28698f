"""Exact turns of a run of trio, from both edges of its poll.

`trio.run` calls `runner.io_manager.get_events(timeout)` once a turn and nothing else in it can wait (trio 0.27-0.35,
trio/_core/_run.py). The hook around it costs a fraction of what an instrument's `before_io_wait` and `after_io_wait` do, which trio
looks up and calls in a general way. They are for where the hook cannot be: for a guest run, whose host goes on with its own work
between the two, so that a late return is that host's affair; and for another trio. An instrument needs no base class there, so
trio is not imported.
"""

import contextlib
from collections.abc import Callable
from typing import Any

from loopwatch.clocks import time
from loopwatch.heartbeats.edges import EdgeHeartbeat
from loopwatch.probes.trio import TrioRun
from loopwatch.records import LoopInfo

__all__ = ["TrioHeartbeat"]


class Hooks:
    """An instrument of trio's made of functions."""

    def __init__(self, **hooks: Callable[..., None]) -> None:
        vars(self).update(hooks)


class TrioHeartbeat(EdgeHeartbeat):
    """The heartbeat of one run of trio."""

    __slots__ = ("_hooks", "_kind", "_run")

    def __init__(self, run: TrioRun, info: LoopInfo, limit_ns: int, adopted: bool = False) -> None:
        super().__init__(info, limit_ns, adopted)
        self._run = run
        self._hooks: list[Hooks] = []
        self._kind: Any = None
        """The class of trio's `io_manager`, while its poll is hooked."""

    def attach(self) -> None:
        self._add(before_run=self._find_edges, after_run=self._over)
        self._begin(time.monotonic())
        self._find_edges()

    def _find_edges(self) -> None:
        """That a run is a guest's, trio knows only as it begins: then this is called for the second time."""
        if self._run.is_guest:
            self._leave_poll()
        elif self._kind is not None or self._hook_poll():
            return
        if len(self._hooks) == 1:
            self._add(before_io_wait=self._before_io_wait, after_io_wait=self._after_io_wait)

    def _add(self, **hooks: Callable[..., None]) -> None:
        instrument = Hooks(**hooks)
        self._run.add_instrument(instrument)
        self._hooks.append(instrument)

    def _over(self) -> None:
        self._run.stopped()

    # ── the poll's own hook ─────────────────────────────────────────────────────────────────────────────────────

    def _hook_poll(self) -> bool:
        """The manager has slots, which take no function of its own: it comes with a class, of the same shape."""
        manager = self._run.io_manager
        try:
            kind = type(manager)
            hooked = {
                "__slots__": (),
                "__module__": __name__,
                "get_events": staticmethod(self._around(manager.get_events)),
            }
            manager.__class__ = type(kind.__name__, (kind,), hooked)
        except (AttributeError, TypeError):  # another trio's
            return False
        self._kind = kind
        return True

    def _leave_poll(self) -> None:
        kind, self._kind = self._kind, None
        manager = self._run.io_manager
        # Only what is still ours.
        if kind is not None and type(manager).__mro__[1] is kind and type(manager).__module__ == __name__:
            manager.__class__ = kind

    # ── the instrument ──────────────────────────────────────────────────────────────────────────────────────────

    def _before_io_wait(self, timeout: float) -> None:
        self._went_idle(time.monotonic())

    def _after_io_wait(self, timeout: float) -> None:
        woke = time.monotonic()
        if self._woke(woke) > self._limit and not self._run.is_guest:
            self._note_wait(self._waits, woke, timeout)

    def detach(self) -> None:
        self._end(time.monotonic())
        self._leave_poll()
        hooks, self._hooks = self._hooks, []
        for one in hooks:
            if self._run.is_here:
                self._run.remove_instrument(one)
                continue
            # Not from another thread: trio asks whether there is a hook and then calls it, and must still find it there.
            with contextlib.suppress(Exception):  # it has ended meanwhile
                self._run.call_soon(self._run.remove_instrument, one)

    def ready(self) -> int | None:
        return self._run.ready
