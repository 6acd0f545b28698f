"""Blocks that came to light when the report of their test was out: one more report says so, as an error at its teardown.

A worker of pytest-xdist may only report on the test that it runs: it hands them to the controller when it ends.
"""

from collections.abc import Sequence
from typing import Any

import pytest

from loopwatch.pytest_plugin.facts import Block, block_from
from loopwatch.pytest_plugin.failure import failure_text

__all__ = ["OUTPUT", "tell", "tell_plain"]

OUTPUT = "loopwatch_late"
"""Key under which a worker hands them over."""


def tell(config: pytest.Config, nodeid: str, location: tuple[str, int | None, str], blocks: Sequence[Block]) -> None:
    """Report late blocks of one test."""
    plain = {"nodeid": nodeid, "location": list(location), "blocks": [block.plain() for block in blocks]}
    output = getattr(config, "workeroutput", None)
    if output is None:
        tell_plain(config, plain)
    else:
        output.setdefault(OUTPUT, []).append(plain)


def tell_plain(config: pytest.Config, plain: dict[str, Any]) -> None:
    """The same, from plain values."""
    blocks = [block_from(one) for one in plain["blocks"]]
    report = pytest.TestReport(
        nodeid=plain["nodeid"],
        location=tuple(plain["location"]),
        keywords={},
        outcome="failed",
        longrepr=failure_text(blocks),
        when="teardown",
        loopwatch={"failed": True, "blocks": plain["blocks"], "unmeasured": None},
    )
    config.hook.pytest_runtest_logreport(report=report)
