"""The machine does not run the process: contention, throttling, a stop. No line is to blame."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import thread_time_ns

from benchmarks.accuracy.case import Run, Setup, Skip, case, now
from benchmarks.accuracy.machine import busy_processes

HOGS_PER_CORE = 8
QUOTA = 0.2
"""Share of a core that the throttled process gets."""


def _use_cpu(milliseconds: float) -> None:
    until = thread_time_ns() + int(milliseconds * 1e6)
    while thread_time_ns() < until:
        pass


def _hogs(setup: Setup) -> None:
    setup.closing.enter_context(busy_processes(HOGS_PER_CORE * (os.cpu_count() or 1)))


@case("starved", make=_hogs, places=("handler", "call_soon"))
def contended(run: Run) -> None:
    """Ten milliseconds of CPU, which take far longer beside so many others."""
    began = run.begin()
    _use_cpu(10)
    run.end(began, now())


def _throttle(setup: Setup) -> None:
    setup.closing.callback(_throttled(QUOTA))


def _throttled(quota: float) -> Callable[[], None]:
    """Puts this process into a control group of its own, with that share of a core; the result undoes it."""
    v1, v2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
    root = v1 if (v1 / "cpu.cfs_quota_us").exists() else v2
    group = root / f"accuracy-{os.getpid()}"
    period = 100_000
    try:
        group.mkdir()
        if root == v1:
            (group / "cpu.cfs_period_us").write_text(str(period))
            (group / "cpu.cfs_quota_us").write_text(str(int(quota * period)))
        else:
            (group / "cpu.max").write_text(f"{int(quota * period)} {period}")
        (group / "cgroup.procs").write_text(str(os.getpid()))
    except OSError as error:
        if group.exists():
            group.rmdir()
        raise Skip(f"no control group may be made here: {error}") from error

    def undo() -> None:
        (root / "cgroup.procs").write_text(str(os.getpid()))
        group.rmdir()

    return undo


@case("starved", make=_throttle, places=("handler", "call_soon"))
def throttled(run: Run) -> None:
    """Fifty milliseconds of CPU at a fifth of a core."""
    began = run.begin()
    _use_cpu(50)
    run.end(began, now())


STOPPER = """
import os, signal, sys, time
pid, delay, seconds = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
print("ready", flush=True); sys.stdin.readline(); time.sleep(delay)
began = time.monotonic_ns(); os.kill(pid, signal.SIGSTOP); time.sleep(seconds)
ended = time.monotonic_ns(); os.kill(pid, signal.SIGCONT)
print(began, ended, flush=True)
"""


def _stopper(run: Run) -> subprocess.Popen[str]:
    """A process that will stop this one 30 ms after it is told to."""
    command = [sys.executable, "-S", "-c", STOPPER, str(os.getpid()), "0.03", f"{run.seconds:.3f}"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    return child


def _go(run: Run) -> None:
    run.given.stdin.write("go\n")
    run.given.stdin.flush()


def _record(run: Run) -> None:
    began, ended = map(int, run.given.stdout.readline().split())
    run.note(began, ended)
    run.given.communicate()


@case("suspended", expect="silence", prepare=_stopper, small=True)
async def stopped_in_a_turn(run: Run) -> None:
    """SIGSTOP while the loop runs an honest turn of 60 ms: not a stall of the code's making."""
    _go(run)
    _use_cpu(60)
    await asyncio.to_thread(_record, run)


@case("suspended", expect="silence", prepare=_stopper)
async def stopped_while_waiting(run: Run) -> None:
    _go(run)
    await asyncio.sleep(run.seconds + 0.1)
    await asyncio.to_thread(_record, run)
