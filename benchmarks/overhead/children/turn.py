"""One process, one backend, one side: what a turn of the loop costs.

A turn is a `call_soon` ping that does nothing but post itself again, so the loop goes round (and polls for I/O) once
for each ping; on trio, a task that does nothing but yield. That is the shortest turn there is, and so the one on which an
observer weighs most.
"""

import argparse
import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable

BACKENDS = ("asyncio", "uvloop", "trio")
SIDES = ("one thread", "without", "loopwatch", "asyncio debug", "aiodebug")
"""Every side but the first has a second thread, as servers have: see `park_a_thread`."""
ON_TRIO = SIDES[:3]
"""The other two are asyncio's."""


def watch(side: str, loop: asyncio.AbstractEventLoop | None) -> None:
    """Switch on what the side is about; imports only what it needs."""
    if side == "loopwatch":
        import loopwatch

        loopwatch.enable()
        return
    if side != "one thread":
        park_a_thread()
    if loop is not None and side == "asyncio debug":
        loop.set_debug(True)
    elif side == "aiodebug":
        from aiodebug import log_slow_callbacks

        log_slow_callbacks.enable(0.1)


def park_a_thread() -> None:
    """The first second thread of a process makes its locks dearer (glibc then uses atomic instructions), whoever starts it.

    That alone is +0.08 us on a turn of uvloop, which takes and gives up the GIL each time. loopwatch's threads are not to
    be blamed for it where a thread pool runs anyway, so the other sides get a thread that does nothing.
    """
    never = threading.Lock()
    never.acquire()
    threading.Thread(target=never.acquire, daemon=True).start()


def new_loop(backend: str) -> asyncio.AbstractEventLoop:
    if backend == "uvloop":
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


Batch = Callable[[int], Awaitable[tuple[float, float]]]


async def batch(turns: int) -> tuple[float, float]:
    """Wall and thread CPU nanoseconds per turn, over that many turns."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    left = turns

    def ping() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(ping)
        else:
            done.set_result(None)

    wall_ns, cpu_ns = time.perf_counter_ns(), time.thread_time_ns()
    loop.call_soon(ping)
    await done
    return (time.perf_counter_ns() - wall_ns) / turns, (time.thread_time_ns() - cpu_ns) / turns


async def trio_batch(turns: int) -> tuple[float, float]:
    """The same on trio."""
    from trio.lowlevel import cancel_shielded_checkpoint

    wall_ns, cpu_ns = time.perf_counter_ns(), time.thread_time_ns()
    for _ in range(turns):
        await cancel_shielded_checkpoint()
    return (time.perf_counter_ns() - wall_ns) / turns, (time.thread_time_ns() - cpu_ns) / turns


async def measure(one: Batch, turns: int, batches: int) -> dict[str, list[float]]:
    """The first batch warms up (specialising interpreter, caches, the watchdog's start) and is dropped."""
    await one(turns)
    figures = [await one(turns) for _ in range(batches)]
    return {"wall_ns": [wall for wall, _ in figures], "cpu_ns": [cpu for _, cpu in figures]}


def run(backend: str, side: str, turns: int, batches: int) -> dict[str, list[float]]:
    if backend == "trio":
        import trio

        watch(side, None)
        return trio.run(measure, trio_batch, turns, batches)
    loop = new_loop(backend)
    watch(side, loop)
    try:
        return loop.run_until_complete(measure(batch, turns, batches))
    finally:
        loop.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=BACKENDS, required=True)
    parser.add_argument("--side", choices=SIDES, required=True)
    parser.add_argument("--turns", type=int, required=True, help="turns in a batch")
    parser.add_argument("--batches", type=int, required=True)
    chosen = parser.parse_args()

    print(json.dumps(run(chosen.backend, chosen.side, chosen.turns, chosen.batches)))


if __name__ == "__main__":
    main()
