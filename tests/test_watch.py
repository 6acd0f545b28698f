"""`enable`, `disable`, `watching`, and the `Watch` that they give."""

import importlib
import logging
import sys
import threading

import pytest
from facts import allowance, call, frame, observation, sample, samples

import loopwatch
from loopwatch.engine import ENGINE
from loopwatch.errors import SettingError
from loopwatch.testing import capture_stalls

PATIENCE_S = 10.0


@pytest.fixture(autouse=True)
def disabled():
    """Whatever a test enables ends with it."""
    yield
    loopwatch.disable()
    sys.modules.pop("loopwatch.auto", None)


def happens(**fields):
    """A stall is observed, and delivered to every watch."""
    ENGINE._deliver((observation(**fields), ()))
    assert ENGINE.flush(PATIENCE_S)


def lines(caplog):
    """The events that were logged."""
    return [record.getMessage().split()[0] for record in caplog.records]


# ── enable and disable ──────────────────────────────────────────────────────────────────────────────────────────────


def test_enable_again():
    """The same settings again give the same watch; what is not said is the default."""
    watch = loopwatch.enable(threshold_ms=100)

    assert loopwatch.enable(threshold_ms=100) is watch
    assert loopwatch.enable() is watch


def test_enable_otherwise():
    """Other settings are an error that names the difference and the way out, and changes nothing."""
    watch = loopwatch.enable(threshold_ms=100, keep=5)

    with pytest.raises(SettingError, match=r"enabled already, with threshold_ms=100.0 \(asked for now: 50.0\); .*disable\(\)"):
        loopwatch.enable(threshold_ms=50, keep=5)
    assert loopwatch.enable(keep=5) is watch


def test_disable():
    """After `disable` one may enable anew, with other settings; disabling what is not enabled does nothing."""
    loopwatch.disable()
    first = loopwatch.enable(threshold_ms=100)
    loopwatch.disable()
    loopwatch.disable()

    second = loopwatch.enable(threshold_ms=50)

    assert second is not first
    assert (second.settings.threshold_ms, ENGINE._subscribers) == (50, (second,))


def test_closing_what_was_enabled():
    """A watch that was closed is not what `enable` finds."""
    first = loopwatch.enable()
    first.close()

    assert loopwatch.enable() is not first


@pytest.mark.parametrize("door", [loopwatch.enable, lambda **settings: loopwatch.watching(**settings).__enter__()])
@pytest.mark.parametrize("settings", [{"threshold_ms": -1}, {"sinks": ["nowhere"]}, {"nonsense": 1}, {"sentinel": True}])
def test_wrong_settings(door, settings):
    """A setting that cannot be used is an error, and nothing has been installed."""
    with pytest.raises(SettingError):
        door(**settings)

    assert ENGINE._subscribers == ()


@pytest.mark.parametrize(("variable", "value"), [("LOOPWATCH_SINKS", "nowhere"), ("LOOPWATCH_SESSION", "run.loopwatch")])
def test_wrong_settings_name_their_source(monkeypatch, variable, value):
    """Also where a value is of the right kind but not to be had, the error says where it came from."""
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingError, match=rf"'{value}'.*{variable}"):
        loopwatch.enable()


# ── side by side ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_auto_beside_enable(monkeypatch, caplog):
    """A launcher's watch and the program's own live side by side, each with its settings; one stall is one log line."""
    monkeypatch.setenv("LOOPWATCH_THRESHOLD_MS", "50")
    auto = importlib.import_module("loopwatch.auto").watch
    monkeypatch.delenv("LOOPWATCH_THRESHOLD_MS")
    mine = loopwatch.enable(threshold_ms=200)

    happens(duration_ms=400)
    happens(duration_ms=100)

    assert [len(watch.stalls) for watch in (auto, mine)] == [2, 1]
    assert lines(caplog) == ["event_loop_blocked"] * 2


def test_enable_before_auto():
    """The order does not matter, and `disable` ends both."""
    mine = loopwatch.enable(threshold_ms=200)
    auto = importlib.import_module("loopwatch.auto").watch

    assert auto is not mine
    loopwatch.disable()
    assert ENGINE._subscribers == ()


def test_nested_watches():
    """Each watch has its own threshold, and the strictest decides what is observed."""
    with loopwatch.watching(threshold_ms=100, sinks=[]) as outer:
        with loopwatch.watching(threshold_ms=50, sinks=[]) as inner:
            assert ENGINE.watchdog.limits.threshold_ns == 50_000_000
            happens(duration_ms=60)
            happens(duration_ms=100)
        assert ENGINE.watchdog.limits.threshold_ns == 100_000_000

    assert [stall.duration_ms for stall in inner.stalls] == [60, 100]
    assert [(stall.duration_ms, stall.threshold_ms) for stall in outer.stalls] == [(100, 100)]


def test_disable_leaves_other_watches():
    """`disable` does not end what `watching` began."""
    with loopwatch.watching(sinks=[]) as watch:
        loopwatch.enable(sinks=[])
        loopwatch.disable()

        assert ENGINE._subscribers == (watch,)


def test_error_in_the_block():
    """A watch ends with its block, also when that fails."""
    with pytest.raises(KeyError), loopwatch.watching():
        raise KeyError

    assert ENGINE._subscribers == ()


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
        ENGINE._deliver((observation(duration_ms=150), ()))
        watch.receive(observation(*samples(frame(), cpu=0.0, syscall=call("clock_nanosleep"))), set())
        stats = watch.stats()

    assert (stats.lost_ms, stats.stalls, stats.by_cause) == (550, 2, {"unknown": 1, "sleep": 1})


def test_app_packages():
    """A watch judges by its own idea of what the user's code is."""
    seen = observation(sample(300, frame(), frame("query", module="shared.db", kind="library")))
    with loopwatch.watching(sinks=[]) as one, loopwatch.watching(sinks=[], app_packages=["shared"]) as other:
        for watch in (one, other):
            watch.receive(seen, set())

    assert [watch.stalls[0].origin.function for watch in (one, other)] == ["handler", "query"]


# ── announcements ───────────────────────────────────────────────────────────────────────────────────────────────────


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
        with pytest.raises(SettingError, match=r"callable that takes a Stall.*logging, structlog"):
            watch.add_sink(sink)

        assert watch.outlets == []


def test_one_sink_of_two_watches():
    """A callable that two watches have is told by each: it may want to compare them."""
    got = []
    with loopwatch.watching(sinks=[got.append]), loopwatch.watching(sinks=[got.append]):
        happens()

    assert len(got) == 2


def test_frequent_stall(caplog):
    """Named sinks are spared the flood of one incident; callables get all of it."""
    got = []
    with loopwatch.watching(sinks=["logging", got.append]):
        for _ in range(20):
            happens()

    assert len(got) == 20
    assert len(caplog.records) == 5


# ── flush and close ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_flush():
    """`flush` comes back when all has been delivered; False if that takes too long."""
    entered, release = threading.Event(), threading.Event()
    with loopwatch.watching(sinks=[lambda stall: (entered.set(), release.wait(PATIENCE_S))]) as watch:
        assert watch.flush()
        ENGINE._deliver((observation(), ()))
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


def test_close():
    """Closing delivers what is queued, ends the watch, and can be done twice."""
    got = []
    watch = loopwatch.enable(sinks=[got.append])
    ENGINE._deliver((observation(), ()))
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
