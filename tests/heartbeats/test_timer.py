"""The fall-back: a `call_later` that should come back in time."""

from types import SimpleNamespace

import pytest
from facts import LOOP

from loopwatch.heartbeats import timer
from loopwatch.heartbeats.timer import TimerHeartbeat
from loopwatch.testing import FakeClock

MS = 1_000_000


class FakeLoop:
    """A loop that keeps its callbacks until a test runs them."""

    def __init__(self):
        self.callbacks, self.delays_s, self.cancelled = [], [], 0

    def call_soon(self, callback):
        return self.call_later(0, callback)

    def call_later(self, delay_s, callback):
        self.delays_s.append(delay_s)
        self.callbacks.append(callback)
        return SimpleNamespace(cancel=self.cancel)

    def cancel(self):
        self.cancelled += 1

    def run(self):
        """Runs what is due."""
        callbacks, self.callbacks = self.callbacks, []
        for callback in callbacks:
            callback()


@pytest.fixture
def clock(monkeypatch):
    """The time that the heartbeat reads."""
    clock = FakeClock()
    monkeypatch.setattr(timer, "time", SimpleNamespace(monotonic_ns=clock.now_ns))
    return clock


@pytest.fixture
def loop():
    """A fake loop."""
    return FakeLoop()


@pytest.fixture
def heartbeat(loop, clock):
    """A heartbeat of that loop that has beaten once, for turns over 100 ms."""
    heartbeat = TimerHeartbeat(loop, LOOP, 100 * MS)
    heartbeat.attach()
    loop.run()
    return heartbeat


def beats(loop, clock, after_ms):
    """The next beat comes so much later."""
    clock.advance(after_ms)
    loop.run()


# ── beats ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_interval(loop, heartbeat, clock):
    """It beats four times a limit, however often; but never more than 200 times a second."""
    beats(loop, clock, 25)
    heartbeat.limit_ns = 1 * MS
    beats(loop, clock, 25)

    assert loop.delays_s == [0, 0.025, 0.025, 0.005]


def test_on_time(loop, heartbeat, clock):
    """A beat on time, or a little late, is no stall."""
    for late_ms in (0, 20, 100):
        beats(loop, clock, 25 + late_ms)

    assert heartbeat.finished() == []


def test_late(loop, heartbeat, clock):
    """A beat that came late by more than the limit is a stall that began when it was due, as a bound."""
    due = clock.now_ns() + 25 * MS
    beats(loop, clock, 25 + 300)

    (turn,) = heartbeat.finished()
    assert (turn.start_ns, turn.end_ns, turn.exact, turn.waited) == (due, due + 300 * MS, False, False)
    assert heartbeat.finished() == []


def test_first_beat(loop, clock):
    """The very first callback of the loop may be the one that blocks."""
    heartbeat = TimerHeartbeat(loop, LOOP, 100 * MS)
    heartbeat.attach()
    beats(loop, clock, 300)

    assert len(heartbeat.finished()) == 1


def test_reading(heartbeat, clock):
    """The loop is busy, as far as can be told, from when the beat was due."""
    due = clock.now_ns() + 25 * MS

    assert heartbeat.read(due).since_ns is None
    reading = heartbeat.read(due + 1)
    assert (reading.turn, reading.since_ns, reading.exact) == (due, due, False)
    assert heartbeat.running(reading, stack_empty=True)


def test_detach(loop, heartbeat, clock):
    """A stall at the very end of the run is told, no beat is left, and one that comes all the same does nothing."""
    clock.advance(300)

    heartbeat.detach()
    loop.run()

    assert len(heartbeat.finished()) == 1
    assert (loop.cancelled, loop.callbacks) == (1, [])
    assert heartbeat.read(clock.now_ns()).since_ns is None


def test_what_is_not_known(heartbeat):
    """Such a loop shows neither its ready callbacks nor its busy time."""
    assert (heartbeat.ready(), heartbeat.busy_ns(0)) == (None, None)
    heartbeat.expect_end(1)
