"""A stall made of many pieces names them all, heaviest first."""

import hashlib
import time

import pytest

from loopwatch.records import Cause

from .blame import describe, marked


def shares_of(stall, *functions):
    """The summed share of each function's own lines."""
    names = [function.__qualname__ for function in functions]
    return [sum(s.share for s in stall.shares if s.origin.function == name) for name in names]


def share_at(stall, where, mark):
    """The share of the marked line."""
    file, line = marked(where, mark)
    return sum(s.share for s in stall.shares if (s.origin.file, s.origin.line) == (file, line))


def test_shares_add_up(stall_of):
    """The shares of a stall are sorted, and make up all of it."""

    async def main():
        time.sleep(0.2)
        time.sleep(0.1)

    stall = stall_of(main)
    shares = [share.share for share in stall.shares]

    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1, abs=0.02)
    assert sum(share.samples for share in stall.shares) <= stall.samples


def test_tiny_helper(stall_of):
    """A helper that runs for microseconds, thousands of times, is named with its share."""

    def checksum(row):
        digest = hashlib.sha256(row)
        for _ in range(20):
            digest.update(row)
        return digest.hexdigest()

    async def main():
        until = time.perf_counter() + 0.3
        while time.perf_counter() < until:
            checksum(b"a row of a table")

    stall = stall_of(main)

    (share,) = shares_of(stall, checksum)
    assert share > 0.6, describe(stall)
    assert stall.origin.function == checksum.__qualname__
    assert stall.cause in (Cause.PYTHON, Cause.NATIVE)


def test_two_blockers(stall_of):
    """Two lines that block in one turn are both named, by their time."""

    def load():
        time.sleep(0.1)  # BLOCK light

    async def main():
        load()
        time.sleep(0.25)  # BLOCK heavy

    stall = stall_of(main)

    assert share_at(stall, main, "BLOCK heavy") == pytest.approx(0.71, abs=0.12), describe(stall)
    assert share_at(stall, load, "BLOCK light") == pytest.approx(0.29, abs=0.12), describe(stall)
    assert (stall.origin.file, stall.origin.line) == marked(main, "BLOCK heavy")


def test_heavier_of_two_comes_first_in_time(stall_of):
    """The heaviest line is blamed, also where it is not the last."""

    async def main():
        time.sleep(0.25)  # BLOCK heavy
        time.sleep(0.1)  # BLOCK light

    stall = stall_of(main)

    assert (stall.origin.file, stall.origin.line) == marked(main, "BLOCK heavy")
    assert share_at(stall, main, "BLOCK light") == pytest.approx(0.29, abs=0.12), describe(stall)


def test_causes_of_shares(stall_of):
    """Each share has the mechanism in which it was spent."""

    async def main():
        until = time.perf_counter() + 0.3
        while time.perf_counter() < until: pass  # noqa: E701 # BLOCK burn
        time.sleep(0.15)  # BLOCK nap

    stall = stall_of(main)

    causes = {(share.origin.file, share.origin.line): share.cause for share in stall.shares}
    assert causes[marked(main, "BLOCK burn")] in (Cause.PYTHON, None)
    assert causes[marked(main, "BLOCK nap")] in (Cause.SLEEP, None)


def test_function_that_took_the_time_is_told_from_its_leaves(stall_of):
    """`lasted` is near 1 for what stood there all along, and small for the leaf that a sample happened to hit."""

    def leaf(n):
        return sum(range(n))

    def work():
        until = time.perf_counter() + 0.3
        while time.perf_counter() < until:
            leaf(50)

    async def main():
        work()

    stall = stall_of(main)

    lasted = {frame.function: frame.lasted for frame in stall.stack}
    assert lasted[main.__qualname__] >= 0.9, describe(stall)
    assert all(frame.lasted is not None and 0 <= frame.lasted <= 1 for frame in stall.stack)
    assert lasted[main.__qualname__] >= lasted[work.__qualname__]
