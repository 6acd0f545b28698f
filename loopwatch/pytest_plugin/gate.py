"""The gate: watches each test's phases, charges what blocked, and fails the test. Runs where tests run (a worker of pytest-xdist).

A test that blocks runs to its end and is failed afterwards, by an exception of ours from the hook that ran it: so `xfail`, `-x`,
reruns and JUnit treat it as any other failure. A test that fails by itself keeps its own failure.
"""

from collections.abc import Generator
from typing import Any

import pytest

from loopwatch.clocks import time
from loopwatch.engine import ENGINE
from loopwatch.pytest_plugin.baseline import Baseline
from loopwatch.pytest_plugin.calls import block_of_call, one_a_line
from loopwatch.pytest_plugin.charging import block_of, shown_in
from loopwatch.pytest_plugin.demand import DemandError, demand_of
from loopwatch.pytest_plugin.facts import BLOCKED, Block, Demand, Seen
from loopwatch.pytest_plugin.late import tell
from loopwatch.pytest_plugin.options import Options
from loopwatch.pytest_plugin.recorder import Recorder
from loopwatch.pytest_plugin.reporting import attach
from loopwatch.pytest_plugin.ruling import BLIND, rule
from loopwatch.pytest_plugin.run import DEBUGGER, Run
from loopwatch.pytest_plugin.strict import Strictness
from loopwatch.pytest_plugin.timeline import LateTasks, Timeline
from loopwatch.pytest_plugin.unmeasured import blind_spot
from loopwatch.settings import resolve

__all__ = ["Gate"]

Hook = Generator[None, Any, Any]


MAX_RUNS = 512
"""Tests whose demands are remembered: blocks that end later are still charged to them."""


class Gate:
    """Hooks around each test.

    Args:
        config: pytest's.
        options: What the session asks for.
    """

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self._config = config
        self._options = options
        self._baseline = Baseline.read(options.baseline, missing_ok=options.update_baseline)
        self._shown = shown_in(config.rootpath)
        self._recorder = Recorder(
            resolve({"threshold_ms": options.max_ms, "sinks": (), "ongoing_ms": None, "saturated_ms": None})
        )
        self._timeline = Timeline()
        self._late_tasks = LateTasks()
        self._runs: dict[str, Run] = {}
        self._next: Run | None = None
        self._began_ns = time.monotonic_ns()
        self._late: list[tuple[Run, Block]] = []
        self._strictness = Strictness(options.allow)
        self._strict = False

    def run_of(self, item: pytest.Item) -> Run:
        """What is known of a test that runs."""
        return self._runs[item.nodeid]

    def collect(self, run: Run, thoroughly: bool = False) -> None:
        """Take what has blocked since the last time, and charge it."""
        found, trouble = self._recorder.take(thoroughly)
        run.note_unmeasured(trouble)
        for seen in found:
            self._charge(seen, run)

    # ── a test begins and ends ──────────────────────────────────────────────────────────────────────────────────

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Hook:
        prepared, self._next = self._next, None
        run = prepared if prepared is not None and prepared.item is item else self._run(item)
        self._runs[item.nodeid] = run
        self._aim(run.demand)
        try:
            return (yield)
        finally:
            self._next = None if nextitem is None else self._run(nextitem)
            upcoming = None if self._next is None else self._next.demand
            if upcoming is None or self._strict > upcoming.strict:
                self._aim(upcoming)
                self.collect(run)
            self._tell_late()
            self._forget()

    def _aim(self, demand: Demand | None) -> None:
        """Watch as that test asks; None: not at all."""
        self._recorder.aim(None if demand is None else demand.max_ms)
        strict = demand is not None and demand.strict
        if strict != self._strict:
            (self._strictness.switch_on if strict else self._strictness.switch_off)()
        self._strict = strict

    def _run(self, item: pytest.Item) -> Run:
        try:
            return Run(self, self._recorder, item, demand_of(item, self._options))
        except DemandError as error:
            return Run(self, self._recorder, item, None, problem=str(error))

    def _forget(self) -> None:
        """Of tests long over, only those matter that left tasks behind."""
        if len(self._runs) > MAX_RUNS:
            owners = self._late_tasks.owners()
            latest = list(self._runs)[-MAX_RUNS // 2 :]
            self._runs = {key: run for key, run in self._runs.items() if key in owners or key in latest}

    def _tell_late(self) -> None:
        """Blocks that came to light when the report of their test was out: an error of that test, not of the one that runs."""
        late, self._late = self._late, []
        for run in {id(run): run for run, _ in late}.values():
            tell(self._config, run.nodeid, run.location, [block for one, block in late if one is run])

    # ── its phases ──────────────────────────────────────────────────────────────────────────────────────────────

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Hook:
        run = self.run_of(item)
        run.restart()
        result = yield from self._phase(run, "setup")
        self._late_tasks.fixtures_are_up()
        if run.problem is not None:
            pytest.fail(run.problem, pytrace=False)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Hook:
        run = self.run_of(item)
        try:
            result = yield from self._phase(run, "call")
        finally:
            self._late_tasks.call_is_over(item.nodeid)
        run.raise_for("call")
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Hook:
        run = self.run_of(item)
        result = yield from self._phase(run, "teardown")
        run.raise_for("teardown")
        return result

    def _phase(self, run: Run, name: str) -> Hook:
        """Run one phase and collect what blocked in it, whether or not it raises."""
        if run.demand is None:
            return (yield)
        phase = run.phase = self._timeline.begin(run.nodeid, name)
        begun = ENGINE.loops.begun
        try:
            return (yield)
        finally:
            phase.end_ns = time.monotonic_ns()
            run.note_unmeasured(blind_spot(run.item, phase, ran=ENGINE.loops.begun != begun))
            self.collect(run, thoroughly=name == "teardown")
            self._charge_calls(run)

    # ── what blocked ────────────────────────────────────────────────────────────────────────────────────────────

    def _charge(self, seen: Seen, running: Run) -> None:
        """Find whose block it is, decide about it, and keep it for the report that comes next."""
        charge = self._timeline.charge(seen.start_ns, self._late_tasks.owner(seen.task_id), running.phase)
        run = self._runs.get(charge.test, running)
        if run.demand is None:
            return
        if not self._began_ns <= seen.start_ns <= seen.end_ns <= time.monotonic_ns():
            run.note_unmeasured("the monotonic clock itself was set to another time")
            return
        ruling = rule(seen, run.demand, run.windows, self._baseline.knows)
        run.note_unmeasured(BLIND if ruling.why == BLIND else None)
        block = block_of(seen, ruling, charge, self._shown)
        if run is running:
            run.add(block, seen)
        elif block.verdict == BLOCKED and run.demand.gates:
            self._late.append((run, block))

    def take_calls(self, run: Run) -> None:
        """Keep what strict mode has found so far."""
        if run.demand is not None and run.demand.strict:
            run.calls += self._strictness.take()

    def _charge_calls(self, run: Run) -> None:
        """Decide about what strict mode found in the phase that is over."""
        self.take_calls(run)
        calls, run.calls = run.calls, []
        if run.demand is None or not calls:
            return
        blocks = [
            block_of_call(
                call,
                run.demand,
                run.windows,
                self._timeline.charge(call.at_ns, None, run.phase),
                self._shown,
                self._baseline.has,
            )
            for call in calls
        ]
        for block in one_a_line(blocks):
            run.add(block)

    def pytest_sessionfinish(self) -> None:
        """The session may have been cut short."""
        self._aim(None)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Hook:
        start_ns = time.monotonic_ns()
        try:
            return (yield)
        finally:
            self._timeline.note_fixture(start_ns, f"the setup of {_named(fixturedef)}")

    def pytest_fixture_post_finalizer(self, fixturedef: Any) -> None:
        self._timeline.note_finalizer(f"the teardown of {_named(fixturedef)}")

    # ── reports ─────────────────────────────────────────────────────────────────────────────────────────────────

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Hook:
        report = yield
        run = self._runs.get(item.nodeid)
        if run is not None and run.demand is not None:
            attach(run, report, call)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Hook:
        """A setup that blocked has failed for all who are told; pytest then goes on to the test itself, which may fail as well."""
        flips = report.outcome == "passed" and getattr(report, "loopwatch", {}).get("failed", False)
        if flips:
            report.outcome = "failed"
        try:
            return (yield)
        finally:
            if flips:
                report.outcome = "passed"

    def pytest_enter_pdb(self) -> None:
        for run in list(self._runs.values())[-1:]:
            run.note_unmeasured(DEBUGGER)


def _named(fixturedef: Any) -> str:
    scope = fixturedef.scope
    return f"fixture {fixturedef.argname}" if scope == "function" else f"the {scope}'s fixture {fixturedef.argname}"
