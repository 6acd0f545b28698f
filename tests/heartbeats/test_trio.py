"""Exact turns of a run of trio, from both edges of its poll."""

import logging
import queue
import subprocess
import sys
import threading
import time
from types import ModuleType, SimpleNamespace

import pytest
from facts import LOOP

import loopwatch
from loopwatch import attach_trio
from loopwatch.attach_trio import TrioAttachment
from loopwatch.heartbeats import edges, heartbeat_for
from loopwatch.heartbeats import trio as trio_heartbeat
from loopwatch.heartbeats.trio import TrioHeartbeat
from loopwatch.observations import Reading
from loopwatch.probes import tasks
from loopwatch.probes import trio as trio_probe
from loopwatch.probes.trio import TrioRun, run_here
from loopwatch.testing import FakeClock, capture_stalls

trio = pytest.importorskip("trio")
MS = 1_000_000


class FakeManager:
    """Polls for as long as a test says. Like trio's, it takes no attribute of its own."""

    __slots__ = ("clock", "wait_ms")

    def __init__(self, clock):
        self.clock, self.wait_ms = clock, 0

    def get_events(self, timeout):
        self.clock.advance(self.wait_ms)
        return ["event"]


class FakeRun(TrioRun):
    """A run that calls its instruments when a test says so."""

    __slots__ = ("clock", "instruments")

    def __init__(self, clock, is_guest=False, manager=True):
        self.clock, self.instruments = clock, []
        fields = {"io_manager": FakeManager(clock)} if manager else {}
        super().__init__(None, {"runner": SimpleNamespace(is_guest=is_guest, **fields)})

    def add_instrument(self, instrument):
        self.instruments.append(instrument)

    def remove_instrument(self, instrument):
        self.instruments.remove(instrument)

    def turn(self, ms, wait_ms=0, timeout=1000):
        """Runs for so long, then polls."""
        self.clock.advance(ms)
        self.call("before_io_wait", timeout)
        manager = self.io_manager or FakeManager(self.clock)
        manager.wait_ms = wait_ms
        assert manager.get_events(timeout) == ["event"]
        self.call("after_io_wait", timeout)

    def call(self, hook, *args):
        for instrument in self.instruments:
            getattr(instrument, hook, lambda *_: None)(*args)


@pytest.fixture
def clock(monkeypatch):
    """The time that the heartbeat reads."""
    clock = FakeClock()
    for module in (trio_heartbeat, edges):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now_ns() / 1e9))
    return clock


def beating(run, adopted=False):
    """A heartbeat of that run, attached, for turns over 100 ms."""
    heartbeat = TrioHeartbeat(run, LOOP, 100 * MS, adopted)
    heartbeat.attach()
    return heartbeat


def lasting(turns):
    """What was told: milliseconds, whether exact, whether a wait."""
    return [((turn.end_ns - turn.start_ns) / MS, turn.exact, turn.waited) for turn in turns]


KINDS = [
    pytest.param({}, id="the poll's hook"),
    pytest.param({"manager": False}, id="an instrument"),
    pytest.param({"is_guest": True}, id="a guest"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_turns(clock, kind):
    """A turn over the limit is told once and exactly, whether or not its poll waits; shorter ones and waits are not."""
    run = FakeRun(clock, **kind)
    heartbeat = beating(run)
    run.turn(99, wait_ms=50)
    run.turn(250, wait_ms=50)
    run.turn(20, timeout=0)
    run.turn(130, timeout=0)
    clock.advance(5)

    assert heartbeat.read(clock.now_ns()) == Reading(clock.now_ns() - 5 * MS, clock.now_ns() - 5 * MS)
    assert lasting(heartbeat.finished()) == [(250, True, False), (130, True, False)]
    assert heartbeat.finished() == []
    assert heartbeat.busy_ns(clock.now_ns()) == (99 + 250 + 20 + 130 + 5) * MS


@pytest.mark.parametrize("kind", KINDS[:2])
def test_late_wait(clock, kind):
    """A wait that overran its timeout is late by that; a long one for an event is for the watchdog to judge."""
    run = FakeRun(clock, **kind)
    heartbeat = beating(run)
    run.turn(0, wait_ms=500, timeout=0.3)
    run.turn(0, wait_ms=500, timeout=86400)

    assert lasting(heartbeat.finished()) == [(200, True, True), (500, False, True)]


def test_late_guest(clock):
    """A guest that is called late says nothing: its host may have had work of its own."""
    run = FakeRun(clock, is_guest=True)
    heartbeat = beating(run)
    run.turn(0, wait_ms=500, timeout=0.3)

    assert heartbeat.finished() == []


def test_becomes_a_guest(clock):
    """That a run is a guest's is known only as it begins: then the poll, which its host may do in a thread, is left alone."""
    run = FakeRun(clock)
    heartbeat = beating(run)
    assert type(run.io_manager) is not FakeManager
    run.runner.is_guest = True
    run.call("before_run")
    run.call("before_run")

    assert type(run.io_manager) is FakeManager
    run.turn(150, wait_ms=500, timeout=0.3)
    assert lasting(heartbeat.finished()) == [(150, True, False)]


@pytest.mark.parametrize("kind", KINDS)
def test_detach(clock, kind):
    """The turn that ends with the run has no further poll: it is told as the heartbeat goes, and nothing is left."""
    run = FakeRun(clock, **kind)
    heartbeat = beating(run)
    clock.advance(150)

    heartbeat.detach()
    run.turn(500)

    assert lasting(heartbeat.finished()) == [(150, True, False)]
    assert run.instruments == []
    assert run.io_manager is None or type(run.io_manager) is FakeManager


def test_adopted(clock):
    """Of a run that was under way, the start of its first turn is only a bound."""
    run = FakeRun(clock)
    heartbeat = beating(run, adopted=True)
    run.turn(150)
    run.turn(150)

    assert lasting(heartbeat.finished()) == [(150, False, False), (150, True, False)]


def test_end_of_the_run(clock):
    """trio says when the run is over, and whoever wanted to know is told."""
    run, told = FakeRun(clock), []
    beating(run)
    run.stopped = lambda: told.append(True)

    run.call("after_run")

    assert told == [True]


# ── a real run ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_real_run():
    """On a real run turns are told, tasks that are ready are counted, and afterwards the run is as it was."""
    seen = []

    async def main():
        run = run_here()
        manager = type(run.io_manager)
        heartbeat = heartbeat_for(run, 1, None, adopted=True)
        heartbeat.attach()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 0.001)
            for _ in range(5):
                nursery.start_soon(trio.lowlevel.checkpoint)
            await trio.lowlevel.checkpoint()
            seen.append(heartbeat.ready())
        heartbeat.detach()
        assert type(run.io_manager) is manager
        return heartbeat

    heartbeat = trio.run(main)

    assert heartbeat.info.backend == "trio"
    assert len([turn for turn in heartbeat.finished() if not turn.waited]) >= 2
    assert seen[0] >= 1


def test_current_task():
    """The running task is known from another thread, with its nurseries; while none runs there is none."""

    async def leaf(run):
        return await trio.to_thread.run_sync(tasks.current_task, run), tasks.current_task(run)

    async def branch(run, found):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(note, run, found, name="the note")

    async def note(run, found):
        found.extend(await leaf(run))

    async def main():
        run, found = run_here(), []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(branch, run, found)
        return found

    waiting, running = trio.run(main)

    assert waiting == tasks.NO_TASK
    assert running.name == f"the note ({note.__qualname__})"
    assert running.nurseries == (main.__qualname__, branch.__qualname__)


def test_context_of_the_task():
    """What structlog's contextvars hold for a trio task is known on every Python."""
    structlog = pytest.importorskip("structlog")

    async def main():
        structlog.contextvars.bind_contextvars(order=7)
        return tasks.current_task(run_here())

    assert trio.run(main).context == (("order", 7),)


def test_over():
    """A run that has ended has no task, and is told nothing of."""
    run = trio.run(_here)

    assert (run.task, tasks.current_task(run)) == (None, tasks.NO_TASK)
    with pytest.raises(trio.RunFinishedError):
        run.call_soon(print)


async def _here():
    return run_here()


# ── finding runs ────────────────────────────────────────────────────────────────────────────────────────────────────


def blocking(seconds=0.15):
    async def main():
        await trio.sleep(0.01)
        time.sleep(seconds)
        await trio.sleep(0.01)

    return main


def test_another_trio(monkeypatch, caplog):
    """A trio without the private name is said once to be unknown, with the way out; that way works, without private names too."""
    monkeypatch.delattr(trio_run(), "setup_runner")
    said = []
    attachment = TrioAttachment(lambda: None, said.append)
    attachment.install()
    attachment.uninstall()
    monkeypatch.undo()

    assert said == [attach_trio.UNKNOWN_TRIO]

    monkeypatch.setattr(TrioAttachment, "_wrap", lambda self, module: self._failed(attach_trio.UNKNOWN_TRIO))
    monkeypatch.setattr(trio_probe, "_context", dict)
    with caplog.at_level(logging.ERROR, "loopwatch"), capture_stalls(threshold_ms=100) as stalls:
        trio.run(blocking())
        trio.run(blocking(), instruments=[loopwatch.TrioInstrument()])

    assert [record.getMessage() for record in caplog.records] == [attach_trio.UNKNOWN_TRIO]
    (stall,) = [stall for stall in stalls if stall.cause == "sleep"]
    assert (stall.loop.backend, stall.timing, stall.task, stall.waiting.callbacks) == ("trio", "exact", None, None)
    assert stall.stack[-1].function == f"{blocking.__qualname__}.<locals>.main"


def trio_run():
    return sys.modules["trio._core._run"]


def test_instrument_where_it_is_not_needed():
    """`TrioInstrument` beside what finds runs by itself tells nothing twice; without a watch it does nothing."""
    trio.run(blocking(), instruments=[loopwatch.TrioInstrument()])
    with capture_stalls(threshold_ms=100) as stalls:
        trio.run(blocking(), instruments=[loopwatch.TrioInstrument()])

    assert [stall.loop.backend for stall in stalls if stall.cause == "sleep"] == ["trio"]


def test_wrapped_by_another(monkeypatch):
    """What another tool has put around ours stays when we go."""
    attachment = TrioAttachment(lambda: None, print)
    monkeypatch.setattr(trio_run(), "setup_runner", trio_run().setup_runner)
    attachment.install()
    ours = trio_run().setup_runner

    def theirs(*args):
        return ours(*args)

    trio_run().setup_runner = theirs
    attachment.uninstall()

    assert trio_run().setup_runner is theirs
    assert trio.run(_here).task is None


LATER = """
import sys
import loopwatch
from loopwatch.testing import capture_stalls
finders = list(sys.meta_path)
with capture_stalls(threshold_ms=100) as stalls:
    assert "trio" not in sys.modules
    import time, trio, trio._core._run as module
    async def main():
        time.sleep(0.15)
    trio.run(main)
    loader = vars(module.__loader__)
assert {stall.loop.backend for stall in stalls} == {"trio"}, list(stalls)
assert sys.meta_path == finders and "exec_module" not in loader
assert not hasattr(module.setup_runner, "__loopwatch__")
"""


def test_imported_later():
    """A program that imports trio only after `enable()` has its runs watched; loopwatch does not import it."""
    subprocess.run([sys.executable, "-c", LATER], check=True, timeout=60)


def test_never_imported(monkeypatch):
    """In a program without trio, one name waits to be imported, and nothing else is touched."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "trio"]:
        monkeypatch.delitem(sys.modules, name)
    before = list(sys.meta_path)
    attachment = TrioAttachment(lambda: None, print)
    attachment.install()
    finder = sys.meta_path[0]

    assert sys.meta_path[1:] == before
    assert finder.find_spec("trio") is None
    assert finder.find_spec("trio._core._run", ["/nowhere"]) is None
    attachment.uninstall()
    assert sys.meta_path == before
    assert trio_probe.loop_codes() == ()
    assert trio_probe.task_here() is None


def test_half_imported(monkeypatch):
    """A trio that is still being imported by another thread does no harm."""
    monkeypatch.setitem(sys.modules, "trio", ModuleType("trio"))

    assert trio_probe.task_here() is None
    attach_trio.on_each_run(lambda: None)


def host():
    """A host loop for a guest run, and what runs it until the guest is done: as anyio's test runner does."""
    calls, outcomes = queue.SimpleQueue(), []

    def run_guest(main):
        trio.lowlevel.start_guest_run(main, run_sync_soon_threadsafe=calls.put, done_callback=outcomes.append)
        while not outcomes:
            calls.get()()
        return outcomes.pop().unwrap()

    return run_guest


def test_guest_of_an_unknown_host():
    """A guest run on a loop that nobody watches is watched by itself; what its host does between its ticks is not its own."""

    async def main():
        await trio.sleep(0.01)
        time.sleep(0.2)
        await trio.sleep(0)

    with capture_stalls(threshold_ms=100) as stalls:
        host()(main)

    (stall,) = [stall for stall in stalls if stall.cause == "sleep"]
    assert (stall.loop.backend, stall.timing, stall.task) == ("trio", "exact", main.__qualname__)
    assert stall.stack[0].function == main.__qualname__


def test_running_in_another_thread():
    """A run that waits in another thread is found by `enable()`, and let go by `disable()`."""
    running, blocked, kinds = threading.Event(), threading.Event(), []

    def block():
        time.sleep(0.2)
        blocked.set()

    async def main():
        stop = main.stop = trio.Event()
        main.call = trio.lowlevel.current_trio_token().run_sync_soon
        kinds.append(type(run_here().io_manager))
        running.set()
        await stop.wait()
        kinds.append(type(run_here().io_manager))
        assert list(run_here().runner.instruments["_all"]) == []

    thread = threading.Thread(target=trio.run, args=(main,), name="trio's")
    thread.start()
    assert running.wait(10)
    with capture_stalls(threshold_ms=100) as stalls:
        main.call(block)
        assert blocked.wait(10)
    main.call(main.stop.set)
    thread.join(10)

    (stall,) = [stall for stall in stalls if stall.cause == "sleep"]
    assert (stall.loop.backend, stall.loop.thread) == ("trio", "trio's")
    assert kinds[0] is kinds[1]
