"""The watchdog, look by look: what it samples, what it tells, and that it leaves alone what it fails on."""

import gc
import itertools
import sys

import pytest
from facts import allowance, collection
from hypothesis import given
from hypothesis import strategies as st

from loopwatch.observations import Turn
from loopwatch.probes.threads import RawCall
from loopwatch.schedule import LONGEST_GAP_NS, Limits, next_sample_age
from loopwatch.testing import FakeHeartbeat

from .bench import LIMITS, MS, Bench, ages_ms

# ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_idle_loop():
    """An idle loop is looked at 15 times a second, never sampled, and nothing is told."""
    bench = Bench()

    bench.runs(10_000)

    assert 153 <= bench.looks <= 155
    assert (bench.watchdog.samples, bench.told, bench.failures) == (0, [], [])
    assert set(bench.watched.lags_ns) == {0}


def test_quiet_looks(bench):
    """A look at a loop that waits, in a process that computes nothing, reads its clocks a few times a second; a stall ends that."""
    asked, schedule = [], bench.thread.schedule
    bench.thread.schedule = lambda: asked.append(1) or schedule()
    bench.runs(10_000)

    assert 25 <= len(asked) <= 40
    bench.blocks(300)

    assert [seen.duration_ns for seen in bench.told] == [300 * MS]
    assert bench.told[0].samples


def test_quiet_looks_are_no_waits(bench):
    """After many quiet looks a watchdog that is kept out by one long hold is not said to have been woken often."""
    bench.runs(1000)
    for _ in range(60):
        bench.passes((bench.due - bench.clock.now_ns()) / MS)
        bench.machine.switches += 1  # each quiet look has slept
        bench.look()
    bench.heartbeat.start_turn()
    bench.passes(300, cpu=1.0, asking=0.9)
    bench.look()

    assert not bench.watched.pending.samples[-1][0].handed_on


def test_probe_that_fails(bench):
    """Where something fails that belongs to no single loop, that is said, and the looks go on."""

    def fail():
        raise OSError("no clock")

    bench.runs(100)
    bench.holders.note = fail
    bench.blocks(300)
    del bench.holders.note
    bench.blocks(300)

    assert bench.failures
    assert all("no clock" in failure for failure in bench.failures)
    assert [seen.duration_ns for seen in bench.told][-1:] == [300 * MS]


def test_short_turns(bench):
    """Turns under the threshold are not told, and those that are over soon are not even sampled."""
    for _ in range(20):
        bench.blocks(20)
    assert bench.watchdog.samples == 0

    bench.blocks(99)

    assert bench.watchdog.samples > 0
    assert bench.told == []


def test_busy_loop_of_short_turns(bench):
    """A loop that is always busy, with turns that are soon over, is looked at twice per grid look and its clocks read once."""
    asked, schedule = [], bench.thread.schedule
    bench.thread.schedule = lambda: asked.append(1) or schedule()
    for _ in range(2000):
        bench.heartbeat.start_turn()
        bench.runs(5, cpu=1.0)

    assert bench.looks <= 2 * 160
    assert len(asked) <= 155
    assert (bench.watchdog.samples, bench.told, bench.failures) == (0, [], [])


@pytest.mark.parametrize("after_ms", range(0, 130, 10))
def test_stall_after_short_turns(bench, after_ms):
    """Whenever it begins on such a loop, a stall is sampled and told."""
    for _ in range(100 + after_ms // 10):
        bench.heartbeat.start_turn()
        bench.runs(5, cpu=1.0)
    bench.runs(after_ms % 65)

    bench.blocks(120, cpu=1.0)

    assert [seen.duration_ns for seen in bench.told] == [120 * MS]
    assert bench.told[0].samples


def test_sampling_schedule(bench):
    """Samples come at least as often as the schedule says, from a quarter of the threshold on."""
    bench.blocks(3000)

    ages = ages_ms(bench.told[-1])
    assert ages[0] <= 25 + 50
    assert all(later * MS <= next_sample_age(int(age * MS), LIMITS) + 1 for age, later in itertools.pairwise(ages))
    assert 3000 - ages[-1] <= 750


def test_lag(bench):
    """The lag at a look is the age of the turn under way."""
    bench.heartbeat.start_turn()
    bench.runs(200)

    assert max(bench.watched.lags_ns) in range(150 * MS, 201 * MS)


# ── one stall ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_report(bench):
    """A stall is told once, when it has ended, with its exact times and the samples that were taken within."""
    start = bench.clock.now_ns()

    bench.blocks(400)

    (seen,) = bench.told
    assert (seen.start_ns, seen.duration_ns, seen.exact, seen.ongoing, seen.waited) == (
        start,
        400 * MS,
        True,
        False,
        False,
    )
    assert seen.started_at == bench.clock.wall(start)
    assert all(0 < age <= 400 for age in ages_ms(seen))
    assert (seen.loop, seen.threshold_ns) == (bench.heartbeat.info, 100 * MS)


def test_ongoing_then_ended(bench):
    """A stall that lasts is announced at doubling ages, and told once more at its end, all under one id."""
    bench.blocks(5000)

    assert [(seen.ongoing, seen.exact) for seen in bench.told] == [(True, False)] * 3 + [(False, True)]
    assert [round(seen.duration_ns / MS / 1000) for seen in bench.told] == [1, 2, 4, 5]
    assert len({seen.id for seen in bench.told}) == 1


def test_each_stall_has_an_id(bench):
    """Two stalls have two ids."""
    bench.blocks(200)
    bench.blocks(200)

    assert [seen.id for seen in bench.told] == ["stall-1", "stall-2"]


@given(
    st.lists(st.sampled_from([1, 40, 99, 101, 150, 999, 1001, 2500, 9000]), max_size=12),
    st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_always_busy(durations_ms, watched):
    """On a loop that is never idle, one turn after the other, each stall has an id of its own and exactly one end.

    Also where the watchdog is kept out while a turn ends and the next begins.
    """
    bench = Bench()
    bench.runs(500)
    for ms, looks in zip(durations_ms, watched, strict=False):
        bench.heartbeat.start_turn()
        (bench.runs if looks else bench.passes)(ms)
        bench.heartbeat.end_turn()
    bench.runs(100)

    told = {}
    for seen in bench.told:
        told.setdefault(seen.id, []).append(seen)
    assert all([seen.ongoing for seen in course] == [True] * (len(course) - 1) + [False] for course in told.values())
    assert [course[-1].duration_ns for course in told.values()] == [ms * MS for ms in durations_ms if ms > 100]
    assert all(
        earlier.start_ns == later.start_ns and earlier.duration_ns < later.duration_ns
        for course in told.values()
        for earlier, later in itertools.pairwise(course)
    )


def test_end_is_asked_for_once(bench):
    """The heartbeat is asked once to find out when the stall ends; not for turns that are none."""
    bench.blocks(90)
    bench.blocks(400)

    assert bench.heartbeat.expected == [2]


@given(st.integers(12, 40), st.integers(200, 100_000))
def test_thinning(max_samples, duration_ms):
    """However long a stall lasts, its samples are bounded, and cover all of it: none stands for more than a third."""
    bench = Bench(Limits(threshold_ns=100 * MS, max_samples=max_samples))

    bench.blocks(duration_ms)

    ages = ages_ms(bench.told[0])
    assert len(ages) <= max_samples
    assert ages == sorted(set(ages))
    assert max(later - age for age, later in itertools.pairwise([0, *ages, duration_ms])) <= duration_ms / 3


def test_long_stall(bench):
    """A stall of a minute is sampled ever more rarely, and no sample stands for more than some seconds of it."""
    bench.blocks(60_000)

    ages = ages_ms(bench.told[-1])
    assert bench.watchdog.samples < 400
    assert max(later - age for age, later in itertools.pairwise(ages)) <= LONGEST_GAP_NS / MS + 1000


def test_inexact_bounds(bench):
    """Where the heartbeat knows a bound only, the observation says so."""
    bench.heartbeat.start_turn()
    bench.runs(300)
    bench.heartbeat.end_turn(exact=False)
    bench.runs(60)

    assert not bench.told[0].exact


def test_loop_that_only_looked_busy(bench):
    """Where the heartbeat takes back that the loop runs, nothing is sampled."""
    bench.heartbeat.really_runs = False

    bench.heartbeat.start_turn()
    bench.runs(5000)

    assert (bench.told, bench.watchdog.samples) == ([], 0)


# ── facts ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_facts_of_a_sample(bench):
    """A sample carries the thread's clocks and its system call, and no stack yet: that is resolved elsewhere."""
    bench.thread.call = RawCall("clock_nanosleep")

    bench.blocks(300, cpu=0.25, others=0.5, starved=0.5)

    first, last = bench.told[0].samples[0], bench.told[0].samples[-1]
    elapsed = last.at_ns - first.at_ns
    assert (first.syscall.name, first.syscall.target, first.stack) == ("clock_nanosleep", None, ())
    assert last.cpu_ns - first.cpu_ns == pytest.approx(0.25 * elapsed)
    assert last.process_cpu_ns - first.process_cpu_ns == pytest.approx(0.75 * elapsed)
    assert last.runqueue_ns - first.runqueue_ns == pytest.approx(0.5 * elapsed)


def test_vitals_enclose_the_stall(bench):
    """The clocks around a stall were read before it began and after it ended."""
    bench.blocks(300, cpu=0.5, others=1.0)

    vitals = bench.told[0].vitals
    assert vitals.wall_ns >= 300 * MS
    assert vitals.cpu_ns == pytest.approx(150 * MS)
    assert vitals.other_cpu_ns == pytest.approx(300 * MS)
    assert vitals.watchdog_late_ns == 0


def test_what_others_noted(bench):
    """Collections and allowances of the time come with the observation."""
    bench.collections, bench.allowances = (collection(0, 5),), (allowance(0, 5),)

    bench.blocks(200)

    assert (bench.told[0].collections, bench.told[0].allowances) == (bench.collections, bench.allowances)


# ── trouble ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["read", "running", "finished", "expect_end", "ready"])
def test_failing_heartbeat(bench, method):
    """A loop on which the watchdog fails is left alone from then on, and that is said once; other loops are not affected."""
    other = bench.add(FakeHeartbeat(bench.clock))

    def fails(*args):
        raise RuntimeError("no such turn")

    setattr(bench.heartbeat, method, fails)
    bench.heartbeat.start_turn()
    other.heartbeat.start_turn()
    bench.runs(1000)
    other.heartbeat.end_turn()
    bench.runs(100)

    assert (bench.watched.failed, other.failed) == (True, False)
    (failure,) = bench.failures
    assert "fake loop of thread 'FakeThread'" in failure and "no such turn" in failure
    assert [seen.loop for seen in bench.told if not seen.ongoing] == [other.heartbeat.info]


def test_close(bench):
    """A loop that stops within a stall has its last turn told, with the samples that were taken of it."""
    bench.heartbeat.start_turn()
    bench.runs(300)
    bench.heartbeat.end_turn()
    bench.watchdog.watched = ()

    bench.watchdog.close(bench.watched, bench.heartbeat.finished())

    assert [(seen.duration_ns, len(seen.samples) > 3) for seen in bench.told] == [(300 * MS, True)]


def test_close_that_fails(bench):
    """A last turn of which nothing can be told is said as well."""
    bench.thread.cpu_ns = lambda: 1 / 0
    now = bench.clock.now_ns()

    bench.watchdog.close(bench.watched, [Turn(1, now - 300 * MS, now)])

    assert len(bench.failures) == 1


def test_thread_without_a_frame(bench):
    """A loop whose thread has no frame, as one that runs C code only, has samples with nothing on them."""
    bench.watchdog._frames = dict

    bench.blocks(300)

    assert len(bench.told[0].samples) > 3


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="collections wait for the next bytecode from 3.12 on")
def test_frames_are_walked_so(bench):
    """The watchdog takes frames, walks them and lets them go with the collector paused."""
    states = []
    frames = bench.watchdog._frames
    bench.watchdog._frames = lambda: (states.append(gc.isenabled()), frames())[1]

    bench.blocks(200)

    assert states
    assert not any(states)
    assert gc.isenabled()
