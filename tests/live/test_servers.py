"""Every server that serves ASGI apps: each block of a worker's loop is told once, by the right worker, with its line."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .apps import loops
from .processes import HERE, Process, reply_on, require, serving, until

APP = "apps.blocking:app"
APP_FILE = HERE / "apps" / "blocking.py"
UVICORN = ("-m", "uvicorn", APP, "--port", "{port}")
GUNICORN = ("-m", "gunicorn", APP, "-b", "127.0.0.1:{port}")
HYPERCORN = ("-m", "hypercorn", APP, "-b", "127.0.0.1:{port}")
GRANIAN = ("-m", "granian", APP, "--port", "{port}", "--interface", "asgi")

SERVERS = {
    # name: (modules it needs, command, backend of its loops)
    "uvicorn": (("uvicorn",), (*UVICORN, "--loop", "asyncio"), "asyncio"),
    "uvicorn-uvloop": (("uvicorn", "uvloop"), (*UVICORN, "--loop", "uvloop"), "uvloop"),
    "gunicorn-uvicorn": (
        ("gunicorn", "uvicorn_worker", "uvloop"),
        (*GUNICORN, "-k", "uvicorn_worker.UvicornWorker"),
        "uvloop",
    ),
    "gunicorn-uvicorn-preload": (
        ("gunicorn", "uvicorn_worker", "uvloop"),
        (*GUNICORN, "-k", "uvicorn_worker.UvicornWorker", "--preload"),
        "uvloop",
    ),
    "gunicorn-asgi": (("gunicorn.workers.gasgi",), (*GUNICORN, "-k", "asgi", "--asgi-loop", "asyncio"), "asyncio"),
    "gunicorn-asgi-uvloop": (
        ("gunicorn.workers.gasgi", "uvloop"),
        (*GUNICORN, "-k", "asgi", "--asgi-loop", "uvloop"),
        "uvloop",
    ),
    "gunicorn-asgi-preload": (
        ("gunicorn.workers.gasgi",),
        (*GUNICORN, "-k", "asgi", "--asgi-loop", "asyncio", "--preload"),
        "asyncio",
    ),
    "hypercorn": (("hypercorn",), (*HYPERCORN, "-k", "asyncio"), "asyncio"),
    "hypercorn-uvloop": (("hypercorn", "uvloop"), (*HYPERCORN, "-k", "uvloop"), "uvloop"),
    "granian": (("granian",), (*GRANIAN, "--loop", "asyncio"), "asyncio"),
    "granian-uvloop": (("granian", "uvloop"), (*GRANIAN, "--loop", "uvloop"), "uvloop"),
}


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Process, str]]:
    """One worker of each server, and which backend its loop is."""
    modules, command, backend = SERVERS[request.param]
    require("fastapi", *modules)
    with serving(command, tmp_path) as process:
        yield process, backend


def test_each_block_is_told_once(server: tuple[Process, str]) -> None:
    """Two blocking requests make two stalls of that worker, with the endpoint's line, route and name."""
    process, backend = server

    workers = [process.get("/block")["pid"], process.get("/block")["pid"]]
    process.lines.wait(2, kind="stall", state="ended", route="/block")
    leave_cleanly(process)

    assert_blocked(process, workers, backend)


def test_code_that_computes_is_told_too(server: tuple[Process, str]) -> None:
    """A request that computes is Python's own stall, on the line that computes; one that awaits is none."""
    process, backend = server

    worker = process.get("/cpu")["pid"]
    process.get("/async/12")
    process.lines.wait(kind="stall", state="ended", route="/cpu")
    leave_cleanly(process)

    (stall,) = process.lines.stalls(route="/cpu")
    assert (stall["pid"], stall["backend"], stall["cause"]) == (worker, backend, "python"), stall
    assert (stall["file"], stall["line"]) == (str(APP_FILE), loops.line_of("CPU", APP_FILE)), stall
    assert process.lines.blamed(route="/async/{item}") == []


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_uvicorn_with_two_workers(tmp_path: Path, loop: str) -> None:
    """Each of two workers tells its own stalls, and only those."""
    require("fastapi", "uvicorn", loop)
    with serving([*UVICORN, "--loop", loop, "--workers", "2"], tmp_path) as process:
        workers: list[int] = []
        while len(set(workers)) < 2 and len(workers) < 20:
            workers += block_one_and_the_other(process, len(workers))
        process.lines.wait(len(workers), kind="stall", state="ended", route="/block")
        leave_cleanly(process)

    assert len(set(workers)) == 2
    assert_blocked(process, workers, loop)


def block_one_and_the_other(process: Process, blocked_before: int) -> list[int]:
    """Blocks a worker, then the one that answers in the meantime, if it is another. Says which."""
    with process.connection() as first, process.connection() as second:
        first.request("GET", "/block")
        process.lines.wait(blocked_before + 1, what="blocking")
        second.request("GET", "/async/1")
        other = reply_on(second)["pid"]
        blocked = [reply_on(first)["pid"]]
        if other not in blocked:
            second.request("GET", "/block")
            blocked.append(reply_on(second)["pid"])
        return blocked


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_uvicorn_that_reloads(tmp_path: Path, loop: str) -> None:
    """The process that takes over when a file has changed is watched like the first one."""
    require("fastapi", "uvicorn", loop)
    source = tmp_path / "source"
    shutil.copytree(HERE / "apps", source / "apps", ignore=shutil.ignore_patterns("__pycache__"))
    command = [*UVICORN, "--loop", loop, "--reload", "--reload-dir", str(source), "--app-dir", str(source)]
    with serving(command, tmp_path / "run") as process:
        first = process.get("/block")["pid"]
        (source / "apps" / "blocking.py").touch()
        until(
            lambda: (process.answers("/async/1") or {}).get("pid", first) != first, 60, "new process after the change"
        )
        second = process.get("/block")["pid"]
        process.lines.wait(2, kind="stall", state="ended", route="/block")
        leave_cleanly(process)

    assert_blocked(process, [first, second], loop, file=source / "apps" / "blocking.py")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_enabled_around_uvicorn_run(tmp_path: Path, loop: str) -> None:
    """An app that enables loopwatch before it calls `uvicorn.run` is watched."""
    require("fastapi", "uvicorn", loop)
    with serving(["-m", "apps.serve", "{port}", loop], tmp_path, environ={"LIVE_ENABLE": "never"}) as process:
        worker = process.get("/block")["pid"]
        process.lines.wait(kind="stall", state="ended", route="/block")
        leave_cleanly(process)

    assert_blocked(process, [worker], loop)


@pytest.mark.parametrize(
    "name", ["uvicorn", "uvicorn-uvloop", "gunicorn-uvicorn-preload", "hypercorn", "granian-uvloop"]
)
def test_enabled_in_the_lifespan(tmp_path: Path, name: str) -> None:
    """An app that enables loopwatch in its lifespan, on the loop that already runs, is watched from there on."""
    modules, command, backend = SERVERS[name]
    require("fastapi", *modules)
    with serving(command, tmp_path, environ={"LIVE_ENABLE": "lifespan"}) as process:
        worker = process.get("/block")["pid"]
        process.lines.wait(kind="stall", state="ended", route="/block")
        leave_cleanly(process)

    assert_blocked(process, [worker], backend)


def leave_cleanly(process: Process) -> None:
    """SIGTERM ends the server in time, without a word of trouble."""
    code = process.stop(signal.SIGTERM)

    # uvicorn raises the signal again once it has shut down.
    assert code in (0, -signal.SIGTERM), process.stderr
    for trouble in ("Traceback", "Fatal Python error", "Exception ignored", "never awaited"):
        assert trouble not in process.stderr + process.stdout


def assert_blocked(process: Process, workers: list[int], backend: str, file: Path = APP_FILE) -> None:
    """For each worker that blocked there is one stall, told by itself, that names the endpoint and its line."""
    stalls = process.lines.stalls(route="/block")

    assert sorted(stall["pid"] for stall in stalls) == sorted(workers)
    assert len({stall["id"] for stall in stalls}) == len(workers)
    for stall in stalls:
        assert_names_the_endpoint(stall, file)
        assert (stall["writer"], stall["backend"], stall["cause"]) == (stall["pid"], backend, "sleep"), stall
        assert stall["duration_ms"] >= 240


def assert_names_the_endpoint(stall: dict[str, Any], file: Path) -> None:
    assert (stall["file"], stall["line"]) == (str(file), loops.line_of("BLOCK", file)), stall
    assert (stall["method"], stall["route"]) == ("GET", "/block")
    assert stall["endpoint"].split(".")[-1] == "block"
