"""Stalls that the watchdog could not see while they lasted, because it was kept out itself."""

import pytest

from loopwatch.schedule import Limits

from .bench import MS, Bench

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
    kept_out_ms = (bench.clock.now_ns() - bench.due) / MS
    bench.look()
    bench.heartbeat.end_turn()
    bench.runs(60)

    late = [sample.late_ns / MS for sample in bench.told[0].samples]
    assert late[:-1] == [0] * (len(late) - 1)
    assert late[-1] == kept_out_ms


@pytest.mark.parametrize(("asking", "handed_on"), [(0.9, False), (4.0, True)], ids=["one long hold", "many short ones"])
def test_handed_on(bench, asking, handed_on):
    """A watchdog that was woken more often than it asks waited while the GIL was given up and taken again."""
    bench.heartbeat.start_turn()
    bench.runs(30, cpu=1.0)
    bench.passes(300, cpu=1.0, asking=asking)
    bench.look()

    assert bench.watched.pending.samples[-1][0].handed_on is handed_on


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


def test_too_short_to_tell():
    """In a few milliseconds a watchdog that waits for the GIL asks for it only a few times: nothing was stopped."""
    bench = Bench(Limits(threshold_ns=10 * MS))
    bench.runs(100)

    bench.sleeps_through(16, asking=1.0)

    assert [seen.stopped_ns for seen in bench.told] == [0]


def test_stop_between_two_looks(bench):
    """A stop is reckoned from when the program computed last, not from the look that it kept the watchdog from."""
    bench.runs(100)
    bench.look()
    bench.heartbeat.start_turn()
    bench.passes(30, cpu=1.0)
    bench.passes(335)
    bench.look()
    bench.passes(30, cpu=1.0)
    bench.heartbeat.end_turn()
    bench.runs(70)

    assert [seen.stopped_ns for seen in bench.told] == [335 * MS]


def test_unwatched_stop(bench):
    """A process that stood still before the turn began was not stopped within it."""
    bench.passes(3000)
    bench.look()
    bench.blocks(200, cpu=1.0)

    assert bench.told[0].stopped_ns == 0


# ── waits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_overrun_wait(bench):
    """A wait that overran its own timeout is lost time, whoever is to blame."""
    bench.passes(300, others=1.0, asking=1.0)
    bench.tells_wait(250, exact=True)
    bench.look()

    (seen,) = bench.told
    assert (seen.waited, seen.exact, seen.duration_ns) == (True, True, 250 * MS)


def test_long_wait(bench):
    """A loop that waits for an event for long waits: that is what it is for."""
    bench.runs(10_000)
    bench.tells_wait(10_000, exact=False)
    bench.runs(100)

    assert bench.told == []


def test_kept_from_waking(bench):
    """A wait that ended when the watchdog, too, got the GIL back was kept from waking: from when the watchdog was due."""
    due = bench.due
    bench.passes(400, others=1.0, asking=1.0)
    bench.tells_wait(5000, exact=False)
    bench.look()

    (seen,) = bench.told
    assert (seen.waited, seen.exact, seen.start_ns) == (True, False, due)
    assert seen.vitals.watchdog_late_ns == seen.duration_ns


def test_only_the_watchdog_was_kept(bench):
    """A loop thread that did not ask for the GIL meanwhile was waiting, whatever befell the watchdog."""
    bench.passes(400, others=1.0)
    bench.machine.switches += 80
    bench.tells_wait(5000, exact=False)
    bench.look()

    assert bench.told == []


# ── a loop that does not record its turns ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def unrecorded(bench):
    """The same, on a loop that tells no turn that the watchdog has slept through."""
    bench.heartbeat.records_turns = False
    bench.runs(100)
    return bench


def test_unrecorded_stall(unrecorded):
    """CPU that was burned within few turns was a stall, though its times are bounds."""
    unrecorded.passes_turns(1, 400, cpu=1.0)

    (seen,) = unrecorded.told
    assert not seen.exact
    assert seen.duration_ns == pytest.approx(400 * MS, abs=50 * MS)


def test_unrecorded_busy_time(unrecorded):
    """CPU that was burned in many turns was no stall."""
    unrecorded.passes_turns(50, 400, cpu=1.0)

    assert unrecorded.told == []


def test_unrecorded_wait_for_the_gil(unrecorded):
    """A thread that asked for the GIL all the while was kept from it."""
    unrecorded.passes_turns(1, 400, others=1.0, asking=1.0)

    assert [seen.exact for seen in unrecorded.told] == [False]
