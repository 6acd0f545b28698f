"""What one stall means for a test, on facts made by hand."""

from dataclasses import replace

import pytest
from facts import origin, stall

from loopwatch.pytest_plugin.facts import Demand, Seen, Window
from loopwatch.pytest_plugin.ruling import rule
from loopwatch.records import Cause


def seen(duration_ms=150, own_ms=None, **fields):
    own = duration_ms if own_ms is None else own_ms
    gc_ms = fields.pop("gc_ms", 0.0)
    return Seen(stall(duration_ms, own_ms=float(own), **fields), 0, int(duration_ms * 1e6), float(own), gc_ms=gc_ms)


def ruled(one, *windows, known=False, **demands):
    return rule(one, Demand(**{"max_ms": 50.0, "source": "here", **demands}), windows, lambda _: known)


def window(kind, from_ms, to_ms, max_ms=None):
    return Window(kind, int(from_ms * 1e6), int(to_ms * 1e6), max_ms)


# ── whose time it was ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("cause", [Cause.PYTHON, Cause.SLEEP, Cause.UNKNOWN, Cause.OVERLOAD])
def test_own_time_counts(cause):
    """Own time at or over the limit fails the test, also where the cause is not known."""
    assert ruled(seen(50, cause=cause)).verdict == "blocked"


@pytest.mark.parametrize("cause", [Cause.STARVED, Cause.GIL, Cause.GC, Cause.PYTHON])
def test_what_others_took_does_not(cause):
    """A long stall of which others took so much that the rest is under the limit is the machine's."""
    assert ruled(seen(500, own_ms=49, cause=cause, origin=None)).verdict == "machine"


def test_nobody_looked():
    """What nobody could look at fails nothing."""
    assert ruled(replace(seen(100, cause=Cause.UNKNOWN), blind=True)).verdict == "machine"


def test_a_stopped_process():
    """A debugger's stop never counts, however long."""
    assert ruled(seen(5000, cause=Cause.SUSPENDED)).verdict == "machine"


def test_collector():
    """The collector's pauses count where they were asked for, or where the code itself called for them."""
    paused = seen(150, own_ms=5, gc_ms=145.0, cause=Cause.GC, origin=None)
    called = seen(150, own_ms=5, gc_ms=145.0, cause=Cause.GC, origin=origin(call="gc.collect"))

    assert ruled(paused).verdict == "machine"
    assert ruled(paused, count_gc=True).verdict == "blocked"
    assert ruled(called).verdict == "blocked"


# ── what was allowed ────────────────────────────────────────────────────────────────────────────────────────────────


def test_allow():
    """The marker's reason excuses everything, or so much of each block."""
    assert ruled(seen(150), allow="warm-up").why == "warm-up"
    assert ruled(seen(149), allow="warm-up", up_to_ms=100.0).verdict == "allowed"
    assert ruled(seen(150), allow="warm-up", up_to_ms=100.0).verdict == "blocked"


def test_allowed_in_the_code():
    """An allowance in the code is passed on with its reason."""
    assert ruled(seen(150, allowed="licence")).why == "licence"


def test_known():
    """What the baseline knows passes."""
    assert ruled(seen(150), known=True).verdict == "known"


# ── windows ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_pause():
    """A pause takes its part out of the count; what is left must be under the limit."""
    assert ruled(seen(150), window("pause", 0, 110)).verdict == "allowed"
    assert ruled(seen(150), window("pause", 0, 90)).counted_ms == pytest.approx(60)
    assert ruled(seen(150), window("pause", 0, 90)).verdict == "blocked"


def test_only():
    """With `only`, what lies in no such window does not count."""
    assert ruled(seen(150), window("only", 140, 300)).verdict == "allowed"
    assert ruled(seen(150), window("only", 20, 60), window("only", 70, 130)).counted_ms == pytest.approx(100)


def test_a_busy_machine_is_given_the_benefit():
    """What the machine took is held against the part that counts: which part it was cannot be told to the millisecond."""
    assert ruled(seen(150, own_ms=100), window("pause", 0, 60)).counted_ms == pytest.approx(40)


def test_limit_of_a_window():
    """A window's own limit holds for what lies in it, and for nothing else."""
    assert ruled(seen(30), window("limit", -5, 40, 20.0)).verdict == "blocked"
    assert ruled(seen(30), window("limit", -5, 40, 20.0)).source == "assert_no_blocking()"
    assert ruled(seen(30), window("limit", 29, 60, 20.0)).verdict == "machine"
