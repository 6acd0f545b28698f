"""Turns of a uvloop loop, read out of a fake libuv: how the count and the clock are understood."""

import os
from dataclasses import replace
from types import SimpleNamespace

import pytest
from facts import LOOP

from loopwatch.heartbeats import libuv
from loopwatch.heartbeats.libuv import LibuvHeartbeat
from loopwatch.probes.threads import RawCall
from loopwatch.testing import FakeClock

MS = 1_000_000
BACKEND_FD = 5
POLLING = RawCall("epoll_wait", BACKEND_FD)
RUNNING = RawCall("running")


class FakeLibuv:
    """One libuv loop: its count of polls, and its clock in whole milliseconds."""

    def __init__(self, clock):
        self.count, self.now_ms, self.calls = 1, 0, 0
        self.clock = clock

    def metrics(self, pointer, into):
        self.calls += 1
        into._obj.loop_count = self.count

    def now(self, pointer):
        return self.now_ms

    def backend_fd(self, pointer):
        return BACKEND_FD

    def polls(self):
        """The loop begins to poll."""
        self.count += 1

    def wakes(self):
        """A poll returns."""
        self.now_ms = self.clock.now_ns() // MS


class Scene:
    """A uvloop loop under watch."""

    def __init__(self, clock):
        self.clock, self.uv = clock, FakeLibuv(clock)
        self.call, self.posted = POLLING, []
        loop = SimpleNamespace(call_soon_threadsafe=self.posted.append, call_soon=self.posted.append)
        self.heartbeat = LibuvHeartbeat(loop, LOOP, 100 * MS, self.uv, SimpleNamespace(syscall=lambda: self.call))
        self.uv.wakes()
        self.heartbeat.attach()

    def look(self, stack_empty=False):
        """One look: since when the loop is busy, in milliseconds ago; None: it waits."""
        now = self.clock.now_ns()
        reading = self.heartbeat.read(now)
        if reading.since_ns is None or not self.heartbeat.running(reading, stack_empty):
            return None
        return (now - reading.since_ns) / MS

    def turn_begins(self):
        """The loop polls, gets an event at once, and begins to run a callback."""
        self.uv.polls()
        self.uv.wakes()
        self.call = RUNNING

    def runs_posted(self):
        """The loop runs what was posted."""
        posted, self.posted[:] = list(self.posted), []
        for callback in posted:
            callback()


@pytest.fixture
def scene(monkeypatch):
    """A loop under watch, with a clock that stands still."""
    clock = FakeClock(at_ns=10_000 * MS)
    faked = SimpleNamespace(
        monotonic_ns=clock.now_ns, monotonic=lambda: clock.now_ns() / 1e9, sleep=lambda s: clock.advance(s * 1000)
    )
    monkeypatch.setattr(libuv, "time", faked)
    monkeypatch.setattr(libuv, "pointer_of", lambda loop: 1)
    return Scene(clock)


# ── busy or waiting? ────────────────────────────────────────────────────────────────────────────────────────────────


def test_waits(scene):
    """A count that stands still while the thread polls is a wait, however long; its system call is asked about only once."""
    assert scene.look() is None
    scene.call = RUNNING
    scene.clock.advance(5000)

    assert scene.look() is None


def test_quiet(scene):
    """A loop that waits is quiet, also after turns that were over soon; the kernel is asked once per turn."""
    calls, probe = [], scene.heartbeat._probe
    probe.syscall = lambda: calls.append(1) or scene.call

    for turn in (1, 1, 2, 2, 2):
        scene.uv.count = turn
        assert scene.heartbeat.quiet_turn(scene.clock.now_ns()) == turn
        scene.clock.advance(65)

    assert len(calls) == 2
    scene.turn_begins()
    assert scene.heartbeat.quiet_turn(scene.clock.now_ns()) is None


def test_not_quiet_with_something_to_tell(scene):
    """A loop that waits again after a long turn is not quiet until that is told."""
    scene.turn_begins()
    scene.look()
    scene.clock.advance(150)
    scene.look()
    scene.uv.polls()
    scene.uv.wakes()
    scene.call = POLLING

    assert scene.heartbeat.quiet_turn(scene.clock.now_ns()) is None
    assert len(scene.heartbeat.finished()) == 1
    assert scene.heartbeat.quiet_turn(scene.clock.now_ns()) is not None


def test_runs(scene):
    """A count that stands still while the thread does anything else is a turn, from when the poll returned."""
    scene.turn_begins()
    scene.clock.advance(150)

    assert scene.look() == pytest.approx(150, abs=1)
    scene.call = POLLING  # a callback may poll something of its own
    assert scene.look() == pytest.approx(150, abs=1)


def test_other_poll(scene):
    """A callback that polls descriptors of its own runs."""
    scene.turn_begins()
    scene.call = RawCall("epoll_wait", BACKEND_FD + 1)
    scene.clock.advance(150)

    assert scene.look() is not None


@pytest.mark.parametrize(("stack_empty", "busy"), [(True, False), (False, True), (None, True)])
def test_without_system_calls(scene, stack_empty, busy):
    """Where system calls cannot be read, a frame inside the loop tells that it runs."""
    scene.turn_begins()
    scene.call = None
    scene.clock.advance(150)

    assert (scene.look(stack_empty) is not None) == busy


def test_wakes_from_a_long_wait(scene):
    """A clock that moved while the count stood still means that the poll has returned: the turn begins there, exactly."""
    scene.look()
    scene.clock.advance(5000)
    scene.uv.wakes()
    scene.call = RUNNING
    scene.clock.advance(150)

    assert scene.look() == pytest.approx(150, abs=1)
    assert scene.heartbeat.read(scene.clock.now_ns()).exact


def test_clock_set_again(scene):
    """The clock that is set once more before timers run does not begin another turn."""
    scene.turn_begins()
    scene.clock.advance(50)
    scene.look()
    scene.uv.wakes()
    scene.clock.advance(100)

    assert scene.look() == pytest.approx(150, abs=1)


def test_moved_meanwhile(scene):
    """A system call that was read after the turn had ended does not speak for it."""
    scene.turn_begins()
    scene.clock.advance(150)
    reading = scene.heartbeat.read(scene.clock.now_ns())
    scene.uv.polls()

    assert not scene.heartbeat.running(reading, stack_empty=False)


def test_before_the_run(scene):
    """A turn does not begin before the run does, whatever the clock says."""
    scene.uv.now_ms = 0
    scene.uv.polls()
    scene.call = RUNNING
    scene.clock.advance(150)

    assert scene.look() == 150


# ── the end of a stall ──────────────────────────────────────────────────────────────────────────────────────────────


def stalled(scene, ms):
    """A turn of so many milliseconds, seen as it began and as it lasted."""
    scene.turn_begins()
    for _ in range(10):
        scene.clock.advance(ms / 10)
        scene.look()


def test_end_by_probe(scene):
    """A probe that was posted into the stalled loop runs first thing in the next turn: the end is exact."""
    stalled(scene, 300)
    scene.heartbeat.expect_end(scene.uv.count)
    scene.clock.advance(7)
    scene.turn_begins()
    scene.runs_posted()
    scene.clock.advance(500)
    scene.look()

    (turn,) = scene.heartbeat.finished()
    assert (turn.end_ns - turn.start_ns) / MS == pytest.approx(307, abs=1.5)
    assert turn.exact


def test_probe_within_the_stall(scene):
    """A probe that still runs in the stalled turn is posted once more."""
    stalled(scene, 300)
    scene.heartbeat.expect_end(scene.uv.count)
    scene.runs_posted()

    assert len(scene.posted) == 1


def test_end_by_the_next_reading(scene):
    """Without a probe a turn has lasted for as long as it was seen, and says that this is a bound."""
    stalled(scene, 300)
    scene.clock.advance(200)
    scene.uv.count += 5
    scene.look()

    (turn,) = scene.heartbeat.finished()
    assert (turn.end_ns - turn.start_ns) / MS == pytest.approx(300, abs=1)
    assert not turn.exact


def test_end_by_the_next_turn(scene):
    """If the next turn is under way, its clock bounds when the one before it ended."""
    stalled(scene, 300)
    scene.clock.advance(20)
    scene.turn_begins()
    scene.clock.advance(400)
    scene.look()

    (turn,) = scene.heartbeat.finished()
    assert (turn.end_ns - turn.start_ns) / MS == pytest.approx(320, abs=1.5)
    assert not turn.exact


def test_short_turn(scene):
    """A turn under the limit is not told; neither is one that nobody saw run."""
    stalled(scene, 90)
    scene.clock.advance(5)
    scene.uv.polls()
    scene.call = POLLING
    scene.look()
    scene.turn_begins()
    scene.clock.advance(500)
    scene.uv.polls()
    scene.call = POLLING
    scene.look()

    assert scene.heartbeat.finished() == []


# ── coming and going ────────────────────────────────────────────────────────────────────────────────────────────────


def test_detach(scene):
    """A stall that lasts until the loop stops ends there, exactly; from then on libuv is not asked any more."""
    stalled(scene, 300)

    scene.heartbeat.detach()
    asked = scene.uv.calls
    scene.clock.advance(1000)

    assert [(turn.end_ns - turn.start_ns) // MS for turn in scene.heartbeat.finished()] in ([299], [300])
    assert scene.look() is None
    scene.heartbeat._mark()
    scene.heartbeat.expect_end(1)
    assert scene.uv.calls == asked
    assert scene.posted == []


def test_detach_before_any_look(scene):
    """A stall that took the whole run, with the GIL kept so that nobody could look, is told when the loop stops."""
    scene.clock.advance(300)

    scene.heartbeat.detach()

    (turn,) = scene.heartbeat.finished()
    assert (turn.end_ns - turn.start_ns) // MS in (299, 300)


def test_detach_after_unseen_turns(scene):
    """A last turn that began since the last look is a stall by itself; the wait before it is none."""
    scene.look()
    scene.clock.advance(5000)
    scene.turn_begins()
    scene.clock.advance(300)

    scene.heartbeat.detach()

    assert [(turn.end_ns - turn.start_ns) // MS for turn in scene.heartbeat.finished()] in ([299], [300])


def test_detach_after_a_wait(scene):
    """A loop that was woken from a long wait and stopped at once was not held."""
    scene.look()
    scene.clock.advance(5000)
    scene.uv.wakes()

    scene.heartbeat.detach()

    assert scene.heartbeat.finished() == []


def test_detach_waits_for_a_reader(scene):
    """The loop does not go while the watchdog reads; but it does not wait for ever for a thread that was frozen."""
    began = scene.clock.now_ns()
    scene.heartbeat._reading = True
    scene.heartbeat.info = replace(scene.heartbeat.info, pid=os.getpid())

    scene.heartbeat.detach()

    assert scene.clock.now_ns() - began == pytest.approx(1000 * MS, rel=0.01)


def test_detach_in_a_forks_child(scene):
    """A fork may copy the mark of a reader, but not the reader: nobody is waited for."""
    began = scene.clock.now_ns()
    scene.heartbeat._reading = True
    scene.heartbeat.info = replace(scene.heartbeat.info, pid=os.getpid() + 1)

    scene.heartbeat.detach()

    assert scene.clock.now_ns() == began


def test_closed_loop(scene):
    """A loop that was closed meanwhile takes no probe; that is no error."""

    def closed(callback):
        raise RuntimeError("Event loop is closed")

    scene.heartbeat._loop.call_soon_threadsafe = closed
    stalled(scene, 300)

    scene.heartbeat.expect_end(scene.uv.count)


def test_what_is_not_known(scene):
    """uvloop shows neither its ready callbacks nor its busy time."""
    assert (scene.heartbeat.ready(), scene.heartbeat.busy_ns(0)) == (None, None)
