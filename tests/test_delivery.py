"""From the watchdog's queue to the sinks: bounded, in order, and one sink's trouble is its own."""

import logging
import threading
import time
from dataclasses import replace

import pytest
from facts import ongoing, saturation, stall

from loopwatch.delivery import MAX_QUEUED, Queue
from loopwatch.judge.pools import judge_saturation
from loopwatch.outlets import FAILURES_ALLOWED, Limiter, Outlet

PATIENCE_S = 10.0


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


class Clock:
    """Seconds, as told."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


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
        outlet.put(stall())
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
        outlet.put(stall())

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
    outlet.put(stall(id="first"))
    outlet.put(stall(id="second"))

    assert outlet.queue.join(time.monotonic() + 2)
    assert [one.id for one in delivered] == ["first", "second"]


def test_slow_sink(started, caplog):
    """A sink that hangs delays no other; what it cannot take is dropped, and said at 1, 3, 7, ... times."""
    release, delivered = threading.Event(), []
    slow, quick = started(Outlet(lambda one: release.wait(PATIENCE_S))), started(Outlet(delivered.append))

    for _ in range(MAX_QUEUED + 11):
        slow.put(stall())
    quick.put(stall())

    assert joined(quick.queue)
    assert len(delivered) == 1
    assert slow.queue.dropped in (10, 11)  # it may have taken one in hand
    assert [record.getMessage().split("; ")[1] for record in caplog.records] == [
        f"{n} records dropped so far" for n in (1, 3, 7)
    ]
    release.set()


def test_renewed(started):
    """After a fork the sink is the same, with nothing queued, no thread and no memory of what was held back."""
    outlet = Outlet(print, "structlog", Limiter(burst=1))
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
    outlet.put(stall(id="shown"))
    assert outlet.end(PATIENCE_S)

    assert sink.calls == [
        ("begin", "the watch"), ("count", "counted"), ("call", "shown"), ("end", "loopwatch-sink-Hooked"),
    ]  # fmt: skip


def test_hooks_that_are_not_there(started):
    """A plain callable is called with stalls and nothing else."""
    delivered = []
    outlet = started(Outlet(delivered.append))
    outlet.begin()
    outlet.tell("count", stall(id="counted"))
    outlet.put(stall(id="shown"))

    assert joined(outlet.queue)
    assert [one.id for one in delivered] == ["shown"]


def test_sink_that_cannot_begin(started, caplog):
    """It is switched off at once, and that is said."""

    class Sink(Hooked):
        def begin(self, source):
            raise OSError("port is taken")

    outlet = started(Outlet(Sink()))
    outlet.begin()
    outlet.put(stall(id="shown"))

    assert joined(outlet.queue)
    assert outlet.sink.calls == []
    (record,) = caplog.records
    assert "Sink is switched off, it cannot begin: OSError('port is taken')" in record.getMessage()


# ── the limiter ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_burst():
    """A few of one fingerprint pass per minute; the next one that passes tells how many were held back."""
    clock = Clock()
    limiter = Limiter(burst=2, per_s=60, now=clock)

    passed = [limiter.pass_on(stall(100.0 + n)) for n in range(5)]
    clock.now = 60.0
    after = limiter.pass_on(stall())

    assert [one is not None for one in passed] == [True, True, False, False, False]
    assert (after.suppressed_count, after.suppressed_ms) == (3, 102 + 103 + 104)
    assert limiter.pass_on(stall()).suppressed_count == 0


def test_each_fingerprint_for_itself():
    """A frequent incident does not hide a rare one."""
    limiter = Limiter(burst=1, now=Clock())

    assert limiter.pass_on(stall(fingerprint="often")) is not None
    assert limiter.pass_on(stall(fingerprint="often")) is None
    assert limiter.pass_on(stall(fingerprint="seldom")) is not None


def test_announced_is_also_ended():
    """Announcements pass, and what was announced is also told when it has ended, however many there are."""
    limiter = Limiter(burst=1, now=Clock())
    limiter.pass_on(stall(id="uses up the burst"))

    assert limiter.pass_on(ongoing(id="long")) is not None
    assert limiter.pass_on(stall(id="short")) is None
    assert limiter.pass_on(stall(id="long")).suppressed_count == 1
    assert limiter.pass_on(stall(id="long")) is None


def test_bounded_memory():
    """The limiter forgets the fingerprint that has been quiet longest."""
    limiter = Limiter(burst=1, fingerprints=2, now=Clock())

    for fingerprint in ("a", "b", "a", "c"):
        limiter.pass_on(stall(fingerprint=fingerprint))

    assert limiter.pass_on(stall(fingerprint="a")) is None
    assert limiter.pass_on(stall(fingerprint="b")) is not None


def test_outlet_limits(started):
    """An outlet with a limiter hands on what that lets through."""
    delivered = []
    outlet = started(Outlet(delivered.append, "mine", Limiter(burst=2, now=Clock())))

    for number in range(5):
        outlet.put(stall(id=str(number)))

    assert joined(outlet.queue)
    assert [one.id for one in delivered] == ["0", "1"]


# ── saturated pools ─────────────────────────────────────────────────────────────────────────────────────────────────


def saturated(number, *, ongoing=True):
    """A record of that saturation of one and the same pool; it has lasted for 1.5 s."""
    return replace(judge_saturation(saturation(ongoing=ongoing)), id=f"pool-{number}")


def test_announcements_are_limited():
    """A pool that is full again and again: what was announced is told to its end, the rest counted."""
    limiter = Limiter(burst=1, now=Clock(), announcements=True)
    records = [saturated(number, ongoing=ongoing) for number in (1, 2, 3) for ongoing in (True, True, False)]

    passed = [limiter.pass_on(record) for record in records]

    assert [(one.id, one.ongoing) for one in passed if one] == [("pool-1", True), ("pool-1", True), ("pool-1", False)]


def test_pools_held_back_are_counted():
    """When the minute is over the next record says how many saturations were held back, and how long they lasted."""
    clock = Clock()
    limiter = Limiter(burst=1, per_s=60, now=clock, announcements=True)
    for number in (1, 2, 3):
        limiter.pass_on(saturated(number))
        limiter.pass_on(saturated(number, ongoing=False))
    clock.now += 61

    passed = limiter.pass_on(saturated(4))

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
    outlets = [started(Outlet(both, "both", Limiter(burst=1, now=Clock()))), started(Outlet(stalls.append))]
    for outlet in outlets:
        outlet.put(stall())
        outlet.put_saturation(saturated(1))
        assert joined(outlet.queue)

    assert (len(both.stalls), [one.id for one in both.pools], len(stalls)) == (1, ["pool-1"], 1)
