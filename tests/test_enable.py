"""`enable`, `disable`, `watching`, `import loopwatch.auto`: who watches, and with whom side by side."""

import asyncio
import importlib
import sys

import pytest
from facts import observation

import loopwatch
from loopwatch.delivery import introduce
from loopwatch.engine import ENGINE
from loopwatch.errors import SettingError
from loopwatch.records import LoopInfo

PATIENCE_S = 10.0


@pytest.fixture(autouse=True)
def disabled():
    """Whatever a test enables ends with it."""
    yield
    loopwatch.disable()
    sys.modules.pop("loopwatch.auto", None)


def happens(**fields):
    """A stall is observed, and delivered to every watch."""
    ENGINE.delivery.handle((observation(**fields), ()))
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

    with pytest.raises(
        SettingError, match=r"enabled already, with threshold_ms=100.0 \(asked for now: 50.0\); .*disable\(\)"
    ):
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
@pytest.mark.parametrize(
    "settings", [{"threshold_ms": -1}, {"sinks": ["nowhere"]}, {"nonsense": 1}, {"session": "run.loopwatch"}]
)
def test_wrong_settings(door, settings):
    """A setting that cannot be used is an error, and nothing has been installed."""
    with pytest.raises(SettingError):
        door(**settings)

    assert ENGINE._subscribers == ()


@pytest.mark.parametrize(
    ("variable", "value"), [("LOOPWATCH_SINKS", "nowhere"), ("LOOPWATCH_SESSION", "run.loopwatch")]
)
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


# ── switched off, and said ──────────────────────────────────────────────────────────────────────────────────────────


def test_switched_off(monkeypatch):
    """With `LOOPWATCH_ENABLED=0` nothing is installed, whoever asks, and a watch answers as one that has seen nothing."""
    monkeypatch.setenv("LOOPWATCH_ENABLED", "0")

    watch = loopwatch.enable(sinks=["logging", print])

    assert (ENGINE._subscribers, watch.outlets) == ((), [])
    assert (watch.stalls, watch.incidents, watch.pools, watch.stats().stalls, watch.flush()) == ((), (), (), 0, True)
    assert loopwatch.enable(sinks=["logging", print]) is watch
    with loopwatch.watching(enabled=True) as other:  # a keyword beats the environment
        assert ENGINE._subscribers == (other,)


def test_introduction(caplog, capsys):
    """One line of level DEBUG says what is watched when the first loop is; with `verbose` it goes to stderr instead."""
    caplog.set_level("DEBUG", "loopwatch")
    with loopwatch.watching(threshold_ms=50) as watch:
        for _ in range(2):
            asyncio.run(asyncio.sleep(0))
        assert watch.flush()
    said = [record for record in caplog.records if "first loop" in record.getMessage()]

    assert [record.levelname for record in said] in (["DEBUG"], [])  # in this process it may have been said before
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("verbose", "level"), [(True, None), (False, "DEBUG")])
def test_introduction_in_words(caplog, capsys, verbose, level):
    """It names program, process, loop and threshold."""
    caplog.set_level("DEBUG", "loopwatch")

    introduce(LoopInfo("uvloop", "MainThread", 7, 77, 4711), 50.0, verbose)

    told = capsys.readouterr().err if verbose else caplog.records[0].getMessage()
    assert ", process 4711: first loop uvloop in MainThread; a turn of 50 ms is a stall" in told
    assert [record.levelname for record in caplog.records] == ([level] if level else [])
