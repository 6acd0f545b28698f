"""When to look, when to sample, when to announce: pure functions of the limits."""

import math

from hypothesis import given
from hypothesis import strategies as st

from loopwatch.schedule import LONGEST_GAP_NS, Limits, doubled, limits_of, next_announcement, next_sample_age
from loopwatch.settings import Settings

MS = 1_000_000
HOUR_NS = 3_600_000 * MS

thresholds = st.integers(MS // 10, HOUR_NS)
ages = st.integers(0, 24 * HOUR_NS)


def age_after(limits, samples):
    """The age of a turn at its n-th sample."""
    age = 0
    for _ in range(samples):
        age = next_sample_age(age, limits)
    return age


# ── limits ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_watch():
    """Without a watch the defaults hold, and nothing would be announced."""
    assert limits_of([]) == Limits()
    assert next_announcement(limits_of([]).ongoing_ns, 0) is None


def test_strictest_of_each():
    """Of several watches, each limit is that of the strictest."""
    watches = [
        Settings(threshold_ms=100, ongoing_ms=500, max_frames=10, max_samples=300),
        Settings(threshold_ms=50, ongoing_ms=None, max_frames=90, max_samples=20),
        Settings(threshold_ms=200, ongoing_ms=500, max_frames=5, max_samples=2),
        Settings(threshold_ms=300, ongoing_ms=200),
    ]

    limits = limits_of(watches)

    assert limits.threshold_ns == 50 * MS
    assert limits.ongoing_ns == (200 * MS, 500 * MS)
    assert (limits.max_frames, limits.max_samples) == (90, 300)


def test_idle_looks():
    """An idle loop is looked at well within a threshold, but neither more than 200 nor less than 15 times a second."""
    assert Limits(threshold_ns=40 * MS).idle_ns == 26 * MS
    assert Limits(threshold_ns=1).idle_ns == 5 * MS
    assert Limits(threshold_ns=HOUR_NS).idle_ns == 65 * MS


@given(thresholds)
def test_first_sample_before_the_threshold(threshold_ns):
    """A turn has been sampled before it becomes a stall."""
    limits = Limits(threshold_ns=threshold_ns)

    assert 0 < limits.first_sample_ns < threshold_ns
    assert next_sample_age(0, limits) == limits.first_sample_ns


# ── samples ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(ages, thresholds)
def test_samples_go_forward(age_ns, threshold_ns):
    """The next sample is always later than this one, but never much more than the longest gap away."""
    limits = Limits(threshold_ns=threshold_ns)

    following = next_sample_age(age_ns, limits)

    assert age_ns < following <= age_ns + LONGEST_GAP_NS + threshold_ns


@given(ages, ages, thresholds)
def test_samples_keep_their_order(one_ns, other_ns, threshold_ns):
    """An older turn is never sampled earlier in its life than a younger one."""
    limits = Limits(threshold_ns=threshold_ns)
    younger, older = sorted((one_ns, other_ns))

    assert next_sample_age(younger, limits) <= next_sample_age(older, limits)


def test_samples_become_sparse():
    """An eighth of a threshold apart at first, a quarter of the age later on, and the longest gap apart in the end."""
    limits = Limits(threshold_ns=100 * MS)

    assert next_sample_age(25 * MS, limits) == 37_500_000
    assert next_sample_age(1000 * MS, limits) == 1250 * MS
    assert next_sample_age(HOUR_NS, limits) == HOUR_NS + LONGEST_GAP_NS


def test_samples_of_a_long_stall():
    """A stall of ten minutes takes hundreds of samples, not thousands."""
    assert age_after(Limits(threshold_ns=100 * MS), 700) > 600_000 * MS


# ── announcements ───────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(1, HOUR_NS), ages)
def test_doubled(first_ns, after_ns):
    """What is due next is the first age times a power of two, above the last, and the smallest such."""
    due = doubled(first_ns, after_ns)

    assert due > after_ns
    assert math.log2(due // first_ns).is_integer() and due % first_ns == 0
    assert due == first_ns or due // 2 <= after_ns


def test_announcements_of_several_watches():
    """The next announcement is the earliest that any watch wants."""
    limits = Limits(ongoing_ns=(300 * MS, 1000 * MS))

    assert [next_announcement(limits.ongoing_ns, ms * MS) for ms in (0, 300, 600, 1000, 1200)] == [
        300 * MS,
        600 * MS,
        1000 * MS,
        1200 * MS,
        2000 * MS,
    ]
