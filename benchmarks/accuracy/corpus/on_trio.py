"""Scenes of trio's own: what asyncio's scenes show there, in trio's words. trio is imported when they run."""

import time
from functools import partial
from typing import Any

from benchmarks.accuracy.case import Run, case, now

LASTS_S = 2.0
MANY = 250
SMALL_NS = 1_000_000

on_trio = partial(case, backends=("trio",), modules=("trio",))


@on_trio("sleep", small=True)
async def in_the_coroutine(run: Run) -> None:
    """The blocking line stands in an async function, with honest awaits around it."""
    import trio

    await trio.sleep(0.005)
    began = run.begin()
    time.sleep(run.seconds)  # BLOCK
    run.end(began, now())
    await trio.sleep(0.005)


def _work(run: Run, entered: list[int], small_ns: int) -> None:
    if not entered:
        run.begin()
    entered.append(now())
    until = now() + small_ns
    while now() < until:  # BLOCK
        pass  # BLOCK


async def _woken_together(run: Run, many: int, small_ns: int) -> None:
    import trio

    entered: list[int] = []
    ended: list[int] = []
    event = trio.Event()

    async def wait_and_work() -> None:
        await event.wait()
        _work(run, entered, small_ns)
        ended.append(now())

    async with trio.open_nursery() as nursery:
        for number in range(many):
            nursery.start_soon(wait_and_work)
            if number % 100 == 0:  # to start thousands at once would be a stall of its own
                await trio.sleep(0.001)
        await trio.sleep(0.05)
        event.set()
    run.end(entered[0], ended[-1])


@on_trio("overload", blameless=True, via=(_work,), small=True)
async def tasks_woken_together(run: Run) -> None:
    """A thundering herd: one event wakes them all."""
    await _woken_together(run, MANY, SMALL_NS)


@on_trio("overload", blameless=True, via=(_work,))
async def very_small_tasks(run: Run) -> None:
    await _woken_together(run, 10 * MANY, SMALL_NS // 10)


@on_trio(expect="silence", small=True)
async def half_milliseconds_that_yield(run: Run) -> None:
    """2,000 steps of half a millisecond: a second of work in one task, but the loop polls after each."""
    import trio

    for _ in range(2_000):
        _spin(0.5)
        await trio.lowlevel.checkpoint()


@on_trio(expect="silence")
async def requests_and_timers(run: Run) -> None:
    """Thirty clients, each of which computes a little and awaits a little."""
    import trio

    async def client(number: int) -> None:
        until = time.monotonic() + LASTS_S
        while time.monotonic() < until:
            _spin(0.3)
            await trio.sleep(0.01 + number / 1000)

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(client, number)


@on_trio(expect="silence")
async def idle(run: Run) -> None:
    import trio

    await trio.sleep(LASTS_S)


@on_trio(expect="silence")
async def blocking_in_threads(run: Run) -> None:
    """What one should do."""
    import trio

    for _ in range(5):
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(trio.to_thread.run_sync, time.sleep, 0.3)


@on_trio(expect="silence")
async def python_in_a_thread(run: Run) -> None:
    """One other thread of pure Python: the loop waits a switch interval now and then."""
    import trio

    until = time.monotonic() + LASTS_S

    def count() -> Any:
        rounds = 0
        while time.monotonic() < until:
            rounds += 1
        return rounds

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, count)
        while time.monotonic() < until:
            _spin(1)
            await trio.sleep(0.005)


def _spin(milliseconds: float) -> None:
    until = now() + int(milliseconds * 1e6)
    while now() < until:
        pass
