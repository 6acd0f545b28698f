"""How a stall's time divides: among its samples, and among those who took it."""

import pytest
from facts import at_ns, call, collection, frame, hold, library, observation, sample, samples, vitals
from hypothesis import given
from hypothesis import strategies as st

from loopwatch.judge.weights import kept_by, overlap_ns, parts_of, weigh

MS = 1_000_000
clocks = st.none() | st.floats(0, 5000)


@st.composite
def observations(draw, early_ms=0, late_ms=0):
    """Any stall, with samples from `early_ms` before it to `late_ms` after it."""
    duration_ms = draw(st.integers(1, 5000))
    times = sorted(draw(st.lists(st.floats(-early_ms, duration_ms + late_ms), max_size=6)))
    seen = tuple(
        sample(
            at,
            cpu_ms=draw(clocks),
            process_cpu_ms=draw(clocks),
            runqueue_ms=draw(clocks),
            late_ms=draw(st.floats(0, 5000)),
            syscall=draw(st.sampled_from([None, call("running"), call("futex"), call("recvfrom", "socket")])),
        )
        for at in times
    )
    measured = st.builds(vitals, st.just(duration_ms), clocks, clocks, clocks, st.floats(0, 5000))
    pauses = [collection(from_ms, from_ms + 10) for from_ms in draw(st.lists(st.integers(-2, 500), max_size=3))]
    spread = tuple(
        pause for n, pause in enumerate(pauses) if all(abs(pause.start_ns - o.start_ns) >= 10 * MS for o in pauses[:n])
    )
    return observation(
        *seen,
        duration_ms=duration_ms,
        vitals=draw(st.none() | measured),
        collections=spread,
        stopped_ms=draw(st.just(0) | st.floats(0, 5000)),
    )


# ── parts ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(observations())
def test_parts_are_the_whole(seen):
    """One part per sample, none negative, together the whole stall."""
    parts = parts_of(seen)

    assert [part.sample for part in parts] == list(seen.samples)
    assert all(part.wall_ns >= 0 for part in parts)
    assert sum(part.wall_ns for part in parts) == (seen.duration_ns if parts else 0)


@given(observations(early_ms=20, late_ms=20))
def test_parts_end_with_the_stall(seen):
    """Samples from just before or after a stall, whose bounds may be inferred, do not make it any longer."""
    assert sum(part.wall_ns for part in parts_of(seen)) == (seen.duration_ns if seen.samples else 0)


def test_part_reaches_back():
    """A sample stands for the time since the one before it; the last one also for the time until the end."""
    parts = parts_of(observation(sample(100), sample(150), sample(350), duration_ms=400))

    assert [part.wall_ns / MS for part in parts] == [100, 50, 250]


def test_part_has_its_own_clocks():
    """A part's clocks are what was counted since the sample before it; the first has none."""
    first = sample(100, cpu_ms=10, process_cpu_ms=50, runqueue_ms=5)
    second = sample(200, cpu_ms=30, process_cpu_ms=100, runqueue_ms=6)

    parts = parts_of(observation(first, second))

    assert (parts[0].cpu_ns, parts[0].other_cpu_ns, parts[0].runqueue_ns) == (None, None, None)
    assert (parts[1].cpu_ns, parts[1].other_cpu_ns, parts[1].runqueue_ns) == (20 * MS, 30 * MS, 1 * MS)


# ── weights ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(observations(early_ms=20, late_ms=20))
def test_own_time_is_a_part_of_the_stall(seen):
    """Own time, CPU time and the wait for a core are never below zero, nor longer than the stall."""
    weights = weigh(seen)

    for part in (weights.own_ns, weights.cpu_ns, weights.runqueue_ns, weights.gil_ns):
        assert part is None or 0 <= part <= seen.duration_ns
    assert weights.cpu_share is None or 0 <= weights.cpu_share <= 1


def test_own_time():
    """The wait for a core, a stopped process, the collector and a foreign GIL are not the program's own time."""
    starved = observation(vitals=vitals(400, cpu_ms=100, runqueue_ms=300))
    stopped = observation(stopped_ms=300)
    collected = observation(vitals=vitals(400, cpu_ms=400), collections=(collection(0, 300),))
    kept = observation(vitals=vitals(400, cpu_ms=100, runqueue_ms=0, other_cpu_ms=400, late_ms=300))

    assert [weigh(one).own_ns / MS for one in (starved, stopped, collected, kept)] == [100] * 4


def test_own_time_without_clocks():
    """Where nothing was measured, all of the time counts as the program's own."""
    weights = weigh(observation(duration_ms=400))

    assert weights.own_ns == 400 * MS
    assert (weights.cpu_ns, weights.runqueue_ns, weights.other_cpu_ns, weights.cpu_share) == (None, None, None, None)


def test_cpu_share_is_of_the_time_with_a_core():
    """A thread that had a core for a quarter of the time and computed all the while was computing."""
    weights = weigh(observation(vitals=vitals(400, cpu_ms=95, runqueue_ms=300)))

    assert weights.cpu_share == pytest.approx(0.95)


def test_clocks_inside_speak_first():
    """Clocks read within the stall are scaled to all of it, and beat those read around it."""
    inside = samples(until_ms=400, every_ms=100, cpu=1.0, runqueue=0.0, others=0.5)

    weights = weigh(observation(*inside, duration_ms=400, vitals=vitals(500, cpu_ms=0, other_cpu_ms=0)))

    assert (weights.cpu_ns, weights.other_cpu_ns) == (400 * MS, 200 * MS)


def test_clocks_inside_that_span_too_little():
    """Two samples close together say nothing about a long stall: then the clocks read around it must do."""
    close = (sample(100, cpu_ms=0), sample(110, cpu_ms=10))

    assert weigh(observation(*close, duration_ms=400, vitals=vitals(400, cpu_ms=4))).cpu_ns == 4 * MS


# ── a foreign GIL ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_kept_gil():
    """The loop's thread stood still in no system call of its own, others computed, and the watchdog was late."""
    idle = samples(cpu=0.0, others=1.0, late_ms=20, syscall=call("futex"))

    assert weigh(observation(*idle, holds=(hold(50, 20, cpu_ms=20),))).gil_ns == 400 * MS


def test_others_without_the_gil():
    """Threads that compute in C without the GIL keep it from nobody: one that did must have been seen, or the watchdog kept out."""
    idle = samples(cpu=0.0, others=1.0, late_ms=20, syscall=call("futex"))

    assert weigh(observation(*idle)).gil_ns == 0
    assert weigh(observation(*idle, holds=(hold(50, 20, cpu_ms=1),))).gil_ns == 0
    assert weigh(observation(*idle, vitals=vitals(late_ms=300))).gil_ns == 400 * MS


def test_kept_by():
    """Of the threads that burned the CPU while the watchdog waited, the one that stands for most of the time."""
    holds = (
        hold(50, 40, "other", cpu_ms=45, native_id=1),
        hold(50, 40, "idle", cpu_ms=2, native_id=2),
        hold(200, 90, "reports", cpu_ms=80, native_id=3),
        hold(300, 95, "reports", cpu_ms=170, native_id=3),
    )

    kept = kept_by(observation(holds=holds))

    assert (kept.thread, kept.late_ns) == ("reports", 95 * MS)
    assert kept_by(observation()) is None


def test_gil_without_a_sample():
    """Where nobody looked, the watchdog's own lateness speaks for a kept GIL; not the part in which it had no core itself."""
    around = {"cpu_ms": 1, "runqueue_ms": 0, "other_cpu_ms": 100, "late_ms": 95}

    assert weigh(observation(duration_ms=100, vitals=vitals(110, **around))).gil_ns == 95 * MS
    assert (
        weigh(observation(duration_ms=100, vitals=vitals(110, **around, watchdog_runqueue_ns=90 * MS))).gil_ns == 5 * MS
    )


@pytest.mark.parametrize(
    ("others", "late_ms", "where", "stack"),
    [
        pytest.param(0.0, 20, call("futex"), frame(), id="nobody computed"),
        pytest.param(1.0, 1, call("futex"), frame(), id="the watchdog got in at once"),
        pytest.param(1.0, 20, call("recvfrom", "socket"), frame(), id="it waited for a socket"),
        pytest.param(1.0, 20, call("futex"), library("threading.Event.wait", kind="stdlib"), id="it waited for a lock"),
        pytest.param(
            1.0,
            20,
            call("futex"),
            library("subprocess.Popen.wait", kind="stdlib", file="/usr/lib/subprocess.py"),
            id="child",
        ),
    ],
)
def test_gil_not_kept(others, late_ms, where, stack):
    """Without all of that evidence nobody is accused of keeping the GIL."""
    seen = samples(stack, cpu=0.0, others=others, late_ms=late_ms, syscall=where)

    assert weigh(observation(*seen, holds=(hold(50, late_ms, cpu_ms=20),))).gil_ns == 0


# ── overlap ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(-500, 900), st.integers(0, 900))
def test_overlap(from_ms, length_ms):
    """What lies within the stall is as much as there are milliseconds in both."""
    common = set(range(from_ms, from_ms + length_ms)) & set(range(400))

    assert overlap_ns(at_ns(from_ms), at_ns(from_ms + length_ms), observation(duration_ms=400)) == len(common) * MS


def test_collector_before_the_stall():
    """Only the part of a collection that lies within the stall counts."""
    assert weigh(observation(collections=(collection(-100, 50),))).gc_ns == 50 * MS
    assert weigh(observation(collections=(collection(-100, -50),))).gc_ns == 0
