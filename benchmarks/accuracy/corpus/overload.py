"""Many callbacks in one turn, none of them long by itself. No single line is to blame; each callback's takes part."""

import asyncio
import socket
from typing import Any

from benchmarks.accuracy.case import Run, case, now

MANY = 250
SMALL_NS = 1_000_000


class _Clock:
    """When the first callback of the turn began and the last one ended."""

    def __init__(self, run: Run, many: int) -> None:
        self.run, self.left = run, many
        self.began: int | None = None
        self.done = asyncio.get_running_loop().create_future()

    def begin(self) -> None:
        if self.began is None:
            self.began = self.run.begin()

    def end(self, ended: int) -> None:
        self.left -= 1
        if self.left == 0:
            assert self.began is not None
            self.run.end(self.began, ended)
            self.done.set_result(None)


def _work(clock: _Clock, small_ns: int) -> None:
    clock.begin()
    until = now() + small_ns
    while now() < until:  # BLOCK
        pass  # BLOCK
    clock.end(now())


@case("overload", blameless=True, via=(_work,), small=True)
async def callbacks(run: Run) -> None:
    clock = _Clock(run, MANY)
    for _ in range(MANY):
        asyncio.get_running_loop().call_soon(_work, clock, SMALL_NS)
    await clock.done


@case("overload", blameless=True, via=(_work,))
async def very_small_callbacks(run: Run) -> None:
    clock = _Clock(run, 10 * MANY)
    for _ in range(10 * MANY):
        asyncio.get_running_loop().call_soon(_work, clock, SMALL_NS // 10)
    await clock.done


@case("overload", blameless=True, via=(_work,))
async def tasks_woken_together(run: Run) -> None:
    """A thundering herd: one event wakes them all."""
    clock, event = _Clock(run, MANY), asyncio.Event()

    async def wait_and_work() -> None:
        await event.wait()
        _work(clock, SMALL_NS)

    async with asyncio.TaskGroup() as group:
        for _ in range(MANY):
            group.create_task(wait_and_work())
        await asyncio.sleep(0.05)
        event.set()
        await clock.done


@case("overload", blameless=True, via=(_work,))
async def timers_due_together(run: Run) -> None:
    loop = asyncio.get_running_loop()
    clock, at = _Clock(run, MANY), loop.time() + 0.03
    for _ in range(MANY):
        loop.call_at(at, _work, clock, SMALL_NS)
    await clock.done


class _Worker(asyncio.Protocol):
    def __init__(self, clock: _Clock) -> None:
        self.clock = clock

    def data_received(self, data: bytes) -> None:
        _work(self.clock, SMALL_NS)


@case("overload", blameless=True, via=(_work,))
async def sockets_ready_together(run: Run) -> None:
    """Many connections get data at once."""
    clock = _Clock(run, MANY)
    pairs = [socket.socketpair() for _ in range(MANY)]
    transports = [await _receive(ours, clock) for ours, _ in pairs]
    await asyncio.sleep(0.05)
    for _, theirs in pairs:
        theirs.send(b"x")
    await clock.done
    for transport, (_, theirs) in zip(transports, pairs, strict=True):
        transport.close()
        theirs.close()


async def _receive(ours: socket.socket, clock: _Clock) -> Any:
    ours.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: _Worker(clock), sock=ours)
    return transport
