"""Processes that want every core, for as long as a block of code runs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["hogs"]

HOG = """
import os, sys, time
parent, until = os.getppid(), time.monotonic() + float(sys.argv[1])
while os.getppid() == parent and time.monotonic() < until:
    sum(range(100_000))
"""


@contextmanager
def hogs(per_core: int, at_most_s: float = 600.0) -> Iterator[None]:
    """So many per core. They end with the block, with this process, or after `at_most_s`."""
    count = per_core * (os.cpu_count() or 1)
    started = [subprocess.Popen([sys.executable, "-c", HOG, str(at_most_s)]) for _ in range(count)]
    try:
        yield
    finally:
        for one in started:
            one.kill()
        for one in started:
            one.wait()
