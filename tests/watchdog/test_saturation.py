"""A pool for which work waits is followed from look to look, told at doubling intervals, and once when it has ended."""

import itertools
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwatch.probes.pools.base import Pool, waiter
from loopwatch.schedule import Limits
from loopwatch.testing import FakeClock
from loopwatch.watchdog import PoolFollower

LIMITS = Limits(saturated_ns=(1_000_000_000,))
WATCHED = (SimpleNamespace(loop=object(), heartbeat=SimpleNamespace(info=None)),)


class Somebody:
    """Who waits."""

    waits = True


class FakePools:
    """A pool of four, read as it was told."""

    def __init__(self):
        self.pools, self.reads, self.broken = [], 0, False

    def full(self, waiting, newest=None, key=1):
        self.pools = [
            Pool(("fake", key), "executor", "jobs", None, 4, 4, waiting, waiter(newest, lambda one: one.waits), (7, 8))
        ]

    def free(self):
        self.pools = [Pool(("fake", 1), "executor", "jobs", None, 1, 4, 0)]

    def read(self, loops):
        self.reads += 1
        if self.broken:
            raise ValueError("of another version")
        return self.pools

    def stacks(self, workers):
        return 0, tuple(workers)


class Bench:
    """A follower that looks every 65 milliseconds."""

    def __init__(self):
        self.clock, self.pools = FakeClock(), FakePools()
        self.told, self.failures = [], []
        ids = (f"pool-{number}" for number in itertools.count(1))
        self.follower = PoolFollower(
            self.clock, lambda seen, stacks: self.told.append((seen, stacks)), ids, self.failures.append, self.pools
        )

    def passes(self, ms, limits=LIMITS):
        until = self.clock.now_ns() + ms * 1_000_000
        while self.clock.now_ns() < until:
            self.follower.look(WATCHED, limits)
            self.clock.advance(65)

    @property
    def told_ms(self):
        return [(round(seen.duration_ns / 1e6, -3), seen.ongoing) for seen, _ in self.told]


@pytest.fixture
def bench():
    return Bench()


def test_twice_a_second(bench):
    """Pools are read about twice a second, however often the watchdog looks."""
    bench.passes(10_000)

    assert 15 <= bench.pools.reads <= 20


def test_doubling_then_the_end(bench):
    """It is told after a second, at doubling intervals, and once when it has ended, under one id."""
    bench.pools.full(3)
    bench.passes(9_500)
    bench.pools.free()
    bench.passes(1_000)

    assert [ongoing for _, ongoing in bench.told_ms] == [True, True, True, True, False]
    assert [ms for ms, _ in bench.told_ms][:4] == [1000, 2000, 4000, 8000]
    assert {seen.id for seen, _ in bench.told} == {"pool-1"}
    assert len({seen.started_at for seen, _ in bench.told}) == 1


def test_short_one(bench):
    """One that is over before its first announcement is not told at all."""
    bench.pools.full(3)
    bench.passes(600)
    bench.pools.free()
    bench.passes(2_000)

    assert bench.told == []


def test_without_a_limit(bench):
    """A pool that may grow for ever is never saturated."""
    bench.pools.pools = [Pool(("fake", 1), "anyio", "default limiter", None, 50, None, 3)]
    bench.passes(3_000)

    assert bench.told == []
    assert not bench.follower.readings[0].saturated


def test_the_first_in_line(bench):
    """As long as whoever was last in line at some look still waits, the first has waited since then at least."""
    first, second = Somebody(), Somebody()
    bench.pools.full(1, first)
    bench.passes(1_000)
    bench.pools.full(2, second)
    bench.passes(1_000)
    waited_ms = bench.follower.readings[0].oldest_wait_ms

    first.waits = False
    bench.pools.full(1, second)
    bench.passes(600)

    assert 1_400 <= waited_ms <= 2_000
    assert 900 <= bench.follower.readings[0].oldest_wait_ms <= 1_600


def test_nobody_known(bench):
    """Where nobody in line can be told from another, how long the first has waited is not known."""
    bench.pools.full(3)
    bench.passes(2_000)

    assert bench.told[0][0].oldest_wait_max_ms is None


def test_who_waits_is_not_kept_alive(bench):
    """Somebody who is gone waits no more."""
    bench.pools.full(1, Somebody())
    bench.passes(1_200)

    assert bench.follower.readings[0].oldest_wait_ms is None


def test_the_worst_is_remembered(bench):
    """The record tells the most that waited, also when fewer do by then."""
    bench.pools.full(9)
    bench.passes(600)
    bench.pools.full(2)
    bench.passes(1_000)

    seen, _ = bench.told[0]
    assert (seen.reading.waiting, seen.waiting_max) == (2, 9)


def test_the_pool_goes(bench):
    """One whose pool is gone has ended."""
    bench.pools.full(3)
    bench.passes(1_300)
    bench.pools.pools = []
    bench.passes(600)

    assert [ongoing for _, ongoing in bench.told_ms] == [True, False]


def test_the_last_loop_goes(bench):
    """Without a loop to watch all have ended, at once."""
    bench.pools.full(3)
    bench.passes(1_300)
    bench.follower.look((), LIMITS)

    assert [ongoing for _, ongoing in bench.told_ms] == [True, False]
    assert bench.follower.readings == ()


def test_nobody_asks(bench):
    """Where no watch wants to hear of pools, none is read."""
    bench.passes(2_000, Limits(saturated_ns=()))

    assert bench.pools.reads == 0


def test_failure(bench):
    """A failure switches the reading of pools off, says so once, and does not reach the watchdog."""
    bench.pools.broken = True
    bench.passes(3_000)

    assert bench.failures == ["watching pools: ValueError('of another version')"]
    assert bench.pools.reads == 1


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=12))
def test_every_start_has_one_end(stretches):
    """Whatever comes and goes: each announced saturation ends exactly once, and ids are never used again."""
    bench = Bench()
    for full, half_seconds in stretches:
        bench.pools.full(2) if full else bench.pools.free()
        bench.passes(half_seconds * 500)
    bench.follower.look((), LIMITS)

    records = [(seen.id, seen.ongoing) for seen, _ in bench.told]
    announced = {name for name, ongoing in records if ongoing}
    ended = [name for name, ongoing in records if not ongoing]
    assert sorted(ended) == sorted(announced)
    for name in announced:
        assert [ongoing for other, ongoing in records if other == name][-1] is False
