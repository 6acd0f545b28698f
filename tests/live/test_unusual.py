"""What is rare in a service and must still come out right: depth, crowds, stalls without end, sinks that misbehave."""

import asyncio
import logging
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import loopwatch

from .apps import loops
from .watching import blocks, describe


async def one_block() -> None:
    await asyncio.sleep(0.01)
    loops.block()
    await asyncio.sleep(0.01)


def test_deep_recursion(backend: str) -> None:
    """A block beneath two thousand calls names its line, and keeps no more of the stack than `max_frames`."""

    def descend(levels: int) -> None:
        if levels:
            return descend(levels - 1)
        return loops.block()

    async def main() -> None:
        await asyncio.sleep(0.01)
        descend(2000)
        await asyncio.sleep(0.01)

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(4000)
    try:
        with loopwatch.watching(threshold_ms=100, sinks=[], max_frames=50) as watch:
            loops.run(backend, main())
            (stall,) = blocks(watch)
    finally:
        sys.setrecursionlimit(limit)

    assert 2 < len(stall.stack) <= 50
    assert any(frame.function.endswith("main") for frame in stall.stack)


@pytest.fixture
def crowd() -> Iterator[None]:
    """Five hundred threads that wait."""
    ended = threading.Event()
    size = threading.stack_size(256 * 1024)
    threads = [threading.Thread(target=ended.wait) for _ in range(500)]
    threading.stack_size(size)
    for thread in threads:
        thread.start()
    yield
    ended.set()
    for thread in threads:
        thread.join(30)


@pytest.mark.usefixtures("crowd")
def test_five_hundred_threads(backend: str) -> None:
    """A process with 500 threads has its blocks told once, with cause and line."""
    with loopwatch.watching(threshold_ms=100, sinks=[]) as watch:
        loops.run(backend, one_block())
        (stall,) = blocks(watch)

    assert stall.cause == "sleep"


def test_stall_without_end(backend: str) -> None:
    """A stall that does not end is announced while it lasts, at doubling intervals, and told once more when it ends."""
    records: queue.Queue[loopwatch.Stall] = queue.Queue()
    release = threading.Event()

    async def main() -> None:
        await asyncio.sleep(0.01)
        release.wait(60)
        await asyncio.sleep(0.01)

    with loopwatch.watching(threshold_ms=100, ongoing_ms=200, sinks=[records.put]) as watch:
        thread = loops.start_in_thread(backend, main)
        first, second = records.get(timeout=30), records.get(timeout=30)
        release.set()
        thread.join(30)
        assert watch.flush(timeout=10)
    told = [first, second, *drained(records)]

    assert len({stall.id for stall in told}) == 1, [describe(stall) for stall in told]
    assert [stall.state for stall in told[-2:]] == ["ongoing", "ended"]
    assert all(stall.ongoing for stall in told[:-1])
    assert all(stall.duration_ms >= 200 * 2**number for number, stall in enumerate(told[:-1]))
    assert told[-1].duration_ms >= told[-2].duration_ms
    assert {(stall.cause, stall.origin and stall.origin.file) for stall in told} == {("lock", __file__)}
    assert [stall.id for stall in watch.stalls] == [first.id]


def drained(records: "queue.Queue[loopwatch.Stall]") -> list[loopwatch.Stall]:
    return [records.get_nowait() for _ in range(records.qsize())]


def test_debug_mode(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    """A loop in debug mode, where asyncio looks for slow callbacks itself, is watched like any other."""
    with caplog.at_level(logging.ERROR, "asyncio"), loopwatch.watching(threshold_ms=100, sinks=[]) as watch:
        loops.run(backend, one_block(), debug=True)

        assert len(blocks(watch)) == 1


def test_totals_begin_with_the_watch(backend: str) -> None:
    """What was lost and spent before a watch began is not in its totals, though another watch was there before."""
    with loopwatch.watching(threshold_ms=100, sinks=[]) as first:
        loops.run(backend, one_block())
        assert first.flush(timeout=10)
        with loopwatch.watching(threshold_ms=100, sinks=[]) as second:
            early, late = first.stats(), second.stats()

    assert (early.stalls, late.stalls) == (1, 0)
    assert early.observed_s > late.observed_s == 0
    assert early.samples > late.samples == 0
    assert late.lag_max_ms == 0


def test_custom_exception_handler_and_task_factory(backend: str) -> None:
    """A loop with a task factory of its own is watched, and its exception handler hears nothing from loopwatch."""
    heard: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: heard.append(context))
        loop.set_task_factory(lambda loop, coroutine, **options: asyncio.Task(coroutine, loop=loop, **options))
        await asyncio.ensure_future(one_block())

    with loopwatch.watching(threshold_ms=100, sinks=[]) as watch:
        loops.run(backend, main())
        assert len(blocks(watch)) == 1

    assert heard == []


# ── sinks ───────────────────────────────────────────────────────────────────────────────────────────────────────


def block_times(count: int, seconds: float = loops.BLOCK_S) -> Callable[[], Any]:
    async def main() -> None:
        for _ in range(count):
            loops.block(seconds)
            await asyncio.sleep(0.01)

    return main


def test_slow_sink() -> None:
    """While one sink takes its time over the first stall, the others get that one and the next."""
    quick: queue.Queue[loopwatch.Stall] = queue.Queue()
    slow: list[str] = []
    release = threading.Event()

    def take_time(stall: loopwatch.Stall) -> None:
        release.wait(30)
        slow.append(stall.id)

    with loopwatch.watching(threshold_ms=100, sinks=[take_time, quick.put]) as watch:
        loops.run("asyncio", block_times(2)())
        got = [quick.get(timeout=10).id, quick.get(timeout=10).id]
        assert slow == []
        release.set()
        assert watch.flush(timeout=10)

    assert slow == got


def test_raising_sink(caplog: pytest.LogCaptureFixture) -> None:
    """A sink that keeps raising is switched off, which is said once, and the others get every stall."""
    calls: list[str] = []
    good: list[str] = []

    def broken_sink(stall: loopwatch.Stall) -> None:
        calls.append(stall.id)
        raise RuntimeError("no connection")

    with loopwatch.watching(threshold_ms=20, sinks=[broken_sink, lambda stall: good.append(stall.id)]) as watch:
        loops.run("asyncio", block_times(8, 0.05)())
        assert watch.flush(timeout=10)

    said = [record.getMessage() for record in caplog.records if "broken_sink" in record.getMessage()]
    assert calls == good[: len(calls)]
    assert 1 <= len(calls) < 8
    assert len(good) >= 8
    assert len(said) == 1
    assert "no connection" in said[0]


def test_full_queue() -> None:
    """What a stuck sink cannot take is dropped and counted: delivered and dropped add up to all stalls that were judged."""
    delivered: list[str] = []
    release = threading.Event()

    def stuck(stall: loopwatch.Stall) -> None:
        release.wait(60)
        delivered.append(stall.id)

    async def stall_on(watch: loopwatch.Watch) -> None:
        while watch.outlets[0].queue.dropped < 5:
            for _ in range(100):
                loops.spin(0.002)
                # A real wait: a thread that gives up the GIL for an instant only keeps the others out.
                await asyncio.sleep(0.0005)

    with loopwatch.watching(threshold_ms=1, sinks=[stuck], keep=20) as watch:
        loops.run("asyncio", asyncio.wait_for(stall_on(watch), 60))
        release.set()
        assert watch.flush(timeout=30)
        stats, dropped = watch.stats(), watch.outlets[0].queue.dropped

    assert stats.dropped >= dropped >= 5
    assert len(delivered) + dropped == stats.stalls
    assert len(watch.stalls) == 20


def test_every_stall_of_many_reaches_a_sink(backend: str) -> None:
    """A callable gets each of thirty equal stalls: rates are limited where people read, not here."""
    ids: list[str] = []

    async def main() -> None:
        for _ in range(30):
            loops.block(0.08)
            await asyncio.sleep(0.002)

    with loopwatch.watching(threshold_ms=20, sinks=[lambda stall: ids.append(stall.id)]) as watch:
        loops.run(backend, main())
        assert watch.flush(timeout=10)

    assert ids == [stall.id for stall in watch.stalls]
    assert len(set(ids)) == len(ids) >= 30
