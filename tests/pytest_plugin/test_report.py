"""The JSON report."""


def test_versioned(sessions):
    """It says its version, the limit and its source, a verdict for each test, and every fact of every block."""
    source = """
        import asyncio, time, pytest

        async def test_guilty():
            time.sleep(0.15)

        async def test_innocent():
            pass

        def test_plain():
            pass
    """

    report = sessions.gate(source, "--loopwatch-max-ms=70").report

    assert (report["version"], report["max_ms"], report["source"]) == (1, 70.0, "--loopwatch-max-ms")
    assert report["tests"] == {
        "test_it.py::test_guilty": "blocked",
        "test_it.py::test_innocent": "clean",
        "test_it.py::test_plain": "clean",
    }
    (block,) = report["blocks"]
    assert block["file"] == "test_it.py" and block["line"] == 4 and block["expression"] == "time.sleep(0.15)"
    assert block["cause"] == "sleep" and block["call"] == "time.sleep" and block["module"] == "test_it"
    assert block["counted_ms"] >= 100 and block["fingerprint"] and block["stack"]
