"""Exact turns of an asyncio loop, from both edges of its selector's `select`."""

import asyncio
import sys
from types import SimpleNamespace

import pytest
from facts import LOOP

from loopwatch.heartbeats import asyncio_selector, edges
from loopwatch.heartbeats.asyncio_selector import SelectorHeartbeat
from loopwatch.heartbeats.edges import MAX_FINISHED
from loopwatch.observations import Reading, Turn
from loopwatch.testing import FakeClock

MS = 1_000_000


class FakeSelector:
    """A selector whose waits take as long as a test says."""

    def __init__(self, clock):
        self.clock, self.waits_ms, self.timeouts = clock, [], []
        self.meanwhile = lambda: None

    def select(self, timeout=None):
        self.timeouts.append(timeout)
        self.meanwhile()
        self.clock.advance(self.waits_ms.pop(0) if self.waits_ms else 0)
        return ["event"]


class FakeLoop:
    """A loop that runs a turn when a test says so."""

    def __init__(self, clock):
        self._selector = FakeSelector(clock)
        self._ready = []
        self._clock = clock

    def turn(self, ms, wait_ms=0, timeout=None):
        """Runs for so long, then polls."""
        self._clock.advance(ms)
        self._selector.waits_ms.append(wait_ms)
        return self._selector.select(timeout)


@pytest.fixture
def clock(monkeypatch):
    """The time that the heartbeat reads."""
    clock = FakeClock()
    for module in (asyncio_selector, edges):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now_ns() / 1e9))
    return clock


@pytest.fixture
def loop(clock):
    """A fake loop."""
    return FakeLoop(clock)


def beating(loop, adopted=False):
    """A heartbeat of that loop, attached, for turns over 100 ms."""
    heartbeat = SelectorHeartbeat(loop, LOOP, 100 * MS, adopted)
    heartbeat.attach()
    return heartbeat


def lasting(turns):
    """What was told: milliseconds, whether exact, whether a wait."""
    return [((turn.end_ns - turn.start_ns) / MS, turn.exact, turn.waited) for turn in turns]


# ── turns ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_first_turn(loop, clock):
    """The first turn begins as the loop begins to run."""
    began = clock.now_ns()
    heartbeat = beating(loop)
    clock.advance(30)

    assert heartbeat.read(clock.now_ns()) == Reading(began, began)


def test_busy_and_waiting(loop, clock):
    """A turn ends as the loop polls, and the next begins as the poll returns; while it waits there is none."""
    heartbeat = beating(loop)
    seen = []
    loop._selector.meanwhile = lambda: seen.append(heartbeat.read(clock.now_ns()).since_ns)
    loop.turn(10, wait_ms=500)
    seen.append(heartbeat.read(clock.now_ns()).since_ns)

    assert seen == [None, clock.now_ns()]


def test_long_turn(loop, clock):
    """A turn over the limit is told once, with its exact times; shorter ones are not."""
    heartbeat = beating(loop)
    loop.turn(99)
    began = clock.now_ns()
    loop.turn(250)
    loop.turn(20)

    assert heartbeat.finished() == [Turn(began, began, began + 250 * MS)]
    assert heartbeat.finished() == []


def test_same_number(loop, clock):
    """A reading and the finished turn carry one number, by which the watchdog joins them."""
    heartbeat = beating(loop)
    loop.turn(0)
    clock.advance(150)
    reading = heartbeat.read(clock.now_ns())
    loop.turn(0)

    assert [turn.turn for turn in heartbeat.finished()] == [reading.turn]


def test_access_to_its_selector_stays_fast():
    """The hook leaves the selector's attributes where CPython finds them fastest: nobody asks for its `__dict__`."""
    asked = []

    class Selector:
        def __getattribute__(self, name):
            asked.append(name)
            return object.__getattribute__(self, name)

        def select(self, timeout=None):
            return []

    loop = SimpleNamespace(_selector=Selector())
    assert SelectorHeartbeat.fits(loop)
    beating(loop).detach()

    assert asked
    assert "__dict__" not in asked


def test_limit_may_change(loop):
    """The limit that holds is the one that was set last."""
    heartbeat = beating(loop)
    loop.turn(60)
    heartbeat.limit_ns = 50 * MS
    loop.turn(60)

    assert lasting(heartbeat.finished()) == [(60, True, False)]


def test_bounded_memory(loop):
    """If nobody collects them, only the latest turns are kept."""
    heartbeat = beating(loop)
    for _ in range(MAX_FINISHED + 10):
        loop.turn(101)

    assert len(heartbeat.finished()) == MAX_FINISHED


def test_adopted(loop):
    """Of a loop that ran already, the start of its first turn is only a bound."""
    heartbeat = beating(loop, adopted=True)

    assert not heartbeat.read(0).exact
    loop.turn(150)
    loop.turn(150)
    assert lasting(heartbeat.finished()) == [(150, False, False), (150, True, False)]


def test_utilization(loop, clock):
    """Busy time is that of all turns, short ones and the present one too, without the waits."""
    heartbeat = beating(loop)
    loop.turn(10, wait_ms=90)
    loop.turn(20, wait_ms=80)
    clock.advance(5)

    assert heartbeat.busy_ns(clock.now_ns()) == 35 * MS


def test_ready(loop):
    """Callbacks that are ready are counted; a loop that does not show them has no count."""
    heartbeat = beating(loop)
    loop._ready.extend([1, 2, 3])

    assert heartbeat.ready() == 3
    del loop._ready
    assert heartbeat.ready() is None


# ── waits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("wait_ms", "timeout", "told"),
    [
        pytest.param(50, None, [], id="short"),
        pytest.param(500, 0.5, [(500, False, True)], id="as long as was asked for"),
        pytest.param(500, None, [(500, False, True)], id="for an event"),
        pytest.param(500, 0.3, [(200, True, True)], id="overran its timeout"),
        pytest.param(500, 0, [(500, True, False)], id="was not to wait: part of the turn"),
    ],
)
def test_waits(loop, wait_ms, timeout, told):
    """A wait that overran its timeout is late by that; any other long one may have been, which the watchdog has to judge."""
    heartbeat = beating(loop)

    loop.turn(0, wait_ms=wait_ms, timeout=timeout)

    assert lasting(heartbeat.finished()) == told


def test_transparent(loop):
    """The loop gets the events that it waited for, with the timeout that it asked for."""
    beating(loop)

    assert loop.turn(0, timeout=1.5) == ["event"]
    assert loop._selector.timeouts == [1.5]


# ── coming and going ────────────────────────────────────────────────────────────────────────────────────────────────


def test_detach(loop, clock):
    """The turn that ends with the run has no further poll: it is told as the heartbeat goes, and nothing is left."""
    heartbeat = beating(loop)
    clock.advance(150)

    heartbeat.detach()

    assert lasting(heartbeat.finished()) == [(150, True, False)]
    assert heartbeat.read(clock.now_ns()).since_ns is None
    assert "select" not in vars(loop._selector)


def test_own_select(loop):
    """A selector that had a `select` of its own gets it back."""
    own = loop._selector.select = lambda timeout=None: []

    beating(loop).detach()

    assert vars(loop._selector)["select"] is own


def test_wrapped_by_another(loop, clock):
    """Whoever wrapped the hook meanwhile keeps a working chain, and the hook has gone quiet."""
    heartbeat = beating(loop)
    hook = loop._selector.select
    theirs = loop._selector.select = lambda timeout=None: hook(timeout)

    heartbeat.detach()
    loop.turn(5000, wait_ms=5000)
    loop.turn(5000)

    assert loop._selector.select is theirs
    assert heartbeat.finished() == []


def test_closed_loop(loop):
    """A loop that has closed its selector is let go without an error."""
    heartbeat = beating(loop)
    loop._selector = None

    heartbeat.detach()


def test_fits():
    """It fits loops with a selector that can be changed, such as asyncio's own."""
    real = asyncio.new_event_loop()

    assert SelectorHeartbeat.fits(real)
    assert not SelectorHeartbeat.fits(object())
    assert not SelectorHeartbeat.fits(SimpleNamespace(_selector=object()))
    real.close()


@pytest.mark.skipif(sys.platform == "win32", reason="its loop has no such selector")
def test_real_loop():
    """On a real loop the turns of its callbacks are told, and afterwards it is as it was."""
    loop = asyncio.new_event_loop()
    select = loop._selector.select
    heartbeat = SelectorHeartbeat(loop, LOOP, 0)
    heartbeat.attach()
    loop.run_until_complete(asyncio.sleep(0))
    heartbeat.detach()

    assert len([turn for turn in heartbeat.finished() if not turn.waited]) >= 2
    assert loop._selector.select == select
    loop.close()
