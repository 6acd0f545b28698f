"""Runs `run_case` in a fresh process, and makes an outcome of whatever becomes of it."""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

from benchmarks.accuracy import services
from benchmarks.accuracy.facts import Outcome, outcome_from_json
from benchmarks.accuracy.run_case import Spec

__all__ = ["run"]

TIMEOUT_S = 180
"""For one case: some calibrate, under load, for half a minute."""


def run(python: str, spec: Spec, path: Path, timeout_s: float = TIMEOUT_S) -> Outcome:
    """One case in a process of its own, which leaves its outcome at `path`."""
    path.unlink(missing_ok=True)
    command = [python, "-m", "benchmarks.accuracy.run_case", json.dumps(asdict(spec)), str(path)]
    log = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    try:
        done = subprocess.run(command, env=services.environment(), timeout=timeout_s, text=True, **log)
    except subprocess.TimeoutExpired:
        return _failed(python, spec, f"not done after {timeout_s:g} s")
    if path.exists():
        return outcome_from_json(json.loads(path.read_text()))
    tail = "\n".join(done.stderr.strip().splitlines()[-5:])
    return _failed(python, spec, f"{tail}\nexit code {done.returncode}: {tail.splitlines()[-1:] or 'no output'}")


def _failed(python: str, spec: Spec, why: str) -> Outcome:
    return Outcome(spec.case, spec.backend, python, spec.detector, error=why)
