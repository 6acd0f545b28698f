"""Exact turns of an asyncio loop, from both edges of its selector's `select`.

`BaseEventLoop._run_once` (CPython 3.11-3.13, Lib/asyncio/base_events.py) calls `self._selector.select(timeout)` once a
turn and nothing else in it can wait. Replacing `select` on that one selector instance therefore gives every turn for two
clock reads, and an idle loop is left alone. Proactor loops set `_selector` to their proactor (Lib/asyncio/proactor_events.py).

What keeps it cheap, besides what `EdgeHeartbeat` says: the selector's `__dict__` is never asked for, since that would slow down
every later access to its attributes.
"""

from collections.abc import Callable
from typing import Any

from loopwatch.clocks import time
from loopwatch.heartbeats.edges import EdgeHeartbeat
from loopwatch.records import LoopInfo

__all__ = ["SelectorHeartbeat"]


class SelectorHeartbeat(EdgeHeartbeat):
    """The heartbeat of a loop with a `_selector`."""

    __slots__ = ("_had_own", "_hook", "_loop", "_original")

    def __init__(self, loop: Any, info: LoopInfo, limit_ns: int, adopted: bool = False) -> None:
        super().__init__(info, limit_ns, adopted)
        self._loop = loop
        self._original: Callable[..., Any] | None = None
        self._hook: Callable[..., Any] | None = None
        self._had_own = False

    @staticmethod
    def fits(loop: Any) -> bool:
        """Whether the loop has a selector whose `select` can be replaced."""
        selector = getattr(loop, "_selector", None)
        return selector is not None and type(selector).__dictoffset__ != 0

    def attach(self) -> None:
        selector = self._loop._selector
        self._original = selector.select
        # Somebody else's, set on the instance: anything but the class's own method.
        self._had_own = getattr(self._original, "__func__", None) is not getattr(type(selector), "select", None)
        self._hook = self._around(selector.select)
        selector.select = self._hook
        self._begin(time.monotonic())

    def detach(self) -> None:
        self._end(time.monotonic())
        self._restore()

    def _restore(self) -> None:
        selector = getattr(self._loop, "_selector", None)
        # Only what is still ours: whoever wrapped our hook keeps a working chain, and the hook has gone quiet.
        if selector is None or selector.select is not self._hook:
            return
        if self._had_own:
            selector.select = self._original
        else:
            del selector.select

    def ready(self) -> int | None:
        ready = getattr(self._loop, "_ready", None)
        return None if ready is None else len(ready)
