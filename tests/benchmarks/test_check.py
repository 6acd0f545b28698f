"""The accuracy benchmark's own pass and fail."""

from dataclasses import replace

from test_score import outcome, report, truth

from benchmarks.accuracy.check import shortfalls
from benchmarks.accuracy.score import judge


def test_all_right() -> None:
    """Where everything is right, nothing is missing."""
    assert shortfalls([judge(outcome([truth()], [report()]), 100)], 1.0) == []


def test_what_is_missing() -> None:
    """A missed stall, a false report, and too few right lines and causes are each told, with the run they belong to."""
    missed = judge(outcome([truth()], []), 100)
    wrong = judge(outcome([truth()], [report(line=8, cause="disk"), report(start_ms=9000)]), 100)

    words = shortfalls([missed, wrong], 0.9)

    assert [one.startswith("asyncio, 3.12.1: ") for one in words] == [True] * 4
    assert ["1 of 2 stalls" in words[0], "1 false" in words[1], "lines" in words[2], "causes" in words[3]] == [True] * 4


def test_runs_are_looked_at_apart() -> None:
    """A backend that is right does not make up for one that is not, and what could not run counts for none."""
    good = judge(outcome([truth()] * 9, [report()]), 100)
    bad = judge(replace(outcome([truth()], []), backend="uvloop"), 100)
    skipped = judge(replace(outcome([truth()], []), skipped="no server"), 100)

    assert [one.partition(",")[0] for one in shortfalls([good, bad, skipped], 0.1)] == ["asyncio", "uvloop"]
    assert shortfalls([skipped], 1.0) == []
