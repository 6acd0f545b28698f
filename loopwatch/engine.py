"""The one engine of a process: threads, loops and watches are joined here.

Threads and their rules: the loop's own thread calls `loop_started` and `loop_stopped` (a few dictionary writes); the watchdog
thread runs `Watchdog.look` and nothing else; the delivery thread resolves, judges and hands to the sinks' own threads.
Threads start with the first loop, since servers fork after they have imported the application, and are gone after a fork:
the child drops what it inherited and starts anew with its first loop.
"""

import atexit
import contextlib
import os
import secrets
import sys
import threading
from functools import partial
from typing import Any, Protocol

from loopwatch.attach import Attachment
from loopwatch.clocks import SystemClock, time
from loopwatch.delivery import Delivery, introduce
from loopwatch.loops import Loops
from loopwatch.observations import Observation, Saturation
from loopwatch.outlets import Outlet
from loopwatch.probes import allowances
from loopwatch.probes.garbage import GarbageProbe
from loopwatch.probes.holders import HolderProbe
from loopwatch.probes.machine import MachineProbe
from loopwatch.probes.threads import ThreadProbe
from loopwatch.schedule import Limits, limits_of
from loopwatch.sentinel.process import Sentinel
from loopwatch.settings import Settings
from loopwatch.watchdog import PoolFollower, Watchdog, WatchdogThread, Watched, stall_ids

__all__ = ["ENGINE", "Engine", "Subscriber"]

START_PATIENCE_S = 0.2
EXIT_PATIENCE_S = 2.0


class Subscriber(Protocol):
    """What the engine needs of a watch."""

    settings: Settings
    outlets: list[Outlet]

    def receive(self, observation: Observation, told: set[Any]) -> None:
        """Judge a stall and queue it for the sinks. Called by the delivery thread."""

    def receive_saturation(self, saturation: Saturation, told: set[Any]) -> None:
        """The same for a saturated pool, if its settings ask for any."""

    def forget(self) -> None:
        """Drop all that was recorded: this process is a fork's child."""


class Engine:
    """Watches loops for as long as somebody subscribes. One per process: `ENGINE`."""

    def __init__(self) -> None:
        if hasattr(os, "register_at_fork"):  # it cannot be taken back; without subscribers it only renews what is here
            os.register_at_fork(after_in_child=self._after_fork)
        self._subscribers: tuple[Subscriber, ...] = ()
        self._attachment: Attachment | None = None
        self._fresh()

    def _fresh(self) -> None:
        """State that belongs to this process only."""
        self._lock = threading.RLock()
        self.enabling = threading.Lock()
        """Held while the process-wide watch is made or ended. Here, since a fork's child needs a new one."""
        self._ending = self._introduced = False
        self.delivery = Delivery(self._receive, self._receive_saturation)
        self._garbage = GarbageProbe()
        self._machine = MachineProbe()
        self._finalizer: Any = None
        token = secrets.token_hex(5)
        self.watchdog = Watchdog(
            clock=SystemClock(),
            limits=Limits(),
            emit=self.delivery.emit,
            garbage=self._garbage,
            machine=self._machine,
            holders=HolderProbe(),
            allowances=allowances.within,
            stall_ids=stall_ids(token + "-"),
            report_failure=self.delivery.failed,
        )
        self.pools = PoolFollower(
            SystemClock(), self.delivery.emit, iter(stall_ids(token + "-pool-")), self.delivery.failed
        )
        self.sentinel = Sentinel(self.delivery.queue.put)
        self.delivery.dumps = self.sentinel.dumps
        self._thread = WatchdogThread(self.watchdog, self._looked)
        self.loops = Loops(
            self.watchdog,
            lambda: bool(self._subscribers) and not self._ending,
            self._start_threads,
            self._loop_came,
            self._loop_went,
            self.delivery.failed,
        )

    # ── subscribing: any thread ─────────────────────────────────────────────────────────────────────────────────

    def subscribe(self, subscriber: Subscriber) -> None:
        """Begin to watch for `subscriber`; the first one installs everything."""
        with self._lock:
            first = not self._subscribers
            self._subscribers = (*self._subscribers, subscriber)
            self._apply_limits()
            if first:
                self._install()
            elif self._thread.running:
                self._start_threads()  # those of its sinks

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Stop watching for `subscriber`; the last one takes everything away."""
        with self._lock:
            last = self._subscribers == (subscriber,) and self._attachment is not None
            if last:
                # While it still listens: a turn that is cut off here may be a stall already.
                self._ending = True
                self.loops.detach_all()
                self.flush(START_PATIENCE_S)
            self._subscribers = tuple(one for one in self._subscribers if one is not subscriber)
            self._apply_limits()
            if not last and not self._wants_sentinel():
                self.sentinel.end()
            if last:
                self._uninstall()
                self._ending = False
        for outlet in subscriber.outlets:
            outlet.end(1.0)

    def _apply_limits(self) -> None:
        limits = limits_of(one.settings for one in self._subscribers)
        self.watchdog.limits = limits
        for watched in self.watchdog.watched:
            watched.heartbeat.limit_ns = limits.threshold_ns
        self._thread.ring()

    def _install(self) -> None:
        self._garbage.install()
        self._attachment = Attachment(self._loop_starts, self._loop_stopped, self._loop_closes)
        self._attachment.install()
        atexit.register(self._at_exit)
        self.loops.adopt_running()

    def _uninstall(self) -> None:
        atexit.unregister(self._at_exit)
        if self._finalizer is not None:
            self._finalizer.cancel()
            self._finalizer = None
        # The loops were given up before: it is the wrapper around `close` that keeps a loop alive while it is looked at.
        if self._attachment is not None:
            self._attachment.uninstall()
            self._attachment = None
        self._garbage.uninstall()
        self._stop_threads()
        self.loops.runs.clear()

    # ── loops come and go: their own threads ────────────────────────────────────────────────────────────────────

    # These three and not the methods of `loops` itself: after a fork the wrappers must reach the child's own loops.

    def _loop_starts(self, loop: Any) -> Watched | None:
        return self.loops.started(loop)

    def _loop_stopped(self, watched: Watched | None) -> None:
        self.loops.stopped(watched)

    def _loop_closes(self, loop: Any) -> None:
        self.loops.closing(loop)

    def _loop_came(self, watched: Watched) -> None:
        self._thread.ring()
        listeners = [one.settings for one in self._subscribers if one.outlets]
        if listeners and not self._introduced:
            self._introduced = True
            verbose, threshold_ms = any(one.verbose for one in listeners), self.watchdog.limits.threshold_ns / 1e6
            self.delivery.queue.put(partial(introduce, watched.heartbeat.info, threshold_ms, verbose))

    def _loop_went(self, watched: Watched) -> None:
        self._thread.ring(lambda: self.watchdog.close(watched))

    # ── threads ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _start_threads(self) -> None:
        with self._lock:
            outlets = [outlet for subscriber in self._subscribers for outlet in subscriber.outlets]
            for queue in (self.delivery.queue, *(outlet.queue for outlet in outlets)):
                # Now: at the interpreter's exit, when the last stall comes, it would be too late. And all the way to their
                # waiting: a thread that is just starting would compete with the watchdog for the GIL.
                if not queue.running and queue.start():
                    queue.join(time.monotonic() + START_PATIENCE_S)
            for outlet in outlets:
                outlet.begin()
            self._thread.start()
            if self._wants_sentinel():
                self.sentinel.begin()
            self._finish_as_a_child()

    def _wants_sentinel(self) -> bool:
        return any(subscriber.settings.sentinel for subscriber in self._subscribers)

    def _looked(self, due_ns: int) -> None:
        """The watchdog has looked. On its thread."""
        self.pools.look(self.watchdog.watched, self.watchdog.limits)
        if not self.sentinel.reads:
            return
        limits, watched = self.watchdog.limits, self.watchdog.watched
        turns = [(one.heartbeat.info, one.pending.since_ns if one.pending else 0) for one in watched]
        ongoing_ns, sleeps = min(limits.ongoing_ns, default=0), self._machine.own_switches() or 0
        try:
            self.sentinel.stamp(due_ns, turns, limits.threshold_ns, ongoing_ns, sleeps)
        except Exception as error:  # noqa: BLE001 - the watchdog goes on without
            self.delivery.failed(f"the sentinel: {error!r}")

    def _stop_threads(self) -> None:
        self._thread.stop()
        self.delivery.queue.stop(1.0)
        self.sentinel.stop()
        self._machine.close()

    def _receive(self, observation: Observation) -> None:
        """Hand a stall to every watch. On the delivery thread."""
        told: set[Any] = set()
        for subscriber in self._subscribers:
            subscriber.receive(observation, told)

    def _receive_saturation(self, saturation: Saturation) -> None:
        """Hand a saturated pool to every watch that wants such. On the delivery thread."""
        told: set[Any] = set()
        for subscriber in self._subscribers:
            if subscriber.settings.saturated_ns is not None:
                subscriber.receive_saturation(saturation, told)

    # ── flush, exit, fork ───────────────────────────────────────────────────────────────────────────────────────

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was observed so far has reached the sinks; False if it takes longer."""
        deadline = time.monotonic() + timeout_s
        if not self._thread.wait(timeout_s):
            return False
        if not self.delivery.queue.join(deadline):
            return False
        outlets = [outlet for subscriber in self._subscribers for outlet in subscriber.outlets]
        return all(outlet.queue.join(deadline) for outlet in outlets)

    def _finish_as_a_child(self) -> None:
        """A process that multiprocessing has forked leaves by `os._exit`, past `atexit` (Lib/multiprocessing/popen_fork.py)."""
        process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
        if (
            self._finalizer is None
            and process is not None
            and util is not None
            and process.parent_process() is not None
        ):
            self._finalizer = util.Finalize(None, self._at_exit, exitpriority=0)

    def _at_exit(self) -> None:
        deadline = time.monotonic() + EXIT_PATIENCE_S
        self.flush(EXIT_PATIENCE_S)
        for subscriber in self._subscribers:
            for outlet in subscriber.outlets:
                outlet.end(max(0.0, deadline - time.monotonic()))
        self.sentinel.stop()

    def _after_fork(self) -> None:
        """In the child: threads, locks and loops of the parent do not exist here."""
        inherited = self.watchdog.watched
        here = [watched for watched in inherited if watched.heartbeat.info.thread_id == threading.get_ident()]
        self._garbage.uninstall()
        for watched in inherited:
            watched.probe.close()
        for watched in here:
            with contextlib.suppress(Exception):
                watched.heartbeat.detach()
        self._machine.close()
        self.sentinel.abandon()
        self._fresh()
        for subscriber in self._subscribers:
            subscriber.forget()
        if self._subscribers:
            self.watchdog.limits = limits_of(one.settings for one in self._subscribers)
            self._garbage.install()
            for watched in here:
                self.loops.rejoin(watched.loop)

    @property
    def own_cpu_ns(self) -> int | None:
        """CPU time of the watchdog and delivery threads so far."""
        total = 0
        for native_id in (self._thread.native_id, self.delivery.queue.native_id):
            if native_id is not None:
                used = ThreadProbe.cpu_of(native_id)
                if used is None:
                    return None
                total += used
        return total

    @property
    def dropped(self) -> int:
        """Stalls that the delivery queue could not take."""
        return self.delivery.queue.dropped


ENGINE = Engine()
