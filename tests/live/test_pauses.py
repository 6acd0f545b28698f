"""A process that someone stops, or a loop that a debugger holds, does not block: it is counted as suspended, not told."""

import os
import signal
import time
from pathlib import Path

import pytest

from .apps import loops
from .debug_adapter import DebugClient
from .processes import Process, require, running, until

PAUSE_S = 0.6
"""How long a process is held, in seconds: far over the threshold of 100 ms."""

PRELUDE = """
import asyncio, sys
from apps import lines, loops

watch = lines.enable()

def finish():
    watch.flush()
    lines.say("stats", suspended=watch.stats().suspended)
"""


def suspended(process: Process) -> int:
    """How many pauses the program says it has seen."""
    (stats,) = process.lines.wait(what="stats")
    return stats["suspended"]


# ── SIGSTOP ─────────────────────────────────────────────────────────────────────────────────────────────────────

UNTIL_TOLD = (
    PRELUDE
    + """
async def main():
    told = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    lines.say("running")
    while not told.done():
        if sys.argv[2] == "busy":
            loops.spin(0.005)
        await asyncio.sleep(0.001 if sys.argv[2] == "busy" else 0.02)
    loops.block()
    await asyncio.sleep(0.01)

loops.run(sys.argv[1], main())
finish()
"""
)


def hold(pid: int) -> None:
    """Stops a process, and lets it go on after `PAUSE_S`."""
    os.kill(pid, signal.SIGSTOP)
    _, status = os.waitpid(pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    time.sleep(PAUSE_S)
    os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("state", ["busy", "idle"])
def test_stopped_process(tmp_path: Path, backend: str, state: str) -> None:
    """A process that was stopped, computing or waiting, is not said to have blocked; what it blocks later is."""
    with running(UNTIL_TOLD, tmp_path, backend, state) as process:
        process.lines.wait(what="running")
        for _ in range(3):
            hold(process.pid)
            time.sleep(0.2)  # running again, for the next pause to be another one
        process.tell("go on")
        seen = suspended(process)
        assert process.finish() == 0

    assert [stall["line"] for stall in process.lines.blamed()] == [loops.BLOCK_LINE]
    # An idle loop loses nothing; uvloop's turns are seen by the watchdog alone, which was stopped as well.
    assert seen == 3 if (backend, state) == ("asyncio", "busy") else seen <= 3


def test_stopped_in_the_middle_of_a_block(tmp_path: Path, backend: str) -> None:
    """A turn that is stopped and computes as well is told, and the pause is not counted as its own time."""
    program = (
        PRELUDE
        + """
async def main():
    await asyncio.sleep(0.01)
    lines.say("running")
    loops.spin(1.2)
    await asyncio.sleep(0.01)

loops.run(sys.argv[1], main())
watch.flush()
(stall,) = [stall for stall in watch.stalls if stall.duration_ms > 1000]
lines.say("own", own_ms=stall.own_ms, duration_ms=stall.duration_ms)
"""
    )
    with running(program, tmp_path, backend) as process:
        process.lines.wait(what="running")
        hold(process.pid)
        assert process.finish() == 0, process.stderr

    (own,) = process.lines.all(what="own")
    assert own["own_ms"] <= own["duration_ms"] - 1000 * PAUSE_S + 100


# ── debuggers ───────────────────────────────────────────────────────────────────────────────────────────────────

AT_A_BREAKPOINT = (
    PRELUDE
    + """
if sys.argv[2] == "debugpy":
    import debugpy
    host, port = debugpy.listen(("127.0.0.1", 0))
    lines.say("listening", port=port)
    debugpy.wait_for_client()

def held():
    {stop}  # HELD

async def main():
    await asyncio.sleep(0.01)
    held()
    await asyncio.sleep(0.01)
    loops.block()
    await asyncio.sleep(0.01)

loops.run(sys.argv[1], main())
finish()
"""
)


def assert_only_the_block_is_told(process: Process) -> None:
    assert [(stall["file"], stall["line"]) for stall in process.lines.blamed()] == [(loops.__file__, loops.BLOCK_LINE)]


def test_pdb(tmp_path: Path, backend: str) -> None:
    """A person who thinks at a `breakpoint()` does not block the loop; the program that goes on and blocks does."""
    with running(AT_A_BREAKPOINT.format(stop="breakpoint()"), tmp_path, backend, "pdb") as process:
        until(lambda: "(Pdb)" in process.stdout, 30, "prompt")
        time.sleep(PAUSE_S)
        process.tell("where")
        time.sleep(PAUSE_S)
        process.tell("continue")
        assert process.finish() == 0, process.stderr

    assert_only_the_block_is_told(process)
    assert suspended(process) == 1


def test_pdb_for_longer_than_an_announcement(tmp_path: Path) -> None:
    """A loop that stands at a prompt for longer than `ongoing_ms` is not announced either."""
    source = AT_A_BREAKPOINT.format(stop="breakpoint()").replace("lines.enable()", "lines.enable(ongoing_ms=200)")
    with running(source, tmp_path, "asyncio", "pdb") as process:
        until(lambda: "(Pdb)" in process.stdout, 30, "prompt")
        time.sleep(2 * PAUSE_S)
        process.tell("continue")
        assert process.finish() == 0, process.stderr

    assert [line["line"] for line in process.lines.blamed() if line["state"] == "ongoing"] in ([], [loops.BLOCK_LINE])
    assert [line["line"] for line in process.lines.blamed() if line["state"] == "ended"] == [loops.BLOCK_LINE]


def test_debugpy(tmp_path: Path, backend: str) -> None:
    """A breakpoint set from an editor holds the loop without blaming it; the program that goes on and blocks is told."""
    require("debugpy")
    source = AT_A_BREAKPOINT.format(stop="lines.say('held')")
    with running(source, tmp_path, backend, "debugpy", flags=("-X", "frozen_modules=off")) as process:
        (listening,) = process.lines.wait(what="listening")
        with DebugClient(listening["port"]) as client:
            client.attach(process.file, loops.line_of("HELD", process.file))
            thread = client.wait_until_stopped()
            time.sleep(PAUSE_S)
            client.go_on(thread)
            assert process.finish(within=60) == 0, process.stderr

    assert_only_the_block_is_told(process)
    # The debugger held the watchdog as well, without which a pause is seen on asyncio only.
    assert suspended(process) == 1 if backend == "asyncio" else suspended(process) <= 1
