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
from collections.abc import Callable
from functools import partial
from typing import Any

from loopwatch.attach import Attachment
from loopwatch.attach_trio import TrioAttachment
from loopwatch.clocks import SystemClock, time
from loopwatch.delivery import Delivery, introduce, say
from loopwatch.loops import Loops
from loopwatch.observations import Observation, Saturation, Turn
from loopwatch.probes import allowances, awaited
from loopwatch.probes.garbage import GarbageProbe
from loopwatch.probes.holders import HolderProbe
from loopwatch.probes.machine import MachineProbe
from loopwatch.probes.threads import ThreadProbe
from loopwatch.schedule import Limits
from loopwatch.sentinel.process import Sentinel
from loopwatch.subscribers import Subscriber, Subscribers
from loopwatch.watchdog import PoolFollower, Watchdog, WatchdogThread, Watched, stall_ids

__all__ = ["ENGINE", "Engine"]

START_PATIENCE_S = 0.2
EXIT_PATIENCE_S = 2.0


class Engine:
    """Watches loops for as long as somebody subscribes. One per process: `ENGINE`."""

    def __init__(self) -> None:
        if hasattr(os, "register_at_fork"):  # it cannot be taken back; without subscribers it only renews what is here
            os.register_at_fork(after_in_child=self._after_fork)
        self._subscribers = Subscribers()
        self._attachments: tuple[Attachment | TrioAttachment, ...] = ()
        self._fresh()

    def _fresh(self) -> None:
        """State that belongs to this process only."""
        self._lock = threading.RLock()
        self.enabling = threading.Lock()
        """Held while the process-wide watch is made or ended. Here, since a fork's child needs a new one."""
        self._ending = self._introduced = False
        self.delivery = Delivery(self._receive, self._pass_time, self._receive_saturation)
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
            self._subscribers = self._subscribers.plus(subscriber)
            self._apply_limits()
            if first:
                self._install()
            elif self._thread.running:
                self._start_threads()  # those of its sinks

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Stop watching for `subscriber`; the last one takes everything away."""
        with self._lock:
            last = self._subscribers == (subscriber,) and bool(self._attachments)
            if last:
                # While it still listens: a turn that is cut off here may be a stall already.
                self._ending = True
                self.loops.detach_all()
                self.flush(START_PATIENCE_S)
            self._subscribers = self._subscribers.without(subscriber)
            self._apply_limits()
            if not last and not self._subscribers.want_sentinel:
                self.sentinel.end()
            if last:
                self._uninstall()
                self._ending = False
        self.delivery.carry_out(subscriber.end, 1.0)
        for outlet in subscriber.outlets:  # all at once: each may have something to see to
            outlet.tell_end()
        for outlet in subscriber.outlets:
            outlet.end(1.0)

    def settings_changed(self, adjust: Callable[[], object]) -> None:
        """Those of a subscriber are others from now on; `adjust` is called between two stalls. Waits for nothing."""
        with self._lock:
            self._apply_limits()
        self.delivery.carry_out(adjust, 0.0)

    def sinks_changed(self) -> None:
        """A subscriber has one more sink, which begins at once where threads run already."""
        with self._lock:
            if self._thread.running:
                self._start_threads()

    def _apply_limits(self) -> None:
        limits = self._subscribers.limits
        self.watchdog.limits = limits
        for watched in self.watchdog.watched:
            watched.heartbeat.limit_ns = limits.threshold_ns
        self._thread.ring()

    def _install(self) -> None:
        self._garbage.install()
        self._attachments = (
            Attachment(self._loop_starts, self._loop_stopped, self._loop_closes),
            TrioAttachment(self.trio_begins, say),
        )
        for attachment in self._attachments:
            attachment.install()
        atexit.register(self._at_exit)
        self.loops.adopt_running()

    def _uninstall(self) -> None:
        atexit.unregister(self._at_exit)
        if self._finalizer is not None:
            self._finalizer.cancel()
            self._finalizer = None
        # The loops were given up before: it is the wrapper around `close` that keeps a loop alive while it is looked at.
        for attachment in self._attachments:
            attachment.uninstall()
        self._attachments = ()
        self._garbage.uninstall()
        self._stop_threads()
        self.loops.runs.clear()
        self.loops.forget_threads()

    # ── loops come and go: their own threads ────────────────────────────────────────────────────────────────────

    # These and not the methods of `loops` itself: after a fork the wrappers must reach the child's own loops.

    def _loop_starts(self, loop: Any) -> Watched | None:
        return self.loops.started(loop)

    def _loop_stopped(self, watched: Watched | None) -> None:
        self.loops.stopped(watched)

    def _loop_closes(self, loop: Any) -> None:
        self.loops.closing(loop)

    def trio_begins(self) -> None:
        """A run of trio begins on this thread."""
        self.loops.trio_begins()

    def _loop_came(self, watched: Watched) -> None:
        self._thread.wake()
        if not self._introduced:
            self._introduce(watched)

    def _introduce(self, watched: Watched) -> None:
        listeners = [one.settings for one in self._subscribers if one.outlets]
        if listeners:
            self._introduced = True
            verbose, threshold_ms = any(one.verbose for one in listeners), self.watchdog.limits.threshold_ns / 1e6
            self.delivery.queue.put(partial(introduce, watched.heartbeat.info, threshold_ms, verbose))

    def _loop_went(self, watched: Watched, turns: list[Turn]) -> None:
        self._thread.ring(lambda: self.watchdog.close(watched, turns))

    # ── threads ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _start_threads(self) -> None:
        with self._lock:
            outlets = self._subscribers.outlets
            for queue in (self.delivery.queue, *(outlet.queue for outlet in outlets)):
                # Now: at the interpreter's exit, when the last stall comes, it would be too late. And all the way to their
                # waiting: a thread that is just starting would compete with the watchdog for the GIL.
                if not queue.running and queue.start():
                    queue.join(time.monotonic() + START_PATIENCE_S)
            for outlet in outlets:
                outlet.begin()
            self._thread.start()
            if self._subscribers.want_sentinel:
                self.sentinel.begin()
            self._finish_as_a_child()

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
        self._subscribers.receive(observation)

    def _pass_time(self) -> float | None:
        return self._subscribers.pass_time()

    def _receive_saturation(self, saturation: Saturation) -> None:
        self._subscribers.receive_saturation(saturation)

    # ── flush, exit, fork ───────────────────────────────────────────────────────────────────────────────────────

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was observed so far has reached the sinks; False if it takes longer."""
        deadline = time.monotonic() + timeout_s
        if not self._thread.wait(timeout_s):
            return False
        if not self.delivery.queue.join(deadline):
            return False
        return all(outlet.join(deadline) for outlet in self._subscribers.outlets)

    @property
    def settled(self) -> bool:
        """Whether there is surely nothing to wait for: every loop waits, and all that was observed has been judged."""
        now = time.monotonic_ns()
        return all(_waits(one, now) for one in self.watchdog.watched) and self._thread.idle and self.delivery.queue.idle

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
        self.flush(EXIT_PATIENCE_S / 2)  # a sink that cannot deliver is to have time to say so
        for subscriber in self._subscribers:
            self.delivery.carry_out(subscriber.end, max(0.0, deadline - time.monotonic()))
        for outlet in self._subscribers.outlets:
            outlet.tell_end()
        for outlet in self._subscribers.outlets:
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
        awaited.forget_loops()
        self._fresh()
        for subscriber in self._subscribers:
            subscriber.forget()
        if self._subscribers:
            self.watchdog.limits = self._subscribers.limits
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


def _waits(watched: Watched, now_ns: int) -> bool:
    """Whether a loop surely waits, with nothing to tell. What is not recorded by the loop itself only the watchdog may ask for."""
    beat = watched.heartbeat
    return watched.pending is None and beat.records_turns and beat.quiet_turn(now_ns) is not None


ENGINE = Engine()
