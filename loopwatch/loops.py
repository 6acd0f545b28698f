"""Which loops are watched, and what became of each: totals over all runs of a loop in one thread.

`started`, `stopped` and `closing` are called on the loops' own threads, when they begin and end to run; nothing here is on a
turn's path.
"""

import asyncio
import contextlib
import functools
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from loopwatch.attach import LOOP_CODES, running_loops
from loopwatch.attach_trio import on_each_run
from loopwatch.clocks import time
from loopwatch.heartbeats import heartbeat_for
from loopwatch.judge.allowed import excused
from loopwatch.observations import Turn
from loopwatch.probes import allowances
from loopwatch.probes.awaited import forget_loop, note_loop
from loopwatch.probes.threads import ThreadProbe
from loopwatch.probes.trio import TrioRun, loop_codes, run_here
from loopwatch.records import LoopInfo
from loopwatch.watchdog import Watchdog, Watched

__all__ = ["LoopRun", "Loops", "Totals"]

MAX_RUNS = 64
MAX_LAGS = 4096


@dataclass(frozen=True, slots=True)
class Totals:
    """Of one loop in one thread, so far. Nanoseconds; None: cannot be told here."""

    ran_ns: int = 0
    busy_ns: int | None = 0
    cpu_ns: int | None = 0
    lags_ns: tuple[int, ...] = ()
    looks: int = 0
    stalled_ns: int = 0
    """Age of the turn under way when it was looked at last, less what is allowed; 0: the loop waits."""


class LoopRun:
    """What became of one loop in one thread, over all its runs. Nanoseconds; None: cannot be told here."""

    def __init__(self, info: LoopInfo) -> None:
        self.info = info
        self.ran_ns = 0
        self.busy_ns: int | None = 0
        self.cpu_ns: int | None = 0
        self.lags_ns: list[int] = []
        self.looks = 0
        """How many lags there have been; the list keeps the latest."""
        self.current: Watched | None = None
        """The run under way; None between runs."""
        self.cpu_base_ns: int | None = None

    def settle(self, watched: Watched) -> None:
        """Add up a run that has ended."""
        totals = self.totals(watched)
        self.ran_ns, self.busy_ns, self.cpu_ns = totals.ran_ns, totals.busy_ns, totals.cpu_ns
        self.lags_ns, self.looks = list(totals.lags_ns)[-MAX_LAGS:], totals.looks
        self.current = None

    def totals(self, watched: Watched | None) -> "Totals":
        """The sum of all runs, with that of `watched`, which is under way; None: of those that have ended."""
        if watched is None:
            return Totals(self.ran_ns, self.busy_ns, self.cpu_ns, tuple(self.lags_ns), self.looks)
        now = time.monotonic_ns()
        busy, cpu = watched.heartbeat.busy_ns(now), watched.probe.cpu_ns()
        used = None if cpu is None or self.cpu_base_ns is None else cpu - self.cpu_base_ns
        lags = tuple(watched.lags_ns)
        return Totals(
            ran_ns=self.ran_ns + now - watched.began_ns,
            busy_ns=None if self.busy_ns is None or busy is None else self.busy_ns + busy,
            cpu_ns=None if self.cpu_ns is None or used is None else self.cpu_ns + used,
            lags_ns=(*self.lags_ns, *lags),
            looks=self.looks + max(watched.looks, len(lags)),
            stalled_ns=_stalled_ns(watched),
        )


class Loops:
    """The loops of the process that are watched.

    Args:
        watchdog: Told of loops by replacing its tuple `watched`.
        wanted: Whether anybody watches at all.
        ready: Called when a loop comes: the threads must run from now on.
        listed: Called with a loop's notes when it is watched.
        gone: Called with a loop's notes and its last turns when it has gone, if those are worth telling.
        failed: Called with one sentence when attaching or detaching failed.
    """

    def __init__(
        self,
        watchdog: Watchdog,
        wanted: Callable[[], bool],
        ready: Callable[[], None],
        listed: Callable[[Watched], None],
        gone: Callable[[Watched, list[Turn]], None],
        failed: Callable[[str], None],
    ) -> None:
        self.runs: dict[tuple[str, int], LoopRun] = {}
        self.begun = 0
        """Grows whenever a loop begins to run."""
        self._watchdog = watchdog
        self._wanted = wanted
        self._ready = ready
        self._listed = listed
        self._gone = gone
        self._failed = failed
        self._lock = threading.Lock()
        self._of_thread = _OfThread()

    def started(self, loop: Any) -> Watched | None:
        """A loop is about to run on this thread."""
        try:
            return self._watch(loop, adopted=False)
        except Exception as error:  # noqa: BLE001 - the observer never harms the host
            self._failed(f"attaching to {type(loop).__name__}: {error!r}")
            return None

    def stopped(self, watched: Watched | None) -> None:
        """It has stopped running."""
        if watched is None:
            return
        try:
            self.detach(watched)
        except Exception as error:  # noqa: BLE001
            self._failed(f"detaching from a loop: {error!r}")

    def closing(self, loop: Any) -> None:
        """It is about to be closed: nobody may look at it any more."""
        with self._lock:  # another thread may be detaching from it right now, and still read its state
            listed = [watched for watched in self._watchdog.watched if watched.loop is loop]
        for watched in listed:
            self.stopped(watched)

    def adopt_running(self) -> None:
        """Take on loops that run already, in any thread."""
        here = asyncio._get_running_loop()
        for loop in running_loops():
            if loop is here:
                self._adopt(loop)
            else:
                with contextlib.suppress(RuntimeError):  # closed in the meantime
                    loop.call_soon_threadsafe(self._adopt, loop)
        on_each_run(functools.partial(self.trio_begins, adopted=True))

    def trio_begins(self, adopted: bool = False) -> None:
        """A run of trio begins on this thread; adopted: it is found there."""
        try:
            run = run_here()
            watched = self._watch(run, adopted)
            run.stopped = functools.partial(self.stopped, watched)
        except Exception as error:  # noqa: BLE001
            self._failed(f"attaching to trio: {error!r}")

    def rejoin(self, loop: Any) -> None:
        """In a fork's child: take on a copied loop, but only if the child goes on with it, which most never do.

        Not a run of trio: its queue has a lock and a pipe in common with the parent.
        """
        if type(loop) is TrioRun:
            return
        with contextlib.suppress(Exception):
            loop.call_soon(self._adopt, loop)

    def _adopt(self, loop: Any) -> None:
        """On the loop's thread, while it runs."""
        try:
            watched = self._watch(loop, adopted=True)
            if watched is not None and not isinstance(loop, asyncio.BaseEventLoop):
                loop.call_soon(_learn_boundary, watched)
        except Exception as error:  # noqa: BLE001
            self._failed(f"attaching to the running {type(loop).__name__}: {error!r}")

    def _watch(self, loop: Any, adopted: bool) -> Watched | None:
        watchdog = self._watchdog
        if not self._wanted() or any(one.loop is loop for one in watchdog.watched):
            return None
        if type(loop) is TrioRun and self._has_host(loop):
            return None
        self.begun += 1
        probe = self._of_thread.probe
        heartbeat = heartbeat_for(loop, watchdog.limits.threshold_ns, probe, adopted)
        watched = Watched(loop, heartbeat, probe, _boundary(), time.monotonic_ns())
        self._ready()
        watchdog.mark(watched)
        heartbeat.attach()
        with self._lock:
            listed = self._wanted()  # asked again: `detach_all` may have come and gone since
            if listed:
                run = self._run_of(heartbeat.info)
                run.current, run.cpu_base_ns = watched, probe.cpu_ns()
                note_loop(_known_as(loop), heartbeat.info.thread_id)
                watchdog.watched = (*watchdog.watched, watched)
        if not listed:
            heartbeat.detach()
            return None
        self._listed(watched)
        return watched

    def _has_host(self, run: TrioRun) -> bool:
        """Whether a loop of this thread is watched already: its turns tell all there is to tell, and only once."""
        here = threading.get_ident()
        host = next((one for one in self._watchdog.watched if one.heartbeat.info.thread_id == here), None)
        if host is not None and type(host.loop) is not TrioRun:
            host.guest, host.boundary = run, host.boundary | _boundary()
            note_loop(_known_as(run), here)
        return host is not None

    def detach_all(self) -> None:
        """Nobody watches any more (`wanted` says so already): stop looking at every loop, and at none that starts now."""
        with self._lock:
            listed = self._watchdog.watched
        for watched in listed:
            self.detach(watched)

    def detach(self, watched: Watched) -> None:
        """Stop looking at a loop. Its last turn may have been a stall: `gone` has yet to tell of it."""
        with self._lock:
            if watched not in self._watchdog.watched:
                return
            self._watchdog.watched = tuple(one for one in self._watchdog.watched if one is not watched)
            for loop in (watched.loop, watched.guest):
                forget_loop(_known_as(loop))
            watched.heartbeat.detach()
            self._run_of(watched.heartbeat.info).settle(watched)
        turns = watched.heartbeat.finished()
        if turns:  # waking the watchdog for nothing would cost more than most runs
            self._gone(watched, turns)

    def forget_threads(self) -> None:
        """Nobody watches any more: give back what is kept open of threads."""
        self._of_thread = _OfThread()

    def _run_of(self, info: LoopInfo) -> LoopRun:
        key = (info.backend, info.thread_id)
        run = self.runs.get(key)
        if run is None:
            while len(self.runs) >= MAX_RUNS:
                self.runs.pop(next(iter(self.runs)))
            run = self.runs[key] = LoopRun(info)
        return run


def _stalled_ns(watched: Watched) -> int:
    """From the watchdog's notes and not the loop itself, which only the watchdog may read (libuv)."""
    pending = watched.pending
    if pending is None:
        return 0
    since_ns, age_ns = pending.since_ns, pending.age_ns
    tasks = [sample.task_id for sample, _ in list(pending.samples)]
    known = allowances.within(watched.heartbeat.info.thread_id, since_ns, since_ns + age_ns)
    return age_ns - excused(known, since_ns, since_ns + age_ns, tasks)[0]


def _known_as(loop: Any) -> Any:
    """By what a thread that calls into the loop knows it."""
    return loop.token if type(loop) is TrioRun else loop


def _boundary() -> frozenset[int]:
    """Of the loops whose code is known: asyncio's, and trio's if it has been imported."""
    return frozenset(id(code) for code in (*LOOP_CODES, *loop_codes()))


class _OfThread(threading.local):
    """What is kept of a thread from one run of a loop to the next. Python lets go of it when the thread ends."""

    def __init__(self) -> None:
        self.probe = ThreadProbe(threading.get_native_id())


def _learn_boundary(watched: Watched) -> None:
    """A callback of a loop without Python frames is called straight from whoever called `run_forever`."""
    outer = sys._getframe(1) if hasattr(sys, "_getframe") else None
    if outer is not None:
        watched.boundary = watched.boundary | {id(outer.f_code)}
