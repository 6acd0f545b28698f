"""What a blocking call that strict mode saw means for the test, and how it is told. Pure but for source lines."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict

from loopwatch.judge.advice import advise
from loopwatch.judge.fingerprint import digest
from loopwatch.pytest_plugin.charging import marked
from loopwatch.pytest_plugin.facts import ALLOWED, BLOCKED, KNOWN, Block, Charge, Demand, Window
from loopwatch.pytest_plugin.strict import Call
from loopwatch.records import Cause, Origin

__all__ = ["block_of_call", "one_a_line"]

WORST_FIRST = (BLOCKED, KNOWN, ALLOWED)
CAUSES = (
    ("time.", Cause.SLEEP),
    ("socket", Cause.NETWORK),
    ("ssl", Cause.NETWORK),
    ("subprocess", Cause.SUBPROCESS),
    ("os.system", Cause.SUBPROCESS),
    ("os.posix_spawn", Cause.SUBPROCESS),
    ("threading", Cause.LOCK),
    ("lock", Cause.LOCK),
    ("", Cause.DISK),
)


def block_of_call(
    call: Call,
    demand: Demand,
    windows: Sequence[Window],
    charge: Charge,
    shown: Callable[[str], str],
    known: Callable[[str], bool],
) -> Block:
    """Put together what is told of a call; `known` says whether the baseline has a fingerprint."""
    cause = next(cause for prefix, cause in CAUSES if call.what.startswith(prefix))
    fingerprint = digest(("call", call.module, call.code.co_qualname, call.what))
    verdict, why = _decide(call, demand, windows, known(fingerprint))
    origin = _origin(call)
    code, mark = marked(origin.file, origin.line, origin.column, origin.end_line, origin.end_column)
    return Block(
        **asdict(charge),
        verdict=verdict,
        why=why,
        duration_ms=0.0,
        counted_ms=0.0,
        limit_ms=0.0,
        source=demand.strict_source,
        cause=cause.value,
        evidence=f"{call.what} was called while the loop of this thread ran",
        file=shown(origin.file),
        line=origin.line,
        function=origin.function,
        expression=code[slice(*mark)] if code and mark else None,
        call=call.what,
        exact=True,
        code=code,
        mark=mark,
        module=call.module,
        request=None,
        task=None,
        backend="asyncio",
        thread=call.thread,
        stack=tuple(shown(line) for line in call.stack),
        advice=advise(cause, origin),
        fingerprint=fingerprint,
        strict=True,
    )


def one_a_line(blocks: Iterable[Block]) -> list[Block]:
    """One finding for each line and cause: opening and reading a file is one. A call that may not be hides behind none that may."""
    found: dict[tuple[str | None, int | None, str], Block] = {}
    for block in sorted(blocks, key=lambda block: WORST_FIRST.index(block.verdict)):
        found.setdefault((block.file, block.line, block.cause), block)
    return list(found.values())


def _decide(call: Call, demand: Demand, windows: Sequence[Window], known: bool) -> tuple[str, str | None]:
    """The verdict, and the reason of an allowance."""
    inside = {one.kind for one in windows if one.start_ns <= call.at_ns <= (one.end_ns or call.at_ns)}
    only = any(one.kind == "only" for one in windows)
    if call.reason is not None or demand.allow is not None:
        return ALLOWED, call.reason or demand.allow
    if "pause" in inside or (only and "only" not in inside):
        return ALLOWED, "it lies outside of what the test says counts"
    return (KNOWN if known else BLOCKED), None


def _origin(call: Call) -> Origin:
    line, end_line, column, end_column = call.position
    return Origin(
        file=call.code.co_filename,
        line=line or call.line,
        end_line=end_line,
        column=column,
        end_column=end_column,
        function=call.code.co_qualname,
        source=None,
        expression=None,
        call=call.what,
        exact=True,
        module=call.module,
    )
