"""What of a test's run goes onto its reports, which carry it to the terminal, JUnit and the JSON file, from workers, too."""

from dataclasses import replace
from typing import Any

import pytest

from loopwatch.pytest_plugin.facts import ALLOWED, Block
from loopwatch.pytest_plugin.failure import failure_text
from loopwatch.pytest_plugin.run import Blocked, Run

__all__ = ["attach"]


def attach(run: Run, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
    """Put onto the report what has come to light since the last one. Called for each phase, once it is over."""
    fresh, failing = run.fresh, run.failing()
    run.fresh = []
    by_us = call.excinfo is not None and call.excinfo.errisinstance(Blocked)
    failed = by_us and report.failed
    expected = run.item.get_closest_marker("xfail") is not None and not failed
    if report.when == "setup" and report.passed and failing and not expected:
        report.longrepr = _represented(run, failing)
        failed = True
    elif failing and expected:
        fresh = [replace(one, verdict=ALLOWED, why="marked xfail") if one in failing else one for one in fresh]
    elif failing and not by_us:
        report.sections.append(("it also blocked the event loop", failure_text(failing)))
    _add_properties(run, report, fresh)
    told = {"failed": failed, "blocks": [block.plain() for block in fresh], "unmeasured": run.unmeasured}
    if report.when == "call" or failed or fresh:
        report.loopwatch = told  # type: ignore[attr-defined]  # a report keeps what plugins add


def _represented(run: Run, failing: list[Block]) -> Any:
    """As pytest would show it if the setup had raised it."""
    try:
        raise Blocked(failure_text(failing))
    except Blocked as error:
        return run.item.repr_failure(pytest.ExceptionInfo.from_exception(error))


def _add_properties(run: Run, report: pytest.TestReport, fresh: list[Block]) -> None:
    """For JUnit's XML, which takes them from the report on the teardown."""
    item = run.item
    if fresh and run.longest is not None:
        ours: list[tuple[str, object]] = [
            ("loopwatch_verdict", run.longest.verdict),
            ("loopwatch_ms", f"{run.longest.counted_ms:.1f}"),
            ("loopwatch_cause", run.longest.cause),
            ("loopwatch_place", run.longest.place),
        ]
        item.user_properties = [one for one in item.user_properties if not one[0].startswith("loopwatch_")] + ours
    if run.unmeasured is not None and ("loopwatch_unmeasured", run.unmeasured) not in item.user_properties:
        item.user_properties.append(("loopwatch_unmeasured", run.unmeasured))
    report.user_properties = list(item.user_properties)
