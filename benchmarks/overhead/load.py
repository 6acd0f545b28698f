"""Putting load on a server from another process and another core: `wrk` where it is installed, else our own client."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

from benchmarks.pairs import ROOT, ChildFailed, environment

__all__ = ["CONNECTIONS", "Load", "client_name", "cores", "drive"]

CONNECTIONS = 32
"""Enough that the server is never idle, few enough that its queue does not drown the latencies."""

UNITS_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True, slots=True)
class Load:
    """What one stretch of load measured."""

    requests: int
    rps: float
    p50_ms: float
    p99_ms: float
    errors: int


def client_name() -> str:
    return "wrk" if shutil.which("wrk") else "the bundled client"


def cores() -> tuple[int | None, int | None]:
    """One core for the server, another for the client; None where there are not two, or no way to pin.

    The server gets a core for all of its threads, as a container that is granted one core does: loopwatch's threads
    then take their time from the loop, and cannot hide on a core that would have been idle.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    usable = sorted(os.sched_getaffinity(0))
    return (usable[-1], usable[0]) if len(usable) > 1 else (None, None)


def drive(port: int, seconds: float, core: int | None) -> Load:
    """Load the server for so long."""
    if shutil.which("wrk"):
        output = _run(
            ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "--latency", f"http://127.0.0.1:{port}/"], core
        )
        return parse_wrk(output)
    module = "benchmarks.overhead.children.client"
    chosen = ["--port", str(port), "--connections", str(CONNECTIONS), "--seconds", str(seconds)]
    return Load(**json.loads(_run([sys.executable, "-m", module, *chosen], core)))


def parse_wrk(output: str) -> Load:
    """wrk's report as figures; errors are answers that were not 2xx or 3xx, and broken connections."""
    shares = re.findall(r"(\d+)%\s+([\d.]+)(us|ms|s|m)\b", output)
    percentiles = {share: float(value) * UNITS_MS[unit] for share, value, unit in shares}
    requests, seconds = (
        re.search(r"(\d+) requests in ([\d.]+)s", output),
        re.search(r"Requests/sec:\s+([\d.]+)", output),
    )
    if requests is None or seconds is None:
        raise ChildFailed(f"wrk printed no figures:\n{output}")
    broken = [int(count) for count in re.findall(r"(?:connect|read|write|timeout|responses:) (\d+)", output)]
    return Load(int(requests[1]), float(seconds[1]), percentiles["50"], percentiles["99"], sum(broken))


def _run(command: list[str], core: int | None) -> str:
    """The affinity is set by the child on itself before it becomes the client, so no thread of it escapes."""
    pin = None if core is None else (lambda: os.sched_setaffinity(0, {core}))
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, preexec_fn=pin
    )
    if done.returncode != 0:
        raise ChildFailed(f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout
