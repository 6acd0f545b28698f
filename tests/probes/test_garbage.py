"""Pauses by the garbage collector."""

import gc
import threading
from types import SimpleNamespace

import pytest

from loopwatch.observations import Collection
from loopwatch.probes.garbage import GarbageProbe
from loopwatch.testing import FakeClock

MS = 1_000_000
ME = threading.get_ident()
EVER = 1 << 62


@pytest.fixture
def clock(monkeypatch):
    """The time that the probe reads."""
    clock = FakeClock(at_ns=1000 * MS)
    monkeypatch.setattr("loopwatch.probes.garbage.time", SimpleNamespace(monotonic_ns=clock.now_ns))
    return clock


def collects(probe, clock, ms, **info):
    """A collection of so many milliseconds, as Python tells of it."""
    probe._on_collection("start", {})
    clock.advance(ms)
    probe._on_collection("stop", info)


def test_pause(clock):
    """A collection is noted with its times, its generation and what it freed."""
    probe = GarbageProbe()

    collects(probe, clock, 50, generation=2, collected=7, uncollectable=0)

    assert probe.within(ME, 0, EVER) == (Collection(1000 * MS, 1050 * MS, generation=2, collected=7),)


def test_short_ones(clock):
    """Collections under a millisecond happen all the time, and are not noted."""
    probe = GarbageProbe()

    collects(probe, clock, 0.9, generation=0, collected=0)

    assert probe.within(ME, 0, EVER) == ()


def test_began_before(clock):
    """A collection that was under way when the probe was installed has no beginning, and is left out."""
    probe = GarbageProbe()

    probe._on_collection("stop", {"generation": 2, "collected": 0})

    assert probe.within(ME, 0, EVER) == ()


@pytest.mark.parametrize(
    ("from_ms", "to_ms", "overlaps"), [(0, 1000, 0), (0, 1001, 1), (1020, 1030, 1), (1049, 2000, 1), (1050, 2000, 0)]
)
def test_within(clock, from_ms, to_ms, overlaps):
    """Only collections that overlap the given time are told."""
    probe = GarbageProbe()
    collects(probe, clock, 50)

    assert len(probe.within(ME, from_ms * MS, to_ms * MS)) == overlaps


def test_other_thread(clock):
    """A collection belongs to the thread on which it ran."""
    probe = GarbageProbe()
    thread = threading.Thread(target=collects, args=(probe, clock, 50))
    thread.start()
    thread.join()

    assert probe.within(ME, 0, EVER) == ()
    assert len(probe.within(thread.ident, 0, EVER)) == 1


def test_unexpected_facts(clock):
    """Facts that Python does not tell are left open: the callback must not raise."""
    probe = GarbageProbe()

    collects(probe, clock, 5)

    assert probe.within(ME, 0, EVER)[0].generation == -1


def test_bounded_memory(clock):
    """Only the latest are remembered."""
    probe = GarbageProbe()
    for _ in range(1000):
        collects(probe, clock, 2)

    found = probe.within(ME, 0, EVER)

    assert len(found) == 512
    assert found[-1].end_ns == clock.now_ns()


def test_real_collection(clock):
    """While it is installed Python calls it, and no more afterwards; taking it away twice does nothing."""
    probe = GarbageProbe()
    slow = lambda phase, info: clock.advance(10)  # noqa: E731 - what a collection takes, in fake time
    probe.install()
    gc.callbacks.append(slow)
    gc.collect()
    gc.callbacks.remove(slow)
    probe.uninstall()
    probe.uninstall()
    noted = len(probe.within(ME, 0, EVER))
    gc.collect()

    assert (noted, len(probe.within(ME, 0, EVER))) == (1, 1)
