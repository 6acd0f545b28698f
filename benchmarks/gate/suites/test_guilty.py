"""Tests that hold the loop for 100 ms of their own: none may ever pass."""

import asyncio
import json
import os
import queue
import re
import sqlite3
import subprocess
import threading
import time

import pytest

ROUNDS = range(int(os.environ.get("LOOPWATCH_ROUNDS", "1")))
pytestmark = [pytest.mark.asyncio, pytest.mark.parametrize("n", ROUNDS)]


def burn(step):
    """Repeat `step` until this thread has computed for 100 ms."""
    until = time.thread_time() + 0.1
    while time.thread_time() < until:
        step()


async def test_sleep(n):
    time.sleep(0.1)


async def test_sleep_in_a_turn_of_its_own(n):
    await asyncio.sleep(0.01)
    time.sleep(0.1)
    await asyncio.sleep(0.01)


async def test_python(n):
    burn(lambda: sum(k * k for k in range(1000)))


async def test_json(n):
    data = list(range(20_000))
    burn(lambda: json.dumps(data))


async def test_regex(n):
    burn(lambda: re.match(r"(a|aa)+b", "a" * 18))


async def test_lock(n):
    lock = threading.Lock()
    lock.acquire()
    threading.Timer(0.1, lock.release).start()
    lock.acquire()


async def test_queue(n):
    with pytest.raises(queue.Empty):
        queue.Queue().get(timeout=0.1)


async def test_process(n):
    subprocess.run(["sleep", "0.1"])


async def test_database(n):
    database = sqlite3.connect(":memory:")
    burn(
        lambda: database.execute(
            "with recursive c(x) as (select 1 union all select x+1 from c limit 20000) select sum(x) from c"
        )
    )


async def test_pipe(n):
    here, there = os.pipe()
    threading.Timer(0.1, os.write, (there, b"x")).start()
    os.read(here, 1)
    os.close(here)
    os.close(there)


async def test_callback(n):
    asyncio.get_running_loop().call_soon(time.sleep, 0.1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_overload(n):
    async def short():
        until = time.thread_time() + 0.002
        while time.thread_time() < until:
            pass

    await asyncio.gather(*(short() for _ in range(50)))


@pytest.fixture
def slow_fixture(n):
    async def main():
        time.sleep(0.1)

    asyncio.run(main())


async def test_fixture(slow_fixture, n):
    await asyncio.sleep(0)
