"""Holds the labels against what was measured: does the case do on this machine what its label says?

Nothing here looks at a detector. A doubt is printed and changes no score: the truth's own clock stands.
"""

from benchmarks.accuracy.facts import Outcome, Truth

__all__ = ["doubts"]

COMPUTING = frozenset({"python", "native", "gc"})
WAITING = frozenset({"sleep", "network", "disk", "subprocess", "lock"})
RIGHT_MS = (150.0, 400.0)


def doubts(outcome: Outcome) -> list[str]:
    """One sentence for each truth that does not look like its label."""
    found = [(truth, _doubt(frozenset(outcome.causes), truth)) for truth in outcome.truths]
    return [f"{outcome.case} ({truth.place}, {truth.duration_ms:.0f} ms): {text}" for truth, text in found if text]


def _doubt(causes: frozenset[str], truth: Truth) -> str | None:
    cpu, queued, others = map(truth.share, (truth.cpu_ns, truth.runqueue_ns, truth.others_cpu_ns))
    stretched = (queued or 0.0) > 0.3
    if not stretched and not RIGHT_MS[0] <= truth.duration_ms <= RIGHT_MS[1]:
        return "not within 150 to 400 ms"
    if cpu is None or others is None:
        return None
    if causes <= COMPUTING and cpu + (queued or 0.0) < 0.85:
        return f"computing, with {cpu:.0%} CPU"
    if causes <= WAITING and cpu > 0.3:
        return f"waiting, with {cpu:.0%} CPU"
    if causes == {"gil"} and others < 0.5 and not stretched:
        return f"another thread's GIL, with {others:.0%} CPU of other threads"
    if causes == {"starved"} and cpu > 0.6:
        return f"starved, with {cpu:.0%} CPU"
    return None
