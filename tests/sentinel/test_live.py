"""Real processes that keep the GIL for real, each with a real sentinel beside it."""

import json
import signal
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from live.apps import loops
from live.processes import Process, running, until
from services import need

from loopwatch.sentinel.refusal import find_program

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the sentinel is for Linux")

PATIENCE_S = 30.0
QUIET = ("-W", "ignore::DeprecationWarning")  # Python's warning of a fork in a process with threads (3.12+)
PRELUDE = """
import asyncio, os, sys, threading, time
import loopwatch
from loopwatch.engine import ENGINE
from apps import lines, loops

backend = sys.argv[1]

def tell(stall):
    origin = stall.origin
    lines.say(
        "stall", state=stall.state, cause=stall.cause, evidence=stall.evidence, duration_ms=stall.duration_ms,
        line=origin and origin.line, exact=origin and origin.exact, expression=origin and origin.expression,
        holder=stall.holder and stall.holder.thread,
    )

def enable(**settings):
    return loopwatch.enable(**{"threshold_ms": 100, "sinks": [tell], "sentinel": True, **settings})

def exponent(cpu_s):
    # 3 ** n takes about that long: doubling n takes 2 ** 1.585 times as long (Karatsuba).
    n, took = 100_000, 0.0
    while took < 0.04:
        n, began = 2 * n, time.thread_time()
        3 ** n
        took = time.thread_time() - began
    return int(n * (cpu_s / took) ** (1 / 1.585))

async def guarded():
    until = time.monotonic() + 20
    while ENGINE.sentinel.pid is None and time.monotonic() < until:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    lines.say("guarded", sentinel=ENGINE.sentinel.pid)

def after(base):
    return base

def keep_gil(n, base=3):
    power = base ** n  # OPERATOR
    return after(base)

n = exponent(float(sys.argv[2]))
"""
MAIN = """
async def main():
    await guarded()
    keep_gil(n)
    await asyncio.sleep(0.05)

watch = enable()
loops.run(backend, main())
watch.flush(20)
"""
WAITING = """
async def main():
    await guarded()
    await asyncio.sleep(60)

watch = enable()
loops.run(backend, main())
"""


@pytest.fixture(params=["asyncio", "uvloop"])
def backend(request: pytest.FixtureRequest) -> str:
    """Which event loop."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return request.param


@pytest.fixture(autouse=True)
def py_spy() -> None:
    need(["py-spy"] if find_program() is None else [])


def gone(pid: int) -> bool:
    """Whether a process has ended, be it that nobody has fetched its exit code yet."""
    try:
        return b") Z " in Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return True


def sentinel_of(process: Process) -> int:
    """Its process, once it is there."""
    (line,) = process.lines.wait(within=PATIENCE_S, what="guarded", pid=process.pid)
    assert line["sentinel"] is not None, process.stderr
    return line["sentinel"]


def finished(program: str, folder: Path, backend: str, kept_s: float = 0.7, **options) -> Process:
    """The program after it has ended well, and its sentinel too; `keep_gil(n)` is to take so much CPU time."""
    with running(PRELUDE + program, folder, backend, str(kept_s), flags=QUIET, **options) as process:
        code = process.finish(within=60)
    assert code == 0, process.stderr
    for line in process.lines.all(what="guarded"):
        until(lambda pid=line["sentinel"]: gone(pid), PATIENCE_S, "end of the sentinel")
    return process


def told(process: Process, **fields) -> list[dict]:
    """Stalls that have ended, those that a busy machine adds left out."""
    found = process.lines.all(what="stall", state="ended", **fields)
    return [line for line in found if line["cause"] not in ("starved", "gc")]


def said(text: str) -> list[dict]:
    """The sentinel's events among what was written."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_operator(tmp_path, backend):
    """The line of an operator that kept the GIL is named for certain."""
    process = finished(MAIN, tmp_path, backend)

    line = loops.line_of("OPERATOR", process.file)
    found = [one for one in told(process) if one["line"] == line]
    assert [(one["cause"], one["exact"]) for one in found] == [("native", True)]
    assert found[0]["expression"] in ("base ** n", None)  # known where the watchdog came to see the function


def test_other_thread(tmp_path, backend):
    """So is the line of another thread that kept it."""
    process = finished(
        """
async def main():
    await guarded()
    hog = threading.Thread(target=keep_gil, args=(n,), name="hog")
    hog.start()
    while hog.is_alive():
        await asyncio.sleep(0.01)

watch = enable()
loops.run(backend, main())
watch.flush(20)
""",
        tmp_path,
        backend,
    )

    line = loops.line_of("OPERATOR", process.file)
    assert ("gil", "hog", line, True) in [
        (one["cause"], one["holder"], one["line"], one["exact"]) for one in told(process)
    ], told(process)


FROZEN = """
async def main():
    await guarded()
    keep_gil(n)

watch = enable(ongoing_ms=200)
loops.run(backend, main())
watch.flush(20)
"""


def test_frozen(tmp_path, backend):
    """A process that is frozen with the GIL kept is announced on its standard error, at doubling intervals."""
    process = finished(FROZEN, tmp_path, backend, 1.6)

    events = said(process.stderr)
    lasted = [event["duration_ms"] for event in events]
    assert 2 <= len(events) <= 8, process.stderr
    assert lasted[0] >= 200
    assert all(later >= 1.4 * earlier for earlier, later in pairwise(lasted)), lasted
    last = events[-1]
    assert (last["event"], last["pid"], last["file"]) == ("event_loop_stalled", process.pid, process.file)
    assert (last["line"], last["cause"]) == (loops.line_of("OPERATOR", process.file), "native")
    assert len(process.stderr.splitlines()) == len(events)


def test_frozen_to_file(tmp_path):
    """The environment can name a file for that."""
    file = tmp_path / "frozen.jsonl"

    process = finished(FROZEN, tmp_path, "asyncio", 1.6, environ={"LOOPWATCH_SENTINEL_LOG": str(file)})

    assert process.stderr == ""
    assert {event["line"] for event in said(file.read_text())} == {loops.line_of("OPERATOR", process.file)}


def test_own_announcements(tmp_path):
    """A stall that the process can announce itself is not announced by the sentinel."""
    process = finished(
        """
async def main():
    await guarded()
    time.sleep(1)

watch = enable(ongoing_ms=200)
loops.run(backend, main())
watch.flush(20)
""",
        tmp_path,
        "asyncio",
    )

    assert process.lines.all(what="stall", state="ongoing", cause="sleep")
    assert process.stderr == ""


def test_saturated(tmp_path, backend):
    """A loop that never waits may keep the watchdog out for seconds; it is not frozen, and nobody says so."""
    process = finished(
        """
async def main():
    await guarded()
    until = time.monotonic() + 4
    while time.monotonic() < until:
        turn = time.monotonic() + 0.001
        while time.monotonic() < turn:
            pass
        await asyncio.sleep(0)

watch = enable(ongoing_ms=200)
loops.run(backend, main())
watch.flush(20)
""",
        tmp_path,
        backend,
    )

    assert process.stderr == ""


def test_killed(tmp_path):
    """It ends with a process that is killed."""
    with running(PRELUDE + WAITING, tmp_path, "asyncio", "0.01") as process:
        sentinel = sentinel_of(process)
        assert not gone(sentinel)
        process.stop(signal.SIGKILL)

        until(lambda: gone(sentinel), PATIENCE_S, "end of the sentinel")


def test_stopped_process(tmp_path):
    """A process that is stopped by a signal is not announced as frozen."""
    with running(
        PRELUDE + WAITING.replace("enable()", "enable(ongoing_ms=100)"), tmp_path, "asyncio", "0.01"
    ) as process:
        sentinel_of(process)
        process.popen.send_signal(signal.SIGSTOP)
        with pytest.raises(pytest.fail.Exception):
            until(lambda: process.stderr, 1.0, "word")
        process.popen.send_signal(signal.SIGCONT)


def test_disable(tmp_path):
    """`disable()` leaves no process, no descriptor and no thread behind; `enable()` starts another one."""
    process = finished(
        """
async def one_run():
    await guarded()

def used():
    found = set()
    for name in os.listdir("/proc/self/fd"):
        if os.path.lexists(f"/proc/self/fd/{name}"):
            found.add(os.readlink(f"/proc/self/fd/{name}").split(":")[0])
    return "socket" in found, "/memfd" in found

for _ in range(2):
    enable()
    loops.run(backend, one_run())
    lines.say("enabled", used=used())
    loopwatch.disable()
    lines.say("disabled", used=used(), threads=threading.active_count())
""",
        tmp_path,
        "asyncio",
    )

    assert [line["used"] for line in process.lines.all(what="enabled")] == [[True, True]] * 2
    assert [(line["used"], line["threads"]) for line in process.lines.all(what="disabled")] == [([False] * 2, 1)] * 2
    assert len({line["sentinel"] for line in process.lines.all(what="guarded")}) == 2


def test_fork(tmp_path):
    """The sentinel goes on after a fork, and a child that runs a loop has one of its own."""
    process = finished(
        """
async def main():
    await guarded()
    keep_gil(n)
    await asyncio.sleep(0.05)

async def parent():
    await guarded()
    child = os.fork()
    if child == 0:
        return "child"
    os.waitpid(child, 0)
    await asyncio.sleep(0.05)
    keep_gil(n)
    await asyncio.sleep(0.05)

watch = enable()
if loops.run(backend, parent()) == "child":
    loops.run(backend, main())
watch.flush(20)
""",
        tmp_path,
        "asyncio",
    )

    line = loops.line_of("OPERATOR", process.file)
    found = [one for one in told(process) if one["line"] == line]
    assert len({one["pid"] for one in found}) == 2
    assert all(one["exact"] for one in found)
    assert len({one["sentinel"] for one in process.lines.all(what="guarded")}) == 2


def test_waiting_for_children(tmp_path):
    """A program that waits for all its children is not kept waiting by the sentinel."""
    process = finished(
        """
async def main():
    await guarded()
    try:
        os.wait()
    except ChildProcessError:
        lines.say("no children")

enable()
loops.run(backend, main())
""",
        tmp_path,
        "asyncio",
    )

    assert process.lines.all(what="no children")


def test_exec(tmp_path):
    """It ends, without a word, when the process becomes another program."""
    with running(
        PRELUDE
        + """
async def main():
    await guarded()
    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)"])

enable(ongoing_ms=100)
loops.run(backend, main())
""",
        tmp_path,
        "asyncio",
        "0.01",
    ) as process:
        sentinel = sentinel_of(process)

        until(lambda: gone(sentinel), PATIENCE_S, "end of the sentinel")
        assert process.popen.poll() is None
        assert process.stderr == ""


def test_ended_sentinel(tmp_path):
    """A sentinel that is killed is said to have ended, once; stalls are told on, as without it."""
    process = finished(
        """
import signal

async def main():
    await guarded()
    os.kill(ENGINE.sentinel.pid, signal.SIGKILL)
    for _ in range(2):
        time.sleep(0.2)
        await asyncio.sleep(0.05)

watch = enable()
loops.run(backend, main())
watch.flush(20)
""",
        tmp_path,
        "asyncio",
    )

    assert len(told(process, cause="sleep")) == 2
    assert process.stderr.count("loopwatch: the sentinel has ended") == 1
    assert len(process.stderr.splitlines()) == 1


REFUSED = """
import ctypes

# Without CAP_SYS_PTRACE in its bounding set, whatever this process starts may not read it.
ctypes.CDLL(None).prctl(24, 19, 0, 0, 0)
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # and where it is not root: not dumpable
"""


def test_refused(tmp_path):
    """Where the kernel refuses, that is said once with what to set, and stalls are told with an inferred line."""
    process = finished(REFUSED + MAIN, tmp_path, "asyncio")

    assert len([one for one in told(process) if one["cause"] == "native"]) == 1
    (words,) = [line for line in process.stderr.splitlines() if not line.startswith("{")]
    assert "the sentinel may not read this process" in words
