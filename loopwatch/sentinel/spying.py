"""py-spy: run on the watched process, and what it printed. Runs in the sentinel."""

import json
import os
import select
import time

__all__ = ["Thread", "dump", "moved", "threads_of"]

PATIENCE_S = 3.0
MAX_BYTES = 8_000_000
MAX_FRAMES = 96
"""Of each end of a stack."""
SIGKILL = 9

Thread = tuple[int, str, bool, list[tuple[str, str, int]]]
"""The kernel's id of a thread, its name, whether it has the GIL, and its frames: file, qualified name, line; innermost first."""


def dump(program: str, process: int) -> bytes:
    """What `py-spy dump` prints, be it stacks or an error; it stops the process for no moment, and ends within `PATIENCE_S`."""
    reading, writing = os.pipe()
    # Not paused (--nonblocking): a thread that keeps the GIL in C code does not change its stack, and pausing needs ptrace.
    command = [program, "dump", "--nonblocking", "--json", "--pid", str(process)]
    redirected = [(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_DUP2, writing, 2)]
    try:
        child = os.posix_spawn(program, command, {}, file_actions=redirected)
    except OSError as error:
        os.close(reading)
        return f"cannot run {program}: {error}".encode()
    finally:
        os.close(writing)
    try:
        return _read_all(reading, child)
    finally:
        os.close(reading)
        os.waitpid(child, 0)


def _read_all(reading: int, child: int) -> bytes:
    until, text = time.monotonic() + PATIENCE_S, b""
    while len(text) < MAX_BYTES:
        ready, _, _ = select.select([reading], [], [], max(0.0, until - time.monotonic()))
        piece = os.read(reading, 1 << 16) if ready else b""
        if not ready:
            os.kill(child, SIGKILL)
        if not piece:
            return text
        text += piece
    os.kill(child, SIGKILL)
    return b"too much to read"


def threads_of(text: bytes, wanted: set[int]) -> list[Thread]:
    """The wanted threads, and whoever has the GIL.

    Raises:
        ValueError: that is no dump.
    """
    try:
        everyone = json.loads(text)
        return [_thread(one) for one in everyone if one["os_thread_id"] in wanted or one["owns_gil"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"not what py-spy 0.4 prints: {error!r}") from error


def _thread(one: dict) -> Thread:  # type: ignore[type-arg]  # JSON
    frames = [(frame["filename"], frame["name"], frame["line"]) for frame in one["frames"]]
    kept = frames if len(frames) <= 2 * MAX_FRAMES else frames[:MAX_FRAMES] + frames[-MAX_FRAMES:]
    return one["os_thread_id"] or 0, one["thread_name"] or "", bool(one["owns_gil"]), kept


def moved(before: list[Thread] | None, after: list[Thread] | None) -> bool:
    """Whether the thread that has the GIL is another one, or elsewhere, than it was; None: there is no dump to tell."""
    return before is not None and after is not None and _holders(before) != _holders(after)


def _holders(threads: list[Thread]) -> list[Thread]:
    return [one for one in threads if one[2]]
