"""Label values: few, short, and always the same for the same thing. Pure."""

import re

from loopwatch.records import LoopInfo, Origin

__all__ = ["OTHER", "Capped", "loop_labels", "site_labels"]

Labels = tuple[str, ...]
OTHER = "other"
MAX_VALUE = 200
"""Characters of one value; of a longer path the end is kept."""


_COUNTED = re.compile(r"^Thread-\d+")


class Capped:
    """The first `limit` sets of labels are themselves; all later ones are `OTHER`.

    Not those with the largest counts: what is once counted under some labels cannot be moved to others, since a counter that goes
    down has been restarted, to Prometheus.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: set[Labels] = set()

    def __call__(self, labels: Labels) -> Labels:
        if labels in self._known:
            return labels
        if len(self._known) < self._limit:
            self._known.add(labels)
            return labels
        return (OTHER, *("" for _ in labels[1:]))


def loop_labels(loop: LoopInfo | None) -> Labels:
    """(loop,): the name of its thread. Threads without a name of their own are numbered by Python: the number is left out."""
    return ("" if loop is None else _COUNTED.sub("Thread", loop.thread)[:MAX_VALUE],)


def site_labels(origin: Origin | None) -> Labels:
    """(file, function, line); "unknown" where no line is to blame or known."""
    if origin is None:
        return ("unknown", "", "")
    return (origin.file[-MAX_VALUE:], origin.function[:MAX_VALUE], str(origin.line))
