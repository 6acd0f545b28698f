"""One process that goes through stalls by the thousand and says, every so often, how much memory it holds.

`synthetic`: a fake heartbeat on a fake clock, seen by a real watchdog, whose observations go through the engine's own queue,
resolver, judge, grouping and sinks. Every second stall comes from a function never seen before, so whatever is kept per place,
per function or per fingerprint without a bound shows. `asyncio` and `uvloop`: real, short stalls of a real loop.
"""

import argparse
import asyncio
import gc
import itertools
import json
import logging
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import loopwatch
from benchmarks.overhead.children.turn import new_loop
from loopwatch.engine import ENGINE
from loopwatch.probes.garbage import GarbageProbe
from loopwatch.probes.holders import HolderProbe
from loopwatch.probes.machine import MachineProbe
from loopwatch.probes.threads import ThreadProbe
from loopwatch.schedule import Limits
from loopwatch.testing import FakeClock, FakeHeartbeat
from loopwatch.watchdog import Watchdog, Watched

FILES, LINES, OLD_FUNCTIONS, DEPTH = 40, 300, 300, 12
BETWEEN_FLUSHES = 200
"""Fewer than the engine's queue holds, so that nothing is dropped and every stall does go through."""
REAL_THRESHOLD_MS = 2.0


@dataclass(frozen=True, slots=True)
class FakeFrame:
    """What `loopwatch.probes.stacks.capture` reads of a frame."""

    f_code: CodeType
    f_lasti: int
    f_globals: dict[str, Any]
    f_back: "FakeFrame | None"


def sources() -> list[Path]:
    """Real files, so that source lines are found and cached as they are in production."""
    folder = Path(tempfile.mkdtemp(prefix="loopwatch-benchmark-"))
    paths = [folder / f"module_{number}.py" for number in range(FILES)]
    for path in paths:
        path.write_text("".join(f"value_{line} = handler({line}, 'x')\n" for line in range(LINES)))
    return paths


def functions(paths: list[Path]) -> Iterator[CodeType]:
    """Code objects without end, no two with the same name, place and file."""
    model = compile("handler(1, 'x')", "model", "eval")
    for number in itertools.count():
        name, line = f"handler_{number}", 1 + number % LINES
        file = str(paths[number % FILES])
        yield model.replace(co_name=name, co_qualname=name, co_filename=file, co_firstlineno=line)


class Stalls:
    """Synthetic stalls: `run(n)` sends n of them through everything but a real loop."""

    def __init__(self) -> None:
        keep_a_loop_running()
        self.clock = FakeClock()
        self.heartbeat = FakeHeartbeat(self.clock)
        self.functions = functions(sources())
        self.old = [next(self.functions) for _ in range(OLD_FUNCTIONS)]
        self.chance = random.Random(0)
        self.frame: Any = None
        self.watchdog = Watchdog(
            clock=self.clock,
            limits=Limits(),
            emit=ENGINE.delivery.emit,
            garbage=GarbageProbe(),
            machine=MachineProbe(),
            holders=HolderProbe(),
            allowances=lambda *_: (),
            stall_ids=(f"s{number}" for number in range(10**9)),
            report_failure=logging.getLogger().error,
            frames=lambda: {self.heartbeat.info.thread_id: self.frame},
        )
        probe = ThreadProbe(threading.get_native_id())
        self.watchdog.watched = (Watched(object(), self.heartbeat, probe, frozenset(), self.clock.now_ns()),)

    def run(self, count: int) -> None:
        for number in range(count):
            self.one(new=number % 2 == 0)
            if number % BETWEEN_FLUSHES == 0 and not ENGINE.flush(60):
                raise RuntimeError("the delivery thread does not keep up")

    def one(self, new: bool) -> None:
        """A turn of 150 ms, sampled twice; the function that blocks is `new` or one of the old ones."""
        self.frame = None
        blocking = next(self.functions) if new else self.chance.choice(self.old)
        for code in (*self.chance.choices(self.old, k=DEPTH - 1), blocking):
            self.frame = FakeFrame(code, 0, {"__name__": code.co_name}, self.frame)
        self.heartbeat.start_turn()
        for _ in range(2):
            self.clock.advance(60)
            self.watchdog.look(self.clock.now_ns())
        self.clock.advance(30)
        self.heartbeat.end_turn()
        self.watchdog.look(self.clock.now_ns())
        self.clock.advance(10)
        self.heartbeat.expected.clear()  # the fake remembers for ever, which loopwatch must not be blamed for


def keep_a_loop_running() -> None:
    """The engine's own threads live as long as some loop runs."""
    started = threading.Event()

    async def idle() -> None:
        started.set()
        await asyncio.get_running_loop().create_future()

    threading.Thread(target=asyncio.run, args=(idle(),), daemon=True).start()
    started.wait()


class RealStalls:
    """Real ones: every callback of a running loop sleeps a little longer than the threshold allows."""

    def __init__(self, backend: str) -> None:
        self.loop = new_loop(backend)

    def run(self, count: int) -> None:
        self.loop.run_until_complete(self.block(count))
        ENGINE.flush(60)

    async def block(self, count: int) -> None:
        for _ in range(count):
            time.sleep(REAL_THRESHOLD_MS * 1.5 / 1000)
            await asyncio.sleep(0)


class Everything:
    """A sink that counts what it gets: all stalls, and news of incidents within their limit."""

    def __init__(self) -> None:
        self.stalls = self.news = 0

    def __call__(self, stall: loopwatch.Stall) -> None:
        self.stalls += 1

    def incident(self, incident: loopwatch.Incident) -> None:
        self.news += 1


class Log(logging.Handler):
    """What people would have to read, and how many stalls it says were held back."""

    def __init__(self) -> None:
        super().__init__()
        self.records = self.held_back = 0

    def emit(self, record: logging.LogRecord) -> None:
        if hasattr(record, "loopwatch"):  # not a sentence about loopwatch itself
            self.records += 1
            self.held_back += record.loopwatch.get("suppressed_count", 0)


def held() -> dict[str, int]:
    """Resident memory and the objects that the collector knows of, after a full collection."""
    gc.collect()
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[1])
    return {"rss_bytes": pages * os.sysconf("SC_PAGE_SIZE"), "objects": len(gc.get_objects())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=("synthetic", "asyncio", "uvloop"), required=True)
    parser.add_argument("--stalls", type=int, required=True)
    parser.add_argument("--readings", type=int, required=True)
    chosen = parser.parse_args()

    log, everything = Log(), Everything()
    logging.basicConfig(handlers=[log])
    threshold_ms = 100.0 if chosen.kind == "synthetic" else REAL_THRESHOLD_MS
    watch = loopwatch.enable(threshold_ms=threshold_ms, sinks=["logging", everything])
    run: Callable[[int], None] = Stalls().run if chosen.kind == "synthetic" else RealStalls(chosen.kind).run
    series = [{"stalls": 0, **held()}]
    for reading in range(1, chosen.readings + 1):
        run(chosen.stalls // chosen.readings)
        series.append({"stalls": reading * (chosen.stalls // chosen.readings), **held()})
    stats = watch.stats()
    kept = {"stalls": len(watch.stalls), "incidents": len(watch.incidents)}
    watch.close()
    counted = {
        "delivered": everything.stalls,
        "suspended": stats.suspended,
        "dropped": stats.dropped,
        "logged": log.records,
        "held back": log.held_back,
        "news of incidents": everything.news,
    }
    print(json.dumps({"series": series, "counted": counted, "kept": kept}))


if __name__ == "__main__":
    main()
