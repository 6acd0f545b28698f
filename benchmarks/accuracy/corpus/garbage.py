"""The thread is in the garbage collector."""

import gc
import json
from typing import Any

from benchmarks.accuracy.case import Run, Setup, case, now
from benchmarks.accuracy.places import ALL


def _heap(setup: Setup) -> list[Any]:
    """Many small containers, all alive: what a full collection has to walk."""
    return [[number] for number in range(setup.size)]


@case("gc", places=ALL, small=True, size=1_000_000, make=_heap)
def explicit(run: Run) -> None:
    began = run.begin()
    gc.collect()  # BLOCK
    run.end(began, now())


def _no_heap(setup: Setup) -> list[Any]:
    return []


def _bulk_load(run: Run) -> None:
    """A worker loads much with the collector off, as loaders do."""
    while run.data:  # what the last go loaded, freed in parts: all at once would hold the GIL for a stall's length
        del run.data[-100_000:]
    gc.collect()
    gc.disable()
    for number in range(run.size):
        run.data.append([number])


def _load_and_allocate(run: Run) -> None:
    _bulk_load(run)
    automatic(run)


@case("gc", blameless=True, size=1_000_000, make=_no_heap, prepare=_bulk_load, work=_load_and_allocate)
def automatic(run: Run) -> None:
    """The collector is on again: whoever allocates next pays, and is not to blame for it."""
    rows = []
    began = run.begin()
    gc.enable()
    for number in range(5_000):  # BLOCK
        rows.append([number])  # BLOCK
    run.end(began, now())
    run.kept = rows


class _Node:
    def __init__(self) -> None:
        self.me = self


def _cycles(run: Run) -> None:
    """Garbage that only the collector can free."""
    gc.disable()
    for _ in range(run.size):
        _Node()


def _cycles_and_collect(run: Run) -> None:
    _cycles(run)
    of_cycles(run)


@case("gc", size=300_000, prepare=_cycles, work=_cycles_and_collect, places=("dependency",))
def of_cycles(run: Run) -> None:
    began = run.begin()
    gc.collect(1)  # BLOCK
    run.end(began, now())
    gc.enable()


def _documents(setup: Setup) -> str:
    return json.dumps([{"id": number, "tags": [{"a": 1}, {"b": 2}]} for number in range(setup.size)])


# Two honest answers: parsing makes so many containers that the collector runs again and again meanwhile; which of the
# two takes the larger part depends on the interpreter's version.
@case("native", "gc", size=100_000, make=_documents, places=("handler",))
def while_parsing(run: Run) -> None:
    began = run.begin()
    json.loads(run.data)  # BLOCK
    run.end(began, now())
