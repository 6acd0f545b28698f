"""`pyright --verifytypes`, held to the modules that users import: there every type is known and every name documented."""

import json
import os
import subprocess
import sys
from pathlib import Path

PUBLIC = (
    "loopwatch.allowing",
    "loopwatch.auto",
    "loopwatch.clocks",
    "loopwatch.errors",
    "loopwatch.records",
    "loopwatch.settings",
    "loopwatch.testing",
    "loopwatch.watch",
)
"""Modules of the public contract, and those whose names `loopwatch` shows as its own."""


def main() -> int:
    # Without the environment on PATH pyright looks for the package in another Python.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    command = [sys.executable, "-m", "pyright", "--verifytypes", "loopwatch", "--ignoreexternal", "--outputjson"]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env={**os.environ, "PATH": path})
    symbols = json.loads(run.stdout).get("typeCompleteness", {}).get("symbols", [])
    ours = [symbol for symbol in symbols if symbol["isExported"] and _module_of(symbol["name"]) in PUBLIC]
    wrong = [symbol for symbol in ours if not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"]]
    for symbol in wrong:
        print(f"{symbol['name']}: its type is not known to every checker; annotate it")
        for line in symbol["diagnostics"]:
            print(f"    {line['message']}")
    print(f"{len(ours) - len(wrong)} of {len(ours)} public symbols are fully typed")
    return 1 if wrong or not ours else 0


def _module_of(name: str) -> str:
    return ".".join(name.split(".")[:2])


if __name__ == "__main__":
    sys.exit(main())
