"""Can this tool be switched on and off here? Prints what came of it, as JSON."""

import asyncio
import inspect
import json
import platform
import sys
from typing import Any

from benchmarks.accuracy import adapters
from benchmarks.machine import version
from benchmarks.overhead.children.turn import new_loop
from benchmarks.peers.tools import TOOLS


def main(name: str, backend: str) -> dict[str, Any]:
    missing = error = None
    try:
        _switch(name, backend)
    except ImportError as problem:
        missing, error = problem.name or str(problem), str(problem)
    except Exception as problem:
        error = f"{type(problem).__name__}: {problem}"
    installed = {tool.package: version(tool.package) for tool in TOOLS if tool.package}
    versions = {package: number for package, number in installed.items() if number}
    return {"python": platform.python_version(), "versions": versions, "missing": missing, "error": error}


def _switch(name: str, backend: str) -> None:
    detector = adapters.load(name)
    loop = new_loop(backend)
    try:
        if not detector.inside:
            detector.start(100.0)
        loop.run_until_complete(_inside(detector) if detector.inside else asyncio.sleep(0.05))
        if not detector.inside:
            detector.stop()
    finally:
        loop.close()


async def _inside(detector: adapters.Detector) -> None:
    for step in (lambda: detector.start(100.0), lambda: asyncio.sleep(0.05), detector.stop):
        answer = step()
        if inspect.isawaitable(answer):
            await answer


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
