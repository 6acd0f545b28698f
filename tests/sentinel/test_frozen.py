"""What is said of a frozen process."""

import os

import pytest
from facts import stall

from loopwatch.sentinel.frozen import Situation, event_of
from loopwatch.sinks.event import fields_of

MS = 1_000_000
START = 1_000_000 * MS
LOOP = (7, "asyncio", "MainThread")
HANDLER = ("/srv/shop.py", "handler", 10)
LIBRARY = ("/env/lib/site-packages/numbers_r_us.py", "power", 3)
RUNS = ("/python/asyncio/base_events.py", "BaseEventLoop._run_once", 1971)
MAIN = ("/srv/main.py", "<module>", 1)


def said(frames=(HANDLER, RUNS, MAIN), thread=7, name="MainThread", spent=(990, 0), dumped=True):
    """The event after a second in which the watchdog was kept out; frames innermost first, clocks in milliseconds."""
    return event_of(
        Situation(
            process=777,
            loop=LOOP,
            since_ns=START,
            now_ns=START + 1040 * MS,
            kept_ns=1000 * MS,
            threshold_ns=100 * MS,
            threads=[(thread, name, True, list(frames))] if dumped else None,
            spent=None if spent is None else (spent[0] * MS, spent[1] * MS),
            spent_ns=1000 * MS,
        ),
        wall_s=1_767_225_601.5,
    )


def test_keys():
    """Its keys are those of the event that the process itself would have logged, and three that tell the two apart."""
    expected = set(fields_of(stall(state="ongoing"))) | {"event", "level", "timestamp", "stack", "holder", "told_by"}

    assert set(said()) == expected


def test_native():
    """A thread that keeps the GIL and computes is in C code; its line is the user's, not the library's beneath it."""
    event = said(frames=(LIBRARY, HANDLER, RUNS, MAIN))

    assert (event["cause"], event["file"], event["line"], event["function"]) == (
        "native",
        "/srv/shop.py",
        10,
        "handler",
    )
    assert event["exact"] is True
    assert event["stack"] == ["/srv/shop.py:10 handler", f"{LIBRARY[0]}:3 power"]
    assert "1000 ms" in event["evidence"]
    assert "99%" in event["evidence"]
    assert (event["duration_ms"], event["pid"], event["thread"]) == (1040.0, 777, "MainThread")
    assert event["timestamp"] == "2026-01-01T00:00:01.500000+00:00"
    assert event["started_at"] == "2026-01-01T00:00:00.460000+00:00"


def test_foreign():
    """Another thread that has the GIL is named, with its line."""
    event = said(frames=(("/srv/reports.py", "render", 20),), thread=8, name="reports")

    assert (event["cause"], event["holder"]) == ("gil", "reports")
    assert (event["function"], event["line"]) == ("render", 20)


@pytest.mark.parametrize(("spent", "cause"), [((10, 950), "starved"), ((10, 0), "unknown"), (None, "unknown")])
def test_not_computing(spent, cause):
    """A thread that has the GIL and does not compute lacks a core, or waits for it is not known what."""
    assert said(spent=spent)["cause"] == cause


def test_no_dump():
    """Without a dump it says that, and how long it has lasted."""
    event = said(dumped=False)

    assert (event["cause"], event["line"], event["exact"], event["stack"]) == ("unknown", None, None, [])
    assert event["duration_ms"] == 1040.0


def test_only_library():
    """Where no frame is the user's, the innermost is named."""
    stdlib = (os.path.join(os.path.dirname(os.__file__), "json/encoder.py"), "iterencode", 9)

    assert said(frames=(stdlib, LIBRARY))["function"] == "iterencode"
