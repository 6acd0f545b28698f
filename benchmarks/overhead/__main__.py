"""All overhead benchmarks, one after the other: `python -m benchmarks.overhead [--quick] [--json FOLDER] [NAME ...]`."""

import argparse
import importlib
import sys
import time
from pathlib import Path

NAMES = ("imports", "capture", "turns", "idle", "sentinel", "memory", "fastapi")
"""Short ones first."""


def run(name: str, quick: bool, folder: Path | None) -> int:
    """One benchmark in this process; what it measures runs in processes of its own anyway."""
    options = ["--quick"] * quick
    if folder is not None:
        options += ["--json", str(folder / f"{name}.json")]
    result: int = importlib.import_module(f"benchmarks.overhead.{name}").main(options)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(NAMES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="short runs that show that everything works")
    parser.add_argument("--json", type=Path, metavar="FOLDER", help="write NAME.json for each into this folder")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(NAMES):
        parser.error(f"no benchmark named {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}")
    if chosen.json is not None:
        chosen.json.mkdir(parents=True, exist_ok=True)

    results = {}
    for name in chosen.names or NAMES:
        began_s = time.monotonic()
        results[name] = run(name, chosen.quick, chosen.json)
        print(f"({name}: {time.monotonic() - began_s:.0f} s)", flush=True)
    print("\n" + "\n".join(f"{'FAIL' if result else 'PASS'}  {name}" for name, result in results.items()))
    return max(results.values())


if __name__ == "__main__":
    sys.exit(main())
