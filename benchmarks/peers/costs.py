"""What each tool costs: CPU per turn of the loop, and requests per second of a FastAPI application.

The methods are those of `benchmarks.overhead.turns` and `benchmarks.overhead.fastapi` (read there why): fresh processes,
interleaved and mirrored, each tool compared with nobody in the same round and on the same interpreter, and nobody with itself.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

from benchmarks.overhead.fastapi import stretch
from benchmarks.overhead.load import cores, drive
from benchmarks.overhead.processes import running
from benchmarks.pairs import ChildFailed, interleave, run_child
from benchmarks.peers.children.switch import NOBODY
from benchmarks.peers.tools import Entrant

__all__ = ["AGAIN", "Figures", "fastapi_ratios", "turns_us"]

AGAIN = "nobody again"
"""The second half of the A/A pair: its figures are noise."""
SLOW = {"asyncio_debug": 10, "aiocop": 4}
"""So many times fewer turns in a batch: the same figure in bearable time."""

Figures = dict[str, list[float | None]]
"""By tool, a figure per round, already compared: microseconds more, or a ratio. None: it failed."""
Raw = dict[str, list[dict[str, float] | None]]
"""By side, what each round measured; None: it failed."""
Measure = Callable[[str, str, int], dict[str, float]]
"""Of (tool, interpreter, round)."""


def turns_us(entrants: Sequence[Entrant], backend: str, rounds: int, batches: int, turns: int) -> Figures:
    """CPU microseconds of the loop's thread that each tool adds to a turn."""

    def measure(tool: str, python: str, _round: int) -> dict[str, float]:
        chosen = ("--backend", backend, "--tool", tool, "--turns", str(turns // SLOW.get(tool, 1)))
        figures = run_child("benchmarks.peers.children.turn", *chosen, "--batches", str(batches), python=python)
        return {"us": median(figures["cpu_ns"]) / 1000}

    return _compared(entrants, _measured(entrants, rounds, measure), "us", lambda figure, base: figure - base)


def fastapi_ratios(entrants: Sequence[Entrant], backend: str, rounds: int, seconds: float) -> dict[str, Figures]:
    """With each tool by without: requests per second ("rps"), and CPU time of the server for a request ("cpu")."""
    server_core, client_core = cores()
    pin = () if server_core is None else ("--core", str(server_core))

    def measure(tool: str, python: str, number: int) -> dict[str, float]:
        chosen = ("--backend", backend, "--tool", tool, *pin)
        with running(
            "benchmarks.peers.children.server", *chosen, python=python, PYTHONHASHSEED=str(number + 1)
        ) as server:
            drive(server["port"], 1.0, client_core)
            found = stretch(server, seconds, client_core)
        return {"rps": found["rps"], "cpu": found["cpu_us"]}

    raw = _measured(entrants, rounds, measure)
    return {what: _compared(entrants, raw, what, lambda figure, base: figure / base) for what in ("rps", "cpu")}


def _measured(entrants: Sequence[Entrant], rounds: int, measure: Measure) -> Raw:
    """Every tool and, on each interpreter, nobody; nobody twice on the first."""
    pythons = list(dict.fromkeys(entrant.python for entrant in entrants))
    who = {_nobody(python): (NOBODY, python) for python in pythons}
    who |= {entrant.name: (entrant.name, entrant.python) for entrant in entrants}
    who |= {AGAIN: (NOBODY, pythons[0])} if pythons else {}
    return interleave({side: partial(_safely, measure, *tool) for side, tool in who.items()}, rounds)


def _compared(entrants: Sequence[Entrant], raw: Raw, what: str, compare: Callable[[float, float], float]) -> Figures:
    """Each tool with nobody on its own interpreter, round by round."""
    base = {entrant.name: _nobody(entrant.python) for entrant in entrants}
    base |= {AGAIN: _nobody(entrants[0].python)} if entrants else {}
    return {
        name: [
            None if one is None or other is None else compare(one[what], other[what])
            for one, other in zip(raw[name], raw[nobody], strict=True)
        ]
        for name, nobody in base.items()
    }


def _nobody(python: str) -> str:
    return f"{NOBODY} {python}"


def _safely(measure: Measure, tool: str, python: str, number: int) -> dict[str, float] | None:
    """A peer that fails under load loses its figure, and nobody else's."""
    print(f"round {number + 1}: {tool}", file=sys.stderr, flush=True)
    try:
        return measure(tool, python, number)
    except (ChildFailed, RuntimeError) as error:
        print(f"{tool} failed: {error}", file=sys.stderr, flush=True)
        return None
