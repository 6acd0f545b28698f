"""Starts the processes that the live tests watch, learns how far they got, and ends them.

Every wait is for something that happens (a line, a reply, an exit) and gives up after a bound that only a hang exceeds.
"""

import http.client
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from services import need

import loopwatch

from .apps.lines import PATH_VARIABLE

__all__ = ["Lines", "Process", "free_port", "launched", "reply_on", "require", "running", "serving", "until"]

HERE = Path(__file__).parent
READY_WITHIN_S = 60.0
LINE_WITHIN_S = 30.0
EXIT_WITHIN_S = 15.0
MACHINE = ("starved", "gc")


def require(*modules: str) -> None:
    """Skips a test whose `modules` are not installed; fails it where the run says that all must be there."""
    need([module for module in modules if not _installed(module)])


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it is in
        return False


def until(answer: Callable[[], Any], within: float, what: str) -> Any:
    """The first true `answer()`; fails the test when there is none within so many seconds."""
    deadline = time.monotonic() + within
    while not (found := answer()):
        if time.monotonic() > deadline:
            pytest.fail(f"no {what} within {within:g} s")
        time.sleep(0.01)
    return found


class Lines:
    """The file of JSON lines that watched processes append to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self, **fields: Any) -> list[dict[str, Any]]:
        """Lines with these fields, in the order in which they were written."""
        written = self.path.read_text("utf-8").splitlines() if self.path.exists() else []
        return [line for line in map(json.loads, written) if all(line.get(key) == fields[key] for key in fields)]

    def stalls(self, **fields: Any) -> list[dict[str, Any]]:
        """Stalls that have ended, as `apps.lines.write_stall` writes them."""
        return self.all(kind="stall", state="ended", **fields)

    def blamed(self, **fields: Any) -> list[dict[str, Any]]:
        """Stalls, announcements included, that are said to be the code's doing: any others a busy machine may add."""
        return [stall for stall in self.all(kind="stall", **fields) if stall["cause"] not in MACHINE]

    def wait(self, count: int = 1, *, within: float = LINE_WITHIN_S, **fields: Any) -> list[dict[str, Any]]:
        """Those lines, as soon as there are `count` of them."""
        enough = lambda: len(found) >= count and found if (found := self.all(**fields)) else None  # noqa: E731
        return until(enough, within, f"{count} line(s) with {fields} in {self.all()}")


@dataclass
class Process:
    """A process of ours with what it wrote."""

    popen: subprocess.Popen[bytes]
    lines: Lines
    output: Path
    errors: Path
    port: int = 0
    """Where it serves HTTP; 0: it does not."""
    file: str = ""
    """The script it runs, if it runs one of ours."""

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def stdout(self) -> str:
        return self.output.read_text("utf-8", "replace")

    @property
    def stderr(self) -> str:
        return self.errors.read_text("utf-8", "replace")

    def tell(self, text: str) -> None:
        """One line to its standard input."""
        assert self.popen.stdin is not None
        self.popen.stdin.write(text.encode() + b"\n")
        self.popen.stdin.flush()

    def connection(self) -> closing[http.client.HTTPConnection]:
        """A connection to the server that stays with the worker that accepted it."""
        return closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20))

    def get(self, path: str) -> dict[str, Any]:
        """What it replies to a GET over a connection of its own."""
        with self.connection() as connection:
            connection.request("GET", path, headers={"connection": "close"})
            return reply_on(connection)

    def answers(self, path: str) -> dict[str, Any] | None:
        """`get`, or None while it does not listen; fails the test if it has exited."""
        if (code := self.popen.poll()) is not None:
            pytest.fail(f"the server exited with {code}:\n{self.stderr}{self.stdout}")
        try:
            return self.get(path)
        except (OSError, http.client.HTTPException):
            return None

    def finish(self, within: float = LINE_WITHIN_S) -> int:
        """Its exit code, once it ends by itself."""
        try:
            return self.popen.wait(within)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {within:g} s:\n{self.stderr}{self.stdout}")

    def stop(self, number: int = signal.SIGTERM, within: float = EXIT_WITHIN_S) -> int:
        """Its exit code after this signal."""
        self.popen.send_signal(number)
        return self.finish(within)


def reply_on(connection: http.client.HTTPConnection) -> dict[str, Any]:
    """The server's reply to what was last requested."""
    reply = connection.getresponse()
    body = reply.read()
    assert reply.status == 200, f"{reply.status} {body!r}"
    return json.loads(body)


@contextmanager
def launched(
    command: Sequence[str], folder: Path, *, environ: dict[str, str] | None = None, **options: Any
) -> Iterator[Process]:
    """`command` as a process group of its own, which is gone afterwards."""
    folder.mkdir(exist_ok=True)
    lines, output, errors = Lines(folder / "lines.jsonl"), folder / "stdout", folder / "stderr"
    with output.open("wb") as to_output, errors.open("wb") as to_errors:
        popen = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(lines.path, folder) | (environ or {}),
            stdin=subprocess.PIPE,
            stdout=to_output,
            stderr=to_errors,
            start_new_session=True,
        )
    try:
        yield Process(popen, lines, output, errors, **options)
    finally:
        _end(popen)


@contextmanager
def running(
    source: str, folder: Path, *arguments: str, flags: Sequence[str] = (), environ: dict[str, str] | None = None
) -> Iterator[Process]:
    """A Python program, written out in the test."""
    script = folder / "program.py"
    script.write_text(textwrap.dedent(source).lstrip("\n"), "utf-8")
    command = [sys.executable, "-X", "faulthandler", *flags, str(script), *arguments]
    with launched(command, folder, environ=environ, file=str(script)) as process:
        yield process


@contextmanager
def serving(command: Sequence[str], folder: Path, *, environ: dict[str, str] | None = None) -> Iterator[Process]:
    """A server that answers requests; "{port}" in `command` becomes the port it is to listen on."""
    port = free_port()
    filled = [sys.executable, *(part.replace("{port}", str(port)) for part in command)]
    with launched(filled, folder, environ=environ, port=port) as server:
        until(lambda: server.answers("/async/1"), READY_WITHIN_S, "answer from the server")
        yield server


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _environment(lines: Path, folder: Path) -> dict[str, str]:
    """Ours without loopwatch's settings, so that only the program's own count; gunicorn's control socket goes to `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOOPWATCH_")}
    paths = [str(HERE), str(Path(loopwatch.__file__).parent.parent), kept.get("PYTHONPATH", "")]
    return kept | {
        PATH_VARIABLE: str(lines),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "XDG_RUNTIME_DIR": str(folder),
    }


def _end(popen: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(popen.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    if popen.stdin is not None:
        try:
            popen.stdin.close()
        except BrokenPipeError:
            pass
    popen.wait(EXIT_WITHIN_S)
