"""`disable()` leaves the process as it found it, whatever runs at that moment and however often."""

import asyncio
import gc
import threading
import weakref
from typing import Any

import pytest

import loopwatch

from .apps import loops
from .processes import until
from .watching import blamed, blocks, installed, left_as_found

pytestmark = pytest.mark.usefixtures("switched_off", "warm")


class Sink:
    """A callable that can be referred to weakly."""

    def __call__(self, stall: loopwatch.Stall) -> None: ...


@pytest.fixture
def warm(backend: str) -> None:
    """What the first use of a loop, and of loopwatch, imports and opens for good is there before the test looks."""
    with loopwatch.watching(threshold_ms=100, sinks=[]):
        loops.run(backend, asyncio.sleep(0))


async def one_block() -> None:
    loops.block()
    await asyncio.sleep(0.01)


def test_after_loops_have_ended(backend: str) -> None:
    """After loops were watched and blocked, `disable()` takes all hooks, threads and files away."""
    with left_as_found():
        loopwatch.enable(threshold_ms=100, sinks=[])
        loops.run(backend, one_block())
        loopwatch.disable()


def test_before_any_loop(backend: str) -> None:
    """`enable()` and `disable()` without a loop leave nothing."""
    with left_as_found():
        loopwatch.enable(threshold_ms=100, sinks=[])
        loopwatch.disable()


def test_inside_a_running_loop(backend: str) -> None:
    """`disable()` on the loop itself gives its selector and classes back at once, and no later block is told."""

    async def main() -> loopwatch.Watch:
        before = installed()
        watch = loopwatch.enable(threshold_ms=100, sinks=[])
        await one_block()
        loopwatch.disable()
        await until_as(before)
        assert "select" not in vars(getattr(asyncio.get_running_loop(), "_selector", Sink()))
        await one_block()
        return watch

    watch = loops.run(backend, main())

    assert len(blamed(watch.stalls)) == 1


async def until_as(before: dict[str, object]) -> None:
    for _ in range(500):
        if installed() == before:
            return
        await asyncio.sleep(0.02)
    assert installed() == before


def test_from_another_thread(backend: str) -> None:
    """`disable()` while a loop of another thread runs leaves that loop as it was, and running."""
    facts: dict[str, Any] = {}
    started = threading.Event()

    async def main() -> None:
        facts.update(loop=asyncio.get_running_loop(), stop=asyncio.Event())
        asyncio.get_running_loop().call_soon(started.set)
        await facts["stop"].wait()

    thread = loops.start_in_thread(backend, main)
    try:
        assert started.wait(30)
        with left_as_found():
            loopwatch.enable(threshold_ms=100, sinks=[])
            turned_over(facts["loop"])
            loopwatch.disable()
        turned_over(facts["loop"])
        assert "select" not in vars(getattr(facts["loop"], "_selector", Sink()))
    finally:
        facts["loop"].call_soon_threadsafe(facts["stop"].set)
        thread.join(30)


def turned_over(loop: asyncio.AbstractEventLoop) -> None:
    """Waits until the loop has run a callback."""
    ran = threading.Event()
    loop.call_soon_threadsafe(ran.set)
    assert ran.wait(30)


def test_in_the_middle_of_a_stall(backend: str) -> None:
    """`disable()` while another thread's loop is stuck returns, and what was installed there goes with the stall."""
    stuck, go = threading.Event(), threading.Event()

    async def main() -> None:
        await asyncio.sleep(0.01)
        stuck.set()
        go.wait(30)
        await asyncio.sleep(0.01)

    with left_as_found():
        loopwatch.enable(threshold_ms=100, sinks=[])
        thread = loops.start_in_thread(backend, main)
        assert stuck.wait(30)
        loopwatch.disable()
        go.set()
        thread.join(30)
        assert not thread.is_alive()


def test_fifty_times(backend: str) -> None:
    """Enabling and disabling fifty times leaves no thread, hook, file or reference behind."""
    sinks: list[weakref.ref[Sink]] = []

    def once() -> None:
        sink = Sink()
        sinks.append(weakref.ref(sink))
        loopwatch.enable(threshold_ms=100, sinks=[sink])
        loops.run(backend, asyncio.sleep(0.001))
        loopwatch.disable()

    with left_as_found():
        for _ in range(50):
            once()

    until(lambda: gc.collect() >= 0 and not any(ref() for ref in sinks), 10, "end of references to the sinks")


def test_fifty_times_within_one_loop(backend: str) -> None:
    """A loop that enables and disables loopwatch fifty times as it runs is watched each time anew, and still the last."""

    async def main() -> loopwatch.Watch:
        for _ in range(50):
            loopwatch.enable(threshold_ms=100, sinks=[])
            await asyncio.sleep(0.001)
            loopwatch.disable()
        watch = loopwatch.enable(threshold_ms=100, sinks=[])
        await one_block()
        return watch

    with left_as_found():
        assert len(blocks(loops.run(backend, main()))) == 1
        loopwatch.disable()


def test_one_watch_of_two(backend: str) -> None:
    """Closing one of two watches leaves the other one watching the loop that runs."""

    async def main() -> tuple[loopwatch.Watch, loopwatch.Watch]:
        with loopwatch.watching(threshold_ms=100, sinks=[]) as outer:
            with loopwatch.watching(threshold_ms=150, sinks=[]) as inner:
                await one_block()
            await one_block()
            await asyncio.to_thread(outer.flush, 10)
        return outer, inner

    with left_as_found():
        outer, inner = loops.run(backend, main())

    assert (len(blamed(outer.stalls)), len(blamed(inner.stalls))) == (2, 1)
