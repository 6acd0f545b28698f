"""What becomes of a test that blocks, and how it is told."""

import xml.etree.ElementTree as ET

SOURCE = """
    import asyncio, time, pytest

    @pytest.fixture
    async def slow():
        time.sleep(0.12)
        yield
        await asyncio.sleep(0)
        time.sleep(0.13)

    async def test_innocent():
        await asyncio.sleep(0.01)

    async def test_call():
        total = len(str(time.sleep(0.15)))

    async def test_fixture(slow):
        await asyncio.sleep(0)

    async def test_own_failure():
        time.sleep(0.14)
        assert 1 == 2

    @pytest.mark.xfail(reason="known to block", strict=True)
    async def test_xfail():
        time.sleep(0.15)

    async def test_skipped():
        time.sleep(0.15)
        pytest.skip("not here")
"""


def test_told(sessions):
    """Letters, verdicts, phases, fixtures, reports and exit code, all of one session."""
    session = sessions.gate(SOURCE, "-rA", "-v", "--junitxml=junit.xml")

    assert session.result.ret == 1
    assert session.outcomes() == {"passed": 2, "failed": 2, "errors": 2, "xfailed": 1, "skipped": 1}
    _tells_letters(session)
    _tells_phases(session)
    _tells_the_code(session)
    _tells_own_failure(session)
    _tells_junit(sessions.pytester.path / "junit.xml")


def _tells_letters(session):
    session.result.stdout.fnmatch_lines(
        [
            "*::test_innocent PASSED*",
            "*::test_call BLOCKED*",
            "*::test_fixture BLOCKED*",
            "*::test_fixture PASSED*",
            "*::test_fixture BLOCKED*",
            "*::test_own_failure FAILED*",
            "*::test_xfail XFAIL*",
            "*::test_skipped SKIPPED*",
        ]
    )


def _tells_phases(session):
    setup, teardown = session.blocks("test_fixture")
    assert (setup["phase"], setup["fixture"], setup["line"]) == ("setup", "the setup of fixture slow", 5)
    assert (teardown["phase"], teardown["fixture"], teardown["line"]) == ("teardown", "the teardown of fixture slow", 8)
    assert session.blocks("test_call")[0]["phase"] == "call"
    session.result.stdout.fnmatch_lines(["*ERROR at setup of test_fixture*", "*ERROR at teardown of test_fixture*"])


def _tells_the_code(session):
    session.result.stdout.fnmatch_lines(
        [
            "In the test's call: the event loop was held for * ms*; the limit is 50 ms, from the default",
            "  test_it.py:14: in test_call",
            "    total = len(str(time.sleep(0.15)))",
            "                    ^^^^^^^^^^^^^^^^",
            "    cause    sleep: *",
            "    call     time.sleep",
            "    do       Use `await asyncio.sleep(...)`.",
            "    stack    test_it.py:14 test_call",
            'Expected? Around the line:  with loopwatch.allow("why"): ...',
        ]
    )
    session.result.stdout.fnmatch_lines(["*= loopwatch =*", "6 blocks: 5 not allowed, 1 allowed", "slowest:"])


def _tells_own_failure(session):
    session.result.stdout.fnmatch_lines(["FAILED test_it.py::test_own_failure - *assert 1 == 2*"])
    session.result.stdout.fnmatch_lines(
        ["*- it also blocked the event loop -*", "1?? ms in time.sleep(0.14) at test_it.py:20*"]
    )


def _tells_junit(path):
    cases = {case.get("name"): case for case in ET.parse(path).iter("testcase")}
    properties = {one.get("name"): one.get("value") for one in cases["test_call"].iter("property")}
    assert properties["loopwatch_verdict"] == "blocked"
    assert properties["loopwatch_cause"] == "sleep"
    assert properties["loopwatch_place"] == "test_it.py:14"
    assert float(properties["loopwatch_ms"]) >= 100
    assert "time.sleep" in cases["test_call"].find("failure").get("message")
    assert cases["test_fixture"].find("error") is not None


def test_a_blocking_setup_does_not_hide_the_test(sessions):
    """A test whose fixture blocked runs all the same, and can fail by itself."""
    source = """
        import time, pytest

        @pytest.fixture
        async def slow():
            time.sleep(0.12)

        async def test_it(slow):
            assert "reached" == "the test"
    """

    session = sessions.gate(source)

    assert session.outcomes() == {"failed": 1, "errors": 1}


def test_first_failure_stops(sessions):
    """`-x` stops at a blocked test as at any other."""
    source = """
        import time

        async def test_one():
            time.sleep(0.12)

        async def test_two():
            pass
    """

    assert sessions.gate(source, "-x").outcomes() == {"failed": 1}


def test_many_blocks(sessions):
    """A test that blocks in many places is told the five longest in full, and how many more there are."""
    source = """
        import asyncio, time

        async def test_it():
            for _ in range(7):
                time.sleep(0.1)
                await asyncio.sleep(0)
    """

    session = sessions.gate(source)

    assert len(session.blocks("test_it")) == 7
    session.result.stdout.fnmatch_lines(
        ["*, the longest of 7 blocks (limit 50 ms)", "... and 2 more, none longer than * ms"]
    )
