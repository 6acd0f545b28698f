"""Event loops that are neither asyncio's nor uvloop's."""

import asyncio
import heapq
import threading
import time
from collections import deque
from typing import Any

__all__ = ["DelegatingLoop", "TinyLoop"]


class TinyLoop(asyncio.AbstractEventLoop):
    """A loop from scratch: callbacks and timers, no I/O. All that `asyncio.Runner` asks for."""

    def __init__(self) -> None:
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._woken = threading.Event()
        self._stopping = self._running = self._closed = False

    def run_forever(self) -> None:
        asyncio._set_running_loop(self)
        self._running = True
        try:
            while not self._stopping:
                self._turn()
        finally:
            self._running = self._stopping = False
            asyncio._set_running_loop(None)

    def _turn(self) -> None:
        self._wait()
        while self._timers and self._timers[0][0] <= self.time():
            self._ready.append(heapq.heappop(self._timers)[2])
        for _ in range(len(self._ready)):
            handle = self._ready.popleft()
            if not handle.cancelled():
                handle._run()

    def _wait(self) -> None:
        self._woken.clear()
        if not self._ready and not self._stopping:
            self._woken.wait(max(self._timers[0][0] - self.time(), 0) if self._timers else None)

    def run_until_complete(self, future: Any) -> Any:
        future = asyncio.ensure_future(future, loop=self)
        future.add_done_callback(lambda _: self.stop())
        self.run_forever()
        return future.result()

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = self.call_soon(callback, *args, context=context)
        self._woken.set()
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, id(handle), handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled handles are skipped when they fall due."""

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self, **options)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def time(self) -> float:
        return time.monotonic()

    def stop(self) -> None:
        self._stopping = True

    def close(self) -> None:
        self._closed = True

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    def get_debug(self) -> bool:
        return False

    async def shutdown_asyncgens(self) -> None:
        """There are none."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There is none."""


class DelegatingLoop(asyncio.AbstractEventLoop):
    """A loop that hands everything to one of asyncio's within it."""

    def __init__(self) -> None:
        self._inner = asyncio.SelectorEventLoop()

    def __getattribute__(self, name: str) -> Any:
        inner = object.__getattribute__(self, "__dict__").get("_inner")
        return object.__getattribute__(self, name) if inner is None or name == "_inner" else getattr(inner, name)
