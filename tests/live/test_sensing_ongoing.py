"""A stall that lasts is announced while it lasts, ever more rarely, and once more when it has ended."""

import asyncio
import time

import pytest

import loopwatch

from .sensing import describe, ours, run


@pytest.fixture
def announced(backend):
    """Runs a coroutine function under a watch; gives every record that its sink got, with the moment it came."""

    def announced(main, **settings):
        records = []

        def sink(stall):
            records.append((time.monotonic(), stall))

        with loopwatch.watching(threshold_ms=100, sinks=[sink], **settings) as watch:
            run(main, backend)
            assert watch.flush(timeout=10)
        wanted = {stall.id for stall in ours(stall for _, stall in records)}
        return [(at, stall) for at, stall in records if stall.id in wanted]

    return announced


def napping(seconds):
    """A coroutine function that sleeps in its second turn; gives the time at which it stopped sleeping."""

    async def main():
        await asyncio.sleep(0.05)
        time.sleep(seconds)
        main.over = time.monotonic()

    return main


def test_doubling(announced):
    """From `ongoing_ms` on it is announced at doubling intervals, then reported: all under one id."""
    main = napping(1.1)

    records = announced(main, ongoing_ms=200)

    ongoing = [stall for _, stall in records if stall.ongoing]
    assert [round(stall.duration_ms / 200) for stall in ongoing] in ([1, 2, 4], [1, 3]), list(map(describe, ongoing))
    assert [stall.state for _, stall in records] == ["ongoing"] * len(ongoing) + ["ended"]
    assert len({stall.id for _, stall in records}) == 1
    assert records[-1][1].duration_ms >= 1095


def test_while_it_lasts(announced):
    """The announcement arrives before the loop is free again, and names the line already."""
    main = napping(0.8)

    records = announced(main, ongoing_ms=200)

    at, first = records[0]
    assert at < main.over
    assert first.ongoing
    assert first.origin.file == __file__
    assert first.origin.call == "time.sleep"
    assert first.duration_ms >= 200


def test_short_stall_is_not_announced(announced):
    """A stall shorter than `ongoing_ms` is reported once, at its end."""
    records = announced(napping(0.3), ongoing_ms=1000)

    assert [stall.state for _, stall in records] == ["ended"]


def test_switched_off(announced):
    """With `ongoing_ms=None` a stall is reported at its end only, however long it was."""
    records = announced(napping(0.8), ongoing_ms=None)

    assert [stall.state for _, stall in records] == ["ended"]


def test_two_watches(backend):
    """Each watch announces by its own settings, and both report the same stall."""
    early, late = [], []
    with loopwatch.watching(threshold_ms=100, ongoing_ms=150, sinks=[early.append]) as first:
        with loopwatch.watching(threshold_ms=300, ongoing_ms=None, sinks=[late.append]) as second:
            run(napping(0.5), backend)
            assert first.flush(timeout=10)
            assert second.flush(timeout=10)

    assert [stall.state for stall in ours(late)] == ["ended"]
    states = [stall.state for stall in ours(early)]
    assert states == ["ongoing"] * (len(states) - 1) + ["ended"]
    assert len(states) >= 2
    assert {stall.threshold_ms for stall in early} == {100}
    assert {stall.threshold_ms for stall in late} == {300}


def test_threshold_of_each_watch(backend):
    """A stall between two watches' thresholds is told to the one with the lower threshold only."""
    low, high = [], []
    with loopwatch.watching(threshold_ms=50, sinks=[low.append]) as first:
        with loopwatch.watching(threshold_ms=400, sinks=[high.append]) as second:
            run(napping(0.2), backend)
            assert first.flush(timeout=10)
            assert second.flush(timeout=10)

    assert len(ours(low)) == 1
    assert ours(high) == []
