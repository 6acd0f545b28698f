"""What a failed test's report says. Pure: blocks in, text out."""

from collections.abc import Sequence

from loopwatch.pytest_plugin.facts import Block

__all__ = ["failure_text", "headline"]

SHOWN = 5
"""Blocks told in full; the rest is counted."""


def failure_text(blocks: Sequence[Block]) -> str:
    """The report; its first line is what pytest's short summary shows."""
    worst = sorted(blocks, key=lambda block: -block.counted_ms)
    rest = len(worst) - SHOWN
    more = [f"... and {rest} more, none longer than {worst[SHOWN].counted_ms:.0f} ms"] if rest > 0 else []
    told = ["\n".join(_paragraph(block)) for block in worst[:SHOWN]]
    return "\n\n".join([headline(worst[0], len(worst)), *told, *more, "\n".join(_way_out(worst[0]))])


def headline(block: Block, count: int = 1) -> str:
    """One line."""
    if block.strict:
        others = f", and {count - 1} more" if count > 1 else ""
        return f"blocking call {block.what} at {block.place}{others} (strict)"
    first = f"{block.counted_ms:.0f} ms in {block.what} at {block.place}"
    others = f", the longest of {count} blocks" if count > 1 else ""
    return f"{first}{others} (limit {block.limit_ms:g} ms)"


def _paragraph(block: Block) -> list[str]:
    lines = [f"{_when(block)}: {_what_happened(block)}", "", *_code(block)]
    rows = [
        ("cause", f"{block.cause}: {block.evidence}"),
        ("call", block.call),
        ("for", block.request),
        ("task", block.task),
        ("loop", f"{block.backend}, thread {block.thread}" if block.thread != "MainThread" else None),
        ("do", block.advice),
    ]
    lines += [f"    {name:<8} {text}" for name, text in rows if text]
    lines += [f"    {'stack' if not index else '':<8} {frame}" for index, frame in enumerate(block.stack)]
    return lines


def _when(block: Block) -> str:
    if block.during is not None:
        return f"In a task that this test left behind, while {block.during} ran"
    return f"In {block.fixture}" if block.fixture is not None else f"In the test's {block.phase}"


def _what_happened(block: Block) -> str:
    if block.strict:
        return f"a blocking call on a loop's thread; strict mode, from {block.source}, lets none pass, however fast"
    return f"the event loop was held for {_how_long(block)}; the limit is {block.limit_ms:g} ms, from {block.source}"


def _how_long(block: Block) -> str:
    if block.duration_ms - block.counted_ms < max(1.0, block.duration_ms / 100):
        return f"{block.duration_ms:.0f} ms"
    return f"{block.counted_ms:.0f} ms of its own time (of {block.duration_ms:.0f} ms)"


def _code(block: Block) -> list[str]:
    """The place, the line, and what of it was running."""
    if block.file is None or block.code is None:
        return [f"  {block.place}", ""]
    exact = "" if block.exact else "   (inferred: one of the lines around it)"
    lines = [f"  {block.place}: in {block.function}{exact}", f"    {block.code}"]
    if block.mark is not None:
        start, end = block.mark
        lines.append("    " + " " * start + "^" * (end - start))
    return [*lines, ""]


def _way_out(block: Block) -> list[str]:
    up_to = 10 * (int(block.counted_ms) // 10 + 2)
    more = "" if block.strict else f", up_to_ms={up_to})  or  (max_ms={up_to}"
    return [
        'Expected? Around the line:  with loopwatch.allow("why"): ...',
        f'          On the test:      @pytest.mark.loopwatch(allow="why"{more})',
        "          For now:          --loopwatch-baseline=FILE --loopwatch-update-baseline",
    ]
