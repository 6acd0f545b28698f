"""What the attribution tests share: where the blocking line is, and whether a stall blames it.

The line is never a number: it is the one that ends in a marker comment, `# BLOCK` or another mark.
"""

import inspect
from collections.abc import Iterable

from loopwatch.records import Cause, Stall


def marked(where: object, mark: str = "BLOCK") -> tuple[str, int]:
    """File and number of the one line, in the source of `where`, that ends in `# <mark>`."""
    where = inspect.unwrap(where) if callable(where) else where
    lines, first = inspect.getsourcelines(where)
    found = [number for number, line in enumerate(lines, max(first, 1)) if line.rstrip().endswith(f"# {mark}")]
    assert len(found) == 1, f"{where!r} has {len(found)} lines marked {mark}"
    file = inspect.getsourcefile(where)
    assert file is not None
    return file, found[0]


def source_line(file: str, line: int) -> str:
    """One line of a source file as it stands there."""
    with open(file, encoding="utf-8") as source:
        return source.read().splitlines()[line - 1]


def only(stalls: Iterable[Stall]) -> Stall:
    """The one stall there is, pauses that the machine made aside."""
    everything = list(stalls)
    own = [stall for stall in everything if stall.cause is not Cause.STARVED]
    assert len(own) == 1, "\n".join([f"{len(everything)} stalls in all", *map(describe, everything)])
    return own[0]


def assert_blames(
    stall: Stall,
    where: object,
    mark: str = "BLOCK",
    *,
    expression: str | None = None,
    call: str | None = None,
    cause: Cause | None = None,
) -> None:
    """Asserts that `stall` names the marked line of `where`, and whatever else is given."""
    assert stall.origin is not None, describe(stall)
    assert (stall.origin.file, stall.origin.line) == marked(where, mark), describe(stall)
    if expression is not None:
        assert stall.origin.expression == expression, describe(stall)
    if call is not None:
        assert stall.origin.call == call, describe(stall)
    if cause is not None:
        assert stall.cause is cause, describe(stall)


def describe(stall: Stall) -> str:
    """What a failed test should show of a stall."""
    stack = [f"{frame.file}:{frame.line} {frame.function} ({frame.kind}, {frame.lasted})" for frame in stall.stack]
    head = f"{stall.duration_ms:.0f} ms {stall.cause} ({stall.evidence}) in {stall.task}, {stall.samples} samples"
    shares = [f"{share.share:.2f} {share.origin.file}:{share.origin.line} {share.cause}" for share in stall.shares]
    return "\n".join([head, repr(stall.request), repr(stall.origin), *shares, *stack])
