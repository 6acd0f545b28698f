"""Thread pools of the standard library, as far as loops wait for them."""

import asyncio
import queue
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from .conftest import settled


def test_default_executor(probe, gate):
    """asyncio's own: busy threads, all there may be, and what waits; the stack is that of the work."""

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(2, thread_name_prefix="mine"))
        work = [loop.run_in_executor(None, gate.held) for _ in range(5)]
        pool = await settled(probe, "executor", lambda pool: pool.waiting == 3)
        assert gate.entered.acquire(timeout=20)
        assert gate.entered.acquire(timeout=20)
        _, stacks = probe.stacks(pool.workers)
        waited = pool.newest.still_waits()
        gate.open()
        await asyncio.gather(*work)
        return pool, stacks, waited, await settled(probe, "executor", lambda pool: pool.borrowed == 0)

    pool, stacks, waited, after = asyncio.run(main())

    assert (pool.name, pool.borrowed, pool.total, pool.loop.backend) == ("mine", 2, 2, "asyncio")
    assert [stack.points[-1][0].co_qualname for stack in stacks] == ["Gate.held"] * 2
    assert waited
    assert not pool.newest.still_waits()
    assert (after.waiting, after.workers) == (0, ())


def test_uvloops_own(probe, gate):
    """uvloop hides its default executor in C: it is known once work is seen waiting there."""
    uvloop = pytest.importorskip("uvloop")

    async def main():
        work = [asyncio.get_running_loop().run_in_executor(None, gate.held) for _ in range(80)]
        pool = await settled(probe, "executor", lambda pool: pool.waiting > 0)
        gate.open()
        await asyncio.gather(*work)
        return pool, await settled(probe, "executor", lambda pool: pool.waiting == 0)

    pool, after = uvloop.run(main())

    assert pool.borrowed == pool.total
    assert pool.loop is None
    assert after.key == pool.key


def test_work_of_threads(probe, gate):
    """An executor that only threads wait for is left alone, however much waits in it."""

    async def main():
        with ThreadPoolExecutor(1, thread_name_prefix="batch") as batch:
            mine = [batch.submit(gate.held) for _ in range(9)]
            theirs = [asyncio.get_running_loop().run_in_executor(None, gate.held) for _ in range(2)]
            names = {(await settled(probe, "executor", lambda pool: pool.borrowed == 2)).name}
            gate.open()
            await asyncio.gather(*theirs)
        assert all(one.done() for one in mine)
        return names

    assert asyncio.run(main()) == {"asyncio"}


def test_a_gone_executor(probe, gate):
    """An executor is not kept alive."""

    async def main():
        other = ThreadPoolExecutor(1, thread_name_prefix="other")
        work = [asyncio.get_running_loop().run_in_executor(other, gate.held) for _ in range(3)]
        pool = await settled(probe, "executor", lambda pool: pool.name == "other")
        gate.open()
        await asyncio.gather(*work)
        other.shutdown()
        return pool, sys.getrefcount(other)

    pool, references = asyncio.run(main())

    assert pool.waiting >= 1
    assert references == 2  # the local, and the argument


def test_another_queue(probe, gate):
    """An executor whose queue is somebody else's, which may have locks, is left out."""

    class Ordered(ThreadPoolExecutor):
        def __init__(self):
            super().__init__(1, thread_name_prefix="ordered")
            self._work_queue = queue.Queue()

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(Ordered())
        work = [loop.run_in_executor(None, gate.held) for _ in range(3)]
        found = probe.read([(loop, None)])
        gate.open()
        await asyncio.gather(*work)
        return found

    assert asyncio.run(main()) == []
