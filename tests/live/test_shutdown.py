"""Processes that end: at any moment, in bounded time, in silence, and with the last stall delivered."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .apps import loops
from .processes import EXIT_WITHIN_S, Process, require, running, serving
from .test_servers import SERVERS

PRELUDE = """
import asyncio, os, sys, threading, time
from apps import lines, loops

backend = sys.argv[1]
"""


def run(program: str, folder: Path, backend: str, *, code: int = 0) -> Process:
    """The program after it has ended by itself, with this exit code and without a word on stderr."""
    with running(PRELUDE + program, folder, backend) as process:
        assert (process.finish(EXIT_WITHIN_S), process.stderr) == (code, "")
    return process


def seconds_to_exit(process: Process) -> float:
    """From the line in which the program says that it ends until now."""
    (line,) = process.lines.all(what="ending")
    return time.monotonic() - line["at"]


def test_last_stall_is_delivered(tmp_path: Path, backend: str) -> None:
    """A program that ends right after a stall still delivers it, without being asked to flush."""
    process = run(
        """
lines.enable()

async def main():
    loops.block()

loops.run(backend, main())
""",
        tmp_path,
        backend,
    )

    assert len(process.lines.stalls(line=loops.BLOCK_LINE)) == 1


def test_exit_while_a_thread_blocks_its_loop(tmp_path: Path, backend: str) -> None:
    """The main thread may end while the loop of a daemon thread is stuck in a wait, with or without the GIL."""
    process = run(
        """
lines.enable(ongoing_ms=None)

async def main():
    await asyncio.sleep(0.01)
    begun.set()
    loops.block(60) if sys.argv[1] == "asyncio" else loops.spin(60)

begun = threading.Event()
loops.start_in_thread(backend, main, daemon=True)
begun.wait()
time.sleep(0.2)  # the stall is over the threshold, and being sampled
lines.say("ending", at=time.monotonic())
""",
        tmp_path,
        backend,
    )

    assert seconds_to_exit(process) < 5


def test_exit_while_a_loop_runs_in_a_thread(tmp_path: Path, backend: str) -> None:
    """The main thread may end while loops of daemon threads turn without pause, each turn seen by the watchdog."""
    process = run(
        """
lines.enable(threshold_ms=1, sinks=[])

async def main():
    while True:
        loops.spin(0.002)
        begun.set()
        await asyncio.sleep(0)

begun = threading.Event()
for _ in range(3):
    loops.start_in_thread(backend, main, daemon=True)
begun.wait()
lines.say("ending", at=time.monotonic())
""",
        tmp_path,
        backend,
    )

    assert seconds_to_exit(process) < 5


def test_sys_exit_in_a_callback(tmp_path: Path, backend: str) -> None:
    """`sys.exit(3)` from a callback ends the program with 3, and the stall that went before is delivered."""
    process = run(
        """
lines.enable()

async def main():
    loops.block()
    await asyncio.sleep(0.01)
    asyncio.get_running_loop().call_soon(sys.exit, 3)
    await asyncio.sleep(30)

loops.run(backend, main())
""",
        tmp_path,
        backend,
        code=3,
    )

    assert len(process.lines.stalls(line=loops.BLOCK_LINE)) == 1


def test_exit_in_the_blocking_turn(tmp_path: Path, backend: str) -> None:
    """A turn that blocks and then raises SystemExit out of the loop is told as well."""
    process = run(
        """
lines.enable()

def block_and_leave():
    loops.block()
    sys.exit(4)

async def main():
    asyncio.get_running_loop().call_soon(block_and_leave)
    await asyncio.sleep(30)

loops.run(backend, main())
""",
        tmp_path,
        backend,
        code=4,
    )

    assert len(process.lines.stalls(line=loops.BLOCK_LINE)) == 1


def test_loop_left_unclosed(tmp_path: Path, backend: str) -> None:
    """A program that ends with a stopped loop which nobody closed ends in silence."""
    process = run(
        """
import warnings
warnings.simplefilter("ignore", ResourceWarning)
lines.enable()
loop = loops.factory(backend)()
loop.run_until_complete(asyncio.sleep(0.01))
loop.call_soon(loops.block)
loop.call_soon(loop.stop)
loop.run_forever()
""",
        tmp_path,
        backend,
    )

    assert len(process.lines.stalls(line=loops.BLOCK_LINE)) == 1


@pytest.mark.parametrize("wait", ["time.sleep(60)", "loops.spin(60)", "threading.Event().wait(60)"])
def test_sink_that_hangs(tmp_path: Path, wait: str) -> None:
    """A sink that never returns holds up the end of the program for a few seconds at most."""
    process = run(
        f"""
def hanging(stall):
    {wait}

lines.enable(sinks=[hanging])

async def main():
    loops.block()

loops.run(backend, main())
lines.say("ending", at=time.monotonic())
""",
        tmp_path,
        "asyncio",
    )

    assert seconds_to_exit(process) < 10


def test_disabled_at_exit(tmp_path: Path, backend: str) -> None:
    """`disable()` in an exit handler, and a loop that runs after it, are no trouble."""
    process = run(
        """
import atexit
atexit.register(lambda: loops.run(backend, asyncio.sleep(0.01)))
atexit.register(lines.loopwatch.disable)
lines.enable()
atexit.register(lambda: loops.run(backend, asyncio.sleep(0.01)))
loops.run(backend, asyncio.sleep(0.01))
""",
        tmp_path,
        backend,
    )

    assert process.lines.all() == []


@pytest.mark.parametrize("name", ["uvicorn", "uvicorn-uvloop"])
def test_sigterm_during_a_stall(tmp_path: Path, name: str) -> None:
    """uvicorn told to stop while a handler blocks answers the request, tells the stall and ends in time."""
    modules, command, _backend = SERVERS[name]
    require("fastapi", *modules)
    with serving(command, tmp_path) as process, ThreadPoolExecutor(2) as clients:
        # uvicorn waits for this one; without it, it would leave by the signal itself as soon as the block is over.
        patient = clients.submit(process.get, "/async/150")
        process.lines.wait(what="waiting", count=2)
        blocked = clients.submit(process.get, "/block")
        process.lines.wait(what="blocking")
        code = process.stop(signal.SIGTERM)

    assert code in (0, -signal.SIGTERM)
    assert blocked.result() == patient.result() == {"pid": process.pid}
    assert [stall["route"] for stall in process.lines.stalls(cause="sleep")] == ["/block"]
    assert "Exception ignored" not in process.stderr


@pytest.mark.parametrize("how", ["import", "lifespan"])
def test_sigint_while_idle(tmp_path: Path, how: str) -> None:
    """Ctrl+C on an idle server ends it in time and in silence."""
    require("fastapi", "uvicorn", "uvloop")
    with serving(SERVERS["uvicorn-uvloop"][1], tmp_path, environ={"LIVE_ENABLE": how}) as process:
        code = process.stop(signal.SIGINT, within=5)

    assert code in (0, -signal.SIGINT)
    assert "Exception ignored" not in process.stderr
