"""What an honest service does: no stall is to be reported. With processor hogs beside it, none is to be blamed on code."""

import asyncio
import hashlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.accuracy.case import Run, case, now

LASTS_S = 2.0


def _spin(milliseconds: float) -> None:
    until = now() + int(milliseconds * 1e6)
    while now() < until:
        pass


@case(expect="silence", small=True)
async def requests_and_timers(run: Run) -> None:
    """Thirty clients, each of which computes a little and awaits a little."""

    async def client(number: int) -> None:
        until = time.monotonic() + LASTS_S
        while time.monotonic() < until:
            _spin(0.3)
            await asyncio.sleep(0.01 + number / 1000)

    await asyncio.gather(*(client(number) for number in range(30)))


@case(expect="silence")
async def idle(run: Run) -> None:
    await asyncio.sleep(LASTS_S)


@case(expect="silence", small=True)
async def half_milliseconds_that_yield(run: Run) -> None:
    """2,000 callbacks of half a millisecond: a second of work in one chain, but the loop polls after each."""
    for _ in range(2_000):
        _spin(0.5)
        await asyncio.sleep(0)


@case(expect="silence")
async def turns_of_60_ms(run: Run) -> None:
    """Rude, and still under the threshold."""
    for _ in range(15):
        _spin(60)
        await asyncio.sleep(0.02)


@case(expect="silence")
async def sleeps_of_60_ms(run: Run) -> None:
    for _ in range(15):
        time.sleep(0.06)
        await asyncio.sleep(0.001)


@case(expect="silence")
async def blocking_in_threads(run: Run) -> None:
    """What one should do."""
    for _ in range(5):
        await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.3) for _ in range(4)))


@case(expect="silence")
async def hashing_in_threads(run: Run) -> None:
    """Both cores are busy, with the GIL released."""
    loop, until = asyncio.get_running_loop(), time.monotonic() + LASTS_S

    async def hash_on() -> None:
        while time.monotonic() < until:
            await loop.run_in_executor(pool, hashlib.pbkdf2_hmac, "sha256", b"password", b"salt", 300_000)

    with ThreadPoolExecutor(2) as pool:
        await asyncio.gather(hash_on(), hash_on(), _tick(until))


@case(expect="silence")
async def python_in_a_thread(run: Run) -> None:
    """One other thread of pure Python: the loop waits a switch interval now and then."""
    until = time.monotonic() + LASTS_S

    def count() -> int:
        rounds = 0
        while time.monotonic() < until:
            rounds += 1
        return rounds

    await asyncio.gather(asyncio.to_thread(count), _tick(until))


async def _tick(until: float) -> None:
    while time.monotonic() < until:
        _spin(1)
        await asyncio.sleep(0.005)


@case(expect="silence")
async def echoes(run: Run) -> None:
    """As many round trips over a socket as it can do."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    echo_reader, echo_writer = await asyncio.open_connection(sock=theirs)
    echoing = asyncio.create_task(_echo(echo_reader, echo_writer))
    until = time.monotonic() + LASTS_S
    while time.monotonic() < until:
        writer.write(b"ping\n")
        await reader.readline()
    writer.close()
    await echoing


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
    writer.close()


@case(expect="silence")
async def many_tasks(run: Run) -> None:
    """Thousands of tasks that sleep, a few of them awake at a time."""

    async def rest(number: int) -> None:
        await asyncio.sleep(0.2 + number / 5_000)

    for first in range(0, 6_000, 200):
        tasks = [asyncio.create_task(rest(number)) for number in range(first, first + 200)]
        await asyncio.sleep(0.01)
    await asyncio.gather(*tasks)


@case(expect="silence")
async def children_awaited(run: Run) -> None:
    async def child() -> Any:
        process = await asyncio.create_subprocess_exec("sleep", "0.3")
        return await process.wait()

    for _ in range(4):
        await asyncio.gather(child(), child())
