"""The pytest plugin: a test that blocks the event loop for longer than its limit fails.

pytest imports this module in every session of an environment that has loopwatch (entry point `pytest11`). So it only declares
options, the marker and the fixture; what measures is imported when a session asks for it: by `--loopwatch`, by the ini option,
by a marker or by the fixture.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from loopwatch.pytest_plugin.options import MARKER_HELP, declare, resolve

if TYPE_CHECKING:
    from loopwatch.pytest_plugin.fixture import Loopwatch
    from loopwatch.pytest_plugin.gate import Gate

__all__ = ["loopwatch"]

GATE, TELLER = "loopwatch-gate", "loopwatch-teller"


def pytest_addoption(parser: pytest.Parser) -> None:
    declare(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER_HELP)
    options = resolve(config)
    # The teller must be there wherever reports arrive, and the controller of pytest-xdist collects nothing itself.
    if options.enabled or config.pluginmanager.hasplugin("dsession"):
        _switch_on(config)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Without the switch, a marker or the fixture asks for the tests that have it."""
    if not session.config.pluginmanager.hasplugin(GATE) and any(_asks(item) for item in session.items):
        _switch_on(session.config)


def _asks(item: pytest.Item) -> bool:
    return "loopwatch" in getattr(item, "fixturenames", ()) or item.get_closest_marker("loopwatch") is not None


def _switch_on(config: pytest.Config) -> None:
    from loopwatch.pytest_plugin.gate import Gate
    from loopwatch.pytest_plugin.teller import Teller

    options = resolve(config)
    config.pluginmanager.register(Gate(config, options), GATE)
    config.pluginmanager.register(Teller(config, options), TELLER)


@pytest.fixture
def loopwatch(request: pytest.FixtureRequest) -> Iterator["Loopwatch"]:
    """What this test has blocked so far, and windows in which blocking counts or does not."""
    from loopwatch.pytest_plugin.fixture import Loopwatch

    gate: Gate = request.config.pluginmanager.getplugin(GATE)
    given = Loopwatch(gate.run_of(request.node))
    yield given
    given.close()
