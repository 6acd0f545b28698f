"""From a seen stall to the block that is told: whose it is, in which phase, and how it reads. Pure but for source lines."""

import linecache
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from loopwatch.pytest_plugin.facts import Block, Charge, Ruling, Seen
from loopwatch.records import Cause, Frame, Origin, Stall

__all__ = ["block_of", "line_to_show", "marked", "shown_in"]

MAX_STACK = 15
RUNNERS = (
    "_pytest.",
    "pluggy.",
    "pytest_asyncio.",
    "pytest_trio.",
    "anyio.pytest_plugin",
    "unittest.",
    "asyncio.",
    "trio.",
    "pytest_aiohttp.",
    "loopwatch.",
)
"""Modules between pytest and the user's code: they tell nothing."""


def block_of(seen: Seen, ruling: Ruling, charge: Charge, shown: Callable[[str], str]) -> Block:
    """Put together what is told of a stall. `shown` makes paths short."""
    stall, origin = seen.stall, line_to_show(seen.stall)
    code, mark = (
        marked(origin.file, origin.line, origin.column, origin.end_line, origin.end_column) if origin else (None, None)
    )
    return Block(
        **asdict(charge),
        verdict=ruling.verdict,
        why=ruling.why,
        duration_ms=round(stall.duration_ms, 1),
        counted_ms=round(ruling.counted_ms, 1),
        limit_ms=ruling.limit_ms,
        source=ruling.source,
        cause=stall.cause.value,
        evidence=stall.evidence,
        file=shown(origin.file) if origin else None,
        line=origin.line if origin else None,
        function=origin.function if origin else None,
        expression=origin.expression if origin else None,
        call=origin.call if origin else None,
        exact=origin is None or origin.exact,
        code=code or (origin.source if origin else None),
        mark=mark,
        module=origin.module if origin else None,
        request=(stall.request.label or None) if stall.request else None,
        task=stall.task,
        backend=stall.loop.backend,
        thread=stall.loop.thread,
        stack=_stack(stall, shown),
        advice=stall.advice,
        fingerprint=stall.fingerprint,
    )


def shown_in(root: Path) -> Callable[[str], str]:
    """A function that makes paths relative to `root`, where they lie in it."""
    prefix = str(root) + os.sep
    return lambda path: path.removeprefix(prefix)


def line_to_show(stall: Stall) -> Origin | None:
    """The line to show: the blamed one, or the heaviest that took part (many small callbacks have no single one)."""
    return stall.origin or (stall.shares[0].origin if stall.shares else None)


def marked(
    file: str, line: int, column: int | None, end_line: int | None, end_column: int | None
) -> tuple[str | None, tuple[int, int] | None]:
    """A line's text without its indent, and where in it the given columns (0-based UTF-8 bytes) lie; None: not known."""
    raw = linecache.getline(file, line).rstrip()
    code = raw.lstrip()
    if not code or column is None:
        return code or None, None
    indent = len(raw) - len(code)
    start = len(raw.encode()[:column].decode(errors="replace")) - indent
    end = len(code)
    if end_line in {None, line} and end_column is not None:
        end = len(raw.encode()[:end_column].decode(errors="replace")) - indent
    return code, (start, end) if 0 <= start < end <= len(code) else None


def _stack(stall: Stall, shown: Callable[[str], str]) -> tuple[str, ...]:
    """Outermost first, without what only runs tests. Of the thread that is to blame."""
    frames = stall.holder.stack if stall.holder is not None and stall.cause is Cause.GIL else stall.stack
    kept = [frame for frame in frames if not _runs_tests(frame)] or list(frames)
    lines = [f"{shown(frame.file)}:{frame.line} {frame.function}" for frame in kept]
    if len(lines) > MAX_STACK:
        cut = len(lines) - MAX_STACK
        lines = [*lines[: MAX_STACK // 3], f"... {cut} more ...", *lines[MAX_STACK // 3 + cut :]]
    return tuple(lines)


def _runs_tests(frame: Frame) -> bool:
    return frame.kind != "app" and f"{frame.module or ''}.".startswith(RUNNERS)
