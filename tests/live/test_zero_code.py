"""`loopwatch run -- SERVER`: an app that knows nothing of loopwatch is watched in every worker, and the server behaves as ever."""

import re
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .apps import loops
from .processes import HERE, Process, require, serving, until
from .test_servers import APP_FILE, SERVERS, UVICORN, block_one_and_the_other, leave_cleanly

RUN = ("-m", "loopwatch", "run", "--verbose", "--sinks", "logging", "--")
TOLD = re.compile(r"event_loop_blocked .*")
SAID = re.compile(r"loopwatch: watching .*, process (\d+): first loop (\S+) in .*")


@contextmanager
def launched(command: tuple[str, ...], folder: Path) -> Iterator[Process]:
    """A server whose app does not import loopwatch, started through `loopwatch run`."""
    with serving([*RUN, sys.executable, *command], folder, environ={"LIVE_ENABLE": "never"}) as process:
        yield process


def stalls(process: Process) -> list[dict[str, str]]:
    """The stalls of requests to /block that were logged, as their keys and values."""
    lines = TOLD.findall(process.stderr + process.stdout)
    told = [dict(re.findall(r'(\w+)=("[^"]*"|\S+)', line)) for line in lines]
    return [fields for fields in told if fields.get("route") == "/block"]


def introduced(process: Process) -> dict[int, str]:
    """The processes that have said that they are watched, with the backend of the loop; fails if one has said it twice."""
    said = SAID.findall(process.stderr)
    assert len({pid for pid, _ in said}) == len(said), process.stderr
    return {int(pid): backend for pid, backend in said}


def assert_told(process: Process, workers: list[int], backend: str, file: Path = APP_FILE) -> None:
    """Each block was told by its own worker, with its line; each worker has said that it is watched."""
    found = stalls(process)
    assert sorted(int(stall["pid"]) for stall in found) == sorted(workers), process.stderr
    for stall in found:
        assert (stall["file"], stall["line"]) == (str(file), str(loops.line_of("BLOCK", file)))
        assert (stall["loop"], stall["cause"]) == (backend, "sleep")
    assert {pid: introduced(process).get(pid) for pid in workers} == dict.fromkeys(workers, backend)


def wait_for(count: int, process: Process) -> None:
    until(lambda: len(stalls(process)) >= count, 30, f"{count} stalls of /block")


ALONE = ["uvicorn-uvloop", "gunicorn-uvicorn", "gunicorn-uvicorn-preload", "hypercorn", "granian-uvloop"]


@pytest.mark.parametrize("name", ALONE)
def test_one_worker(tmp_path: Path, name: str) -> None:
    """A block is told once, by its worker; the server ends as it does by itself."""
    modules, command, backend = SERVERS[name]
    require("fastapi", *modules)
    with launched(command, tmp_path) as process:
        worker = process.get("/block")["pid"]
        wait_for(1, process)
        leave_cleanly(process)

    assert_told(process, [worker], backend)


def test_uvicorn_with_two_workers(tmp_path: Path) -> None:
    """Each of two workers, which are spawned, is watched."""
    require("fastapi", "uvicorn", "uvloop")
    with launched((*UVICORN, "--loop", "uvloop", "--workers", "2"), tmp_path) as process:
        workers: list[int] = []
        while len(set(workers)) < 2 and len(workers) < 20:
            workers += block_one_and_the_other(process, len(workers))
        wait_for(len(workers), process)
        leave_cleanly(process)

    assert len(set(workers)) == 2
    assert_told(process, workers, "uvloop")
    assert set(introduced(process)) == set(workers)


def test_uvicorn_that_reloads(tmp_path: Path) -> None:
    """The process that takes over when a file has changed is watched like the first one."""
    require("fastapi", "uvicorn")
    source = tmp_path / "source"
    shutil.copytree(HERE / "apps", source / "apps", ignore=shutil.ignore_patterns("__pycache__"))
    command = (*UVICORN, "--loop", "asyncio", "--reload", "--reload-dir", str(source), "--app-dir", str(source))
    with launched(command, tmp_path / "run") as process:
        first = process.get("/block")["pid"]
        wait_for(1, process)
        (source / "apps" / "blocking.py").touch()
        until(
            lambda: (process.answers("/async/1") or {}).get("pid", first) != first, 60, "new process after the change"
        )
        second = process.get("/block")["pid"]
        wait_for(2, process)
        leave_cleanly(process)

    assert_told(process, [first, second], "asyncio", file=source / "apps" / "blocking.py")


def test_interrupted(tmp_path: Path) -> None:
    """Ctrl+C ends the server as it does without us: by its own shutdown."""
    require("fastapi", "uvicorn")
    with launched((*UVICORN, "--loop", "asyncio"), tmp_path) as process:
        code = process.stop(signal.SIGINT)

    assert code in (0, -signal.SIGINT, 128 + signal.SIGINT)
    assert "Application shutdown complete." in process.stderr
