"""The shop's process: uvicorn in a temporary folder, its log lines, its end."""

import asyncio
import json
import os
import shutil
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import loopwatch
from loopwatch.errors import LoopwatchError

__all__ = ["SHOP", "DemoError", "Server", "running_shop"]

SHOP = Path(__file__).parent / "shop"
START_TIMEOUT_S = 60.0
"""Importing FastAPI and measuring the machine takes 2 to 4 s; a loaded machine may need many times that."""
STOP_TIMEOUT_S = 5.0
LINE_LIMIT = 1 << 20
"""Longest log line in bytes; an event carries a whole stack."""

STDERR = "stderr.txt"

Event = dict[str, Any]


class DemoError(LoopwatchError):
    """The demo could not run; the message says why."""


@dataclass(frozen=True, slots=True)
class Server:
    """A shop that answers."""

    url: str
    folder: Path
    """Where its copy of the source is."""

    def last_words(self, count: int = 15) -> str:
        """The end of what it wrote to standard error, indented."""
        lines = (self.folder / STDERR).read_text(errors="replace").splitlines()[-count:]
        return "\n".join(f"    {line}" for line in lines) or "    (nothing)"

    def short(self, file: str) -> str:
        """`file` as a reader of the shop knows it: "shop/services.py"; of a library's, folder and name."""
        path = Path(file).resolve()
        known = path.relative_to(self.folder).parts if path.is_relative_to(self.folder) else path.parts[-2:]
        return "/".join(known)


@asynccontextmanager
async def running_shop(loop: str, supplier: str, on_event: Callable[[Event], None]) -> AsyncIterator[Server]:
    """Serve the shop on the event loop `loop` ("uvloop" or "asyncio") until the block ends.

    Args:
        loop: uvicorn's name of the event loop.
        supplier: Address of the supplier.
        on_event: Called with each line that the shop logs, as a dict.

    Raises:
        DemoError: It did not start to answer; the message quotes what it wrote to standard error.
    """
    with TemporaryDirectory(prefix="loopwatch-demo-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        shutil.copytree(SHOP, folder / "shop", ignore=shutil.ignore_patterns("__pycache__"))
        port = _free_port()
        process = await _start(folder, loop, port, supplier)
        server = Server(f"http://127.0.0.1:{port}", folder)
        reader = asyncio.create_task(_read_events(process, server, on_event))
        try:
            await _wait_until_it_listens(process, port, server)
            yield server
        finally:
            await _stop(process)
            await reader


async def _start(folder: Path, loop: str, port: int, supplier: str) -> Process:
    command = [sys.executable, "-m", "uvicorn", "shop.main:app", "--host", "127.0.0.1", "--port", str(port)]
    options = ["--loop", loop, "--no-access-log", "--log-level", "warning", "--timeout-graceful-shutdown", "2"]
    # Longer than any run: at the default of 5 s a loop that was blocked closes connections on which a request has just
    # arrived, as many a 502 behind a load balancer does. True, but another story.
    options += ["--timeout-keep-alive", "900"]
    with (folder / STDERR).open("wb") as stderr:
        return await asyncio.create_subprocess_exec(
            *command, *options, cwd=folder, env=_environment(supplier), stdout=PIPE, stderr=stderr, limit=LINE_LIMIT
        )


def _environment(supplier: str) -> dict[str, str]:
    """This process's, with loopwatch importable, no proxy in the way, and no settings of loopwatch but the default."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("LOOPWATCH_")}
    package = Path(loopwatch.__file__).parent.parent
    path = os.pathsep.join(filter(None, [str(package), inherited.get("PYTHONPATH")]))
    return inherited | {"SHOP_SUPPLIER": supplier, "PYTHONPATH": path, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


async def _read_events(process: Process, server: Server, on_event: Callable[[Event], None]) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        with suppress(json.JSONDecodeError):
            event = json.loads(line)
            on_event(event | {"file": server.short(event["file"])} if event.get("file") else event)


async def _wait_until_it_listens(process: Process, port: int, server: Server) -> None:
    """Uvicorn listens once the application has started, so a connection is the proof."""
    with suppress(TimeoutError):
        async with asyncio.timeout(START_TIMEOUT_S):
            while process.returncode is None:
                if await _listens(port):
                    return
                await asyncio.sleep(0.05)
    what = f"did not start within {START_TIMEOUT_S:.0f} s" if process.returncode is None else "did not start"
    raise DemoError(f"the shop {what} on port {port}; it wrote:\n{server.last_words()}")


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _stop(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def _free_port() -> int:
    """A port that was free just now. If another process takes it first, uvicorn says so and the demo quotes it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
