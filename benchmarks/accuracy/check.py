"""Is it as good as it has to be? Pure: figures in, what they fall short of out."""

from collections.abc import Sequence

from benchmarks.accuracy.score import Judged, Tally, tally

__all__ = ["shortfalls"]


def shortfalls(judged: Sequence[Judged], least: float) -> list[str]:
    """What is missing, in words; empty where nothing is.

    Args:
        judged: Of one or several runs; each backend and Python is looked at by itself.
        least: The share of lines that are called exact, and of causes, which must be right (0 to 1).
    """
    runs: dict[str, list[Judged]] = {}
    for one in judged:
        if one.outcome.skipped is None and one.outcome.error is None:
            runs.setdefault(f"{one.outcome.backend}, {one.outcome.python}", []).append(one)
    return [f"{name}: {words}" for name, group in runs.items() for words in _missing(tally(group), least)]


def _missing(sums: Tally, least: float) -> list[str]:
    words = []
    if sums.detected[0] < sums.detected[1]:
        words.append(f"{sums.detected[1] - sums.detected[0]} of {sums.detected[1]} stalls were missed")
    if sums.false:
        words.append(f"{sums.false} false reports")
    for what, (right, of_all) in (("lines that are called exact", sums.line_exact), ("causes", sums.cause)):
        if right < least * of_all:
            words.append(f"{right} of {of_all} {what} are right, {least:.0%} must be")
    return words
