"""What a `Watch` knows, whom it tells, and how it ends."""

import asyncio
import logging
import threading
import time

import pytest
from facts import allowance, call, frame, observation, sample, samples

import loopwatch
from loopwatch.engine import ENGINE
from loopwatch.errors import SettingError
from loopwatch.observations import Verdict
from loopwatch.records import Cause
from loopwatch.testing import capture_stalls

PATIENCE_S = 10.0


@pytest.fixture(autouse=True)
def disabled():
    """Whatever a test enables ends with it."""
    yield
    loopwatch.disable()


def happens(**fields):
    """A stall is observed, and delivered to every watch."""
    ENGINE.delivery.handle((observation(**fields), ()))
    assert ENGINE.flush(PATIENCE_S)


def lines(caplog):
    """The events that were logged."""
    return [record.getMessage().split()[0] for record in caplog.records]


def told(caplog):
    """The fields of the events that were logged."""
    return [record.loopwatch for record in caplog.records]


# ── what a watch knows ──────────────────────────────────────────────────────────────────────────────────────────────


def test_stalls_and_incidents():
    """A watch remembers the latest ended stalls, oldest first, and groups them all."""
    with loopwatch.watching(sinks=[], keep=2) as watch:
        for number in range(3):
            happens(id=str(number), duration_ms=100 + number)

    assert [stall.id for stall in watch.stalls] == ["1", "2"]
    assert [(incident.count, incident.lost_ms) for incident in watch.incidents] == [(3, 303)]


def test_what_is_only_counted(caplog):
    """Allowed stalls and pauses of the whole process are counted, but neither kept nor delivered."""
    with loopwatch.watching() as watch:
        happens(allowances=(allowance(0, 400),))
        happens(stopped_ms=399)
        stats = watch.stats()

    assert (stats.allowed, stats.suspended, stats.stalls, stats.lost_ms) == (1, 1, 0, 0)
    assert (watch.stalls, watch.incidents, caplog.records) == ((), (), [])


def test_stats():
    """Lost time and causes add up in the sum of all loops."""
    with loopwatch.watching(sinks=[]) as watch:
        ENGINE.delivery.handle((observation(duration_ms=150), ()))
        watch.receive(observation(*samples(frame(), cpu=0.0, syscall=call("clock_nanosleep"))), {})
        stats = watch.stats()

    assert (stats.lost_ms, stats.stalls, stats.by_cause) == (550, 2, {"unknown": 1, "sleep": 1})


def test_app_packages():
    """A watch judges by its own idea of what the user's code is."""
    seen = observation(sample(300, frame(), frame("query", module="shared.db", kind="library")))
    with loopwatch.watching(sinks=[]) as one, loopwatch.watching(sinks=[], app_packages=["shared"]) as other:
        for watch in (one, other):
            watch.receive(seen, {})

    assert [watch.stalls[0].origin.function for watch in (one, other)] == ["handler", "query"]


# ── announcements ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_rules_of_the_users():
    """A rule of one's own is asked before ours, and where it has no answer, ours decide."""

    def in_reports(observation):
        return (
            Verdict(Cause.DISK, "reports read files", 0.9)
            if observation.samples[0].stack[0].function == "report"
            else None
        )

    with loopwatch.watching(sinks=[], rules=[in_reports]) as watch:
        watch.receive(observation(*samples(frame("report"), cpu=1.0, late_ms=5)), {})
        watch.receive(observation(*samples(frame("handler", point="jump"), cpu=1.0, late_ms=5)), {})

        assert [(stall.cause, stall.evidence == "reports read files") for stall in watch.stalls] == [
            (Cause.DISK, True),
            (Cause.PYTHON, False),
        ]


@pytest.mark.parametrize("answer", [ValueError("no samples"), "disk"])
def test_rule_that_fails(caplog, answer):
    """A rule that raises, or answers nonsense, is switched off and said once; stalls are told on."""

    def broken(observation):
        if isinstance(answer, Exception):
            raise answer
        return answer

    with loopwatch.watching(sinks=[], rules=[broken]) as watch:
        for _ in range(3):
            watch.receive(observation(*samples(frame("handler", point="jump"), cpu=1.0, late_ms=5)), {})

        assert [stall.cause for stall in watch.stalls] == [Cause.PYTHON] * 3
    assert len([record for record in caplog.records if "broken" in record.getMessage()]) == 1


def test_announcements():
    """Each watch is told at its own ages, then at doubling ones; an announcement is not yet a stall."""
    got = {"early": [], "late": [], "never": []}
    with (
        loopwatch.watching(ongoing_ms=200, sinks=[got["early"].append]) as watch,
        loopwatch.watching(ongoing_ms=500, sinks=[got["late"].append]),
        loopwatch.watching(ongoing_ms=None, sinks=[got["never"].append]),
    ):
        for age_ms in (150, 210, 300, 450, 600, 1000):
            happens(ongoing=True, duration_ms=age_ms)
        assert watch.stalls == ()
        happens(duration_ms=1100)

    told = {name: [stall.duration_ms for stall in stalls] for name, stalls in got.items()}
    assert told == {"early": [210, 450, 1000, 1100], "late": [600, 1000, 1100], "never": [1100]}
    assert {stall.id for stalls in got.values() for stall in stalls} == {"stall-1"}


# ── sinks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_add_sink(caplog):
    """One more sink, by callable or by name, gets what comes from now on."""
    got = []
    with loopwatch.watching(sinks=[]) as watch:
        happens(id="before")
        watch.add_sink(got.append)
        watch.add_sink("logging")
        happens(id="after")

    assert [stall.id for stall in got] == ["after"]
    assert lines(caplog) == ["event_loop_blocked"]


@pytest.mark.parametrize("sink", ["nowhere", None, 5, ["logging"]])
def test_wrong_sink(sink):
    """What is no sink is refused with what would be one."""
    with loopwatch.watching(sinks=[]) as watch:
        with pytest.raises(SettingError, match=r"callables that take a Stall.*logging.*structlog"):
            watch.add_sink(sink)

        assert watch.outlets == []


def test_one_sink_of_two_watches():
    """A callable that two watches have is told by each: it may want to compare them."""
    got = []
    with loopwatch.watching(sinks=[got.append]), loopwatch.watching(sinks=[got.append]):
        happens()

    assert len(got) == 2


def test_named_sinks_of_two_watches(tmp_path):
    """A sink that two watches name is told once; the same kind with another place to deliver to is another sink."""
    here, there = tmp_path / "here", tmp_path / "there"
    with loopwatch.watching(sinks=[f"jsonl:{here}"]), loopwatch.watching(sinks=[f"jsonl:{here}", f"jsonl:{there}"]):
        happens()

    assert [len(path.read_text().splitlines()) for path in (here, there)] == [1, 1]


def test_frequent_stall(caplog):
    """Named sinks are spared the flood of one incident, and told at the end of what was held back; callables get all of it."""
    got = []
    with loopwatch.watching(sinks=["logging", got.append]):
        for number in range(20):
            happens(id=str(number))
        assert len(caplog.records) == 5

    assert len(got) == 20
    assert len(caplog.records) == 6
    assert (told(caplog)[-1]["stall_id"], told(caplog)[-1]["suppressed_count"]) == ("19", 14)


# ── incidents ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Pager:
    """A sink that wants to hear of incidents."""

    def __init__(self):
        self.news, self.closed = [], threading.Event()

    def __call__(self, stall):
        self.news.append((stall.state, stall.id))

    def incident(self, incident):
        self.news.append((incident.news, incident.id))
        if incident.news == "closed":
            self.closed.set()

    def end(self):
        self.news.append(("end", None))


def test_incident_closes_by_itself():
    """An incident is closed after a while although no stall comes: somebody makes time pass while a loop runs."""
    pager = Pager()

    async def main():
        with loopwatch.watching(sinks=[pager], quiet_ms=20) as watch:
            happens()
            assert await asyncio.to_thread(pager.closed.wait, PATIENCE_S)
            return watch.incidents

    (incident,) = asyncio.run(main())

    assert (incident.state, incident.count) == ("closed", 1)
    assert pager.news == [("opened", incident.id), ("ended", "stall-1"), ("closed", incident.id), ("end", None)]


def test_incidents_end_with_the_watch():
    """What a sink was told opened it is told closed, at the latest before its own end."""
    pager = Pager()

    async def main():
        with loopwatch.watching(sinks=[pager], threshold_ms=1500):  # this test itself keeps the loop waiting
            happens(ongoing=True, duration_ms=2000)

    asyncio.run(main())

    assert [kind for kind, _ in pager.news] == ["opened", "ongoing", "closed", "end"]
    assert pager.news[0][1] == pager.news[2][1]


def test_nothing_opens_after_the_end():
    """A stall that comes while the program ends is told, but opens no incident that nobody would close."""
    pager = Pager()
    with loopwatch.watching(sinks=[pager]) as watch:
        watch.end()
        happens()

    assert [kind for kind, _ in pager.news] == ["ended"]


def test_announced_is_also_ended():
    """What was announced is told when it has ended, though the threshold was raised meanwhile, or it turned out to be a pause."""
    got = []
    with loopwatch.watching(sinks=[got.append]) as watch:
        happens(id="raised", ongoing=True, duration_ms=1000)
        happens(id="stopped", ongoing=True, duration_ms=1000)
        watch.configure(threshold_ms=60_000, ongoing_ms=None)
        happens(id="raised", duration_ms=2000)
        happens(id="stopped", duration_ms=2000, stopped_ms=1999)
        happens(id="later", duration_ms=2000)
        assert watch.stats().suspended == 1

    assert [(stall.id, stall.ongoing) for stall in got] == [
        ("raised", True), ("stopped", True), ("raised", False), ("stopped", False),
    ]  # fmt: skip


def test_one_incident_of_two_watches():
    """A sink by name that two watches have is told of one opening, and of its end."""
    news = []

    class Sink(Pager):
        def __init__(self):
            super().__init__()
            self.news = news

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("loopwatch.sinks.logging.LoggingSink", Sink)
        with loopwatch.watching(sinks=["logging"]), loopwatch.watching(sinks=["logging"]):
            happens()

    assert [kind for kind, _ in news] == ["opened", "ended", "closed"]


def test_end_held_back_by_another_watch(caplog):
    """A sink by name is told the end of what one watch announced, also where another watch, asked first, holds it back."""
    with (
        loopwatch.watching(sinks=["logging"], ongoing_ms=None, records_per_minute=1),
        loopwatch.watching(sinks=["logging"]),
    ):
        happens(id="uses up the limit")
        happens(id="long", ongoing=True, duration_ms=1000)
        happens(id="long", duration_ms=1500)

        assert [(fields["event"], fields["stall_id"]) for fields in told(caplog)] == [
            ("event_loop_blocked", "uses up the limit"),
            ("event_loop_stalled", "long"),
            ("event_loop_blocked", "long"),
        ]


# ── while it runs ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_configure(caplog):
    """Threshold and limits are others from now on, for the watch and for the watchdog; `enable` still knows what was asked for."""
    watch = loopwatch.enable(sinks=["logging"], records_per_minute=1)
    watch.configure(threshold_ms=50, records_per_minute=100)
    for _ in range(3):
        happens(duration_ms=60)

    assert len(caplog.records) == 3
    assert ENGINE.watchdog.limits.threshold_ns == 50_000_000
    assert loopwatch.enable(sinks=["logging"], records_per_minute=1) is watch


def test_wrong_configuration():
    """Where one setting cannot be used, none is changed."""
    with loopwatch.watching(sinks=[]) as watch:
        with pytest.raises(SettingError, match="cannot change keep"):
            watch.configure(threshold_ms=50, keep=5)

        assert watch.settings.threshold_ms == 100


def test_quiet_is_configured_while_it_waits():
    """Whoever waits for something to fall due learns that it falls due earlier."""
    pager = Pager()

    async def main():
        with loopwatch.watching(sinks=[pager]) as watch:
            happens()
            watch.configure(quiet_ms=1)
            assert await asyncio.to_thread(pager.closed.wait, PATIENCE_S)

    asyncio.run(main())


def test_allow_a_kind():
    """Stalls of one kind are counted and not reported, until that is taken back."""
    with loopwatch.watching(sinks=[]) as watch:
        happens(id="before")
        watch.allow(watch.stalls[0].fingerprint, "ticket 4711")
        happens(id="allowed")
        watch.disallow(watch.stalls[0].fingerprint)
        watch.disallow("nothing")
        happens(id="after")

        assert [stall.id for stall in watch.stalls] == ["before", "after"]
        assert watch.stats().allowed == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("", "why"), "fingerprint, or the module:function"),
        ((None, "why"), "fingerprint, or the module:function"),
        (("shop:handler", " "), "say in words why"),
        (("shop:handler", "why", 0), "milliseconds above 0"),
    ],
)
def test_wrong_kind(arguments, words):
    """What cannot be allowed is refused with what could be."""
    with loopwatch.watching(sinks=[]) as watch, pytest.raises(SettingError, match=words):
        watch.allow(*arguments)


def test_grace():
    """Stalls that end within the grace after a loop's start are counted and not reported; one that goes on beyond it is."""
    got = []
    with loopwatch.watching(sinks=[got.append], grace_ms=5000) as watch:
        happens(id="start", ran_ns=4_000_000_000)
        happens(id="hangs", ran_ns=4_000_000_000, ongoing=True, duration_ms=3000)
        happens(id="hangs", ran_ns=7_000_000_000, duration_ms=6000)
        happens(id="later", ran_ns=8_000_000_000)
        happens(id="not known")

        assert [stall.id for stall in got] == ["hangs", "later", "not known"]
        assert watch.stats().allowed == 1


def test_grace_of_a_real_loop():
    """The start of a loop is known."""

    async def main():
        time.sleep(0.15)
        await asyncio.sleep(0)

    with loopwatch.watching(sinks=[], grace_ms=1e6) as watch:
        asyncio.run(main())
        watch.flush()

        assert (watch.stalls, watch.stats().allowed) == ((), 1)


# ── flush and close ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_flush():
    """`flush` comes back when all has been delivered; False if that takes too long."""
    entered, release = threading.Event(), threading.Event()
    with loopwatch.watching(sinks=[lambda stall: (entered.set(), release.wait(PATIENCE_S))]) as watch:
        assert watch.flush()
        ENGINE.delivery.handle((observation(), ()))
        assert entered.wait(PATIENCE_S)

        assert not watch.flush(timeout=0.01)
        release.set()
        assert watch.flush(PATIENCE_S)


def test_flush_from_a_sink():
    """A sink that flushes gets False after its timeout instead of waiting for itself."""
    answers = []
    with loopwatch.watching(sinks=[lambda stall: answers.append(watch.flush(timeout=0.05))]) as watch:
        happens()

    assert answers == [False]


def test_stall_under_way():
    """A watch that ends within a stall, as one around a blocking call in a coroutine does, tells of it."""

    async def main():
        with loopwatch.watching(threshold_ms=1, sinks=[]) as watch:
            until = time.monotonic() + 0.01
            while time.monotonic() < until:
                pass
        return watch.stalls

    (stall,) = asyncio.run(main())
    assert stall.duration_ms >= 9


def test_close():
    """Closing delivers what is queued, ends the watch, and can be done twice."""
    got = []
    watch = loopwatch.enable(sinks=[got.append])
    ENGINE.delivery.handle((observation(), ()))
    watch.close()
    watch.close()

    assert len(got) == len(watch.stalls) == 1
    assert ENGINE._subscribers == ()


def test_capture_stalls(caplog):
    """The test helper collects ended stalls, announcements apart, and logs only where it was asked to."""
    announced = []
    with capture_stalls(announced, ongoing_ms=100) as stalls:
        happens(ongoing=True)
        happens()
    assert ([stall.state for stall in announced], [stall.state for stall in stalls]) == (["ongoing"], ["ended"])
    assert caplog.records == []

    with caplog.at_level(logging.WARNING), capture_stalls(sinks="logging"):
        happens()
    assert lines(caplog) == ["event_loop_blocked"]
