"""Every stall is seen, once, for as long as it lasted; what is no stall is not."""

import asyncio
import threading
import time

import pytest

from loopwatch.records import Cause
from loopwatch.testing import capture_stalls

from .sensing import Blocker, assert_duration, burn, describe, only, ours, run, stall_of


def blocking_every(pause_s, blocker, times):
    """A coroutine function that blocks so many times, each time in a turn of its own."""

    async def main():
        for _ in range(times):
            await asyncio.sleep(pause_s)
            blocker()
        await asyncio.sleep(pause_s)

    return main


def test_each_stall_once(backend):
    """Each block is one stall, with an id of its own and in the order in which they happened."""
    blocker = Blocker()
    with capture_stalls(threshold_ms=100) as stalls:
        run(blocking_every(0.02, blocker, 5), backend)

    found = ours(stalls)

    assert len(found) == 5, list(map(describe, found))
    assert len({stall.id for stall in found}) == 5
    assert [stall.started_at for stall in found] == sorted(stall.started_at for stall in found)
    assert {stall.state for stall in found} == {"ended"}


def test_duration(backend):
    """A stall lasts as long as the block did by its own clock."""
    blocker = Blocker()
    with capture_stalls(threshold_ms=100) as stalls:
        run(blocking_every(0.03, blocker, 5), backend)

    for stall, took_ms in zip(ours(stalls), blocker.took_ms, strict=True):
        assert_duration(stall, took_ms)


def test_record_of_the_loop(backend):
    """A stall says on which loop and thread it was, and when it began."""
    began = time.time()
    thread = threading.Thread(target=run, args=(blocking_every(0, Blocker(), 1), backend), name="the loop's thread")
    with capture_stalls(threshold_ms=100) as stalls:
        thread.start()
        thread.join()

    stall = only(stalls)

    assert stall.loop.backend == backend
    assert stall.loop.thread == "the loop's thread"
    assert stall.loop.native_id == thread.native_id
    assert stall.threshold_ms == 100
    assert began - 0.01 <= stall.started_at.timestamp() <= began + 1
    assert stall.started_at.utcoffset() is not None


def test_barely_over_the_threshold(backend):
    """A block that begins and ends between two looks of the watchdog is reported all the same."""
    blocker = Blocker(lambda: time.sleep(0.106))
    with capture_stalls(threshold_ms=100) as stalls:
        run(blocking_every(0.03, blocker, 10), backend)

    found = ours(stalls)

    assert len(found) == 10, list(map(describe, found))
    for stall, took_ms in zip(found, blocker.took_ms, strict=True):
        assert_duration(stall, took_ms)


def test_below_the_threshold(backend):
    """A block clearly below the threshold is no stall."""
    with capture_stalls(threshold_ms=150) as stalls:
        run(blocking_every(0.01, Blocker(lambda: time.sleep(0.08)), 8), backend)

    assert list(map(describe, ours(stalls))) == []


def test_first_act(backend):
    """A block in the first step of the first task is seen: the loop had never polled before."""
    blocker = Blocker()

    async def main():
        blocker()
        await asyncio.sleep(0.01)

    with capture_stalls(threshold_ms=100) as stalls:
        run(main, backend)

    stall = only(stalls)
    assert_duration(stall, blocker.took_ms[0])


def test_last_act(backend):
    """A block after which the loop stops is seen: no further poll ends that turn."""
    blocker = Blocker()

    async def main():
        await asyncio.sleep(0.05)
        blocker()

    with capture_stalls(threshold_ms=100) as stalls:
        run(main, backend)

    stall = only(stalls)
    assert_duration(stall, blocker.took_ms[0])


def test_only_act(backend):
    """A coroutine that does nothing but block is seen, first and last act in one."""
    blocker = Blocker()

    async def main():
        blocker()

    with capture_stalls(threshold_ms=100) as stalls:
        run(main, backend)

    stall = only(stalls)
    assert_duration(stall, blocker.took_ms[0])


def test_block_that_raises(backend):
    """A block that ends with an exception is seen like any other."""

    async def main():
        time.sleep(0.2)
        raise LookupError

    with capture_stalls(threshold_ms=100) as stalls, pytest.raises(LookupError):
        run(main, backend)

    assert len(ours(stalls)) == 1


def test_raw_c_callback(backend):
    """`call_soon(time.sleep, 0.2)` has no frame of its own and is a stall, blamed on no line of the user's."""

    async def main():
        asyncio.get_running_loop().call_soon(time.sleep, 0.2)
        await asyncio.sleep(0.02)

    with capture_stalls(threshold_ms=100) as stalls:
        run(main, backend)

    stall = only(stalls)
    assert_duration(stall, 200)
    assert stall.cause in (Cause.SLEEP, Cause.UNKNOWN), describe(stall)
    assert stall.origin is None or stall.origin.file != __file__, describe(stall)


def test_running_loop_is_found(backend):
    """A loop that ran before the watch began is watched, and its block is seen."""
    blocker, running = Blocker(), threading.Event()
    loop, stop = None, None

    async def main():
        nonlocal loop, stop
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        running.set()
        await stop.wait()

    thread = threading.Thread(target=run, args=(main, backend))
    thread.start()
    assert running.wait(10)
    time.sleep(0.05)
    with capture_stalls(threshold_ms=100) as stalls:
        loop.call_soon_threadsafe(blocker)
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)

    stall = only(stalls)
    assert_duration(stall, blocker.took_ms[0], over_ms=60)
    assert stall.loop.backend == backend


def test_two_loops_at_once():
    """Loops in two threads are told apart: each stall names its own."""
    backends = ["asyncio", "asyncio"]
    threads = [
        threading.Thread(target=run, args=(blocking_every(0.01, Blocker(), 1), backend), name=f"loop {number}")
        for number, backend in enumerate(backends)
    ]
    with capture_stalls(threshold_ms=100) as stalls:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(stall.loop.thread for stall in ours(stalls)) == ["loop 0", "loop 1"]


def test_many_short_turns_are_no_stall(backend):
    """A thousand callbacks of half a millisecond that each yield are a thousand turns, none of them a stall."""

    async def main():
        for _ in range(1000):
            burn(0.0005)
            await asyncio.sleep(0)

    with capture_stalls(threshold_ms=100) as stalls:
        run(main, backend)

    assert list(map(describe, ours(stalls))) == []


def test_many_tasks_in_one_turn(backend):
    """Three hundred tasks of a millisecond, ready at once, are one stall, and no single line is said to be its cause."""
    moments = []

    async def work():
        moments.append(time.monotonic())
        burn(0.001)
        moments.append(time.monotonic())

    async def main():
        await asyncio.sleep(0.02)
        moments.clear()
        await asyncio.gather(*(work() for _ in range(300)))

    stall = stall_of(main, backend)

    assert_duration(stall, (moments[-1] - moments[0]) * 1000)
    assert stall.cause in (Cause.OVERLOAD, Cause.UNKNOWN), describe(stall)
    assert stall.origin is None or not stall.origin.exact, describe(stall)
