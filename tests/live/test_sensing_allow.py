"""Blocking that the code itself calls expected is counted, not reported; all else is."""

import asyncio
import time

import pytest

import loopwatch

from .sensing import describe, ours, run


@pytest.fixture
def watched(backend):
    """Runs a coroutine function under a watch; gives the stalls that its sink got, and the watch's statistics."""

    def watched(main):
        reported = []
        with loopwatch.watching(threshold_ms=100, sinks=[reported.append]) as watch:
            run(main, backend)
            assert watch.flush(timeout=10)
            stats = watch.stats()
        return [stall for stall in ours(reported) if not stall.ongoing], stats

    return watched


def test_context_manager(watched):
    """A block within `allow` is counted, and no sink hears of it."""

    async def main():
        await asyncio.sleep(0.01)
        with loopwatch.allow("the cache is warmed once"):
            time.sleep(0.2)

    reported, stats = watched(main)

    assert list(map(describe, reported)) == []
    assert stats.allowed == 1


def test_decorated_function(watched):
    """`allow` decorates a function."""

    @loopwatch.allow("the cache is warmed once")
    def warm_up():
        time.sleep(0.2)
        return "warm"

    async def main():
        await asyncio.sleep(0.01)
        assert warm_up() == "warm"

    reported, stats = watched(main)

    assert list(map(describe, reported)) == []
    assert stats.allowed == 1


def test_decorated_coroutine_function(watched):
    """`allow` decorates a coroutine function, and holds until the coroutine has ended."""

    @loopwatch.allow("the cache is warmed once")
    async def warm_up():
        await asyncio.sleep(0.01)
        time.sleep(0.2)
        return "warm"

    async def main():
        assert await warm_up() == "warm"

    reported, stats = watched(main)

    assert list(map(describe, reported)) == []
    assert stats.allowed == 1


def test_decorator_can_be_used_twice(watched):
    """A decorated function allows each of its calls, also one within another."""

    @loopwatch.allow("the cache is warmed level by level")
    def warm_up(level):
        if level:
            warm_up(level - 1)
        time.sleep(0.06)

    async def main():
        for _ in range(2):
            await asyncio.sleep(0.01)
            warm_up(2)

    reported, stats = watched(main)

    assert list(map(describe, reported)) == []
    assert stats.allowed == 2


def test_across_awaits(watched):
    """The permission lasts while the task awaits: a block in a later turn is covered."""

    async def main():
        with loopwatch.allow("the cache is warmed once"):
            await asyncio.sleep(0.01)
            time.sleep(0.2)
            await asyncio.sleep(0.01)
            time.sleep(0.2)

    reported, stats = watched(main)

    assert list(map(describe, reported)) == []
    assert stats.allowed == 2


def test_ends_with_the_block(watched):
    """What blocks after the permission ended is reported."""

    async def main():
        with loopwatch.allow("the cache is warmed once"):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        time.sleep(0.2)

    reported, stats = watched(main)

    assert len(reported) == 1
    assert stats.allowed == 0


def test_ends_with_an_exception(watched):
    """So is what blocks after an exception ended the permission."""

    async def main():
        try:
            with loopwatch.allow("the cache is warmed once"):
                await asyncio.sleep(0)
                raise LookupError
        except LookupError:
            await asyncio.sleep(0.01)
        time.sleep(0.2)

    reported, _ = watched(main)

    assert len(reported) == 1


def test_another_task(watched):
    """While one task is allowed to block, another is not."""

    async def innocent():
        with loopwatch.allow("the cache is warmed once"):
            await asyncio.sleep(0.3)

    async def guilty():
        await asyncio.sleep(0.02)
        time.sleep(0.2)

    async def main():
        await asyncio.gather(innocent(), guilty())

    reported, stats = watched(main)

    assert len(reported) == 1
    assert "guilty" in reported[0].task
    assert stats.allowed == 0


def test_child_task(watched):
    """A task that an allowed one started is not allowed: the permission belongs to the task that entered it."""

    async def child():
        await asyncio.sleep(0.01)
        time.sleep(0.2)

    async def main():
        with loopwatch.allow("the cache is warmed once"):
            await asyncio.create_task(child())

    reported, _ = watched(main)

    assert len(reported) == 1


def test_limit_exceeded(watched):
    """A block longer than `up_to_ms` is reported."""

    async def main():
        await asyncio.sleep(0.01)
        with loopwatch.allow("a small file", up_to_ms=120):
            time.sleep(0.25)

    reported, _ = watched(main)

    assert len(reported) == 1
    assert reported[0].duration_ms >= 245


def test_limit_kept(watched):
    """A block over the threshold but within `up_to_ms` is not."""

    async def main():
        await asyncio.sleep(0.01)
        with loopwatch.allow("a small file", up_to_ms=600):
            time.sleep(0.2)

    reported, stats = watched(main)

    assert list(map(describe, reported)) == []
    assert stats.allowed == 1


def test_callback(watched):
    """A callback that no task runs can allow itself, and does not allow the next one."""

    def allowed():
        with loopwatch.allow("the cache is warmed once"):
            time.sleep(0.2)

    def blocking():
        time.sleep(0.2)

    async def main():
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, allowed)
        loop.call_later(0.25, blocking)
        await asyncio.sleep(0.6)

    reported, stats = watched(main)

    assert len(reported) == 1, list(map(describe, reported))
    assert reported[0].origin.function.endswith("blocking")
    assert stats.allowed == 1


def test_without_a_watch():
    """`allow` costs nothing and does nothing where nothing is watched, also outside any loop."""
    with loopwatch.allow("nobody looks"):
        pass

    @loopwatch.allow("nobody looks")
    def function():
        return 7

    assert function() == 7
