"""Where a test cannot be measured: it is told as `unmeasured`, never as passed. On the thread that runs the tests."""

import inspect
import sys

import pytest

from loopwatch.judge.cause import DEBUGGER_MODULES
from loopwatch.pytest_plugin.run import DEBUGGER
from loopwatch.pytest_plugin.timeline import Phase

__all__ = ["blind_spot"]

DEBUGGERS = (*DEBUGGER_MODULES, "bdb", "pdb")


def blind_spot(item: pytest.Item, phase: Phase, ran: bool) -> str | None:
    """Why that phase of the test was not measured; None: it was.

    Args:
        item: The test.
        phase: It is over.
        ran: Whether a loop ran in it.
    """
    if phase.end_ns is not None and phase.end_ns <= phase.start_ns:
        return "the clock stands still: loopwatch was imported after time had been frozen"
    if debugger_attached():
        return DEBUGGER
    if phase.name == "call" and not ran and inspect.iscoroutinefunction(getattr(item, "function", None)):
        return "no loop was seen to run: loops without run_forever cannot be watched"
    return None


def debugger_attached() -> bool:
    """Whether a debugger traces this thread, by the module of its trace function or by `sys.monitoring` (3.12+)."""
    trace = sys.gettrace()
    if trace is not None:
        module = getattr(trace, "__module__", None) or type(trace).__module__
        if module.partition(".")[0].startswith(DEBUGGERS):
            return True
    monitoring = getattr(sys, "monitoring", None)
    return monitoring is not None and monitoring.get_tool(monitoring.DEBUGGER_ID) is not None
