"""The thread waits for a child process."""

import os
import subprocess
import time

from benchmarks.accuracy.case import Run, case, now
from benchmarks.accuracy.places import ALL


def _sleeper(run: Run) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", f"{run.seconds:.3f}"])


def _talker(run: Run) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sh", "-c", f"sleep {run.seconds:.3f}; echo late"], stdout=subprocess.PIPE)


@case("subprocess", places=ALL, small=True)
def subprocess_run(run: Run) -> None:
    command = ["sleep", f"{run.seconds:.3f}"]
    began = run.begin()
    subprocess.run(command)  # BLOCK
    run.end(began, now())


# `check_output` and `communicate` read the child's pipe until it ends. They wait for a child all the same: that is
# what the user asked for, so "disk" (a pipe) is not accepted here.


@case("subprocess", small=True)
def check_output(run: Run) -> None:
    command = ["sh", "-c", f"sleep {run.seconds:.3f}; echo late"]
    began = run.begin()
    subprocess.check_output(command)  # BLOCK
    run.end(began, now())


@case("subprocess", prepare=_talker, places=("dependency",))
def communicate(run: Run) -> None:
    began = run.begin()
    run.given.communicate()  # BLOCK
    run.end(began, now())


@case("subprocess", places=("handler",))
def run_captured(run: Run) -> None:
    """Both pipes: communicate() then uses a selector."""
    command = ["sh", "-c", f"sleep {run.seconds:.3f}; echo late; echo late >&2"]
    began = run.begin()
    subprocess.run(command, capture_output=True, timeout=10)  # BLOCK
    run.end(began, now())


# Reading a child's output line by line, without asking for its end: it waits on a pipe, and for a child.
@case("subprocess", "disk", prepare=_talker, places=("async_generator",))
def readline_of_its_output(run: Run) -> None:
    began = run.begin()
    run.given.stdout.readline()  # BLOCK
    run.end(began, now())


@case("subprocess", prepare=_sleeper)
def popen_wait(run: Run) -> None:
    began = run.begin()
    run.given.wait()  # BLOCK
    run.end(began, now())


# With a timeout, wait() polls: it asks for the child and sleeps up to 50 ms, again and again. It waits for a child;
# the sleeping is how.
@case("subprocess", "sleep", prepare=_sleeper, places=("handler",))
def popen_wait_with_timeout(run: Run) -> None:
    began = run.begin()
    run.given.wait(timeout=10)  # BLOCK
    run.end(began, now())


@case("subprocess")
def os_system(run: Run) -> None:
    command = f"sleep {run.seconds:.3f}"
    began = run.begin()
    os.system(command)  # BLOCK
    run.end(began, now())


@case("subprocess", prepare=_sleeper, places=("call_later",))
def os_waitpid(run: Run) -> None:
    began = run.begin()
    os.waitpid(run.given.pid, 0)  # BLOCK
    run.end(began, now())


# The user's own polling loop: it sleeps, and it waits for a child.
@case("subprocess", "sleep", prepare=_sleeper, places=("call_soon",))
def poll_until_done(run: Run) -> None:
    began = run.begin()
    while run.given.poll() is None:  # BLOCK
        time.sleep(0.01)  # BLOCK
    run.end(began, now())
