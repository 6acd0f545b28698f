"""The fixture of the plugin's tests."""

import os

import pytest

from .sessions import Sessions


@pytest.fixture
def sessions(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Sessions:
    """Only the plugins that a test names are loaded, and no environment has a say."""
    for name in [
        name for name in os.environ if name.startswith(("LOOPWATCH_PYTEST", "LOOPWATCH_MAX", "LOOPWATCH_STRICT"))
    ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makepyprojecttoml(
        "[tool.pytest.ini_options]\nasyncio_mode = 'auto'\nasyncio_default_fixture_loop_scope = 'function'\n"
    )
    return Sessions(pytester)
