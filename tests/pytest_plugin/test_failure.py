"""How blocks are worded, on facts made by hand."""

from dataclasses import replace

from facts import origin, stall

from loopwatch.pytest_plugin.charging import block_of
from loopwatch.pytest_plugin.facts import Charge, Ruling, Seen, block_from
from loopwatch.pytest_plugin.failure import failure_text, headline
from loopwatch.records import Cause, LoopInfo


def block(counted_ms=150.0, charge=None, **fields):
    seen = Seen(stall(counted_ms, **fields), 0, int(counted_ms * 1e6), counted_ms)
    ruling = Ruling("blocked", counted_ms, 50.0, "--loopwatch-max-ms")
    return block_of(
        seen, ruling, charge or Charge("test_it.py::test_it", "call"), lambda path: path.removeprefix("/srv/")
    )


def test_headline():
    """One line with time, expression, place and limit; with the number of blocks where there are more."""
    one = block(origin=origin(line=41, expression="requests.get(url)"))

    assert headline(one) == "150 ms in requests.get(url) at shop.py:41 (limit 50 ms)"
    assert headline(one, 3).endswith("shop.py:41, the longest of 3 blocks (limit 50 ms)")


def test_several_lines():
    """An expression over several lines is cut after its first."""
    assert "in max( ... at shop.py" in headline(block(origin=origin(expression="max(\n    ours,\n    theirs)")))


def test_who():
    """The phase, the fixture, or the task that was left behind are said first."""
    assert "In the test's call: the event loop was held for 150 ms; the limit is 50 ms, from" in failure_text([block()])
    fixture = block(charge=Charge("test_it", "setup", "the setup of fixture slow"))
    assert "In the setup of fixture slow: " in failure_text([fixture])
    late = block(charge=Charge("test_it", "call", during="test_other"))
    assert "In a task that this test left behind, while test_other ran: " in failure_text([late])


def test_own_time():
    """Where others took a part, own time and duration are told apart."""
    text = failure_text([replace(block(100.0), duration_ms=150.0)])

    assert "held for 100 ms of its own time (of 150 ms)" in text


def test_inferred_line():
    """A line that is an inference says so."""
    assert "(inferred: one of the lines around it)" in failure_text(
        [block(origin=origin(exact=False, candidates=(10, 11)))]
    )


def test_no_line():
    """Without a line the loop and its thread are named."""
    elsewhere = LoopInfo("uvloop", "server", 1, 2, 3)
    nowhere = block(origin=None, shares=(), cause=Cause.UNKNOWN, loop=elsewhere)

    assert "150 ms in unknown at the uvloop loop of thread server" in headline(nowhere)


def test_from_process_to_process():
    """A block is the same after a way through plain values."""
    one = block()

    assert block_from(one.plain()) == one
