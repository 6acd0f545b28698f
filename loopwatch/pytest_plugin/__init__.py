"""The pytest plugin: a test that blocks the event loop for longer than its limit fails.

pytest imports this module in every session of an environment that has loopwatch (entry point `pytest11`). So it only declares
options, the marker and the fixture; what measures is imported when a session asks for it: by `--loopwatch`, by the ini option,
by a marker or by the fixture.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from loopwatch.pytest_plugin.options import MARKER_HELP, Options, declare, resolve

if TYPE_CHECKING:
    from loopwatch.pytest_plugin.fixture import Loopwatch
    from loopwatch.pytest_plugin.gate import Gate

__all__ = ["loopwatch"]

GATE, TELLER = "loopwatch-gate", "loopwatch-teller"
OLDEST = (8, 2)
TOO_OLD = pytest.version_tuple < OLDEST
"""An older pytest imports this as well, in every session: then nothing is declared, and whoever asks is told."""


def pytest_addoption(parser: pytest.Parser) -> None:
    if not TOO_OLD:
        declare(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER_HELP)
    if TOO_OLD:
        return
    options = resolve(config)
    if _distributes(config):
        # Tests run in workers. Whether any has the marker is known there alone, so someone listens to their reports.
        _tell(config, options)
    elif options.enabled:
        _switch_on(config, options)


# First: what is switched on here has a line for the terminal, which tells of the collection next.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Without the switch, a marker or the fixture asks for the tests that have it."""
    config = session.config
    if TOO_OLD:
        if any(map(_asks, session.items)):
            raise pytest.UsageError(
                f"loopwatch needs pytest {'.'.join(map(str, OLDEST))} or newer; this is {pytest.__version__}"
            )
        return
    if not (_distributes(config) or config.pluginmanager.hasplugin(GATE)) and any(map(_asks, session.items)):
        _switch_on(config, resolve(config))


def _asks(item: pytest.Item) -> bool:
    return "loopwatch" in getattr(item, "fixturenames", ()) or item.get_closest_marker("loopwatch") is not None


def _distributes(config: pytest.Config) -> bool:
    """Whether this is the controller of pytest-xdist."""
    return config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput")


def _switch_on(config: pytest.Config, options: Options) -> None:
    from loopwatch.pytest_plugin.gate import Gate

    config.pluginmanager.register(Gate(config, options), GATE)
    _tell(config, options)


def _tell(config: pytest.Config, options: Options) -> None:
    from loopwatch.pytest_plugin.teller import Teller

    config.pluginmanager.register(Teller(config, options), TELLER)


@pytest.fixture
def loopwatch(request: pytest.FixtureRequest) -> Iterator["Loopwatch"]:
    """What this test has blocked so far, and windows in which blocking counts or does not."""
    from loopwatch.pytest_plugin.fixture import Loopwatch

    gate: Gate | None = request.config.pluginmanager.getplugin(GATE)
    run = None if gate is None else gate.run_of(request.node)
    if run is None or run.demand is None:
        pytest.fail("the fixture loopwatch must be an argument of the test or of one of its fixtures", pytrace=False)
    given = Loopwatch(run)
    yield given
    given.close()
