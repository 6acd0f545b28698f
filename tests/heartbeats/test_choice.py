"""Which heartbeat for which loop."""

import asyncio
import os
import sys
import threading
from types import ModuleType, SimpleNamespace

import pytest

from loopwatch.heartbeats import heartbeat_for, libuv
from loopwatch.heartbeats.base import backend_name, describe
from loopwatch.probes.threads import RawCall


class OtherLoop:
    """A loop that shows nothing of itself."""


def loop_class(module, *bases):
    """A loop class of that module."""
    return type("Loop", bases or (asyncio.AbstractEventLoop,), {"__module__": module})


def test_choice():
    """asyncio's own loop shows its turns; any other loop gets a timer."""
    real = asyncio.new_event_loop()

    assert type(heartbeat_for(real, 1, None, adopted=False)).__name__ == "SelectorHeartbeat"
    assert type(heartbeat_for(OtherLoop(), 1, None, adopted=False)).__name__ == "TimerHeartbeat"
    real.close()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (asyncio.SelectorEventLoop, "asyncio"),
        (loop_class("shop.loops", asyncio.SelectorEventLoop), "asyncio"),
        (loop_class("uvloop"), "uvloop"),
        (loop_class("shop.loops", loop_class("uvloop.loop")), "uvloop"),
        (loop_class("rloop._compat"), "rloop"),
        (OtherLoop, __name__.partition(".")[0]),
    ],
)
def test_backend(kind, name):
    """A loop goes by the library that it is of, also where the program has subclassed it."""
    assert backend_name(kind) == name


def test_describe():
    """A loop is described by the thread that runs it."""
    info = describe(OtherLoop())

    assert (info.thread_id, info.native_id, info.pid) == (threading.get_ident(), threading.get_native_id(), os.getpid())
    assert info.thread == threading.current_thread().name


# ── the loader ──────────────────────────────────────────────────────────────────────────────────────────────────────


def uvloop_of(monkeypatch, **attributes):
    """A module that passes for uvloop's, and a loop of it."""
    module = ModuleType("uvloop.loop")
    vars(module).update(attributes)
    monkeypatch.setitem(sys.modules, "uvloop.loop", module)
    return type("Loop", (asyncio.AbstractEventLoop,), {"__module__": "uvloop"})()


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param({}, id="an older uvloop"),
        pytest.param({"libuv_get_loop_t_ptr": print, "__file__": "/nowhere/loop.so"}, id="a file that is not there"),
        pytest.param({"libuv_get_loop_t_ptr": print, "__file__": None}, id="no file"),
    ],
)
def test_hidden_symbols(monkeypatch, attributes):
    """Where libuv cannot be reached through uvloop, its loop gets a timer."""
    loop = uvloop_of(monkeypatch, **attributes)

    assert libuv.load() is None
    assert type(heartbeat_for(loop, 1, None, adopted=False)).__name__ == "TimerHeartbeat"


def test_other_library(monkeypatch):
    """A shared object without libuv's symbols is not used."""
    import _ctypes

    uvloop_of(monkeypatch, libuv_get_loop_t_ptr=print, __file__=_ctypes.__file__)

    assert libuv.load() is None


def test_not_imported(monkeypatch):
    """A program without uvloop is not made to load it."""
    monkeypatch.delitem(sys.modules, "uvloop.loop", raising=False)

    assert libuv.load() is None
    assert "uvloop.loop" not in sys.modules


def test_real_uvloop():
    """On a real uvloop loop the count grows with every turn, and its turns are told."""
    uvloop = pytest.importorskip("uvloop")
    loop = uvloop.new_event_loop()
    heartbeat = heartbeat_for(loop, 1, SimpleNamespace(syscall=lambda: RawCall("running")), adopted=False)
    heartbeat.attach()
    counts = []

    async def main():
        for _ in range(3):
            counts.append(heartbeat.read(libuv.time.monotonic_ns()).turn)
            await asyncio.sleep(0)

    loop.run_until_complete(main())
    heartbeat.detach()
    loop.close()

    assert type(heartbeat) is libuv.LibuvHeartbeat
    assert counts == sorted(set(counts))
