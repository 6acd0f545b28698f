"""Own time on a crowded machine, on facts made by hand."""

import pytest
from facts import call, frame, observation, sample, vitals

from loopwatch.pytest_plugin.own import blind, own_ns


def own_ms(*seen, **fields):
    return own_ns(observation(*seen, **fields)) / 1e6


def running(at_ms, cpu_ms, runqueue_ms=0):
    return sample(at_ms, frame(), cpu_ms=cpu_ms, runqueue_ms=runqueue_ms, syscall=call("running"), state="R")


def sleeping(at_ms, runqueue_ms=0):
    there = frame(call="time.sleep", point="call")
    return sample(at_ms, there, cpu_ms=0, runqueue_ms=runqueue_ms, syscall=call("clock_nanosleep"), state="S")


def in_futex(at_ms, *stack):
    return sample(at_ms, *stack, cpu_ms=0, runqueue_ms=0, syscall=call("futex"), state="S")


def test_a_wait_for_a_core_under_way():
    """Samples taken while the thread still waits for a core do not show the wait; the clocks around it do."""
    seen = [running(at, cpu_ms=1) for at in (20, 40, 60, 80)]

    assert own_ms(*seen, duration_ms=100, vitals=vitals(130, cpu_ms=8, runqueue_ms=92)) == pytest.approx(8)


def test_computing():
    """What the thread really computed counts in full, however long it waited for a core meanwhile or before."""
    quiet = [running(at, cpu_ms=at) for at in (20, 40, 60, 80)]
    crowded = [running(at, cpu_ms=at / 10, runqueue_ms=at * 0.9) for at in (50, 300, 600, 990)]

    assert own_ms(*quiet, duration_ms=100, vitals=vitals(110, cpu_ms=105, runqueue_ms=0)) == pytest.approx(100)
    assert own_ms(*crowded, duration_ms=1000, vitals=vitals(1100, cpu_ms=105, runqueue_ms=990)) >= 90


def test_waiting():
    """A wait of the thread's own counts, whatever the machine did to it before the stall."""
    seen = [sleeping(at) for at in (12, 24, 36, 48, 60, 72, 84, 96)]

    assert own_ms(*seen, duration_ms=100, vitals=vitals(300, cpu_ms=1, runqueue_ms=150)) >= 80


def test_woken_late():
    """A short wait from which the thread was woken and got no core is as long as the wait was."""
    seen = [sleeping(12), sleeping(24)]

    assert own_ms(*seen, duration_ms=150, vitals=vitals(160, cpu_ms=1, runqueue_ms=126)) == pytest.approx(24)


def test_asking_for_the_gil():
    """A thread that was given a core every switch interval asked for the GIL; one that slept on a lock was not."""
    around = {"cpu_ms": 1, "runqueue_ms": 0, "other_cpu_ms": 5}

    assert own_ms(in_futex(50, frame()), duration_ms=60, vitals=vitals(70, **around, slices=13)) < 10
    assert own_ms(in_futex(50, frame()), duration_ms=100, vitals=vitals(110, **around, slices=2)) >= 80


def test_a_new_thread_without_a_core():
    """To wait for a new thread to run is to wait for a core."""
    starting = frame("Thread.start", module="threading", kind="stdlib")

    counted = own_ms(in_futex(50, starting), duration_ms=100, vitals=vitals(110, cpu_ms=1, runqueue_ms=0, slices=1))

    assert counted < 50


def test_without_clocks():
    """Where the machine tells nothing the judge's figure stands."""
    assert own_ms(sample(50, frame()), duration_ms=100) == pytest.approx(100)


def test_nobody_to_look():
    """Without a sample, and with the watchdog waiting for a core, nobody knows; if it had one, the GIL was kept from it."""
    starved = observation(duration_ms=60, vitals=vitals(80, cpu_ms=1, runqueue_ms=0, watchdog_runqueue_ns=40_000_000))
    kept = observation(duration_ms=60, vitals=vitals(80, cpu_ms=1, runqueue_ms=0, watchdog_runqueue_ns=1_000_000))
    both = vitals(80, cpu_ms=1, runqueue_ms=0, other_cpu_ms=20, watchdog_runqueue_ns=10_000_000)

    assert blind(starved)
    assert blind(observation(duration_ms=60, vitals=both))
    assert not blind(kept)
    assert not blind(observation(sleeping(30), duration_ms=60, vitals=vitals(80)))
