"""How loopwatch learns that a loop starts and stops: `run_forever` is wrapped on the loop classes.

That one method is what every runner ends in (asyncio.run, Runner, uvicorn, gunicorn's workers, hypercorn, granian, pytest-asyncio,
anyio, TestClient). Classes that are defined later (uvloop, imported after `enable()`) are reached through
`AbstractEventLoop.__init_subclass__`. Everything is put back by `uninstall`, if it is still ours.
"""

import asyncio
import functools
import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["LOOP_CODES", "Attachment", "running_loops"]

Started = Callable[[Any], Any]
Stopped = Callable[[Any], None]


class Attachment:
    """Wraps `run_forever` of all loop classes while it is installed.

    Args:
        started: Called with the loop, on its thread, before it runs; its result goes to `stopped`. Must not raise.
        stopped: Called on the loop's thread when it has stopped running. Must not raise.
        closing: Called with the loop before it closes. Must not raise.
    """

    def __init__(self, started: Started, stopped: Stopped, closing: Callable[[Any], None]) -> None:
        self._started = started
        self._stopped = stopped
        self._closing = closing
        self._replaced: list[tuple[type, str, Any, Any]] = []

    def install(self) -> None:
        """Wrap the classes that there are, and those to come."""
        root = asyncio.AbstractEventLoop
        self._wrap(asyncio.BaseEventLoop)
        for loop_class in _subclasses(root):
            self._wrap(loop_class)
        self._replace(root, "__init_subclass__", classmethod(_announcing(self._wrap)))

    def uninstall(self) -> None:
        """Put everything back that is still ours, latest first."""
        while self._replaced:
            owner, name, before, ours = self._replaced.pop()
            if owner.__dict__.get(name) is not ours:
                continue
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)

    def _wrap(self, loop_class: type) -> None:
        run_forever = getattr(loop_class, "run_forever", None)
        inherited_stub = run_forever is asyncio.AbstractEventLoop.run_forever
        if run_forever is None or inherited_stub or hasattr(run_forever, "__loopwatch__"):
            return
        self._replace(loop_class, "run_forever", _watched(run_forever, self._started, self._stopped))
        close = getattr(loop_class, "close", None)
        if close is not None and not hasattr(close, "__loopwatch__"):
            self._replace(loop_class, "close", _closing(close, self._closing))

    def _replace(self, owner: type, name: str, ours: Any) -> None:
        before = owner.__dict__.get(name, _MISSING)
        try:
            setattr(owner, name, ours)
        except (AttributeError, TypeError):  # a class in C cannot be changed; its Python subclass is
            return
        self._replaced.append((owner, name, before, owner.__dict__[name]))


_MISSING = object()


def _announcing(wrap: Callable[[type], None]) -> Callable[..., None]:
    def __init_subclass__(loop_class: type, **kwargs: Any) -> None:  # noqa: N807 - it takes that method's place
        super(asyncio.AbstractEventLoop, loop_class).__init_subclass__(**kwargs)  # type: ignore[misc]  # it is one
        wrap(loop_class)

    return __init_subclass__


def _watched(original: Callable[..., Any], started: Started, stopped: Stopped) -> Callable[..., Any]:
    @functools.wraps(original)
    def run_forever(self: Any) -> Any:
        run = started(self)
        try:
            return original(self)
        finally:
            stopped(run)

    run_forever.__loopwatch__ = True  # type: ignore[attr-defined]
    return run_forever


def _closing(original: Callable[..., Any], closing: Callable[[Any], None]) -> Callable[..., Any]:
    @functools.wraps(original)
    def close(self: Any) -> Any:
        closing(self)
        return original(self)

    close.__loopwatch__ = True  # type: ignore[attr-defined]
    return close


def _subclasses(loop_class: type) -> Iterator[type]:
    subclasses: list[type] = loop_class.__subclasses__()
    for one in subclasses:
        yield one
        yield from _subclasses(one)


LOOP_CODES = (
    asyncio.BaseEventLoop.run_forever.__code__,
    asyncio.BaseEventLoop._run_once.__code__,  # type: ignore[attr-defined]
    next(c for c in _watched.__code__.co_consts if getattr(c, "co_name", "") == "run_forever"),
)
"""Code objects whose frames run a loop: what is outside the innermost of them is no part of a turn."""


def running_loops() -> list[Any]:
    """Loops that run right now, in any thread. Looks through all objects once if there are several threads."""
    mine = asyncio._get_running_loop()
    if threading.active_count() == 1:
        return [mine] if mine is not None else []
    found = {id(mine): mine} if mine is not None else {}
    for candidate in gc.get_objects():
        # `type`, not `isinstance`: the latter may run a `__class__` property of the program.
        if issubclass(type(candidate), asyncio.AbstractEventLoop) and _runs(candidate):
            found[id(candidate)] = candidate
    return list(found.values())


def _runs(loop: Any) -> bool:
    try:
        return bool(loop.is_running())
    except Exception:  # noqa: BLE001 - half-built objects, mocks
        return False
