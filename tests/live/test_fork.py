"""Processes that fork, spawn or run others: each process tells its own stalls, once, and none hangs or crashes."""

import sys
from pathlib import Path

import pytest

from .apps import loops
from .processes import Process, running

# Python warns of any fork in a process with threads (3.12+); loopwatch's threads make every process one of those.
QUIET = ("-W", "ignore::DeprecationWarning")

PRELUDE = """
import asyncio, multiprocessing, os, subprocess, sys, threading
from apps import lines, loops

backend = sys.argv[1]

def wait_for(child):
    _, status = os.waitpid(child, 0)
    lines.say("child ended", child=child, code=os.waitstatus_to_exitcode(status))

async def one_block():
    await asyncio.sleep(0.01)
    loops.block()
    await asyncio.sleep(0.01)
"""


def run(program: str, folder: Path, backend: str) -> Process:
    """The program after it has ended well, without a word on stderr."""
    with running(PRELUDE + program, folder, backend, flags=QUIET) as process:
        code = process.finish(within=60)
    assert (code, process.stderr) == (0, "")
    assert all(line["code"] == 0 for line in process.lines.all(what="child ended"))
    return process


def told_by(process: Process) -> list[int]:
    """Which processes told of a block in `loops.block`, each on its own account."""
    stalls = process.lines.stalls(line=loops.BLOCK_LINE)
    assert all(stall["writer"] == stall["pid"] for stall in stalls)
    assert len({stall["id"] for stall in stalls}) == len(stalls)
    return sorted(stall["pid"] for stall in stalls)


def test_child_that_exits_at_once(tmp_path: Path, backend: str) -> None:
    """A child that leaves by `os._exit` takes nothing from its parent: blocks before and after are told."""
    process = run(
        """
async def main():
    await one_block()
    child = os.fork()
    if child == 0:
        os._exit(0)
    wait_for(child)
    await one_block()

watch = lines.enable()
loops.run(backend, main())
watch.flush()
""",
        tmp_path,
        backend,
    )

    assert told_by(process) == [process.pid, process.pid]


def test_child_that_goes_on_with_the_loop(tmp_path: Path, backend: str) -> None:
    """A child that goes on with its copy of the running loop tells its own block, and its parent the parent's."""
    process = run(
        """
def end_child(watch):
    watch.flush()
    os._exit(0)

async def main():
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0.01)
    child = os.fork()
    if child == 0:
        lines.say("child", child=os.getpid())
        loop.call_later(0.02, loops.block)
        loop.call_later(0.5, end_child, watch)
        return await loop.create_future()
    await one_block()
    wait_for(child)

watch = lines.enable()
loops.run(backend, main())
watch.flush()
""",
        tmp_path,
        backend,
    )

    (child,) = process.lines.all(what="child")
    assert told_by(process) == sorted([process.pid, child["child"]])


def test_child_with_a_loop_of_its_own(tmp_path: Path, backend: str) -> None:
    """A child that runs another loop tells that loop's block with its own pid, and nothing of its parent's loop."""
    process = run(
        """
async def main():
    await one_block()
    child = os.fork()
    if child == 0:
        loops.run(backend, one_block())
        watch.flush()
        os._exit(0)
    lines.say("child", child=child)
    wait_for(child)
    await one_block()

watch = lines.enable()
loops.run(backend, main())
watch.flush()
""",
        tmp_path,
        backend,
    )

    (child,) = process.lines.all(what="child")
    assert told_by(process) == sorted([process.pid, process.pid, child["child"]])
    assert len(process.lines.all(writer=child["child"], kind="stall")) == 1


def test_child_of_a_process_without_loops(tmp_path: Path, backend: str) -> None:
    """As servers do it: enabled in the parent before any loop, the loops run in its children only."""
    process = run(
        """
watch = lines.enable()
for _ in range(2):
    child = os.fork()
    if child == 0:
        loops.run(backend, one_block())
        sys.exit(0)
    lines.say("child", child=child)
    wait_for(child)
""",
        tmp_path,
        backend,
    )

    assert told_by(process) == sorted(line["child"] for line in process.lines.all(what="child"))


IN_THE_MIDDLE = """
def in_child():
    lines.say("child", child=os.getpid())
    lines.enable()
    loops.run(backend, one_block())  # and ends, in a process that runs no exit handlers

async def stuck():
    await asyncio.sleep(0.01)
    begun.set()
    loops.block(0.3)
    await asyncio.sleep(0.01)

if __name__ == "__main__":
    begun = threading.Event()
    watch = lines.enable()
    thread = loops.start_in_thread(backend, stuck)
    begun.wait()
    process = multiprocessing.get_context(sys.argv[2]).Process(target=in_child)
    process.start()
    process.join()
    thread.join()
    watch.flush()
    lines.say("child ended", code=process.exitcode)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_in_the_middle_of_a_stall(tmp_path: Path, backend: str, method: str) -> None:
    """A process started while a loop is stuck tells its own block, and not the one that its parent was in."""
    with running(PRELUDE + IN_THE_MIDDLE, tmp_path, backend, method, flags=QUIET) as process:
        assert (process.finish(within=60), process.stderr) == (0, "")

    (child,) = process.lines.all(what="child")
    assert process.lines.all(what="child ended", code=0)
    assert told_by(process) == sorted([process.pid, child["child"]])


def test_forks_while_stalls_are_delivered(tmp_path: Path, backend: str) -> None:
    """However often a process forks while loops stall and sinks write, no child finds a lock that nobody will release."""
    process = run(
        """
async def stalling():
    while not done.is_set():
        loops.block(0.004)
        await asyncio.sleep(0)

def in_child():
    # Goes through all of it: the queue, the sink, the end of the threads.
    asyncio.run(asyncio.sleep(0.001))
    watch.flush(1)
    lines.loopwatch.disable()
    os._exit(0)

done = threading.Event()
watch = lines.enable(threshold_ms=2, sinks=[lambda stall: os.getppid()])
thread = loops.start_in_thread(backend, stalling)
for _ in range(40):
    child = os.fork()
    if child == 0:
        in_child()
    wait_for(child)
done.set()
thread.join()
""",
        tmp_path,
        backend,
    )

    assert len(process.lines.all(what="child ended")) == 40


def test_subprocess_run(tmp_path: Path, backend: str) -> None:
    """A handler that waits for another program is one stall, caused by that child process."""
    process = run(
        """
async def main():
    await asyncio.sleep(0.01)
    subprocess.run(["sleep", "0.3"], check=True)
    await asyncio.sleep(0.01)

watch = lines.enable()
loops.run(backend, main())
watch.flush()
""",
        tmp_path,
        backend,
    )

    (stall,) = process.lines.stalls()
    assert (stall["cause"], stall["file"], stall["function"]) == ("subprocess", process.file, "main")


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_threads_begin_only_where_a_loop_runs(tmp_path: Path, backend: str) -> None:
    """`enable()` in a server's parent starts no thread there, so that the parent forks with one thread."""
    process = run(
        """
lines.enable()
lines.say("threads", before=len(os.listdir("/proc/self/task")), python=threading.active_count())
loops.run(backend, one_block())
""",
        tmp_path,
        backend,
    )

    (threads,) = process.lines.all(what="threads")
    assert (threads["before"], threads["python"]) == (1, 1)
