"""The fixture `loopwatch`: what a test asks and says of its own blocking."""

SOURCE = """
    import asyncio, time, pytest

    async def block(ms):
        time.sleep(ms / 1000)

    def test_stalls(loopwatch):
        asyncio.run(block(150))
        (stall,) = loopwatch.stalls
        assert stall.cause == "sleep" and stall.origin.line == 4 and stall.own_ms >= 100

    async def test_pause(loopwatch):
        with loopwatch.pause():
            time.sleep(0.15)
        await asyncio.sleep(0)

    async def test_outside_of_pause(loopwatch):
        with loopwatch.pause():
            time.sleep(0.1)
        await asyncio.sleep(0)
        time.sleep(0.15)

    async def test_only(loopwatch):
        time.sleep(0.15)
        await asyncio.sleep(0)
        with loopwatch.only():
            await asyncio.sleep(0.01)

    async def test_only_guilty(loopwatch):
        with loopwatch.only():
            time.sleep(0.15)

    def test_assert(loopwatch):
        with loopwatch.assert_no_blocking(20):
            asyncio.run(asyncio.sleep(0))
        with pytest.raises(pytest.fail.Exception, match=r"time.sleep.* \\(limit 20 ms\\)"):
            with loopwatch.assert_no_blocking(20):
                asyncio.run(block(100))

    async def test_assert_async(loopwatch):
        with loopwatch.assert_no_blocking(20):
            time.sleep(0.1)

    def test_assert_not_entered(loopwatch):
        loopwatch.assert_no_blocking(20)
"""


def test_with_the_gate(sessions):
    """`stalls`, `pause`, `only` and `assert_no_blocking` in plain and async tests, with the gate on."""
    session = sessions.gate(SOURCE, "--loopwatch-max-ms=80")

    verdicts = session.verdicts()
    assert {test for test, verdict in verdicts.items() if verdict == "blocked"} == {
        "test_stalls",
        "test_outside_of_pause",
        "test_only_guilty",
        "test_assert",
        "test_assert_async",
    }
    assert session.blocks("test_assert_async")[0]["source"] == "assert_no_blocking()"
    assert session.blocks("test_pause", "allowed") and session.blocks("test_only", "allowed")
    session.result.stdout.fnmatch_lines(["*asserts nothing by itself; write: with loopwatch.assert_no_blocking():*"])


def test_without_the_gate(sessions):
    """Without a switch or marker the fixture only measures: nothing fails but what the test asserts."""
    session = sessions.plain(SOURCE, "-v")

    session.result.stdout.fnmatch_lines(
        ["*test_stalls PASSED*", "*test_pause PASSED*", "*test_outside_of_pause PASSED*", "*test_only PASSED*"]
    )
    session.result.stdout.fnmatch_lines(["*test_only_guilty PASSED*", "*test_assert_async BLOCKED*"])
