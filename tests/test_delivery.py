"""From the watchdog's queue to the sinks: bounded, in order, and one sink's trouble is its own."""

import logging
import threading
import time
from dataclasses import replace

import pytest
from facts import incident, saturation, stall

from loopwatch.delivery import MAX_QUEUED, Queue
from loopwatch.judge.pools import judge_saturation
from loopwatch.outlets import FAILURES_ALLOWED, Outlet
from loopwatch.pool_limits import PoolLimits
from loopwatch.quotas import BURST, Quotas

PATIENCE_S = 10.0
NOW = 0.0


def joined(queue):
    """Waits until the queue has handled all that was put."""
    return queue.join(time.monotonic() + PATIENCE_S)


@pytest.fixture
def started():
    """Starts queues and outlets, and stops them when the test ends."""
    running = []

    def started(one):
        running.append(one.queue if isinstance(one, Outlet) else one)
        running[-1].start()
        return one

    yield started
    for queue in running:
        assert queue.stop(PATIENCE_S)


# ── the queue ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_order(started):
    """Items are handled in the order in which they were put, also those put before the thread ran."""
    handled = []
    queue = Queue("loopwatch-test", handled.append)
    for number in range(5):
        queue.put(number)

    started(queue)

    assert joined(queue)
    assert handled == [0, 1, 2, 3, 4]


def test_full():
    """What does not fit is dropped and counted, and `put` says so at once."""
    queue = Queue("loopwatch-test", print, limit=2)

    assert [queue.put(number) for number in range(5)] == [True, True, False, False, False]
    assert queue.dropped == 3


def test_stop_handles_what_is_queued():
    """Stopping waits for what is queued; a queue that never ran has nothing to wait for."""
    handled = []
    queue = Queue("loopwatch-test", handled.append)
    assert queue.stop(PATIENCE_S)
    queue.start()
    queue.put("last")

    assert queue.stop(PATIENCE_S)
    assert handled == ["last"]


def test_start_again(started):
    """A queue can be started again, and starting twice starts one thread."""
    handled = []
    queue = Queue("loopwatch-test", handled.append)
    queue.start()
    queue.stop(PATIENCE_S)

    started(queue).start()
    queue.put("again")

    assert joined(queue)
    assert handled == ["again"]
    assert [thread.name for thread in threading.enumerate()].count("loopwatch-test") == 1


def test_patience_ends(started):
    """Neither joining nor stopping waits for longer than it was told to."""
    entered, release = threading.Event(), threading.Event()
    queue = started(Queue("loopwatch-test", lambda item: (entered.set(), release.wait(PATIENCE_S))))
    queue.put("hangs")
    assert entered.wait(PATIENCE_S)

    assert not queue.join(time.monotonic())
    assert not queue.stop(0)
    release.set()


def test_join_without_a_thread():
    """Without a thread nothing will be handled: joining does not wait for it."""
    queue = Queue("loopwatch-test", print)
    assert joined(queue)
    queue.put("stays")

    assert not joined(queue)
    queue.drain()
    assert joined(queue)


# ── one sink ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_failing_sink(started, caplog):
    """A sink that keeps raising is switched off, and that is said once, with its name and its error."""
    calls = []

    def sink(one):
        calls.append(one)
        raise OSError("disk is full")

    outlet = started(Outlet(sink))
    for _ in range(10):
        outlet.put(stall(), NOW)
        assert joined(outlet.queue)

    assert len(calls) == FAILURES_ALLOWED
    (record,) = caplog.records
    assert "test_failing_sink.<locals>.sink is switched off" in record.getMessage()
    assert "disk is full" in record.getMessage()
    assert (record.name, record.levelno) == ("loopwatch", logging.ERROR)


def test_failures_in_a_row(started, caplog):
    """A sink that fails now and then stays on."""
    calls = []

    def sink(one):
        calls.append(one)
        if len(calls) % FAILURES_ALLOWED:
            raise ValueError

    outlet = started(Outlet(sink))
    for _ in range(20):
        outlet.put(stall(), NOW)

    assert joined(outlet.queue)
    assert len(calls) == 20
    assert caplog.records == []


def test_sink_that_exits(started):
    """A sink that calls `sys.exit` ends neither its own thread nor the program."""
    delivered = []

    def sink(one):
        delivered.append(one)
        raise SystemExit

    outlet = started(Outlet(sink))
    outlet.put(stall(id="first"), NOW)
    outlet.put(stall(id="second"), NOW)

    assert outlet.queue.join(time.monotonic() + 2)
    assert [one.id for one in delivered] == ["first", "second"]


def test_slow_sink(started, caplog):
    """A sink that hangs delays no other; what it cannot take is dropped, and said at 1, 3, 7, ... times."""
    release, delivered = threading.Event(), []
    slow, quick = started(Outlet(lambda one: release.wait(PATIENCE_S))), started(Outlet(delivered.append))

    for _ in range(MAX_QUEUED + 11):
        slow.put(stall(), NOW)
    quick.put(stall(), NOW)

    assert joined(quick.queue)
    assert len(delivered) == 1
    assert slow.queue.dropped in (10, 11)  # it may have taken one in hand
    assert [record.getMessage().split("; ")[1] for record in caplog.records] == [
        f"{n} records dropped so far" for n in (1, 3, 7)
    ]
    release.set()


def test_renewed(started):
    """After a fork the sink is the same, with nothing queued, no thread and no memory of what was held back."""
    outlet = Outlet(print, "structlog", Quotas())
    outlet.queue.put(stall())

    renewed = outlet.renewed()

    assert (renewed.sink, renewed.name) == (print, "structlog")
    assert joined(renewed.queue)


class Hooked:
    """A sink with all its hooks; notes what it was called with, and on which thread."""

    def __init__(self):
        self.calls = []

    def __call__(self, stall):
        self.calls.append(("call", stall.id))

    def begin(self, source):
        self.calls.append(("begin", source))

    def count(self, stall):
        self.calls.append(("count", stall.id))

    def end(self):
        self.calls.append(("end", threading.current_thread().name))


def test_hooks():
    """A sink is told first that it begins, then what it is to count and to show, and at last that it ends; on its own thread."""
    sink = Hooked()
    outlet = Outlet(sink, source="the watch")
    outlet.begin()
    outlet.begin()
    outlet.tell("count", stall(id="counted"))
    outlet.put(stall(id="shown"), NOW)
    assert outlet.end(PATIENCE_S)

    assert sink.calls == [
        ("begin", "the watch"), ("count", "counted"), ("call", "shown"), ("end", "loopwatch-sink-Hooked"),
    ]  # fmt: skip


class Later(Hooked):
    """A sink that delivers later, or not at all."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def delivered(self, timeout_s):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(("answer", "done"), [(True, True), (False, False), (OSError("mine"), False)])
def test_delivers_later(started, answer, done):
    """Whoever waits for an outlet waits for what its sink has yet to deliver, and is spared the sink's troubles."""
    outlet = started(Outlet(Later(answer)))
    assert outlet.join(time.monotonic() + PATIENCE_S)  # it was given nothing yet

    outlet.begin()

    assert outlet.join(time.monotonic() + PATIENCE_S) is done


def test_hooks_that_are_not_there(started):
    """A plain callable is called with stalls and nothing else."""
    delivered = []
    outlet = started(Outlet(delivered.append))
    outlet.begin()
    outlet.tell("count", stall(id="counted"))
    outlet.put(stall(id="shown"), NOW)

    assert joined(outlet.queue)
    assert [one.id for one in delivered] == ["shown"]


def test_sink_that_cannot_begin(started, caplog):
    """It is switched off at once, and that is said."""

    class Sink(Hooked):
        def begin(self, source):
            raise OSError("port is taken")

    outlet = started(Outlet(Sink()))
    outlet.begin()
    outlet.put(stall(id="shown"), NOW)

    assert joined(outlet.queue)
    assert outlet.sink.calls == []
    (record,) = caplog.records
    assert "Sink is switched off, it cannot begin: OSError('port is taken')" in record.getMessage()


# ── its limits ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_limits(started):
    """An outlet with quotas hands on what those let through, later what they held back, and at the end the rest."""
    delivered = []
    outlet = started(Outlet(delivered.append, "mine", Quotas(repeat_s=60)))

    passed = [outlet.put(stall(id=str(number)), NOW) for number in range(BURST + 3)]
    due = outlet.pass_time(NOW)
    assert joined(outlet.queue)
    assert (passed, len(delivered), due) == ([True] * BURST + [False] * 3, BURST, 300)

    outlet.pass_time(due)
    outlet.put(stall(id="new"), due)
    assert joined(outlet.queue)
    assert [(one.id, one.suppressed_count) for one in delivered[BURST:]] == [(str(BURST + 2), 2), ("new", 0)]


def test_time_passes(started):
    """What falls due is told though no item comes; with nothing due the thread waits for an item."""
    told, pauses = threading.Event(), iter([0.01, None])

    def pass_time():
        pause = next(pauses, None)
        if pause is None:
            told.set()
        return pause

    started(Queue("loopwatch-test", print, pass_time=pass_time))

    assert told.wait(PATIENCE_S)


def test_some_items_are_not_dropped():
    """What somebody relies on is queued though there is no room for it."""
    queue = Queue("loopwatch-test", print, limit=1)

    assert [queue.put("first"), queue.put("second"), queue.put("the end", in_any_case=True)] == [True, False, True]


# ── incidents ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_incidents_come_in_pairs(started):
    """A sink is told how an incident went on and ended only where it was told that it opened."""
    told = []

    class Sink:
        def __call__(self, stall):
            pass

        def incident(self, incident):
            told.append((incident.id, incident.news))

    outlet = started(Outlet(Sink()))
    for name, news in [("old", "worse"), ("old", "closed"), ("new", "opened"), ("new", "ongoing"), ("new", "closed")]:
        outlet.tell_incident(incident(id=name, news=news))

    assert joined(outlet.queue)
    assert told == [("new", "opened"), ("new", "ongoing"), ("new", "closed")]


# ── saturated pools ─────────────────────────────────────────────────────────────────────────────────────────────────


def saturated(number, *, ongoing=True):
    """A record of that saturation of one and the same pool; it has lasted for 1.5 s."""
    return replace(judge_saturation(saturation(ongoing=ongoing)), id=f"pool-{number}")


def test_announcements_are_limited():
    """A pool that is full again and again: what was announced is told to its end, the rest counted."""
    limits = PoolLimits(burst=1)
    records = [saturated(number, ongoing=ongoing) for number in (1, 2, 3) for ongoing in (True, True, False)]

    passed = [limits.pass_on(record, NOW) for record in records]

    assert [(one.id, one.ongoing) for one in passed if one] == [("pool-1", True), ("pool-1", True), ("pool-1", False)]


def test_pools_held_back_are_counted():
    """When the minute is over the next record says how many saturations were held back, and how long they lasted."""
    limits = PoolLimits(burst=1)
    for number in (1, 2, 3):
        limits.pass_on(saturated(number), NOW)
        limits.pass_on(saturated(number, ongoing=False), NOW)

    passed = limits.pass_on(saturated(4), NOW + 61)

    assert (passed.suppressed_count, passed.suppressed_ms) == (2, 3000)


def test_pool_hook(started):
    """A sink that takes saturated pools is told of them, apart from its limit for stalls; another is not asked to."""

    class Both:
        def __init__(self):
            self.stalls, self.pools = [], []

        def __call__(self, one):
            self.stalls.append(one)

        def pool(self, one):
            self.pools.append(one)

    both, stalls = Both(), []
    outlets = [started(Outlet(both, "both", Quotas(records=1))), started(Outlet(stalls.append))]
    for outlet in outlets:
        outlet.put(stall(), NOW)
        outlet.put_saturation(saturated(1), NOW)
        assert joined(outlet.queue)

    assert (len(both.stalls), [one.id for one in both.pools], len(stalls)) == (1, ["pool-1"], 1)
