"""`/livez`: dead is only what has not turned for too long; whatever else is amiss is told apart, and left alone."""

import json
import os
from dataclasses import replace
from types import SimpleNamespace

import pytest
from asking import ask
from facts import LOOP, stall
from live.processes import free_port

from loopwatch.errors import SettingError
from loopwatch.records import LoopInfo, LoopStats
from loopwatch.settings import Settings
from loopwatch.sinks import sink_called
from loopwatch.sinks.livez import LivezSink, liveness_of, livez

NOTHING = LoopStats(None, 0, None, 0, 0, 0, 0, 0, 0, {}, 0, 0, 0, 0, None)
OTHER = LoopInfo("uvloop", "worker", 8, 88, 777)


def loop(stalled_ms=0.0, lags_ms=(0.0,) * 60, info=LOOP):
    """The totals of one loop."""
    return replace(NOTHING, loop=info, stalled_ms=stalled_ms, lags_ms=tuple(lags_ms), looks=len(lags_ms))


def totals(*loops):
    """The totals of a process with these loops."""
    return replace(NOTHING, stalled_ms=max((one.stalled_ms for one in loops), default=0.0), loops=loops)


def watch(*loops, **settings):
    """A watch that knows these loops."""
    return SimpleNamespace(stats=lambda: totals(*loops), settings=Settings(**settings), incidents=(), pools=())


def pool(waiting):
    """anyio's limiter, used up."""
    return SimpleNamespace(
        kind="anyio", name="default limiter", borrowed=40, total=40, waiting=waiting, saturated=waiting > 0
    )


# ── the policy ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_loop():
    """A process whose loop has not started yet is alive: it may still be importing."""
    found = liveness_of(totals(), 30_000)

    assert (found.status, found.alive) == ("no_loop", True)


def test_idle():
    """A loop that waits for work is alive."""
    assert liveness_of(totals(loop()), 30_000).status == "ok"


def test_stuck():
    """One that has not turned for as long as is set is not, and the reason names it."""
    found = liveness_of(totals(loop(), loop(30_000, info=OTHER)), 30_000)

    assert (found.status, found.alive) == ("stuck", False)
    assert found.reason == "the uvloop loop of thread worker has not turned for 30.0 s (stuck after 30 s)"


def test_stalled_for_less():
    """A stall under way that is younger than that is none of the orchestrator's business."""
    found = liveness_of(totals(loop(29_999, lags_ms=[1000.0] * 60)), 30_000)

    assert (found.status, found.alive) == ("busy", True)


def test_busy():
    """A loop that is in a turn at every look, but turns, is alive: a restart would lose what it has done."""
    found = liveness_of(totals(loop(lags_ms=[0.0] * 1000 + [3.0] * 60)), 30_000)

    assert (found.status, found.alive) == ("busy", True)
    assert found.reason == "the asyncio loop of thread MainThread turns, but was busy at 100% of the latest looks"


def test_stuck_elsewhere():
    """Where workers know of each other, a loop that is stuck in any of them counts."""
    found = liveness_of(totals(loop()), 30_000, elsewhere_ms=31_000)

    assert (found.status, found.alive) == ("stuck", False)
    assert "another worker" in found.reason


def test_pool_exhausted():
    """Work that waits for a thread is told apart from a loop that is stuck, and from one that is busy."""
    found = liveness_of(totals(loop(lags_ms=[3.0] * 60)), 30_000, [pool(waiting=7)])

    assert (found.status, found.alive) == ("waiting_for_threads", True)
    assert found.reason.endswith("7 wait for one of 40 in anyio default limiter")
    assert liveness_of(totals(loop(31_000)), 30_000, [pool(7)]).status == "stuck"
    assert liveness_of(totals(loop()), 30_000, [pool(0)]).status == "ok"


@pytest.mark.parametrize(("stalled_ms", "status"), [(0, 200), (29_000, 200), (30_000, 503), (90_000, 503)])
def test_reply(stalled_ms, status):
    """The status is for the orchestrator, the body for people: which loop, for how long, by which limit."""
    reply = livez(watch(loop(stalled_ms)))

    body = json.loads(reply.body)
    assert (reply.status, reply.content_type) == (status, "application/json")
    assert body["loops"] == [{"loop": "MainThread", "backend": "asyncio", "stalled_s": stalled_ms / 1e3, "busy": 0.0}]
    assert (body["pid"], body["stuck_after_s"]) == (os.getpid(), 30)


# ── the sink ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_served():
    """It answers for as long as the watch lasts, by the watch's own totals and limit; nothing but `/livez` is there."""
    port = free_port()
    sink = sink_called(f"livez:{port}")
    sink.begin(watch(loop(6_000), stuck_ms=5_000))
    sink(stall())
    answer, other = ask(port, "/livez"), ask(port, "/metrics")
    sink.end()

    assert (answer.status, json.loads(answer.body)["status"]) == (503, "stuck")
    assert other.status == 404
    with pytest.raises(ConnectionRefusedError):
        ask(port, "/livez")


def test_refused(monkeypatch):
    """What cannot be listened on, or by whom, is said when the sink is made."""
    monkeypatch.delenv("LOOPWATCH_TOKEN", raising=False)

    with pytest.raises(SettingError, match="sink 'livez'; give a port"):
        LivezSink("nonsense")
    with pytest.raises(SettingError, match="LOOPWATCH_TOKEN"):
        LivezSink("0.0.0.0:8080")
