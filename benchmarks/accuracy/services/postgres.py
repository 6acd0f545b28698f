"""A real PostgreSQL on a free loopback port and in a folder of its own, where its programs are installed."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["serving"]

ACCOUNT = "postgres"
"""The server refuses to run as root; then it runs as this user, which its package creates."""


@contextmanager
def serving() -> Iterator[dict[str, Any]]:
    """Yields {"postgres": port}, or {} where there is no server or it does not start."""
    if not (shutil.which("initdb") and shutil.which("postgres")):
        yield {}
        return
    who: dict[str, Any] = {"user": ACCOUNT, "group": ACCOUNT} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory() as folder:
        if who:
            shutil.chown(folder, ACCOUNT, ACCOUNT)
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **who}
        login = ["--auth=trust", "--username=corpus", "--no-sync"]
        if subprocess.run(["initdb", "--pgdata", folder, *login], check=False, **quiet).returncode:
            yield {}
            return
        port = _free_port()
        options = [f"--port={port}", "--listen_addresses=127.0.0.1", f"--unix_socket_directories={folder}"]
        server = subprocess.Popen(["postgres", "-D", folder, *options, "--fsync=off"], **quiet)
        try:
            yield {"postgres": port} if _answers(port) else {}
        finally:
            server.terminate()
            server.wait(timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return True
    return False
