"""The exact piece of the line is named, not just the line."""

import time

from loopwatch.records import Cause

from .blame import assert_blames, describe, source_line


def quick():
    """Does nothing."""


def assert_columns(stall, piece):
    """Asserts that the columns of the origin cut `piece` out of its line, counted in UTF-8 bytes."""
    text = source_line(stall.origin.file, stall.origin.line).encode()
    cut = text[stall.origin.column : stall.origin.end_column].decode()
    assert stall.origin.expression == cut == piece, describe(stall)


def test_one_of_three_statements(stall_of):
    """Of three calls on one line, the one that blocks is the expression."""

    async def main():
        quick(); time.sleep(0.2); quick()  # noqa: E702 # BLOCK

    stall = stall_of(main)

    assert_blames(stall, main, call="time.sleep", cause=Cause.SLEEP)
    assert_columns(stall, "time.sleep(0.2)")
    assert stall.origin.source.startswith("quick(); time.sleep(0.2); quick()")


def test_operand(stall_of):
    """Of two calls in one expression, the one that blocks is named."""

    async def main():
        return [quick(), time.sleep(0.2)] or (time.sleep(0), quick())  # BLOCK

    stall = stall_of(main)

    assert_blames(stall, main, call="time.sleep")
    assert_columns(stall, "time.sleep(0.2)")


def test_argument(stall_of):
    """A call that blocks while the arguments of another are made is named, not the outer one."""

    async def main():
        print(time.sleep(0.2), end="")  # BLOCK

    stall = stall_of(main)

    assert_blames(stall, main, call="time.sleep")
    assert_columns(stall, "time.sleep(0.2)")


def test_columns_are_bytes(stall_of):
    """Letters outside ASCII before the expression do not shift it."""

    async def main():
        grüße = "åéîøü→"; time.sleep(0.2); grüße.upper()  # noqa: E702 # BLOCK

    stall = stall_of(main)

    assert_blames(stall, main, call="time.sleep")
    assert_columns(stall, "time.sleep(0.2)")


def test_call_over_several_lines(stall_of):
    """A call that spans lines is blamed from its first line to its last."""

    async def main():
        quick()
        time.sleep(  # BLOCK
            0.1
            + 0.1
        )
        quick()

    stall = stall_of(main)

    assert_blames(stall, main, call="time.sleep")
    assert stall.origin.end_line == stall.origin.line + 3
    assert stall.origin.expression.startswith("time.sleep(")
    assert stall.origin.expression.endswith(")")


def test_line_within_a_call_over_several_lines(stall_of):
    """An argument that blocks is blamed on its own line, not on the line where the outer call begins."""

    async def main():
        quick()
        max(
            1,
            time.sleep(0.2) or 2,  # BLOCK
            3,
        )

    stall = stall_of(main)

    assert_blames(stall, main, call="time.sleep")
    assert_columns(stall, "time.sleep(0.2)")


def test_method_chain(stall_of):
    """In a chain of calls the link that blocks is the end of the expression."""

    class Query:
        def filter(self):
            return self

        def all(self):
            sorted(range(3), key=lambda _: time.sleep(0.07) or 0)  # BLOCK
            return self

    async def main():
        Query().filter().all().filter()

    stall = stall_of(main)

    assert_blames(stall, Query, expression="time.sleep(0.07)", call="time.sleep")
    caller = next(frame for frame in reversed(stall.stack) if frame.function.endswith("main"))
    assert caller.expression == "Query().filter().all()"
