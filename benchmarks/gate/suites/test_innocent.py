"""Tests that block nobody: none may ever fail, however busy the machine is. A turn of theirs computes for 10 ms at most."""

import asyncio
import gc
import json
import os
import time

import pytest

ROUNDS = range(int(os.environ.get("LOOPWATCH_ROUNDS", "1")))
pytestmark = [pytest.mark.asyncio, pytest.mark.parametrize("n", ROUNDS)]


def compute(ms):
    """Burn so much CPU time of this thread."""
    until = time.thread_time() + ms / 1000
    while time.thread_time() < until:
        pass


async def test_sleep(n):
    await asyncio.sleep(0.02)


async def test_yields(n):
    for _ in range(10):
        compute(5)
        await asyncio.sleep(0)


async def test_short_turns(n):
    for _ in range(3):
        compute(10)
        await asyncio.sleep(0.001)


async def test_many_tasks(n):
    await asyncio.gather(*(asyncio.sleep(0.001 * (k % 7)) for k in range(200)))


async def test_thread(n):
    await asyncio.to_thread(time.sleep, 0.08)


async def test_thread_that_computes(n):
    """A thread beside the loop wants the GIL all the time, and gives it up every switch interval."""
    await asyncio.to_thread(compute, 80)


async def test_connections(n):
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    for _ in range(5):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await reader.read()
        writer.close()
    server.close()


async def test_child(n):
    process = await asyncio.create_subprocess_exec("sleep", "0.05")
    await process.wait()


async def test_text(n):
    for _ in range(5):
        json.loads(json.dumps(list(range(10_000))))
        await asyncio.sleep(0)


async def test_collector(n):
    """Pauses of the garbage collector are nobody's."""
    rubbish = [[] for _ in range(300_000)]
    for one in rubbish[::50]:
        one.append(rubbish)
        await asyncio.sleep(0) if len(one) > 1 else None
    del rubbish
    gc.get_count()
    await asyncio.sleep(0.001)


async def test_timers(n):
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    for k in range(50):
        loop.call_later(0.001 * k, int)
    loop.call_later(0.06, done.set)
    await done.wait()
