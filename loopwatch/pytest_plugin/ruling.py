"""What one stall means for the test that is charged with it. Pure: facts in, facts out."""

from collections.abc import Callable, Sequence

from loopwatch.pytest_plugin.facts import ALLOWED, BLOCKED, KNOWN, MACHINE, Demand, Ruling, Seen, Window
from loopwatch.records import Cause, Stall

__all__ = ["BLIND", "IN_WINDOW", "rule"]

BLIND = "the machine was too busy to look: it ran neither the loop's thread nor loopwatch's"

IN_WINDOW = "assert_no_blocking()"
"""The source of a window's limit."""

TOOK = {
    Cause.STARVED: "the machine did not run the loop's thread",
    Cause.SUSPENDED: "the process was stopped",
    Cause.GC: "the garbage collector took the time",
    Cause.GIL: "another thread kept the GIL",
}


def rule(seen: Seen, demand: Demand, windows: Sequence[Window], known: Callable[[Stall], bool]) -> Ruling:
    """Decide about one stall.

    Args:
        seen: The stall.
        demand: What is asked of the test.
        windows: What the test said of stretches of itself.
        known: Whether the baseline has it.
    """
    limit_ms, source = _limit(seen, demand, windows)
    counted_ms = _counted_ms(seen, demand, windows)
    stall = seen.stall

    def ruling(verdict: str, why: str | None = None) -> Ruling:
        return Ruling(verdict, counted_ms, limit_ms, source, why)

    if stall.allowed is not None:
        return ruling(ALLOWED, stall.allowed)
    if own_ms(seen, demand) < limit_ms or stall.cause is Cause.SUSPENDED:
        return ruling(MACHINE, TOOK.get(stall.cause, "the machine, the collector or other threads took most of it"))
    if seen.blind:
        return ruling(MACHINE, BLIND)
    if counted_ms < limit_ms:
        return ruling(ALLOWED, "it lies outside of what the test says counts")
    if demand.allow is not None and (demand.up_to_ms is None or counted_ms - demand.up_to_ms < limit_ms):
        return ruling(ALLOWED, demand.allow)
    return ruling(KNOWN) if known(stall) else ruling(BLOCKED)


def own_ms(seen: Seen, demand: Demand) -> float:
    """The stall's own time: with the collector's pauses where they were asked for, or where the code itself called for one."""
    stall = seen.stall
    called = stall.cause is Cause.GC and stall.origin is not None
    return min(stall.duration_ms, seen.own_ms + seen.gc_ms) if demand.count_gc or called else seen.own_ms


def _counted_ms(seen: Seen, demand: Demand, windows: Sequence[Window]) -> float:
    """Own time less what the test took out of the count.

    Which part of a stall the machine took is not known to the millisecond: it is held against the part that counts, so that a busy
    machine never makes a test fail.
    """
    lost_ms = sum(_overlap_ms(seen, one) for one in windows if one.kind == "pause")
    only = [one for one in windows if one.kind == "only"]
    if only:
        lost_ms += seen.stall.duration_ms - sum(_overlap_ms(seen, one) for one in only)
    return max(0.0, own_ms(seen, demand) - lost_ms)


def _limit(seen: Seen, demand: Demand, windows: Sequence[Window]) -> tuple[float, str]:
    """The strictest limit that holds for it, and its source: a window's holds for what lies in it."""
    limits = [(demand.max_ms, demand.source)]
    limits += [
        (one.max_ms, IN_WINDOW) for one in windows if one.max_ms is not None and _mostly_in(seen, one, one.max_ms)
    ]
    return min(limits)


def _mostly_in(seen: Seen, window: Window, max_ms: float) -> bool:
    """Whether a stall belongs to a window: half of it, or as much as the window's whole limit, lies in it."""
    return _overlap_ms(seen, window) >= min(max_ms, seen.stall.duration_ms / 2)


def _overlap_ms(seen: Seen, window: Window) -> float:
    end_ns = seen.end_ns if window.end_ns is None else window.end_ns
    return max(0, min(end_ns, seen.end_ns) - max(window.start_ns, seen.start_ns)) / 1e6
