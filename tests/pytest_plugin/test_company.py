"""The gate among other plugins."""

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from .sessions import require

PAIR = """
    import asyncio, time, pytest

    @pytest.mark.parametrize("n", range(4))
    async def test_innocent(n):
        await asyncio.sleep(0.01)

    @pytest.mark.parametrize("n", range(4))
    async def test_guilty(n):
        time.sleep(0.12)
"""


def split(session):
    found = session.verdicts()
    assert {verdict for test, verdict in found.items() if "guilty" in test} == {"blocked"}
    assert {verdict for test, verdict in found.items() if "innocent" in test} == {"clean"}
    assert session.outcomes() == {"passed": 4, "failed": 4}


def test_xdist(sessions):
    """pytest-xdist: workers measure, the controller tells and writes one report."""
    session = sessions.gate(PAIR, "-n2", plugins=("asyncio", "xdist"))

    split(session)
    session.result.stdout.fnmatch_lines(["*time.sleep(0.12)*", "*= loopwatch =*", "4 blocks: 4 not allowed"])
    session.result.stdout.fnmatch_lines(["BLOCKED test_it.py::test_guilty* - Blocked: * ms in time.sleep(0.12)*"])


def test_xdist_with_markers_only(sessions):
    """Without the switch a marker works in workers as well."""
    session = sessions.plain(
        PAIR.replace("    @pytest.mark.p", "    @pytest.mark.loopwatch\n    @pytest.mark.p"),
        "-n2",
        plugins=("asyncio", "xdist"),
    )

    assert session.outcomes() == {"passed": 4, "failed": 4}
    session.result.stdout.fnmatch_lines(["*= loopwatch =*"])


def test_timeout(sessions):
    """pytest-timeout, by signal and by thread."""
    split(sessions.gate(PAIR, "--timeout=60", plugins=("asyncio", "timeout")))
    split(sessions.gate(PAIR, "--timeout=60", "--timeout-method=thread", plugins=("asyncio", "timeout")))


def test_coverage(sessions):
    """pytest-cov: its tracer is no debugger."""
    session = sessions.gate(PAIR, "--cov=.", plugins=("asyncio", "pytest_cov"))

    split(session)
    assert "unmeasured" not in session.text


def test_random_order(sessions):
    """pytest-randomly: any order, the same verdicts."""
    split(sessions.gate(PAIR, plugins=("asyncio", "randomly")))


FROZEN = """
    import asyncio, time, pytest
    IMPORT

    @FREEZE
    async def test_guilty():
        time.sleep(0.15)

    @FREEZE
    async def test_innocent():
        await asyncio.sleep(0)

    @FREEZE
    def test_guilty_run():
        async def main():
            time.sleep(0.15)
        asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("library", "line", "freeze"),
    [
        ("freezegun", "from freezegun import freeze_time", 'freeze_time("2020-02-02")'),
        ("time_machine", "import time_machine", 'time_machine.travel("2020-02-02", tick=False)'),
    ],
)
def test_frozen_time(sessions, library, line, freeze):
    """Whoever freezes the test's time does not freeze ours."""
    require(library)
    if library == "time_machine" and int(version("time-machine").partition(".")[0]) < 3:
        pytest.skip("time-machine 2 stops the process's monotonic clock itself")

    session = sessions.gate(FROZEN.replace("IMPORT", line).replace("FREEZE", freeze))

    verdicts = session.verdicts()
    assert verdicts.pop("test_innocent") in {"clean", "machine"}  # a busy machine holds up whom it likes
    assert verdicts == {"test_guilty": "blocked", "test_guilty_run": "blocked"}
    assert 100 <= session.blocks("test_guilty")[0]["duration_ms"] < 1000


def test_patched_clock(sessions):
    """So is a test that patches the clock's functions by hand."""
    source = """
        import asyncio, time

        def test_guilty(monkeypatch):
            monkeypatch.setattr(time, "monotonic_ns", lambda: 5)
            monkeypatch.setattr(time, "perf_counter", lambda: 5.0)
            async def main():
                time.sleep(0.15)
            asyncio.run(main())
    """

    assert sessions.gate(source, plugins=()).verdicts() == {"test_guilty": "blocked"}


def test_breakpoint(sessions):
    """A test that stops in pdb is unmeasured and fails for nothing."""
    source = """
        import asyncio, time

        async def test_it():
            breakpoint()
            await asyncio.sleep(0)
    """
    sessions.pytester.makepyfile(test_it=source)
    words = ("-p", "no:cacheprovider", "-p", "loopwatch.pytest_plugin", "-p", "pytest_asyncio.plugin", "--loopwatch")
    pexpect = pytest.importorskip("pexpect")
    child = pexpect.spawn(sys.executable, ["-m", "pytest", *words], cwd=str(sessions.pytester.path), timeout=60)
    child.expect("Pdb")
    child.sendline("import time; time.sleep(0.3)")
    child.sendline("c")

    told = child.read().decode()
    child.wait()

    assert "1 unmeasured" in told
    assert "a debugger held it" in told


def test_debugger_attached(sessions):
    """With a debugger's trace function in place no block fails a test: it is unmeasured."""
    sessions.pytester.makepyfile(
        bdb_like="def trace(frame, event, arg):\n    return None\n\ntrace.__module__ = 'pydevd.tracing'\n"
    )
    source = """
        import sys, time, pytest
        from bdb_like import trace

        @pytest.fixture(autouse=True)
        def attached():
            sys.settrace(trace)
            yield
            sys.settrace(None)

        async def test_it():
            time.sleep(0.15)
    """

    session = sessions.gate(source)

    assert session.verdicts() == {"test_it": "unmeasured"}
    assert session.outcomes() == {"unmeasured": 1}


def test_entry_point():
    """pytest finds the plugin by the entry point `pytest11`."""
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")

    assert '[project.entry-points.pytest11]\nloopwatch = "loopwatch.pytest_plugin"' in text
