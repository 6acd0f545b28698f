"""Runs loopwatch and every peer on the same cases, measures what each costs, and prints one table.

Each case runs in a fresh process for each tool, one tool after the other before the next case begins. Peers come from the
`peers` dependency group: `make peers` installs it into a venv of its own (.venv-peers) and runs this. A peer that cannot share
that venv gets its own by `--python NAME=PATH`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.accuracy import services
from benchmarks.accuracy.facts import Outcome, outcome_from_json, outcome_to_json
from benchmarks.accuracy.processes import run
from benchmarks.accuracy.run_case import Spec
from benchmarks.accuracy.score import judge
from benchmarks.accuracy.tables import progress
from benchmarks.machine import describe, load_average
from benchmarks.peers.costs import Figures, fastapi_ratios, turns_us
from benchmarks.peers.plan import QUICK, SMALL, chosen, rotated
from benchmarks.peers.table import OURS, document
from benchmarks.peers.tools import TOOLS, Entrant, enter

PARTS = ("accuracy", "turns", "fastapi")
TURNS = {"asyncio": 20_000, "uvloop": 60_000}
"""As in `benchmarks.overhead.turns`: a batch takes some 50 ms."""


class Results:
    """All that was measured so far; written after every step, so that a run that is broken off has not been for nothing."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.machine: list[str] = [*describe("uvloop", "fastapi", "uvicorn").lines(), f"commit    {_commit()}"]
        self.entrants: list[Entrant] = []
        self.outcomes: list[Outcome] = []
        self.turns: dict[str, Figures] = {}
        self.fastapi: dict[str, dict[str, Figures]] = {}
        self.seconds: dict[str, float] = {}
        self.threshold_ms: float = options.threshold_ms

    def save(self) -> None:
        if self.options.json:
            self.options.json.write_text(json.dumps(self.to_json(), indent=1), encoding="utf-8")

    def to_json(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "threshold_ms": self.threshold_ms,
            "seconds": self.seconds,
            "tools": [asdict(entrant) for entrant in self.entrants],
            "outcomes": [outcome_to_json(outcome) for outcome in self.outcomes],
            "turns": self.turns,
            "fastapi": self.fastapi,
        }

    def read(self, path: Path) -> None:
        """Everything as it was saved."""
        saved = json.loads(path.read_text(encoding="utf-8"))
        self.machine, self.threshold_ms, self.seconds = saved["machine"], saved["threshold_ms"], saved["seconds"]
        self.entrants = [Entrant(**entrant) for entrant in saved["tools"]]
        self.outcomes = [outcome_from_json(outcome) for outcome in saved["outcomes"]]
        self.turns, self.fastapi = saved["turns"], saved["fastapi"]

    def text(self) -> str:
        judged: dict[str, list[Any]] = {backend: [] for backend in (*self.turns, *self.fastapi)}
        for outcome in self.outcomes:
            judged.setdefault(outcome.backend, []).append(judge(outcome, self.threshold_ms))
        took = ", ".join(f"{part} {seconds / 60:.1f} min" for part, seconds in self.seconds.items())
        quick = " (quick: not to be quoted)" if self.options.quick else ""
        facts = "\n".join(f"    {line}" for line in self.machine)
        heading = (
            f"## loopwatch and its peers, threshold {self.threshold_ms:g} ms{quick}\n\n{facts}\n    took      {took}"
        )
        return document(self.entrants, judged, self.turns, self.fastapi, heading)


def main(argv: Sequence[str] | None = None) -> int:
    options = _options(argv)
    results = Results(options)
    if options.table:
        results.read(options.table)
    else:
        results.entrants = _enter(options)
        _measure(results, options)
    text = results.text()
    print(text)
    if options.md:
        options.md.write_text(text, encoding="utf-8")
    if any(entrant.name == OURS and entrant.why_not for entrant in results.entrants):
        return 2
    ours = [outcome for outcome in results.outcomes if outcome.detector == OURS]
    return 1 if any(outcome.error for outcome in ours) else 0


def _commit() -> str:
    """Of this tree, where it is a checkout; "+" where it has been edited since."""
    command = ["git", "-C", str(services.ROOT), "describe", "--always", "--dirty=+"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _measure(results: Results, options: argparse.Namespace) -> None:
    ready = [entrant for entrant in results.entrants if entrant.why_not is None]
    steps = {"accuracy": _accuracy, "turns": _turns, "fastapi": _fastapi}
    for part in options.parts:
        began_s = time.monotonic()
        for backend in options.backend:
            steps[part](results, options, ready, backend)
            results.save()
        results.seconds[part] = time.monotonic() - began_s
    results.machine.append(f"load      {' '.join(f'{value:.2f}' for value in load_average())} after")
    results.save()


def _accuracy(results: Results, options: argparse.Namespace, ready: Sequence[Entrant], backend: str) -> None:
    plan = list(rotated(ready, chosen(options.cases)))
    sizes: dict[str, int | None] = {}
    with services.started() as addresses, tempfile.TemporaryDirectory() as folder:
        for number, (case, entrant) in enumerate(plan, 1):
            # Whoever comes first calibrates: the others get that very size.
            spec = Spec(
                case.name,
                backend,
                entrant.name,
                options.threshold_ms,
                options.repeat,
                options.places,
                options.seed,
                addresses,
                sizes.get(case.name),
            )
            outcome = run(entrant.python, spec, Path(folder) / "outcome.json", timeout_s=90.0)
            sizes[case.name] = sizes.get(case.name) or outcome.size
            results.outcomes.append(outcome)
            results.save()
            told = progress(judge(outcome, options.threshold_ms))
            print(f"{number}/{len(plan)} {backend} {entrant.name}: {told}", file=sys.stderr, flush=True)


def _turns(results: Results, options: argparse.Namespace, ready: Sequence[Entrant], backend: str) -> None:
    rounds, batches, turns = (2, 3, TURNS[backend] // 10) if options.quick else (options.rounds, 10, TURNS[backend])
    results.turns[backend] = turns_us(ready, backend, rounds, batches, turns)


def _fastapi(results: Results, options: argparse.Namespace, ready: Sequence[Entrant], backend: str) -> None:
    rounds, seconds = (1, 1.0) if options.quick else (options.rounds, options.load_seconds)
    results.fastapi[backend] = fastapi_ratios(ready, backend, rounds, seconds)


def _enter(options: argparse.Namespace) -> list[Entrant]:
    """Every chosen tool, whether or not it can take part."""
    entrants = []
    for tool in TOOLS:
        if tool.name in (options.only or [tool.name]):
            entrants.append(enter(tool, options.python.get(tool.name, options.python[""]), options.backend[0]))
            print(
                f"{tool.name}: {entrants[-1].why_not or entrants[-1].version or 'ready'}", file=sys.stderr, flush=True
            )
    return entrants


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = {"type": lambda text: text.split(","), "metavar": "A,B"}
    parser.add_argument("--only", action="append", choices=[tool.name for tool in TOOLS], metavar="NAME",
                        help=f"only this tool (may be repeated): {', '.join(tool.name for tool in TOOLS)}")  # fmt: skip
    parser.add_argument("--python", action="append", default=[], metavar="[NAME=]PATH",
                        help="the interpreter to run in; with NAME=, for that tool alone (may be repeated)")  # fmt: skip
    parser.add_argument("--backend", default=["asyncio", "uvloop"], **names)
    parser.add_argument("--parts", default=list(PARTS), help=f"what to measure: {', '.join(PARTS)}", **names)
    parser.add_argument("--cases", help="patterns of case names, such as locks/* (default: all)", **names)
    parser.add_argument("--repeat", type=int, default=1, help="visits of each place (default 1)")
    parser.add_argument("--places", type=int, default=2, help="at most so many places of each case (default 2; 0: all)")
    parser.add_argument("--threshold-ms", type=float, default=100.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, help="of each cost (default 6; 3 with --small)")
    parser.add_argument(
        "--load-seconds", type=float, default=2.0, help="of load on FastAPI, a tool and round (default 2)"
    )
    parser.add_argument("--small", action="store_true", help="a fixed part: 28 cases, one place each, asyncio alone")
    parser.add_argument("--quick", action="store_true", help="a short run that shows that it works; not to be quoted")
    parser.add_argument(
        "--table", type=Path, metavar="IN", help="measure nothing: print what such a run wrote with --json"
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="write everything measured to this file")
    parser.add_argument("--md", type=Path, metavar="OUT", help="write the report to this file")
    options = parser.parse_args(argv)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part named {', '.join(sorted(unknown))}; there are: {', '.join(PARTS)}")
    if unknown := set(options.backend) - set(TURNS):
        parser.error(f"no backend named {', '.join(sorted(unknown))}; there are: {', '.join(TURNS)}")
    named = [text.rpartition("=") for text in options.python]
    options.python = {"": sys.executable} | {name: path for name, _, path in named}
    if unknown := set(options.python) - {"", *(tool.name for tool in TOOLS)}:
        parser.error(f"--python: no tool named {', '.join(sorted(unknown))}")
    if options.small or options.quick:
        options.places, options.backend = 1, options.backend[:1]
    options.rounds = options.rounds or (3 if options.small else 6)
    options.cases = options.cases or list(QUICK if options.quick else SMALL if options.small else ["*"])
    return options


if __name__ == "__main__":
    sys.exit(main())
