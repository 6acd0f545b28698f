"""Comparing sides fairly on a noisy machine: fresh processes, interleaved, compared round by round.

A machine drifts (clock speed, neighbours, heat), so sides measured one after the other differ even where they are
equal. Here every round runs every side once, every second round in the opposite order (A B, B A: each side's mean place
in time is the same), and only figures of one round are compared. One side is run twice under two names (A/A): what
those two differ by is the noise, and it is printed beside every result.
"""

import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

__all__ = [
    "ROOT",
    "ChildFailed",
    "Estimate",
    "bootstrap",
    "differences",
    "environment",
    "interleave",
    "ratios",
    "run_child",
]

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[1]
"""The root of the repository: children run there, so that they import this very tree."""


class ChildFailed(RuntimeError):
    """A measured process ended with an error; the message holds what it wrote."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A median with the interval in which it lies at the given confidence."""

    median: float
    low: float
    high: float
    count: int
    """From how many figures."""

    @property
    def width(self) -> float:
        return self.high - self.low

    def scaled(self, factor: float) -> "Estimate":
        """The same in another unit."""
        return Estimate(self.median * factor, self.low * factor, self.high * factor, self.count)


def environment(**extra: str) -> dict[str, str]:
    """The environment of a measured process: ours, less what would switch something on in one side only."""
    switches = ("LOOPWATCH_", "PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PYTHONPROFILEIMPORTTIME")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(switches)}
    return inherited | extra


def run_child(
    module: str, *arguments: str, timeout_s: float = 600.0, python: str = sys.executable, **extra: str
) -> dict[str, Any]:
    """Run a module in a fresh interpreter; its result is the JSON object on the last line that it prints."""
    command = [python, "-m", module, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(**extra), capture_output=True, text=True, timeout=timeout_s, check=False
    )
    if done.returncode != 0:
        raise ChildFailed(f"{' '.join(command[1:])} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def interleave(sides: Mapping[str, Callable[[int], T]], rounds: int) -> dict[str, list[T]]:
    """Measure every side once a round, in turn forwards and backwards.

    Args:
        sides: What to call for each side; it gets the number of the round.
        rounds: How many; an even number keeps the order balanced.

    Returns:
        For each side its figures, in the order of the rounds.
    """
    figures: dict[str, list[T]] = {name: [] for name in sides}
    for number in range(rounds):
        order = list(sides) if number % 2 == 0 else list(sides)[::-1]
        for name in order:
            figures[name].append(sides[name](number))
    return figures


def differences(figures: Sequence[float], base: Sequence[float]) -> list[float]:
    """Figure less base, round by round."""
    return [figure - reference for figure, reference in zip(figures, base, strict=True)]


def ratios(figures: Sequence[float], base: Sequence[float]) -> list[float]:
    """Figure by base, round by round."""
    return [figure / reference for figure, reference in zip(figures, base, strict=True)]


def bootstrap(figures: Sequence[float], *, confidence: float = 0.95, resamples: int = 2000) -> Estimate:
    """The median and its interval by the percentile bootstrap.

    The median, since a neighbour's burst of load spoils single rounds by a factor. Seeded: the same figures give the
    same interval.
    """
    chance = random.Random(0)
    medians = sorted(statistics.median(chance.choices(figures, k=len(figures))) for _ in range(resamples))
    tail = (1.0 - confidence) / 2.0
    low, high = medians[int(tail * resamples)], medians[min(resamples - 1, int((1.0 - tail) * resamples))]
    return Estimate(statistics.median(figures), low, high, len(figures))
