"""What the harness itself awaits, on either library: so that one session runs on asyncio, uvloop and trio."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from benchmarks.accuracy import places

__all__ = ["Runtime", "runtime"]


class Runtime(Protocol):
    """What a session needs of a library."""

    def run(self, main: Callable[[], Awaitable[Any]]) -> Any:
        """Runs it on a new loop."""

    async def sleep(self, seconds: float) -> None:
        """Waits by the clock."""

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        """What the function returned, in a thread of its own."""

    async def visit(self, place: str, body: Callable[..., Any], run: Any) -> None:
        """Calls `body(run)` from that place."""


class OnAsyncio:
    """asyncio's own loop, or uvloop's."""

    def __init__(self, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None) -> None:
        self._loop_factory = loop_factory
        self.sleep = asyncio.sleep
        self.visit = places.visit

    def run(self, main: Callable[[], Awaitable[Any]]) -> Any:
        with asyncio.Runner(loop_factory=self._loop_factory) as runner:
            return runner.run(main())  # type: ignore[arg-type]  # a coroutine function

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(None, partial(function, *args))


class OnTrio:
    """trio."""

    def __init__(self) -> None:
        import trio

        from benchmarks.accuracy import places_trio

        self.run = trio.run
        self.sleep = trio.sleep
        self.in_thread = trio.to_thread.run_sync
        self.visit = places_trio.visit


def runtime(backend: str) -> Runtime:
    """The library of that backend."""
    if backend == "trio":
        return OnTrio()
    if backend == "asyncio":
        return OnAsyncio(None)
    import uvloop

    return OnAsyncio(uvloop.new_event_loop)
