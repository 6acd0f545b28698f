"""`@pytest.mark.loopwatch`: what one test is asked."""

import pytest


def test_without_the_switch(sessions):
    """A marker works by itself, on a test, a class and a module; other tests are left alone."""
    source = """
        import time, pytest

        @pytest.mark.loopwatch
        async def test_marked():
            time.sleep(0.15)

        @pytest.mark.loopwatch(max_ms=1000)
        class TestMarked:
            async def test_within_its_limit(self):
                time.sleep(0.15)

            @pytest.mark.loopwatch(max_ms=20)
            async def test_nearest_wins(self):
                time.sleep(0.1)

        async def test_unmarked():
            time.sleep(0.15)
    """

    session = sessions.plain(source, "-v")

    assert session.outcomes() == {"failed": 2, "passed": 2}
    session.result.stdout.fnmatch_lines(
        [
            "*test_marked BLOCKED*",
            "*test_within_its_limit PASSED*",
            "*test_nearest_wins BLOCKED*",
            "*test_unmarked PASSED*",
        ]
    )


def test_module(sessions):
    """`pytestmark` asks for all tests of a module."""
    source = """
        import time, pytest
        pytestmark = pytest.mark.loopwatch(max_ms=100)

        async def test_one():
            time.sleep(0.15)
    """

    assert sessions.plain(source).outcomes() == {"failed": 1}


def test_allow(sessions):
    """`allow` excuses all blocking of a test, with `up_to_ms` so much of each block; the reason is told, and the rest fails."""
    source = """
        import time, pytest

        @pytest.mark.loopwatch(allow="loads the model")
        async def test_any():
            time.sleep(0.2)

        @pytest.mark.loopwatch(allow="warms up", up_to_ms=1000)
        async def test_up_to():
            time.sleep(0.2)

        @pytest.mark.loopwatch(allow="warms up", up_to_ms=20)
        async def test_more():
            time.sleep(0.2)
    """

    session = sessions.gate(source)

    assert session.verdicts() == {"test_any": "allowed", "test_up_to": "allowed", "test_more": "blocked"}
    assert session.blocks("test_any", "allowed")[0]["why"] == "loads the model"
    assert "allowed (warms up)" in session.text


def test_allow_in_the_code(sessions):
    """`loopwatch.allow` around a line excuses it here, too."""
    source = """
        import time, loopwatch

        async def test_it():
            with loopwatch.allow("reads the licence"):
                time.sleep(0.2)
    """

    session = sessions.gate(source)

    assert session.outcomes() == {"passed": 1}
    assert session.blocks("test_it", "allowed")[0]["why"] == "reads the licence"


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        (
            "max_ms='fast'",
            "invalid max_ms='fast' from @pytest.mark.loopwatch of test_it.py::test_it; give milliseconds*",
        ),
        ("20", "invalid 20 from @pytest.mark.loopwatch of test_it.py::test_it; name it: max_ms=, allow=*"),
        ("limit=3", "invalid limit=3 from @pytest.mark.loopwatch of test_it.py::test_it; there are: max_ms, allow*"),
        ("up_to_ms=30", 'invalid up_to_ms=30 from * of test_it.py::test_it; it needs a reason: allow="..."'),
        ("allow=''", "invalid allow='' from * of test_it.py::test_it; say in words why blocking is expected here"),
        ("strict='yes'", "invalid strict='yes' from * of test_it.py::test_it; give True or False"),
    ],
)
def test_wrong(sessions, marker, message):
    """A wrong marker makes its test fail, with the value, the test and what would be right."""
    session = sessions.plain(f"import pytest\n@pytest.mark.loopwatch({marker})\ndef test_it(): pass\n")

    assert session.outcomes() == {"errors": 1}
    session.result.stdout.fnmatch_lines([message])
