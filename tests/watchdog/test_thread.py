"""The watchdog's own thread: when it sleeps, and what wakes it."""

import threading
from types import SimpleNamespace

import pytest

from loopwatch.clocks import time
from loopwatch.watchdog import WatchdogThread, thread

PATIENCE_S = 30.0
IDLE_NS = 10_000_000


class Looks:
    """A watchdog that counts its looks and wants one every ten milliseconds."""

    def __init__(self):
        self.watched, self.count = (), 0
        self.looked = threading.Event()

    def look(self, due_ns):
        self.count += 1
        self.looked.set()
        return time.monotonic_ns() + IDLE_NS


@pytest.fixture
def running(monkeypatch):
    """A watchdog, and its thread, which lingers for a tenth of a second only."""
    monkeypatch.setattr(thread, "LINGER_NS", 100_000_000)
    looks = Looks()
    runner = WatchdogThread(looks)
    runner.start()
    yield SimpleNamespace(looks=looks, thread=runner)
    runner.stop()


def until(true):
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_sleeps_without_loops(running):
    """Where nothing is to be looked at, nothing is done."""
    until(lambda: running.thread._asleep)
    before = running.looks.count

    time.sleep(0.3)

    assert running.looks.count == before


def test_a_loop_wakes_it(running):
    """A loop that comes is looked at from then on, also when it finds the watchdog asleep."""
    for _ in range(3):
        until(lambda: running.thread._asleep)
        running.looks.watched = (object(),)
        running.thread.wake()

        before = running.looks.count
        until(lambda seen=before: running.looks.count > seen + 3)
        running.looks.watched = ()


def test_loops_that_come_and_go(running):
    """Loops that are gone before it looks keep it awake, so that none of them has to wake it."""
    until(lambda: running.thread._asleep)
    running.thread.wake()
    until(lambda: not running.thread._asleep)
    rung = []
    running.thread.ring = rung.append

    end = time.monotonic() + 0.5
    gaps = []
    while time.monotonic() < end:
        before = time.monotonic()
        running.thread.wake()
        time.sleep(0.001)
        gaps.append(time.monotonic() - before)
    del running.thread.ring

    assert rung == [] or max(gaps) > 0.05  # a busy machine may let a tenth of a second pass between two of them
