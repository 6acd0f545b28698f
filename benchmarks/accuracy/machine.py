"""The machine that a run is measured on: what it is, how busy it is, and how to make it busier."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["busy_processes", "description", "load"]

HOG = """
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(100_000):
        pass
"""
"""Ends by itself when its parent has died."""


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keeps `count` processes of pure Python busy."""
    hogs = [subprocess.Popen([sys.executable, "-S", "-c", HOG]) for _ in range(count)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
        for hog in hogs:
            hog.wait()


def description() -> str:
    """Processor, cores and kernel: what one needs to know to compare figures."""
    return f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def load() -> str:
    """The load averages of the last 1, 5 and 15 minutes."""
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
