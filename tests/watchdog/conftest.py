"""The bench on which the watchdog is tested."""

import pytest

from .bench import Bench


@pytest.fixture
def bench():
    """A watchdog that has watched an idle loop for a while."""
    bench = Bench()
    bench.runs(500)
    return bench
