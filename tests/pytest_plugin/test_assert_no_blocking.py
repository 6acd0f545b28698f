"""`loopwatch.testing.assert_no_blocking`, which needs no pytest."""

import asyncio
import time

import pytest

from loopwatch.testing import assert_no_blocking


async def blocks():
    time.sleep(0.15)


def test_innocent():
    """What does not block passes."""
    with assert_no_blocking():
        asyncio.run(asyncio.sleep(0.01))


def test_guilty():
    """What blocks raises, with the time, the line and the cause."""
    with pytest.raises(
        AssertionError, match=r"held for 50 ms or longer:\n  1\d\d ms: .*test_assert_no_blocking.py:12 time.sleep"
    ):
        with assert_no_blocking():
            asyncio.run(blocks())


def test_under_the_limit():
    """The limit is the caller's to choose."""
    with assert_no_blocking(2000):
        asyncio.run(blocks())


def test_within_a_coroutine():
    """Within a coroutine the turn that is under way at the end of the block counts."""

    async def main():
        await asyncio.sleep(0)
        with pytest.raises(AssertionError, match=r"time\.sleep"):
            with assert_no_blocking():
                time.sleep(0.15)

    asyncio.run(main())


def test_an_error_of_its_own():
    """An exception from the block is what the caller sees."""
    with pytest.raises(ZeroDivisionError):
        with assert_no_blocking():
            asyncio.run(blocks())
            raise ZeroDivisionError
