"""One file per detector; each turns what its detector says into `facts.Report`s and adds nothing to it."""

from collections.abc import Awaitable
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from benchmarks.accuracy.facts import Report

__all__ = ["Detector", "Refuser", "Serving", "load"]


class Detector(Protocol):
    """What a detector must let us do. Used on the loop's thread; a fresh process each time."""

    inside: bool
    """Whether it is to be started and stopped while the loop runs, rather than before and after.

    Only then may `start` and `stop` be coroutine functions."""

    def start(self, threshold_ms: float) -> Awaitable[None] | None:
        """Begins to watch for anything longer than that."""

    def stop(self) -> Awaitable[list[Report]] | list[Report]:
        """Stops watching; all that was reported, each stall in its final form."""


@runtime_checkable
class Refuser(Protocol):
    """A detector that does not watch a call block, but makes it fail."""

    def refused(self, error: BaseException) -> bool:
        """Whether that error is the detector's; if so it is kept as a report."""

    def paused(self) -> AbstractContextManager[Any]:
        """Lets everything pass meanwhile."""

    def place(self, start_ns: int) -> None:
        """When the call that was refused last began to block, once it was let pass."""


@runtime_checkable
class Serving(Protocol):
    """A detector that is put around an ASGI application rather than started, where there is one."""

    def install(self, app: Any, threshold_ms: float) -> None:
        """Puts it around a FastAPI application that has not started yet."""


def load(name: str) -> Detector:
    """The detector of `adapters/NAME.py`."""
    detector: Detector = import_module(f"benchmarks.accuracy.adapters.{name}").detector()
    return detector
