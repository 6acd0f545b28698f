"""Totals of a watch: of all loops together, and of each."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from facts import LOOP, at_ns, sample, stall

from loopwatch.loops import LoopRun
from loopwatch.probes import allowances
from loopwatch.probes.allowances import Entry
from loopwatch.records import Cause, LoopInfo
from loopwatch.stats import Spent, Tally, key_of, stats_of
from loopwatch.testing import FakeClock, FakeHeartbeat
from loopwatch.watchdog import Watched
from loopwatch.watchdog.notes import Mark, Pending

OTHER = LoopInfo("uvloop", "worker", 8, 88, 777)
KEY = (LOOP.backend, LOOP.thread_id)
OTHER_KEY = (OTHER.backend, OTHER.thread_id)
SECOND = 1_000_000_000


def run_of(info=LOOP, ran_s=10, busy_s=None, cpu_s=None, lags_ms=()):
    """What became of a loop that has stopped."""
    run = LoopRun(info)
    run.ran_ns = ran_s * SECOND
    run.busy_ns = None if busy_s is None else int(busy_s * SECOND)
    run.cpu_ns = None if cpu_s is None else int(cpu_s * SECOND)
    run.lags_ns = [int(lag * 1e6) for lag in lags_ms]
    run.looks = len(run.lags_ns)
    return run


def tally_of(*stalls):
    """Counts of these stalls."""
    tally = Tally()
    for one in stalls:
        tally.add(one)
    return tally


def stats(*runs, tallies=None, samples=0, dropped=0, cost_ns=None):
    """Totals of these runs."""
    spent = Spent({key_of(run): run.totals(run.current) for run in runs}, samples, dropped, cost_ns)
    return stats_of(runs, tallies or {}, spent, Spent(), threshold_ns=100_000_000)


# ── counting ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tally():
    """Stalls are counted by cause; those that were allowed and pauses of the whole process are counted apart, with no lost time."""
    tally = tally_of(
        stall(100),
        stall(200),
        stall(300, cause=Cause.PYTHON),
        stall(1000, allowed="warm-up"),
        stall(5000, cause=Cause.SUSPENDED),
    )

    assert tally.lost_ms == 600
    assert tally.by_cause == {"sleep": 2, "python": 1}
    assert (tally.allowed, tally.suspended) == (1, 1)


def test_suspended_within_an_allowance():
    """A pause of the whole process is that, whatever was allowed at the time."""
    tally = tally_of(stall(cause=Cause.SUSPENDED, allowed="warm-up"))

    assert (tally.allowed, tally.suspended) == (0, 1)


# ── sums ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_loop():
    """Before any loop has run, everything is zero, and what cannot be told is None."""
    found = stats()

    assert (found.observed_s, found.lag_max_ms, found.lost_ms, found.stalls, found.by_cause) == (0, 0, 0, 0, {})
    assert (found.loop, found.utilization, found.cost_cpu_ms, found.loops) == (None, None, None, ())


def test_sum_of_loops():
    """The sum counts all loops, each loop counts its own."""
    tallies = {KEY: tally_of(stall(100)), OTHER_KEY: tally_of(stall(200), stall(300, cause=Cause.GC))}

    found = stats(run_of(), run_of(OTHER, ran_s=30), tallies=tallies, samples=7, dropped=2, cost_ns=5_000_000)

    assert (found.observed_s, found.lost_ms, found.stalls, found.by_cause) == (40, 600, 3, {"sleep": 2, "gc": 1})
    assert (found.samples, found.dropped, found.cost_cpu_ms) == (7, 2, 5)
    assert [(one.loop, one.observed_s, one.lost_ms, one.stalls) for one in found.loops] == [
        (LOOP, 10, 100, 1),
        (OTHER, 30, 500, 2),
    ]


def test_forgotten_loop():
    """A loop that is no longer known still counts in the sum: what was lost stays lost."""
    found = stats(run_of(), tallies={OTHER_KEY: tally_of(stall(200))})

    assert found.lost_ms == 200
    assert [one.lost_ms for one in found.loops] == [0]


# ── utilization ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_utilization_by_turns():
    """Where turns are timed, the busy share of the time is exact."""
    assert stats(run_of(ran_s=10, busy_s=2.5, cpu_s=9)).utilization == 0.25


def test_utilization_by_clock():
    """Elsewhere it is the CPU time, and the stalls in which the thread waited; those in which it computed are in it already."""
    tallies = {KEY: tally_of(stall(2000), stall(500, cause=Cause.PYTHON))}

    assert stats(run_of(ran_s=10, cpu_s=1), tallies=tallies).utilization == pytest.approx(0.3)


def test_utilization_unknown():
    """Without either it cannot be told; nor of a loop that has not run yet."""
    assert stats(run_of()).utilization is None
    assert stats(run_of(ran_s=0, busy_s=0)).utilization is None


def test_utilization_of_several():
    """The mean is weighted by how long each ran, and leaves out what cannot be told."""
    found = stats(
        run_of(ran_s=10, busy_s=10),
        run_of(OTHER, ran_s=30, busy_s=0),
        run_of(LoopInfo("rloop", "x", 9, 9, 1), ran_s=60),
    )

    assert found.utilization == 0.25


def test_utilization_is_at_most_one():
    """Clocks that are read at slightly different moments do not make a loop busier than always."""
    assert stats(run_of(ran_s=10, busy_s=10.1)).utilization == 1.0


# ── lags ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_lags():
    """Quantiles are lags that were really seen, over all loops together."""
    found = stats(run_of(lags_ms=range(0, 100, 2)), run_of(OTHER, lags_ms=range(1, 100, 2)))

    assert (found.lag_p50_ms, found.lag_p95_ms, found.lag_p99_ms, found.lag_max_ms) == (50, 95, 99, 99)
    assert [one.lag_max_ms for one in found.loops] == [98, 99]


def test_one_lag():
    """One lag is all quantiles."""
    found = stats(run_of(lags_ms=[7]))

    assert (found.lag_p50_ms, found.lag_max_ms) == (7, 7)


def test_lags_of_each_loop():
    """Each loop gives its latest lags and how many there have been; the sum gives none, since it has no order of them."""
    run = run_of(lags_ms=[1, 2, 3])
    run.looks = 5000

    found = stats(run, run_of(OTHER, lags_ms=[4]))

    assert [(one.lags_ms, one.looks) for one in found.loops] == [((1.0, 2.0, 3.0), 5000), ((4.0,), 1)]
    assert (found.lags_ms, found.looks) == ((), 5001)


# ── a loop that runs ────────────────────────────────────────────────────────────────────────────────────────────────


class FakeProbe:
    """A thread that has used so much CPU."""

    def cpu_ns(self):
        return 12 * SECOND


def test_running_loop(monkeypatch):
    """A loop that still runs counts up to now, on top of its earlier runs."""
    monkeypatch.setattr("loopwatch.loops.time", SimpleNamespace(monotonic_ns=lambda: 100 * SECOND))
    watched = Watched(object(), FakeHeartbeat(FakeClock()), FakeProbe(), frozenset(), began_ns=90 * SECOND)
    watched.lags_ns.append(3_000_000)
    run = run_of(ran_s=10, cpu_s=1)
    run.current, run.cpu_base_ns = watched, 10 * SECOND

    found = stats(run)

    assert found.observed_s == 20
    assert found.utilization == pytest.approx(3 / 20)
    assert found.lag_max_ms == 3


# ── the stall under way ─────────────────────────────────────────────────────────────────────────────────────────────


def in_a_turn(age_ms, info=LOOP, task_id=None):
    """A loop that runs, whose turn has lasted that long."""
    beat = FakeHeartbeat(FakeClock())
    beat.info = info
    watched = Watched(object(), beat, FakeProbe(), frozenset(), began_ns=0)
    mark = Mark(0, None, None, None, None)
    watched.pending = Pending(1, at_ns(0), exact=True, base=mark, next_sample_ns=0, age_ns=int(age_ms * 1e6))
    watched.pending.samples.append((replace(sample(), task_id=task_id), None))
    run = run_of(info)
    run.current = watched
    return run


def test_stalled():
    """A turn under way that is over the threshold is told with its age; the sum tells the longest. Others are told as none."""
    found = stats(in_a_turn(2500), in_a_turn(99, OTHER))

    assert [one.stalled_ms for one in found.loops] == [2500, 0]
    assert found.stalled_ms == 2500


def test_not_stalled():
    """A loop that waits, or has stopped, is not stalled."""
    waiting = in_a_turn(2500)
    waiting.current.pending = None

    assert (stats(waiting).stalled_ms, stats(run_of()).stalled_ms) == (0, 0)


@pytest.mark.parametrize(("up_to_ms", "stalled_ms"), [(None, 0), (2450, 0), (1000, 1500)])
def test_allowed_stall_under_way(up_to_ms, stalled_ms):
    """What is allowed is no stall while it lasts either; beyond its limit it is, from there on."""
    allowance = Entry("warm-up", up_to_ms and int(up_to_ms * 1e6))
    allowance.thread_id, allowance.start_ns, allowance.task_id = LOOP.thread_id, at_ns(0), None
    allowances._open[id(allowance)] = allowance
    try:
        assert stats(in_a_turn(2500)).stalled_ms == stalled_ms
    finally:
        del allowances._open[id(allowance)]
