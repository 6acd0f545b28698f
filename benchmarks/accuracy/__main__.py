"""Runs the corpus and prints the figures: `python -m benchmarks.accuracy --help`."""

import argparse
import fnmatch
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from benchmarks.accuracy import corpus, services  # noqa: F401  (the corpus registers its cases)
from benchmarks.accuracy.case import CASES, Case
from benchmarks.accuracy.check import shortfalls
from benchmarks.accuracy.facts import Outcome, outcome_to_json
from benchmarks.accuracy.machine import busy_processes, description, load
from benchmarks.accuracy.processes import run
from benchmarks.accuracy.run_case import Spec
from benchmarks.accuracy.score import Judged, judge
from benchmarks.accuracy.tables import document, progress


def main() -> int:
    options = _options()
    cases = [case for name, case in CASES.items() if _wanted(case, name, options)]
    plan = [
        (python, backend, case)
        for python in options.python
        for backend in options.backend
        for case in cases
        if backend in case.backends
    ]
    before, started = load(), time.monotonic()
    hogs = busy_processes(2 * (os.cpu_count() or 1)) if options.hogs else nullcontext()
    judged: list[Judged] = []
    with services.started() as addresses, hogs:
        for number, outcome in enumerate(_outcomes(plan, options, addresses), 1):
            judged.append(judge(outcome, options.threshold_ms))
            _save(judged, options.json)
            print(f"{number}/{len(plan)} {outcome.backend} {progress(judged[-1])}", file=sys.stderr, flush=True)
    minutes = (time.monotonic() - started) / 60
    heading = (
        f"## Accuracy: {options.detector}, threshold {options.threshold_ms:g} ms\n\n{description()}; "
        f"load before {before}, after {load()}{', with processor hogs' if options.hogs else ''}; {minutes:.0f} minutes."
    )
    text = document(judged, heading)
    print(text)
    if options.md:
        options.md.write_text(text)
    missing = [] if options.check is None else shortfalls(judged, options.check)
    print("\n".join(f"FAIL {words}" for words in missing))
    return 1 if missing or any(one.outcome.error for one in judged) else 0


def _save(judged: list[Judged], path: Path | None) -> None:
    """After every case: a run of half an hour that is broken off has not been for nothing."""
    if path:
        path.write_text(json.dumps([outcome_to_json(one.outcome) for one in judged], indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=main.__module__ and __doc__)
    names = {"type": lambda text: text.split(","), "metavar": "A,B"}
    parser.add_argument("--backend", default=["asyncio", "uvloop"], **names)
    parser.add_argument("--python", default=[sys.executable], help="interpreters to run the cases in", **names)
    parser.add_argument("--detector", default="loopwatch", help="a module of benchmarks/accuracy/adapters")
    parser.add_argument("--cases", default=["*"], help="patterns of case names, such as locks/*", **names)
    parser.add_argument("--repeat", type=int, default=3, help="visits of each place (default 3)")
    parser.add_argument("--places", type=int, default=0, help="at most so many places of each case (default: all)")
    parser.add_argument("--threshold-ms", type=float, default=100.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hogs", action="store_true", help="keep every core busy meanwhile")
    parser.add_argument("--small", action="store_true", help="the fixed small part that CI runs: about two minutes")
    parser.add_argument(
        "--check",
        type=float,
        metavar="SHARE",
        help="exit code 1 if a stall is missed, a report is false, or fewer lines (exact) and causes than this are right (0 to 1)",
    )
    parser.add_argument("--json", type=Path, help="where to write all outcomes")
    parser.add_argument("--md", type=Path, help="where to write the report")
    options = parser.parse_args()
    if options.small:
        options.repeat, options.places = 1, 1
    return options


def _wanted(case: Case, name: str, options: argparse.Namespace) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in options.cases) and (case.small or not options.small)


def _outcomes(plan: list[Any], options: argparse.Namespace, addresses: dict[str, Any]) -> Iterator[Outcome]:
    """Each case in a process of its own, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        for python, backend, case in plan:
            spec = Spec(
                case.name,
                backend,
                options.detector,
                options.threshold_ms,
                options.repeat,
                options.places,
                options.seed,
                addresses,
            )
            yield run(python, spec, Path(folder) / "outcome.json")


if __name__ == "__main__":
    sys.exit(main())
