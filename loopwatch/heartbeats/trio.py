"""Exact turns of a run of trio, from an instrument's `before_io_wait` and `after_io_wait`.

trio calls them right before and after its one poll (trio 0.27-0.35, trio/_core/_run.py, `unrolled_run`). An instrument needs no
base class there (trio/_core/_instrumentation.py), so trio is not imported. Of a guest run, the loop that runs it goes on with
its own work between the two: no poll is then part of a turn, and a late return is that loop's affair.
"""

import contextlib
from collections.abc import Callable

from loopwatch.clocks import time
from loopwatch.heartbeats.edges import EdgeHeartbeat
from loopwatch.probes.trio import TrioRun
from loopwatch.records import LoopInfo

__all__ = ["TrioHeartbeat"]


class Hooks:
    """What trio calls: functions and not methods, which would cost more."""

    __slots__ = ("after_io_wait", "after_run", "before_io_wait")

    def __init__(
        self,
        before_io_wait: Callable[[float], None],
        after_io_wait: Callable[[float], None],
        after_run: Callable[[], None],
    ) -> None:
        self.before_io_wait = before_io_wait
        self.after_io_wait = after_io_wait
        self.after_run = after_run


class TrioHeartbeat(EdgeHeartbeat):
    """The heartbeat of one run of trio."""

    __slots__ = ("_hooks", "_run")

    def __init__(self, run: TrioRun, info: LoopInfo, limit_ns: int, adopted: bool = False) -> None:
        super().__init__(info, limit_ns, adopted)
        self._run = run
        self._hooks: Hooks | None = None

    def attach(self) -> None:
        self._hooks = Hooks(*self._edges(), self._over)
        self._run.add_instrument(self._hooks)
        self._begin(time.monotonic())

    def _edges(self) -> tuple[Callable[[float], None], Callable[[float], None]]:
        beat, run = self, self._run
        now = time.monotonic

        def before_io_wait(timeout: float) -> None:
            if timeout <= 0 and not run.is_guest:
                return  # more is ready to run: this poll does not wait, and one clock read ends a turn and begins the next
            ended = now()
            if ended - beat.since > beat._limit:
                beat._note_turn(ended)
            beat._waits = ended
            beat.since = 0.0

        def after_io_wait(timeout: float) -> None:
            woke = now()
            if beat.since:
                if woke - beat.since > beat._limit:
                    beat._note_turn(woke)
                beat.since = woke
                return
            beat.since = woke
            waited = woke - beat._waits
            beat._idle += waited
            if waited > beat._limit and not run.is_guest:
                beat._note_wait(beat._waits, woke, timeout)

        return before_io_wait, after_io_wait

    def _over(self) -> None:
        self._run.stopped()

    def detach(self) -> None:
        self._end(time.monotonic())
        hooks, self._hooks = self._hooks, None
        if hooks is None:
            return
        if self._run.is_here:
            self._run.remove_instrument(hooks)
            return
        # Not from another thread: trio asks whether there is a hook and then calls it, and must still find it there.
        with contextlib.suppress(Exception):  # it has ended meanwhile
            self._run.call_soon(self._run.remove_instrument, hooks)

    def ready(self) -> int | None:
        return self._run.ready
