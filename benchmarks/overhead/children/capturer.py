"""One process that captures the stack of one of its threads, as the watchdog does, and times that.

The captured thread stands still in a wait, so nothing competes for the GIL: the time from the first look to the finished
tuple is then the time for which the watchdog holds it. `--burner` adds a thread that burns Python: had the capture let go
of the GIL on the way, it would get it back only after the switch interval (5 ms), and the figure would jump.
"""

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

from loopwatch.probes.stacks import capture

MAX_FRAMES = 64
"""The default setting."""
NO_BOUNDARY: frozenset[int] = frozenset()
OTHER_FRAMES = 4
"""Three at the bottom of any thread, and the one that waits."""
FLOOR = """
def floor(innermost):
    return then(innermost)
"""
ASGI_FLOOR = """
def app(scope, receive, send):
    return then(receive)
def floor(innermost):
    return app(scope, innermost, None)
"""
SCOPE = {"type": "http", "method": "GET", "path": "/", "path_params": {}}


def tower(height: int, with_request: bool) -> Callable[[Callable[[], object]], object]:
    """That many distinct functions, each calling the next, the innermost calling its argument.

    Distinct, since a real stack has a code object of its own in every frame, and their memory is what a capture waits for.
    """
    function: Callable[[Callable[[], object]], object] = lambda innermost: innermost()  # noqa: E731
    for level in range(height):
        space = {"__name__": f"package.module_{level % 40}", "then": function, "scope": SCOPE}
        source = ASGI_FLOOR if with_request and level == height - 3 else FLOOR
        exec(compile(source, f"module_{level}.py", "exec"), space)
        function = space["floor"]  # type: ignore[assignment]
    return function


def parked(target: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def burn() -> None:
    while True:
        pass


def timed(thread: int, pause_s: float, count: int) -> list[tuple[int, int]]:
    """Nanoseconds to get at the frames, and to walk them; after a pause each, as the watchdog comes to it, if there is one."""
    figures = []
    for _ in range(count):
        if pause_s:
            time.sleep(pause_s)
        began_ns = time.perf_counter_ns()
        frame = sys._current_frames()[thread]
        got_ns = time.perf_counter_ns()
        capture(frame, NO_BOUNDARY, MAX_FRAMES)
        figures.append((got_ns - began_ns, time.perf_counter_ns() - got_ns))
        del frame
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depth", type=int, required=True, help="frames of the captured stack")
    parser.add_argument("--threads", type=int, required=True, help="threads of the process, the captured one included")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--request", action="store_true", help="an ASGI application is on the stack")
    parser.add_argument("--burner", action="store_true", help="another thread burns Python")
    chosen = parser.parse_args()

    sys.setrecursionlimit(chosen.depth + 1000)
    threading.stack_size(512 * 1024)
    never = threading.Lock()
    never.acquire()
    captured = parked(partial(tower(chosen.depth - OTHER_FRAMES, chosen.request), never.acquire))
    for _ in range(chosen.threads - 1):
        parked(never.acquire)
    if chosen.burner:
        parked(burn)
    time.sleep(0.2)
    assert captured.ident is not None

    timed(threading.get_ident(), 0, 100)  # the interpreter has specialised the code, but never seen that stack
    first = timed(captured.ident, 0, 1)
    paused = timed(captured.ident, 0.002, chosen.count)
    tight = timed(captured.ident, 0, chosen.count)
    depth = len(capture(sys._current_frames()[captured.ident], NO_BOUNDARY, 10**6).points)
    print(json.dumps({"depth": depth, "first_ns": first, "paused_ns": paused, "tight_ns": tight}))


if __name__ == "__main__":
    main()
