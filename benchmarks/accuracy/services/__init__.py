"""Slow local servers in a helper process: what real client libraries are made to wait for.

Each is told by its client, inside the request, how many milliseconds to wait (`wait-250`), so one process serves all
cases. Everything listens on loopback only. The helper ends when its standard input closes, so it cannot outlive us.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "environment", "started"]

ROOT = Path(__file__).resolve().parents[3]
"""The folder from which `benchmarks` is imported."""


@contextmanager
def started() -> Iterator[dict[str, Any]]:
    """Starts the helper process and yields the addresses it prints: name to port, folder or host."""
    command = [sys.executable, "-m", "benchmarks.accuracy.services"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(), text=True, **pipes) as helper:
        assert helper.stdin is not None and helper.stdout is not None
        try:
            yield json.loads(helper.stdout.readline())
        finally:
            helper.stdin.close()
            helper.wait(timeout=30)


def environment() -> dict[str, str]:
    """Our environment, with the repository importable."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
