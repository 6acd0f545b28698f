"""What does `import loopwatch` add to the start of an interpreter, and does it bring in anything from outside?

Whole processes are timed from outside, so what an import costs at exit counts as well; bytecode is cached by a run before
the first round, as it is for an installed package.
"""

import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import describe
from benchmarks.overhead.report import Check, Report, finish, options, plus_minus
from benchmarks.pairs import ROOT, ChildFailed, Estimate, bootstrap, differences, environment, interleave

SIDES = {
    "bare": (),
    "bare again": (),
    "import loopwatch": ("import loopwatch",),
    "import and enable()": ("import loopwatch", "loopwatch = __import__('loopwatch'); loopwatch.enable()"),
    "import asyncio": ("import asyncio",),
}
"""asyncio for scale: who watches an event loop has imported one."""
LIMIT_MS = 30.0
"""DESIGN section 6."""
IMPORTER = Path(__file__).parent / "children" / "importer.py"

Process = dict[str, Any]


def measure_side(statements: tuple[str, ...], _round: int) -> Process:
    command = [sys.executable, str(IMPORTER), *statements]
    began_ns = time.perf_counter_ns()
    # The folder of a script heads sys.path, not the current one: the repository's root must be named.
    done = subprocess.run(
        command, env=environment(PYTHONPATH=str(ROOT)), cwd=ROOT, capture_output=True, text=True, check=False
    )
    took_ns = time.perf_counter_ns() - began_ns
    if done.returncode != 0:
        raise ChildFailed(done.stderr[-4000:])
    return {"process_ms": took_ns / 1e6, **json.loads(done.stdout.splitlines()[-1])}


def extra_ms(figures: dict[str, list[Process]], side: str) -> Estimate:
    base = [process["process_ms"] for process in figures["bare"]]
    return bootstrap(differences([process["process_ms"] for process in figures[side]], base))


def foreign(process: Process) -> list[str]:
    """Top-level modules that are neither the standard library's nor loopwatch's."""
    tops = {name.partition(".")[0] for name in process["modules"]}
    return sorted(tops - set(sys.stdlib_module_names) - {"loopwatch"})


def row(side: str, figures: dict[str, list[Process]]) -> tuple[object, ...]:
    processes = figures[side]
    whole = [process["process_ms"] for process in processes]
    return (
        side,
        f"{median(whole):.2f}",
        f"{min(whole):.2f}",
        plus_minus(extra_ms(figures, side), 3) if side != "bare" else "",
        f"{median(process['inside_ns'] for process in processes) / 1e6:.2f}",
        len(processes[0]["modules"]),
        ", ".join(foreign(processes[0])) or "none",
    )


def main(argv: list[str] | None = None) -> int:
    arguments = options(__doc__).parse_args(argv)
    columns = ("process", "median ms", "min ms", "adds ms", "inside ms", "modules", "third-party modules")
    report = Report("import loopwatch", describe(), columns)
    sides = {name: partial(measure_side, statements) for name, statements in SIDES.items()}
    interleave(sides, 1)
    figures = interleave(sides, 4 if arguments.quick else 30)
    report.noise.append(f"A/A difference {plus_minus(extra_ms(figures, 'bare again'), 3)} ms")
    report.rows += [row(side, figures) for side in SIDES]
    extra, brought = extra_ms(figures, "import loopwatch"), len(foreign(figures["import loopwatch"][0]))
    report.checks.append(Check("import loopwatch, beyond the bare interpreter", extra, LIMIT_MS, "ms"))
    report.checks.append(Check("third-party modules imported by it", Estimate(brought, brought, brought, 1), 0))
    report.notes.append("inside: the statements alone, timed by the process itself")
    report.figures["processes"] = figures
    return finish(report, arguments)


if __name__ == "__main__":
    sys.exit(main())
