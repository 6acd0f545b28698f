"""Percentiles of very many durations in little memory."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwatch.durations import Durations

SHARES = (0.5, 0.95, 0.99, 1.0)


def of(*durations_ms):
    """Some durations."""
    durations = Durations()
    for ms in durations_ms:
        durations.add(ms)
    return durations


def test_none():
    """Of nothing the percentiles are 0."""
    assert of().percentiles(*SHARES) == (0, 0, 0, 0)


@given(st.lists(st.floats(0.1, 1e9), min_size=1, max_size=200))
def test_close_to_the_truth(durations_ms):
    """Each is within 5 % of a duration that the share of all really does not exceed."""
    ordered = sorted(durations_ms)
    exact = [ordered[math.ceil(share * len(ordered)) - 1] for share in SHARES]

    assert of(*durations_ms).percentiles(*SHARES) == pytest.approx(exact, rel=0.05)


@given(st.lists(st.floats(0.1, 1e9), max_size=50), st.randoms())
def test_order_does_not_matter(durations_ms, random):
    """The same durations have the same percentiles."""
    shuffled = list(durations_ms)
    random.shuffle(shuffled)

    assert of(*shuffled).percentiles(*SHARES) == of(*durations_ms).percentiles(*SHARES)


def test_bounded():
    """However they are spread, and however wild, they take little memory."""
    durations = of(0.0, -1.0, 1e30, *(1.001**number for number in range(25_000)))

    assert len(durations._buckets) <= 300
