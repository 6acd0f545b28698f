"""The watchdog, look by look: fake time, a fake heartbeat, hand-made frames."""

import itertools
from types import SimpleNamespace

import pytest
from facts import allowance, collection
from hypothesis import given
from hypothesis import strategies as st

from loopwatch.observations import Turn
from loopwatch.probes.threads import RawCall, Schedule
from loopwatch.schedule import Limits, next_sample_age
from loopwatch.testing import FakeClock, FakeHeartbeat
from loopwatch.watchdog import Watchdog, Watched

MS = 1_000_000
LIMITS = Limits(threshold_ns=100 * MS, ongoing_ns=(1000 * MS,))


def standing():
    """A frame to stand at."""
    yield


class FakeThread:
    """The loop's thread, as its probe sees it."""

    def __init__(self):
        self.cpu, self.waited, self.slices = 0, 0, 0
        self.call = RawCall("running")
        self.closed = False

    def cpu_ns(self):
        return self.cpu

    def schedule(self):
        return Schedule(self.waited, self.slices)

    def syscall(self):
        return self.call

    def close(self):
        self.closed = True


class FakeMachine:
    """The process and the watchdog's own thread."""

    def __init__(self):
        self.cpu, self.waited, self.switches = 0, 0, 0

    def process_cpu_ns(self):
        return self.cpu

    def own_runqueue_ns(self):
        return self.waited

    def own_switches(self):
        return self.switches


class Bench:
    """A watchdog with one loop, in a world in which nothing happens by itself."""

    def __init__(self, limits=LIMITS):
        self.clock = FakeClock()
        self.machine = FakeMachine()
        self.told, self.failures = [], []
        self.collections, self.allowances = (), ()
        self.stack = standing()
        next(self.stack)
        self.watchdog = Watchdog(
            clock=self.clock,
            limits=limits,
            emit=lambda seen, captures: self.told.append(seen),
            garbage=SimpleNamespace(within=lambda *window: self.collections),
            machine=self.machine,
            allowances=lambda *window: self.allowances,
            stall_ids=(f"stall-{number}" for number in itertools.count(1)),
            report_failure=self.failures.append,
            frames=lambda: {1: self.stack.gi_frame},
        )
        self.watched = self.add(FakeHeartbeat(self.clock))
        self.heartbeat, self.thread = self.watched.heartbeat, self.watched.probe
        self.due = self.clock.now_ns()
        self.looks = 0

    def add(self, heartbeat):
        watched = Watched(object(), heartbeat, FakeThread(), frozenset(), self.clock.now_ns())
        heartbeat.limit_ns = self.watchdog.limits.threshold_ns
        self.watchdog.watched = (*self.watchdog.watched, watched)
        return watched

    def passes(self, ms, cpu=0.0, others=0.0, starved=0.0, asking=0.0):
        """Time goes by without a look; threads take such shares of it, and the watchdog asks for the GIL so often."""
        self.clock.advance(ms)
        self.thread.cpu += int(cpu * ms * MS)
        self.machine.cpu += int((cpu + others) * ms * MS)
        self.thread.waited += int(starved * ms * MS)
        self.machine.waited += int(starved * ms * MS)
        self.thread.slices += int(asking * ms / 5)
        self.machine.switches += int(asking * ms / 5)

    def runs(self, ms, **shares):
        """Time goes by, and the watchdog looks whenever it wants to."""
        end = self.clock.now_ns() + int(ms * MS)
        while self.due <= end:
            self.passes((self.due - self.clock.now_ns()) / MS, **shares)
            self.look()
        self.passes((end - self.clock.now_ns()) / MS, **shares)

    def look(self):
        self.due = self.watchdog.look(min(self.due, self.clock.now_ns()))
        self.looks += 1

    def blocks(self, ms, **shares):
        """One turn of the loop, watched all the while; and a look at what is left of it."""
        self.heartbeat.start_turn()
        self.runs(ms, **shares)
        self.heartbeat.end_turn()
        self.runs(60)

    def sleeps_through(self, ms, **shares):
        """One turn that begins and ends while the watchdog is kept out."""
        self.heartbeat.start_turn()
        self.passes(ms, **shares)
        self.heartbeat.end_turn()
        self.look()


@pytest.fixture
def bench():
    """A watchdog that has watched an idle loop for a while."""
    bench = Bench()
    bench.runs(500)
    return bench


def ages_ms(seen):
    """The ages at which a stall was sampled."""
    return [(sample.at_ns - seen.start_ns) / MS for sample in seen.samples]


# ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_idle_loop():
    """An idle loop is looked at 20 times a second, never sampled, and nothing is told."""
    bench = Bench()

    bench.runs(10_000)

    assert 200 <= bench.looks <= 202
    assert (bench.watchdog.samples, bench.told, bench.failures) == (0, [], [])
    assert set(bench.watched.lags_ns) == {0}


def test_short_turns(bench):
    """Turns under the threshold are not told, and those that are over soon are not even sampled."""
    for _ in range(20):
        bench.blocks(20)
    assert bench.watchdog.samples == 0

    bench.blocks(99)

    assert bench.watchdog.samples > 0
    assert bench.told == []


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
    assert (seen.start_ns, seen.duration_ns, seen.exact, seen.ongoing, seen.waited) == (start, 400 * MS, True, False, False)
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


def test_end_is_asked_for_once(bench):
    """The heartbeat is asked once to find out when the stall ends; not for turns that are none."""
    bench.blocks(90)
    bench.blocks(400)

    assert bench.heartbeat.expected == [2]


@given(st.integers(2, 40), st.integers(200, 100_000))
def test_thinning(max_samples, duration_ms):
    """However long it lasts, samples are bounded, and cover the whole stall: none of its thirds is without one."""
    bench = Bench(Limits(threshold_ns=100 * MS, max_samples=max(max_samples, 6)))

    bench.blocks(duration_ms)

    (seen,) = bench.told
    ages = ages_ms(seen)
    assert len(ages) <= max(max_samples, 6)
    assert ages == sorted(set(ages))
    assert {int(3 * age / (duration_ms + 1)) for age in ages} == {0, 1, 2}


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


# ── a watchdog that was kept out ────────────────────────────────────────────────────────────────────────────────────


def test_slept_through(bench):
    """A stall that began and ended while the watchdog could not look is told all the same, exactly timed."""
    bench.sleeps_through(300, cpu=1.0, asking=1.0)

    (seen,) = bench.told
    assert (seen.duration_ns, seen.exact, seen.samples, seen.stopped_ns) == (300 * MS, True, (), 0)
    assert seen.vitals.watchdog_late_ns in range(250 * MS, 301 * MS)
    assert seen.vitals.cpu_ns == 300 * MS


def test_two_slept_through(bench):
    """Every stall that the heartbeat kept is told, each by itself."""
    for _ in range(2):
        bench.heartbeat.start_turn()
        bench.passes(200, cpu=1.0, asking=1.0)
        bench.heartbeat.end_turn()
    bench.look()

    assert [seen.duration_ns for seen in bench.told] == [200 * MS, 200 * MS]


def test_late_within_a_stall(bench):
    """A sample says how late it was: not because of what kept the watchdog before this turn."""
    bench.heartbeat.start_turn()
    bench.runs(30, cpu=1.0)
    bench.passes(300, cpu=1.0, asking=1.0)
    bench.look()
    bench.heartbeat.end_turn()
    bench.runs(60)

    late = [sample.late_ns / MS for sample in bench.told[0].samples]
    assert late[:-1] == [0] * (len(late) - 1)
    assert late[-1] == pytest.approx(300, abs=15)


def test_lateness_for_want_of_a_core(bench):
    """What the machine took from the watchdog is not held against the GIL."""
    bench.heartbeat.start_turn()
    bench.runs(30, cpu=1.0)
    bench.passes(300, others=0.1, starved=1.0)
    bench.look()

    assert bench.watched.pending.samples[-1][0].late_ns == 0


def test_stopped_process(bench):
    """While no thread burns CPU and the watchdog waits for nothing, the whole process stands still."""
    bench.sleeps_through(3000)

    assert bench.told[0].stopped_ns in range(2900 * MS, 3001 * MS)


def test_unwatched_stop(bench):
    """A process that stood still before the turn began was not stopped within it."""
    bench.passes(3000)
    bench.look()
    bench.blocks(200, cpu=1.0)

    assert bench.told[0].stopped_ns == 0


# ── waits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def waited(bench, ms, exact):
    """A wait of so many milliseconds that ends now."""
    now = bench.clock.now_ns()
    return Turn(now - int(ms * MS), now - int(ms * MS), now, exact=exact, waited=True)


def test_overrun_wait(bench):
    """A wait that overran its own timeout is lost time, whoever is to blame."""
    bench.passes(300, others=1.0, asking=1.0)
    bench.heartbeat.tell(waited(bench, 250, exact=True))
    bench.look()

    (seen,) = bench.told
    assert (seen.waited, seen.exact, seen.duration_ns) == (True, True, 250 * MS)


def test_long_wait(bench):
    """A loop that waits for an event for long waits: that is what it is for."""
    bench.runs(10_000)
    bench.heartbeat.tell(waited(bench, 10_000, exact=False))
    bench.runs(100)

    assert bench.told == []


def test_kept_from_waking(bench):
    """A wait that ended when the watchdog, too, got the GIL back was kept from waking: from when the watchdog was due."""
    due = bench.due
    bench.passes(400, others=1.0, asking=1.0)
    bench.heartbeat.tell(waited(bench, 5000, exact=False))
    bench.look()

    (seen,) = bench.told
    assert (seen.waited, seen.exact, seen.start_ns) == (True, False, due)
    assert seen.vitals.watchdog_late_ns == seen.duration_ns


def test_only_the_watchdog_was_kept(bench):
    """A loop thread that did not ask for the GIL meanwhile was waiting, whatever befell the watchdog."""
    bench.passes(400, others=1.0)
    bench.machine.switches += 80
    bench.heartbeat.tell(waited(bench, 5000, exact=False))
    bench.look()

    assert bench.told == []


# ── a loop that does not record its turns ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def unrecorded(bench):
    """The same, on a loop that tells no turn that the watchdog has slept through."""
    bench.heartbeat.records_turns = False
    bench.runs(100)
    return bench


def passes_turns(bench, turns, ms, **shares):
    """Turns go by unrecorded while the watchdog is kept out."""
    for _ in range(turns):
        bench.heartbeat.start_turn()
        bench.passes(ms / turns, **shares)
        bench.heartbeat.reading = type(bench.heartbeat.reading)(bench.heartbeat.reading.turn, None)
    bench.look()


def test_unrecorded_stall(unrecorded):
    """CPU that was burned within few turns was a stall, though its times are bounds."""
    passes_turns(unrecorded, 1, 400, cpu=1.0)

    (seen,) = unrecorded.told
    assert not seen.exact
    assert seen.duration_ns == pytest.approx(400 * MS, abs=50 * MS)


def test_unrecorded_busy_time(unrecorded):
    """CPU that was burned in many turns was no stall."""
    passes_turns(unrecorded, 50, 400, cpu=1.0)

    assert unrecorded.told == []


def test_unrecorded_wait_for_the_gil(unrecorded):
    """A thread that asked for the GIL all the while was kept from it."""
    passes_turns(unrecorded, 1, 400, others=1.0, asking=1.0)

    assert [seen.exact for seen in unrecorded.told] == [False]


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
    """A loop that stops within a stall has its last turn told, and its probe closed."""
    bench.heartbeat.start_turn()
    bench.runs(300)
    bench.heartbeat.end_turn()
    bench.watchdog.watched = ()

    bench.watchdog.close(bench.watched)

    assert [(seen.duration_ns, len(seen.samples) > 3) for seen in bench.told] == [(300 * MS, True)]
    assert bench.thread.closed


def test_close_of_a_failing_heartbeat(bench):
    """A heartbeat that fails at the end is said as well, and its probe is closed."""
    bench.heartbeat.finished = lambda: 1 / 0

    bench.watchdog.close(bench.watched)

    assert len(bench.failures) == 1
    assert bench.thread.closed


def test_thread_without_a_frame(bench):
    """A loop whose thread has no frame, as one that runs C code only, has samples with nothing on them."""
    bench.watchdog._frames = dict

    bench.blocks(300)

    assert len(bench.told[0].samples) > 3
