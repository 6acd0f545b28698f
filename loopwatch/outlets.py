"""Sinks, each isolated from all others: a thread and a bounded queue of its own, and limits on what people have to read.

So a sink that hangs delays nobody, and one that raises is switched off and said once.
"""

from collections.abc import Callable

from loopwatch.clocks import time
from loopwatch.delivery import Queue, say
from loopwatch.pool_limits import PoolLimits
from loopwatch.quotas import Quotas
from loopwatch.records import Incident, PoolSaturation, Stall
from loopwatch.sinks import Sink, Source, describe_sink

__all__ = ["Outlet"]

FAILURES_ALLOWED = 3
"""A sink that raises this many times in a row is switched off."""
Item = tuple[Callable[..., object], tuple[object, ...]]
"""What is to be called, and with what."""


class Outlet:
    """One sink, isolated from all others. All calls of the sink and its hooks are made on the thread of its queue."""

    def __init__(
        self, sink: Sink, name: str | None = None, quotas: Quotas | None = None, source: Source | None = None
    ) -> None:
        self.sink = sink
        self.name = name
        """Under which it was asked for; None for a callable."""
        self.queue = Queue(f"loopwatch-sink-{describe_sink(sink)}"[:60], self._deliver)
        self._quotas = quotas
        self._pool_limits = None if quotas is None else PoolLimits()
        self._source = source
        self._failures = 0
        self._off = False
        self._said_dropped = 0
        self._begun = False
        self._incidents: set[str] = set()
        """Openings of which the sink is to be told the end. As many as the watch remembers incidents, at most."""

    def renewed(self) -> "Outlet":
        """The same sink with nothing queued and no thread: after a fork."""
        return Outlet(self.sink, self.name, None if self._quotas is None else self._quotas.renewed(), self._source)

    def begin(self) -> None:
        """The sink's thread runs from now on, and the sink is told so. Beginning twice does nothing."""
        if not self._begun and self.queue.start():
            self._begun = True
            self.tell("begin", self._source)

    def tell_end(self) -> None:
        """Tell the sink that it ends, and wait for nothing."""
        if self._begun:
            self._begun = False
            self.tell("end", in_any_case=True)

    def end(self, timeout_s: float) -> bool:
        """Tell the sink that it ends, and end its thread when all is delivered; False if that takes longer."""
        self.tell_end()
        return self.queue.stop(timeout_s)

    def join(self, deadline: float) -> bool:
        """Wait until all that was put so far has been delivered, or until the monotonic `deadline`."""
        delivered = getattr(self.sink, "delivered", None)
        if not self.queue.join(deadline):
            return False
        if delivered is None or self._off or not self._begun:
            return True
        try:
            return bool(delivered(max(0.0, deadline - time.monotonic())))
        except Exception:  # noqa: BLE001 - what a sink raises is not its flusher's business
            return False

    def tell(self, hook: str, *records: object, in_any_case: bool = False) -> bool:
        """Call a hook of the sink's (`loopwatch.sinks.Hooks`); False if it has not that one, or cannot take any more."""
        call = getattr(self.sink, hook, None)
        return call is not None and self._put((call, records), in_any_case)

    def tell_incident(self, incident: Incident) -> None:
        """Pass on news of an incident, in pairs: of one whose opening this sink was not told, it is told nothing."""
        if incident.news == "opened":
            if self.tell("incident", incident):
                self._incidents.add(incident.id)
        elif incident.id in self._incidents:
            closed = incident.news == "closed"
            self.tell("incident", incident, in_any_case=closed)
            if closed:
                self._incidents.discard(incident.id)

    # Called by the delivery thread: what people read of stalls, within limits.

    def put(self, stall: Stall, now: float) -> bool:
        """Queue a stall; False if it was held back."""
        record = stall if self._quotas is None else self._quotas.pass_on(stall, now)
        if record is not None:
            self._put((self.sink, (record,)))
        return record is not None

    def put_saturation(self, saturation: PoolSaturation, now: float) -> None:
        """Queue a saturated pool, within limits of its own, for a sink that takes such."""
        record = saturation if self._pool_limits is None else self._pool_limits.pass_on(saturation, now)
        if record is not None:
            self.tell("pool", record)

    def owes(self, stall: Stall) -> bool:
        """Whether the sink was told of this stall while it lasted, and has yet to be told its end."""
        return self._quotas is not None and self._quotas.owes(stall.id)

    def pass_time(self, now: float) -> float | None:
        """Tell what was held back for long enough; when there will be more of that, None: not before a stall comes."""
        if self._quotas is None:
            return None
        for record in self._quotas.pass_time(now):
            self._put((self.sink, (record,)))
        return self._quotas.due(now)

    def let_go(self, now: float) -> None:
        """Tell all that was held back: the watch ends."""
        for record in () if self._quotas is None else self._quotas.close(now):
            self._put((self.sink, (record,)))

    def adjust(self, repeat_s: float, records: int, stacks: int) -> None:
        """Other limits from now on; as for `Quotas`."""
        if self._quotas is not None:
            self._quotas.adjust(repeat_s, records, stacks)

    def _put(self, item: Item, in_any_case: bool = False) -> bool:
        if self._off:
            return False
        if not self.queue.start():
            self._deliver(item)
            return True
        if self.queue.put(item, in_any_case):
            return True
        if self.queue.dropped > 2 * self._said_dropped:
            self._said_dropped = self.queue.dropped
            say(f"loopwatch: sink {describe_sink(self.sink)} is too slow; {self.queue.dropped} records dropped so far")
        return False

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
