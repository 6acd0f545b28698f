"""Thousands of loops and threads that come and go under a watchdog that never rests: no crash, nothing piles up.

LIVE_SOAK_SECONDS says how long each of them runs.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from .processes import Process, running

SECONDS = float(os.environ.get("LIVE_SOAK_SECONDS", "8"))

pytestmark = pytest.mark.timeout(120 + 2 * SECONDS)

PRELUDE = """
import asyncio, gc, os, random, sys, threading, time, weakref
from apps import lines, loops

backend, seconds = sys.argv[1], float(sys.argv[2])
told = [0]

def count(stall):
    told[0] += 1

async def one_turn():
    # Around the threshold, so that the watchdog looks at about every second loop as it ends.
    loops.spin(random.choice((0, 0.001, 0.003, 0.005)))

def left():
    gc.collect()
    return {
        "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0,
        "objects": len(gc.get_objects()),
    }

def run_for(seconds, once):
    end, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        once()
        rounds += 1
    return rounds

def report(watch, rounds, before, alive=0):
    assert watch.flush(30)
    stats = watch.stats()
    facts = dict(stalls=stats.stalls, told=told[0], dropped=stats.dropped, loops=len(stats.loops))
    lines.loopwatch.disable()
    lines.say("done", rounds=rounds, before=before, after=left(), alive=alive, **facts)
"""


def soak(program: str, folder: Path, backend: str) -> dict[str, Any]:
    """What the program reports in the end, after it has run without a crash or a word on stderr."""
    with running(PRELUDE + program, folder, backend, str(SECONDS)) as process:
        assert (process.finish(within=60 + 2 * SECONDS), process.stderr) == (0, "")
    return the_report(process)


def the_report(process: Process) -> dict[str, Any]:
    (done,) = process.lines.all(what="done")
    return done


def assert_nothing_piled_up(done: dict[str, Any]) -> None:
    before, after = done["before"], done["after"]
    assert after["threads"] <= before["threads"]
    assert after["files"] <= before["files"] + 2
    # What `watch.stalls` and its statistics keep is bounded; one object a loop would be over this.
    assert after["objects"] - before["objects"] < max(3000, 2 * done["rounds"])


def test_short_lived_loops(tmp_path: Path, backend: str) -> None:
    """Loops that run one turn and close, one after the other, are all let go of, and never read after their end."""
    done = soak(
        """
watch = lines.enable(threshold_ms=2, sinks=[count], keep=10)
loops.run(backend, one_turn())
before, alive = left(), weakref.WeakSet()

def once():
    loop = loops.factory(backend)()
    alive.add(loop)
    loop.run_until_complete(one_turn())
    loop.close()

rounds = run_for(seconds, once)
watch.flush(30)  # the watchdog has let go of the last loops, too
gc.collect()
report(watch, rounds, before, len(alive))
""",
        tmp_path,
        backend,
    )

    assert done["rounds"] > 100
    assert done["alive"] <= 1
    assert done["loops"] < 100
    assert done["told"] + done["dropped"] == done["stalls"] > 0
    assert_nothing_piled_up(done)


def test_short_lived_threads_with_loops(tmp_path: Path, backend: str) -> None:
    """Threads that run a loop and end, several at a time, leave neither threads nor open files behind."""
    done = soak(
        """
watch = lines.enable(threshold_ms=2, sinks=[count], keep=10)
loops.run(backend, one_turn())
before = left()

def once():
    threads = [loops.start_in_thread(backend, one_turn) for _ in range(6)]
    for thread in threads:
        thread.join()

rounds = 6 * run_for(seconds, once)
report(watch, rounds, before)
""",
        tmp_path,
        backend,
    )

    assert done["rounds"] > 100
    assert done["told"] + done["dropped"] == done["stalls"] > 0
    assert_nothing_piled_up(done)


def test_enabled_and_disabled_under_running_loops(tmp_path: Path, backend: str) -> None:
    """Loops that begin, turn and end while another thread switches loopwatch on and off are not harmed."""
    done = soak(
        """
import loopwatch
before = left()
ending = threading.Event()

def loop_after_loop():
    while not ending.is_set():
        loops.run(backend, one_turn())

def once():
    watch = loopwatch.enable(threshold_ms=2, sinks=[count])
    time.sleep(random.random() * 0.01)
    loopwatch.disable()

threads = [threading.Thread(target=loop_after_loop) for _ in range(3)]
for thread in threads:
    thread.start()
rounds = run_for(seconds, once)
ending.set()
for thread in threads:
    thread.join()
report(loopwatch.enable(threshold_ms=2, sinks=[count]), rounds, before)
""",
        tmp_path,
        backend,
    )

    assert done["rounds"] > 20
    assert_nothing_piled_up(done)
