"""The gate on a busy machine: `python -m benchmarks.gate [--rounds N] [--hogs N ...] [--json FILE]`.

Runs every innocent and every guilty test N times beside so many CPU hogs per core, and says how many innocent ones failed and how
many guilty ones passed. Both must be none.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.gate.flakes import Tally, runs_beside_hogs


def line(what: str, tally: Tally, wrong: list[str]) -> str:
    forgiven = ", ".join(f"{count} {cause}" for cause, count in tally.forgiven.most_common()) or "none"
    counts = f"{tally.tests:5d} tests  {len(wrong):3d} wrong  {len(tally.unmeasured):3d} unmeasured"
    return f"  {what:<9} {counts}  forgiven stalls: {forgiven}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help="how often each test runs (default: 30, some 700 tests)")
    parser.add_argument("--hogs", type=int, nargs="+", default=[1, 4], help="CPU hogs per core (default: 1 4)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was found")
    chosen = parser.parse_args()

    found, wrong = {}, 0
    for per_core in chosen.hogs:
        began_s = time.monotonic()
        innocent, guilty = runs_beside_hogs(per_core, chosen.rounds)
        escaped = [*guilty.clean, *guilty.unmeasured]
        print(f"{per_core} hogs per core ({time.monotonic() - began_s:.0f} s)", flush=True)
        print(line("innocent", innocent, innocent.blocked), line("guilty", guilty, escaped), sep="\n", flush=True)
        for test in innocent.blocked + escaped:
            print(f"    wrong: {test}", flush=True)
        wrong += len(innocent.blocked) + len(escaped)
        found[per_core] = {"innocent": asdict(innocent), "guilty": asdict(guilty)}
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
