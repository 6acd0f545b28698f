"""What asks for the gate, which source beats which, and what is said of a wrong value."""

import pytest

SLEEPER = """
    import time

    async def test_sleeper():
        time.sleep(0.15)
"""


def ini(sessions, *lines):
    sessions.pytester.makepyprojecttoml("\n".join(["[tool.pytest.ini_options]", "asyncio_mode = 'auto'", *lines]))


# ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_inert(sessions):
    """A session that asks for nothing passes, says nothing, and has not imported what watches."""
    session = sessions.plain(
        SLEEPER + "    import sys\n    def test_light():\n        assert 'loopwatch.engine' not in sys.modules\n"
    )

    assert session.outcomes() == {"passed": 2}
    assert "loopwatch:" not in session.text and "BLOCKED" not in session.text


def test_a_pytest_that_is_too_old(sessions):
    """Its sessions are left alone, since every one of them imports the plugin; only who asks for it is told."""
    sessions.pytester.makepyfile(
        oldish="import pytest\npytest.version_tuple = (8, 1, 1)\n",
        test_plain="def test_plain():\n    pass\n",
        test_asks="import pytest\n@pytest.mark.loopwatch\ndef test_asks():\n    pass\n",
    )
    words = ("-p", "no:cacheprovider", "-p", "oldish", "-p", "loopwatch.pytest_plugin", "--strict-markers")

    plain = sessions.pytester.runpytest_subprocess(*words, "test_plain.py")
    asks = sessions.pytester.runpytest_subprocess(*words, "test_asks.py")

    assert plain.parseoutcomes()["passed"] == 1
    assert asks.ret == pytest.ExitCode.USAGE_ERROR
    asks.stderr.fnmatch_lines(["ERROR: loopwatch needs pytest 8.2 or newer; this is *"])


def test_switch(sessions):
    """With `--loopwatch` a test that blocks fails, and the header says from where on."""
    session = sessions.plain(SLEEPER, "--loopwatch")

    assert session.outcomes() == {"failed": 1}
    session.result.stdout.fnmatch_lines(
        ["loopwatch: a test fails that holds an event loop for 50 ms or longer (from the default)"]
    )
    session.result.stdout.fnmatch_lines(["BLOCKED test_it.py::test_sleeper - Blocked: * ms in time.sleep(0.15) at *"])


def test_ini_switch(sessions):
    """`loopwatch = true` in the ini file asks as well, and `--no-loopwatch` takes it back."""
    ini(sessions, "loopwatch = true")

    assert sessions.plain(SLEEPER).outcomes() == {"failed": 1}
    assert sessions.plain(SLEEPER, "--no-loopwatch").outcomes() == {"passed": 1}


def test_native_toml(sessions):
    """In `[tool.pytest]` the values are TOML's own: true, and a number."""
    if pytest.version_tuple < (9, 0):
        pytest.skip("[tool.pytest] is pytest 9's")
    sessions.pytester.makepyprojecttoml(
        "[tool.pytest]\nasyncio_mode = 'auto'\nloopwatch = true\nloopwatch_max_ms = 1000\n"
    )

    session = sessions.plain(SLEEPER)

    assert session.outcomes() == {"passed": 1}
    session.result.stdout.fnmatch_lines(["loopwatch: * 1000 ms or longer (from loopwatch_max_ms in pyproject.toml)"])


def test_environment_switch(sessions, monkeypatch):
    """`LOOPWATCH_PYTEST=1` asks as well."""
    monkeypatch.setenv("LOOPWATCH_PYTEST", "1")

    assert sessions.plain(SLEEPER).outcomes() == {"failed": 1}


def test_a_limit_asks(sessions):
    """Who gives a limit on the command line means the gate to be on."""
    assert sessions.plain(SLEEPER, "--loopwatch-max-ms=100").outcomes() == {"failed": 1}


def test_help(sessions):
    """`--help` and `--markers` tell of every option and of the marker."""
    helped = sessions.plain(SLEEPER, "--help").text
    markers = sessions.plain(SLEEPER, "--markers").text

    assert "--loopwatch-max-ms=N" in helped and "loopwatch_max_ms (" in helped and "--loopwatch-strict" in helped
    assert "@pytest.mark.loopwatch(max_ms=None, allow=None, up_to_ms=None, strict=None)" in markers


# ── precedence ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_precedence(sessions, monkeypatch):
    """Marker beats command line beats environment beats ini; the header names the source that won."""
    ini(sessions, "loopwatch = true", "loopwatch_max_ms = '1000'")
    assert "1000 ms or longer (from loopwatch_max_ms in pyproject.toml)" in sessions.plain(SLEEPER).text

    monkeypatch.setenv("LOOPWATCH_MAX_MS", "100")
    assert "100 ms or longer (from LOOPWATCH_MAX_MS)" in sessions.plain(SLEEPER).text

    by_flag = sessions.plain(SLEEPER, "--loopwatch-max-ms=2000")
    assert by_flag.outcomes() == {"passed": 1}
    assert "2000 ms or longer (from --loopwatch-max-ms)" in by_flag.text

    marked = "import pytest\npytestmark = pytest.mark.loopwatch(max_ms=60)\n" + SLEEPER.replace("\n    ", "\n")
    by_marker = sessions.plain(marked, "--loopwatch-max-ms=2000")
    assert by_marker.outcomes() == {"failed": 1}
    assert "the limit is 60 ms, from its marker" in by_marker.text


# ── wrong values ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_wrong_flag(sessions):
    """A limit that is none is refused with the value, where it came from, and what would be right."""
    session = sessions.plain(SLEEPER, "--loopwatch-max-ms=fast")

    assert session.result.ret == pytest.ExitCode.USAGE_ERROR
    session.result.stderr.fnmatch_lines(
        ["ERROR: invalid value 'fast' from --loopwatch-max-ms; give milliseconds, 1 or more, such as 50"]
    )


def test_wrong_environment(sessions, monkeypatch):
    """So is one from the environment."""
    monkeypatch.setenv("LOOPWATCH_MAX_MS", "-3")

    session = sessions.plain(SLEEPER)

    session.result.stderr.fnmatch_lines(["ERROR: invalid value '-3' from LOOPWATCH_MAX_MS; give milliseconds*"])


def test_wrong_ini(sessions):
    """So is one from the ini file."""
    ini(sessions, "loopwatch_max_ms = 'soon'")

    session = sessions.plain(SLEEPER)

    assert session.result.ret == pytest.ExitCode.USAGE_ERROR
    session.result.stderr.fnmatch_lines(["ERROR: invalid *loopwatch_max_ms in *pyproject.toml*"])


def test_update_needs_a_file(sessions):
    """Updating no file is refused with the option to give."""
    session = sessions.plain(SLEEPER, "--loopwatch-update-baseline")

    session.result.stderr.fnmatch_lines(["ERROR: --loopwatch-update-baseline needs a file*--loopwatch-baseline=FILE"])
