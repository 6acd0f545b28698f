"""The same places on trio: the ways in which it runs people's code. Imported only where trio is the backend."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import outcome
import trio

from benchmarks.accuracy.case import Run

__all__ = ["PLACES", "visit"]

Body = Callable[[Run], Any]


async def visit(place: str, body: Body, run: Run) -> None:
    """Calls `body(run)` from that place, on the present run."""
    await PLACES[place](body, run)


async def _in_a_task(function: Callable[..., Awaitable[Any]], *args: Any) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(function, *args)


# ── a request handler: a task that awaits a service that awaits a repository ────────────────────────────────────


async def _handler(body: Body, run: Run) -> None:
    await _in_a_task(_endpoint, body, run)


async def _endpoint(body: Body, run: Run) -> None:
    await _service(body, run)


async def _service(body: Body, run: Run) -> None:
    body(run)


# ── a dependency: resolved by name and called through a partial ─────────────────────────────────────────────────


async def _dependency(body: Body, run: Run) -> None:
    await _in_a_task(_solve, {"value": partial(_provide, body)}, run)


async def _solve(dependencies: dict[str, Callable[[Run], Any]], run: Run) -> None:
    for call in dependencies.values():
        call(run)


def _provide(body: Body, run: Run) -> Any:
    return body(run)


# ── a plain callback: what a thread hands in ────────────────────────────────────────────────────────────────────


async def _call_soon(body: Body, run: Run) -> None:
    done, results = trio.Event(), list[outcome.Outcome[Any]]()
    trio.lowlevel.current_trio_token().run_sync_soon(_call, body, run, done, results)
    await done.wait()
    results[0].unwrap()


def _call(body: Body, run: Run, done: trio.Event, results: list[outcome.Outcome[Any]]) -> None:
    results.append(outcome.capture(body, run))
    done.set()


# ── a task that waits for the clock, and one that waits for data ────────────────────────────────────────────────


async def _call_later(body: Body, run: Run) -> None:
    await _in_a_task(_after, body, run)


async def _after(body: Body, run: Run) -> None:
    await trio.sleep(0.01)
    body(run)


async def _data_received(body: Body, run: Run) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        async with stream, trio.open_nursery() as nursery:
            nursery.start_soon(_receive, stream, body, run)
            theirs.send(b"x")


async def _receive(stream: trio.SocketStream, body: Body, run: Run) -> None:
    await stream.receive_some()
    body(run)


# ── an async generator, as a streaming response is ──────────────────────────────────────────────────────────────


async def _async_generator(body: Body, run: Run) -> None:
    await _in_a_task(_stream, body, run)


async def _stream(body: Body, run: Run) -> None:
    async for _ in _rows(body, run):
        await trio.lowlevel.checkpoint()


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
    "task": _in_a_task,
}
