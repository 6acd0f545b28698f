"""What an observation is made of: the clocks of the loop's thread and the machine, put together. On the watchdog's thread."""

import sys
from collections.abc import Callable
from dataclasses import replace

from loopwatch.clocks import Clock
from loopwatch.observations import Allowance, Observation, Sample, Turn
from loopwatch.probes.garbage import GarbageProbe
from loopwatch.probes.machine import MachineProbe
from loopwatch.probes.stacks import Capture
from loopwatch.watchdog.notes import Look, Mark, Pending, Pulse, Watched, vitals_between

__all__ = ["PROMPT_NS", "AllowancesWithin", "Facts"]

PROMPT_NS, ASK_AGAIN_NS = 500_000, 250_000_000
QUIET_NS = 300_000
"""A process that has burned less than this stands where it stood."""
PRESSED = 0.2
"""Wait for a core, as a share of the time, from which on the machine's own word about it is asked for."""
AllowancesWithin = Callable[[int, int, int], tuple[Allowance, ...]]


class Facts:
    """Asks the probes. For one thread, but for `mark`."""

    def __init__(
        self, clock: Clock, garbage: GarbageProbe, machine: MachineProbe, allowances: AllowancesWithin
    ) -> None:
        self._clock = clock
        self._garbage = garbage
        self._machine = machine
        self._allowances = allowances
        self._settled_ns: int | None = None

    def pulse(self, before: Pulse | None, due_ns: int) -> Pulse:
        """The watchdog's own signs of life now. Its wait for a core is asked for where it matters, and now and then."""
        now, machine = self._clock.now_ns(), self._machine
        asked_ns, runqueue_ns = (0, None) if before is None else (before.asked_ns, before.runqueue_ns)
        if now - due_ns > PROMPT_NS or now - asked_ns > ASK_AGAIN_NS:
            asked_ns, runqueue_ns = now, machine.own_runqueue_ns()
        return Pulse(now, machine.others_cpu_ns(), runqueue_ns, machine.own_switches(), asked_ns)

    def settle(self) -> None:
        """All loops have just been marked."""
        self._settled_ns = self._machine.others_cpu_ns()

    def is_quiet(self, pulse: Pulse, now_ns: int) -> bool:
        """Whether the process has computed next to nothing since then, looks apart, so that marks and `pulse` still hold."""
        if now_ns - pulse.asked_ns > ASK_AGAIN_NS:
            return False  # what a look itself takes, and waits for a core, adds up
        others_ns = self._machine.others_cpu_ns()
        return None not in (others_ns, self._settled_ns) and (others_ns or 0) - (self._settled_ns or 0) < QUIET_NS

    def mark(self, watched: Watched, own: bool = True) -> Mark:
        """All clocks now. `own`: whether the watchdog itself asks."""
        cpu_ns, process_ns = watched.probe.cpu_ns(), self._machine.process_cpu_ns()
        schedule = watched.probe.schedule()
        return Mark(
            at_ns=self._clock.now_ns(),
            cpu_ns=cpu_ns,
            runqueue_ns=schedule.waited_ns if schedule else None,
            slices=schedule.slices if schedule else None,
            process_ns=process_ns,
            throttled_ns=self._machine.throttled_ns(),
            own_runqueue_ns=self._machine.own_runqueue_ns(own),
        )

    def sample(self, watched: Watched, look: Look, stack: Capture) -> Sample:
        """One sample, but for its stack, which is resolved later. Does I/O: the stack has been walked before."""
        call, status = watched.probe.syscall(), watched.probe.status()
        schedule = watched.probe.schedule()
        return Sample(
            at_ns=look.at_ns,
            late_ns=look.late_ns,
            handed_on=look.handed_on,
            stack=(),
            cpu_ns=look.cpu_ns,
            runqueue_ns=schedule.waited_ns if schedule else None,
            process_cpu_ns=self._machine.process_cpu_ns(),
            syscall=None if call is None else call.resolved(),
            state=status.state if status else None,
            major_faults=status.major_faults if status else None,
            progress=stack.progress,
            task_id=look.task.id,
            task=look.task.name,
            nurseries=look.task.nurseries,
            request=stack.request,
            context=look.task.context,
            trace=look.task.trace or stack.trace,
            omitted=stack.omitted,
        )

    def observation(
        self,
        watched: Watched,
        turn: Turn,
        pending: Pending,
        mark: Mark | None,
        threshold_ns: int,
        ongoing: bool,
    ) -> Observation:
        """What the clocks say of one stall; its stacks are resolved later."""
        info = watched.heartbeat.info
        vitals = vitals_between(pending, mark or self.mark(watched))
        if (vitals.runqueue_ns or 0) > PRESSED * vitals.wall_ns:
            vitals = replace(vitals, cpu_pressure=self._machine.cpu_pressure())
        return Observation(
            id=pending.id,
            ongoing=ongoing,
            started_at=self._clock.wall(turn.start_ns),
            start_ns=turn.start_ns,
            end_ns=turn.end_ns,
            exact=turn.exact and (pending.exact or not pending.samples),
            loop=info,
            waited=turn.waited,
            samples=tuple(sample for sample, _ in pending.samples),
            vitals=vitals,
            collections=self._garbage.within(info.thread_id, turn.start_ns, turn.end_ns),
            allowances=self._allowances(info.thread_id, turn.start_ns, turn.end_ns),
            waiting=pending.waiting,
            switch_interval_ns=int(sys.getswitchinterval() * 1e9),
            threshold_ns=threshold_ns,
            ran_ns=turn.end_ns - watched.began_ns,
        )
