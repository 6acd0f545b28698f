"""Loops to watch, and ways to block them. Used inside the test process as well as in watched ones."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

__all__ = ["BLOCK_LINE", "BLOCK_S", "SPIN_LINE", "block", "factory", "line_of", "run", "spin", "start_in_thread"]

BLOCK_S = 0.25
"""How long one block lasts, in seconds: well over the tests' threshold of 100 ms."""


def block(seconds: float = BLOCK_S) -> None:
    time.sleep(seconds)  # BLOCK


def spin(seconds: float = BLOCK_S) -> int:
    """So much CPU time in pure Python: on a busy machine that takes longer, but stays the code's own doing."""
    deadline, rounds = time.thread_time() + seconds, 0
    while time.thread_time() < deadline:
        for number in range(5_000):  # rarely at the clock, which is a call into C
            rounds += (number * number) % 7 + (number ^ 5) * 3 - number // 2  # SPIN
    return rounds


def factory(backend: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes a new loop of that backend."""
    if backend == "uvloop":
        import uvloop

        return uvloop.new_event_loop
    return asyncio.new_event_loop


def run(backend: str, main: Coroutine[Any, Any, Any], *, debug: bool = False) -> Any:
    """`asyncio.run` on a loop of that backend."""
    with asyncio.Runner(loop_factory=factory(backend), debug=debug) as runner:
        return runner.run(main)


def start_in_thread(backend: str, main: Callable[[], Coroutine[Any, Any, Any]], **options: Any) -> threading.Thread:
    """A started thread that runs `main()` on a loop of its own."""
    thread = threading.Thread(target=lambda: run(backend, main()), **options)
    thread.start()
    return thread


def line_of(marker: str, file: str | Path) -> int:
    """Number of the one line that ends in the comment `# marker`."""
    lines = Path(file).read_text("utf-8").splitlines()
    (found,) = (number for number, line in enumerate(lines, 1) if line.endswith(f"  # {marker}"))
    return found


BLOCK_LINE = line_of("BLOCK", __file__)
"""Line of this file that `block` blocks on."""
SPIN_LINE = line_of("SPIN", __file__)
"""Line of this file that `spin` spends its time on."""
