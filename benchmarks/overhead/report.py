"""The common face of the overhead benchmarks: options, table, checks against the promised figures, JSON."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import Machine, load_average
from benchmarks.pairs import Estimate

__all__ = ["Check", "Report", "finish", "options", "plus_minus", "table"]


@dataclass(frozen=True, slots=True)
class Check:
    """One promised figure beside the measured one."""

    what: str
    measured: Estimate
    limit: float
    unit: str = ""
    at_least: bool = False
    """True: the figure must reach the limit; False: it must not exceed it."""

    @property
    def passed(self) -> bool:
        """By the median; `unsure` tells whether the noise allows the opposite too."""
        return self.measured.median >= self.limit if self.at_least else self.measured.median <= self.limit

    @property
    def unsure(self) -> bool:
        return self.measured.low < self.limit < self.measured.high

    def line(self) -> str:
        relation = ">=" if self.at_least else "<="
        doubt = "   (the interval crosses the limit: more rounds, or a quieter machine)" if self.unsure else ""
        verdict = "PASS" if self.passed else "FAIL"
        return f"{verdict}  {self.what}: {plus_minus(self.measured)} {self.unit} {relation} {self.limit:.4g}{doubt}"


@dataclass(slots=True)
class Report:
    """All that one benchmark found."""

    name: str
    machine: Machine
    columns: tuple[str, ...]
    rows: list[tuple[object, ...]] = field(default_factory=list)
    noise: list[str] = field(default_factory=list)
    """What the A/A pairs showed, a sentence each."""
    notes: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    """Everything measured, for the JSON file."""


def options(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n\n")[0])
    parser.add_argument("--json", type=Path, metavar="OUT", help="write everything measured to this file")
    parser.add_argument(
        "--quick", action="store_true", help="a short run that shows that it works; too short for figures"
    )
    return parser


def plus_minus(estimate: Estimate, digits: int = 4) -> str:
    """ "1.02 [1.01, 1.03]"; one figure alone has no interval."""
    if estimate.count < 2:
        return f"{estimate.median:.{digits}g}"
    return f"{estimate.median:.{digits}g} [{estimate.low:.{digits}g}, {estimate.high:.{digits}g}]"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Aligned text: words to the left, everything else to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(line[index]) for line in [list(columns), *cells]) for index in range(len(columns))]
    text = [
        bool(rows) and all(isinstance(row[index], str) and index < 2 for row in rows) for index in range(len(columns))
    ]

    def aligned(line: Sequence[str]) -> str:
        parts = [
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(line, widths, text, strict=True)
        ]
        return "  ".join(parts).rstrip()

    return "\n".join([aligned(columns), aligned(["-" * width for width in widths]), *map(aligned, cells)])


def finish(report: Report, arguments: argparse.Namespace) -> int:
    """Print the report, write the JSON file if asked to; the exit code is 1 where a check failed."""
    load_after = load_average()
    print(f"\n{report.name}{' (quick: not to be quoted)' if arguments.quick else ''}\n")
    print("\n".join([*report.machine.lines(), f"          {' '.join(f'{value:.2f}' for value in load_after)} after"]))
    print("\n".join(f"noise     {line}" for line in report.noise))
    print("\n" + table(report.columns, report.rows) + "\n")
    print(
        "\n".join([*(f"note  {line}" for line in report.notes), *(check.line() for check in report.checks)]), flush=True
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(_as_json(report, load_after), indent=1, default=str), encoding="utf-8")
    return 0 if all(check.passed for check in report.checks) else 1


def _as_json(report: Report, load_after: tuple[float, ...]) -> dict[str, Any]:
    content = asdict(report)
    content["load_after"] = load_after
    for check, saved in zip(report.checks, content["checks"], strict=True):
        saved["passed"], saved["unsure"] = check.passed, check.unsure
    return content
