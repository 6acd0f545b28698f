"""Another thread's stack, walked to plain tuples."""

import asyncio
import gc
import sys
import threading

import pytest
from facts import LOOP

from loopwatch.attach import LOOP_CODES
from loopwatch.heartbeats.asyncio_selector import SelectorHeartbeat
from loopwatch.probes import stacks
from loopwatch.probes.stacks import Capture, capture

BOUNDARY = frozenset(id(code) for code in LOOP_CODES)


def names(taken):
    """The functions of a capture, outermost first."""
    return [code.co_name for code, _, _ in reversed(taken.points)]


def nested(depth, innermost):
    """`innermost()`, called so many levels deep."""
    return nested(depth - 1, innermost) if depth else innermost()


def of_itself(boundary=frozenset(), max_frames=1000):
    """The stack of whoever calls."""
    return capture(sys._getframe(1), boundary, max_frames)


# ── what is walked ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_points():
    """Each point is a code object, the offset of its last instruction, and its module's name; innermost first."""

    def inner():
        return of_itself()

    taken = inner()

    code, offset, module = taken.points[0]
    assert (code, module) == (inner.__code__, __name__)
    assert 0 < offset < len(code.co_code)
    assert taken.points[1][0].co_name == "test_points"


def test_boundary():
    """The walk ends at the innermost frame that runs a loop: what called that is no part of a turn."""

    def loop():
        return callback()

    def callback():
        return of_itself(frozenset({id(loop.__code__)}))

    assert names(loop()) == ["callback"]


def test_nothing_within_the_loop():
    """A loop that runs C code only has nothing on its stack; a thread without a frame neither."""

    def loop():
        return of_itself(frozenset({id(loop.__code__)}))

    assert loop().points == ()
    assert capture(None, frozenset(), 10) == Capture(())


def test_polling():
    """A loop that stands in its own poll, within our hook, is told from one that runs a callback."""
    loop, seen = asyncio.new_event_loop(), []
    loop._selector.select = lambda timeout=None: seen.append(of_itself(BOUNDARY)) or []
    heartbeat = SelectorHeartbeat(loop, LOOP, 10**9)
    heartbeat.attach()
    loop.call_soon(lambda: seen.append(of_itself(BOUNDARY)))
    loop.call_soon(loop.stop)
    loop.run_forever()
    heartbeat.detach()
    del loop._selector.select
    loop.close()

    assert [taken.polling for taken in seen] == [True, False]


def test_callback_of_a_real_loop():
    """Of an asyncio callback only what asyncio called is walked, down to the callback itself."""
    loop, seen = asyncio.new_event_loop(), []
    loop.call_soon(lambda: seen.append(of_itself(BOUNDARY)))
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()

    assert names(seen[0]) == ["_run", "<lambda>"]


def test_progress():
    """asyncio's own counters tell which of the turn's callbacks runs."""
    loop, seen = asyncio.new_event_loop(), []
    for _ in range(2):
        loop.call_soon(lambda: seen.append(of_itself(BOUNDARY).progress))
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()

    assert seen == [(1, 3), (2, 3)]
    assert of_itself().progress is None


def test_globals_with_methods_of_their_own():
    """Code may run in a dictionary that does as it likes: nothing of it is called."""

    class Globals(dict):
        def __getitem__(self, key):
            return super().__getitem__(key)

        def get(self, *args):
            raise AssertionError("was run")

    names = Globals(of_itself=of_itself, __name__="mine")
    exec("taken = of_itself()", names)

    assert dict.__getitem__(names, "taken").points[0][2] == "mine"


# ── bounds ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("limit", [4, 5, 20])
def test_depth(limit):
    """Of a deep stack the innermost and the outermost frames are kept, and the number left out is told."""
    whole = nested(100, of_itself)
    taken = nested(100, lambda: of_itself(max_frames=limit))

    assert len(taken.points) == limit
    assert taken.omitted + limit in (len(whole.points), len(whole.points) + 1)
    assert taken.points[0][0].co_name == "<lambda>"
    assert taken.points[-1][0] is whole.points[-1][0]


def test_shallow():
    """A stack within the bound is whole."""
    taken = of_itself()

    assert taken.omitted == 0
    assert len(of_itself(max_frames=len(taken.points)).points) == len(taken.points)


def test_walk_is_bounded(monkeypatch):
    """A runaway recursion is not walked to its end."""
    monkeypatch.setattr(stacks, "MAX_WALK", 50)

    taken = nested(200, of_itself)

    assert len(taken.points) == 50


# ── nothing of the program is kept ──────────────────────────────────────────────────────────────────────────────────


class Local:
    """A local that tells when it goes."""

    def __init__(self, gone):
        self.gone = gone

    def __del__(self):
        self.gone.append(threading.get_ident())


def test_no_local_is_kept():
    """A local of a walked frame goes when its function ends, on its own thread, though the capture is still there."""
    gone = []

    def blocks():
        local = Local(gone)
        return of_itself(), local and None

    gc.disable()
    taken, _ = blocks()
    gc.enable()

    assert gone == [threading.get_ident()]
    assert taken.points[0][0] is blocks.__code__


def test_foreign_thread():
    """The stack of a thread that waits is walked from another one, and none of its locals outlives it."""
    entered, leave, gone = threading.Event(), threading.Event(), []

    def blocks():
        local = Local(gone)
        entered.set()
        leave.wait(10)
        return local and None

    thread = threading.Thread(target=blocks)
    thread.start()
    assert entered.wait(10)
    taken = capture(sys._current_frames()[thread.ident], frozenset(), 100)
    leave.set()
    thread.join()

    assert "blocks" in names(taken)
    assert gone == [thread.ident]
