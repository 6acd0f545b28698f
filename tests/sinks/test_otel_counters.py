"""From totals of a watch to counters that only grow."""

from dataclasses import replace

import pytest
from facts import LOOP

from loopwatch.records import LoopStats
from loopwatch.sinks.otel_counters import MAX_LOOPS, Counters


def stats(ran_s=10.0, utilization=0.25, thread="MainThread", thread_id=7, **fields):
    """Of one loop."""
    defaults = dict.fromkeys((f"lag_{name}_ms" for name in ("p50", "p95", "p99", "max")), 0.0)
    counts = dict.fromkeys(("lost_ms", "stalls", "allowed", "suspended", "dropped", "samples"), 0)
    loop = replace(LOOP, thread=thread, thread_id=thread_id)
    return LoopStats(loop, ran_s, utilization, **{**defaults, **counts, "by_cause": {}, "cost_cpu_ms": None, **fields})


def every(*loops, **fields):
    """Of all loops together."""
    return replace(stats(), loop=None, loops=loops, **fields)


def test_time():
    """Active and idle time are the parts of the time for which a loop ran."""
    counters = Counters()

    counters.read(every(stats(ran_s=10, utilization=0.25)))

    loop = counters.loops["asyncio", "MainThread"]
    assert (loop.active_s, loop.idle_s, loop.utilization) == (2.5, 7.5, 0.25)


def test_utilization_is_of_late():
    """Utilization is that since the reading before, not since the start."""
    counters = Counters()
    counters.read(every(stats(ran_s=1000, utilization=0.1)))

    counters.read(every(stats(ran_s=1010, utilization=108 / 1010)))

    assert counters.loops["asyncio", "MainThread"].utilization == pytest.approx(0.8)


def test_a_loop_that_does_not_run():
    """A loop that has not run since has no utilization, and its counters stand still."""
    counters = Counters()
    counters.read(every(stats()))

    counters.read(every(stats()))
    counters.read(every())

    loop = counters.loops["asyncio", "MainThread"]
    assert (loop.utilization, loop.active_s, loop.idle_s, loop.delays_s) == (None, 2.5, 7.5, ())


def test_unknown_utilization():
    """Where utilization cannot be told, neither can the time."""
    counters = Counters()

    counters.read(every(stats(utilization=None)))

    loop = counters.loops["asyncio", "MainThread"]
    assert (loop.total_s, loop.utilization) == (0.0, None)


def test_never_back():
    """That a loop was stuck in a wait is learnt late, on uvloop: then idle time stands still instead of going back."""
    counters = Counters()
    counters.read(every(stats(ran_s=10, utilization=0.1)))

    counters.read(every(stats(ran_s=11, utilization=0.5)))

    loop = counters.loops["asyncio", "MainThread"]
    assert (loop.active_s, loop.idle_s) == (5.5, 9.0)


def test_another_watch():
    """A second watch counts from 0; the counters go on."""
    counters = Counters()
    counters.read(every(stats(ran_s=10, utilization=0.5), dropped=3, cost_cpu_ms=200.0))

    counters.rebase()
    counters.read(every(stats(ran_s=4, utilization=0.5), dropped=1, cost_cpu_ms=100.0))

    assert counters.loops["asyncio", "MainThread"].active_s == 7.0
    assert (counters.dropped, counters.cpu_s) == (4, pytest.approx(0.3))


def test_one_name():
    """Loops of one name are one: their times add up, and the worst delay counts."""
    counters = Counters()

    counters.read(every(stats(thread_id=1, lag_max_ms=20.0), stats(thread_id=2, lag_max_ms=5.0, lag_p50_ms=1.0)))

    loop = counters.loops["asyncio", "MainThread"]
    assert (loop.active_s, loop.delays_s) == (5.0, (0.001, 0.0, 0.0, 0.02))


def test_many_names():
    """A program that makes a thread and a loop for each job does not make a series for each."""
    counters = Counters()

    for number in range(3 * MAX_LOOPS):
        counters.read(every(stats(thread=f"job-{number}", thread_id=number)))

    assert len(counters.loops) == MAX_LOOPS + 1
    assert counters.loops["asyncio", "other"].active_s == 2.5 * 2 * MAX_LOOPS
