"""On a machine that is busy on every core: no innocent test fails, no guilty one passes.

A short run, for which LOOPWATCH_HOGS=1 asks, since it would spoil real-time tests beside it; `python -m benchmarks.gate` is the
long one.
"""

import os

import pytest

from .sessions import require

flakes = pytest.importorskip("benchmarks.gate.flakes")
ROUNDS = 2


@pytest.mark.skipif(not os.environ.get("LOOPWATCH_HOGS"), reason="keeps every core busy: LOOPWATCH_HOGS=1 runs it")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("per_core", [1, 2])
def test_beside_hogs(per_core):
    """Beside CPU hogs on every core the gate fails exactly the tests that block."""
    require("asyncio")

    innocent, guilty = flakes.runs_beside_hogs(per_core, ROUNDS)

    told = [(one["test"], one["counted_ms"], one["evidence"]) for one in innocent.blocks if one["verdict"] == "blocked"]
    assert (innocent.blocked, told) == ([], [])
    assert [*guilty.clean, *guilty.unmeasured] == []
    assert innocent.tests + guilty.tests >= ROUNDS * 20
