"""Sinks, each isolated from all others: a thread and a bounded queue of its own, and a limit on what people have to read.

So a sink that hangs delays nobody, and one that raises is switched off and said once.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from loopwatch.clocks import time
from loopwatch.delivery import Queue, say
from loopwatch.records import PoolSaturation, Stall
from loopwatch.sinks import Sink, Source, describe_sink

__all__ = ["Limiter", "Outlet"]

FAILURES_ALLOWED = 3
"""A sink that raises this many times in a row is switched off."""
Record = TypeVar("Record", Stall, PoolSaturation)
Item = tuple[Callable[..., object], tuple[object, ...]]
"""What is to be called, and with what."""


class Outlet:
    """One sink, isolated from all others. All calls of the sink and its hooks are made on the thread of its queue."""

    def __init__(
        self, sink: Sink, name: str | None = None, limiter: "Limiter | None" = None, source: Source | None = None
    ) -> None:
        self.sink = sink
        self.name = name
        """Under which it was asked for; None for a callable."""
        self.queue = Queue(f"loopwatch-sink-{describe_sink(sink)}"[:60], self._deliver)
        self._limiter = limiter
        self._pool_limiter = None if limiter is None else Limiter(announcements=True)
        self._source = source
        self._failures = 0
        self._off = False
        self._said_dropped = 0
        self._begun = False

    def renewed(self) -> "Outlet":
        """The same sink with nothing queued and no thread: after a fork."""
        return Outlet(self.sink, self.name, None if self._limiter is None else Limiter(), self._source)

    def begin(self) -> None:
        """The sink's thread runs from now on, and the sink is told so. Beginning twice does nothing."""
        if not self._begun and self.queue.start():
            self._begun = True
            self.tell("begin", self._source)

    def end(self, timeout_s: float) -> bool:
        """Tell the sink that it ends, and end its thread when all is delivered; False if that takes longer."""
        if self._begun:
            self._begun = False
            self.tell("end")
        return self.queue.stop(timeout_s)

    def tell(self, hook: str, *records: object) -> None:
        """Call a hook of the sink's (`loopwatch.sinks.Hooks`), if it has that one."""
        call = getattr(self.sink, hook, None)
        if call is not None:
            self._put((call, records))

    def put(self, stall: Stall) -> None:
        """Queue a stall for people to read, within the limits. Called by the delivery thread."""
        limited = stall if self._limiter is None else self._limiter.pass_on(stall)
        if limited is not None:
            self._put((self.sink, (limited,)))

    def put_saturation(self, saturation: PoolSaturation) -> None:
        """Queue a saturated pool, within limits of its own, for a sink that takes such. Called by the delivery thread."""
        limiter = self._pool_limiter
        limited = saturation if limiter is None else limiter.pass_on(saturation)
        if limited is not None:
            self.tell("pool", limited)

    def _put(self, item: Item) -> None:
        if self._off:
            return
        if not self.queue.start():
            self._deliver(item)
        elif not self.queue.put(item) and self.queue.dropped > 2 * self._said_dropped:
            self._said_dropped = self.queue.dropped
            say(f"loopwatch: sink {describe_sink(self.sink)} is too slow; {self.queue.dropped} records dropped so far")

    def _deliver(self, item: Item) -> None:
        if self._off:
            return
        call, records = item
        try:
            call(*records)
        except BaseException as error:  # noqa: BLE001 - whatever a sink raises, also SystemExit, the program goes on
            self._failures += 1
            cannot_begin = call == getattr(self.sink, "begin", None)
            if cannot_begin or self._failures >= FAILURES_ALLOWED:
                self._off = True
                why = "it cannot begin" if cannot_begin else f"after it raised {self._failures} times in a row"
                say(f"loopwatch: sink {describe_sink(self.sink)} is switched off, {why}: {error!r}")
        else:
            self._failures = 0


class Limiter:
    """Lets the first few records of a fingerprint through per minute, and counts what it holds back.

    What was announced while it lasted is always told when it has ended. Used by one thread.

    Args:
        announcements: Whether the first announcement of each is limited, too; then there is no end without one.
    """

    def __init__(
        self,
        burst: int = 5,
        per_s: float = 60.0,
        fingerprints: int = 2000,
        now: Callable[[], float] = time.monotonic,
        announcements: bool = False,
    ) -> None:
        self._burst = burst
        self._per_s = per_s
        self._fingerprints = fingerprints
        self._now = now
        self._limits_announcements = announcements
        self._seen: OrderedDict[str, list[float]] = OrderedDict()  # [window start, passed, held back, their ms]
        self._announced: OrderedDict[str, None] = OrderedDict()

    def pass_on(self, stall: Record) -> Record | None:
        """The stall (or saturated pool), with the count of those held back before it; None to hold it back."""
        state = self._state(stall.fingerprint)
        if not self._must_pass(stall):
            if state[1] >= self._burst or (self._limits_announcements and not stall.ongoing):
                if not stall.ongoing:
                    state[2] += 1
                    state[3] += stall.duration_ms
                return None
            state[1] += 1
        if stall.ongoing:
            self._announced[stall.id] = None
            if len(self._announced) > self._fingerprints:
                self._announced.popitem(last=False)
        held, held_ms, state[2], state[3] = int(state[2]), state[3], 0, 0.0
        return replace(stall, suppressed_count=held, suppressed_ms=held_ms)

    def _state(self, fingerprint: str) -> list[float]:
        now = self._now()
        state = self._seen.setdefault(fingerprint, [now, 0, 0, 0.0])
        self._seen.move_to_end(fingerprint)
        if now - state[0] >= self._per_s:
            state[0], state[1] = now, 0
        if len(self._seen) > self._fingerprints:
            self._seen.popitem(last=False)
        return state

    def _must_pass(self, stall: Stall | PoolSaturation) -> bool:
        if stall.ongoing:
            return not self._limits_announcements or stall.id in self._announced
        return self._announced.pop(stall.id, 0) is None
