"""From where a blocker is called: the ways in which an event loop runs people's code.

Each place takes the body and the run, arranges for the call, and returns when the body has returned. The body's own
stack is the same everywhere; what lies above it is not.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from benchmarks.accuracy.case import Run

__all__ = ["ALL", "PLACES", "visit"]

Body = Callable[[Run], Any]


async def visit(place: str, body: Body, run: Run) -> None:
    """Calls `body(run)` from that place, on the running loop."""
    await PLACES[place](body, run)


# ── a request handler: a task that awaits a service that awaits a repository ────────────────────────────────────


async def _handler(body: Body, run: Run) -> None:
    await asyncio.create_task(_endpoint(body, run))


async def _endpoint(body: Body, run: Run) -> None:
    await _service(body, run)


async def _service(body: Body, run: Run) -> None:
    body(run)


# ── a scene: the body is itself a coroutine function ────────────────────────────────────────────────────────────


async def _task(body: Body, run: Run) -> None:
    await asyncio.create_task(body(run))


# ── a dependency: resolved by name and called through a partial, as web frameworks do ───────────────────────────


async def _dependency(body: Body, run: Run) -> None:
    await asyncio.create_task(_solve({"value": partial(_provide, body)}, run))


async def _solve(dependencies: dict[str, Callable[[Run], Any]], run: Run) -> dict[str, Any]:
    return {name: call(run) for name, call in dependencies.items()}


def _provide(body: Body, run: Run) -> Any:
    return body(run)


# ── a plain callback, now or at its time ────────────────────────────────────────────────────────────────────────


async def _call_soon(body: Body, run: Run) -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_soon(_call, body, run, done)
    await done


async def _call_later(body: Body, run: Run) -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_later(0.01, _call, body, run, done)
    await done


def _call(body: Body, run: Run, done: asyncio.Future[None]) -> None:
    try:
        body(run)
    except BaseException as error:
        done.set_exception(error)
    else:
        done.set_result(None)


# ── a protocol: called by the transport when data has come ──────────────────────────────────────────────────────


class _Receiver(asyncio.Protocol):
    def __init__(self, body: Body, run: Run, done: asyncio.Future[None]) -> None:
        self.body, self.run, self.done = body, run, done

    def data_received(self, data: bytes) -> None:
        _call(self.body, self.run, self.done)


async def _data_received(body: Body, run: Run) -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    transport, _ = await loop.create_connection(partial(_Receiver, body, run, done), sock=ours)
    theirs.send(b"x")
    await done
    transport.close()
    theirs.close()


# ── an async generator, as a streaming response is ──────────────────────────────────────────────────────────────


async def _async_generator(body: Body, run: Run) -> None:
    await asyncio.create_task(_stream(body, run))


async def _stream(body: Body, run: Run) -> None:
    async for _ in _rows(body, run):
        await asyncio.sleep(0)


async def _rows(body: Body, run: Run) -> AsyncIterator[int]:
    yield 0
    yield body(run)


PLACES: dict[str, Callable[[Body, Run], Awaitable[None]]] = {
    "handler": _handler,
    "dependency": _dependency,
    "call_soon": _call_soon,
    "call_later": _call_later,
    "data_received": _data_received,
    "async_generator": _async_generator,
    "task": _task,
}
ALL = tuple(name for name in PLACES if name != "task")
