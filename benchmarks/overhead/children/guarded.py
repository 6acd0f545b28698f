"""A loop with a sentinel beside it: idle, busy, saturated, beside threads that compute as well, or stalling under a held GIL."""

import argparse
import asyncio
import json
import os
import random
import threading
import time
from typing import Any

import loopwatch
from benchmarks.overhead.children.turn import new_loop
from loopwatch.engine import ENGINE

PATIENCE_S = 20.0
HOGS = 4
STALL_S = 0.35
"""CPU time of one stall; three times what the sentinel is to need."""


async def guarded() -> None:
    """Until the sentinel is there."""
    until = time.monotonic() + PATIENCE_S
    while ENGINE.sentinel.pid is None and time.monotonic() < until:
        await asyncio.sleep(0.01)


def burn(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def exponent(cpu_s: float) -> int:
    """3 ** n takes about that long: twice the n takes 2 ** 1.585 times as long (Karatsuba)."""
    n, took = 100_000, 0.0
    while took < 0.04:
        n, began = 2 * n, time.thread_time()
        3**n
        took = time.thread_time() - began
    return int(n * (cpu_s / took) ** (1 / 1.585))


async def idle() -> None:
    await asyncio.get_running_loop().create_future()


async def busy() -> None:
    """Turns of 3 ms, with a millisecond of waiting between them."""
    while True:
        burn(0.003)
        await asyncio.sleep(0.001)


async def saturated() -> None:
    """Turns of a millisecond and no waiting: the watchdog is outrun for seconds on end."""
    while True:
        burn(0.001)
        await asyncio.sleep(0)


async def crowded() -> None:
    """A busy loop beside threads that want the GIL all the time."""
    for _ in range(HOGS):
        threading.Thread(target=burn, args=(3600.0,), daemon=True).start()
    await busy()


async def stalls(count: int) -> list[dict[str, Any]]:
    """Operators that keep the GIL; for each, when the sentinel knew its line. Milliseconds from its start; None: never."""
    n, chance = exponent(STALL_S), random.Random(1)
    found: list[dict[str, Any]] = []
    for _ in range(count):
        await asyncio.sleep(
            1.1 + chance.random() * 0.1
        )  # a dump a second is what the sentinel may take in the long run
        began = time.monotonic_ns()
        3**n
        ended = time.monotonic_ns()
        await asyncio.sleep(0.2)
        dump = next((one for one in ENGINE.sentinel.dumps() if began <= one.ended_ns <= ended), None)
        known = None if dump is None else (dump.ended_ns - began) / 1e6
        took = None if dump is None else (dump.ended_ns - dump.began_ns) / 1e6
        found.append({"stall_ms": (ended - began) / 1e6, "known_ms": known, "dump_ms": took})
    return found


async def main(do: str, count: int) -> None:
    await guarded()
    ready: dict[str, Any] = {"pid": os.getpid(), "sentinel": ENGINE.sentinel.pid}
    if do == "stalls":
        print(json.dumps(ready | {"stalls": await stalls(count)}), flush=True)
        return
    print(json.dumps(ready), flush=True)
    await {"idle": idle, "busy": busy, "saturated": saturated, "crowded": crowded}[do]()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--do", choices=("idle", "busy", "saturated", "crowded", "stalls"), required=True)
    parser.add_argument("--count", type=int, default=20)
    chosen = parser.parse_args()
    loopwatch.enable(sentinel=True, sinks=(), ongoing_ms=None)
    new_loop(chosen.backend).run_until_complete(main(chosen.do, chosen.count))
