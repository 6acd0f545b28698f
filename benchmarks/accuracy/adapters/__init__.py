"""One file per detector; each turns what its detector says into `facts.Report`s and adds nothing to it."""

from importlib import import_module
from typing import Protocol

from benchmarks.accuracy.facts import Report

__all__ = ["Detector", "load"]


class Detector(Protocol):
    """What a detector must let us do. Used on the loop's thread; a fresh process each time."""

    inside: bool
    """Whether it is to be started and stopped while the loop runs, rather than before and after."""

    def start(self, threshold_ms: float) -> None:
        """Begins to watch for anything longer than that."""

    def stop(self) -> list[Report]:
        """Stops watching; all that was reported, each stall in its final form."""


def load(name: str) -> Detector:
    """The detector of `adapters/NAME.py`."""
    detector: Detector = import_module(f"benchmarks.accuracy.adapters.{name}").detector()
    return detector
