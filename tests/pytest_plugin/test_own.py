"""Own time on a crowded machine, on facts made by hand."""

import pytest
from facts import call, frame, observation, sample, vitals

from loopwatch.pytest_plugin.own import own_ns


def own_ms(*seen, **fields):
    return own_ns(observation(*seen, **fields)) / 1e6


def running(at_ms, cpu_ms, runqueue_ms=0):
    return sample(at_ms, frame(), cpu_ms=cpu_ms, runqueue_ms=runqueue_ms, syscall=call("running"))


def sleeping(at_ms, cpu_ms=0, runqueue_ms=0):
    return sample(
        at_ms,
        frame(call="time.sleep", point="call"),
        cpu_ms=cpu_ms,
        runqueue_ms=runqueue_ms,
        syscall=call("clock_nanosleep"),
    )


def test_a_wait_for_a_core_under_way():
    """Samples taken while the thread still waits for a core do not show the wait; its CPU clock does."""
    seen = [running(at, cpu_ms=1) for at in (20, 40, 60, 80)]

    assert own_ms(*seen, duration_ms=100, vitals=vitals(130, cpu_ms=8, runqueue_ms=90)) == pytest.approx(8)


def test_computing():
    """What the thread really computed counts in full."""
    seen = [running(at, cpu_ms=at) for at in (20, 40, 60, 80)]

    assert own_ms(*seen, duration_ms=100, vitals=vitals(110, cpu_ms=105, runqueue_ms=0)) == pytest.approx(100)


def test_waiting():
    """A wait of the thread's own counts, whatever the machine did to it before the stall."""
    seen = [sleeping(at) for at in (12, 24, 36, 48, 60, 72, 84, 96)]

    assert own_ms(*seen, duration_ms=100, vitals=vitals(300, cpu_ms=1, runqueue_ms=150)) >= 80


def test_woken_late():
    """A short wait from which the thread was woken and got no core is as long as the wait was."""
    seen = [sleeping(12), sleeping(24)]

    counted = own_ms(*seen, duration_ms=150, vitals=vitals(160, cpu_ms=1, runqueue_ms=120))

    assert counted <= 30


def test_without_clocks():
    """Where the machine tells nothing the judge's figure stands."""
    assert own_ms(sample(50, frame()), duration_ms=100) == pytest.approx(100)
