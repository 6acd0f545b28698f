"""What the gate costs a real suite: `python -m benchmarks.gate.cost FOLDER [--rounds N] [-- PYTEST ARGUMENTS]`.

Runs the tests in FOLDER (a source distribution, as it is) without the plugin, without it once more (the noise), and with
`--loopwatch`, interleaved; compares CPU time and each test's outcome. Needs whatever those tests need in this environment.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pairs import ROOT, bootstrap, interleave, ratios

SIDES = {"without": ["-p", "no:loopwatch"], "again": ["-p", "no:loopwatch"], "with": ["--loopwatch"]}


@dataclass(frozen=True)
class Run:
    """One run of the suite."""

    cpu_s: float
    outcomes: dict[str, str]


def run(folder: Path, options: list[str], arguments: list[str]) -> Run:
    """Run the suite in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        junit = Path(scratch) / "junit.xml"
        words = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", f"--junitxml={junit}", *options, *arguments]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        with open(os.devnull, "wb") as nowhere:
            child = subprocess.Popen(
                [sys.executable, "-m", "pytest", *words], cwd=folder, env=environment, stdout=nowhere, stderr=nowhere
            )
            _, _, used = os.wait4(child.pid, 0)
            child.returncode = 0
        return Run(used.ru_utime + used.ru_stime, _outcomes(junit))


def _outcomes(junit: Path) -> dict[str, str]:
    found = {}
    for case in ET.parse(junit).iter("testcase"):
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        found[f"{case.get('classname')}::{case.get('name')}"] = "+".join(sorted(kinds)) or "passed"
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("arguments", nargs="*", help="for pytest, after --")
    chosen = parser.parse_args()

    sides = {
        name: (lambda _, words=words: run(chosen.folder, words, chosen.arguments)) for name, words in SIDES.items()
    }
    runs = interleave(sides, chosen.rounds)
    base = [one.cpu_s for one in runs["without"]]
    print(f"{len(runs['without'][0].outcomes)} tests, {base[0]:.1f} s of CPU, {chosen.rounds} rounds")
    for name in ("again", "with"):
        used = [one.cpu_s for one in runs[name]]
        estimate = bootstrap(ratios(used, base))
        # What a neighbour does only ever adds: on a busy machine the least of each side says most.
        least = min(used) / min(base)
        print(
            f"  {name:<8} x{estimate.median:.3f} ({estimate.low:.3f} to {estimate.high:.3f}), least by least x{least:.3f}"
        )
    # A test that is not the same in two runs without the gate says nothing about it.
    steady = {
        test: kind
        for test, kind in runs["without"][0].outcomes.items()
        if all(r.outcomes.get(test) == kind for r in runs["again"])
    }
    changed = sorted(
        {
            (test, r.outcomes.get(test))
            for r in runs["with"]
            for test, kind in steady.items()
            if r.outcomes.get(test) != kind
        }
    )
    print(
        f"  {len(changed)} outcomes changed"
        + "".join(f"\n    {test}: {steady[test]} -> {kind}" for test, kind in changed)
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
