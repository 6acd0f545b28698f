"""Sinks that run, and what they say."""

import pytest

from .receivers import PATIENCE_S


@pytest.fixture
def begun():
    """Begins sinks, and ends them when the test ends."""
    sinks = []

    def begin(sink):
        sinks.append(sink)
        sink.begin(None)
        return sink

    yield begin
    for sink in sinks:
        sink.end()
        if hasattr(sink, "_thread"):
            sink._thread.join(PATIENCE_S)
