"""Why the loop was held: each mechanism, told from hand-made facts."""

from dataclasses import replace

import pytest
from facts import call, collection, frame, hold, library, observation, sample, samples, vitals
from hypothesis import given
from hypothesis import strategies as st

from loopwatch.judge.cause import RULES, verdict_of
from loopwatch.observations import Observation, Verdict
from loopwatch.records import Cause

HANDLER = frame("handler", 10)
IN_C = frame("handler", 10, point="call")


def stdlib(dotted, **fields):
    """A frame of the standard library."""
    return library(dotted, kind="stdlib", **fields)


def blocked(*inner, where=None, **fields):
    """A handler that computes nothing while it stands in these frames and in this system call."""
    return observation(
        *samples(HANDLER, *inner, cpu=0.0, syscall=where, **fields), vitals=vitals(cpu_ms=0, other_cpu_ms=0)
    )


# ── the table of measured shares ────────────────────────────────────────────────────────────────────────────────────

MEASURED = [
    pytest.param(Cause.PYTHON, samples(frame(point="jump"), cpu=1.0, late_ms=5), {}, id="python code"),
    pytest.param(Cause.SLEEP, samples(IN_C, cpu=0.0, syscall=call("clock_nanosleep")), {}, id="blocking wait"),
    pytest.param(
        Cause.NATIVE,
        (sample(400, IN_C, late_ms=380, syscall=call("running")),),
        {"vitals": vitals(cpu_ms=392, runqueue_ms=0, other_cpu_ms=1, late_ms=380)},
        id="native code holding the GIL",
    ),
    pytest.param(
        Cause.SLEEP,
        (sample(400, frame(point="call", call="time.sleep"), late_ms=390, syscall=call("running")),),
        {"vitals": vitals(cpu_ms=0, runqueue_ms=0, other_cpu_ms=1, late_ms=390)},
        id="native wait holding the GIL",
    ),
    pytest.param(
        Cause.SUSPENDED,
        (),
        {"vitals": vitals(cpu_ms=0, runqueue_ms=0, other_cpu_ms=0), "stopped_ms": 398},
        id="stopped process",
    ),
    pytest.param(
        Cause.GC,
        (),
        {
            "vitals": vitals(cpu_ms=380, runqueue_ms=0, other_cpu_ms=1, late_ms=360),
            "collections": (collection(2, 399),),
        },
        id="collector",
    ),
    pytest.param(
        Cause.STARVED,
        samples(HANDLER, cpu=0.04, runqueue=0.95, late_ms=0.5),
        {"vitals": vitals(cpu_ms=16, runqueue_ms=380, other_cpu_ms=2, late_ms=24)},
        id="starved host",
    ),
    pytest.param(
        Cause.GIL,
        samples(HANDLER, cpu=0.01, others=1.0, runqueue=0.0, late_ms=30, syscall=call("futex")),
        {
            "vitals": vitals(cpu_ms=4, runqueue_ms=0, other_cpu_ms=400, late_ms=100),
            "holds": (hold(100, 30, cpu_ms=30), hold(200, 100, cpu_ms=110)),
        },
        id="another thread holds the GIL",
    ),
]


@pytest.mark.parametrize(("cause", "seen", "fields"), MEASURED)
def test_measured_shares(cause, seen, fields):
    """The shares of CPU, lateness, wait for a core and collection that were measured give the cause that they came from."""
    verdict = verdict_of(observation(*seen, **fields))

    assert verdict.cause == cause, verdict.evidence
    assert verdict.confidence >= 0.6 or cause is Cause.SLEEP


# ── the machine, the collector, others ──────────────────────────────────────────────────────────────────────────────


def test_starved_beside_a_real_stall():
    """A wait for a core does not excuse what would have been a stall on a core of its own."""
    seen = observation(*samples(frame(point="jump"), until_ms=1000, cpu=0.4, runqueue=0.6, late_ms=5), duration_ms=1000)

    assert verdict_of(seen).cause is Cause.PYTHON


def test_debugger():
    """A thread that stands at a breakpoint is suspended, however busy the debugger keeps it."""
    seen = samples(HANDLER, stdlib("bdb.Bdb.user_line", file="/usr/lib/python3/bdb.py"), cpu=0.9)

    verdict = verdict_of(observation(*seen))

    assert verdict.cause is Cause.SUSPENDED
    assert "debugger" in verdict.evidence


def test_stopped_and_without_a_core():
    """A turn that was short but for a stop and waits for a core is no line's stall: whichever of the two took more of it."""
    for stopped_ms, runqueue_ms, cause in ((250, 60, Cause.SUSPENDED), (100, 210, Cause.STARVED)):
        clocks = vitals(390, cpu_ms=60, runqueue_ms=runqueue_ms, other_cpu_ms=0)
        assert verdict_of(observation(duration_ms=390, vitals=clocks, stopped_ms=stopped_ms)).cause is cause


def test_stopped_within_a_real_stall():
    """A pause of the whole process does not excuse what would have been a stall without it."""
    seen = samples(frame(point="jump"), until_ms=1000, cpu=0.5, late_ms=5)

    assert verdict_of(observation(*seen, duration_ms=1000, stopped_ms=500)).cause is Cause.PYTHON


def test_kept_from_waking():
    """A loop that was due to wake from its poll while others burned the CPU was kept from the GIL."""
    verdict = verdict_of(
        observation(waited=True, exact=False, vitals=vitals(cpu_ms=1, runqueue_ms=0, other_cpu_ms=399, late_ms=398))
    )

    assert verdict.cause is Cause.GIL
    assert "was due to wake" in verdict.evidence


def test_holder_is_named():
    """The evidence names the thread that kept the GIL."""
    seen = samples(HANDLER, cpu=0.01, others=1.0, runqueue=0.0, late_ms=30, syscall=call("futex"))

    verdict = verdict_of(observation(*seen, holds=(hold(100, 30, "reports", cpu_ms=30),)))

    assert "'reports' kept the GIL" in verdict.evidence


# ── overload ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_overload_by_counters():
    """asyncio's own counters tell many short callbacks from one long one."""
    seen = [
        sample(40 * n, cpu_ms=40 * n, process_cpu_ms=40 * n, progress=(30 * n, 300), task="poll") for n in range(1, 11)
    ]

    verdict = verdict_of(observation(*seen))

    assert verdict.cause is Cause.OVERLOAD
    assert "271 callbacks" in verdict.evidence and "poll" in verdict.evidence


def test_overload_by_tasks():
    """Elsewhere different tasks across the samples tell it."""
    seen = [sample(40 * n, cpu_ms=40 * n, process_cpu_ms=40 * n, task_id=n, task="poll") for n in range(1, 11)]

    assert verdict_of(observation(*seen)).cause is Cause.OVERLOAD


@pytest.mark.parametrize(
    "marks",
    [
        pytest.param([1] * 10, id="one callback"),
        pytest.param([1, 2, 3, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6], id="one long among short ones"),
        pytest.param([1, 2], id="two samples"),
    ],
)
def test_no_overload(marks):
    """One long callback is not overload, whoever else ran in its turn."""
    step = 400 / len(marks)
    seen = [
        sample(step * n, frame(point="jump"), cpu_ms=step * n, process_cpu_ms=step * n, late_ms=5, progress=(mark, 13))
        for n, mark in enumerate(marks, 1)
    ]

    assert verdict_of(observation(*seen)).cause is Cause.PYTHON


# ── less evidence ───────────────────────────────────────────────────────────────────────────────────────────────────


RESTS_ON_NO_CLOCK = {Cause.GC, Cause.SUSPENDED}


@pytest.mark.parametrize(("cause", "seen", "fields"), MEASURED)
def test_no_clocks(cause, seen, fields):
    """Where a platform has no clock and no system call to read, the frames decide, and the confidence says so."""
    blind = tuple(replace(one, cpu_ns=None, process_cpu_ns=None, runqueue_ns=None, syscall=None) for one in seen)
    known = verdict_of(observation(*seen, **fields))
    unsure = verdict_of(observation(*blind, **{**fields, "vitals": None}))

    assert unsure.cause in (cause, Cause.UNKNOWN)
    assert unsure.confidence < known.confidence or cause in RESTS_ON_NO_CLOCK


def test_unknown_says_what_was_missing():
    """Where nothing decides, the evidence says what it would have taken, and nobody is sure of anything."""
    nothing = verdict_of(observation())
    frames = verdict_of(observation(*samples(HANDLER)))
    clock = verdict_of(blocked(where=call("other")))

    assert {one.cause for one in (nothing, frames, clock)} == {Cause.UNKNOWN}
    assert {one.confidence for one in (nothing, frames, clock)} == {0.0}
    assert "no sample" in nothing.evidence
    assert "no CPU clock" in frames.evidence
    assert "neither frames nor system call" in clock.evidence


# ── rules ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_first_answer_wins():
    """Rules are asked in turn; a user's own may come first."""
    mine = Verdict(Cause.LOCK, "I know it", 1.0)

    assert verdict_of(observation(), (lambda seen: None, lambda seen: mine, *RULES)) is mine


@st.composite
def any_observation(draw) -> Observation:
    """Whatever probes may answer, or fail to answer, in any combination."""
    clock = st.none() | st.floats(0, 2000)
    duration_ms = draw(st.floats(0.001, 2000))
    stacks = [HANDLER, IN_C, frame(point="resume"), library("requests.api.get"), stdlib("threading.Thread.start")]
    seen = [
        sample(
            at,
            *draw(st.lists(st.sampled_from(stacks), max_size=3)),
            late_ms=draw(st.floats(0, 2000)),
            cpu_ms=draw(clock),
            process_cpu_ms=draw(clock),
            runqueue_ms=draw(clock),
            syscall=draw(st.none() | st.builds(call, st.sampled_from(["running", "futex", "poll", "read", "other"]))),
            progress=draw(st.none() | st.tuples(st.integers(1, 99), st.just(99))),
            task_id=draw(st.none() | st.integers(1, 5)),
        )
        for at in sorted(draw(st.lists(st.floats(-5, duration_ms + 5), max_size=8)))
    ]
    return observation(
        *seen,
        duration_ms=duration_ms,
        exact=draw(st.booleans()),
        waited=draw(st.booleans()),
        vitals=draw(st.none() | st.builds(vitals, st.just(duration_ms), clock, clock, clock, st.floats(0, 2000))),
        stopped_ms=draw(st.just(0) | st.floats(0, 2000)),
        collections=tuple(collection(at, at + 50) for at in draw(st.lists(st.integers(-10, 2000), max_size=2))),
    )


@given(any_observation())
def test_exactly_one_verdict(seen):
    """Any observation has one cause, one sentence of evidence, and a confidence between 0 and 1."""
    verdict = verdict_of(seen)

    assert verdict.cause in Cause
    assert verdict.evidence and "\n" not in verdict.evidence and "None" not in verdict.evidence
    assert 0 <= verdict.confidence <= 1
