"""anyio's default limiter: how many have a token, how many wait, and where the worker threads stand."""

import asyncio
import math
from collections import OrderedDict
from types import SimpleNamespace

import anyio
import anyio.lowlevel
import pytest
from anyio._backends import _asyncio as backend

from loopwatch.heartbeats.base import describe
from loopwatch.probes.pools.anyio import anyio_pool

from .conftest import settled


@pytest.fixture(params=["asyncio", "uvloop"])
def runner(request):
    """Runs a coroutine on either loop."""
    factory = None if request.param == "asyncio" else pytest.importorskip("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        yield runner


def test_unused(probe):
    """A loop that has used no thread has no limiter to tell of."""

    async def main():
        loop = asyncio.get_running_loop()
        return list(anyio_pool(loop, describe(loop)))

    assert asyncio.run(main()) == []


def test_full(runner, probe, gate):
    """All tokens are out and the others wait; the threads stand where they are held, and idle ones are left out."""

    async def main():
        anyio.to_thread.current_default_thread_limiter().total_tokens = 3
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(anyio.to_thread.run_sync, gate.held)
            pool = await settled(probe, "anyio", lambda pool: pool.waiting == 2 and len(pool.workers) == 3)
            await gate.holds(3)
            _, stacks = probe.stacks(pool.workers)
            waited = pool.newest.still_waits()
            gate.open()
        after = await settled(probe, "anyio", lambda pool: pool.borrowed == 0)
        return pool, stacks, waited, after, probe.stacks(after.workers)[1]

    pool, stacks, waited, after, idle = runner.run(main())

    assert (pool.borrowed, pool.total, pool.waiting) == (3, 3, 2)
    assert [stack.points[-1][0].co_qualname for stack in stacks] == ["Gate.held"] * 3
    assert waited
    assert not pool.newest.still_waits()
    assert (after.waiting, after.newest, idle) == (0, None, ())


def test_no_limit(probe):
    """A limiter without a limit is told as such."""

    async def main():
        anyio.to_thread.current_default_thread_limiter().total_tokens = math.inf
        await anyio.to_thread.run_sync(int)
        return await settled(probe, "anyio", lambda pool: True)

    assert asyncio.run(main()).total is None


def test_by_name(monkeypatch):
    """anyio before 4.9 keeps its variables by name."""
    loop = asyncio.new_event_loop()
    limiter = SimpleNamespace(_borrowers={1}, _total_tokens=1, _wait_queue=OrderedDict())
    monkeypatch.setattr(anyio.lowlevel, "_run_vars", {loop: {"_default_thread_limiter": limiter}})

    (pool,) = anyio_pool(loop, describe(loop))
    loop.close()

    assert (pool.borrowed, pool.total, pool.workers) == (1, 1, ())


def test_another_version(probe, gate, monkeypatch):
    """Where a private name is missing the limiter is left out, and nothing fails."""

    async def main():
        await anyio.to_thread.run_sync(int)
        monkeypatch.delattr(backend, "_default_thread_limiter")
        loop = asyncio.get_running_loop()
        return [pool for pool in probe.read([(loop, describe(loop))]) if pool.kind == "anyio"]

    assert asyncio.run(main()) == []
