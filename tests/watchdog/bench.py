"""A watchdog in a world in which nothing happens by itself: fake time, a fake heartbeat, hand-made clocks and frames."""

import itertools
from types import SimpleNamespace

from loopwatch.observations import Reading, Turn
from loopwatch.probes.threads import RawCall, Schedule, Status
from loopwatch.schedule import Limits
from loopwatch.testing import FakeClock, FakeHeartbeat
from loopwatch.watchdog import Watchdog, Watched

__all__ = ["LIMITS", "MS", "Bench", "ages_ms"]

MS = 1_000_000
LIMITS = Limits(threshold_ns=100 * MS, ongoing_ns=(1000 * MS,))


def standing():
    """A frame to stand at."""
    yield


class FakeThread:
    """The loop's thread, as its probe sees it."""

    def __init__(self):
        self.cpu, self.waited, self.slices, self.faults = 0, 0, 0, 0
        self.call = RawCall("running")
        self.closed = False

    def cpu_ns(self):
        return self.cpu

    def schedule(self):
        return Schedule(self.waited, self.slices)

    def syscall(self):
        return self.call

    def status(self):
        return Status("R", self.faults)

    def close(self):
        self.closed = True


class FakeMachine:
    """The process and the watchdog's own thread."""

    def __init__(self):
        self.cpu, self.waited, self.switches, self.throttled = 0, 0, 0, None

    def process_cpu_ns(self):
        return self.cpu

    def others_cpu_ns(self):
        return self.cpu

    def own_runqueue_ns(self, here=True):
        return self.waited

    def own_switches(self):
        return self.switches

    def throttled_ns(self):
        return self.throttled

    def cpu_pressure(self):
        return 50.0


class FakeHolders:
    """The other threads that have computed."""

    def __init__(self):
        self.found, self.awaits = (), None
        self.noted = 0

    def note(self):
        self.noted += 1

    def suspects(self, frames, at_ns, late_ns):
        return self.found

    def awaited(self, frames, at_ns, thread_id):
        return self.awaits


class Bench:
    """A watchdog with one loop."""

    def __init__(self, limits=LIMITS):
        self.clock = FakeClock()
        self.machine = FakeMachine()
        self.holders = FakeHolders()
        self.told, self.failures = [], []
        self.collections, self.allowances = (), ()
        self.stack = standing()
        next(self.stack)
        self.watchdog = Watchdog(
            clock=self.clock,
            limits=limits,
            emit=lambda seen, captures: self.told.append(seen),
            garbage=SimpleNamespace(within=lambda *window: self.collections),
            machine=self.machine,
            holders=self.holders,
            allowances=lambda *window: self.allowances,
            stall_ids=(f"stall-{number}" for number in itertools.count(1)),
            report_failure=self.failures.append,
            frames=lambda: {1: self.stack.gi_frame},
        )
        self.watched = self.add(FakeHeartbeat(self.clock))
        self.heartbeat, self.thread = self.watched.heartbeat, self.watched.probe
        self.due = self.clock.now_ns()
        self.looks = 0

    def add(self, heartbeat):
        watched = Watched(object(), heartbeat, FakeThread(), frozenset(), self.clock.now_ns())
        heartbeat.limit_ns = self.watchdog.limits.threshold_ns
        self.watchdog.watched = (*self.watchdog.watched, watched)
        return watched

    def passes(self, ms, cpu=0.0, others=0.0, starved=0.0, asking=0.0):
        """Time goes by without a look; threads take such shares of it, and the watchdog asks for the GIL so often."""
        self.clock.advance(ms)
        self.thread.cpu += int(cpu * ms * MS)
        self.machine.cpu += int((cpu + others) * ms * MS)
        self.thread.waited += int(starved * ms * MS)
        self.machine.waited += int(starved * ms * MS)
        self.thread.slices += int(asking * ms / 5)
        self.machine.switches += int(asking * ms / 5)

    def runs(self, ms, **shares):
        """Time goes by, and the watchdog looks whenever it wants to."""
        end = self.clock.now_ns() + int(ms * MS)
        while self.due <= end:
            self.passes((self.due - self.clock.now_ns()) / MS, **shares)
            self.look()
        self.passes((end - self.clock.now_ns()) / MS, **shares)

    def look(self):
        self.due = self.watchdog.look(min(self.due, self.clock.now_ns()))
        self.looks += 1

    def blocks(self, ms, **shares):
        """One turn of the loop, watched all the while; and a look at what is left of it."""
        self.heartbeat.start_turn()
        self.runs(ms, **shares)
        self.heartbeat.end_turn()
        self.runs(70)

    def sleeps_through(self, ms, **shares):
        """One turn that begins and ends while the watchdog is kept out."""
        self.heartbeat.start_turn()
        self.passes(ms, **shares)
        self.heartbeat.end_turn()
        self.look()

    def passes_turns(self, turns, ms, **shares):
        """Turns go by, of which the heartbeat tells nothing, while the watchdog is kept out."""
        for _ in range(turns):
            self.heartbeat.start_turn()
            self.passes(ms / turns, **shares)
            self.heartbeat.reading = Reading(self.heartbeat.reading.turn, None)
        self.look()

    def tells_wait(self, ms, exact):
        """A wait of so many milliseconds ends now."""
        now = self.clock.now_ns()
        self.heartbeat.tell(Turn(now - int(ms * MS), now - int(ms * MS), now, exact=exact, waited=True))


def ages_ms(seen):
    """The ages at which a stall was sampled."""
    return [(sample.at_ns - seen.start_ns) / MS for sample in seen.samples]
