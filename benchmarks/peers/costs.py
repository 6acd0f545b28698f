"""What each tool costs: CPU per turn of the loop, and requests per second of a FastAPI application.

The methods are those of `benchmarks.overhead.turns` and `benchmarks.overhead.fastapi` (read there why): fresh processes,
interleaved and mirrored, each tool compared with nobody in the same round and on the same interpreter, and nobody with itself.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from statistics import median

from benchmarks.overhead.fastapi import stretch
from benchmarks.overhead.load import cores, drive
from benchmarks.overhead.processes import running
from benchmarks.pairs import ChildFailed, interleave, run_child
from benchmarks.peers.children.switch import NOBODY
from benchmarks.peers.tools import Entrant

__all__ = ["AGAIN", "Figures", "fastapi_rps", "turns_us"]

AGAIN = "nobody again"
"""The second half of the A/A pair: its figures are noise."""
SLOW = {"asyncio_debug": 10, "aiocop": 4}
"""So many times fewer turns in a batch: the same figure in bearable time."""

Figures = dict[str, list[float | None]]
"""By tool, a figure per round, already compared: microseconds more, or a ratio. None: it failed."""
Measure = Callable[[str, str, int], float | None]
"""Of (tool, interpreter, round)."""


def turns_us(entrants: Sequence[Entrant], backend: str, rounds: int, batches: int, turns: int) -> Figures:
    """CPU microseconds of the loop's thread that each tool adds to a turn."""

    def measure(tool: str, python: str, _round: int) -> float | None:
        chosen = ("--backend", backend, "--tool", tool, "--turns", str(turns // SLOW.get(tool, 1)))
        figures = run_child("benchmarks.peers.children.turn", *chosen, "--batches", str(batches), python=python)
        return median(figures["cpu_ns"]) / 1000

    return _compared(entrants, rounds, measure, lambda figure, base: figure - base)


def fastapi_rps(entrants: Sequence[Entrant], backend: str, rounds: int, seconds: float) -> Figures:
    """Requests per second with each tool, by those without."""
    server_core, client_core = cores()
    pin = () if server_core is None else ("--core", str(server_core))

    def measure(tool: str, python: str, number: int) -> float | None:
        chosen = ("--backend", backend, "--tool", tool, *pin)
        with running(
            "benchmarks.peers.children.server", *chosen, python=python, PYTHONHASHSEED=str(number + 1)
        ) as server:
            drive(server["port"], 1.0, client_core)
            return stretch(server, seconds, client_core)["rps"]

    return _compared(entrants, rounds, measure, lambda figure, base: figure / base)


def _compared(
    entrants: Sequence[Entrant], rounds: int, measure: Measure, compare: Callable[[float, float], float]
) -> Figures:
    pythons = list(dict.fromkeys(entrant.python for entrant in entrants))
    sides: dict[str, Callable[[int], float | None]] = {}
    for python in pythons:
        sides[f"{NOBODY} {python}"] = partial(_safely, measure, NOBODY, python)
    for entrant in entrants:
        sides[entrant.name] = partial(_safely, measure, entrant.name, entrant.python)
    if pythons:
        sides[AGAIN] = partial(_safely, measure, NOBODY, pythons[0])
    raw = interleave(sides, rounds)
    whose = {entrant.name: entrant.python for entrant in entrants} | dict.fromkeys(
        [AGAIN], pythons[0] if pythons else ""
    )
    return {name: list(_pairs(raw[name], raw[f"{NOBODY} {python}"], compare)) for name, python in whose.items()}


def _pairs(
    figures: Iterable[float | None], base: Iterable[float | None], compare: Callable[[float, float], float]
) -> Iterable[float | None]:
    for figure, reference in zip(figures, base, strict=True):
        yield None if figure is None or reference is None else compare(figure, reference)


def _safely(measure: Measure, tool: str, python: str, number: int) -> float | None:
    """A peer that fails under load loses its figure, and nobody else's."""
    print(f"round {number + 1}: {tool}", file=sys.stderr, flush=True)
    try:
        return measure(tool, python, number)
    except (ChildFailed, RuntimeError) as error:
        print(f"{tool} failed: {error}", file=sys.stderr, flush=True)
        return None
