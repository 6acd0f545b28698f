"""Innocent and guilty tests beside CPU hogs on every core: failures of the innocent, escapes of the guilty."""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.accuracy.machine import busy_processes
from benchmarks.pairs import ROOT

__all__ = ["Tally", "run_suite", "runs_beside_hogs"]

SUITES = Path(__file__).parent / "suites"
WITHIN_S = 900.0


@dataclass
class Tally:
    """What became of one suite's tests."""

    tests: int = 0
    blocked: list[str] = field(default_factory=list)
    """Node ids that the gate failed."""
    clean: list[str] = field(default_factory=list)
    """Node ids that passed it."""
    unmeasured: list[str] = field(default_factory=list)
    blocks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def forgiven(self) -> Counter[str]:
        """Stalls that were not held against a test, by cause."""
        return Counter(one["cause"] for one in self.blocks if one["verdict"] == "machine")


def run_suite(name: str, rounds: int, *arguments: str) -> Tally:
    """One pytest session over `suites/test_NAME.py`, each test `rounds` times."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        words = ["-q", "--no-header", "--tb=no", "-p", "no:cacheprovider", "-p", "no:randomly", "-c", os.devnull]
        plugins = ["-p", "loopwatch.pytest_plugin", "-p", "pytest_asyncio.plugin"]
        gate = ["--loopwatch", f"--loopwatch-report={report}", f"--rootdir={SUITES}", str(SUITES / f"test_{name}.py")]
        environment = {**os.environ, "LOOPWATCH_ROUNDS": str(rounds), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")])
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "pytest", *words, *plugins, *gate, *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
        )
        if not report.exists():
            raise RuntimeError(f"no report of {name}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
        return _tally(json.loads(report.read_text("utf-8")))


def _tally(report: dict[str, Any]) -> Tally:
    tally = Tally(tests=len(report["tests"]), blocks=report["blocks"])
    for test, verdict in report["tests"].items():
        {"blocked": tally.blocked, "unmeasured": tally.unmeasured}.get(verdict, tally.clean).append(test)
    return tally


def runs_beside_hogs(per_core: int, rounds: int) -> tuple[Tally, Tally]:
    """Innocent, guilty."""
    with busy_processes(per_core * (os.cpu_count() or 1)):
        return run_suite("innocent", rounds), run_suite("guilty", rounds)
